"""Which layer fails first, and how: vanishing, exploding, saturated, or out of the numbers that a format holds.

Judged by the root mean square of z on the way in and of the gradient ∂C/∂z on the way back, which starts at 1 at the last layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from vgdash.number_formats import FORMATS
from vgdash.probe.probe import Probe, ProbeParams
from vgdash.theory.layerwise import Prediction

__all__ = ["FormatTrouble", "Trouble", "first_trouble"]

FAINT = 3.0  # decades of root mean square below 1 (or above it) from which a signal counts as vanished (or exploded)
WELL = f"No layer fails: root mean squares stay within a factor of {10**FAINT:,.0f} of 1, and every number format holds them"
SATURATED = 0.75  # share of saturated units from which a layer counts as saturated; ReLU rests at 0.5


@dataclass(frozen=True)
class FormatTrouble:
    """First layers whose root mean square leaves one format, None where none does; backward counts from the last layer."""

    name: str
    overflow: int | None  # z above the largest number
    subnormal: int | None  # z below the smallest number of full precision, and not 0
    zero: int | None  # z rounds to 0
    gradient_overflow: int | None
    gradient_subnormal: int | None
    gradient_zero: int | None

    @property
    def survives(self) -> bool:
        """Whether neither direction becomes infinite or zero."""
        return not any((self.overflow, self.zero, self.gradient_overflow, self.gradient_zero))


@dataclass(frozen=True)
class Trouble:
    """The first layer of each trouble, None where there is none; ``formats`` in the order of ``FORMATS``.

    A probe's numbers have passed through float32: what it calls overflow or zero happened there, and it is the middle seed that
    counts. Beyond the layer where float32 overflowed nothing is known, and ``formats`` of wider range show that layer.
    """

    params: ProbeParams
    measured: bool  # from a probe; else from the prediction
    vanishes: int | None  # root mean square of z below 0.001
    explodes: int | None  # above 1,000
    saturates: int | None  # more than three quarters of the units saturated
    gradient_vanishes: int | None  # counted from the last layer, where the gradient is 1
    gradient_explodes: int | None
    formats: tuple[FormatTrouble, ...]

    @property
    def sentence(self) -> str:
        """What fails first, in one line."""
        said = [text.format(layer) for text, layer in (
            ("the signal vanishes at layer {}", self.vanishes), ("the signal explodes at layer {}", self.explodes),
            ("units saturate from layer {}", self.saturates), ("the gradient vanishes at layer {}", self.gradient_vanishes),
            ("the gradient explodes at layer {}", self.gradient_explodes)) if layer]
        broken = next((text for text in map(_break, self.formats) if text), "")
        return _sentence("; ".join([*said, *([broken] if broken else [])]) or WELL)

    def frame(self) -> pd.DataFrame:
        """One row a format: format, overflow, subnormal, zero, gradient_overflow, gradient_subnormal, gradient_zero (layers)."""
        table = pd.DataFrame([[getattr(one, f.name) for f in fields(one)] for one in self.formats],
                             columns=["format", *[f.name for f in fields(FormatTrouble)[1:]]])
        return table.astype(dict.fromkeys(table.columns[1:], "Int64"))


def first_trouble(found: Probe | Prediction) -> Trouble:
    """Which layer of ``probe(p)`` or ``predict(p)`` first vanishes, explodes, saturates or leaves each number format.

    Raises ``ValueError`` for a prediction that has no theory: measure with ``probe`` then.
    """
    measured = isinstance(found, Probe)
    forward, backward, saturated = _middle(found) if measured else (found.log10_q / 2, found.log10_grad2 / 2, found.saturated)
    if np.isnan(forward).any() or np.isnan(backward).any():
        raise ValueError(f"found must be a prediction with numbers, received none: {found.reason}. Give probe(p) instead.")
    return Trouble(
        found.params, measured, _first(forward < -FAINT), _first(forward > FAINT), _first(saturated > SATURATED),
        _last(backward < -FAINT), _last(backward > FAINT),
        tuple(FormatTrouble(name, *_leaves(forward, name, _first), *_leaves(backward, name, _last)) for name in FORMATS),
    )


def _middle(found: Probe) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log10 of the root mean squares of the middle seed by layer, and the saturated share; what is beyond an overflow is inf."""
    forward = np.where(np.isnan(found.q), np.inf, found.q)
    unknown = np.isnan(found.grad2)
    beyond = unknown & np.isinf(found.grad2).any(axis=1, keepdims=True)  # on the way back, past an overflow
    backward = np.where(beyond, np.inf, np.where(unknown, 1.0, found.grad2))  # 1: no gradient was sent, so none failed
    with np.errstate(divide="ignore"):
        halves = [np.log10(np.quantile(values, 0.5, axis=0, method="lower")) / 2 for values in (forward, backward)]
    return *halves, np.median(np.where(np.isnan(found.saturated), 0.0, found.saturated), axis=0)


def _leaves(log10_size: np.ndarray, name: str, end) -> tuple[int | None, int | None, int | None]:
    """Layers where a size overflows, is subnormal and rounds to zero in the format."""
    form = FORMATS[name]
    zero = log10_size <= form.log10_smallest_subnormal - math.log10(2)  # half of the smallest rounds to even, to 0
    return end(log10_size > form.log10_largest), end((log10_size < form.log10_smallest_normal) & ~zero), end(zero)


def _first(where: np.ndarray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[0]) + 1 if found.size else None


def _last(where: np.ndarray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[-1]) + 1 if found.size else None


def _break(one: FormatTrouble) -> str:
    said = [text.format(layer) for text, layer in (
        ("overflows at layer {}", one.overflow), ("reaches zero at layer {}", one.zero),
        ("has an infinite gradient at layer {}", one.gradient_overflow), ("has no gradient left at layer {}", one.gradient_zero),
    ) if layer]
    return f"{one.name} {' and '.join(said)}" if said else ""


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
