"""Tidy tables for charts, from parts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pages.parts.series_style import SERIES_STYLES

COLUMNS = ("part", "nth", "x", "y", "low", "high", "series", "slot", "text")
NAME = 14  # font size of a name, in pixels
LINE_HEIGHT = 1.5  # font sizes from name to name: an axis with round ends is longer than what is drawn
LEAST = 0.01  # of y on an axis, where all lines are one

Rows = dict[str, np.ndarray]


def rows(part: str, series: str, x, y, low=np.nan, high=np.nan, text: str | Sequence[str] = "") -> Rows:
    """Rows of one part of one series; positions that are not finite are left out (a log axis would collapse)."""
    x, y, low, high = np.broadcast_arrays(*(np.asarray(values, float) for values in (x, y, low, high)))
    keep = np.isfinite(y)
    count = int(keep.sum())
    texts = [text or series] * count if isinstance(text, str) else list(itertools.compress(text, keep))
    return {"part": [part] * count, "x": x[keep], "y": y[keep], "low": low[keep], "high": high[keep], "series": [series] * count,
            "slot": [SERIES_STYLES[series].slot if series in SERIES_STYLES else 0] * count, "text": texts}


def table(parts: Iterable[Rows]) -> pa.Table:
    """One table for a chart, from its parts; an empty one keeps its columns and their types."""
    parts = list(parts)

    def joined(column: str) -> pa.Array:
        if column == "nth":
            return counted(parts)
        if column in ("x", "y", "low", "high"):
            return pa.array(np.concatenate([part[column] for part in parts]) if parts else [], pa.float64(), from_pandas=True)
        return pa.array([value for part in parts for value in part[column]], pa.int64() if column == "slot" else pa.string())

    return pa.table({column: joined(column) for column in COLUMNS})


def counted(parts: Iterable[Rows]) -> pa.Array:
    """The column ``nth``: which row of its part each one is, from 0."""
    so_far = defaultdict(itertools.count)
    return pa.array([next(so_far[name]) for part in parts for name in part["part"]], pa.int32())


def with_room_for(shown: pa.Table, other: pa.Table | None) -> pa.Table:
    """The table, with room for all that the other one shows: charts of the two, each with room for the other, have the same axes."""
    if other is None or not other.num_rows:
        return shown
    part, x, y, low, high = (other[column].to_numpy(zero_copy_only=False) for column in ("part", "x", "y", "low", "high"))
    bars = part == "bar"  # their ends lie along x
    x, y = np.concatenate([x, low[bars], high[bars]]), np.concatenate([y, low[~bars], high[~bars]])
    return pa.concat_tables([shown, table([rows("room", "", *([np.nanmin(v), np.nanmax(v)] for v in (x, y)))])])


def with_room_in_each(shown: pa.Table, other: pa.Table) -> pa.Table:
    """The same for ``scrubbed_histograms``: in each layer room for what the other one shows there, or in its last."""
    seen = other.to_pandas().assign(high=lambda rows: rows[["y", "predicted"]].max(axis=1))
    seen, ks = seen.groupby("k").agg({"x": "min", "x2": "max", "high": "max"}), np.unique(shown["k"].to_numpy())
    there = seen.loc[np.minimum(ks, seen.index.max())]
    rooms = pa.table({"k": np.tile(ks, 2), "x": np.concatenate([there["x"], there["x2"]]), "room": np.tile(there["high"], 2)})
    return pa.concat_tables([shown, rooms], promote_options="default")


def on_decades(bins: pa.Table, base: int | None) -> pa.Table:
    """Shares of bins as densities along the axis that is drawn: of z itself, or with ``base`` of decades from 10^base on each side of 0."""
    frame = bins.to_pandas()
    if base is not None:
        for end in ("x", "x2"):
            frame[end] = np.sign(frame[end]) * (np.log10(np.abs(frame[end])) - base)
    for share in ("y", "predicted"):
        frame[share] /= frame["x2"] - frame["x"]
    return pa.Table.from_pandas(frame, preserve_index=False)


def spread(count: int, at_most: int) -> np.ndarray:
    """At most so many indices of ``range(count)``, evenly spread, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int))


def bends(curves: np.ndarray, at_most: int, close: float) -> np.ndarray:
    """At most so many indices of ``curves``, (curves, points), both ends included: straight lines between them pass within ``close`` of
    each curve, where so many do. A browser takes as long for a point of a line as for one that is seen."""
    points = np.arange(curves.shape[1])
    if not np.isfinite(curves).all():
        return spread(len(points), at_most)
    kept = spread(len(points), 2)
    while len(kept) < min(at_most, len(points)):
        off = np.abs(curves - [np.interp(points, kept, curve[kept]) for curve in curves]).max(axis=0)
        if off.max() <= close:
            break
        kept = np.sort(np.append(kept, off.argmax()))
    return kept


def end_labels(ends: Mapping[str, tuple[float, float]]) -> list[Rows]:
    """Names at the ends of lines. Where they would overlap, ``apart`` moves them."""
    return [rows("label", name, [x], [y]) for name, (x, y) in ends.items()]


def apart(shown: Any, height: float, font: float = NAME) -> Any:
    """The table with its names pushed apart where they would overlap in a chart of this height, in pixels. Tables of other charts stay."""
    if not isinstance(shown, pa.Table) or shown.column_names != list(COLUMNS):
        return shown
    part, y, low, high = (shown[column].to_numpy(zero_copy_only=False) for column in ("part", "y", "low", "high"))
    names = np.flatnonzero(part == "label")
    drawn = np.concatenate([y[part != "label"], *(end[(part == "line") | (part == "point")] for end in (low, high))])
    if len(names) < 2 or not np.isfinite(drawn).any():
        return shown
    bottom, top = np.nanmin(drawn), np.nanmax(drawn)
    y = y.copy()
    y[names] = pushed_apart(y[names], LINE_HEIGHT * font / height * max(top - bottom, LEAST), top)
    return shown.set_column(COLUMNS.index("y"), "y", pa.array(y, from_pandas=True))


def pushed_apart(places: np.ndarray, gap: float, top: float) -> np.ndarray:
    """Places at least a gap apart, in the same order: the upper ones move up, and all down by half of what then is above the top."""
    order = np.argsort(places, kind="stable")
    moved = places[order]
    top = max(top, moved[-1])
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    moved -= max(0.0, moved[-1] - top) / 2
    return moved[np.argsort(order)]
