"""Mistakes that circulate: each as its curve, the right curve, and the measurement of nets drawn now."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import probe
from vgdash.quadrature import MASSES, NODES
from vgdash.records import Record
from vgdash.theory.layerwise import predict

SEEDS = 4
SWAP, SCALES, ORDERED = np.array([[0.0, 0.0], [1.0, 0.0]]), (1.5, 0.5), 20
SPREAD = 0.1  # standard deviation of the logarithm of a measured layer's factor
TAPERED = (1024, 768, 576, 432, 324, 243, 182, 137, 103, 77, 58)  # three quarters, layer after layer


@dataclass(frozen=True, eq=False)
class Curves(Record):
    """log10 of a quantity by layer, ``(depth,)``, and ``(seeds, depth)`` if measured."""

    wrong: np.ndarray
    right: np.ndarray
    measured: np.ndarray

    @classmethod
    def of(cls, wrong, right, measured) -> Curves:
        """Take log10 of the quantity, all values above 0."""
        return cls(*(np.log10(np.asarray(values, dtype=np.float64)) for values in (wrong, right, measured)))


@dataclass(frozen=True, eq=False)
class Mistake:
    """Mistake as it is ``said``, ``why`` it is wrong, and its curve beside the right one.

    ``quantity``: name of their axis. ``at``: index of the layer at which a sentence compares them, the first
    for gradients, the last for signals. ``source`` and ``address`` may be empty. ``page`` and ``state``:
    where the app shows the right curve.
    """

    key: str
    said: str
    why: str
    setup: str
    quantity: str
    at: int
    curves: Callable[[], Curves]
    page: str
    state: Mapping[str, Any]
    source: str = ""
    address: str = ""


def _gradient_by_mean_slope(initializer: str) -> Curves:
    """Wrong: Π √(n Var(w)) E[f'(√q z)], as if slopes and gradients were averaged without being squared."""
    p = ProbeParams.uniform(16, 256, "relu", initializer, seeds=SEEDS)
    theory = predict(p)
    slopes = ACTIVATIONS[p.activation].df(np.multiply.outer(np.sqrt(theory.q[:-1]), NODES)) @ MASSES
    factors = math.sqrt(p.width * INITIALIZERS[initializer].variance(p.width, p.width)) * slopes
    wrong = np.append(np.cumprod(factors[::-1])[::-1], 1.0)
    return Curves.of(wrong, np.sqrt(theory.grad2), np.sqrt(probe(p).grad2))


def _tanh_settles() -> Curves:
    p = ProbeParams.uniform(50, 256, "tanh", "glorot_uniform", seeds=SEEDS)
    return Curves.of(np.full(p.depth, 0.25), predict(p).q, probe(p).q)


def _uniform_against_normal() -> Curves:
    """E[z²] with uniform weights over E[z²] with normal ones."""
    nets = ("lecun_normal", 1.0), ("lecun_uniform", 3**-0.5), ("lecun_uniform", 1.0)
    normal, narrow, fair = (ProbeParams.uniform(12, 256, "linear", *net, seeds=SEEDS) for net in nets)
    unit = predict(normal).q
    return Curves.of(predict(narrow).q / unit, predict(fair).q / unit, probe(fair).q / probe(normal).q)


def _two_xaviers() -> Curves:
    lecture, frameworks = (ProbeParams(TAPERED, "linear", name, seeds=SEEDS)
                           for name in ("lecun_normal", "glorot_normal"))
    return Curves.of(predict(lecture).q, predict(frameworks).q, probe(frameworks).q)


def _relu_output(power: int) -> float:
    return float(ACTIVATIONS["relu"].f(NODES) ** power @ MASSES)


RELU_VARIANCE = _relu_output(2) - _relu_output(1) ** 2
STD_GAIN = 1 / math.sqrt(RELU_VARIANCE)


def _std_gain() -> Curves:
    """Wrong: each layer multiplies by gain²·Var(f) = 1."""
    p = ProbeParams.uniform(20, 256, "relu", "lecun_normal", gamma=STD_GAIN, seeds=SEEDS)
    q = predict(p).q
    return Curves.of(q[0] * (STD_GAIN**2 * RELU_VARIANCE) ** np.arange(p.depth), q, probe(p).q)


def _order_of_the_product() -> Curves:
    """Wrong: |W[1] W[2] … W[l] x|. Right: |W[l] … W[2] W[1] x|. Measured: layer after layer."""
    x, layers = np.ones(2), [SWAP, *[np.diag(SCALES)] * (ORDERED - 1)]
    wrong, right = np.eye(2), np.eye(2)
    sizes = []
    for layer in layers:
        wrong, right = wrong @ layer, layer @ right
        sizes.append([np.abs(product @ x).max() for product in (wrong, right)])
    rng = np.random.default_rng(0)
    measured = np.empty((SEEDS, ORDERED))
    for seed in range(SEEDS):
        a = x
        for i, layer in enumerate(layers):
            a = layer * np.exp(SPREAD * rng.standard_normal() * (i > 0)) @ a
            measured[seed, i] = np.abs(a).max()
    return Curves.of(*np.transpose(sizes), measured)


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        key="order-of-the-product",
        said="a[2] = w[1]w[2]X.",
        why=("The first layer acts first, so its matrix stands next to x: a[2] = W[2]W[1]x. The order "
             "matters: here the wrong order explodes, while the net itself vanishes."),
        setup=("W[1] hands unit 1 to unit 2. Then follow 19 layers diag(1.5, 0.5). Measured: four nets whose "
               "layers are off by about 10 %"),
        quantity="size of a[l]", at=-1,
        curves=_order_of_the_product,
        page="linear_chain",
        state={"kind": "diagonal", "factor": SCALES[0], "factor2": SCALES[1], "x1": 0.0, "depth": ORDERED},
    ),
    Mistake(
        key="mean-slope",
        said="A ReLU lets half of the gradient through, so each layer halves it.",
        why=("A gradient is a sum over many units. The size of such a sum follows the mean of the squares. "
             "So the factor is √E[f'²] = 1/√2, not E[f'] = 1/2."),
        setup="16 ReLU layers, σw² = 1",
        quantity="gradient √E[δ²]", at=0,
        curves=lambda: _gradient_by_mean_slope("lecun_normal"),
        page="initializers", state={"initializers": ("lecun_normal",), "depth": 16},
    ),
    Mistake(
        key="mean-slope-he",
        said="Even with He the gradient vanishes, because E[f'] is 1/2.",
        why=("He's factor √2 cancels √E[f'²] = 1/√2 exactly. Whoever multiplies by E[f'] instead calls a "
             "healthy net “vanishing”."),
        setup="16 ReLU layers, He",
        quantity="gradient √E[δ²]", at=0,
        curves=lambda: _gradient_by_mean_slope("he_normal"),
        page="initializers", state={"initializers": ("he_normal",), "depth": 16},
    ),
    Mistake(
        key="tanh-settles",
        said="With Xavier the variance of a tanh net will stabilize around 0.25 if we go deeper.",
        why=("Nothing holds it at 0.25. Each layer turns E[z²] = q into about q - 2q², which is always less. "
             "So q falls for ever, like 1/(2l)."),
        source="UvA deep learning course, Initialization and optimization",
        address=("https://lightning.ai/docs/pytorch/stable/notebooks/course_UvA-DL/"
                 "03-initialization-and-optimization.html"),
        setup="50 tanh layers of one width, Glorot uniform",
        quantity="E[z²]", at=-1,
        curves=_tanh_settles,
        page="initializers", state={"activation": "tanh", "initializers": ("glorot_uniform",), "depth": 50},
    ),
    Mistake(
        key="normal-beats-uniform",
        said="Normal weights keep the signal, uniform ones lose it.",
        why=("N(0, 1/n) has variance 1/n, but U(±1/√n) only 1/(3n). So this compares sizes, not shapes. At "
             "equal variance, U(±√(3/n)), both do the same."),
        setup="E[z²] with uniform weights, divided by E[z²] with normal weights, in linear layers",
        quantity="uniform : normal", at=-1,
        curves=_uniform_against_normal,
        page="initializers",
        state={"activation": "linear", "initializers": ("lecun_normal", "lecun_uniform"), "depth": 12},
    ),
    Mistake(
        key="two-xaviers",
        said="Xavier is Xavier.",
        why=("Lectures mean Var(w) = 1/nᵢₙ. Frameworks mean 2/(nᵢₙ + nₒᵤₜ). Where each layer is narrower "
             "than the one before, the second is larger in every layer."),
        setup="Linear layers from 1024 to 58 units: 1/nᵢₙ is expected, 2/(nᵢₙ + nₒᵤₜ) is drawn",
        quantity="E[z²]", at=-1,
        curves=_two_xaviers,
        page="initializers",
        state={"activation": "linear", "initializers": ("lecun_normal", "glorot_normal"), "widths": TAPERED},
    ),
    Mistake(
        key="std-gain",
        said="The gain for ReLU is one over the standard deviation of its output.",
        why=("The next layer sums w·x. What counts there is E[x²], which includes the mean of x. So the gain "
             "is 1/√E[x²] = √2."),
        setup="20 ReLU layers, weights N(0, 1/n) times 1/std(ReLU(z))",
        quantity="E[z²]", at=-1,
        curves=_std_gain,
        page="initializers",
        state={"initializers": ("lecun_normal", "he_normal"), "gamma": round(STD_GAIN, 4), "depth": 20},
    ),
)
