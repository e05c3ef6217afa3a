"""Activation functions: one record holds the value, the slope and the gains.

``ACTIVATIONS[name]`` for linear, relu, leaky_relu, elu, selu, gelu (tanh form), silu, mish, softplus,
softsign, tanh, sigmoid; or ``ACTIVATIONS["z*sigmoid(1.702*z)"]`` for a formula over z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from vgdash import formula
from vgdash.formula_shape import find_breaks, find_kinks, refuse_unbounded
from vgdash.params import Choice, declare
from vgdash.quadrature import MASSES, NODES, Resolved, resolve
from vgdash.spelling import meant

# Klambauer et al. 2017 (arXiv 1706.02515), the values that make mean 0, variance 1 a fixed point.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
LEAKY_SLOPE = 0.01  # the default of PyTorch's LeakyReLU
GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715  # Hendrycks & Gimpel 2016, tanh form
SATURATION = 0.05  # a unit counts as saturated where its slope is below this share of the largest slope


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation function a = f(z).

    ``title`` is the name that people use, ``formula`` LaTeX, ``source`` the paper. ``value(z, out)`` and
    ``slope(z, out)`` write f(z) and f'(z) into ``out`` (not ``z`` itself) in the floating type of ``z``.
    ``slope_of_output(a, out)`` is f' as a function of a = f(z), or None where f is not monotone. At a kink
    the slope is that of the left side. ``code``: f in NumPy, PyTorch, Keras, JAX and TensorFlow;
    ``framework_gain``: PyTorch's. ``tree`` is that of a typed formula, whose branches end at ``breaks``.
    """

    name: str
    title: str
    formula: str
    source: str
    code: tuple[str, str, str, str, str]
    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope_of_output: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    framework_gain: float | None = None
    kinks: tuple[float, ...] = ()
    tree: tuple | None = None
    breaks: tuple[float, ...] = ()

    def f(self, z, out: np.ndarray | None = None) -> np.ndarray:
        """Return f(z), elementwise, in the floating type of ``z`` (integers become float64)."""
        return _apply(self.value, z, out)

    def df(self, z, out: np.ndarray | None = None) -> np.ndarray:
        """Return f'(z), elementwise, in the floating type of ``z`` (integers become float64)."""
        return _apply(self.slope, z, out)

    @property
    def said(self) -> str:
        """The name for sentences: a formula is code, which Markdown leaves alone."""
        return f"`{self.name}`" if self.tree else self.title

    @cached_property
    def forward_gain(self) -> float:
        """1/sqrt(E[f(z)^2]) for z ~ N(0, 1): the factor that keeps a second moment of 1."""
        return 1 / math.sqrt(self.second_moment(1.0))

    def second_moment(self, scale: float) -> float:
        """Return E[f(scale·z)^2] for z ~ N(0, 1)."""
        if self.tree:
            return float(self.resolved.masses(scale) @ self.resolved.value**2)
        return float(MASSES @ self.f(scale * NODES) ** 2)

    @property
    def resolved(self) -> Resolved:
        """Nodes for Gaussian averages of a formula."""
        return _resolved(self)

    @cached_property
    def homogeneous(self) -> bool:
        """True if f(cz) = c·f(z) for c > 0: f is straight on each side of 0."""
        return np.allclose(self.f(2 * NODES), 2 * self.f(NODES), rtol=1e-12, atol=0)

    @cached_property
    def saturation_slope(self) -> float:
        """Slope below which a unit counts as saturated: 5 % of the largest |f'|."""
        return SATURATION * float(np.abs(self.df(np.linspace(-12.0, 12.0, 4001))).max())

    def saturated(self, z) -> np.ndarray:
        """Test, elementwise, if |f'(z)| is below ``saturation_slope``, so that hardly any gradient passes."""
        return np.abs(self.df(z)) < self.saturation_slope


