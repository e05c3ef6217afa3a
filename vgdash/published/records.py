"""Records of a published claim and of its check."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Values = float | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Claim:
    """One or more published numbers, and a function that computes ours.

    ``claim``: a sentence. ``setup``: what exactly is computed, and the order of the numbers. ``formula``: in
    plain letters. ``derived``: the source has the formula, and the number follows from it.

    ``tolerance``: largest difference, for all numbers or for each; a share of theirs, or with ``absolute`` in
    their unit. ``reason``: its origin: rounding of the published digits, sampling error, the next term of an
    expansion.

    ``page``, ``state``, ``look``: the page of the app that shows the claim, its parameters, and its view.
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
        """Their numbers as a tuple."""
        return _tuple(self.theirs)

    @property
    def bounds(self) -> tuple[float, ...]:
        """Largest difference of ours from each of ``values``, in its own unit."""
        tolerances = _tuple(self.tolerance)
        if len(tolerances) == 1:
            tolerances *= len(self.values)
        scales = (1 if self.absolute else abs(value) for value in self.values)
        return tuple(tolerance * scale for tolerance, scale in zip(tolerances, scales, strict=True))


@dataclass(frozen=True)
class Outcome:
    """Result for the claim ``key``: our numbers, agreement of all of them, and the time it took.

    ``problem`` is a sentence if there is no number to compare, and empty otherwise.
    """

    key: str
    ours: tuple[float, ...]
    agrees: bool
    problem: str
    seconds: float


def check(claim: Claim) -> Outcome:
    """Compute ours now and compare. Raises nothing: a computation that fails does not agree."""
    start, ours, problem = time.perf_counter(), (), ""
    try:
        ours = _tuple(claim.compute())
    except Exception as error:  # shown in the table, beside the claims that could be computed
        problem = f"The computation broke off: {type(error).__name__}."
    seconds = time.perf_counter() - start
    if not problem and len(ours) != len(claim.values):
        problem = f"{len(ours)} numbers came out instead of {len(claim.values)}."
    agrees = not problem and all(abs(mine - value) <= bound for mine, value, bound in
                                 zip(ours, claim.values, claim.bounds, strict=True))
    return Outcome(claim.key, ours, agrees, problem, seconds)


def _tuple(values: Values) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if isinstance(values, tuple) else (float(values),)
