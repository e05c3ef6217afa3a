"""Find the fan for which weights were made, where it is not fan_in: a kernel's area or groups left out."""

from __future__ import annotations

import math

from vgdash.models.expectation import wanted_gain
from vgdash.models.records import Layer

OTHER_FANS = {
    "the kernel's area is left out": lambda a: a.fan_in / a.area,
    "the groups are left out": lambda a: a.fan_in * a.groups,
    "fan_in and fan_out are swapped": lambda a: a.fan_out,
    "fan_out of all groups": lambda a: a.fan_out * a.groups,
    "the number of output channels": lambda a: a.fan_out * a.groups / a.area,
}


def other_fan(layers: list[Layer]) -> str:
    """Name the fan for which the variance of most layers is standard, or "" if fan_in is one."""
    def fits(fan_of) -> float:
        most = 0.0
        for standard in ("wanted", 1.0, 2.0, 1 / 3):
            hits = 0
            for a in layers:
                gain = wanted_gain(a.activation) if standard == "wanted" else standard
                error = min(max(5 * math.sqrt(2 / max(a.entries, 1)), 0.03), 0.4)
                hits += abs(math.log(max(a.weight2 * fan_of(a), 1e-300) / gain)) < error
            most = max(most, hits / len(layers))
        return most

    right = max(fits(lambda a: a.fan_in), fits(lambda a: (a.fan_in + a.fan_out) / 2))  # or Glorot's
    for name, fan_of in OTHER_FANS.items():
        differ = sum(abs(math.log(fan_of(a) / a.fan_in)) > 0.4 for a in layers)
        if differ > 0.5 * len(layers) and fits(fan_of) >= max(0.8, right + 0.1):
            return name
    return ""
