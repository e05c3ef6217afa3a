"""Parameter sets: one frozen dataclass is validation, cache key, URL query and stored scene at once.

A field is declared with its rule, ``depth: int = integer(150, 1, 1000)``. That one rule validates the value,
limits the widget, and parses and writes the URL query.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar, Self

from vgdash.spelling import meant

MAX_TEXT = 2_000  # characters of one value in a URL query; 256 different widths have fewer


class ParamError(ValueError):
    """Refusal of a value: the field, its rule, the value received and what to do instead."""

    def __init__(self, field: str, rule: str, received: object, instead: str = ""):
        self.field, self.rule, self.instead = field, rule, instead
        shown = repr(received)
        self.received = shown if len(shown) <= 60 else shown[:57] + "..."
        super().__init__(f"{field} must be {rule}, received {self.received}. {instead}".rstrip())


class Unquoted(str):
    """Text that a ``ParamError`` shows without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


class Rule:
    """The values that a field may take; ``text`` describes them."""

    text: str

    def error(self, field: str, value: Any, instead: str = "") -> ParamError:
        """Return the refusal of a value."""
        return ParamError(field, self.text, value, instead)

    def check(self, field: str, value: Any) -> Any:
        """Return the canonical value. Raises ``ParamError``."""
        raise NotImplementedError

    def parse(self, field: str, texts: Sequence[str]) -> Any:
        """Return the canonical value of a key's texts in a URL query; single values take the last text."""
        return self.check(field, texts[-1])

    def to_query(self, value: Any) -> list[str]:
        """Return the texts of a value in a URL query."""
        return [str(value)]


@dataclass(frozen=True)
class Integer(Rule):
    """A whole number from ``low`` to ``high``, kept as int."""

    low: int
    high: int

    @property
    def text(self) -> str:
        return f"a whole number from {self.low:,} to {self.high:,}"

    def check(self, field, value):
        if isinstance(value, bool):
            raise self.error(field, value)
        try:
            number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
        except TypeError:
            raise self.error(field, value) from None
        if not self.low <= number <= self.high:
            nearest = self.low if number < self.low else self.high
            raise self.error(field, value, f"The nearest allowed value is {nearest:,}.")
        return number

    def parse(self, field, texts):
        value: int | float | str = texts[-1].strip()
        for number in (float, int):  # int last: a float would round whole numbers above 2^53
            with contextlib.suppress(ValueError):
                value = number(texts[-1])
        return self.check(field, value)


