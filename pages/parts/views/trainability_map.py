"""Measured trainability map, in words and as the table of its chart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pages.parts import names
from vgdash.activations import ACTIVATIONS
from vgdash.sweep import SweepParams, Trainability


def small_sweep(activation: str, sigma_b2: float) -> SweepParams:
    """Choose a map that a visitor may compute, in about a minute on a small machine."""
    return SweepParams(activation=activation, depths=(4, 8, 16, 32, 64), sigma_w2_low=1.0, sigma_w2_high=4.0,
                       sigma_w2_count=5, sigma_b2=sigma_b2, width=32, learning_rate=0.003, steps=500)


def describe_map(found: Trainability) -> str:
    """Count the cells that agree with 6 xi_c, of those clear cases that lie well above or below it."""
    p, depths = found.params, np.array(found.params.depths)[:, None]
    data, optimizer = names.value("dataset", p.dataset), names.value("optimizer", p.optimizer)
    setting = (f"Nets of {ACTIVATIONS[p.activation].said} on {data}, width {p.width}, {p.steps:,} steps of "
               f"{optimizer} at η = {p.learning_rate:g}, σb² = {p.sigma_b2:g}.")
    if not np.isfinite(found.predicted).any():
        return f"{setting} There is no line of 6 ξc: nothing settles at any of these variances."
    trains, stalls = depths < found.predicted / 1.5, depths > found.predicted * 1.5
    clear = (trains | stalls) & found.done
    right = clear & (found.trained == trains)
    return (f"{setting} The line is 6 ξc. In {int(right.sum())} of {int(clear.sum())} clear cases the nets "
            "trained, or failed to, as the line predicts.")


def map_table(found: Trainability) -> pd.DataFrame:
    """Table of the cells with their mean accuracy, half way to their neighbours, and the line of 6 xi_c."""
    p = found.params
    x, y = _edges(np.array(p.sigma_w2s)), _edges(np.log10(np.array(p.depths, float)))
    rows = []
    with np.errstate(invalid="ignore"):
        accuracy = np.nan_to_num(found.accuracy).mean(axis=2)
    for d, depth in enumerate(p.depths):
        for s, sigma_w2 in enumerate(p.sigma_w2s):
            if found.done[d, s]:
                text = f"{depth} layers, σw² = {sigma_w2:.3g}: accuracy {accuracy[d, s]:.0%}"
                rows.append({"part": "cell", "x": x[s], "x2": x[s + 1], "y": y[d], "y2": y[d + 1],
                             "value": accuracy[d, s], "text": text})
    line = [{"part": "line", "x": sigma_w2, "y": min(max(np.log10(predicted), y[0]), y[-1])}
            for sigma_w2, predicted in zip(p.sigma_w2s, found.predicted, strict=True)
            if np.isfinite(predicted) and predicted > 0]
    return pd.DataFrame([*rows, *line], columns=["part", "x", "x2", "y", "y2", "value", "text"])


def _edges(values: np.ndarray) -> np.ndarray:
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
