"""Format numbers and names for sentences: those of ``vgdash.spelling``, and what only pages say."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable

from pages.parts import names
from vgdash.params import ParamError, Params
from vgdash.spelling import count, layers, listed, number, plain, rate, ten_to, times

LONGEST_NAME = 120  # characters; file systems take 255 bytes


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


def percent(share: float) -> str:
    """Write a share: "94 %"."""
    return f"{100 * share:.0f} %"


def markdown_table(header: str, rows: Iterable[Iterable[str]]) -> str:
    """Join the header and alignment lines, and a line for each row of cells."""
    return "\n".join([header, *(f"| {' | '.join(cells)} |" for cells in rows)])


def escaped(text: str) -> str:
    """Escape text of our own, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>~$|^#])", r"\\\1", text)


def harmless(text: str) -> str:
    """Make text from outside safe in Markdown: letters, digits and a few signs, cut to 40 characters."""
    return re.sub(r"([_*])", r"\\\1", re.sub(r"[^\w .,+%()*/-]", "·", text)[:40])


def refusal(error: ParamError) -> str:
    """Say what was left out, the rule, and what to do instead."""
    received = "nothing" if error.received == "()" else harmless(error.received.strip("'\""))
    rule = re.sub(r"^(one (?:to \d+ )?of ).+", r"\1those that this page offers", error.rule)
    said = f"{names.field(error.field)} must be {rule}. “{received}” was left out."
    return f"{said} {error.instead}".strip()


def file_name(page: str, p: Params) -> str:
    """Name a download after its state: the page, and every value that is not the default."""
    usual = type(p)().to_query()
    changed = {key: texts for key, texts in p.to_query().items() if texts != usual[key]}
    name = "_".join([page, *(f"{key}-{'-'.join(texts)}" for key, texts in changed.items())])
    short = re.sub(r"[^\w.-]+", "-", name).replace("-_", "_").rstrip("-.")
    formula = re.search(r"[^\w., -]", name)  # its signs are lost
    if formula or len(short) > LONGEST_NAME:
        return f"{short[:LONGEST_NAME - 9]}-{zlib.crc32(name.encode()):08x}"
    return short
