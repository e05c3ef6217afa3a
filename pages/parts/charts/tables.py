"""Tidy tables for charts, from parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from pages.parts.looks import LOOKS

COLUMNS = ("part", "x", "y", "low", "high", "series", "slot", "text")
LABEL_GAP = 0.075  # of the axis: line height of an end label at 330 px

Rows = dict[str, np.ndarray]


def rows(part: str, series: str, x, y, low=np.nan, high=np.nan, text: str | Sequence[str] = "") -> Rows:
    """Rows of one part of one series; positions that are not finite are left out (a log axis would collapse)."""
    x, y, low, high = np.broadcast_arrays(*(np.asarray(values, float) for values in (x, y, low, high)))
    keep = np.isfinite(y)
    count = int(keep.sum())
    texts = [text or series] * count if isinstance(text, str) else list(itertools.compress(text, keep))
    return {"part": [part] * count, "x": x[keep], "y": y[keep], "low": low[keep], "high": high[keep], "series": [series] * count,
            "slot": [LOOKS[series].slot if series in LOOKS else 0] * count, "text": texts}


def table(parts: Iterable[Rows]) -> pa.Table:
    """One table for a chart, from its parts; an empty one keeps its columns and their types."""
    parts = list(parts)

    def joined(column: str) -> pa.Array:
        if column in ("x", "y", "low", "high"):
            return pa.array(np.concatenate([part[column] for part in parts]) if parts else [], pa.float64(), from_pandas=True)
        return pa.array([value for part in parts for value in part[column]], pa.int64() if column == "slot" else pa.string())

    return pa.table({column: joined(column) for column in COLUMNS})


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


def end_labels(ends: Mapping[str, tuple[float, float]], low: float, high: float) -> list[Rows]:
    """Names at the ends of lines, pushed apart where they would overlap on an axis from low to high."""
    gap = LABEL_GAP * max(high - low, 1e-9)
    names = sorted((name for name in ends if np.isfinite(ends[name][1])), key=lambda name: ends[name][1])
    if not names:
        return []
    places = np.array([ends[name][1] for name in names])
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    if (over := places[-1] - max(high, max(ends[name][1] for name in names))) > 0:
        places -= over / 2
    return [rows("label", name, [ends[name][0]], [place]) for name, place in zip(names, places, strict=True)]
