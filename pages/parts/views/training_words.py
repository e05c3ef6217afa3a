"""Sentences about a training run: which nets learn, and whether theory expected it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from pages.parts import names
from pages.parts.text import count, listed, markdown_table, percent
from vgdash.diagnosis.outlook import Outlook
from vgdash.diagnosis.record import Diagnosis
from vgdash.training.snapshots import Snapshot, steps_to
from vgdash.training.trainer import TrainParams

LEARNED = 0.5  # share of the way from guessing to certainty
MOVED = 0.2  # share of that way from which a net has learned something, even if its loss stays near ln K
FALL = 0.2  # of that way, from the best of the run: nets that fell back
STILL = 0.03  # a loss within this share of that of guessing, or an R² this near to 0, has not moved
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
EXPECTED = {True: "learns", False: "does not learn", None: "may or may not learn"}

FATES = ("learns", "begins", "fell", "worse", "guesses", "gone")  # in the order in which they are told
IDLE = ("worse", "guesses")

Foreseen = tuple[bool | None, ...]  # for each initializer, if it learns, or may or may not; () if unknown


def foresee(found: Iterable[Diagnosis | Outlook], optimizer: str) -> Foreseen:
    """Return for each initializer whether the diagnosis of its nets expects the optimizer to train them."""
    return tuple(one.adam_learns if optimizer == "adam" else one.learns for one in found)


def opening(p: TrainParams, foreseen: Foreseen) -> str:
    """Say before the run what is compared, and which nets theory expects to learn."""
    able, unable, unsure = ([name for name, learns in zip(_names(p), foreseen, strict=False)
                             if learns is wanted] for wanted in (True, False, None))
    number, deep = len(p.initializers), count(p.depth, "layer")
    said = [f"One net of {deep}." if number == 1 else
            f"{NUMBERS[number].capitalize()} nets of {deep} differ only in their first weights."]
    if able:
        said.append(f"Theory expects {listed(able)} to learn.")
    if unable:
        said.append(f"Theory does not expect {listed(unable)} to learn.")
    if unsure:
        said.append(f"{listed(unsure)} may or may not learn.")
    return " ".join(said)


@dataclass(frozen=True)
class _Net:
    """The nets of one initializer: what they do, and what theory expected of them."""

    name: str
    does: str  # one of FATES
    held_out: float
    best: float  # accuracy of any snapshot
    loss: float
    at: int  # step at which the last one blew up
    expected: bool | None


def verdict(p: TrainParams, snapshots: Sequence[Snapshot], foreseen: Foreseen, over: bool) -> str:
    """Say which nets learn, blew up or still guess, and where theory was right or wrong."""
    nets, last = _nets(p, snapshots, foreseen), snapshots[-1]
    groups = [group for fate in FATES if (group := [net for net in nets if net.does == fate])]
    said = [_describe(p, group, len(nets), group is groups[-1], over) for group in groups]
    for name, gone in zip(_names(p), last.diverged >= 0, strict=True):
        if gone.any() and not gone.all():
            said.append(f"{gone.sum()} of {gone.size} nets of {name} blew up")
    said += _surprises(nets, over)
    when = "" if groups[0][0].does == "gone" else f"Step {last.step:,}: "  # the step that it says is enough
    return f"{when}{'. '.join(said)}."


def _nets(p: TrainParams, snapshots: Sequence[Snapshot], foreseen: Foreseen) -> list[_Net]:
    last, tested = snapshots[-1], [shot for shot in snapshots if shot.step in p.held_out_steps]
    found = []
    for i, name in enumerate(_names(p)):
        expected, gone = foreseen[i] if foreseen else None, last.diverged[i] >= 0
        if gone.all():
            at = int(last.diverged[i].max())
            found.append(_Net(name, "gone", math.nan, math.nan, math.nan, at, expected))
            continue
        alive = [float(shot.held_out[i, ~gone].mean()) for shot in tested]
        now, best, loss = alive[-1], max(alive), float(last.loss[i, ~gone].mean())
        now_share, best_share = ((x - p.guess_accuracy) / (1 - p.guess_accuracy) for x in (now, best))
        if now_share > LEARNED:
            does = "learns"
        elif best_share > max(LEARNED, now_share + FALL):
            does = "fell"
        elif abs(gain := now if p.regression else 1 - loss / p.guess_loss) < STILL and now_share < MOVED:
            does = "guesses"
        else:
            does = "begins" if gain > 0 or now_share > MOVED else "worse"
        found.append(_Net(name, does, now, best, loss, -1, expected))
    return found


def _names(p: TrainParams) -> list[str]:
    return [names.short(name) for name in p.initializers]


def _describe(p: TrainParams, nets: Sequence[_Net], total: int, last: bool, over: bool) -> str:
    """Say in one clause what nets do that do the same."""
    does, one = nets[0].does, len(nets) == 1
    who = _who([net.name for net in nets], total, last)
    now, best = _score(p, [net.held_out for net in nets]), _share(p, nets[0].best)
    at = max(net.at for net in nets)
    when = f"{'at' if one else 'by'} step {at:,}" if at else "before the first step"
    said = {
        "learns": f"{who} learn{'s' * one} ({now})",
        "begins": f"{who} begin{'s' * one} to learn ({now})",
        "fell": f"{who} learned, but fell back {f'from {best} to {now}' if one else f'({now})'}",
        "worse": f"{who} {'does' if one else 'do'} worse than guessing",
        "gone": f"{who} blew up {when}",
        "guesses": f"{who} still guess{'es' * one} (loss {p.guess_loss:.3f} = {guess_name(p)})"}[does]
    foretold = does in ("gone", "guesses") and all(net.expected is False for net in nets)
    return f"{said}, as theory {'predicted' if over else 'expects'}" if foretold else said


def _who(them: list[str], total: int, last: bool) -> str:
    if len(them) == total > 1:
        return "Both" if total == 2 else f"All {NUMBERS[total]}"
    return f"The other {NUMBERS[len(them)]}" if last and len(them) > 2 else listed(them)


def _surprises(nets: Sequence[_Net], over: bool) -> list[str]:
    """Say where the run does not do as theory expected; of nets that may still learn only at the end."""
    def of(expected: bool, *does: str) -> list[str]:
        return [net.name for net in nets if net.expected is expected and net.does in does]

    said = []
    if more := of(False, "learns", "begins", "fell"):
        them = "that" if len(more) == len(nets) else f"{listed(more)} to learn"
        said.append(f"Theory did not expect {them}")
    if gone := of(True, "gone"):
        said.append(f"Theory expected {listed(gone)} to learn: try a smaller learning rate")
    if over and (still := of(True, "guesses", "worse")):
        said.append(f"Theory expected {listed(still)} to learn: try more steps or another learning rate")
    return said


def ranking(p: TrainParams, snapshots: Sequence[Snapshot], goal: float, foreseen: Foreseen,
            over: bool) -> str:
    """Markdown: initializers in the order in which they reached the accuracy, and what theory expects.

    Those that do no better than guessing share the last place. Those that blew up have none.
    """
    found = steps_to(snapshots, goal)
    tables = dict([*found.frame().groupby("initializer")])
    expected = dict(zip(p.initializers, foreseen, strict=False))
    does = dict(zip(p.initializers, (net.does for net in _nets(p, snapshots, foreseen)), strict=True))
    order = sorted(found.order, key=lambda name: (does[name] == "gone", does[name] in IDLE))
    ahead, rows = sum(does[name] not in ("gone", *IDLE) for name in order), []
    for rank, name in enumerate(order):
        gone = does[name] == "gone"
        place, missing = "–" if gone else str(min(rank, ahead) + 1), "never" if over or gone else "not yet"
        steps = ", ".join(missing if pd.isna(step) else f"{step:,}" for step in tables[name]["steps"])
        rows.append([place, names.short(name), steps, _share(p, tables[name]["best"].max()),
                     EXPECTED[expected[name]] if expected else "–"])
    header = (f"| place | initializer | steps until {_score(p, [goal])} | best so far | theory says |\n"
              "|--:|---|--:|--:|---|")
    return markdown_table(header, rows)


def guess_name(p: TrainParams) -> str:
    """Name the loss of a net that only guesses: ln 10, say."""
    if p.squared:
        return "half the variance" if p.regression else f"½(1 − 1/{p.widths[-1]})"
    return f"ln {p.widths[-1]}"


def guess_words(p: TrainParams) -> str:
    """Say in Markdown what a net that only guesses answers, and its loss."""
    classes, loss = p.widths[-1], f"{p.guess_loss:.3f}"
    if p.regression:
        return ("A net that only guesses gives the mean of all answers. So its loss is half their variance: "
                f"{loss}.")
    if p.squared:
        return (f"A net that only guesses gives each of the $K$ classes $1/K$. So its loss is "
                rf"$\tfrac12(1 - 1/K)$: {loss} for {classes} classes.")
    return (f"A net that only guesses gives each of the $K$ classes probability $1/K$. So its loss is "
            rf"$\ln K$: {loss} for {classes} classes.")


def score_name(p: TrainParams) -> str:
    """Name the accuracy on data that the nets have not seen."""
    new = "new digits" if p.dataset == "digits" else "new points"
    return f"R² on {new}" if p.regression else f"right on {new}"


def goal_question(p: TrainParams) -> str:
    """Ask for the net that is first to reach an accuracy."""
    new = "digits" if p.dataset == "digits" else "points"
    return ("Which net first reaches this R² on new points?" if p.regression else
            f"Which net first gets this share of new {new} right?")


def _share(p: TrainParams, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:z.2f}".replace("-", "−") if p.regression else percent(value)


def _score(p: TrainParams, values: Sequence[float]) -> str:
    """Spell accuracies: "94 % right on new digits", "R² 0.94 on new points", "88 % to 94 % right on ..."."""
    shown = list(dict.fromkeys(_share(p, value) for value in values))
    text = listed(shown) if len(shown) < 3 else f"{_share(p, min(values))} to {_share(p, max(values))}"
    return f"R² {text} on new points" if p.regression else f"{text} {score_name(p)}"
