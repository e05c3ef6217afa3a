"""Questions of the lecture: predict, lock, reveal. The truth is computed from the scene's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pages.parts.text import number, ten_to, times
from vgdash.chain_learning import DescentParams, descent
from vgdash.linear_chain import ChainParams, linear_chain
from vgdash.params import Params
from vgdash.probe.probe import CompareParams
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.theory.layerwise import predict


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
    """Compute the truth of a question for a parameter set; takes up to 50 ms."""
    return QUESTIONS[key].reveal(p)


def question(text: str, *options: str) -> Callable[[Callable[[Any], Reveal]], Question]:
    """Register a question under the name of the function that computes its truth."""
    return lambda compute: QUESTIONS.setdefault(compute.__name__, Question(text, options, compute))


def _nearest(values: tuple[float, ...], value: float) -> int:
    return min(range(len(values)), key=lambda i: abs(values[i] - value))


def _direction(log10_change: float) -> int:
    """Return 0 if a quantity stays within a decade, 1 if it vanishes, 2 if it explodes."""
    return 0 if abs(log10_change) < 1 else 1 if log10_change < 0 else 2


@question("Multiply by 1.5 a hundred and fifty times. How large is the result?",
          "about 225", "10⁸", "10²⁶", "10¹⁰⁰")
def how_large(p: ChainParams) -> Reveal:
    end = float(linear_chain(p).log10_activation[-1])
    slope = f"log₁₀ {p.factor:g} = {math.log10(p.factor):.3f}"
    return Reveal(_nearest((math.log10(225), 8, 26, 100), end),
                  f"{p.factor:g}^{p.depth} = {ten_to(end)}: the exponent grows by {slope} a layer.")


@question("Halve a number in float16, again and again. When is it exactly zero?",
          "never", "after 25 layers", "after 150", "after 1,075")
def float16_zero(p: ChainParams) -> Reveal:
    zero = linear_chain(p).forward["float16"].zero
    return Reveal(1 + _nearest((25, 150, 1075), zero) if zero else 0,
                  f"Multiplied in float16 it is zero at layer {zero}: "
                  "the smallest number is 2⁻²⁴, and half of that rounds to zero.")


@question("0.9 looks harmless. What is left of the signal after 152 layers?",
          "about a half", "about a hundredth", "a ten-millionth", "nothing at all")
def nine_tenths(p: ChainParams) -> Reveal:
    found = linear_chain(p)
    end = float(found.log10_activation[-1])
    why = f"{p.factor:g}^{p.depth} = {ten_to(end)}. It halves every {found.doubling_depth:.1f} layers."
    return Reveal(_nearest((math.log10(0.5), -2, -7, -math.inf), end), why)


@question("Weights start at 0.5. Who needs more steps of gradient descent to learn: 2 layers or 8?",
          "2 layers", "8 layers", "both the same")
def tiny_steps(p: ChainParams) -> Reveal:
    learning = descent(DescentParams(factor=p.factor, depth=p.depth))
    two, eight = (int(learning.steps[depth - 1]) for depth in (2, 8))
    late = "" if learning.reached[7] else ", and it has not arrived"
    return Reveal(2 if two == eight else int(eight > two),
                  f"2 layers: {two:,} steps. 8 layers: {eight:,}{late}. "
                  f"The gradient has 7 more factors of {p.factor:g}.")


@question("Weights with Var(w) = 1/n keep Var(z) at 1. What does ReLU leave of the mean square?",
          "all of it", "a half", "a quarter", "none")
def relu_half(p: NeuronParams) -> Reveal:
    left = neuron_variance(p).predicted_a2
    why = f"E[a²] = {number(left, 2)}: z is symmetric, and ReLU keeps one side. So Var(w) must be 2/n."
    return Reveal(_nearest((1, 0.5, 0.25, 0), left), why)


@question("50 layers of ReLU. Whose signal survives?",
          "lecun_normal, 1/n", "glorot_normal, 2/(n_in+n_out)", "he_normal, 2/n")
def which_survives(p: CompareParams) -> Reveal:
    signals = {probe.initializer: predict(probe).log10_q for probe in p.probes}
    changes = {name: float(signals[name][-1] - signals[name][0]) for name in p.initializers}
    each = " ".join(f"{name}: {ten_to(change)}." for name, change in changes.items())
    return Reveal(_nearest(tuple(changes.values()), 0), f"{each} ReLU halves, so only 2/n puts it back.")


@question("And with tanh, does He's 2/n also keep the gradient?",
          "yes", "no, it vanishes", "no, it explodes")
def tanh_gradient(p: CompareParams) -> Reveal:
    he = next(probe for probe in p.probes if probe.initializer == "he_normal")
    change = float(predict(he).log10_grad2[0])
    return Reveal(_direction(change),
                  f"From the last layer to the first its square changes ×{ten_to(change)}. "
                  "Forward it settles, backward it does not: one number cannot fix both.")


@question("He's initialization keeps the mean square exactly 1 on average. "
          "How far apart are two nets of width 20 after 100 layers?",
          "not at all", "by a factor of 2 or so", "by a factor of 1,000 and more")
def finite_width(p: CompareParams) -> Reveal:
    theory = predict(p.probes[0])
    low, high = theory.interval("q")
    decades, variance = float(high[-1] - low[-1]), theory.band_q.variance[-1]
    return Reveal(0 if decades < math.log10(1.2) else 1 if decades < 2 else 2,
                  f"19 of 20 nets lie within a factor of {ten_to(decades)}: ln q scatters with variance "
                  f"{variance:.1f}, 5 for each layer divided by its width. The average hides it.")


@question("He's initialization, ReLU, 50 layers: norms are fine. "
          "What happens to the angle between two unrelated inputs?",
          "it stays near 90°", "it shrinks to about 50°", "it shrinks to about 9°")
def parallel_inputs(p: CompareParams) -> Reveal:
    cosine = float(predict(p.probes[0]).correlation[-1])
    angle = math.degrees(math.acos(min(1.0, cosine)))
    return Reveal(_nearest((90, 50, 9), angle),
                  f"Their correlation grows to {cosine:.3f}, an angle of {angle:.0f}°: "
                  "to the last layers all inputs look the same.")


@question("Batch normalization holds every layer at variance 1. "
          "What does that do to the gradient of 50 layers at the start?",
          "holds it at 1 too", "makes it vanish", "makes it explode")
def batch_norm(p: CompareParams) -> Reveal:
    change = float(predict(p.probes[0]).log10_grad2[0])
    factor = times(10 ** (change / (p.depth - 1)))
    why = f"{factor} a layer back, {ten_to(change)} in all: dividing by the spread amplifies every gradient."
    return Reveal(_direction(change), why)
