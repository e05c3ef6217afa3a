"""Judge a trace: name the causes, most serious first, each with layers, evidence and the code that mends it.

Theory says what a layer does with its own input (``expectation``); what it does is measured. Each rule finds
one cause: of weights in ``weight_rules``, of skips in ``stream_rules``, of inputs and outputs in
``input_output_rules``; here are the gradient's path, what all units or all inputs have in common, and number
formats.
"""

from __future__ import annotations

import math

from vgdash.models.causes import CAUSES, LIMITS, finding, number
from vgdash.models.expectation import is_dead, is_shifted
from vgdash.models.fixes import REGISTER, attach, fill, redraw, revive, wider
from vgdash.models.input_output_rules import (
    find_bad_inputs,
    find_large_outputs,
    find_sudden_growth,
    find_sudden_loss,
)
from vgdash.models.loss_rules import find_bad_targets, find_broadcast, find_last_activation
from vgdash.models.records import MATRICES, MULTIPLYING, Finding, Layer, Trace
from vgdash.models.stream_rules import find_buried_skips, find_fading_stream, find_growing_stream
from vgdash.models.weight_rules import (
    find_outlying_layers,
    find_recurrent_growth,
    find_saturation,
    find_vanishing_or_exploding,
)
from vgdash.number_formats import FORMATS
from vgdash.spelling import count

FEW_UNITS = 7  # of which one layer in a hundred, or more, is all off by chance
NARROW = "All of so few units are often off by chance: take wider layers. "


def findings_of(trace: Trace) -> tuple[Finding, ...]:
    """List what is wrong, most serious first; nothing for a healthy model.

    A rule reads the trace and the causes that earlier rules have found, some of which explain what it sees.
    """
    found: list[Finding] = _not_finite(trace)
    for rule in RULES if not found else ():  # what is not finite hides all else
        found += rule(trace, {f.cause for f in found})
    order = list(CAUSES)
    return tuple(sorted(found, key=lambda f: (order.index(f.cause), -f.size)))


# ---- the gradient's path

def _detached(trace, known):
    where = f" The path ends at {' and '.join(trace.cuts[:2])}." if trace.cuts else ""
    cut = [a for a in trace.layers if a.gradient == "none"]
    if cut and not trace.cuts and not any(a.gradient in ("reaches", "zero") for a in trace.layers):
        return finding("detached", cut, "The loss has no gradient of the outputs: it is made of whole "
                       "numbers, such as argmax gives, or of a number that has left the graph.",
                       "# Compute the loss of the outputs themselves, without argmax, round, .item() or "
                       "torch.tensor(...).\n")
    if cut:
        some, of = (len({a.path for a in layers}) for layers in (cut, trace.layers))
        return finding("detached", cut, f"No gradient reaches {some} of {count(of, 'layer')}, though it "
                       f"should.{where}", attach(trace))
    learning = [a for a in trace.unbypassed(MATRICES) if not a.last]
    silent = [a for a in learning if a.gradient == "zero"]
    closed = any(a.zero or is_dead(a) or a.saturated > 0.99 or 0 in (a.in2, a.out2) or is_shifted(a)
                 for a in trace.layers)
    if silent and len(silent) == len(learning) and not closed and trace.format != "float16" and (
            trace.loss and math.isfinite(trace.loss) and not known):
        return finding("detached", silent, f"The gradient of {count(len(silent), 'layer')} is exactly 0: an "
                       f"operation without a slope, such as rounding or a comparison, follows them.{where}",
                       attach(trace))
    return []


def _zero(trace, known):
    stuck = [a for a in trace.layers if a.kind in MATRICES and a.zero and a.stuck]
    if not stuck:
        return []
    seen = "no gradient passes two in a row" if trace.framework == "weights" else (
        "their gradient is 0, and it stays 0 after two steps")
    return finding("weights_zero", stuck, f"All weights of {count(len(stuck), 'layer')} are 0: {seen}.",
                   redraw(trace, stuck))


def _closed(trace, known):
    closed = [a for a in trace.layers if a.kind in ("norm", "scale") and a.zero and not a.bypassed]
    below = [a for a in trace.layers if a.kind in MATRICES and a.gradient == "zero"]
    if not closed or not below:
        return []
    return finding("scale_zero", closed, f"The scale is 0 and no path leads around it: the gradient of "
                   f"{count(len(below), 'layer')} is exactly 0.",
                   fill(trace, [a.weight for a in closed], 1.0, "signal and gradient pass the scale"))


def _empty(trace, known):
    """Name normalizations of single numbers, or of equal ones: they give the same whatever they read."""
    empty = [a for a in trace.layers if a.kind == "norm" and a.in2 > 0 and not a.bypassed
             and a.out2 - a.bias2 < LIMITS["shrinks"] * a.weight2]
    if known or not empty or any(a.first and a.correlation > 0.99999 for a in trace.layers):
        return []
    return finding("norm_empty", empty, f"{empty[0].path} reads mean square {number(empty[0].in2)} and gives "
                   f"{number(empty[0].out2)}: each number is normalized by itself, or with equal ones.",
                   "# Normalize over more numbers, in fewer groups; or leave the normalization out.\n")


