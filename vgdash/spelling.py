"""Spell numbers, lists and names for sentences: ×1.50, 2.6·10²⁶, never 2.6e+26."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from fractions import Fraction

SUPERSCRIPT = str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹")
VULGAR = {(1, 2): "½", (1, 4): "¼", (3, 4): "¾", (1, 8): "⅛", (3, 8): "⅜", (5, 8): "⅝", (7, 8): "⅞"}
LONGEST = 9_999  # above or below the stroke of a fraction
ENDLESS = 1e4  # layers; no deeper plain net has been trained (Xiao et al. 2018, arXiv 1806.05393)


def ten_to(exponent: float, digits: int = 1) -> str:
    """Write 10^exponent, also where no float could hold it: 26.41 -> "2.6·10²⁶", 0.3 -> "2.0"."""
    if math.isnan(exponent):
        return "not a number"
    if math.isinf(exponent):
        return "0" if exponent < 0 else "∞"
    if -3 <= exponent < 5:
        return plain(10**exponent, digits + 1)
    whole = math.floor(exponent)
    mantissa = f"{10 ** (exponent - whole):.{digits}f}"
    if mantissa.startswith("10"):
        mantissa, whole = f"{1:.{digits}f}", whole + 1
    return f"{mantissa}·10{str(whole).translate(SUPERSCRIPT)}"


def number(value: float, digits: int = 1) -> str:
    """Write a value of any size: ``ten_to`` of its logarithm, with its sign."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return "0" if value == 0 else ("−" if value < 0 else "") + ten_to(math.log10(abs(value)), digits)


def plain(value: float, significant: int = 3) -> str:
    """Write a number of ordinary size, rounded to significant digits, with separated thousands."""
    rounded = abs(float(f"{value:.{significant}g}"))  # 0.9999 is 1.00
    decimals = max(0, significant - 1 - math.floor(math.log10(rounded))) if value else 0
    return f"{value:,.{decimals}f}"


def fraction(value: Fraction, longest: int = LONGEST, digits: int = 1) -> str:
    """Write a fraction: ½, 9/4, −1/16; with more than ``longest`` below the stroke as a decimal number.

    No float need hold it. ``digits`` are those of ``ten_to``.
    """
    above, below = abs(value.numerator), value.denominator
    if below > longest or above > LONGEST:
        text = ten_to(math.log10(above) - math.log10(below), digits)
    else:
        text = VULGAR.get((above, below)) or (f"{above:,}" if below == 1 else f"{above:,}/{below:,}")
    return f"−{text}" if value < 0 else text


def times(factor: float) -> str:
    """Write a factor: ×1.50, ×0.0030, ×2.6·10²⁶."""
    factor = float(f"{factor:.9g}")  # 0.605 is one number, whichever way it was computed
    if 0.1 <= factor < 1000:
        return f"×{factor:.2f}" if factor < 100 else f"×{factor:.0f}"
    return f"×{number(factor)}"


def rate(factor: float) -> str:
    """Write a factor a layer with digits enough to see what a hundred layers make of it: ×1.50, ×1.0066."""
    if (digits := digits_of_rate(factor)) == 2:
        return times(factor)
    whole, _, decimals = f"{factor:.{digits}f}".partition(".")
    return f"×{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def digits_of_rate(factor: float) -> int:
    """Return the decimals that show two digits of a factor's distance from 1: at least 2, at most 6."""
    away = abs(float(f"{factor:.9g}") - 1)
    return 2 if away >= 0.1 or away < 1e-6 else min(6, 1 - math.floor(math.log10(away)))


def listed(items: list[str], last: str = "and") -> str:
    """Join a list: "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def count(number: int, thing: str) -> str:
    """Write a number of things: "1 layer", "1,000 layers"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def layers(depth: float) -> str:
    """Write a depth that comes from theory: "about 95 layers", "any depth", "less than 1 layer", "–"."""
    if math.isnan(depth):
        return "–"
    if depth < 1:
        return "less than 1 layer"
    if depth >= ENDLESS:
        return "any depth"
    return f"about {float(f'{depth:.2g}'):,.0f} layer{'s' if round(depth) > 1 else ''}"


def meant(value: object, options: Iterable[str]) -> str:
    """Ask for the option that is nearest to a name in another spelling, or in PyTorch's; "" for none."""
    name = str(value)[:60].lower()  # anybody can send a long one
    for other, ours in (("xavier", "glorot"), ("kaiming", "he"), ("swish", "silu")):
        name = name.replace(other, ours)
    near = get_close_matches(name, options, 1, 0.7)
    return f"Did you mean {near[0]}?" if near else ""
