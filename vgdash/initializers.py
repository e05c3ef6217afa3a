"""Initializers: weights, a base distribution of unit scale times a factor of the layer's shape; and biases.

``INITIALIZERS[name]`` for zeros, small_normal, standard_normal, lecun_normal, lecun_uniform, glorot_normal,
glorot_uniform, he_normal, he_uniform, lecun_fan_out, he_fan_out, bert_normal, uniform, constant, orthogonal,
identity, siren; and what frameworks do if nothing is said: pytorch_default, keras_default, flax_default,
playground_default. Only these and siren have biases of their own.

Every Gaussian initializer scales the same base draw, so one seed gives a paired comparison of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.formula_shape import sine_frequency

# std of the standard normal cut at +-2, sqrt(1 - 2·2·phi(2)/(2·Phi(2) - 1)); Keras and JAX divide by it
TRUNCATED_STD = 0.87962566103423978


@dataclass(frozen=True, eq=False)
class Base:
    """A distribution of matrices before scaling.

    ``draw(fan_in, fan_out, rng, dtype)`` gives a ``(fan_out, fan_in)`` array, ``variance(fan_in, fan_out)``
    the variance of its entries about their mean, which is 0 for all but the identity and the constant.
    ``from_normal(weights, rng)`` turns the normal draw into this one in place, with the generator that has
    just drawn it, or is None. ``no_theory`` says why mean field does not hold, or is empty.
    """

    name: str
    draw: Callable[[int, int, np.random.Generator, np.dtype], np.ndarray]
    variance: Callable[[int, int], float]
    from_normal: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None
    no_theory: str = ""


@dataclass(frozen=True)
class BiasRule:
    """Biases of a layer by ``law``: zeros; constant, all are ``value``; normal, N(0, value); uniform,
    U(±value/√fan_in)."""

    law: str = "zeros"
    value: float = 0.0

    @property
    def mean(self) -> float:
        return self.value if self.law == "constant" else 0.0

    def variance(self, fan_in: int) -> float:
        """Return the variance about the mean."""
        if self.law == "uniform":
            return self.value**2 / (3 * fan_in)
        return self.value if self.law == "normal" else 0.0

    def square(self, fan_in: int) -> float:
        """Return E[b²]."""
        return self.mean**2 + self.variance(fan_in)

    def draw(self, fan_in: int, fan_out: int, rng: np.random.Generator, dtype=np.float32) -> np.ndarray:
        """Draw the biases of a layer, ``(fan_out,)``."""
        dtype = np.dtype(dtype)
        if self.law == "normal":
            return rng.standard_normal(fan_out, dtype) * dtype.type(math.sqrt(self.value))
        if self.law == "uniform":
            return (2 * rng.random(fan_out, dtype) - 1) * dtype.type(self.value / math.sqrt(fan_in))
        return np.full(fan_out, self.mean, dtype)


@dataclass(frozen=True, eq=False)
class Initializer:
    """W = gamma · scale(fan_in, fan_out) · base draw, of shape ``(fan_out, fan_in)``, and its biases.

    ``title`` is the name for controls and legends, ``short`` for sentences and line ends. ``formula`` is
    LaTeX for Var(w), or for W, ``source`` the paper or the documentation.
    """

    name: str
    title: str
    short: str
    formula: str
    source: str
    base: Base
    scale: Callable[[int, int], float]
    bias: BiasRule = BiasRule()
    first: Callable[[int], float] = lambda fan_in: 1.0  # multiplies the weights of the first layer

    def biases(self, sigma_b2: float) -> BiasRule:
        """Return the rule of the biases: N(0, sigma_b2); if that is 0 what the initializer says itself."""
        return BiasRule("normal", sigma_b2) if sigma_b2 else self.bias

    @property
    def no_theory(self) -> str:
        """The reason why mean field does not hold, or nothing."""
        return self.base.no_theory

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Return the realized variance of the entries of W at gamma = 1: scale^2 times that of the base."""
        return self.scale(fan_in, fan_out) ** 2 * self.base.variance(fan_in, fan_out)

    def layer_variance(self, fan_in: int, fan_out: int, kernel: int) -> float:
        """Return Var(w) of a dense layer that does what a convolution of side ``kernel`` does.

        Its fans are kernel² times the channels, and kernel² weights join each pair of them. Orthogonal and
        identity kernels have only their middle (delta-orthogonal, Xiao et al. 2018, arXiv 1806.05393; Dirac).
        """
        area = 1 if self.base.name in ("orthogonal", "identity") else kernel**2
        return area * self.variance(area * fan_in, area * fan_out)

    def layer_scale(self, fan_in: int, fan_out: int, kernel: int) -> float:
        """Return the factor of the base draw that gives ``layer_variance``; without a kernel ``scale``."""
        if kernel == 1 or not (base := self.base.variance(fan_in, fan_out)):
            return self.scale(fan_in, fan_out)
        return math.sqrt(self.layer_variance(fan_in, fan_out, kernel) / base)

    def draw(self, fan_in: int, fan_out: int, rng: np.random.Generator | int, gamma: float = 1.0,
             dtype=np.float32) -> np.ndarray:
        """Draw a weight matrix ``(fan_out, fan_in)``; ``gamma`` multiplies it, so its variance gains gamma^2.

        Raises ``ValueError`` for a fan below 1 or a gamma that is not a finite number.
        """
        for name, fan in (("fan_in", fan_in), ("fan_out", fan_out)):
            if fan < 1:
                raise ValueError(f"{name} must be at least 1, received {fan!r}. Give the number of units.")
        if not math.isfinite(gamma):
            raise ValueError(f"gamma must be a finite number, received {gamma!r}. 1 keeps the formula.")
        weights = self.base.draw(fan_in, fan_out, np.random.default_rng(rng), np.dtype(dtype))
        weights *= weights.dtype.type(gamma * self.scale(fan_in, fan_out))
        return weights


