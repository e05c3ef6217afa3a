"""The lecture as a walk: scenes in the order of the source material. Data, and the questions that some of them ask.

A scene is a page, the values that it sets there (everything else is at its default), one line to say, and where in the source
material it belongs. Its name is its address, so names stay. A question's truth is computed from the scene's own parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pages.parts.text import number, ten_to, times
from pages.parts.views.training import GRADIENTS
from vgdash.chain_learning import DescentParams, descent
from vgdash.linear_chain import ChainParams, linear_chain
from vgdash.params import Params
from vgdash.probe.probe import CompareParams
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.theory.layerwise import predict
from vgdash.theory.phase_diagram import PhaseParams
from vgdash.training.trainer import TrainParams

KINDS: dict[str, type[Params]] = {
    "linear_chain": ChainParams, "neuron_variance": NeuronParams, "initializers": CompareParams, "training": TrainParams,
    "trainable_depth": PhaseParams, "published": Params,
}


@dataclass(frozen=True, eq=False)
class Question:
    """``answer(p)`` is the index of the right option, ``why(p)`` the sentence for it; both compute from the parameters."""

    text: str
    options: tuple[str, ...]
    answer: Callable[[Any], int]
    why: Callable[[Any], str]


@dataclass(frozen=True, eq=False)
class Scene:
    page: str
    name: str
    say: str
    source: str
    values: Mapping[str, Any] = field(default_factory=dict)
    question: Question | None = None

    @property
    def params(self) -> Params:
        """The parameter set of this scene; values of the page's display choices are left to the page."""
        p, refused = KINDS[self.page].parse_lenient(self.values)
        assert not refused, refused
        return p


def _nearest(values: tuple[float, ...], value: float) -> int:
    return min(range(len(values)), key=lambda i: abs(values[i] - value))


def _first_above(bounds: tuple[float, ...], value: float) -> int:
    """Index of the range that holds ``value``, ranges ending at ``bounds``."""
    return next((i for i, bound in enumerate(bounds) if value < bound), len(bounds))


# ---- questions

def _end(p: ChainParams) -> float:
    return float(linear_chain(p).log10_activation[-1])


HOW_LARGE = Question(
    "Multiply by 1.5 a hundred and fifty times. How large is the result?", ("about 225", "10⁸", "10²⁶", "10¹⁰⁰"),
    lambda p: _nearest((math.log10(225), 8, 26, 100), _end(p)),
    lambda p: f"{p.factor:g}^{p.depth} = {ten_to(_end(p))}: the exponent grows by log₁₀ {p.factor:g} = {math.log10(p.factor):.3f} a layer.")

FLOAT16 = Question(
    "Halve a number in float16, again and again. When is it exactly zero?", ("never", "after 25 layers", "after 150", "after 1,075"),
    lambda p: (1, 2, 3)[_nearest((25, 150, 1075), zero)] if (zero := linear_chain(p).forward["float16"].zero) else 0,
    lambda p: f"Multiplied in float16 it is zero at layer {linear_chain(p).forward['float16'].zero}: "
              "the smallest number is 2⁻²⁴, and half of that rounds to zero.")

NINE_TENTHS = Question(
    "0.9 looks harmless. What is left of the signal after 152 layers?",
    ("about a half", "about a hundredth", "a ten-millionth", "nothing at all"),
    lambda p: _nearest((math.log10(0.5), -2, -7, -math.inf), _end(p)),
    lambda p: f"{p.factor:g}^{p.depth} = {ten_to(_end(p))}. It halves every {linear_chain(p).doubling_depth:.1f} layers.")


def _learning(p: ChainParams):
    return descent(DescentParams(factor=p.factor, depth=p.depth))


TINY_STEPS = Question(
    "Weights start at 0.5. Who needs more steps of gradient descent to learn: 2 layers or 8?",
    ("2 layers", "8 layers", "both the same"),
    lambda p: 2 if (s := _learning(p).steps)[1] == s[7] else int(s[7] > s[1]),
    lambda p: f"2 layers: {_learning(p).steps[1]:,} steps. 8 layers: {_learning(p).steps[7]:,}"
              f"{', and it has not arrived' if not _learning(p).reached[7] else ''}. The gradient has 7 more factors of {p.factor:g}.")

HALF = Question(
    "Weights with Var(w) = 1/n keep Var(z) at 1. What does ReLU leave of the mean square?", ("all of it", "a half", "a quarter", "none"),
    lambda p: _nearest((1, 0.5, 0.25, 0), neuron_variance(p).predicted_a2),
    lambda p: f"E[a²] = {number(neuron_variance(p).predicted_a2, 2)}: z is symmetric, and ReLU keeps one side. So Var(w) must be 2/n.")


