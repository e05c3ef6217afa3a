"""Pieces of source text that frameworks share: distributions, factors, widths."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby

from vgdash.initializers import INITIALIZERS, BiasRule, initializer_for

RUN = 4  # equal widths in a row from which [512] * 4 is shorter than the numbers
COLUMNS = 100  # of a line of widths
LAWS = {"normal": "normal", "truncated": "truncated normal", "uniform": "uniform"}
# mode: fan; 1/fan is the number over the text
FANS: dict[str, tuple[Callable[[int, int], float], int, str]] = {
    "": (lambda fan_in, fan_out: 1, 1, ""),
    "fan_in": (lambda fan_in, fan_out: fan_in, 1, "fan_in"),
    "fan_out": (lambda fan_in, fan_out: fan_out, 1, "fan_out"),
    "fan_avg": (lambda fan_in, fan_out: (fan_in + fan_out) / 2, 2, "(fan_in + fan_out)"),
}
SHAPES = ((1, 1), (3, 5), (8, 2))  # tell the modes apart


@dataclass(frozen=True)
class Recipe:
    """Initialization of a net, with checked values of ``ProbeParams``. Formulas are Python expressions."""

    initializer: str
    activation: str
    widths: tuple[int, ...]
    gamma: float
    sigma_b2: float
    last_scale: float = 1.0
    last_bias: float = 0.0
    kernels: tuple[int, ...] = ()

    @property
    def base(self) -> str:
        """Name of the distribution; zeros where gamma² is 0, because frameworks refuse to scale by 0."""
        return INITIALIZERS[self.initializer].base.name if self.gamma**2 > 0 else "zeros"

    @property
    def bias(self) -> BiasRule:
        """The rule of the biases."""
        return INITIALIZERS[self.initializer].biases(self.sigma_b2)

    @property
    def title(self) -> str:
        """Name of the initializer in Keras: HeNormal."""
        return self.initializer.title().replace("_", "")

    @cached_property
    def _law(self) -> tuple[Fraction, str]:
        """Var(w) at gamma 1: a fraction over the fan of the mode, "fan_in", "fan_avg" or "" for none."""
        variance = initializer_for(self.initializer, self.activation).variance
        for mode, (fan, *_) in FANS.items() if self.base in LAWS else ():
            scales = [variance(*shape) * fan(*shape) for shape in SHAPES]
            if all(math.isclose(scale, scales[0]) for scale in scales):
                short = Fraction(scales[0]).limit_denominator(10**6)
                return short if math.isclose(short, scales[0], rel_tol=1e-12) else Fraction(scales[0]), mode
        return Fraction(1), ""  # not used by other distributions

    @property
    def mode(self) -> str:
        return self._law[1]

    @property
    def times_gamma(self) -> str:
        """ "1.1 * ", or nothing for 1."""
        return "" if self.gamma == 1 else f"{self.gamma!r} * "

    def _share(self, multiple: int = 1) -> str:
        """``multiple`` times Var(w) at gamma 1: "2 / fan_in"."""
        square, mode = self._law
        _, factor, fan = FANS[mode]
        square *= multiple * factor
        if not fan:
            return f"{float(square):.3g}"
        return f"{square.numerator} / {fan if square.denominator == 1 else f'({square.denominator} * {fan})'}"

    def root(self, multiple: int, sqrt: str = "({}) ** 0.5") -> str:
        """Gamma times the root of ``multiple`` times Var(w): the std, or for 3 the limit if uniform."""
        square, mode = self._law
        root = sqrt.format(self._share(multiple)) if mode else repr(math.sqrt(multiple * square))
        return self.times_gamma + root

    @property
    def scale(self) -> str:
        """Scale of a variance scaling in Keras and JAX: gamma² Var(w) times the fan."""
        square = self._law[0]
        n, d = square.as_integer_ratio()
        number = f"{n}.0" if d == 1 else f"{n} / {d}"
        return number if self.gamma == 1 else f"{self.gamma!r}**2" + (f" * {number}" if square != 1 else "")

    def about(self, shape: str) -> str:
        """A comment: the distribution of w, and the shape of the matrices."""
        law = self.base
        if self.base in LAWS:
            square = "" if self.gamma == 1 else f"{self.gamma!r}² · "
            law = f"{LAWS[self.base]}, Var(w) = {square}{self._share()}"
        elif self.gamma != 1 and law != "zeros":
            law = f"{self.gamma!r} · {self.base}"
        return f"# {self.initializer} and {self.activation}. w: {law}, shape ({shape})"

    @property
    def list_of_widths(self) -> str:
        """Python for the widths, on lines of at most 100 characters."""
        return textwrap.fill(f"widths = {spell_list(self.widths)}", COLUMNS, subsequent_indent=" " * 10)


def spell_list(numbers: Sequence[int]) -> str:
    """Python for a list of whole numbers, long runs shortened: "[784, *[512] * 50, 10]"."""
    texts: list[str] = []
    for number, run in groupby(numbers):
        count = len(list(run))
        texts += [f"*[{number}] * {count}"] if count >= RUN else [str(number)] * count
    return f"[{', '.join(texts)}]"
