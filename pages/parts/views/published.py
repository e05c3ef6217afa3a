"""Published claims: the verdict, the tables of claims, and the mistakes with both of their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pyarrow as pa

from pages.parts import charts
from pages.parts.text import escaped, listed, markdown_table, number, ten_to
from pages.parts.views.seed_points import seed_points
from vgdash.linear_chain import ChainParams
from vgdash.params import Params
from vgdash.probe.probe import CompareParams
from vgdash.published import PUBLISHED, SUBJECTS
from vgdash.published.mistakes import MISTAKES, Mistake
from vgdash.published.records import Claim, Outcome
from vgdash.single_neuron import NeuronParams
from vgdash.theory.phase_diagram import PhaseParams
from vgdash.training.trainer import TrainParams

CLAIMS: dict[str, Claim] = {claim.key: claim for claim in PUBLISHED}
CORRECTED: dict[str, Mistake] = {mistake.key: mistake for mistake in MISTAKES}
KINDS: dict[str, type[Params]] = {
    "linear_chain": ChainParams, "neuron_variance": NeuronParams, "initializers": CompareParams,
    "training": TrainParams, "trainable_depth": PhaseParams}
HEADER = """\
| verdict | claim | what we compute | theirs | ours | may differ by | page |
|---|---|---|---|---|---|---|"""
POINTS = 12  # of a measured curve, at most
FAR = 1.5  # of what may differ: where the chart draws all that differs more
NAMED = 5  # claims that do not agree, named in the verdict


@dataclass(frozen=True)
class MistakeView:
    words: str
    table: pd.DataFrame | None  # None where the computation broke off
    quantity: str
    mirrored: bool


def verdict(outcomes: Mapping[str, Outcome]) -> str:
    """Count the claims that agree, and name those that do not."""
    differing = [key for key, outcome in outcomes.items() if not outcome.agrees]
    said = f"{len(outcomes) - len(differing)} of {len(outcomes)} published claims agree with our numbers."
    if not differing:
        return said
    named = differing[:NAMED] + ([f"{len(differing) - NAMED} more"] if len(differing) > NAMED else [])
    return f"{said} These differ: {listed(named)}."


def remarks(outcomes: Mapping[str, Outcome]) -> str:
    """Describe the time taken, and the word derived."""
    seconds = sum(outcome.seconds for outcome in outcomes.values())
    derived = sum(CLAIMS[key].derived for key in outcomes)
    return (f"This server computed all numbers with the app's own functions, in {seconds:.1f} s. "
            f"{derived} are marked *derived*: the source gives a formula, we computed the number from it. "
            "A standard error is the usual chance error of a measured number.")


def sections(outcomes: Mapping[str, Outcome]) -> str:
    """Markdown: one table of claims a subject."""
    return "\n\n".join(
        f"**{subject}**\n\n" + markdown_table(HEADER, (_row(claim, outcomes[claim.key]) for claim in claims))
        for subject, claims in SUBJECTS.items())


def frame(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for each number: claim, source, address, theirs, ours, bound, agrees."""
    rows = []
    for key, outcome in outcomes.items():
        claim = CLAIMS[key]
        ours = outcome.ours if len(outcome.ours) == len(claim.values) else [np.nan] * len(claim.values)
        rows += [{"key": key, "claim": claim.claim, "source": claim.source, "address": claim.address,
                  "derived": claim.derived, "theirs": theirs, "ours": mine, "bound": bound,
                  "agrees": abs(mine - theirs) <= bound}
                 for theirs, mine, bound in zip(claim.values, ours, claim.bounds, strict=True)]
    return pd.DataFrame(rows)


