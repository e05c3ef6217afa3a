"""What the page on published claims says: the verdict, the tables of claims, and the mistakes with both of their curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from pages.parts import charts
from pages.parts.text import listed, number, ten_to
from vgdash.linear_chain import ChainParams
from vgdash.params import Params
from vgdash.probe.probe import CompareParams
from vgdash.published import MISTAKES, PUBLISHED, SUBJECTS, Claim, Mistake, Outcome
from vgdash.single_neuron import NeuronParams
from vgdash.theory.phase_diagram import PhaseParams
from vgdash.training.trainer import TrainParams

CLAIMS: dict[str, Claim] = {claim.key: claim for claim in PUBLISHED}
CORRECTED: dict[str, Mistake] = {mistake.key: mistake for mistake in MISTAKES}
KINDS: dict[str, type[Params]] = {"linear_chain": ChainParams, "neuron_variance": NeuronParams, "initializers": CompareParams,
                                  "training": TrainParams, "trainable_depth": PhaseParams}
HEADER = "| verdict | claim | computed | theirs | ours | may differ by | page |\n|---|---|---|---|---|---|---|"
POINTS = 12  # of a measured curve, at most
NAMED = 5  # claims that do not agree, named in the verdict


@dataclass(frozen=True)
class MistakeView:
    words: str
    table: pd.DataFrame | None  # None where the computation broke off
    quantity: str
    mirrored: bool


def verdict(outcomes: Mapping[str, Outcome]) -> str:
    """How many of the claims agree, and which do not."""
    differing = [key for key, outcome in outcomes.items() if not outcome.agrees]
    said = f"{len(outcomes) - len(differing)} of {len(outcomes)} claims agree"
    if not differing:
        return f"{said}, recomputed here."
    named = differing[:NAMED] + ([f"{len(differing) - NAMED} more"] if len(differing) > NAMED else [])
    return f"{said}; not so: {listed(named)}."


def remarks(outcomes: Mapping[str, Outcome]) -> str:
    """How long it took, and what derived means."""
    seconds = sum(outcome.seconds for outcome in outcomes.values())
    derived = sum(CLAIMS[key].derived for key in outcomes)
    return (f"Computed on this server with the app's own functions in {seconds:.1f} s. In {derived} of them the source gives the formula "
            "and the number follows from it: *derived*.")


def sections(outcomes: Mapping[str, Outcome]) -> str:
    """Markdown: one table of claims a subject."""
    return "\n\n".join(f"**{subject}**\n\n" + "\n".join([HEADER, *(_row(claim, outcomes[claim.key]) for claim in claims)])
                       for subject, claims in SUBJECTS.items())


def frame(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for each number: claim, source, address, theirs, ours, bound, agrees."""
    rows = []
    for key, outcome in outcomes.items():
        claim = CLAIMS[key]
        ours = outcome.ours if len(outcome.ours) == len(claim.values) else [np.nan] * len(claim.values)
        rows += [{"key": key, "claim": claim.claim, "source": claim.source, "address": claim.address, "derived": claim.derived,
                  "theirs": theirs, "ours": mine, "bound": bound, "agrees": abs(mine - theirs) <= bound}
                 for theirs, mine, bound in zip(claim.values, ours, claim.bounds, strict=True)]
    return pd.DataFrame(rows)


def link(item: Claim | Mistake) -> str:
    """The address of the page that shows it, from any page of the app."""
    keys = KINDS[item.page].keys()
    state = [(key, text) for key, value in item.state.items() for text in keys[key].to_query(value)]
    look = [("look", item.look)] if isinstance(item, Claim) and item.look else []
    return f"{item.page}?{urlencode(state + look)}"


def mistake_view(mistake: Mistake) -> MistakeView:
    """One mistake in words, and as a wrong curve, a right one, and points from nets drawn now."""
    backward = mistake.at == 0
    source = f" ([{literal(mistake.source)}]({mistake.address}))" if mistake.source else ""
    said = f"**“{literal(mistake.said)}”**{source}  \n{literal(mistake.why)}"
    show = f"[Show]({link(mistake)})"
    try:
        curves = mistake.curves()
    except Exception:  # said on the card, beside the cards that could be drawn
        return MistakeView(f"{said}\n\nThe computation broke off. {show}", None, mistake.quantity, backward)
    measured = curves.measured.mean(axis=0)
    layers = np.arange(1, len(curves.right) + 1)
    at = mistake.at
    compared = (f"{literal(mistake.setup)}: layer {layers[at]} has {ten_to(curves.wrong[at])} by the mistake, "
                f"**{ten_to(curves.right[at])} in truth**, {ten_to(measured[at])} measured. {show}")
    shown = charts.spread(len(layers), POINTS)
    parts = [charts.rows("line", "mistaken", layers, curves.wrong), charts.rows("line", "right", layers, curves.right),
             charts.rows("point", "right", layers[shown], measured[shown], curves.measured.min(axis=0)[shown],
                         curves.measured.max(axis=0)[shown], text=[f"layer {layers[i]}: {ten_to(measured[i])} measured" for i in shown])]
    ends = {"mistaken": (layers[at], curves.wrong[at]), "right": (layers[at], curves.right[at])}
    return MistakeView(f"{said}\n\n{compared}", charts.table([*parts, *charts.end_labels(ends)]), mistake.quantity, backward)


# ---- one row

def _row(claim: Claim, outcome: Outcome) -> str:
    sign = "✓\u00a0agrees" if outcome.agrees else "**✗\u00a0differs**"
    source = f"[{literal(claim.source)}]({claim.address})" + (", *derived*" if claim.derived else "")
    ours = _numbers(outcome.ours) if not outcome.problem else literal(outcome.problem)
    cells = (sign, f"{literal(claim.claim)} {source}", f"{literal(claim.setup)}. {literal(claim.formula)}", _numbers(claim.values), ours,
             f"{_tolerance(claim)}: {literal(claim.reason)}", f"[show]({link(claim)})")
    return "| " + " | ".join(cells) + " |"


def _numbers(values: Sequence[float]) -> str:
    return " · ".join(_plain(value) for value in values)


def _plain(value: float) -> str:
    """Up to six digits, so that ours can be compared with theirs; powers of ten only where they are needed."""
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


def literal(text: str) -> str:
    """Text in which no sign means anything to Markdown."""
    return re.sub(r"([\\`*_~\[\]<>|$#])", r"\\\1", text)

