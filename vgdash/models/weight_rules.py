"""Find the weights at fault: in the course of signal and gradient, and in single layers.

Mean squares go forward, sums of squares of gradients backward. A layer of random weights multiplies both by
its gain, fan_in·E[w²] (He et al. 2015), whatever the widths. What follows a layer is measured.
"""

from __future__ import annotations

import math

from vgdash.models.causes import BY_WEIGHTS, LIMITS, finding, number
from vgdash.models.expectation import expected_slope2, is_dead, slope2, spelled, wanted_gain
from vgdash.models.fixes import redraw, scale, skips, unsaturate
from vgdash.models.other_fans import other_fan
from vgdash.models.records import MULTIPLYING, Layer, Trace
from vgdash.spelling import count


def find_recurrent_growth(trace: Trace, known: set[str]) -> list:
    """Find weights used again and again, with a signal or gradient that grows exponentially over the calls.

    Where the activation holds the signal the gradient grows all the same: its factor is gain·E[f'²].
    """
    if known & {"stream_grows", "detached", "input_scale"}:
        return []
    calls: dict[str, list[Layer]] = {}
    for a in trace.layers:
        if a.kind in MULTIPLYING and a.weight and not a.normalized and 0 < a.in2 < math.inf:
            calls.setdefault(a.weight, []).append(a)
    found = []
    for uses in (uses for uses in calls.values() if len(uses) > 3):
        for what, sizes in (("mean square that it reads", [a.in2 for a in uses]),
                            ("gradient's square", [a.grad_in for a in reversed(uses)])):
            start, middle, end = sizes[0], sizes[len(sizes) // 2], sizes[-1]
            if 0 < start < math.inf and LIMITS["grows"] * start <= end < math.inf and (
                    LIMITS["stream"][1] * middle <= end):
                found.append((uses[-1], (end / start) ** (1 / (len(uses) - 1)), what))
                break
    if not found:
        return []
    a, rate, what = max(found, key=lambda one: one[1])
    over = {a.weight: rate if what.startswith("mean") else a.gain for a, rate, what in found}
    return finding("weights_large", [a for a, *_ in found], (
        f"{a.path or 'The model'} is called {a.calls} times, and the {what} grows by {number(rate)} from "
        f"call to call; fan-in·E[w²] is {number(a.gain)}."),
        scale(trace, [a for a, *_ in found], lambda a: over[a.weight] ** (-0.5 / len(found)),
              "signal and gradient keep their size from call to call"), math.log10(rate) * a.calls)


def find_vanishing_or_exploding(trace: Trace, known: set[str]) -> list:
    """Find layers that make the gradient or the signal shrink or grow on the way through the net.

    A layer's own factor of the gradient is gain·E[f'²], from the next layer's input back to its own.
    """
    if known & {"stream_grows", "detached", "weights_large", "scale_small"}:
        return []
    rows = [(a, a.gain * slope2(a)) for a in trace.unbypassed() if not a.last]
    known_sizes = [a.grad_in for a in trace.unbypassed() if 0 < a.grad_in < math.inf]
    ends = [a.grad_after for a, _ in rows if a.grad_after > 0 and math.isfinite(a.grad_after)]
    reference = known_sizes[-1] if known_sizes else ends[-1] if ends else math.nan
    sizes = [a.grad_in / reference for a, _ in rows if 0 < a.grad_in < math.inf]
    if not sizes and any(a.last and a.zero for a in trace.unbypassed()):  # the first step opens these
        sizes = [math.prod(factor for a, factor in rows if a.next > 0)]
    shrunk, grown = min(sizes, default=1.0), max(sizes, default=1.0)
    if shrunk < LIMITS["shrinks"]:
        return _at_fault(trace, rows, -1, shrunk, "gradient")
    steps = {id(a): _step(a, factor) for a, factor in rows}
    side_by_side: dict[float, float] = {}  # layers that read one tensor have one gradient of it
    for a, _ in rows:
        if a.normalized and steps[id(a)] > 0:
            key = a.grad_in if a.grad_in > 0 else -id(a)
            side_by_side[key] = max(side_by_side.get(key, 0.0), steps[id(a)])
    held = sum(map(math.log10, side_by_side.values()))
    if held > 0.7 * math.log10(grown) and grown > LIMITS["normalized"]:
        growing = [a for a, _ in rows if a.normalized and steps[id(a)] > 1]
        rate = number(grown ** (1 / len(growing)))
        return finding("gradient_grows", growing, (
            f"Normalization keeps the outputs, and the gradient's square grows by {rate} a layer, "
            f"{number(grown)} in all; with skip connections it would keep its size."),
            skips(trace, growing), math.log10(grown))
    if held <= 0.7 * math.log10(grown) and grown > LIMITS["grows"]:
        return _at_fault(trace, [(a, f) for a, f in rows if not a.normalized], 1, grown, "gradient")
    inputs = [a.in2 for a in trace.unbypassed() if a.in2 > 0 and math.isfinite(a.in2)]
    if inputs and max(inputs) > LIMITS["grows"] * inputs[0]:
        factors = [(a, a.after2 / a.in2) for a, _ in rows if a.in2 > 0 and not a.normalized]
        return _at_fault(trace, factors, 1, max(inputs) / inputs[0], "signal")
    return []


def _step(layer: Layer, factor: float) -> float:
    """Return the measured factor of the gradient from the next layer's input to this one's."""
    step = layer.grad_in / layer.grad_after if layer.grad_after > 0 else math.nan
    return step if step > 0 and math.isfinite(step) else 1.0 if layer.normalized else factor


def _at_fault(trace, factors, sign: int, total: float, what: str) -> list:
    """Name the layers whose factors make up the course: each a third of the worst, in decades, or less."""
    decades = [(a, sign * math.log10(f)) for a, f in factors
               if f > 0 and math.isfinite(f) and a.in2 != 0 and not is_dead(a)
               and not (sign < 0 and a.saturated > LIMITS["flat"])
               and sign * math.log(max(a.gain, 1e-300) / _wants(a)) > math.log(1.2)]
    worst = max((d for _, d in decades), default=0.0)
    for part in (3, 10, 30):  # one very bad layer hides no others that make up the rest
        faults = [(a, d) for a, d in decades if d > max(worst / part, 0.02)]
        explained = sum(d for _, d in faults)
        if explained >= 0.5 * abs(math.log10(max(total, 1e-300))):
            break
    else:
        return []
    layers, rate = [a for a, _ in faults], 10 ** (sign * explained / len(faults))
    each = "each of " * (len(layers) > 1) + count(len(layers), "layer")
    return _weights(trace, layers, sign, f"The {what}'s square is multiplied by {number(rate)} in {each}, "
                    f"{number(total)} in all", abs(math.log10(max(total, 1e-300))))


def _weights(trace, layers, sign: int, what: str, size: float) -> list:
    """Say of weights that they are too small or too large, or right for another fan."""
    fan = other_fan(layers)
    gains, wants = [a.gain for a in layers], [_wants(a) for a in layers]
    after = f"{spelled(layers[0].activation)} wants" if layers[0].activation else "the layer wants"
    evidence = f"{what}: fan-in·E[w²] is {_span(gains)}, and {after} {_span(wants)}."
    if fan:
        evidence += f" The variance is right for another fan: {fan}."
    effect = f"fan-in·E[w²] is {_span(wants)}, and signal and gradient keep their size"
    shifted = [a for a in layers if a.variance < 0.5 * a.weight2]  # the mean is larger than the spread
    code = redraw(trace, layers, _wants) if shifted else scale(
        trace, layers, lambda a: math.sqrt(_wants(a) / a.gain), effect)
    cause = "wrong_fan" if fan else "weights_large" if sign > 0 else "weights_small"
    return finding(cause, layers, evidence, code, size)


def _wants(a: Layer) -> float:
    """Return the gain that what follows wants, a factor between the two included."""
    if a.kind == "recurrent":
        return LIMITS["recurrent"][1]
    between = 1.0 if a.held or not a.read_ratio > 0 else a.read_ratio
    passed = a.after2 / (a.out2 * a.kept) if a.out2 > 0 else math.nan
    if a.activation == "leaky_relu" and 0.8 * between < passed < math.inf:  # its slope is no small one
        return 1 / passed
    return wanted_gain(a.activation) / between


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return number(values[0]) if high < 1.2 * low else f"{number(low)} to {number(high)}"


def find_saturation(trace: Trace, known: set[str]) -> list:
    """Find saturated units, by the weights, by the bias, or by what comes in; a skip leads around some."""
    found = [a for a in trace.layers if a.saturated > LIMITS["flat around" if a.bypassed else "flat"]
             and not (a.first and "input_scale" in known)]
    by_weights = [a for a in found if a.kind in MULTIPLYING and not a.normalized
                  and a.gain > LIMITS["flat gain"] * wanted_gain(a.activation)]
    other = [a for a in found if a not in by_weights]
    by_weights += _large(trace) if by_weights else []
    judged = []
    if by_weights and not known & BY_WEIGHTS:
        a = max(by_weights, key=lambda a: a.saturated)
        judged += _weights(trace, by_weights, 1, f"{a.saturated:.0%} of the units after {a.path} are at the "
                           f"flat ends of {spelled(a.activation)}", 1 + a.saturated)
    if other and "input_scale" not in known:
        a = max(other, key=lambda a: a.saturated)
        judged += finding("saturated", other, (
            f"{a.saturated:.0%} of the units after {a.path} are at the flat ends of {spelled(a.activation)}: "
            f"E[z²] is {number(a.out2)}, of which the bias makes {number(a.bias2)}; 1 or less is wanted."),
            unsaturate(trace, other), 1 + a.saturated)
    return judged


def find_outlying_layers(trace: Trace, known: set[str]) -> list:
    """Find one layer far from what its activation wants, and nets whose variances fit another fan."""
    if known & {*BY_WEIGHTS, "detached", "scale_small"}:
        return []
    if large := _large(trace):
        high = max(max(a.gain, a.out2 / a.in2 if a.kind == "recurrent" and a.in2 > 0 else 0.0) for a in large)
        return _weights(trace, large, 1, f"One layer multiplies the mean square by up to {number(high)}",
                        math.log10(high))
    free, least = _free(trace), LIMITS["one layer small"]
    small = [a for a in free if not a.bypassed and a.gain * expected_slope2(a) < least
             and not (a.in2 > 0 and a.after2 / a.in2 > least) and not a.share > LIMITS["share"]]
    small += [a for a in trace.layers if a.kind == "recurrent" and 0 < a.gain < least]
    if small:
        low = min(a.gain for a in small)
        return _weights(trace, small, -1, f"One layer multiplies the mean square by {number(low)}", 1)
    known_gain = [a for a in free if not a.bypassed and a.gain > 0]
    far = [a for a in known_gain if all(  # He's 2 is usual where nobody knows what follows
        abs(math.log(a.gain / wanted)) > math.log(LIMITS["fan"])
        for wanted in ([wanted_gain(a.activation)] if a.activation else [1.0, 2.0]))]
    if len(far) > 1 and len(known_gain) > 2 and other_fan(known_gain):
        return _weights(trace, far, 1, "Single layers multiply the mean square up and down", 1)
    return []


def _free(trace: Trace) -> list[Layer]:
    """List the layers that pass signals on, with a size of their own."""
    return [a for a in trace.layers if a.kind in MULTIPLYING and not (a.normalized or a.last or a.zero)
            and not a.identical and a.in2 != 0 and not is_dead(a) and not a.saturated > LIMITS["flat"]]


def _large(trace: Trace) -> list[Layer]:
    """List the layers that multiply the mean square by far more than any activation wants."""
    large = [a for a in _free(trace) if min(a.gain, (a.out2 - a.bias2) / a.in2 if a.in2 > 0 else a.gain)
             > LIMITS["one layer"] and a.gain < math.inf and not a.after2 / a.in2 < 2]
    limits = {"recurrent": LIMITS["recurrent"][0], "attention": LIMITS["one layer"]}  # bilinear: 1 matrix
    return large + [a for a in trace.layers if (a.others or a.kind == "recurrent") and (
        a.gain > limits.get(a.kind, math.inf)
        or (a.kind == "recurrent" and LIMITS["grows"] * max(a.in2, 1.0) < a.out2 < math.inf))]
