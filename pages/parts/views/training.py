"""Training run so far: its verdict in words, and the tables of its charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pages.parts import charts, names
from pages.parts.text import ten_to
from pages.parts.views.training_details import by_layer, decisions, histograms
from pages.parts.views.training_words import Foreseen, guess_name, guess_words, ranking, score_name, verdict
from vgdash.training.snapshots import Snapshot
from vgdash.training.trainer import TrainParams

WHY = r"""
**Why.** A step changes each weight by $\Delta w = -\eta\,\partial C/\partial w$. With a gradient of
$10^{-12}$ a weight of $0.1$ does not change at all. With $10^{12}$ one step destroys it.

Healthy: a step changes a weight by about a thousandth, $\log_{10} \frac{|\Delta w|}{|w|} \approx -3$.

%s

If all weights of two or more layers start at zero, only the output bias gets a gradient. So the net never
does better than guessing.

If you train several nets per initializer, the line is their mean, without those that blew up. The band is
their range.
"""
HEALTHY = -3.0  # log10 of update : weight, a thousandth (Karpathy, CS231n notes)
LOWEST = -1.0  # R² that the chart shows: that of an exploding net has no bound
NOTHING = -12.0  # log10 of update : weight; float32 has lost any such update long before
COLUMNS, CELLS = 26, 40  # of the heat map, at most
POINTS = 100  # of a line, about, at most
COURSE, GRADIENTS, LAYERS, HISTOGRAMS, DECISION, RATES = (
    "loss and accuracy", "gradient by step", "by layer", "histograms", "decision", "learning rates")
LOOKS_AT = (COURSE, GRADIENTS, LAYERS, HISTOGRAMS, DECISION, RATES)


@dataclass(frozen=True)
class TrainingView:
    verdict: str
    of: str  # the initializer of the views of one net
    tables: dict[str, pd.DataFrame]  # of the chosen look, by the name of the chart
    ranking: str


def why(p: TrainParams) -> str:
    """Derive what a step does, and the loss of a net that only guesses on the data of ``p``."""
    return WHY % guess_words(p)


def training_view(p: TrainParams, snapshots: Sequence[Snapshot], look: str, of: str, statistic: str,
                  goal: float, over: bool, foreseen: Foreseen = ()) -> TrainingView:
    """Show the run so far, at least one snapshot, for one of ``LOOKS_AT``; ``over``: the run has ended.

    ``foreseen``: for each initializer, if theory expects it to learn.
    """
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
    return TrainingView(verdict(p, snapshots, foreseen, over), of, tables,
                        ranking(p, snapshots, goal, foreseen, over))


def _stacked(snapshots: Sequence[Snapshot], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps of the snapshots, and one of their statistics, ``(snapshots, …)``."""
    return np.array([s.step for s in snapshots]), np.stack([getattr(s, name) for s in snapshots])


def _lines(p: TrainParams, steps: np.ndarray, values: np.ndarray, spell: str, limits: Mapping[str, float],
           span: tuple[float, float], most: int, end: int) -> pd.DataFrame:
    """Draw a line for each initializer from ``values (steps, initializers, seeds)``, and its name.

    All names, and those of the limits at their y, stand beside the plot from the first step on. A line is
    the mean over the seeds that have not diverged, its band their range; finished it has ``most`` steps. The
    axis ends at the step ``end``.
    """
    parts, ends = [charts.rows("limit", "", [0] * len(limits), list(limits.values()))], []
    for i, name in enumerate(p.initializers):
        finite = np.flatnonzero(np.isfinite(values[:, i]).any(axis=1))
        if not len(finite):
            continue
        # always the same points while the line grows, and its end
        shown = np.union1d(finite[::math.ceil(most / POINTS)], finite[-1:])
        seeds = values[shown, i]
        x, y = steps[shown], np.nanmean(seeds, axis=1)
        text = f"{names.short(name)}, step {x[-1]}: {spell.format(y[-1])}"
        band = (np.nanmin(seeds, axis=1), np.nanmax(seeds, axis=1)) if seeds.shape[1] > 1 else ()
        parts += [charts.rows("line", name, x, y, *band),
                  charts.rows("point", name, x[-1:], y[-1:], text=[text])]
        ends.append(y[-1])
    heights = [*span, *ends]
    # the axis is as long as the run, so that it does not move while the lines grow
    extent = charts.rows("extent", "", [0, end], [min(heights), max(heights)])
    beside = [charts.rows("name", name, [end], [heights[0]]) for name in p.initializers]
    beside += [charts.rows("name", "limit", [end], [y], text=[words]) for words, y in limits.items()]
    return charts.table([*parts, extent, *beside])


