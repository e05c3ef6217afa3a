"""Tidy tables for charts, made of parts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pages.parts import names
from pages.parts.series_style import SERIES_STYLES

NUMBERS = ("x", "y", "low", "high")
COLUMNS = ("part", "row_id", *NUMBERS, "series", "slot", "text")
LABEL_SIZE = 14  # font size of a label, in pixels
LINE_HEIGHT = 1.5  # font sizes from label to label: an axis with round ends is longer than what is drawn
NAME_WIDTH, NAME_HEIGHT = 0.19, 0.1  # of a name above a level rule, in shares of the chart
LEAST_RANGE = 0.01  # of y on an axis, where all lines are one

Rows = dict[str, np.ndarray]


def rows(part: str, series: str, x, y, low=np.nan, high=np.nan, text: str | Sequence[str] = "") -> Rows:
    """Make rows of one part of one series; y that is not finite is left out (a log axis would collapse).

    Without a ``text`` a label or a tooltip says what people call the series.
    """
    x, y, low, high = np.broadcast_arrays(*(np.asarray(values, float) for values in (x, y, low, high)))
    keep = np.isfinite(y)
    count = int(keep.sum())
    texts = ([text or names.short(series)] * count if isinstance(text, str) else
             list(itertools.compress(text, keep)))
    slot = SERIES_STYLES[series].slot if series in SERIES_STYLES else 0
    return {"part": [part] * count, "x": x[keep], "y": y[keep], "low": low[keep], "high": high[keep],
            "series": [series] * count, "slot": [slot] * count, "text": texts}


def table(parts: Iterable[Rows]) -> pa.Table:
    """Join parts to the table of a chart; an empty one keeps its columns and their types."""
    parts = list(parts)

    def joined(column: str) -> pa.Array:
        if column == "row_id":
            return number_rows(parts)
        if column in NUMBERS:
            numbers = np.concatenate([part[column] for part in parts]) if parts else []
            return pa.array(numbers, pa.float64(), from_pandas=True)
        values = [value for part in parts for value in part[column]]
        return pa.array(values, pa.int64() if column == "slot" else pa.string())

    return pa.table({column: joined(column) for column in COLUMNS})


def number_rows(parts: Iterable[Rows]) -> pa.Array:
    """Number the rows of each part from 0: the column ``row_id``."""
    counters = defaultdict(itertools.count)
    return pa.array([next(counters[name]) for part in parts for name in part["part"]], pa.int32())


def with_extent_of(shown: pa.Table, other: pa.Table | None) -> pa.Table:
    """Add the extent of another table: two charts, each with that of the other, have the same axes."""
    if other is None or not other.num_rows:
        return shown
    part, x, y, low, high = (other[column].to_numpy(zero_copy_only=False) for column in ("part", *NUMBERS))
    bars = part == "bar"  # their ends lie along x
    x, y = np.concatenate([x, low[bars], high[bars]]), np.concatenate([y, low[~bars], high[~bars]])
    extent = rows("extent", "", *([np.nanmin(values), np.nanmax(values)] for values in (x, y)))
    return pa.concat_tables([shown, table([extent])])


def with_extent_of_layers(shown: pa.Table, other: pa.Table) -> pa.Table:
    """Do the same in each layer of ``scrubbed_histograms``; for layers that ``other`` lacks, use its last."""
    bins = other.to_pandas().assign(high=lambda rows: rows[["y", "predicted"]].max(axis=1))
    extents = bins.groupby("k").agg({"x": "min", "x2": "max", "high": "max"})
    layers = np.unique(shown["k"].to_numpy())
    there = extents.loc[np.minimum(layers, extents.index.max())]
    added = pa.table({"k": np.tile(layers, 2), "x": np.concatenate([there["x"], there["x2"]]),
                      "extent": np.tile(there["high"], 2)})
    return pa.concat_tables([shown, added], promote_options="default")


def on_decades(bins: pa.Table, base: int | None) -> pa.Table:
    """Convert shares of bins to densities on the axis: of z, or of decades from 10^base on each side of 0."""
    frame = bins.to_pandas()
    if base is not None:
        for end in ("x", "x2"):
            frame[end] = np.sign(frame[end]) * (np.log10(np.abs(frame[end])) - base)
    for share in ("y", "predicted"):
        frame[share] /= frame["x2"] - frame["x"]
    return pa.Table.from_pandas(frame, preserve_index=False)


def evenly_spaced(count: int, at_most: int) -> np.ndarray:
    """Return evenly spaced indices of ``range(count)``, at most ``at_most``, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int))