def agreement(outcomes: Mapping[str, Outcome]) -> pa.Table:
    """Draw each difference between ours and theirs as a share of what may differ: from -1 to 1 they agree."""
    found = frame(outcomes)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num((found.ours - found.theirs) / found.bound, nan=0.0).clip(-FAR, FAR)
    shares = np.where(np.isfinite(found.ours), shares, FAR)
    parts = [charts.rows("line", "right", [0, len(found) + 1], [0, 0], -1, 1)]
    for series, agrees in (("right", True), ("mistaken", False)):
        at = np.flatnonzero(found.agrees == agrees)
        parts.append(charts.rows("point", series, at + 1, shares[at], text=[
            f"{one.claim} Theirs {_plain(one.theirs)}, ours {_plain(one.ours)}."
            for one in found.iloc[at].itertuples()]))
    return charts.table(parts)


def link(item: Claim | Mistake) -> str:
    """Address of the page that shows the claim or mistake, from any page of the app."""
    keys = KINDS[item.page].keys()
    state = [(key, text) for key, value in item.state.items() for text in keys[key].to_query(value)]
    look = [("look", item.look)] if isinstance(item, Claim) and item.look else []
    return f"{item.page}?{urlencode(state + look)}"


def mistake_view(mistake: Mistake) -> MistakeView:
    """Show one mistake in words, and as a wrong curve, a right one, and points from nets drawn now."""
    at = mistake.at
    source = f" ([{escaped(mistake.source)}]({mistake.address}))" if mistake.source else ""
    said = f"**“{escaped(mistake.said)}”**{source}  \n{escaped(mistake.why)}"
    show = f"[Show]({link(mistake)})"
    try:
        curves = mistake.curves()
    except Exception:  # shown on the card, beside the cards that could be drawn
        return MistakeView(f"{said}\n\nThe computation broke off. {show}", None, mistake.quantity, at == 0)
    measured, layers = curves.measured.mean(axis=0), np.arange(1, len(curves.right) + 1)
    wrong, right, seen = (ten_to(values[at]) for values in (curves.wrong, curves.right, measured))
    compared = (f"{escaped(mistake.setup)}. At layer {layers[at]} the mistake predicts {wrong}. "
                f"**Correct: {right}.** Measured: {seen}. {show}")
    ends = {"mistaken": (layers[at], curves.wrong[at]), "right": (layers[at], curves.right[at])}
    table = charts.table([
        charts.rows("line", "mistaken", layers, curves.wrong),
        charts.rows("line", "right", layers, curves.right),
        seed_points("right", curves.measured, POINTS, lambda size: f"{ten_to(size)} measured"),
        *charts.end_labels(ends)])
    return MistakeView(f"{said}\n\n{compared}", table, mistake.quantity, at == 0)


# ---- one row

def _row(claim: Claim, outcome: Outcome) -> list[str]:
    sign = "✓\u00a0agrees" if outcome.agrees else "**✗\u00a0differs**"
    source = f"[{escaped(claim.source)}]({claim.address})" + (", *derived*" if claim.derived else "")
    ours = escaped(outcome.problem) if outcome.problem else _numbers(outcome.ours)
    return [sign, f"{escaped(claim.claim)} {source}", f"{escaped(claim.setup)}. {escaped(claim.formula)}",
            _numbers(claim.values), ours, f"{_tolerance(claim)}: {escaped(claim.reason)}",
            f"[show]({link(claim)})"]


def _numbers(values: Sequence[float]) -> str:
    return " · ".join(_plain(value) for value in values)


def _plain(value: float) -> str:
    """Format up to six digits, to compare ours with theirs; powers of ten only where needed."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.6g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return number(value, 2)


def _tolerance(claim: Claim) -> str:
    given = claim.tolerance if isinstance(claim.tolerance, tuple) else (claim.tolerance,)
    different = list(dict.fromkeys(given))
    if different == [0]:
        return "nothing"
    return "±" + " · ".join(_bound(value) if claim.absolute else _share(value) for value in different)


def _bound(value: float) -> str:
    return f"{value:.2g}" if value == 0 or value >= 1e-4 else number(value, 0)


def _share(value: float) -> str:
    return f"{100 * value:.2g} %" if value == 0 or value >= 1e-5 else f"{number(value, 0)} of it"
