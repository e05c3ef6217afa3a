"""What a published claim is, and what it means to agree with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Claim", "Outcome", "Values", "check"]

Values = float | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Claim:
    """One number, or a few, that somebody has published, and a function that computes ours.

    ``claim`` says it in a sentence, ``setup`` what exactly is computed and in which order the numbers come, ``formula`` how,
    in plain letters. ``address`` leads to the source. ``derived``: the source has the formula, the number follows from it.

    ``tolerance``: what ours may be off, for all numbers or for each; a share of theirs, or with ``absolute`` in their own unit.
    ``reason`` says where it comes from: rounding of the published digits, sampling error, or the next term of an expansion.

    ``page`` and ``state``: where the app shows it, and the values of the parameters there; ``look``: at what of it, if not the usual.
    """

    key: str
    claim: str
    source: str
    address: str
    setup: str
    formula: str
    theirs: Values
    tolerance: Values
    reason: str
    compute: Callable[[], Values]
    page: str
    state: Mapping[str, Any] = field(default_factory=dict)
    look: str = ""
    absolute: bool = False
    derived: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """Their numbers, always as a tuple."""
        return _tuple(self.theirs)

    @property
    def bounds(self) -> tuple[float, ...]:
        """How far ours may be from each of ``values``, in its own unit."""
        shares = _tuple(self.tolerance)
        shares = shares * len(self.values) if len(shares) == 1 else shares
        return shares if self.absolute else tuple(share * abs(value) for share, value in zip(shares, self.values, strict=True))


@dataclass(frozen=True)
class Outcome:
    """What came out for the claim ``key``: our numbers, whether every one of them is within its bound, how long it took.

    ``problem`` is a sentence if there is no number to compare, and empty otherwise.
    """

    key: str
    ours: tuple[float, ...]
    agrees: bool
    problem: str
    seconds: float


def check(claim: Claim) -> Outcome:
    """Compute ours now and compare. Raises nothing: a computation that fails is a claim that does not agree."""
    start = time.perf_counter()
    try:
        ours = _tuple(claim.compute())
    except Exception as error:  # said in the table, beside the claims that could be computed
        return Outcome(claim.key, (), False, f"The computation broke off: {type(error).__name__}.", time.perf_counter() - start)
    seconds = time.perf_counter() - start
    if len(ours) != len(claim.values):
        return Outcome(claim.key, ours, False, f"{len(ours)} numbers came out instead of {len(claim.values)}.", seconds)
    close = [abs(mine - value) <= bound for mine, value, bound in zip(ours, claim.values, claim.bounds, strict=True)]
    return Outcome(claim.key, ours, all(close), "", seconds)


def _tuple(values: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if isinstance(values, tuple) else (float(values),)
