"""Advice on one initializer: its first failure, a better choice, code of both, the balance of a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from pages.parts import names
from pages.parts.text import count, listed, markdown_table, number, rate, ten_to
from pages.parts.views import same_net
from pages.parts.views.initializers import cached_diagnosis
from vgdash.activations import ACTIVATIONS
from vgdash.codegen.export import export
from vgdash.codegen.reinitialize import reinitialize, what_is_beside
from vgdash.diagnosis.balance import BalanceParams, balance
from vgdash.diagnosis.outlook import SMALL_BATCH
from vgdash.diagnosis.recommendation import EASY, Recommendation, recommend
from vgdash.diagnosis.record import Diagnosis
from vgdash.params import ParamError
from vgdash.probe.probe import Probe, ProbeParams

NEAR = 0.02  # between ln of two factors that read the same
RANKED = 6  # choices that the table shows
FORMATS_HEADER = """\
| number format | signal: digits lost | zero | overflow | gradient: digits lost | zero | overflow |
|---|--:|--:|--:|--:|--:|--:|"""
FORMATS_NOTE = ("\n\nJudged by the largest entry of a layer. "
                "The nets are computed in float32; the row of float64 is theory's.")
RANKING_HEADER = """\
| choice | γ | signal, over all layers | gradient, over all layers | difficulty |
|---|--:|--:|--:|--:|"""
DIFFICULTY = ("\n\nDifficulty: how many factors of ten stand in the way of learning, in signal, gradient and "
              f"the difference between inputs together. Of nets below {EASY:g}, all learned.")

cached_recommendation = lru_cache(maxsize=256)(recommend)  # takes 10 to 150 ms


@dataclass(frozen=True)
class AdviceView:
    failure: str
    formats: str
    choice: str
    changes: tuple[tuple[str, dict[str, str]], ...]  # label and query of each changed net
    ranking: str
    balance: str


@dataclass(frozen=True)
class Code:
    """Source text of one start: a new net, and a function that draws an existing one anew, with a check."""

    title: str
    build: str
    again: str


def advice_view(seen: Probe) -> AdviceView:
    """Show the first failure of these nets, a better choice and its reasons."""
    p, said, found = seen.params, cached_diagnosis(seen), _recommendation(seen.params)
    head = (f"Choose **{names.long(found.initializer)}**{_details(p, found)}." if found.change else
            "**Other first weights are not enough.**" if said.learns is False else
            f"Keep **{names.long(p.initializer)}**.")
    first = f"{names.short(p.initializer)}: {said.sentence[0].lower()}{said.sentence[1:]}"
    failure = " ".join([first, *said.details])
    choice = "\n- ".join([f"{head}\n", *found.why])
    changes = tuple((f"See it with {one.name}",
                     same_net.alone(replace(one.choice, seed=p.seed, seeds=p.seeds)))
                    for one in found.remedies)
    return AdviceView(failure, _formats(said), choice, changes, _ranking(found), _balance(said))


def _recommendation(p: ProbeParams) -> Recommendation:
    return cached_recommendation(replace(p, seed=0, seeds=1))  # theory knows no seeds


def _details(p: ProbeParams, found: Recommendation) -> str:
    """Write gamma and biases of a choice: " with γ = 1.55 and no bias"."""
    gamma = [f"γ = {found.gamma:.3g}"] if found.gamma != 1 or p.gamma != 1 else []
    sigma_b2 = found.choice.sigma_b2
    bias = [f"σb² = {sigma_b2:.3g}"] if sigma_b2 else ["no bias"] if p.sigma_b2 else []
    return f" with {listed(gamma + bias)}" if gamma or bias else ""


def code_view(p: ProbeParams, framework: str) -> tuple[Code, ...]:
    """Show the code of the start of ``p``, and that of the recommended one beside it, if it is another."""
    found = _recommendation(p)
    if not found.change:
        keep = "" if found.present.learns is False else ": keep it"
        return (_code(p, f"{names.long(p.initializer)}{keep}", framework),)
    wanted = f"Recommended: {names.long(found.initializer)}{_details(p, found)}"
    return (_code(p, f"Chosen: {names.long(p.initializer)}", framework),
            _code(found.choice, wanted, framework))


def _code(p: ProbeParams, title: str, framework: str) -> Code:
    build = export(p.initializer, p.activation, framework, p.widths, p.gamma, p.sigma_b2,
                   p.last_scale, p.last_bias, p.kernels if framework == "pytorch" else ())
    if left_out := what_is_beside(p) + ["convolutions"] * (bool(p.kernels) and framework != "pytorch"):
        build = (f"# The choice holds for the net with {listed(left_out)}, "
                 f"which this code leaves to you.\n{build}")
    return Code(title, build, reinitialize(p, framework))


def _formats(found: Diagnosis) -> str:
    """Markdown: the layers at which signal and gradient leave each number format."""
    rows = [[one.name, *("–" if layer is None else f"layer {layer}" for layer in (
        one.subnormal, one.zero, one.overflow,
        one.gradient_subnormal, one.gradient_zero, one.gradient_overflow))] for one in found.number_formats]
    return markdown_table(FORMATS_HEADER, rows) + FORMATS_NOTE


def _ranking(found: Recommendation) -> str:
    rows = found.frame().head(RANKED).itertuples()
    return markdown_table(RANKING_HEADER, (
        [names.long(row.initializer), f"{row.gamma:.3g}", f"×{ten_to(row.forward)}",
         f"×{ten_to(row.backward)}", f"{row.difficulty:.1f}".replace("inf", "∞")] for row in rows
    )) + DIFFICULTY


def _balance(said: Diagnosis) -> str:
    """Forward and backward factor of a layer deep inside, if only weights and activation decide on them.

    Nothing where the diagnosis has no factor a layer, or another one: E[z²] is far from where it ends.
    """
    p, course = said.params, said.signal
    small_batch = p.normalization == "batch" and p.batch <= SMALL_BATCH
    changed = p.residual != "none" or p.rescale != "none" or p.norm_scale != 1 or p.kernels
    if changed or p.keep < 1 or p.depth < 2 or small_batch:
        return ""
    middle = max(2, len(p.widths) // 2)
    fan_in, fan_out = p.widths[middle - 1:middle + 1]
    same_at_every_q = ACTIVATIONS[p.activation].homogeneous and p.normalization == "none" and not p.biased
    if fan_in != fan_out and not same_at_every_q:
        return ""  # the factors depend on E[z²], which settles nowhere
    try:
        found = balance(BalanceParams(p.activation, p.initializer, p.gamma, p.sigma_b2, fan_in, fan_out,
                                      p.normalization))
    except ParamError:
        return ""
    if not (math.isfinite(found.forward) and math.isfinite(found.backward)):
        return ""
    if (found.forward_first - 1) * (found.q_star - found.q_first) < 0:
        return ""  # the first layer lies beyond an unstable point: E[z²] never settles
    if course.behaviour in ("power_law", "vanishes", "explodes") and (
            not course.factor or abs(math.log(found.forward / course.factor)) > NEAR):
        return ""
    settles = {0.0: "tends to 0", math.inf: "grows without end"}.get(
        found.q_star, f"settles at {number(found.q_star, 2)}")
    if fan_in != fan_out:
        where = f"From {fan_in:,} to {count(fan_out, 'unit')}"
    elif math.isnan(found.q_star) or p.normalization != "none":
        where = "Deep inside"
    else:
        where = f"Deep inside, where E[z²] {settles}"
    words = (f"{where}, a layer passes **{rate(found.forward)}** forward and "
             f"**{rate(found.backward)}** backward of the mean square.")
    if abs(math.log(max(found.forward, 1e-300))) < 0.005 < abs(math.log(max(found.backward, 1e-300))):
        words += " The signal is balanced, the gradient is not."
    if math.isfinite(found.gamma_forward):
        signal, gradient = f"{found.gamma_forward:.3g}", f"{found.gamma_backward:.3g}"
        verb = "balances" if signal == f"{p.gamma:.3g}" else "would balance"
        what = "both" if signal == gradient else f"the signal, γ = {gradient} the gradient"
        words += f" At E[z²] = 1{' and without biases' if p.biased else ''}, γ = {signal} {verb} {what}."
    return words
