"""Measured points of a chart by layer: the mean over the seeds, and their range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pages.parts import charts


def seed_points(series: str, values: np.ndarray, most: int, spell: Callable[[float], str],
                prefix: str = "") -> charts.Rows:
    """Draw ``values (seeds, depth)`` at ``most`` layers at most; ``spell`` writes the mean in the text."""
    at = charts.evenly_spaced(values.shape[1], most)
    values = values[:, at]
    middle = values.mean(axis=0)
    return charts.rows("point", series, at + 1, middle, values.min(axis=0), values.max(axis=0), text=[
        f"{prefix}layer {layer}: {spell(value)}" for layer, value in zip(at + 1, middle, strict=True)])
