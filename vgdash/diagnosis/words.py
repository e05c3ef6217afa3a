"""Sentences of a ``Diagnosis`` d: short clauses, the most important first, with numbers of the record."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.courses import Course
from vgdash.diagnosis.nets import leaves_signs, units_stay_equal
from vgdash.diagnosis.outlook import log_bending, only_neighbours
from vgdash.diagnosis.thresholds import (
    FIRST_LOSS,
    FLAT,
    LOST,
    MISLEADS,
    MOVED,
    NEARLY,
    OFFSET,
    SATURATED,
    SCATTERS,
    UNEVEN,
)
from vgdash.spelling import SUPERSCRIPT, count, layers, number, plain, rate, ten_to, times

SIGNS = "batches of 2 leave only the sign of each unit: take at least 8 inputs"
NEIGHBOURS = "only inputs that are very close stay alike"
EQUAL = "all units of a layer are equal, and training keeps them so"
POWERS = {-2.0: "1/depth²", -1.0: "1/depth", -0.5: "1/√depth", 0.5: "√depth", 1.0: "the depth", 2.0: "depth²"}
NEAR = 0.15  # of the power
MILD = {"vanishes": "shrinks", "explodes": "grows"}
PLURALS = {"vanishes": "vanish", "is": "are"}


@dataclass(frozen=True)
class Clause:
    """One thing to say of a net: ``text`` begins with a small letter and ends without a stop."""

    subject: str  # course, training, dead_nets, saturated ...
    text: str
    trouble: bool = False


def troubles(d) -> tuple[Clause, ...]:
    """Say what signal and gradient do, then what is wrong besides, the most important first."""
    if d.signal.behaviour == "dies":
        return (_dies(d),)
    return (_courses(d), *(clause for clause in _besides(d) if clause.trouble))


def remarks(d) -> tuple[Clause, ...]:
    """Say what else there is; takes 10 to 20 ms where the trainable depth is in question."""
    if d.signal.behaviour == "dies":
        return ()
    parts = (_depth, _formats, _scatter) if not leaves_signs(d.params) else ()  # gradients have no mean there
    more = [clause for part in (_shut, *parts) for clause in part(d)]
    return *(clause for clause in _besides(d) if not clause.trouble), *more


def outcome(d) -> Clause | None:
    """Say what training makes of this start, if anything is wrong with it."""
    if d.signal.behaviour == "dies" or (d.learns and not _fades(d)):
        return None
    if d.learns:
        return Clause("training", "SGD still trains this net")
    if d.learns is None:
        return Clause("training", f"SGD may train this net{'; Adam can' if d.adam_learns else ''}")
    adam = {True: "Adam can still train this net; SGD cannot", None: "SGD cannot train this net; Adam may",
            False: "SGD cannot train this net; nor can Adam"}
    return Clause("training", adam[d.adam_learns], True)


def _besides(d) -> list[Clause]:
    parts = (_symmetry, _identity, _inputs, _dead, _narrow, _parallel, _blurred, _hidden, _uneven, _saturated,
             _first_loss)
    if leaves_signs(d.params):
        parts = [part for part in parts if part not in (_blurred, _uneven)]  # theory of large batches
    return [clause for part in parts for clause in part(d)]


def _symmetry(d) -> list[Clause]:
    return [Clause("symmetry", EQUAL, True)] if units_stay_equal(d.params) else []


def _identity(d) -> list[Clause]:
    """Speak of inputs that W = I does not hand on, for a layer is narrower than they are many."""
    handed, inputs = min(d.params.widths[:-1]), d.params.widths[0]
    if d.params.initializer != "identity" or handed == inputs:
        return []
    said = f"W = I hands on only the first {handed:,} of {inputs:,} inputs"
    return [Clause("identity", said, inputs > 2 * handed)]


# ---- signal and gradient

def _courses(d) -> Clause:
    if leaves_signs(d.params):
        return Clause("course", SIGNS, True)
    signal, gradient = d.signal, d.gradient
    trouble = _fades(d) and not d.learns
    ours, theirs = describe(signal, mild(d) or _still_bends(d)), describe(gradient, mild(d))
    if ours == theirs == "holds" and _strays(d):
        ours = theirs = "holds on average"
    if ours == theirs:
        return Clause("course", f"signal and gradient {_plural(ours)}", trouble)
    if gradient.behaviour in ("holds", "settles"):
        kept = "" if _fades(d) or d.params.depth == 1 else "; gradients keep their size"
        return Clause("course", f"the signal {ours}{kept}", trouble)
    if signal.behaviour == gradient.behaviour:
        theirs = f"too, {figure(gradient)}"
    return Clause("course", f"the signal {ours}; the gradient {theirs}", trouble)


def _dies(d) -> Clause:
    if d.params.depth == 1:
        return Clause("course", "a good start, for one layer has no symmetry to break")
    return Clause("course", f"nothing passes: every z is 0 from layer {d.signal.worst_layer} on", True)


def _fades(d) -> bool:
    """Test if signal or gradient goes far on its way; where only signs are left that is chance."""
    far = (way.behaviour in ("vanishes", "explodes", "dies") or abs(way.total) > LOST
           for way in (d.signal, d.gradient))
    return any(far) and not leaves_signs(d.params)


def mild(d) -> bool:
    """Test if "shrinks" and "grows" say enough: what vanishes or explodes was seen not to learn with SGD."""
    return d.learns is not False


def _still_bends(d) -> bool:
    """Test if a signal that falls stays where the activation bends, as 1/100 does to tanh(10 z)."""
    bends = log_bending(ACTIVATIONS[d.params.activation]) / math.log(10)
    lowest = d.theory.log10_q[:-1].min(initial=math.inf)
    return d.signal.behaviour == "vanishes" and -math.inf < bends <= lowest < math.inf


def describe(course: Course, mild: bool) -> str:
    """Say what signal or gradient does, without its name: "vanishes, ×0.50 a layer"."""
    word = MILD.get(course.behaviour, course.behaviour) if mild else course.behaviour
    if word == "holds":
        return word
    link = {"settles": " at ", "dies": " ", "power_law": " only "}.get(word, ", ")
    verb = {"dies": "is", "power_law": "grows" if (course.power or 0) > 0 else "falls"}.get(word, word)
    return f"{verb}{link}{figure(course)}"


def figure(course: Course) -> str:
    """Spell the number that describes a course: "×0.50 a layer", "like 1/depth", "×768 in layer 1"."""
    if course.behaviour == "settles":
        return number(course.limit)
    if course.behaviour == "dies":
        return f"0 from layer {course.worst_layer} on"
    if course.behaviour == "power_law":
        return f"like {spell_power(course.power)}"
    if not math.isfinite(course.total):
        return f"beyond all numbers at layer {course.worst_layer}"
    if course.factor is not None and math.log10(course.factor) != course.worst_step:
        return f"{rate(course.factor)} a layer"
    if course.behaviour != "holds" and course.worst_step / course.farthest > 0.5 and (
            course.worst_step < 0) == (course.behaviour == "vanishes"):
        return f"{_times(course.worst_step)} in layer {course.worst_layer}"
    if course.behaviour != "holds" and abs(course.total) <= MOVED:
        return f"{_times(course.farthest)} on its way"
    return in_all(course)


def in_all(course: Course) -> str:
    """Spell what a course adds up to, from its first number to its last: "×0.0052 in all"."""
    return f"{_times(course.total)} in all"


def _times(decades: float) -> str:
    return times(10**decades) if abs(decades) < 300 else f"×{ten_to(decades)}"


def spell_power(power: float) -> str:
    """Spell a power of the depth: "1/depth", "the depth", or "depth¹·⁷"."""
    nearest = min(POWERS, key=lambda one: abs(one - power))
    if abs(nearest - power) <= NEAR * max(1, abs(nearest)):
        return POWERS[nearest]
    return f"{'1/' * (power < 0)}depth{f'{abs(power):.1f}'.translate(SUPERSCRIPT)}"


def _plural(text: str) -> str:
    return re.sub(r"^\w+", lambda verb: PLURALS.get(verb[0], verb[0].removesuffix("s")), text)


# ---- what else there is

def _inputs(d) -> list[Clause]:
    """Speak of inputs far from a mean square of 1, unless something scales what comes of them; or off 0.

    A mean makes all inputs alike. Batch normalization subtracts it, other scales leave it.
    """
    p = d.params
    scaled = p.normalization != "none" or p.rescale != "none"
    large = not scaled and abs(math.log10(p.input_square)) > MOVED
    offset = p.normalization != "batch" and p.input_mean**2 > OFFSET * p.input_scale**2
    if not (large or offset):
        return []
    mean, deviation, root = (number(one) for one in (p.input_mean, p.input_scale, math.sqrt(p.input_square)))
    if not p.input_mean:
        said = f"a mean square of {number(p.input_square)}: divide them by {root}"
    else:
        divide = f", divide by {deviation}" * (not scaled and abs(2 * math.log10(p.input_scale)) > FLAT)
        said = f"mean {mean}: subtract it{divide}"
    return [Clause("inputs", f"the inputs have {said}", True)]


def _dead(d) -> list[Clause]:
    dead = d.dead_nets
    if not dead.count:
        return []
    verb = "is" if dead.count == 1 else "are"
    return [Clause("dead_nets", f"{dead.count} of {dead.of} nets {verb} dead: take wider layers", True),
            Clause("expected_dead", f"about {dead.expected:.0%} of such nets have a layer that is all off")]


def _saturated(d) -> list[Clause]:
    if d.saturated < SATURATED:
        return []
    return [Clause("saturated", f"{d.saturated:.0%} of its units are saturated", True)]


def _narrow(d) -> list[Clause]:
    """Speak of the middle net where only the mean over nets holds, which few of them carry."""
    signal, gradient = d.signals.measured, d.gradients.measured
    both = signal and gradient and signal.behaviour == gradient.behaviour == "vanishes"
    if not (both and d.signal.behaviour == d.gradient.behaviour == "holds" and _strays(d)):
        return []
    return [Clause("narrow", f"nets this narrow {_plural(describe(signal, mild(d)))}", True)]


def _parallel(d) -> list[Clause]:
    if not d.correlation.parallel or d.gradient.behaviour in ("dies", "vanishes"):
        return []  # where gradients vanish, differences do too
    within = count(d.correlation.layers, "layer")
    return [Clause("parallel", f"all inputs become parallel within {within}", True)]


def _blurred(d) -> list[Clause]:
    """Speak of inputs that lose what tells them apart without being parallel: by dropout, chaos, batches."""
    lost = d.outlook.difference
    if d.learns or d.correlation.parallel or not MOVED < lost < math.inf or _fades(d):
        return []
    said = (NEIGHBOURS if only_neighbours(d.params, d.outlook) else
            "all inputs become nearly parallel" if 1 - d.correlation.last < NEARLY else
            f"{_times(-lost)} of the difference between inputs is left")
    return [Clause("difference", said, True)]


def _uneven(d) -> list[Clause]:
    if d.learns or d.outlook.unevenness < UNEVEN or _fades(d):
        return []
    return [Clause("uneven", "some directions of the inputs are stretched, others lost")]


def _hidden(d) -> list[Clause]:
    if d.learns or not d.outlook.hidden:
        return []
    what = "the length of the inputs" if d.params.normalization == "layer" else "what x and −x share"
    return [Clause("hidden", f"normalization hides {what}", True)]


def _first_loss(d) -> list[Clause]:
    """Speak of the softmax of an output layer: a layer unlike the one before it, or the only one."""
    widths = d.params.widths
    if (len(widths) > 2 and widths[-1] == widths[-2]) or (loss := d.first_loss) is None:
        return []
    if loss.excess < FIRST_LOSS:
        return []
    said = f"the first loss is {spell_loss(loss.expected)}, not {spell_loss(loss.guess)}"
    mended = f"a last layer {times(loss.scale)} would start at a loss of {spell_loss(loss.mended)}"
    return [Clause("first_loss", said, loss.excess > MISLEADS), Clause("last_layer", mended)]


def spell_loss(loss: float) -> str:
    """Spell a loss with three digits: 3.30, 26.0, 114."""
    return plain(loss, 3) if loss < 1e5 else number(loss)


def _shut(d) -> list[Clause]:
    """Speak of a last layer of zeros: it sends no gradient back, until the first step moves it."""
    shut = d.params.last_scale == 0 and d.params.depth > 1
    return [Clause("first_step", "at the first step only the last layer learns")] if shut else []


def _depth(d) -> list[Clause]:
    steady = d.gradient.behaviour in ("holds", "settles", "power_law") and not d.correlation.parallel
    if steady or d.learns is not False or not d.trainable_depth < d.params.depth:  # which takes 10 ms
        return []
    return [Clause("trainable_depth", f"plain SGD trains {layers(d.trainable_depth)} of this kind")]


def _formats(d) -> list[Clause]:
    narrow, wide = d.number_formats[0], d.number_formats[-1]
    if narrow.survives or narrow.zero == wide.zero is not None:  # weights of 0 are 0 in every format
        return []
    return [Clause("number_formats", narrow.sentence)]


def _scatter(d) -> list[Clause]:
    said = Clause("scatter", "single nets stray far from this mean: take wider layers")
    return [said] if _strays(d) else []


def _strays(d) -> bool:
    """Test if layers are so narrow that no net is as the mean: an output of few units scatters anyway."""
    return max(d.signals.inner, d.gradients.inner) > SCATTERS
