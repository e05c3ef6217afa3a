"""Questions of the lecture: predict, lock, reveal. The truth is computed from the scene's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pages.parts.text import number, percent, rate, ten_to
from vgdash.chain_learning import DescentParams, descent
from vgdash.initializers import INITIALIZERS
from vgdash.linear_chain import ChainParams, before_output, linear_chain
from vgdash.params import Params
from vgdash.probe.probe import CompareParams
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.spelling import SUPERSCRIPT
from vgdash.theory.fixed_points import FixedPoint, fixed_point
from vgdash.theory.layerwise import predict
from vgdash.theory.phase_diagram import PhaseParams
from vgdash.training.snapshots import Snapshot
from vgdash.training.trainer import TrainParams, train


@dataclass(frozen=True)
class Reveal:
    """The truth: the index of the right option, and the sentence that explains it."""

    index: int
    why: str


@dataclass(frozen=True, eq=False)
class Question:
    """A question to the audience; ``reveal(p)`` computes the truth for a parameter set of the page."""

    text: str
    options: tuple[str, ...]
    reveal: Callable[[Any], Reveal]


QUESTIONS: dict[str, Question] = {}  # a scene names its question by the key


def reveal(key: str, p: Params) -> Reveal:
    """Compute the truth of a question for a parameter set; takes up to 50 ms, about training up to 1 s."""
    return QUESTIONS[key].reveal(p)


def question(text: str, *options: str) -> Callable[[Callable[[Any], Reveal]], Question]:
    """Register a question under the name of the function that computes its truth."""
    return lambda compute: QUESTIONS.setdefault(compute.__name__, Question(text, options, compute))


def _nearest(values: tuple[float, ...], value: float) -> int:
    return min(range(len(values)), key=lambda i: abs(values[i] - value))


def _power(p: ChainParams) -> str:
    """Write the product of the lecture: 1.5¹⁴⁹ for 150 layers."""
    return f"{p.factor:g}{str(p.depth - 1).translate(SUPERSCRIPT)}"


def _direction(log10_change: float) -> int:
    """Return 0 if a quantity stays within a decade, 1 if it vanishes, 2 if it explodes."""
    return 0 if abs(log10_change) < 1 else 1 if log10_change < 0 else 2


@question("150 layers, and each of them but the last multiplies by 1.5. How large is the result?",
          "about 225", "10⁸", "10²⁶", "10¹⁰⁰")
def how_large(p: ChainParams) -> Reveal:
    end = float(before_output(p).log10_activation[-1])
    slope = f"log₁₀ {p.factor:g} = {math.log10(p.factor):.3f}"
    return Reveal(_nearest((math.log10(225), 8, 26, 100), end),
                  f"{_power(p)} = {ten_to(end)}. Each layer adds {slope} to the exponent.")


@question("Halve a number in float16, again and again. When is it exactly zero?",
          "never", "after 25 layers", "after 150", "after 1,075")
def float16_zero(p: ChainParams) -> Reveal:
    zero = linear_chain(p).forward["float16"].zero
    return Reveal(1 + _nearest((25, 150, 1075), zero) if zero else 0,
                  f"In float16 it is zero at layer {zero}. "
                  "The smallest number is 2⁻²⁴, and half of that rounds to zero.")


@question("A factor of 0.9 looks harmless. What is left of the signal after 152 layers?",
          "about a half", "about a hundredth", "a ten-millionth", "nothing at all")
def nine_tenths(p: ChainParams) -> Reveal:
    found = before_output(p)
    end = float(found.log10_activation[-1])
    why = f"{_power(p)} = {ten_to(end)}. The signal halves every {found.doubling_depth:.1f} layers."
    return Reveal(_nearest((math.log10(0.5), -2, -7, -math.inf), end), why)


@question("All weights start at 0.5. Which net needs more steps of gradient descent: 2 layers or 8?",
          "2 layers", "8 layers", "both the same")
def tiny_steps(p: ChainParams) -> Reveal:
    learning = descent(DescentParams(factor=p.factor, depth=p.depth))
    two, eight = (int(learning.steps[depth - 1]) for depth in (2, 8))
    late = "" if learning.reached[7] else ", and still not there"
    return Reveal(2 if two == eight else int(eight > two),
                  f"2 layers: {two:,} steps. 8 layers: {eight:,}{late}. "
                  f"Each weight's gradient is a product of all the others, {p.factor:g} each.")


@question("Four inputs of variance 1, and weights of variance 1. What is the variance of z?",
          "1", "2", "4", "16")
def four_inputs(p: NeuronParams) -> Reveal:
    found = neuron_variance(p)
    return Reveal(_nearest((1, 2, 4, 16), found.predicted),
                  f"z is a sum of {p.n} terms of variance 1, so Var(z) = {number(found.predicted, 2)}. "
                  f"Simulated: {number(found.measured, 3)}.")


@question("Weights with Var(w) = 1/n keep Var(z) at 1. What does ReLU leave of the mean square?",
          "all of it", "a half", "a quarter", "none")
def relu_half(p: NeuronParams) -> Reveal:
    left = neuron_variance(p).predicted_a2
    why = f"E[a²] = {number(left, 2)}. ReLU keeps only the positive half of z. So Var(w) must be 2/n."
    return Reveal(_nearest((1, 0.5, 0.25, 0), left), why)


@question("A net has 50 ReLU layers. With which rule does its signal survive?",
          *(INITIALIZERS[name].title for name in ("lecun_normal", "glorot_normal", "he_normal")))
def which_survives(p: CompareParams) -> Reveal:
    signals = {probe.initializer: predict(probe).log10_q for probe in p.probes}
    changes = {name: float(signals[name][-1] - signals[name][0]) for name in p.initializers}
    each = " ".join(f"{INITIALIZERS[name].short}: ×{ten_to(change)}." for name, change in changes.items())
    return Reveal(_nearest(tuple(changes.values()), 0),
                  f"E[z²] changes by these factors. {each} ReLU halves it, and only 2/n makes up for that.")


@question("Now tanh, 50 layers. Does He's 2/n also keep the gradient?",
          "yes", "no, it vanishes", "no, it explodes")
def tanh_gradient(p: CompareParams) -> Reveal:
    he = next(probe for probe in p.probes if probe.initializer == "he_normal")
    change = float(predict(he).log10_grad2[0])
    return Reveal(_direction(change),
                  f"From the last layer to the first, the squared gradient grows ×{ten_to(change)}. "
                  "The signal settles. One variance cannot keep both.")


@question("On average He keeps the mean square exactly. "
          "How different are two nets of width 20 after 100 layers?",
          "not at all", "by a factor of about 2", "by a factor of 1,000 or more")
def finite_width(p: CompareParams) -> Reveal:
    theory = predict(p.probes[0])
    low, high = theory.interval("q")
    decades, variance = float(high[-1] - low[-1]), theory.band_q.variance[-1]
    return Reveal(0 if decades < math.log10(1.2) else 1 if decades < 2 else 2,
                  f"19 of 20 nets lie within a factor of {ten_to(decades)}. The variance of ln E[z²] is "
                  f"{variance:.1f}: each layer adds up to 5/width. The average hides that.")


@question("50 ReLU layers from He keep the size of the signal. "
          "What happens to the angle between two unrelated inputs?",
          "it stays near 90°", "it shrinks to about 50°", "it shrinks to about 9°")
def parallel_inputs(p: CompareParams) -> Reveal:
    cosine = float(predict(p.probes[0]).correlation[-1])
    angle = math.degrees(math.acos(min(1.0, cosine)))
    return Reveal(_nearest((90, 50, 9), angle),
                  f"Their correlation grows to {cosine:.3f}. That is an angle of {angle:.0f}°. "
                  "To the last layers all inputs look nearly the same.")


@question("Batch normalization gives every layer the variance 1. "
          "What does that do to the gradient of 50 layers, before training?",
          "it keeps its size", "it vanishes", "it explodes")
def batch_norm(p: CompareParams) -> Reveal:
    change = float(predict(p.probes[0]).log10_grad2[0])
    factor = rate(10 ** (change / (p.depth - 1)))
    why = (f"The squared gradient grows {factor} a layer, ×{ten_to(change)} in all. "
           "To divide z by its spread amplifies every gradient.")
    return Reveal(_direction(change), why)


@question("50 ReLU layers start with the defaults of Keras, PyTorch and TensorFlow Playground. "
          "Which one's gradient keeps its size down to the first layer?",
          "that of Keras", "that of PyTorch", "that of the Playground", "none")
def defaults(p: CompareParams) -> Reveal:
    changes = [float(predict(probe).log10_grad2[0]) for probe in p.probes]
    steady = [i for i, change in enumerate(changes) if _direction(change) == 0]
    each = ", ".join(f"{name} ×{ten_to(change)}" for name, change in
                     zip(("Keras", "PyTorch", "Playground"), changes, strict=True))
    return Reveal(steady[0] if steady else 3,
                  f"From the last layer to the first, the squared gradient changes by these factors: {each}.")


# ---- training: short runs give the truth

SHORT = 100  # steps after which it shows who learns


def _trained(p: TrainParams, steps: int) -> Snapshot:
    *_, last = train(replace(p, steps=min(steps, p.steps)))
    return last


@question("Four nets of 30 layers differ only in how their weights start. Which one learns the digits?",
          "the one from zeros", "the one from 0.01²", "Glorot's", "He's")
def who_learns(p: TrainParams) -> Reveal:
    last = _trained(p, SHORT)
    right = last.held_out.mean(axis=1)
    each = ", ".join(map(percent, right))
    return Reveal(int(right.argmax()), f"Right on new digits after {last.step} steps, in this order: {each}.")


@question("Ten layers of sigmoid, three rules for the first weights. How many of the three nets learn?",
          "none", "one or two", "all three")
def sigmoid_learners(p: TrainParams) -> Reveal:
    last = _trained(p, p.steps)
    right = last.held_out.mean(axis=1)
    learned = int((right > 0.5).sum())
    return Reveal(0 if learned == 0 else 2 if learned == len(right) else 1,
                  f"After {last.step:,} steps the best gets {percent(right.max())} of new digits right.")


@question("A net of ten layers starts well, from He. What does a learning rate of 1 do to it?",
          "it learns faster", "it learns as before", "it blows up")
def learning_rate_one(p: TrainParams) -> Reveal:
    return _fate_of_he(p, replace(p, learning_rate=0.02))


@question("30 layers with skip connections start from He. Does the net learn?",
          "yes, quickly", "yes, slowly", "no, it blows up")
def skips_alone(p: TrainParams) -> Reveal:
    return _fate_of_he(p, replace(p, residual="scaled"))


def _fate_of_he(p: TrainParams, usual: TrainParams) -> Reveal:
    """Return 2 if the net from He diverges, else 0 if it is ahead of the one of ``usual``, else 1."""
    last, he = _trained(p, SHORT), p.initializers.index("he_normal")
    if (at := int(last.diverged[he].max())) >= 0:
        return Reveal(2, f"Its numbers overflow at step {at}.")
    right, before = (one.held_out[he].mean() for one in (last, _trained(usual, SHORT)))
    return Reveal(int(right <= before),
                  f"After {last.step} steps it gets {percent(right)} of new digits right.")


# ---- trainable depth

def _point(p: PhaseParams) -> FixedPoint:
    return fixed_point(p.activation, p.sigma_w2, p.sigma_b2)


@question("Two unrelated inputs go through many tanh layers with σw² = 1.5. "
          "What becomes of their correlation?",
          "it stays 0", "it settles between 0 and 1", "it goes to 1")
def unlike_inputs(p: PhaseParams) -> Reveal:
    end = _point(p).c_star
    return Reveal(2 if end > 0.99 else 1 if end > 0.05 else 0,
                  f"It ends at {end:z.2f}. After many layers both inputs give the same answer.")


@question("Two nearly equal inputs go through many tanh layers with σw² = 2.5. Where do they end?",
          "as close as before", "at the same place", "far apart")
def alike_inputs(p: PhaseParams) -> Reveal:
    point = _point(p)
    return Reveal(2 if point.c_star < 0.99 else 1 if point.chi_1 < 1 else 0,
                  f"Each layer multiplies the square of a small difference by {point.chi_1:.2f}. "
                  f"In the end their correlation is {point.c_star:z.2f}.")


@question("PyTorch recommends a gain of 5/3 for tanh. What happens to the gradient of a deep net?",
          "it vanishes", "it keeps its size", "it explodes")
def tanh_gain(p: PhaseParams) -> Reveal:
    chi = _point(p).chi_1
    return Reveal(1 if abs(chi - 1) < 0.01 else 0 if chi < 1 else 2,
                  f"Deep inside, the squared gradient changes {rate(chi)} a layer. In 100 layers that is "
                  f"×{ten_to(100 * math.log10(chi))}.")


@question("A ReLU net has PyTorch's default weights. What does one layer leave of the squared gradient?",
          "all of it", "a half", "a sixth", "a thousandth")
def pytorch_layer(p: PhaseParams) -> Reveal:
    chi = _point(p).chi_1
    return Reveal(_nearest((0, math.log10(1 / 2), math.log10(1 / 6), -3), math.log10(chi)),
                  f"It leaves {chi:.3f} of it: Var(w) = 1/(3n) leaves a third, and ReLU halves that.")
