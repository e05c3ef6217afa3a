"""A net's initialization as pieces of source text that frameworks share: laws, factors, widths. ``export`` puts them together."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from vgdash.initializers import INITIALIZERS

__all__ = ["Recipe", "spell_list"]

RUN = 4  # equal widths in a row from which [512] * 4 is shorter than the numbers
COLUMNS = 100  # of a line of widths
LAWS = {"normal": "normal", "truncated": "truncated normal", "uniform": "uniform"}
FANS: dict[str, tuple[Callable[[int, int], float], int, str]] = {  # mode: the fan; 1/fan is the number over the text
    "": (lambda fan_in, fan_out: 1, 1, ""),
    "fan_in": (lambda fan_in, fan_out: fan_in, 1, "fan_in"),
    "fan_avg": (lambda fan_in, fan_out: (fan_in + fan_out) / 2, 2, "(fan_in + fan_out)"),
}
SHAPES = ((1, 1), (3, 5), (8, 2))  # tell the modes apart


@dataclass(frozen=True)
class Recipe:
    """What a text shall build. The values are those of ``ProbeParams``, already checked; formulas become Python expressions."""

    initializer: str
    activation: str
    widths: tuple[int, ...]
    gamma: float
    sigma_b2: float

    @property
    def base(self) -> str:
        """Name of the distribution; zeros where gamma² is 0, because frameworks refuse to scale by 0."""
        return INITIALIZERS[self.initializer].base.name if self.gamma**2 > 0 else "zeros"

    @cached_property
    def law(self) -> tuple[Fraction, str]:
        """Var(w) at gamma 1 is the fraction divided by the fan of the mode: "fan_in", "fan_avg", or "" for no fan."""
        variance = INITIALIZERS[self.initializer].variance
        for mode, (fan, *_) in FANS.items():
            scales = [variance(*shape) * fan(*shape) for shape in SHAPES]
            if all(math.isclose(scale, scales[0]) for scale in scales):
                return Fraction(scales[0]).limit_denominator(10**6), mode
        raise AssertionError(f"the variance of {self.initializer} is not a number over a fan")

    @property
    def mode(self) -> str:
        return self.law[1]

    @property
    def times_gamma(self) -> str:
        """ "1.1 * ", or nothing for 1."""
        return "" if self.gamma == 1 else f"{self.gamma!r} * "

    def gain(self, keyword: str = "") -> str:
        """Gamma as an argument, or nothing for 1."""
        return "" if self.gamma == 1 else f"{keyword}{self.gamma!r}"

    def share(self, multiple: int = 1) -> str:
        """``multiple`` times Var(w) at gamma 1: "2 / fan_in"."""
        square, mode = self.law
        _, factor, fan = FANS[mode]
        square *= multiple * factor
        if not fan:
            return f"{float(square):.3g}"
        return f"{square.numerator} / {fan if square.denominator == 1 else f'({square.denominator} * {fan})'}"

    def root(self, multiple: int = 1, sqrt: str = "({}) ** 0.5") -> str:
        """Gamma times the root of ``multiple`` times Var(w): the std, or for 3 the limit of a uniform distribution."""
        square, mode = self.law
        return self.times_gamma + (sqrt.format(self.share(multiple)) if mode else repr(math.sqrt(multiple * square)))

    @property
    def scale(self) -> str:
        """What Keras and JAX call the scale of a variance scaling: gamma² Var(w) times the fan."""
        square = self.law[0]
        number = f"{float(square)}" if square.denominator == 1 else f"{square.numerator} / {square.denominator}"
        return number if self.gamma == 1 else f"{self.gamma!r}**2" + (f" * {number}" if square != 1 else "")

    def about(self, shape: str) -> str:
        """A comment: what is drawn, and how the matrices lie."""
        law = self.base
        if self.base in LAWS:
            square = "" if self.gamma == 1 else f"{self.gamma!r}² · "
            law = f"{LAWS[self.base]}, Var(w) = {square}{self.share()}"
        elif self.gamma != 1 and law != "zeros":
            law = f"{self.gamma!r} · {self.base}"
        return f"# {self.initializer} and {self.activation}. w: {law}, shape ({shape})"

    @property
    def list_of_widths(self) -> str:
        """Python for the widths, continued on lines of their own where they are many."""
        start = "widths = "
        return textwrap.fill(start + spell_list(self.widths), COLUMNS, subsequent_indent=" " * (len(start) + 1))


def spell_list(numbers: Sequence[int]) -> str:
    """Python for a list of whole numbers, long runs shortened: "[784, *[512] * 50, 10]"."""
    texts: list[str] = []
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[start]:
            count = end - start
            texts += [f"*[{numbers[start]}] * {count}"] if count >= RUN else [str(numbers[start])] * count
            start = end
    return f"[{', '.join(texts)}]"
