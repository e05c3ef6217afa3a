"""Judge how targets, last activation and loss fit together."""

from __future__ import annotations

import math

from vgdash.models.causes import LIMITS, finding, number
from vgdash.models.expectation import spelled
from vgdash.models.fixes import match_shape, replace_last_activation, standardize_targets
from vgdash.models.records import Trace


def find_bad_targets(trace: Trace, known: set[str]) -> list:
    """Find targets so large, so small, or so far from 0, that outputs of ordinary size do not come near."""
    mean, spread = trace.target_mean, max(trace.target2 - trace.target_mean**2, 0.0)
    largest, offset = LIMITS["targets"]
    far = mean**2 > LIMITS["offset"][0] * spread and trace.target2 > offset
    small = (trace.target2 < LIMITS["small targets"] * trace.output2 < math.inf
             and trace.loss > trace.guess / LIMITS["small targets"] / 2)
    mended = "last_activation" in known or (trace.rebuilds and "input_scale" in known)
    if mended or not (trace.target2 > largest or far or small):
        return []
    return finding("target_scale", [a for a in trace.layers if a.last], (
        f"The targets have mean {number(mean)} and standard deviation {number(math.sqrt(spread))}; a last "
        "layer gives numbers of size 1, and a learning rate that suits it never arrives, or diverges."),
        standardize_targets(mean, math.sqrt(spread) or 1.0))


def find_last_activation(trace: Trace, known: set[str]) -> list:
    """Find a last activation that keeps the outputs from the targets, or that the loss applies again."""
    name, last = trace.ends_in, [a for a in trace.layers if a.last]
    if name == "softmax" and trace.output2 == 1.0:
        return finding("last_activation", last, "The softmax reads one number, and gives 1 whatever that is.",
                       replace_last_activation(trace, "sigmoid"))
    if trace.repeated:
        said = (f"The loss has a {trace.repeated} of its own, which wants numbers of any size; " + (
            "ReLU cuts off those below 0, and their gradient." if name.startswith("relu") else
            f"{spelled(name)} gives it numbers from 0 to 1, so the loss stays large and its gradient small."))
        return finding("last_activation", last, said, replace_last_activation(trace))
    if not trace.beyond > LIMITS["beyond"]:
        return []
    mean, spread = trace.target_mean, math.sqrt(max(trace.target2 - trace.target_mean**2, 0.0))
    large = trace.target2 > 10 and not trace.rebuilds
    return finding("last_activation", last, (
        f"The outputs come from {spelled(name)}, and the targets have mean {number(mean)} and "
        f"standard deviation {number(spread)}. Many are out of its reach: R² cannot exceed "
        f"{number(1 - trace.beyond).replace('-', '−')}."), replace_last_activation(trace) + (
            standardize_targets(mean, spread) if large else ""))


def find_broadcast(trace: Trace, known: set[str]) -> list:
    """Find targets whose shape makes the loss compare each output with all of them."""
    if not trace.broadcast:
        return []
    return finding("targets_crossed", [a for a in trace.layers if a.last], (
        "Outputs and targets have unlike shapes, such as (n, 1) and (n), and the loss compares each output "
        "with all targets: it learns their mean."), match_shape())