def _drift(p: CompareParams, name: str) -> float:
    """Decades that the mean square of the signal moves from the first layer to the last, in theory."""
    theory = predict(next(q for q in p.probes if q.initializer == name))
    return float(theory.log10_q[-1] - theory.log10_q[0])


def _flattest(p: CompareParams) -> int:
    return min(range(len(p.initializers)), key=lambda i: abs(_drift(p, p.initializers[i])))


WHICH_SURVIVES = Question(
    "50 layers of ReLU. Whose signal survives?", ("lecun_normal, 1/n", "glorot_normal, 2/(n_in+n_out)", "he_normal, 2/n"),
    _flattest,
    lambda p: " ".join(f"{name}: {ten_to(_drift(p, name))}." for name in p.initializers) + " ReLU halves, so only 2/n puts it back.")

TANH_TOO = Question(
    "And with tanh, does He's 2/n also keep the gradient?", ("yes", "no, it vanishes", "no, it explodes"),
    lambda p: 0 if abs(_he_gradient(p)) < 1 else 1 if _he_gradient(p) < 0 else 2,
    lambda p: f"From the last layer to the first its square changes ×{ten_to(_he_gradient(p))}. Forward it settles, backward it does "
              "not: one number cannot fix both.")


def _he_gradient(p: CompareParams) -> float:
    theory = predict(next(q for q in p.probes if q.initializer == "he_normal"))
    return float(theory.log10_grad2[0])


FINITE = Question(
    "He's initialization keeps the mean square exactly 1 on average. How far apart are two nets of width 20 after 100 layers?",
    ("not at all", "by a factor of 2 or so", "by a factor of 1,000 and more"),
    lambda p: _first_above((math.log10(1.2), 2.0), _spread(p)),
    lambda p: f"19 of 20 nets lie within a factor of {ten_to(_spread(p))}: ln q scatters with variance {_variance(p):.1f}, 5 for each "
              "layer divided by its width. The average hides it.")


def _spread(p: CompareParams) -> float:
    low, high = predict(p.probes[0]).interval("q")
    return float(high[-1] - low[-1])


def _variance(p: CompareParams) -> float:
    return float(predict(p.probes[0]).band_q.variance[-1])


PARALLEL = Question(
    "He's initialization, ReLU, 50 layers: norms are fine. What happens to the angle between two unrelated inputs?",
    ("it stays near 90°", "it shrinks to about 50°", "it shrinks to about 9°"),
    lambda p: _nearest((90, 50, 9), _angle(p)),
    lambda p: f"Their correlation grows to {_cosine(p):.3f}, an angle of {_angle(p):.0f}°: to the last layers all inputs look the same.")


def _cosine(p: CompareParams) -> float:
    return float(predict(p.probes[0]).correlation[-1])


def _angle(p: CompareParams) -> float:
    return math.degrees(math.acos(min(1.0, _cosine(p))))


BATCH_NORM = Question(
    "Batch normalization holds every layer at variance 1. What does that do to the gradient of 50 layers at the start?",
    ("holds it at 1 too", "makes it vanish", "makes it explode"),
    lambda p: 0 if abs(_norm_gradient(p)) < 1 else 1 if _norm_gradient(p) < 0 else 2,
    lambda p: f"{times(10 ** (_norm_gradient(p) / (p.depth - 1)))} a layer back, {ten_to(_norm_gradient(p))} in all: "
              "dividing by the spread amplifies every gradient.")


def _norm_gradient(p: CompareParams) -> float:
    return float(predict(p.probes[0]).log10_grad2[0])


# ---- the walk

RULES = ("lecun_normal", "glorot_normal", "he_normal")
CHAIN, NEURON, START, FRAMEWORKS, LEFT = (
    "Vanishing / exploding gradients", "Weight initialization: single neuron", "Weight initialization: deep networks",
    "Frameworks", "What is left over")