def _scales(trace, known):
    """Name learnt scales that make the gradient vanish: of normalization, or factors of their own."""
    small = [a for a in trace.layers if a.kind in ("norm", "scale") and a.weight and not a.bypassed
             and 0 < a.weight2 < LIMITS["share"]]
    gradients = [a.grad_in for a in trace.unbypassed() if 0 < a.grad_in < math.inf]
    lost = math.log10(gradients[-1] / min(gradients)) if gradients else 0.0
    by_scales = -sum(math.log10(a.weight2) for a in small)
    if known or lost < -math.log10(LIMITS["shrinks"]) or by_scales < lost / 2:
        return []
    return finding("scale_small", small, (
        f"The scale has mean square {number(small[0].weight2)} at {small[0].path}, and multiplies the "
        f"gradient's square by it; in all it shrinks to {number(10**-lost)}."),
        fill(trace, [a.weight for a in small], 1.0, "signal and gradient pass the scale"), lost)


def _dead(trace, known):
    dead = [a for a in trace.layers if is_dead(a) and 0 < a.in2 < math.inf and not a.zero]
    if not dead or known & {"weights_zero", "scale_zero"}:
        return []
    a = dead[0]
    spread = number(math.sqrt(max(a.out2 - a.out_mean**2 - (a.bias2 - a.bias_mean**2), 0.0)))
    return finding("dead", dead, (
        f"{a.dead:.0%} of the units after {a.path} are off for every input; by chance half of them are. "
        f"{NARROW if a.units < FEW_UNITS else ''}The bias has mean {number(a.bias_mean)}; the sum over the "
        f"inputs has standard deviation {spread}."),
        revive(trace, dead))


def _identical(trace, known):
    same = [a for a in trace.layers if a.identical and not a.stuck]
    if not same:
        return []
    return finding("weights_identical", same, "All rows of the weights are equal in "
                   f"{count(len(same), 'layer')}, and their gradient does not part them: the units stay one "
                   "unit.", redraw(trace, same))


# ---- what all units, or all inputs, have in common

def _shifted(trace, known):
    """Find weights whose mean w adds up: n inputs of mean m give each unit n·w·m, beside what differs."""
    shifted = [a for a in trace.unbypassed() if is_shifted(a) and not a.last and not a.normalized]
    if known - {"input_scale"} or not shifted:
        return []
    sizes = [x for a in trace.unbypassed() for x in (a.in2, a.out2) if 0 < x < math.inf]
    gradients = [a.grad_in for a in trace.unbypassed() if 0 < a.grad_in < math.inf]
    grown = max(max(found, default=1.0) / min(found, default=1.0) for found in (sizes, gradients))
    if trace.framework == "weights":  # its sizes are those of weights without a mean
        grown = math.prod(a.common / a.in2 for a in shifted)
    if grown < LIMITS["grows"] and not any(a.gradient == "zero" for a in shifted):
        return []
    shares = {a.path: a.common / max(a.out2, a.common + a.variance * a.fan_in * a.in2) for a in shifted}
    a = max(shifted, key=lambda a: shares[a.path])
    mean = math.copysign(math.sqrt(a.weight2 - a.variance), a.out_mean * a.in_mean)
    return finding("weights_shifted", shifted, (
        f"The weights of {a.path} have mean {number(mean)} beside a standard deviation of "
        f"{number(math.sqrt(a.variance))}. Over {a.fan_in:.0f} inputs the mean adds up: all units have at "
        f"least {shares[a.path]:.0%} of their mean square in common. The largest mean square is "
        f"{number(grown)} times the smallest."), redraw(trace, shifted), math.log10(grown))


def _biases(trace, known):
    """Find biases that make all inputs one: each adds the same to all of them, layer after layer.

    A bias that makes the share s of a layer's mean square leaves 1 - s of what tells two inputs apart. Where
    the signal has shrunk, its size at the start counts: then the weights are at fault, not the bias.
    """
    hidden = [a for a in trace.unbypassed() if not (a.last or a.zero) and a.correlation <= 1.001]
    if len(hidden) < 2 or known & {"detached", "dead", "weights_identical", "input_scale"}:
        return []
    first, last = (max(1 - a.correlation, 1e-8) for a in (hidden[0], hidden[-1]))
    whole = max(hidden[0].out2 - hidden[0].bias2, hidden[0].in2, 1e-8)
    decades = [(a, math.log10(1 + a.bias2 / max(a.out2 - a.bias2, whole)))
               for a in hidden if a.bias and 0 < a.bias2 < math.inf]
    large = [a for a, found in decades if found > 0.04]
    lost = math.log10(first / last)
    by_biases = sum(found for _, found in decades if found > 0)
    if last > LIMITS["apart"] * first or by_biases < min(0.5 * lost, 2.0) or not large:
        return []
    share = sum(a.bias2 / a.out2 for a in large) / len(large)
    return finding("bias_large", large, (
        f"All inputs become one: after layer {hidden[0].path} the cosine of two is {number(1 - first)}, "
        f"after layer {hidden[-1].path} it is {1 - last:.6f}. The biases of {count(len(large), 'layer')}, "
        f"which are the same for all inputs, make {share:.0%} of the mean square."),
        fill(trace, [a.bias for a in large], 0.0, "the inputs stay different"), lost)


