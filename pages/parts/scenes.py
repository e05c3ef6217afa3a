"""Scenes of the lecture, in the order of the source material: data only.

A scene's name is its address, so names stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vgdash.linear_chain import ChainParams
from vgdash.params import Params
from vgdash.probe.probe import CompareParams
from vgdash.single_neuron import NeuronParams
from vgdash.theory.phase_diagram import PhaseParams
from vgdash.training.trainer import TrainParams

KINDS: dict[str, type[Params]] = {
    "linear_chain": ChainParams, "neuron_variance": NeuronParams, "initializers": CompareParams,
    "training": TrainParams, "trainable_depth": PhaseParams, "your_network": Params,
    "published": Params,
}


@dataclass(frozen=True, eq=False)
class Scene:
    """A state of a page: a line to say, its place in the source material, the values that are not defaults.

    ``question``: key of ``questions.QUESTIONS``, if the scene asks before it shows its chart. ``title`` is
    shown instead of a name that would tell the answer. ``beside``: values of the state that the scene brings
    along as A. ``note``: Markdown for below its chart.
    """

    page: str
    name: str
    say: str
    source: str
    values: Mapping[str, Any] = field(default_factory=dict)
    question: str | None = None
    title: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def label(self) -> str:
        """Name that is shown."""
        return self.title or self.name

    @property
    def params(self) -> Params:
        """Parameter set of this scene, without the values that only choose what the page displays."""
        return self._params(self.values)

    @property
    def sides(self) -> tuple[Params, ...]:
        """Every parameter set that the scene shows: its own, and that of A."""
        return (self.params, self._params(self.beside)) if self.beside else (self.params,)

    def _params(self, values: Mapping[str, Any]) -> Params:
        p, refused = KINDS[self.page].parse_lenient(values)
        assert not refused, refused
        return p


RULES, LECUN_HE = ("lecun_normal", "glorot_normal", "he_normal"), ("lecun_normal", "he_normal")
HE = {"initializers": ("he_normal",), "of": "he_normal"}
CHAIN, NEURON, START, FRAMEWORKS, LEFT = (
    "Vanishing / exploding gradients", "Weight initialization: single neuron",
    "Weight initialization: deep networks", "Frameworks", "What is left over")

DEEP = {**HE, "depth": 152, "normalization": "batch", "batch": 128, "look": "weight gradients"}
# the papers' abstracts; 56 and 20 layers, and the gradients: 1512.03385, figure 1 and section 4.1
HISTORY = (
    "**History.** For a long time such depth was out of reach: gradients vanish or explode ([Bengio, Simard "
    "& Frasconi 1994](https://doi.org/10.1109/72.279181), for recurrent nets). Skip connections changed that "
    "in 2015. Hundreds of layers learned ([Srivastava, Greff & Schmidhuber](https://arxiv.org/abs/1505.00387)"
    "), and nets of up to 152 layers won ILSVRC ([He, Zhang, Ren & Sun](https://arxiv.org/abs/1512.03385)). "
    "In 2018 the first weights did it alone: 10,000 layers without skips ([Xiao and others]"
    "(https://arxiv.org/abs/1806.05393)).")
DEGRADATION = (
    "[He, Zhang, Ren & Sun 2015](https://arxiv.org/abs/1512.03385) saw more than gradients. Of their nets "
    "without skips, all with BatchNorm, the one of 56 layers was worse on CIFAR-10 than the one of 20, and "
    "gradients in such nets looked healthy to them. The chart shows nets before training.")

SCENES: tuple[Scene, ...] = (
    Scene("linear_chain", "1.5", "Each layer multiplies by 1.5: the signal explodes.", CHAIN,
          {"factor": 1.5}, "how_large"),
    Scene("linear_chain", "0.5", "Each layer halves it: the signal vanishes.", CHAIN,
          {"factor": 0.5}, "float16_zero"),
    Scene("linear_chain", "halves", "½, ¼, ⅛ …: on a linear axis it is soon nothing.", CHAIN,
          {"factor": 0.5, "depth": 9, "scale": "linear"}),
    Scene("linear_chain", "step by step", "Multiply one matrix after the other: W[2]W[1]x.", CHAIN,
          {"factor": 0.5, "depth": 9, "scale": "steps"}),
    Scene("linear_chain", "0.9", "0.9 vanishes too, only more slowly.", CHAIN,
          {"factor": 0.9, "depth": 152}, "nine_tenths"),
    Scene("linear_chain", "1.2", "1.2 explodes too, only more slowly.", CHAIN, {"factor": 1.2}),
    Scene("linear_chain", "ResNet 152", "152 layers that each add a little: ×2.7 in all, not 10²⁶.", CHAIN,
          {"factor": 1.00658, "depth": 152}, beside={"factor": 1.5, "depth": 152},
          note="With a skip connection a layer gives a + f(a). Here f(a) = a/152, so a layer multiplies by "
               f"1 + 1/152. {HISTORY}"),
    Scene("linear_chain", "gradients too",
          "The gradient vanishes the same way, from the last layer to the first.", CHAIN,
          {"factor": 0.9, "depth": 256}),
    Scene("linear_chain", "tiny steps", "Small gradients make tiny steps: learning takes very long.", CHAIN,
          {"factor": 0.5, "depth": 9, "scale": "learning"}, "tiny_steps", "2 or 8 layers"),
    Scene("linear_chain", "diagonal", "One component explodes while the other vanishes.", CHAIN,
          {"kind": "diagonal", "factor": 1.5, "factor2": 0.5}),
    Scene("linear_chain", "random",
          "Random matrices explode too, but the typical chain grows less than the mean.", CHAIN,
          {"kind": "gaussian", "depth": 100, "width": 4, "sigma2": 4.0}),
    Scene("neuron_variance", "n = 4",
          "Four inputs, weights of variance 1: the variance of z is four times too large.", NEURON,
          {"n": 4, "rule": "1"}, "four_inputs"),
    Scene("neuron_variance", "1/n", "The more inputs, the smaller each weight must be: Var(w) = 1/n.", NEURON,
          {"n": 100, "rule": "1/n"}),
    Scene("neuron_variance", "ReLU halves", "ReLU throws half of the mean square away.", NEURON,
          {"n": 100, "rule": "1/n", "activation": "relu"}, "relu_half", "ReLU"),
    Scene("neuron_variance", "2/n", "So ReLU needs weights of twice the variance: 2/n.", NEURON,
          {"n": 100, "rule": "2/n", "activation": "relu"}),
    Scene("neuron_variance", "Xavier", "For tanh take 1/n. The lecture calls it Xavier.", NEURON,
          {"n": 100, "rule": "1/n", "activation": "tanh"}),
    Scene("neuron_variance", "the other Xavier",
          "The frameworks call another rule Xavier: 2/(nᵢₙ+nₒᵤₜ).", NEURON,
          {"n": 512, "n_out": 10, "rule": "2/(n_in+n_out)", "activation": "tanh"}),
    Scene("neuron_variance", "gamma",
          "γ multiplies the weights. Tune it, but not first.", NEURON,
          {"n": 100, "rule": "1/n", "gamma": 2.0}),
    Scene("initializers", "ReLU", "Through 50 ReLU layers the signal survives only with 2/n.", START,
          {"initializers": RULES}, "which_survives"),
    Scene("initializers", "tanh", "With 2/n a tanh net keeps the signal, but its gradient explodes.", START,
          {"initializers": RULES, "activation": "tanh"}, "tanh_gradient"),
    Scene("initializers", "too small, too large", "Two naive choices: 0.01 vanishes, 1 explodes.", START,
          {"initializers": ("small_normal", "standard_normal", "he_normal"), "of": "small_normal"}),
    Scene("initializers", "152 layers", "With 2/n the signal survives 152 layers too.", START,
          {"initializers": RULES, "depth": 152, "width": 128}, note=HISTORY),
    Scene("initializers", "gamma 1.1",
          "γ = 1.1 adds 21 % of variance in every layer: now even 2/n explodes.", START,
          {"initializers": LECUN_HE, "gamma": 1.1}),
    Scene("initializers", "normal or uniform",
          "At equal variance, normal and uniform weights do the same.", FRAMEWORKS,
          {"initializers": ("he_normal", "he_uniform"), "of": "he_normal", "seeds": 16}),
    Scene("initializers", "framework defaults",
          "No framework's default keeps the gradient of 50 ReLU layers.", FRAMEWORKS,
          {"initializers": ("glorot_uniform", "pytorch_default", "playground_default"),
           "of": "glorot_uniform"}, "defaults"),
    Scene("initializers", "784-512-256-10", "A realistic net has three layers: every rule works.", FRAMEWORKS,
          {"initializers": RULES, "widths": (784, 512, 256, 10)}),
    Scene("training", "only He learns", "Four starts, 30 layers, the same data: only He learns.", START, {},
          "who_learns", "30 layers"),
    Scene("training", "152 layers deep", "152 layers: a good start alone is not enough.", START,
          {"depth": 152, "width": 32, "initializers": RULES, "learning_rate": 0.01}),
    Scene("training", "defaults learn?",
          "With ten layers Keras' default learns, and PyTorch's does not.", FRAMEWORKS,
          {"depth": 10, "initializers": ("glorot_uniform", "he_normal", "pytorch_default")}),
    Scene("training", "gamma, not first", "γ = 1.2 helps LeCun, and makes He blow up.", START,
          {"initializers": LECUN_HE, "gamma": 1.2}),
    Scene("training", "sigmoid", "Ten sigmoid layers: none of the three rules learns.", LEFT,
          {"activation": "sigmoid", "depth": 10, "initializers": RULES}, "sigmoid_learners"),
    Scene("training", "a step too large", "A good start does not survive a bad learning rate.", LEFT,
          {"learning_rate": 1.0, "depth": 10, "steps": 20,
           "initializers": ("standard_normal", "lecun_normal", "he_normal")}, "learning_rate_one", "η = 1"),
    Scene("training", "a step that saves",
          "A 20-times larger learning rate rescues the bad start, but it is unstable.", LEFT,
          {"learning_rate": 0.2, "depth": 10, "width": 32, "steps": 600, "initializers": LECUN_HE}),
    Scene("training", "BatchNorm rescues",
          "With batch normalization all three begin to learn, though the gradient explodes.", LEFT,
          {"normalization": "batch", "width": 32, "steps": 400, "learning_rate": 0.02,
           "look": "gradient by step", "initializers": ("small_normal", "lecun_normal", "he_normal")}),
    Scene("training", "residual alone",
          "With skip connections alone a layer adds half of the variance (LeCun) or doubles it (He): "
          "both blow up.", LEFT,
          {"residual": "plain", "width": 32, "steps": 20, "initializers": LECUN_HE}, "skips_alone",
          "skip connections"),
    Scene("training", "residual, scaled", "Multiply each branch by 1/√L: now both learn.", LEFT,
          {"residual": "scaled", "width": 32, "steps": 400, "initializers": LECUN_HE}),
    Scene("training", "spirals", "Two spirals: the net from 0.01² finds no border, the other two do.", START,
          {"dataset": "spirals", "depth": 8, "activation": "tanh", "steps": 2000, "look": "decision",
           "initializers": ("small_normal", "lecun_normal", "he_normal")}),
    Scene("initializers", "finite width", "Nets this narrow differ: their mean describes none of them.", LEFT,
          {**HE, "width": 20, "depth": 100, "seeds": 32}, "finite_width"),
    Scene("initializers", "parallel inputs",
          "The sizes stay right, but all inputs end up pointing the same way.", LEFT,
          {**HE, "look": "correlation"}, "parallel_inputs", "two inputs"),
    Scene("initializers", "BatchNorm",
          "Batch normalization keeps the signal, but the gradient explodes.", LEFT,
          {**HE, "normalization": "batch", "batch": 128}, "batch_norm"),
    Scene("initializers", "residual", "With skip connections the variance doubles in every layer.", LEFT,
          {**HE, "residual": "plain"}),
    Scene("initializers", "ResNet 152", "152 layers with BatchNorm: skips keep the gradient from exploding.",
          LEFT, {**DEEP, "residual": "plain"}, title="ResNet", beside=DEEP,
          note=f"Like a ResNet, both nets normalize every layer, and B adds skip connections. {DEGRADATION}"),
    Scene("trainable_depth", "ordered", "Ordered: any two inputs become the same.", LEFT, {"sigma_w2": 1.5},
          "unlike_inputs", "σw² = 1.5"),
    Scene("trainable_depth", "on the edge", "On the edge of chaos nets can be very deep.", LEFT,
          {"sigma_w2": 1.76}),
    Scene("trainable_depth", "chaotic", "Chaotic: two nearly equal inputs end up far apart.", LEFT,
          {"sigma_w2": 2.5}, "alike_inputs", "σw² = 2.5"),
    Scene("trainable_depth", "gain 5/3",
          "PyTorch's gain for tanh lies beyond the edge: gradients explode.", FRAMEWORKS,
          {"sigma_w2": 2.77778, "sigma_b2": 0.0}, "tanh_gain"),
    Scene("trainable_depth", "He for ReLU", "He's 2/n puts a ReLU net exactly on the edge.", LEFT,
          {"activation": "relu", "sigma_w2": 2.0, "sigma_b2": 0.0}),
    Scene("trainable_depth", "PyTorch default",
          "PyTorch's default lies far from the edge: gradients vanish.", FRAMEWORKS,
          {"activation": "relu", "sigma_w2": 0.333333, "sigma_b2": 0.00130208}, "pytorch_layer"),
    Scene("trainable_depth", "Playground",
          "TensorFlow Playground starts here, with four inputs: gradients vanish.", FRAMEWORKS,
          {"fan_in": 4, "sigma_w2": 0.333333, "sigma_b2": 0.01}),
    Scene("trainable_depth", "SELU", "SELU with 1/n keeps the mean square at 1.", LEFT,
          {"activation": "selu", "sigma_w2": 1.0, "sigma_b2": 0.0}),
    Scene("trainable_depth", "sigmoid", "For sigmoid the usual initializers lie far from the edge.", LEFT,
          {"activation": "sigmoid", "sigma_w2": 1.0, "sigma_b2": 0.0}),
    Scene("published", "claims", "Published numbers, computed again now.", LEFT, {}),
)
SCENE_BY_NAME = {(scene.page, scene.name): scene for scene in SCENES}


def of_page(page: str) -> list[Scene]:
    """List the scenes of a page, in the order of the lecture."""
    return [scene for scene in SCENES if scene.page == page]


def neighbours(page: str, name: str | None) -> tuple[Scene | None, Scene | None]:
    """Return the scenes before and after this one.

    If the page shows none: None, and the first of the page, or of all if the page has none.
    """
    here = next((i for i, scene in enumerate(SCENES) if scene.page == page and scene.name == name), None)
    if here is None:
        return None, next((scene for scene in SCENES if scene.page == page), SCENES[0])
    return (SCENES[here - 1] if here else None), (SCENES[here + 1] if here + 1 < len(SCENES) else None)