@dataclass(frozen=True)
class Real(Rule):
    """A finite number from ``low`` to ``high``, kept as float."""

    low: float
    high: float

    @property
    def text(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def check(self, field, value):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise self.error(field, value) from None
        if isinstance(value, (bool, str, bytes)) or not math.isfinite(number):
            raise self.error(field, value)
        if not self.low <= number <= self.high:
            nearest = self.low if number < self.low else self.high
            raise self.error(field, value, f"The nearest allowed value is {nearest:g}.")
        return number + 0.0  # -0.0 and 0.0 are one cache key

    def parse(self, field, texts):
        text = texts[-1].strip()
        try:
            number = float(text)
        except ValueError:
            raise self.error(field, text) from None
        return self.check(field, number)

    def to_query(self, value):
        short = f"{value:g}"
        return [short if float(short) == value else repr(value)]


@dataclass(frozen=True)
class Flag(Rule):
    """True or false."""

    text = "true or false"

    def check(self, field, value):
        if not isinstance(value, bool):
            raise self.error(field, value)
        return value

    def parse(self, field, texts):
        return self.check(field, {"true": True, "false": False}.get(texts[-1].strip().lower(), texts[-1]))

    def to_query(self, value):
        return [str(value).lower()]


@dataclass(frozen=True)
class Choice(Rule):
    """One of the named ``options``."""

    options: tuple[str, ...]
    open = False  # True if other text is taken too

    @property
    def text(self) -> str:
        return "one of " + ", ".join(self.options)

    def check(self, field, value):
        if not isinstance(value, str) or value not in self.options:
            raise self.error(field, value, meant(value, self.options))
        return str(value)


@dataclass(frozen=True)
class Text(Rule):
    """Text of at most ``most`` characters."""

    most: int

    @property
    def text(self) -> str:
        return f"at most {self.most:,} characters"

    def check(self, field, value):
        if not isinstance(value, str) or len(value) > self.most:
            raise self.error(field, value)
        return str(value)


@dataclass(frozen=True)
class Choices(Rule):
    """Several different options; kept in the order of ``options``, so that one selection is one cache key."""

    options: tuple[str, ...]
    at_most: int

    @property
    def text(self) -> str:
        return f"one to {self.at_most} of " + ", ".join(self.options)

    def check(self, field, value):
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise self.error(field, value)
        chosen = list(value)
        for one in chosen:
            if not isinstance(one, str) or one not in self.options:
                raise self.error(field, one, meant(one, self.options))
        kept = tuple(option for option in self.options if option in chosen)
        if not 1 <= len(kept) <= self.at_most:
            raise self.error(field, tuple(chosen))
        return kept

    def parse(self, field, texts):
        return self.check(field, ",".join(texts).split(","))

    def to_query(self, value):
        return list(value)


@dataclass(frozen=True)
class Integers(Rule):
    """A sequence of whole numbers, in a URL query "784-512x3-10" (x3: three times)."""

    low: int
    high: int
    shortest: int
    longest: int

    @property
    def text(self) -> str:
        return (f"{self.shortest:,} to {self.longest:,} whole numbers from {self.low:,} to {self.high:,},"
                " such as 784-512x3-10")

    def check(self, field, value):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise self.error(field, value)
        numbers = tuple(value)
        if not self.shortest <= len(numbers) <= self.longest:
            raise self.error(field, f"{len(numbers):,} numbers")
        one = Integer(self.low, self.high)
        return tuple(one.check(f"{field}[{i}]", number) for i, number in enumerate(numbers))

    def parse(self, field, texts):
        numbers: list[int] = []
        if not (texts[-1].strip() or self.shortest):
            return ()
        parts = texts[-1].replace(",", "-").split("-")
        for place, part in enumerate(parts, 1):
            number, _, times = part.strip().partition("x")
            if not (number.isdecimal() and (times or "1").isdecimal() and len(number + times) < 16):
                after = f", after {parts[place - 2].strip()[:20]}" if place > 1 else ""
                raise self.error(field, part, f"Look at place {place} of {len(parts)}{after}.")
            count = int(times or 1)
            if len(numbers) + count > self.longest:
                raise self.error(field, texts[-1])
            numbers += [int(number)] * count
        return self.check(field, numbers)

    def to_query(self, value):
        runs = [(number, len(list(run))) for number, run in groupby(value)]
        return ["-".join(f"{number}x{count}" if count > 1 else str(number) for number, count in runs)]


def declare(rule: Rule, default: Any) -> Any:
    """Declare a field of this rule."""
    return dataclasses.field(default=default, metadata={"rule": rule})


def integer(default: int, low: int, high: int) -> Any:
    """Declare a field of whole numbers, ``low <= value <= high``."""
    return declare(Integer(low, high), default)


def real(default: float, low: float, high: float) -> Any:
    """Declare a field of finite numbers, ``low <= value <= high``, kept as float."""
    return declare(Real(float(low), float(high)), float(default))


def choice(default: str, options: Iterable[str]) -> Any:
    """Declare a field that is one of the named options."""
    return declare(Choice(tuple(options)), default)


def choices(default: Sequence[str], options: Iterable[str], at_most: int) -> Any:
    """Declare a field of one to ``at_most`` different options, a tuple in the order of ``options``."""
    return declare(Choices(tuple(options), at_most), tuple(default))


def integers(default: Sequence[int], low: int, high: int, shortest: int, longest: int) -> Any:
    """Declare a field that is a tuple of whole numbers, each from ``low`` to ``high``."""
    return declare(Integers(low, high, shortest, longest), tuple(default))


@dataclass(frozen=True)
class Params:
    """Base of every parameter set: validated and made canonical when it is made, hashable.

    Subclasses are frozen dataclasses whose fields come from ``integer``, ``real``, ``choice`` and the like.
    ``consistent`` holds rules between fields. ``SHORTHAND`` names further keys that a URL query may use
    instead of a field (depth and width instead of widths); ``expand`` turns them into fields.
    """

    SHORTHAND: ClassVar[Mapping[str, Rule]] = {}

    def __post_init__(self):
        for name, rule in self.rules().items():
            object.__setattr__(self, name, rule.check(name, getattr(self, name)))
        self.consistent()

    def consistent(self) -> None:
        """Raise ``ParamError`` if fields contradict each other or need too much memory or time."""

    @classmethod
    def expand(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return field values from values that may hold shorthand keys."""
        return values

    @classmethod
    def rules(cls) -> dict[str, Rule]:
        """Return the rule of every field."""
        return {field.name: field.metadata["rule"] for field in dataclasses.fields(cls)}

    @classmethod
    def keys(cls) -> dict[str, Rule]:
        """Return the rule of every key that a URL query may hold: the fields and the shorthand."""
        return {**cls.rules(), **cls.SHORTHAND}

    @classmethod
    def parse_lenient(cls, values: Mapping[str, Any], *, text: bool = False) -> tuple[Self, list[ParamError]]:
        """Return the parameter set of all allowed values, and one ``ParamError`` for each refused value.

        ``values`` maps keys to values, or with ``text`` to the list of texts of a URL query; unknown keys are
        ignored. A refused value leaves its field at the default.
        """
        good: dict[str, Any] = {}
        refused: list[ParamError] = []
        for key, rule in cls.keys().items():
            if key not in values or (text and not values[key]):
                continue
            try:
                if text and sum(map(len, values[key])) > MAX_TEXT:
                    raise ParamError(key, f"at most {MAX_TEXT:,} characters", "".join(values[key]))
                good[key] = rule.parse(key, values[key]) if text else rule.check(key, values[key])
            except ParamError as error:
                refused.append(error)
        while True:
            try:
                return cls(**cls.expand(dict(good))), refused
            except ParamError as error:
                refused.append(error)
                shorthand = [key for key in cls.SHORTHAND if key in good]
                for key in [error.field] if error.field in good else shorthand or list(good):
                    del good[key]

    def to_query(self) -> dict[str, list[str]]:
        """Return the texts of every field; ``parse_lenient(p.to_query(), text=True)`` gives ``p`` back."""
        return {name: rule.to_query(getattr(self, name)) for name, rule in self.rules().items()}