SCENES: tuple[Scene, ...] = (
    Scene("linear_chain", "1.5", "Half as much again, each layer: it explodes.", CHAIN, {"factor": 1.5}, HOW_LARGE),
    Scene("linear_chain", "0.5", "Half of it, each layer: it vanishes.", CHAIN, {"factor": 0.5}, FLOAT16),
    Scene("linear_chain", "halves", "½, ¼, ⅛ …: the same on a linear axis.", CHAIN, {"factor": 0.5, "depth": 9, "scale": "linear"}),
    Scene("linear_chain", "0.9", "0.9 only takes longer.", CHAIN, {"factor": 0.9, "depth": 152}, NINE_TENTHS),
    Scene("linear_chain", "1.2", "And so does 1.2, upwards.", CHAIN, {"factor": 1.2}),
    Scene("linear_chain", "ResNet 152", "152 layers have been trained. Not like this.", CHAIN, {"factor": 1.5, "depth": 152}),
    Scene("linear_chain", "gradients too", "The gradient is the same line from the other end.", CHAIN, {"factor": 0.9, "depth": 256}),
    Scene("linear_chain", "tiny steps", "Small gradients, tiny steps: learning takes ages.", CHAIN,
          {"factor": 0.5, "depth": 9}, TINY_STEPS),
    Scene("linear_chain", "diagonal", "One direction explodes while the other vanishes.", CHAIN,
          {"kind": "diagonal", "factor": 1.5, "factor2": 0.5}),
    Scene("linear_chain", "random", "Random matrices multiply too; the mean is not the typical case.", CHAIN,
          {"kind": "gaussian", "depth": 100, "width": 4, "sigma2": 4.0}),
    Scene("neuron_variance", "n = 4", "Four inputs, weights of variance 1: z is four times too large.", NEURON, {"n": 4, "rule": "1"}),
    Scene("neuron_variance", "1/n", "The larger n, the smaller each weight.", NEURON, {"n": 100, "rule": "1/n"}),
    Scene("neuron_variance", "ReLU halves", "ReLU throws half of it away.", NEURON, {"n": 100, "rule": "1/n", "activation": "relu"}, HALF),
    Scene("neuron_variance", "2/n", "So twice the variance for ReLU.", NEURON, {"n": 100, "rule": "2/n", "activation": "relu"}),
    Scene("neuron_variance", "Xavier", "tanh takes 1/n, called Xavier.", NEURON, {"n": 100, "rule": "1/n", "activation": "tanh"}),
    Scene("neuron_variance", "the other Xavier", "2/(n_in+n_out) is called Xavier too.", NEURON,
          {"n": 512, "n_out": 10, "rule": "2/(n_in+n_out)", "activation": "tanh"}),
    Scene("neuron_variance", "gamma", "γ multiplies the weights: a hyperparameter, but not the first to tune.", NEURON,
          {"n": 100, "rule": "1/n", "gamma": 2.0}),
    Scene("initializers", "ReLU", "Three rules, fifty layers.", START, {"initializers": RULES}, WHICH_SURVIVES),
    Scene("initializers", "tanh", "tanh: forward and backward do not agree.", START,
          {"initializers": RULES, "activation": "tanh"}, TANH_TOO),
    Scene("initializers", "too small, too large", "Without thought: 0.01, and 1.", START,
          {"initializers": ("small_normal", "standard_normal", "he_normal"), "of": "small_normal"}),
    Scene("initializers", "152 layers", "The right start holds for 152 layers.", START,
          {"initializers": RULES, "depth": 152, "width": 128}),
    Scene("initializers", "gamma 1.1", "γ = 1.1 is 21 % more variance, each layer.", START,
          {"initializers": ("lecun_normal", "he_normal"), "gamma": 1.1}),
    Scene("initializers", "normal or uniform", "At equal variance the shape does not matter.", FRAMEWORKS,
          {"initializers": ("he_normal", "he_uniform"), "of": "he_normal"}),
    Scene("initializers", "framework defaults", "What you get if you say nothing.", FRAMEWORKS,
          {"initializers": ("glorot_uniform", "pytorch_default", "playground_default"), "of": "glorot_uniform"}),
    Scene("initializers", "784-512-256-10", "A net as it is used.", FRAMEWORKS, {"initializers": RULES, "widths": (784, 512, 256, 10)}),
    Scene("training", "only He learns", "Thirty layers, real digits, one learning rate.", START, {}),
    Scene("training", "152 layers deep", "Deeper still.", START,
          {"depth": 152, "width": 32, "initializers": RULES, "learning_rate": 0.01}),
    Scene("training", "defaults learn?", "The frameworks' defaults, ten layers.", FRAMEWORKS,
          {"depth": 10, "initializers": ("glorot_uniform", "he_normal", "pytorch_default")}),
    Scene("training", "gamma, not first", "γ = 1.2 helps one and hurts another.", START,
          {"initializers": ("lecun_normal", "he_normal"), "gamma": 1.2}),
    Scene("training", "sigmoid", "Ten layers of sigmoid: no start saves them.", LEFT,
          {"activation": "sigmoid", "depth": 10, "initializers": RULES}),
    Scene("training", "a step too large", "A good start does not survive a bad learning rate.", LEFT,
          {"learning_rate": 1.0, "depth": 10, "initializers": ("lecun_normal", "he_normal", "standard_normal")}),
    Scene("training", "a step that saves", "Twenty times the step wakes a bad start, and the good one is done long before.", LEFT,
          {"learning_rate": 0.2, "depth": 10, "width": 32, "steps": 600, "initializers": ("lecun_normal", "he_normal")}),
    Scene("training", "BatchNorm rescues", "Now all of them begin to learn; and look at the gradients.", LEFT,
          {"normalization": "batch", "width": 32, "steps": 400, "learning_rate": 0.02, "look": GRADIENTS,
           "initializers": ("small_normal", "lecun_normal", "he_normal")}),
    Scene("training", "residual alone", "Skip connections alone: the variance doubles until it overflows.", LEFT,
          {"residual": "plain", "width": 32, "steps": 200, "initializers": ("lecun_normal", "he_normal")}),
    Scene("training", "residual, scaled", "Each branch times 1/√L: both learn.", LEFT,
          {"residual": "scaled", "width": 32, "steps": 400, "initializers": ("lecun_normal", "he_normal")}),
    Scene("training", "spirals", "Two features, two classes.", START,
          {"dataset": "spirals", "depth": 8, "activation": "tanh", "steps": 2000,
           "initializers": ("small_normal", "lecun_normal", "he_normal")}),
    Scene("initializers", "finite width", "The mean is not what one net does.", LEFT,
          {"initializers": ("he_normal",), "of": "he_normal", "width": 20, "depth": 100, "seeds": 32}, FINITE),
    Scene("initializers", "parallel inputs", "Norms are fine, and inputs become parallel.", LEFT,
          {"initializers": ("he_normal",), "of": "he_normal", "look": "correlation"}, PARALLEL),
    Scene("initializers", "BatchNorm", "Normalization holds the signal, not the gradient.", LEFT,
          {"initializers": ("he_normal",), "of": "he_normal", "normalization": "batch", "batch": 128}, BATCH_NORM),
    Scene("initializers", "residual", "Skip connections add: the variance doubles.", LEFT,
          {"initializers": ("he_normal",), "of": "he_normal", "residual": "plain"}),
    Scene("trainable_depth", "ordered", "Ordered: two inputs become the same.", LEFT, {"sigma_w2": 1.5}),
    Scene("trainable_depth", "on the edge", "At the edge of chaos the depth scale diverges.", LEFT, {"sigma_w2": 1.76}),
    Scene("trainable_depth", "chaotic", "Chaotic: the same input, a little moved, becomes another.", LEFT, {"sigma_w2": 2.5}),
    Scene("trainable_depth", "gain 5/3", "The framework's gain for tanh lies beyond the edge.", FRAMEWORKS,
          {"sigma_w2": 2.77778, "sigma_b2": 0.0}),
    Scene("trainable_depth", "He for ReLU", "He's 2/n is ReLU's edge.", LEFT, {"activation": "relu", "sigma_w2": 2.0, "sigma_b2": 0.0}),
    Scene("trainable_depth", "PyTorch default", "A default that is far from the edge.", FRAMEWORKS,
          {"activation": "relu", "sigma_w2": 0.333333, "sigma_b2": 0.00130208}),
    Scene("trainable_depth", "Playground", "The Playground's default, with four inputs.", FRAMEWORKS,
          {"fan_in": 4, "sigma_w2": 0.333333, "sigma_b2": 0.01}),
    Scene("trainable_depth", "SELU", "SELU is made for 1/n.", LEFT, {"activation": "selu", "sigma_w2": 1.0, "sigma_b2": 0.0}),
    Scene("trainable_depth", "sigmoid", "Sigmoid's edge lies far beyond the usual initializers.", LEFT,
          {"activation": "sigmoid", "sigma_w2": 1.0, "sigma_b2": 0.0}),
    Scene("published", "claims", "Every claim, recomputed now.", LEFT, {}),
)


def of_page(page: str) -> list[Scene]:
    return [scene for scene in SCENES if scene.page == page]


def neighbours(page: str, name: str | None) -> tuple[Scene | None, Scene | None]:
    """The scenes before and after; from no scene at all, the walk enters at the page's first."""
    here = next((i for i, scene in enumerate(SCENES) if scene.page == page and scene.name == name), None)
    if here is None:
        return None, next((scene for scene in SCENES if scene.page == page), SCENES[0])
    return (SCENES[here - 1] if here else None), (SCENES[here + 1] if here + 1 < len(SCENES) else None)
