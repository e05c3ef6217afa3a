"""What a training run says: the verdict in words, and the tables of its charts, for the snapshots so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pages.parts import charts
from pages.parts.text import listed, ten_to
from pages.parts.views.training_details import by_layer, decisions, histograms
from vgdash.training.data import DATASETS
from vgdash.training.snapshots import Snapshot, steps_to
from vgdash.training.trainer import TrainParams

WHY = r"""
**Why.** A weight moves by $\Delta w = -\eta\,\partial C/\partial w$. A gradient of $10^{-12}$ moves a weight of $0.1$ by nothing;
one of $10^{12}$ throws it away.

Healthy: the update is about a thousandth of the weight, $\log_{10} \frac{|\Delta w|}{|w|} \approx -3$.

A net that knows nothing answers $1/K$ for each of $K$ classes: its loss is $\ln K$. With weights of zero in two layers or more only
the output bias has a gradient, so the loss stays there.

With several seeds, lines are the means of those that have not diverged, and bands their range.
"""
LEARNED = 0.5  # share of the way from guessing to certainty
MOVED = 0.2  # share of that way from which a net has learned something, however near to ln K wrong labels keep its loss
STILL = 0.03  # a loss within this share of ln K has not moved
HEALTHY = -3.0  # log10 of update : weight, a thousandth (Karpathy, CS231n notes)
NOTHING = -12.0  # log10 of update : weight; float32 has lost any such update long before
COLUMNS, CELLS = 26, 40  # of the heat map, at most
POINTS = 100  # of a line, about, at most


COURSE, GRADIENTS, LAYERS, HISTOGRAMS, DECISION, RATES = (
    "loss and accuracy", "gradient by step", "by layer", "histograms", "decision", "learning rates")
LOOKS_AT = (COURSE, GRADIENTS, LAYERS, HISTOGRAMS, DECISION, RATES)


@dataclass(frozen=True)
class TrainingView:
    verdict: str
    tables: dict[str, pd.DataFrame]  # what the look needs, by the name of the chart
    ranking: str


def training_view(p: TrainParams, snapshots: Sequence[Snapshot], look: str, of: str, statistic: str, goal: float,
                  over: bool) -> TrainingView:
    """What the page shows of the run so far, at least one snapshot, for one of ``LOOKS_AT``; ``over``: there will be no more."""
    which = p.initializers.index(of)
    if look == COURSE:
        tables = {"loss": _loss(p, snapshots), "accuracy": _accuracy(p, snapshots)}
    elif look == GRADIENTS:
        tables = {"gradients": _heat(snapshots, which), "updates": _updates(p, snapshots)}
    elif look == LAYERS:
        tables = {"layers": by_layer(p, snapshots, statistic, over)}
    elif look == HISTOGRAMS:
        tables = {"histograms": histograms(snapshots[-1], which)}
    elif look == DECISION:
        tables = decisions(p, snapshots)
    else:
        tables = {}
    return TrainingView(_verdict(p, snapshots), tables, _ranking(snapshots, goal))


def _ranking(snapshots: Sequence[Snapshot], goal: float) -> str:
    """Markdown: who came to the accuracy first."""
    found = steps_to(snapshots, goal).frame()
    lines = [f"| rank | initializer | steps to {goal:.0%} held out | best so far |", "|--:|---|--:|--:|"]
    for (rank, name), nets in found.groupby(["rank", "initializer"], sort=False):
        steps = ", ".join("never" if pd.isna(s) else f"{s:,}" for s in nets["steps"])
        best = nets["best"].max()
        lines.append(f"| {rank} | {name} | {steps} | {'–' if math.isnan(best) else f'{best:.0%}'} |")
    return "\n".join(lines)


def _steps(snapshots: Sequence[Snapshot]) -> np.ndarray:
    return np.array([s.step for s in snapshots])


def _stacked(snapshots: Sequence[Snapshot], name: str) -> np.ndarray:
    return np.stack([getattr(s, name) for s in snapshots])


def _verdict(p: TrainParams, snapshots: Sequence[Snapshot]) -> str:
    last, tested = snapshots[-1], next(s for s in reversed(snapshots) if s.step in p.tested)
    classes = DATASETS[p.dataset].classes
    chance = math.log(classes)
    learned, moving, still, diverged = [], [], [], []
    for i, name in enumerate(p.initializers):
        gone = last.diverged[i] >= 0
        if gone.all():
            diverged.append(f"{name} diverged at step {last.diverged[i].max():,}")
            continue
        if gone.any():
            diverged.append(f"{gone.sum()} of {gone.size} nets of {name} diverged")
        held_out, loss = float(np.nanmean(tested.held_out[i])), float(np.nanmean(last.loss[i]))
        if held_out > 1 / classes + LEARNED * (1 - 1 / classes):
            learned.append(f"{name} learns ({held_out:.0%} held out)")
        elif abs(loss - chance) < STILL * chance and held_out < 1 / classes + MOVED * (1 - 1 / classes):
            still.append(name)
        else:
            moving.append(f"{name} is at loss {loss:.2f} ({held_out:.0%} held out)")
    parts = [*learned, *moving, *diverged]
    if still:
        parts.append(f"{listed(still)} {'stands' if len(still) == 1 else 'stand'} still at ln {classes} = {chance:.3f}")
    return f"Step {last.step:,}: {'; '.join(parts)}."


def _over_seeds(series: str, steps: np.ndarray, values: np.ndarray, of: int,
                said: str) -> tuple[list[charts.Rows], tuple[float, float] | None]:
    """Line of the mean over the seeds that have not diverged, from ``(steps, seeds)``, band of their range, and where the line ends. At
    the end it has ``of`` steps."""
    finite = np.flatnonzero(np.isfinite(values).any(axis=1))
    if not len(finite):
        return [], None
    # always the same ones while the line grows, and where it is now
    finite = np.union1d(finite[::math.ceil(of / POINTS)], finite[-1:])
    steps, values = steps[finite], values[finite]
    middle = np.nanmean(values, axis=1)
    band = (np.nanmin(values, axis=1), np.nanmax(values, axis=1)) if values.shape[1] > 1 else ()
    parts = [charts.rows("line", series, steps, middle, *band),
             charts.rows("point", series, steps[-1:], middle[-1:], text=[f"{series}, step {steps[-1]}: {said.format(middle[-1])}"])]
    return parts, (steps[-1], middle[-1])


def _lines(p: TrainParams, steps: np.ndarray, values: np.ndarray, said: str, limits: list[charts.Rows],
           span: tuple[float, float], of: int) -> pd.DataFrame:
    """One line for each initializer from ``values (steps, initializers, seeds)``, and names at the ends."""
    parts, ends = list(limits), {}
    for i, name in enumerate(p.initializers):
        drawn, end = _over_seeds(name, steps, values[:, i], of, said)
        parts += drawn
        if end is not None:
            ends[name] = end
    low, high = (min([span[0], *(y for _, y in ends.values())]), max([span[1], *(y for _, y in ends.values())]))
    # the axis is as long as the run, so that it does not move while the lines grow
    extent = charts.rows("extent", "", [0, p.steps], [low, high])
    return charts.table([*parts, extent, *charts.end_labels(ends)])


def _loss(p: TrainParams, snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    steps, loss = _steps(snapshots), _stacked(snapshots, "loss")
    classes = DATASETS[p.dataset].classes
    with np.errstate(divide="ignore", invalid="ignore"):
        log10 = np.log10(np.minimum(loss, 1e30))
    guess = math.log10(math.log(classes))
    low = float(np.nanmin(np.where(np.isfinite(log10), log10, np.nan), initial=guess))
    limits = [charts.rows("limit", "", [p.steps / 4], [guess], text=[f"guessing: ln {classes}"])]
    finite, span = np.where(np.isfinite(log10), log10, np.nan), (min(low, guess - 1), guess + 0.2)
    return _lines(p, steps, finite, "log10 loss {:.2f}", limits, span, len(p.marks))


def _accuracy(p: TrainParams, snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    tested = [snapshot for snapshot in snapshots if snapshot.step in p.tested]
    steps, held_out = _steps(tested), _stacked(tested, "held_out")
    classes = DATASETS[p.dataset].classes
    limits = [charts.rows("limit", "", [p.steps / 4], [1 / classes], text=[f"guessing: 1/{classes}"])]
    return _lines(p, steps, held_out, "{:.0%} held out", limits, (0.0, 1.0), len(p.tested))


def _updates(p: TrainParams, snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    """The median layer's update : weight. Layers whose weights do not move at all have none."""
    steps, ratio = _steps(snapshots), _stacked(snapshots, "update_ratio")
    finite = np.where(np.isfinite(ratio), ratio, np.nan)
    with np.errstate(all="ignore"):
        middle = np.full(finite.shape[:-1], np.nan)
        there = np.isfinite(finite).any(axis=-1)
        middle[there] = np.nanmedian(finite[there], axis=-1)
    limits = [charts.rows("limit", "", [p.steps / 4] * 2, [HEALTHY, NOTHING], text=["healthy: a thousandth", "nothing moves"])]
    return _lines(p, steps, np.maximum(middle, NOTHING), "log10 update : weight {:.1f}", limits, (NOTHING, HEALTHY + 1), len(p.marks))


def _heat(snapshots: Sequence[Snapshot], which: int) -> pd.DataFrame:
    """Gradient of one initializer by layer and step, as log10 of its root mean square over units, batch and seeds."""
    steps, grad2 = _steps(snapshots), np.stack([s.grad2[which] for s in snapshots])
    columns, cells = charts.evenly_spaced(len(steps), COLUMNS), charts.evenly_spaced(grad2.shape[-1], CELLS)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log10(grad2[columns].mean(axis=1))[:, cells] / 2
    widths = np.diff(np.append(steps[columns], steps[-1] + max(1, steps[-1] // max(1, len(steps) - 1))))
    heights = np.diff(np.append(cells, grad2.shape[-1]))
    x, y = np.repeat(steps[columns], len(cells)), np.tile(cells + 0.5, len(columns))
    keep = np.isfinite(values.ravel())
    table = pd.DataFrame({"x": x, "x2": x + np.repeat(widths, len(cells)), "y": y, "y2": y + np.tile(heights, len(columns)),
                          "value": values.ravel()})[keep]
    return table.assign(text=[f"layer {layer}, step {step}: {ten_to(value)}"
                              for layer, step, value in zip(np.tile(cells + 1, len(columns))[keep], x[keep], table["value"], strict=True)])
