"""Tell the fate of signal and gradient in each layer of a report, in one word."""

from __future__ import annotations

import math

from vgdash.models.causes import CAUSES, LIMITS, Cause
from vgdash.models.records import MULTIPLYING, Finding, Layer
from vgdash.models.report import Report

HEALTHY = "healthy"
FATES = {  # what each means
    "vanishing": "shrinks on its way, far below its size",
    "exploding": "grows on its way, far beyond its size",
    HEALTHY: "as it should be",
    "saturated": "units sit at the flat ends of their activation",
    "blocked": "exactly 0, or cut off",
    "identical": "all units of the layer are equal",
    "dead": "units are off for every input",
}


def fates(report: Report) -> list[tuple[str, str]]:
    """Return the fates of signal and gradient in each layer, keys of ``FATES``.

    A layer that a finding names has the fate of the most serious one. In the others sizes decide, measured
    against the first layer's signal and the last one's gradient, on the way that no skip leads around. A
    model without findings is healthy in every layer, and zeros are where the first steps open them.
    """
    if report.healthy:
        return [(HEALTHY, HEALTHY)] * len(report.layers)
    free = [a for a in report.layers if a.kind in MULTIPLYING and not a.bypassed]
    first, last = _first_finite(a.in2 for a in free), _first_finite(a.grad_out for a in reversed(free))
    opens = any(a.zero and not a.stuck for a in report.layers) and not any(
        CAUSES[f.cause].gradient in ("blocked", "dead") for f in report.findings)
    return [_fates(a, report.causes.get(a.path, [None])[0], first, last, opens) for a in report.layers]


def _fates(a: Layer, finding: Finding | None, first: float, last: float, opens: bool) -> tuple[str, str]:
    _, signal, gradient, excess = CAUSES[finding.cause] if finding else Cause("")
    if excess:
        signal = "exploding" if excess(a) > 1 else "vanishing"
    if signal == "exploding" and a.saturated > LIMITS["flat"]:
        signal = "saturated"  # what grows ends at the flat parts
    free = a.kind in MULTIPLYING and not a.bypassed
    if a.gradient in ("zero", "none"):
        gradient = gradient or (HEALTHY if opens and a.gradient == "zero" else "blocked")
    if opens and a.zero:
        signal = signal or HEALTHY
    return (signal or (_size(a.out2, first) if free and not a.normalized else HEALTHY),
            gradient or (_size(a.grad_out, last) if free else HEALTHY))


def _size(square: float, reference: float) -> str:
    """Judge a mean square by its ratio to a reference, with the limits of findings."""
    if square == 0:
        return "blocked"
    ratio = square / reference if reference > 0 else math.nan
    return "vanishing" if ratio < LIMITS["shrinks"] else "exploding" if ratio > LIMITS["grows"] else HEALTHY


def _first_finite(squares) -> float:
    return next((x for x in squares if 0 < x < math.inf), math.nan)
