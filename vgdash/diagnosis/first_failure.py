"""First layer that fails, and how: vanishing, exploding, saturated, or beyond the numbers of a format.

Judged by the root mean square of z on the way in and of the gradient ∂C/∂z on the way back, which starts at 1
at the last layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vgdash.number_formats import FORMATS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import Probe
from vgdash.theory.layerwise import Prediction

FAILED = 3.0  # decades of root mean square: a signal that is so far below 1 has vanished, above it exploded
HEALTHY = (f"No layer fails: root mean squares stay within a factor of {10**FAILED:,.0f} of 1, "
           "and every number format holds them")
SATURATED = 0.75  # share of saturated units from which a layer counts as saturated; ReLU rests at 0.5


@dataclass(frozen=True)
class FormatFailure:
    """First layers whose root mean square leaves one format, or None; gradients count from the last layer."""

    name: str
    overflow: int | None  # z above the largest number
    subnormal: int | None  # z below the smallest number of full precision, and not 0
    zero: int | None  # z rounds to 0
    gradient_overflow: int | None
    gradient_subnormal: int | None
    gradient_zero: int | None

    @property
    def survives(self) -> bool:
        """Test if neither direction becomes infinite or zero."""
        return not any((self.overflow, self.zero, self.gradient_overflow, self.gradient_zero))


@dataclass(frozen=True)
class FirstFailure:
    """First layer of each failure, None where there is none; ``formats`` in the order of ``FORMATS``.

    A probe computes in float32: its overflow and its zeros are those of float32, and the median seed is
    judged. Beyond the layer where float32 overflowed nothing is known, and ``formats`` of wider range show
    that layer.
    """

    params: ProbeParams
    measured: bool  # from a probe; else from the prediction
    vanishes: int | None  # root mean square of z below 0.001
    explodes: int | None  # above 1,000
    saturates: int | None  # more than three quarters of the units saturated
    gradient_vanishes: int | None  # counted from the last layer, where the gradient is 1
    gradient_explodes: int | None
    formats: tuple[FormatFailure, ...]

    @property
    def sentence(self) -> str:
        """All failures in one line."""
        failures = _at_layers(("the signal vanishes at layer {}", self.vanishes),
                              ("the signal explodes at layer {}", self.explodes),
                              ("units saturate from layer {}", self.saturates),
                              ("the gradient vanishes at layer {}", self.gradient_vanishes),
                              ("the gradient explodes at layer {}", self.gradient_explodes))
        broken = next((text for text in map(_describe_format, self.formats) if text), "")
        text = "; ".join([*failures, *([broken] if broken else [])]) or HEALTHY
        return text[0].upper() + text[1:] + "."

    def frame(self) -> pd.DataFrame:
        """One row a format: format, overflow, subnormal, zero, and the same of the gradient (layers)."""
        table = pd.DataFrame([vars(failure) for failure in self.formats]).rename(columns={"name": "format"})
        return table.astype(dict.fromkeys(table.columns[1:], "Int64"))


def first_failure(found: Probe | Prediction) -> FirstFailure:
    """Find the first layer of ``probe(p)`` or ``predict(p)`` that fails, each way and in each number format.

    Raises ``ValueError`` for a prediction that has no theory: measure with ``probe`` then.
    """
    measured = isinstance(found, Probe)
    if measured:
        forward, backward, saturated = _summarize_seeds(found)
    else:
        forward, backward, saturated = found.log10_q / 2, found.log10_grad2 / 2, found.saturated
    if np.isnan(forward).any() or np.isnan(backward).any():
        raise ValueError("found must be a prediction with numbers, "
                         f"received none: {found.reason}. Give probe(p) instead.")
    formats = tuple(
        FormatFailure(name, *_leave_format(forward, name, _first), *_leave_format(backward, name, _last))
        for name in FORMATS)
    return FirstFailure(found.params, measured, _first(forward < -FAILED), _first(forward > FAILED),
                        _first(saturated > SATURATED), _last(backward < -FAILED), _last(backward > FAILED),
                        formats)


def _summarize_seeds(found: Probe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log10 of the median seed's root mean squares by layer, inf past an overflow; its saturated share."""
    forward = np.where(np.isnan(found.q), np.inf, found.q)
    overflowed = np.isinf(found.grad2).any(axis=1, keepdims=True)  # else no gradient was sent
    backward = np.where(np.isnan(found.grad2), np.where(overflowed, np.inf, 1.0), found.grad2)
    with np.errstate(divide="ignore"):
        sizes = [np.log10(np.quantile(squares, 0.5, axis=0, method="lower")) / 2
                 for squares in (forward, backward)]
    return *sizes, np.median(np.where(np.isnan(found.saturated), 0.0, found.saturated), axis=0)


def _leave_format(log10_size: np.ndarray, name: str, end: Callable) -> tuple[int | None, ...]:
    """Layers where a size overflows, is subnormal and rounds to zero in the format."""
    form = FORMATS[name]
    zero = log10_size <= form.log10_smallest_subnormal - math.log10(2)  # half of the smallest rounds to 0
    subnormal = (log10_size < form.log10_smallest_normal) & ~zero
    return end(log10_size > form.log10_largest), end(subnormal), end(zero)


def _first(where: np.ndarray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[0]) + 1 if found.size else None


def _last(where: np.ndarray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[-1]) + 1 if found.size else None


def _at_layers(*failures: tuple[str, int | None]) -> list[str]:
    return [text.format(layer) for text, layer in failures if layer]


def _describe_format(one: FormatFailure) -> str:
    failures = _at_layers(("overflows at layer {}", one.overflow), ("reaches zero at layer {}", one.zero),
                          ("has an infinite gradient at layer {}", one.gradient_overflow),
                          ("has no gradient left at layer {}", one.gradient_zero))
    return f"{one.name} {' and '.join(failures)}" if failures else ""
