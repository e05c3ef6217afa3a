"""First layer that fails, and how: vanishing, exploding, saturated, or beyond the numbers of a format.

Signals z and gradients ∂C/∂z, which start at 1 at the last layer, are lost by their root mean square; a
number format is left by the largest entry, which overflows first and is the last to reach zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vgdash.diagnosis.largest import log10_largest
from vgdash.diagnosis.nets import middle, middle_curves, share_off
from vgdash.diagnosis.thresholds import LOST, SATURATED
from vgdash.number_formats import FORMATS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import Probe
from vgdash.theory.layerwise import Prediction, predict

HEALTHY = (f"No layer fails: root mean squares stay within a factor of {10 ** (LOST / 2):,.0f} of 1, "
           "and every number format holds them")


@dataclass(frozen=True)
class FormatFailure:
    """First layers whose largest entry leaves one format, or None; gradients count from the last layer."""

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

    @property
    def sentence(self) -> str:
        """First failure each way, but the loss of digits; empty if the format survives."""
        forward = (self.overflow, "overflows"), (self.zero, "reaches zero")
        back = (self.gradient_overflow, "its gradient overflows"), (self.gradient_zero, "its gradient ends")
        first = [*sorted(one for one in forward if one[0])[:1], *sorted(one for one in back if one[0])[-1:]]
        failures = [f"{what} at layer {layer}" for layer, what in first]
        link = ": " if failures and failures[0].startswith("its") else " "
        return f"{self.name}{link}{' and '.join(failures)}" if failures else ""


@dataclass(frozen=True)
class FirstFailure:
    """First layer of each failure, None where there is none; ``formats`` in the order of ``FORMATS``.

    Of a probe the middle seed is judged. It computes in float32: what float64 does, and the gradient of a
    signal that overflowed, are theory's, where there is one; else float64 shows the layer of float32.
    """

    params: ProbeParams
    measured: bool  # from a probe; else from the prediction
    vanishes: int | None  # root mean square of z below 0.001
    explodes: int | None  # above 1,000
    saturates: int | None  # half of the units saturated, on either side
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
        broken = next((one.sentence for one in self.formats if one.sentence), "")
        text = "; ".join([*failures, *([broken] if broken else [])]) or HEALTHY
        return text[0].upper() + text[1:] + "."

    def frame(self) -> pd.DataFrame:
        """One row a format: format, overflow, subnormal, zero, and the same of the gradient (layers)."""
        table = pd.DataFrame([vars(failure) for failure in self.formats]).rename(columns={"name": "format"})
        return table.astype(dict.fromkeys(table.columns[1:], "Int64"))


def first_failure(found: Probe | Prediction, theory: Prediction | None = None) -> FirstFailure:
    """Find the first layer of ``probe(p)`` or ``predict(p)`` that fails, each way and in each number format.

    ``theory``: the prediction that belongs to a probe, if it is there. Raises ``ValueError`` for a prediction
    that has no numbers: measure with ``probe`` then.
    """
    measured, p = isinstance(found, Probe), found.params
    if measured:
        theory = theory or predict(p)
        forward, backward = middle_curves(found)
        shares = np.median(np.where(np.isnan(found.saturated), 0.0, found.saturated), axis=0)
        with np.errstate(divide="ignore"):
            sizes = [np.log10(middle(found, name)) for name in ("largest", "largest_gradient")]
    else:
        theory, forward, backward, shares = found, found.log10_q, found.log10_grad2, found.saturated
        if np.isnan(forward).any() or np.isnan(backward).any():
            raise ValueError("found must be a prediction with numbers, "
                             f"received none: {found.reason}. Give probe(p) instead.")
    known = not (np.isnan(theory.log10_q).any() or np.isnan(theory.log10_grad2).any())
    expected = [log10_largest(theory, name) for name in ("q", "grad2")] if known else sizes
    if not measured:
        sizes = expected
    elif known and forward.max() == np.inf:  # no gradient was sent
        sizes[1], backward = expected[1], theory.log10_grad2
    formats = tuple(_leave_format(name, *(expected if name == "float64" else sizes)) for name in FORMATS)
    flat = shares[:max(1, p.depth - 1)]
    saturated = flat - share_off(p, flat)
    return FirstFailure(p, measured, _first(forward < -LOST), _first(forward > LOST),
                        _first(saturated > SATURATED), _last(backward < -LOST), _last(backward > LOST),
                        formats)


def _leave_format(name: str, forward: np.ndarray, backward: np.ndarray) -> FormatFailure:
    """Find the layers where a size, log10, overflows, is subnormal and rounds to zero in the format."""
    form, layers = FORMATS[name], []
    for size, end in ((forward, _first), (backward, _last)):
        zero = size <= form.log10_smallest_subnormal - math.log10(2)  # half of the smallest rounds to 0
        subnormal = (size < form.log10_smallest_normal) & ~zero
        layers += [end(size > form.log10_largest), end(subnormal), end(zero)]
    return FormatFailure(name, *layers)


def _first(where: np.ndarray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[0]) + 1 if found.size else None


def _last(where: np.ndarray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[-1]) + 1 if found.size else None


def _at_layers(*failures: tuple[str, int | None]) -> list[str]:
    return [text.format(layer) for text, layer in failures if layer]
