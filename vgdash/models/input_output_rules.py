"""Judge the ends of a model, inputs and outputs, and numbers that change size where no weights are."""

from __future__ import annotations

import math
from dataclasses import replace

from vgdash.models.causes import LIMITS, finding, number
from vgdash.models.fixes import divide, scale, standardize, with_bias
from vgdash.models.records import MATRICES, MULTIPLYING, Layer, Trace


def find_bad_inputs(trace: Trace, known: set[str]) -> list:
    """Find inputs that are 0, or far from mean 0 and standard deviation 1."""
    empty = [a for a in trace.layers if a.first and a.kind in MULTIPLYING and a.source and a.in2 == 0]
    if empty:
        return finding("input_scale", empty, f"All that {empty[0].path} reads is 0: it learns nothing, and "
                       "little is measured.", "# Give a batch of real data.\n")
    low, high = LIMITS["input"]
    found = []
    for a in trace.layers:
        if a.first and not a.normalized and a.kind in MATRICES and math.isfinite(a.in2):
            spread = max(a.in2 - a.in_mean**2, 0.0)
            offset = a.in_mean**2 > LIMITS["offset"][0] * spread and a.in2 > LIMITS["offset"][1]
            small = 0 < a.in2 < low and a.in_largest < LIMITS["small entry"]
            found += [a] if a.in2 > high or small or offset else []
    if not found:
        return []
    a = max(found, key=lambda a: abs(math.log(a.in2)))
    std = math.sqrt(max(a.in2 - a.in_mean**2, 0.0))
    return finding("input_scale", found, f"The inputs of {a.path} have mean {number(a.in_mean)} and standard "
                   f"deviation {number(std)}; initializers expect 0 and 1.", standardize(trace, found))


def find_large_outputs(trace: Trace, known: set[str]) -> list:
    """Find outputs that make the first loss far larger than that of guessing: of one layer, or a product."""
    guessed, last = math.isfinite(trace.guess), [a for a in trace.layers if a.last and not a.zero]
    if not (math.isfinite(trace.loss) or trace.framework == "weights"):
        return []
    if guessed and trace.loss <= LIMITS["loss"] * trace.guess:
        return []
    matrices = [(a, max(a.out2, a.output2 if a.output2 < math.inf else 0.0))
                for a in last if a.kind in MULTIPLYING and a.in2 > 0 and not _cosines(a)]
    ends = [a for a in last if a.kind == "scale"] if matrices else []  # a learnt scale after them
    root = 2
    if max([size for _, size in matrices], default=0.0) < LIMITS["share"] * trace.output2 < math.inf:
        free = [a for a, _ in matrices if not a.normalized]
        factors = [a for a in free if (n := a.fan_out * a.out2) * n > LIMITS["share"] * trace.output2]
        factors = (factors or [a for a in trace.layers if a.kind == "embedding"]
                   or (free if len(free) > 1 else []))
        large = LIMITS["share"] * max([a.out2 for a in factors], default=0.0)
        root, matrices = 4, [(replace(a, in2=a.out2), trace.output2) for a in factors if a.out2 > large]
    high = [(a, size) for a, size in matrices if size / a.in2 >= LIMITS["last layer"]]
    if not high or not (guessed or min(high[0][1], high[0][1] / high[0][0].in2) > LIMITS["one layer"]):
        return []
    a, size = max(high, key=lambda pair: pair[1] / pair[0].in2)
    wanted = max(trace.guess, 0.01) if guessed and trace.guess < 0.5 else 1.0  # E[t²] of a squared error
    said = f"The first loss is {number(trace.loss)}, guessing has {number(trace.guess)}. " if guessed else ""
    sizes = {b.path: size for b, size in high}
    what = "The last layer" if root == 2 else "What combines the outputs"
    code = scale(trace, [with_bias(b) for b, _ in high],
                 lambda b: min(wanted / sizes[b.path], 0.25) ** (1 / root),
                 f"the outputs' mean square is {number(wanted)} or less, the first loss that of guessing")
    return finding("output_scale", [b for b, _ in high] + ends, (
        f"{said}{what} multiplies the mean square by {number(size / a.in2)}, to {number(size)}; "
        f"{number(wanted)} or less is wanted."), code)


def _cosines(a: Layer) -> bool:
    """Test if weights and inputs have length 1: a factor after their products is meant as it is."""
    return max(abs(a.gain - 1), abs(a.fan_in * a.in2 - 1)) < 1e-3


def find_sudden_growth(trace: Trace, known: set[str]) -> list:
    """Name layers that read far larger numbers than all before them: a sum or product has made them."""
    if known - {"input_scale"} or trace.loss <= LIMITS["loss"] * trace.guess:
        return []
    largest, leaps = 1.0, []
    for a in trace.layers:
        if a.kind in MATRICES and not a.first and LIMITS["leap"] * largest < a.in2 < math.inf:
            leaps.append((a, a.in2 / largest))
        seen = (a.out2,) if a.kind == "norm" else (a.in2, a.out2)  # what it reads is divided by its size
        largest = max([largest, *(x for x in seen if x < math.inf)])
    harmful = LIMITS["one layer"] if math.isfinite(trace.guess) else LIMITS["grows"]  # the loss is, if known
    if math.prod(leap for _, leap in leaps) < harmful:
        return []
    a, leap = max(leaps, key=lambda pair: pair[1])
    return finding("input_scale", [a for a, _ in leaps], f"The inputs of {a.path} have mean square "
                   f"{number(a.in2)}, all before it at most {number(a.in2 / leap)}. Weights do not cause "
                   "this; something between does, such as a sum or an exponential.", divide(trace, leaps))


def find_sudden_loss(trace: Trace, known: set[str]) -> list:
    """Name layers that read far smaller numbers than the layer before them gives: a factor has made them."""
    if known:
        return []
    faint = [(a, trace.layers[a.next], a.read_ratio * a.kept) for a in trace.unbypassed() if a.next > 0
             and not a.normalized and 0 < a.read_ratio * a.kept < LIMITS["shrinks"]]
    if not faint:
        return []
    a, b, _ = min(faint, key=lambda one: one[2])
    return finding("input_scale", [b for _, b, _ in faint], f"The inputs of {b.path} have mean square "
                   f"{number(b.in2)}, the outputs of {a.path} {number(a.out2)}. Weights do not cause this; "
                   "something between does, such as a factor.",
                   divide(trace, [(b, factor) for _, b, factor in faint]))