def _apply(function: Callable[[np.ndarray, np.ndarray], np.ndarray], z, out: np.ndarray | None) -> np.ndarray:
    z = np.asarray(z)
    if not np.issubdtype(z.dtype, np.floating):
        z = z.astype(np.float64)
    with np.errstate(over="ignore"):
        return function(z, np.empty_like(z) if out is None else out)


def _ones(z, out):
    out[...] = 1
    return out


def _relu(z, out):
    out[...] = 0  # NumPy uses vector instructions for the maximum of two arrays, not of array and number
    return np.maximum(z, out, out=out)


def _step(z, out):
    return np.greater(z, 0, out=out, casting="unsafe")


def _leaky(z, out):
    np.multiply(z, LEAKY_SLOPE, out=out)
    return np.maximum(z, out, out=out)


def _leaky_slope(z, out):
    _step(z, out)
    out *= 1 - LEAKY_SLOPE
    out += LEAKY_SLOPE
    return out


def _exponential_left(scale, alpha):
    """Return ELU or SELU: scale·z right of 0, scale·alpha·(e^z - 1) left of it; with both slopes."""
    def value(z, out):
        np.multiply(scale * alpha, np.expm1(np.minimum(z, 0)), out=out)
        np.multiply(scale, z, out=out, where=z > 0)
        return out

    def slope(z, out):
        np.multiply(scale * alpha, np.exp(np.minimum(z, 0)), out=out)
        np.copyto(out, scale, where=z > 0)
        return out

    def slope_of_output(a, out):
        np.add(a, scale * alpha, out=out)
        np.copyto(out, scale, where=a > 0)
        return out

    return value, slope, slope_of_output


def _gelu_tanh(z, out):
    np.multiply(z, z, out=out)
    out *= GELU_SCALE * GELU_CUBIC
    out += GELU_SCALE
    out *= z
    return np.tanh(out, out=out)


def _gelu(z, out):
    _gelu_tanh(z, out)
    out += 1
    out *= 0.5
    out *= z
    return out


def _gelu_slope(z, out):
    z = np.clip(z, -30, 30)  # farther out tanh is flat, and z^3 could overflow
    _gelu_tanh(z, out)
    inner = (1 - out * out) * (1 + 3 * GELU_CUBIC * z * z) * (GELU_SCALE * z)
    return np.multiply(0.5, 1 + out + inner, out=out)


def _sigmoid(z, out):
    # (1 + tanh(z/2))/2 neither overflows nor branches
    return np.multiply(0.5, 1 + np.tanh(0.5 * z), out=out)


def _sigmoid_slope(z, out):
    # the sigmoid at -|z| keeps its relative precision, so the slope does too
    power = np.exp(-np.abs(z))
    return np.divide(power, (1 + power) ** 2, out=out)


def _sigmoid_slope_of_output(a, out):
    return np.multiply(a, 1 - a, out=out)


def _silu(z, out):
    return np.multiply(z, _sigmoid(z, out), out=out)


def _silu_slope(z, out):
    _sigmoid(z, out)
    return np.multiply(out, 1 + z * (1 - out), out=out)


def _softplus(z, out):
    return np.add(np.log1p(np.exp(-np.abs(z))), np.maximum(z, 0), out=out)


def _softplus_slope_of_output(a, out):
    return np.negative(np.expm1(-a), out=out)


def _mish(z, out):
    return np.multiply(z, np.tanh(_softplus(z, out)), out=out)


def _mish_slope(z, out):
    gate = np.tanh(_softplus(z, out))
    _sigmoid(z, out)
    out *= z
    out *= 1 - gate * gate
    return np.add(gate, out, out=out)


def _softsign(z, out):
    return np.divide(z, 1 + np.abs(z), out=out)


def _softsign_slope(z, out):
    return np.divide(1, (1 + np.abs(z)) ** 2, out=out)


def _softsign_slope_of_output(a, out):
    return np.square(1 - np.abs(a), out=out)


