"""Numbers and names as people read them: ×1.50, 2.6·10²⁶, 0.5 s. Never 2.6e+26 in a sentence."""

from __future__ import annotations

import math
import re
import zlib

from vgdash.params import ParamError, Params

LONGEST_NAME = 120  # characters; file systems take 255 bytes
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def ten_to(exponent: float, digits: int = 1) -> str:
    """10^exponent in words, for exponents that no float could hold: 26.41 -> "2.6·10²⁶", 0.3 -> "2.0"."""
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
    """A value of any size: ``ten_to`` of its logarithm, with its sign."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return "0" if value == 0 else ("−" if value < 0 else "") + ten_to(math.log10(abs(value)), digits)


def plain(value: float, significant: int = 3) -> str:
    """A number of ordinary size with so many significant digits and thousands separated."""
    decimals = max(0, significant - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def times(factor: float) -> str:
    """A factor: ×1.50, ×0.0030, ×2.6·10²⁶."""
    if 0.1 <= factor < 1000:
        return f"×{factor:.2f}" if factor < 100 else f"×{factor:.0f}"
    return f"×{number(factor)}"


def measured(value: float, stderr: float) -> str:
    """A measurement and its standard error to the same decimal: "1.002 ± 0.013"."""
    if not (math.isfinite(value) and math.isfinite(stderr)) or stderr <= 0 or max(abs(value), stderr) >= 1e5 or stderr < 1e-5:
        return number(value, 2)
    decimals = max(0, 1 - math.floor(math.log10(stderr)))
    return f"{value:,.{decimals}f} ± {stderr:,.{decimals}f}"


def seconds(value: float) -> str:
    """A duration: "0.4 s", "12 s", "3 min 20 s"."""
    if value < 10:
        return f"{max(value, 0.1):.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def listed(items: list[str], last: str = "and") -> str:
    """"a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def count(number: int, thing: str) -> str:
    """"1 layer", "1,000 layers"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def escaped(text: str) -> str:
    """Text of our own, as it stands, inside Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>~$|^#])", r"\\\1", text)


def harmless(text: str) -> str:
    """Text from outside, safe inside Markdown: letters, digits and a few signs, cut to 40 characters."""
    return re.sub(r"[^\w .,+%-]", "·", text)[:40].replace("_", r"\_")


def refusal(error: ParamError) -> str:
    """What was left out, the rule, and what to do instead."""
    received = harmless(error.received.strip("'\""))
    return f"{error.field.replace('_', ' ')} must be {error.rule}; “{received}” was left out. {error.instead}".strip()


def file_name(page: str, p: Params) -> str:
    """What is taken home is named after its state: the page, and every value that is not the usual one."""
    usual = type(p)().to_query()
    name = "_".join([page, *(f"{key}-{'-'.join(texts)}" for key, texts in p.to_query().items() if texts != usual[key])])
    name = re.sub(r"[^\w.-]+", "-", name).replace("-_", "_").rstrip("-.")
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME - 9]}-{zlib.crc32(name.encode()):08x}"