def simplify_polyline(curves: np.ndarray, at_most: int, tolerance: float) -> np.ndarray:
    """Return the indices of the points to draw, at most ``at_most``, both ends included.

    ``curves`` (curves, points). Straight lines between these points pass within ``tolerance`` of each curve,
    if ``at_most`` suffices. A browser takes as long for a point on a straight line as for one at a bend.
    """
    points = np.arange(curves.shape[1])
    if not np.isfinite(curves).all():
        return evenly_spaced(len(points), at_most)
    drawn = evenly_spaced(len(points), 2)
    while len(drawn) < min(at_most, len(points)):
        error = np.abs(curves - [np.interp(points, drawn, curve[drawn]) for curve in curves]).max(axis=0)
        if error.max() <= tolerance:
            break
        drawn = np.sort(np.append(drawn, error.argmax()))
    return drawn


def free_places(levels: Sequence[float], curves: np.ndarray) -> list[float]:
    """Choose where names stand above level rules, in shares of the width: off the curves and each other.

    ``curves`` (curves, points), evenly spaced over the width.
    """
    fine, middles = np.linspace(0, 1, 401), np.linspace(0.18, 0.82, 33)
    drawn = np.array([np.interp(fine, np.linspace(0, 1, len(curve)), curve) for curve in curves])
    high = NAME_HEIGHT * np.ptp(drawn[np.isfinite(drawn)])
    chosen: list[float] = []
    for level in levels:
        struck = fine[((drawn > level - high / 4) & (drawn < level + 0.7 * high)).any(axis=0)]
        room = np.abs(middles[:, None] - struck).min(axis=1, initial=1.0)
        for other, place in zip(levels, chosen, strict=False):
            if abs(other - level) < high:
                apart = np.abs(middles - place)
                room = np.where(apart < NAME_WIDTH, apart - 1, room)
        chosen.append(float(middles[room.round(3).argmax()]))
    return chosen


def end_labels(ends: Mapping[str, tuple[float, float]]) -> list[Rows]:
    """Make labels at the ends of lines; ``avoid_label_overlap`` moves them where they would overlap."""
    return [rows("label", name, [x], [y]) for name, (x, y) in ends.items()]


def avoid_label_overlap(shown: Any, height: float, font: float = LABEL_SIZE) -> Any:
    """Move the labels of a table apart, for a chart of this height in pixels; leave tables of other kinds."""
    if not isinstance(shown, pa.Table) or shown.column_names != list(COLUMNS):
        return shown
    part, _, y, low, high = (shown[column].to_numpy(zero_copy_only=False) for column in ("part", *NUMBERS))
    labels, with_ends = np.flatnonzero(part == "label"), (part == "line") | (part == "point")
    drawn = np.concatenate([y[part != "label"], low[with_ends], high[with_ends]])
    if len(labels) < 2 or not np.isfinite(drawn).any():
        return shown
    bottom, top = np.nanmin(drawn), np.nanmax(drawn)
    y = y.copy()
    y[labels] = resolve_overlaps(y[labels], LINE_HEIGHT * font / height * max(top - bottom, LEAST_RANGE), top)
    return shown.set_column(COLUMNS.index("y"), "y", pa.array(y, from_pandas=True))


def resolve_overlaps(places: np.ndarray, gap: float, top: float) -> np.ndarray:
    """Move places ``gap`` apart, in their order: upwards, then all down by half of what is above ``top``."""
    order = np.argsort(places, kind="stable")
    moved = places[order]
    top = max(top, moved[-1])
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    moved -= max(0.0, moved[-1] - top) / 2
    return moved[np.argsort(order)]
