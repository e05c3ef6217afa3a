"""Number formats: their limits, and the results of repeated multiplication in them.

``FORMATS[name]`` for float16, bfloat16, float32, float64. The layer where a chain breaks is found by
iterating in the format, rounding after every layer, because arithmetic alone is wrong near zero: 0.9^L in
float16 stops at a subnormal number and stays there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: ``digits`` bits of significand, leading 1 too, exponents to ``top``.

    The largest finite number is (2 - 2^(1-digits)) 2^top, the smallest normal one 2^(1-top), the smallest
    subnormal one 2^(2-top-digits) (IEEE 754-2019; bfloat16 is float32 without its last 16 bits). ``carrier``
    is the NumPy type that holds its numbers: float32 for bfloat16, which NumPy does not have.
    """

    name: str
    digits: int
    top: int
    carrier: type[np.floating]

    @property
    def largest(self) -> float:
        """Largest finite number."""
        return math.ldexp(2 - 2.0 ** (1 - self.digits), self.top)

    @property
    def smallest_normal(self) -> float:
        """Smallest positive number with full precision."""
        return math.ldexp(1.0, 1 - self.top)

    @property
    def smallest_subnormal(self) -> float:
        """Smallest positive number; half of it or less rounds to zero."""
        return math.ldexp(1.0, 2 - self.top - self.digits)

    @property
    def log10_largest(self) -> float:
        return math.log10(self.largest)

    @property
    def log10_smallest_normal(self) -> float:
        return math.log10(self.smallest_normal)

    @property
    def log10_smallest_subnormal(self) -> float:
        return math.log10(self.smallest_subnormal)


FORMATS: dict[str, Format] = {f.name: f for f in (
    Format("float16", 11, 15, np.float16),
    Format("bfloat16", 8, 127, np.float32),
    Format("float32", 24, 127, np.float32),
    Format("float64", 53, 1023, np.float64),
)}
_BFLOAT16 = FORMATS["bfloat16"]


@dataclass(frozen=True)
class Breaks:
    """First layers at which the numbers of a chain leave the range of a format, None where they do not.

    ``overflow``: infinite. ``subnormal``: not zero, but below the smallest normal number, where digits are
    lost. ``zero``: exactly zero. ``stuck``: the first layer of an unchanging subnormal tail, where each
    product rounds back to the number before it, so that it never reaches zero.
    """

    overflow: int | None = None
    subnormal: int | None = None
    zero: int | None = None
    stuck: int | None = None

    @property
    def first(self) -> int | None:
        """First layer that is infinite or zero."""
        return min((layer for layer in (self.overflow, self.zero) if layer is not None), default=None)

    def from_below(self, depth: int) -> Breaks:
        """Convert steps down from the top into layer numbers, ``depth - steps``."""
        return Breaks(*(None if steps is None else depth - steps
                        for steps in (self.overflow, self.subnormal, self.zero, self.stuck)))


def round_to(values, name: str) -> np.ndarray:
    """Round to the nearest numbers of a format, ties to even, beyond the largest to infinity; any shape.

    The array has the type of ``FORMATS[name].carrier``. Raises ``ValueError`` for an unknown format.
    """
    form = _format(name)
    values = np.asarray(values)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if form is _BFLOAT16:  # rounding to float32 first would round some numbers twice
            exponents = np.frexp(values)[1]
            units = np.ldexp(1.0, np.maximum(exponents, 2 - form.top) - form.digits)  # of the last place
            values = np.rint(values / units) * units
        return values.astype(form.carrier)


def iterate(step: Callable[[int, np.ndarray], np.ndarray], start, name: str, layers: int) -> np.ndarray:
    """Return ``start`` and a[l] = step(l, a[l-1]), all rounded to the format: ``(layers + 1, *start.shape)``.

    ``step`` gets the layer from 1 and the last value, and computes in the format's carrier type: sums in
    bfloat16 are those of hardware that adds in float32 and rounds at the end.
    """
    start = round_to(start, name)
    values = np.empty((layers + 1, *start.shape), start.dtype)
    values[0] = start
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for layer in range(1, layers + 1):
            values[layer] = round_to(step(layer, values[layer - 1]), name)
    return values


def powers(start, factor, name: str, layers: int) -> np.ndarray:
    """Return a[l] = factor · a[l-1] from a[0] = ``start``, all rounded: ``(layers + 1, *start.shape)``.

    ``start`` and ``factor`` (of the same shape, or one number) are rounded first, as when stored in that
    format. Equals ``iterate`` with that step, at the speed of compiled code where NumPy has the format.
    """
    start, factor = round_to(start, name), round_to(factor, name)
    chain = np.empty((layers + 1, *start.shape), start.dtype)
    chain[0], chain[1:] = start, factor
    if name == _BFLOAT16.name:
        return _MULTIPLY_BFLOAT16.accumulate(chain.astype(object), axis=0).astype(chain.dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.multiply.accumulate(chain, axis=0)


def breaks_of(sizes, name: str) -> Breaks:
    """Find the layers where a chain breaks, from its iterated ``sizes >= 0``, ``(layers + 1,)``.

    A size that is not a number counts as overflow: it comes from inf - inf or 0 · inf.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    subnormal = (sizes > 0) & (sizes < _format(name).smallest_normal)
    stuck = None
    if len(sizes) > 1 and subnormal[-1] and sizes[-1] == sizes[-2]:
        stuck = len(sizes) - _first((sizes != sizes[-1])[::-1], len(sizes))
    return Breaks(_first(~np.isfinite(sizes)), _first(subnormal), _first(sizes == 0), stuck)


def _first(where: np.ndarray, otherwise: int | None = None) -> int | None:
    index = int(where.argmax())
    return index if where[index] else otherwise


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, received {name!r}. Choose one.")
    return FORMATS[name]


def _multiply_bfloat16(value: float, factor: float) -> float:
    """Round one product to bfloat16; for single numbers ten times as fast as ``round_to``."""
    product = value * factor
    if product == 0 or not math.isfinite(product):
        return product
    unit = math.ldexp(1.0, max(math.frexp(product)[1], 2 - _BFLOAT16.top) - _BFLOAT16.digits)
    rounded = round(product / unit) * unit
    return math.copysign(math.inf, product) if abs(rounded) > _BFLOAT16.largest else rounded


_MULTIPLY_BFLOAT16 = np.frompyfunc(_multiply_bfloat16, 2, 1)