# ---- number formats

def _overflow(trace, known):
    largest = [max(x for x in (a.in_largest, a.out_largest, 0.0) if x == x) for a in trace.layers]
    if trace.broken:
        high = max((x for x in largest if x < math.inf), default=0.0)
        readers = [a for a, x in zip(trace.layers, largest, strict=True) if x == math.inf]
        places = [Layer(trace.broken.removeprefix("(the model)")), *readers[:1]]
        said = f"The first infinite number stands in {trace.broken}; elsewhere the largest is {number(high)}"
    elif "float16" in trace.formats and max(largest, default=0.0) > FORMATS["float16"].largest:
        places = [a for a, x in zip(trace.layers, largest, strict=True) if x > FORMATS["float16"].largest][:1]
        said = f"The largest entry at {places[0].path} is {number(max(largest))}"
    else:
        return []
    return finding("float16_overflow", places, f"{said}; float16 ends at 65,504.", wider(trace))


def _underflow(trace, known):
    if known & {"float16_overflow", "detached", "weights_small"} or not trace.shrunk > LIMITS["rounded"]:
        return []
    smallest = FORMATS["float16"].smallest_subnormal
    layers = [a for a in trace.layers if a.kind in MATRICES]
    low = [a for a in layers if a.gradient == "zero" or a.grad_out2 < (4 * smallest) ** 2]
    return finding("float16_underflow", low or layers, f"float16 rounds {trace.shrunk:.0%} of the gradient "
                   "to 0: its smallest number is 6.0·10⁻⁸.", wider(trace))


# ---- numbers that are not finite, and layers that nothing trains

def _not_finite(trace):
    """Name weights, inputs or targets that are not finite: what is computed of them is not, either."""
    wrong = [a for a in trace.layers if not math.isfinite(a.weight2)]
    if wrong:
        return finding("not_finite", wrong, f"The weights of {wrong[0].path} hold NaN or infinity.",
                       redraw(trace, wrong))
    read = [a for a in trace.layers if a.first and a.kind in MULTIPLYING and not math.isfinite(a.in2)
            and not math.isfinite(a.out2)]
    if read and trace.framework != "weights" and trace.format != "float16":
        return finding("not_finite", read, f"What {read[0].path} reads holds NaN or infinity.",
                       "# Look for NaN and infinity in the inputs, and for a division by 0.\n")
    if not trace.finite_targets:
        return finding("not_finite", [a for a in trace.layers if a.last], "The targets hold NaN or infinity.",
                       "# Leave out examples whose target is missing, or mask them in the loss.\n")
    return []


def _infinite(trace, known):
    """Name the layer after which the first number, or the last gradient, is not finite."""
    if known or trace.framework == "weights":
        return []
    wrong = [a for a in trace.layers if not math.isfinite(a.out2)]
    if wrong:
        return finding("not_finite", wrong[:1], f"Weights and inputs are finite; what {wrong[0].path} reads "
                       "or gives is not.", "# Look for a division by 0, a logarithm of 0, exp of a large "
                       "number, or a mask that leaves nothing.\n")
    if not math.isfinite(trace.loss):
        return finding("not_finite", [a for a in trace.layers if a.last], "The loss is not finite; all "
                       "outputs are.", "# Look at the loss: a logarithm of 0, a division by 0, or no target "
                       "left.\n")
    back = [a for a in trace.layers if not math.isfinite(a.grad_out2) and a.gradient == "not finite"]
    steep = f": {trace.no_slope}" if trace.no_slope else ""
    return finding("not_finite", back[-1:], (
        f"The loss is finite, the gradient of what {back[-1].path} gives is not. An operation after it has "
        f"an infinite slope at 0{steep}; torch.where hides its value, not its gradient.") if back else "", (
        "# Add a small number inside of a root, norm, standard deviation or logarithm, and to what divides:\n"
        "# (x**2 + 1e-8).sqrt() in place of (x**2).sqrt()\n"))


def _unregistered(trace, known):
    if not trace.unregistered:
        return []
    places = [Layer(path) for path in trace.unregistered]
    return finding("unregistered", places, "Its layers stand in a Python list or dictionary: "
                   "model.parameters() does not have them, and no optimizer changes them.",
                   REGISTER if trace.framework == "torch" else "# Make them attributes of the model.\n")


RULES = (_unregistered, find_broadcast, find_last_activation, _detached, _overflow, _zero, _closed, _dead,
         _empty, _scales, _identical, find_bad_inputs,
         find_bad_targets, find_growing_stream, find_fading_stream, find_recurrent_growth,
         find_vanishing_or_exploding, find_saturation, find_outlying_layers, find_buried_skips, _shifted,
         _biases, find_large_outputs, find_sudden_growth, find_sudden_loss, _underflow, _infinite)