def _tanh_slope(z, out):
    # 4 e^-2|z| / (1 + e^-2|z|)^2 = 1 - tanh^2 without its cancellation
    power = np.exp(-2 * np.abs(z))
    return np.divide(4 * power, (1 + power) ** 2, out=out)


def _tanh_slope_of_output(a, out):
    np.multiply(a, a, out=out)
    return np.subtract(1, out, out=out)


class _Activations(dict[str, Activation]):
    """Activations by name; another text is read as a formula. Raises ``formula.Misread``."""

    def __missing__(self, text: str) -> Activation:
        return _of_text(text)


_SIGMOID_CODE, _SOFTPLUS_CODE = "0.5 * (1 + np.tanh(z / 2))", "np.logaddexp(0, z)"

ACTIVATIONS: dict[str, Activation] = _Activations({a.name: a for a in (
    Activation("linear", "linear", r"z", "", ("z", "nn.Identity()", '"linear"', "z", "z"),
               np.positive, _ones, _ones, framework_gain=1.0),
    Activation("relu", "ReLU", r"\max(0, z)", "Nair & Hinton 2010",
               ("np.maximum(0, z)", "nn.ReLU()", '"relu"', "jax.nn.relu(z)", "tf.nn.relu(z)"),
               _relu, _step, _step, framework_gain=math.sqrt(2), kinks=(0.0,)),
    Activation("leaky_relu", "leaky ReLU", r"\max(0.01\,z, z)", "Maas, Hannun & Ng 2013",
               (f"np.where(z > 0, z, {LEAKY_SLOPE} * z)", f"nn.LeakyReLU(negative_slope={LEAKY_SLOPE})",
                f"keras.layers.LeakyReLU(negative_slope={LEAKY_SLOPE})",
                f"jax.nn.leaky_relu(z, negative_slope={LEAKY_SLOPE})",
                f"tf.nn.leaky_relu(z, alpha={LEAKY_SLOPE})"),
               _leaky, _leaky_slope, _leaky_slope,
               framework_gain=math.sqrt(2 / (1 + LEAKY_SLOPE**2)), kinks=(0.0,)),
    Activation("elu", "ELU", r"z \text{ if } z > 0 \text{ else } e^z - 1",
               "Clevert et al. 2016 (arXiv 1511.07289)",
               ("np.where(z > 0, z, np.expm1(np.minimum(0, z)))", "nn.ELU()", '"elu"', "jax.nn.elu(z)",
                "tf.nn.elu(z)"), *_exponential_left(1.0, 1.0), kinks=(0.0,)),
    Activation("selu", "SELU", r"\lambda z \text{ if } z > 0 \text{ else } \lambda\alpha(e^z - 1)",
               "Klambauer et al. 2017 (arXiv 1706.02515)",
               (f"{SELU_SCALE} * np.where(z > 0, z, {SELU_ALPHA} * np.expm1(np.minimum(0, z)))", "nn.SELU()",
                '"selu"', "jax.nn.selu(z)", "tf.nn.selu(z)"),
               *_exponential_left(SELU_SCALE, SELU_ALPHA), framework_gain=0.75, kinks=(0.0,)),
    Activation("gelu", "GELU",
               r"\tfrac{z}{2}\left(1 + \tanh\!\left(\sqrt{2/\pi}\,(z + 0.044715 z^3)\right)\right)",
               "Hendrycks & Gimpel 2016 (arXiv 1606.08415)",
               (f"0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + {GELU_CUBIC} * z**3)))",
                'nn.GELU(approximate="tanh")', "lambda z: keras.activations.gelu(z, approximate=True)",
                "jax.nn.gelu(z, approximate=True)", "tf.nn.gelu(z, approximate=True)"), _gelu, _gelu_slope),
    Activation("silu", "SiLU", r"z\,\sigma(z)", "Elfwing et al. 2018 (arXiv 1702.03118)",
               (f"z * {_SIGMOID_CODE}", "nn.SiLU()", '"silu"', "jax.nn.silu(z)", "tf.nn.silu(z)"),
               _silu, _silu_slope),
    Activation("mish", "Mish", r"z \tanh(\ln(1 + e^z))", "Misra 2019 (arXiv 1908.08681)",
               (f"z * np.tanh({_SOFTPLUS_CODE})", "nn.Mish()", '"mish"', "jax.nn.mish(z)",
                "z * tf.nn.tanh(tf.nn.softplus(z))"), _mish, _mish_slope),
    Activation("softplus", "softplus", r"\ln(1 + e^z)", "Dugas et al. 2000",
               (_SOFTPLUS_CODE, "nn.Softplus()", '"softplus"', "jax.nn.softplus(z)", "tf.nn.softplus(z)"),
               _softplus, _sigmoid, _softplus_slope_of_output),
    Activation("softsign", "softsign", r"z / (1 + |z|)", "Turian et al. 2009",
               ("z / (1 + np.abs(z))", "nn.Softsign()", '"softsign"', "jax.nn.soft_sign(z)",
                "tf.nn.softsign(z)"), _softsign, _softsign_slope, _softsign_slope_of_output),
    Activation("tanh", "tanh", r"\tanh z", "LeCun et al. 1998",
               ("np.tanh(z)", "nn.Tanh()", '"tanh"', "jnp.tanh(z)", "tf.nn.tanh(z)"),
               np.tanh, _tanh_slope, _tanh_slope_of_output, framework_gain=5 / 3),
    Activation("sigmoid", "sigmoid", r"1 / (1 + e^{-z})", "Rumelhart et al. 1986",
               (_SIGMOID_CODE, "nn.Sigmoid()", '"sigmoid"', "jax.nn.sigmoid(z)", "tf.nn.sigmoid(z)"),
               _sigmoid, _sigmoid_slope, _sigmoid_slope_of_output, framework_gain=1.0),
)})