def _end(snapshots: Sequence[Snapshot]) -> int:
    """Return the last step of the axis: that of the run, or where the last net blew up."""
    last = snapshots[-1]
    return max(1, int(last.diverged.max())) if (last.diverged >= 0).all() else last.params.steps


def _loss(p: TrainParams, snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    steps, loss = _stacked(snapshots, "loss")
    with np.errstate(divide="ignore", invalid="ignore"):
        log10 = np.log10(np.minimum(loss, 1e30))
    log10[~np.isfinite(log10)] = np.nan
    guess = math.log10(p.guess_loss)
    span = (min(float(np.nanmin(log10, initial=guess)), guess - 1), guess + 0.2)
    limit = {f"guessing: {guess_name(p)}": guess}
    return _lines(p, steps, log10, "log10 loss {:z.2f}", limit, span, len(p.snapshot_steps), _end(snapshots))


def _accuracy(p: TrainParams, snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    steps, held_out = _stacked([one for one in snapshots if one.step in p.held_out_steps], "held_out")
    guess, spell = (("the mean", "R² {:z.2f} on new points") if p.regression else
                    (f"1/{p.widths[-1]}", f"{{:.0%}} {score_name(p)}"))
    limit = {f"guessing: {guess}": p.guess_accuracy}
    values = np.maximum(held_out, LOWEST)
    return _lines(p, steps, values, spell, limit, (0.0, 1.0), len(p.held_out_steps), _end(snapshots))


def _updates(p: TrainParams, snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    """update : weight of the median layer. Layers whose weights do not move at all have none."""
    steps, ratio = _stacked(snapshots, "update_ratio")
    finite = np.where(np.isfinite(ratio), ratio, np.nan)
    middle = np.full(finite.shape[:-1], np.nan)
    there = np.isfinite(finite).any(axis=-1)
    middle[there] = np.nanmedian(finite[there], axis=-1)
    limits = {"10⁻³: healthy": HEALTHY, "10⁻¹²: nothing moves": NOTHING}
    return _lines(p, steps, np.maximum(middle, NOTHING), "log10 update : weight {:z.1f}", limits,
                  (NOTHING, HEALTHY + 1), len(p.snapshot_steps), _end(snapshots))


def _heat(snapshots: Sequence[Snapshot], which: int) -> pd.DataFrame:
    """log10 of the root mean square gradient of one initializer by layer and step."""
    steps, grad2 = _stacked(snapshots, "grad2")
    columns, cells = charts.evenly_spaced(len(steps), COLUMNS), charts.evenly_spaced(grad2.shape[-1], CELLS)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log10(grad2[columns, which].mean(axis=1))[:, cells] / 2
    widths = np.diff(np.append(steps[columns], steps[-1] + max(1, steps[-1] // max(1, len(steps) - 1))))
    heights = np.diff(np.append(cells, grad2.shape[-1]))
    x, layer = np.repeat(steps[columns], len(cells)), np.tile(cells + 1, len(columns))
    table = pd.DataFrame({
        "x": x, "x2": x + np.repeat(widths, len(cells)), "y": layer - 0.5,
        "y2": layer - 0.5 + np.tile(heights, len(columns)), "value": values.ravel(),
        "text": [f"layer {at}, step {step}: {ten_to(value)}"
                 for at, step, value in zip(layer, x, values.flat, strict=True)]})
    return table[np.isfinite(table["value"])]