def _normal(fan_in, fan_out, rng, dtype):
    return rng.standard_normal((fan_out, fan_in), dtype=dtype)


def _truncated(fan_in, fan_out, rng, dtype):
    return _cut(_normal(fan_in, fan_out, rng, dtype), rng)


def _cut(weights, rng):
    """Draw every entry beyond +-2 again, and divide all by the std that this leaves."""
    beyond = np.flatnonzero(np.abs(weights) > 2)
    flat = weights.reshape(-1)
    while beyond.size:
        flat[beyond] = rng.standard_normal(beyond.size, dtype=weights.dtype)
        beyond = beyond[np.abs(flat[beyond]) > 2]
    weights /= weights.dtype.type(TRUNCATED_STD)
    return weights


def _uniform(fan_in, fan_out, rng, dtype):
    weights = rng.random((fan_out, fan_in), dtype=dtype)
    weights -= dtype.type(0.5)
    weights *= dtype.type(2 * math.sqrt(3))
    return weights


def _orthogonal(fan_in, fan_out, rng, dtype):
    """Draw orthonormal rows or columns, the fewer of them: QR of a Gaussian, with signs (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(q.T if fan_in > fan_out else q, dtype=dtype)


BASES: dict[str, Base] = {b.name: b for b in (
    Base("normal", _normal, lambda *fans: 1.0),
    Base("truncated", _truncated, lambda *fans: 1.0, from_normal=_cut),
    Base("uniform", _uniform, lambda *fans: 1.0),
    Base("orthogonal", _orthogonal, lambda *fans: 1 / max(fans)),
    Base("identity", lambda fan_in, fan_out, rng, dtype: np.eye(fan_out, fan_in, dtype=dtype),
         lambda *fans: (1 - 1 / max(fans)) / max(fans),
         no_theory="the identity is not a random matrix of mean 0, so z is not Gaussian"),
    Base("constant", lambda fan_in, fan_out, rng, dtype: np.ones((fan_out, fan_in), dtype), lambda *fans: 0.0,
         no_theory="all weights are equal: so are all units of a layer, and training keeps them equal"),
    Base("zeros", lambda fan_in, fan_out, rng, dtype: np.zeros((fan_out, fan_in), dtype), lambda *fans: 0.0),
)}


def _fixed(std: float):
    return lambda *fans: std


def _lecun(fan_in, fan_out):
    return math.sqrt(1 / fan_in)


def _glorot(fan_in, fan_out):
    return math.sqrt(2 / (fan_in + fan_out))


def _he(fan_in, fan_out):
    return math.sqrt(2 / fan_in)


def _of_fan_out(scale):
    return lambda fan_in, fan_out: scale(fan_out, fan_in)


def _siren(omega: float) -> Initializer:
    return Initializer(
        "siren", "SIREN · for sin(ω·z)", "SIREN", rf"\frac{{2}}{{{omega:g}^2\,n_{{in}}}}",
        "Sitzmann et al. 2020 (arXiv 2006.09661) for sin(ω*z), ω that of the activation or 30: "
        "U(±sqrt(6/n)/ω), in the first layer U(±1/n); biases of nn.Linear, as in its code",
        BASES["uniform"], lambda fan_in, fan_out: math.sqrt(2 / fan_in) / omega,
        BiasRule("uniform", 1.0), first=lambda fan_in: omega / math.sqrt(6 * fan_in))


_LECUN = "LeCun et al. 1998; called Xavier in the lecture, sqrt(1/n[l-1])"
_GLOROT = "Glorot & Bengio 2010; called Glorot or Xavier by the frameworks"
_HE = "He et al. 2015 (arXiv 1502.01852)"

INITIALIZERS: dict[str, Initializer] = {i.name: i for i in (
    Initializer("zeros", "zeros", "zeros",
                r"0", "", BASES["zeros"], _fixed(1.0)),
    Initializer("small_normal", "too small · 0.01²", "0.01²",
                r"0.01^2", "Krizhevsky et al. 2012", BASES["normal"], _fixed(0.01)),
    Initializer("standard_normal", "too large · N(0, 1)", "N(0, 1)",
                r"1", "", BASES["normal"], _fixed(1.0)),
    Initializer("lecun_normal", "LeCun · 1/n (the lecture's Xavier)", "LeCun",
                r"\frac{1}{n_{in}}", _LECUN, BASES["normal"], _lecun),
    Initializer("lecun_uniform", "LeCun, uniform · 1/n", "LeCun uniform",
                r"\frac{1}{n_{in}}", _LECUN, BASES["uniform"], _lecun),
    Initializer("glorot_normal", "Glorot/Xavier · 2/(nᵢₙ+nₒᵤₜ)", "Glorot",
                r"\frac{2}{n_{in} + n_{out}}", _GLOROT, BASES["truncated"], _glorot),
    Initializer("glorot_uniform", "Glorot/Xavier, uniform · 2/(nᵢₙ+nₒᵤₜ)", "Glorot uniform",
                r"\frac{2}{n_{in} + n_{out}}", _GLOROT, BASES["uniform"], _glorot),
    Initializer("he_normal", "He · 2/n", "He",
                r"\frac{2}{n_{in}}", _HE, BASES["normal"], _he),
    Initializer("he_uniform", "He, uniform · 2/n", "He uniform",
                r"\frac{2}{n_{in}}", _HE, BASES["uniform"], _he),
    Initializer("lecun_fan_out", "LeCun, fan-out · 1/nₒᵤₜ", "LeCun fan-out",
                r"\frac{1}{n_{out}}", "variance_scaling, mode fan_out", BASES["normal"],
                _of_fan_out(_lecun)),
    Initializer("he_fan_out", "He, fan-out · 2/nₒᵤₜ", "He fan-out",
                r"\frac{2}{n_{out}}", "PyTorch kaiming_normal_, mode fan_out", BASES["normal"],
                _of_fan_out(_he)),
    Initializer("bert_normal", "BERT · 0.02², cut at ±0.04", "BERT",
                r"(0.88 \cdot 0.02)^2",
                "N(0, 0.02²) cut at ±0.04: initializer_range of BERT, Devlin et al. 2019 (arXiv 1810.04805)",
                BASES["truncated"], _fixed(0.02 * TRUNCATED_STD)),
    Initializer("uniform", "uniform · U(−1, 1)", "uniform",
                r"\frac{1}{3}", "U(-1, 1): gamma is the limit", BASES["uniform"],
                _fixed(math.sqrt(1 / 3))),
    Initializer("constant", "constant · all weights equal", "constant",
                r"W = 1", "all weights are gamma", BASES["constant"], _fixed(1.0)),
    Initializer("orthogonal", "orthogonal · WᵀW = I", "orthogonal",
                r"\frac{1}{\max(n_{in}, n_{out})},\; W^T W = I",
                "Saxe et al. 2014 (arXiv 1312.6120)", BASES["orthogonal"], _fixed(1.0)),
    Initializer("identity", "identity · W = I", "identity",
                r"W = I", "Le et al. 2015 (arXiv 1504.00941)", BASES["identity"], _fixed(1.0)),
    _siren(30.0),
    Initializer("pytorch_default", "PyTorch default · 1/(3n)", "PyTorch default",
                r"\frac{1}{3\,n_{in}}",
                "PyTorch nn.Linear, weights and biases U(-1/sqrt(n), 1/sqrt(n))",
                BASES["uniform"], lambda fan_in, fan_out: math.sqrt(1 / (3 * fan_in)),
                BiasRule("uniform", 1.0)),
    Initializer("keras_default", "Keras default · Glorot uniform", "Keras default",
                r"\frac{2}{n_{in} + n_{out}}", "Keras Dense, glorot_uniform, biases 0",
                BASES["uniform"], _glorot),
    Initializer("flax_default", "Flax default · LeCun, cut at 2σ", "Flax default",
                r"\frac{1}{n_{in}}", "Flax Dense, truncated lecun_normal, biases 0",
                BASES["truncated"], _lecun),
    Initializer("playground_default", "Playground default · U(−½, ½)", "Playground default",
                r"\frac{1}{12}",
                "TensorFlow Playground nn.ts, weights U(-1/2, 1/2), all biases 0.1",
                BASES["uniform"], _fixed(math.sqrt(1 / 12)), BiasRule("constant", 0.1)),
)}


def initializer_for(name: str, activation: str) -> Initializer:
    """Return the record of ``name``; that of siren for the frequency of a sine, sin(ω*z)."""
    function = ACTIVATIONS[activation]
    omega = sine_frequency(function.f, function.df) if name == "siren" else None
    return _siren(omega) if omega else INITIALIZERS[name]
