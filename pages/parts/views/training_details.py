"""Details of training nets: statistics and histograms by layer, decisions, and learning rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pages.parts import charts, names
from pages.parts.text import number
from vgdash.training.inspection import BINS, REACH
from vgdash.training.lr_finder import Rates
from vgdash.training.snapshots import Snapshot
from vgdash.training.trainer import TrainParams

STATISTICS = {  # by layer: title of the axis, and True if log10 is drawn
    "grad2": ("size of the gradient", True), "gradient_ratio": ("gradient : weight", True),
    "update_ratio": ("update : weight", True), "drift": ("distance from the start, |W − W₀| / |W₀|", True),
    "dead": ("share of dead units", False), "saturated": ("share of saturated units", False),
}
FRAMES = 25  # moments of a finished run to scrub through
GAP = 0.1  # of the axis: line height of a name on a projector
CELLS = 40  # layers of a chart at the most
POINTS = 240  # of the data, drawn over the decision


def by_layer(p: TrainParams, snapshots: Sequence[Snapshot], statistic: str, over: bool) -> pd.DataFrame:
    """Draw one statistic by layer, mean over seeds: now, or ``FRAMES`` moments k of a finished run."""
    moments = np.linspace(0, len(snapshots) - 1, FRAMES).round().astype(int) if over else [-1]
    cells, parts = charts.evenly_spaced(p.depth, CELLS), []
    for k, snapshot in enumerate(snapshots[i] for i in moments):
        values = getattr(snapshot, statistic)[..., cells].astype(float)
        with np.errstate(all="ignore"):
            if statistic == "grad2":
                values = np.log10(values) / 2
            elif statistic == "drift":
                values = np.log10(values)
            middle = np.where(np.isfinite(values), values, np.nan).mean(axis=1)
        lines, labels = _lines(p.initializers, cells + 1, middle)
        parts += [pd.DataFrame(rows).assign(k=k, text=f"step {snapshot.step:,}") for rows in lines]
        parts += [pd.DataFrame(rows).assign(k=k) for rows in labels]
    return pd.concat(parts, ignore_index=True)[["part", "k", "x", "y", "series", "slot", "text"]]


def _lines(names: Sequence[str], layers: np.ndarray, values: np.ndarray) -> tuple[list[charts.Rows], ...]:
    """A line for each name, and the names at their beginnings, without overlap."""
    lines = [charts.rows("line", name, layers, row) for name, row in zip(names, values, strict=True)]
    first = {name: (line["x"][0], line["y"][0])
             for name, line in zip(names, lines, strict=True) if len(line["x"])}
    drawn = values[np.isfinite(values)]
    for at in {x for x, _ in first.values()}:
        there = [name for name, (x, _) in first.items() if x == at]
        heights = np.array([first[name][1] for name in there])
        places = charts.resolve_overlaps(heights, GAP * max(np.ptp(drawn), charts.LEAST_RANGE), drawn.max())
        first.update({name: (at, place) for name, place in zip(there, places, strict=True)})
    return lines, charts.end_labels(first)


def histograms(snapshot: Snapshot, which: int) -> pd.DataFrame:
    """Histograms of a[l] over its root mean square in an initializer's first net; column k numbers layers."""
    edges = np.linspace(-REACH, REACH, BINS + 1)
    tables = []
    for k, layer in enumerate(snapshot.params.histogram_layers):
        counts = snapshot.histogram[which, 0, k].astype(float)
        share = counts / counts.sum() if counts.sum() else np.zeros(BINS)
        at = snapshot.diverged[which, 0]
        size = (f"no number any more, the net blew up at step {at:,}" if at >= 0 else
                f"root mean square {number(float(snapshot.rms[which, 0, k]))}")
        tables.append(pd.DataFrame({"k": k, "x": edges[:-1], "x2": edges[1:], "y": share,
                                    "text": f"layer {layer}, step {snapshot.step:,}: {size}"}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def decisions(p: TrainParams, snapshots: Sequence[Snapshot]) -> dict[str, pd.DataFrame]:
    """Draw the answers of each initializer's first net on a grid, with some of the data; only if 2-D."""
    latest = next((s for s in reversed(snapshots) if s.decision is not None), None)
    if latest is None:
        return {}
    grid = latest.decision_frame()
    first, second = p.decision_axes
    step_x, step_y = first[1] - first[0], second[1] - second[0]
    data = pd.DataFrame({"part": "data", "x": p.data.x_train[:POINTS, 0], "y": p.data.x_train[:POINTS, 1],
                         "label": p.data.y_train[:POINTS] / (p.data.classes - 1)})
    whole = 255 if p.data.classes == 2 else p.data.classes - 1
    tables = {}
    for name, cells in grid.groupby("initializer", sort=False):
        field = pd.DataFrame({
            "part": "field", "x": cells["x1"] - step_x / 2, "x2": cells["x1"] + step_x / 2,
            "y": cells["x2"] - step_y / 2, "y2": cells["x2"] + step_y / 2, "value": cells["value"] / whole})
        tables[str(name)] = pd.concat([field, data], ignore_index=True)
    return tables


def rates(found: Rates) -> tuple[str, pd.DataFrame]:
    """Describe the best learning rate of each initializer, and draw the loss against the rate."""
    parts, ends, said = [], {}, []
    for i, name in enumerate(found.params.initializers):
        best = found.best[i]
        short = names.short(name)
        said.append(f"**{short}** learns best at η = {best:.2g}." if np.isfinite(best) else
                    f"**{short}** learns at no rate.")
        with np.errstate(all="ignore"):
            loss = np.log10(found.loss[i].mean(axis=1))
        alive = np.flatnonzero(np.isfinite(loss))
        if not len(alive):
            continue
        x, y = found.rates[alive], loss[alive]
        parts += [charts.rows("line", name, x, y), charts.rows("point", name, x, y, text=[
            f"{short}, rate {rate:.2g}: loss {10**value:.2f}" for rate, value in zip(x, y, strict=True)])]
        ends[name] = (x[-1], y[-1])
    words = f"After {found.params.steps} steps: {' '.join(said)} A line ends where the nets blow up."
    return words, charts.table([*parts, *charts.end_labels(ends)])
