"""Format numbers and names for sentences: ×1.50, 2.6·10²⁶, 0.5 s, never 2.6e+26."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable

from vgdash.params import ParamError, Params

LONGEST_NAME = 120  # characters; file systems take 255 bytes
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    decimals = max(0, significant - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def times(factor: float) -> str:
    """Write a factor: ×1.50, ×0.0030, ×2.6·10²⁶."""
    if 0.1 <= factor < 1000:
        return f"×{factor:.2f}" if factor < 100 else f"×{factor:.0f}"
    return f"×{number(factor)}"


def measured(value: float, stderr: float) -> str:
    """Write a measurement and its standard error to the same decimal: "1.002 ± 0.013"."""
    if not (abs(value) < 1e5 and 1e-5 <= stderr < 1e5):
        return number(value, 2)
    decimals = max(0, 1 - math.floor(math.log10(stderr)))
    return f"{value:,.{decimals}f} ± {stderr:,.{decimals}f}"


def seconds(value: float) -> str:
    """Write a duration: "0.4 s", "12 s", "3 min 20 s"."""
    if value < 10:
        return f"{max(value, 0.1):.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{value // 60:.0f} min {value % 60:.0f} s"


def listed(items: list[str], last: str = "and") -> str:
    """Join a list: "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def count(number: int, thing: str) -> str:
    """Write a number of things: "1 layer", "1,000 layers"."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def markdown_table(header: str, rows: Iterable[Iterable[str]]) -> str:
    """Join the header and alignment lines, and a line for each row of cells."""
    return "\n".join([header, *(f"| {' | '.join(cells)} |" for cells in rows)])


def escaped(text: str) -> str:
    """Escape text of our own, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>~$|^#])", r"\\\1", text)


def harmless(text: str) -> str:
    """Make text from outside safe in Markdown: letters, digits and a few signs, cut to 40 characters."""
    return re.sub(r"[^\w .,+%-]", "·", text)[:40].replace("_", r"\_")


def refusal(error: ParamError) -> str:
    """Say what was left out, the rule, and what to do instead."""
    received = "nothing" if error.received == "()" else harmless(error.received.strip("'\""))
    field = error.field.replace("_", " ")
    return f"{field} must be {error.rule}; “{received}” was left out. {error.instead}".strip()


def file_name(page: str, p: Params) -> str:
    """Name a download after its state: the page, and every value that is not the default."""
    usual = type(p)().to_query()
    changed = {key: texts for key, texts in p.to_query().items() if texts != usual[key]}
    name = "_".join([page, *(f"{key}-{'-'.join(texts)}" for key, texts in changed.items())])
    name = re.sub(r"[^\w.-]+", "-", name).replace("-_", "_").rstrip("-.")
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME - 9]}-{zlib.crc32(name.encode()):08x}"