# ---- formulas

@lru_cache(maxsize=256)
def _of_text(text: str) -> Activation:
    tree = formula.read(text, ACTIVATIONS)
    plain = ACTIVATIONS["linear"] if tree == formula.Z else tree[1]
    return plain if tree in (formula.Z, ("call", plain, formula.Z)) else _of_formula(formula.spell(tree))


@lru_cache(maxsize=64)
def _of_formula(name: str) -> Activation:
    tree = formula.read(name, ACTIVATIONS)
    (value, slope), breaks = formula.compiled(tree), find_breaks(tree)
    found = Activation(name, name, name, "", (), value, slope, tree=tree, breaks=breaks)
    refuse_unbounded(found.f, found.df, breaks)
    return replace(found, kinks=find_kinks(found.df, breaks))


@lru_cache(maxsize=8)  # up to 3 MB each
def _resolved(activation: Activation) -> Resolved:
    return resolve(activation.f, activation.df, activation.breaks)


@dataclass(frozen=True)
class ActivationRule(Choice):
    """The name of an activation, or a formula over z, kept in one spelling."""

    open = True
    text = "the name of an activation or a formula over z"

    def check(self, field, value):
        if not isinstance(value, str):
            raise self.error(field, value, "Write one such as tanh or z*sigmoid(1.702*z).")
        try:
            return ACTIVATIONS[value].name
        except formula.Misread as error:
            known = meant(value, self.options) or f"Known names are {', '.join(self.options)}."
            raise self.error(field, value, known if value.isidentifier() else str(error)) from None

    def parse(self, field, texts):
        try:
            return self.check(field, texts[-1])
        except ValueError:  # in an address a plain + means a space
            if " " not in (text := texts[-1].strip()):
                raise
        return self.check(field, text.replace(" ", "+"))


def any_activation(default: str) -> Any:
    """Declare a field that is the name of an activation or a formula."""
    return declare(ActivationRule(tuple(ACTIVATIONS)), default)
