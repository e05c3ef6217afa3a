"""Write an initialized net as source text for NumPy, PyTorch, Keras, JAX and TensorFlow.

Each text builds the net that ``vgdash`` measures: the same distribution of weights, form of the activation
and biases, and a last layer without activation. Names differ: he_normal and lecun_normal are plain normal
here and in PyTorch, truncated in Keras and JAX; glorot_normal is truncated here, in Keras and in JAX, but not
in PyTorch. A Keras initializer repeats its draw when called again, so every layer gets its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vgdash.activations import ACTIVATIONS
from vgdash.codegen.formula_source import FRAMEWORKS, formula_source
from vgdash.codegen.recipe import Recipe, spell_list
from vgdash.initializers import TRUNCATED_STD, initializer_for
from vgdash.params import Choice, ParamError
from vgdash.probe.params import ProbeParams


@dataclass(frozen=True)
class Framework:
    """Format strings for one framework, where ``r`` is the ``Recipe``.

    ``text`` has places for the others. ``last`` changes the last layer. ``biases`` maps the law of a
    ``BiasRule`` to its call, ``weights`` a distribution, and "normal over fan" to the one that divides by a
    fan itself; ``named`` maps initializers of gamma 1.
    """

    text: str
    last: str
    biases: Mapping[str, str]
    weights: Mapping[str, str]
    named: Mapping[str, str] = field(default_factory=dict)
    shape: str = "fan_in, fan_out"

    def weight(self, r: Recipe) -> str:
        if r.kernels and r.base in KERNEL_WEIGHTS:
            return KERNEL_WEIGHTS[r.base]
        if r.gamma == 1 and r.initializer in self.named:
            return self.named[r.initializer]
        return self.weights.get(f"{r.base} over fan" if r.mode else r.base) or self.weights[r.base]


def export(initializer: str, activation: str, framework: str, widths: Sequence[int] = (784, 512, 512, 10),
           gamma: float = 1.0, sigma_b2: float = 0.0, last_scale: float = 1.0, last_bias: float = 0.0,
           kernels: Sequence[int] = ()) -> str:
    """Source text that builds the net ``widths`` (from the input to the last layer) in one of ``FRAMEWORKS``.

    Weights are those of ``INITIALIZERS[initializer]``, times ``gamma``, and biases its ``biases(sigma_b2)``;
    ``last_scale``, ``last_bias`` and ``kernels`` are those of ``ProbeParams``; the last only for PyTorch.
    NumPy, JAX and TensorFlow define ``layers``, a list of (w, b), and ``forward``; PyTorch and Keras
    ``model``. w is (fan_out, fan_in) in NumPy and PyTorch, (fan_in, fan_out) elsewhere. Raises
    ``ParamError``, a ``ValueError``, for values that ``ProbeParams`` refuses, and for an unknown framework.
    """
    values = {"initializer": initializer, "activation": activation, "widths": widths, "gamma": gamma,
              "sigma_b2": sigma_b2, "last_scale": last_scale, "last_bias": last_bias, "kernels": kernels}
    rules = ProbeParams.rules()
    r = Recipe(**{name: rules[name].check(name, value) for name, value in values.items()})
    chosen = TEMPLATES[Choice(FRAMEWORKS).check("framework", framework)]
    if r.kernels and framework != "pytorch":
        raise ParamError("framework", "pytorch for convolutions", framework, "Leave kernels out.")
    sides = r.kernels * (len(r.widths) - 1) if len(r.kernels) == 1 else r.kernels
    w = "w" if r.last_scale == 1 else f"{r.last_scale!r} * w"
    b = f"0 * b + {r.last_bias!r}" if r.last_bias else "b"
    end = "" if (w, b) == ("w", "b") else chosen.last.format(w=w, b=b)
    if (first := initializer_for(r.initializer, r.activation).first(r.widths[0] * (*sides, 1)[0] ** 2)) != 1:
        end = "# the first layer\n" + chosen.last.format(w=f"{first!r} * w", b="b").replace("-1", "0") + end
    random_bias = r.bias.law in ("normal", "uniform")
    return chosen.text.format(
        r=r, about=about(r, framework), last=r.widths[-1], end=end,
        layer=(CONVOLUTION if r.kernels else LINEAR).format(spell_list(sides)),
        **activation_source(r.activation, framework),
        weight=chosen.weight(r).format(r=r, **roots(r)), bias=chosen.biases[r.bias.law].format(r=r),
        define=NUMPY_FUNCTIONS.get(r.base, ""), split=JAX_SPLIT if random_bias else "",
        note=f"    # {r.title} would be truncated\n" if r.base == "normal" and r.mode else "")


def roots(r: Recipe) -> dict[str, str]:
    """Return the standard deviation and the limit of the weights, as Python, for the format strings."""
    return {"std": r.root(1), "limit": r.root(3), "numpy_std": r.root(1, "np.sqrt({})"),
            "numpy_limit": r.root(3, "np.sqrt({})")}


def about(r: Recipe, framework: str) -> str:
    """Return a comment: the distribution of w, and for Glorot in Keras the words of its source."""
    words = r.about(TEMPLATES[framework].shape)
    said = DOCUMENTED.get(r.initializer, "") if framework in ("keras", "tensorflow") and r.gamma == 1 else ""
    return f"{words}\n{textwrap.indent(textwrap.fill(f'Keras: “{said}”', 98), '# ')}" if said else words


def activation_source(name: str, framework: str) -> dict[str, str]:
    """Return the source of an activation, and what a typed formula needs before it."""
    record = ACTIVATIONS[name]
    if record.tree is None:
        code = record.code[FRAMEWORKS.index(framework)]
        return {"activation": code, "imports": "", "module": ""}
    code = formula_source(record.tree, framework)
    if framework == "pytorch":
        return {"activation": "Formula()", "imports": "import torch\n", "module": PYTORCH_MODULE.format(code)}
    return {"activation": f"lambda z: {code}" if framework == "keras" else code,
            "imports": "import math\n\n" if "math." in code and framework == "numpy" else "", "module": ""}


PYTORCH_MODULE = '''

class Formula(nn.Module):
    def forward(self, z):
        return {}

'''


def _forward(arguments: str, w: str) -> str:
    return f'''

def forward({arguments}):
    """(batch, {{r.widths[0]}}) -> (batch, {{last}})"""
    a = x
    for w, b in layers[:-1]:
        z = a @ {w} + b
        a = {{activation}}
    w, b = layers[-1]
    return a @ {w} + b
'''


LAST = "w, b = layers[-1]\nlayers[-1] = ({w}, {b})\n"
NUMPY = Framework('''\
{about}
{imports}import numpy as np

rng = np.random.default_rng(0)
{r.list_of_widths}
{define}
layers = []
for fan_in, fan_out in zip(widths, widths[1:]):
    w = {weight}
    b = {bias}
    layers.append((w, b))
{end}''' + _forward("x", "w.T"), LAST, biases={
    "zeros": "np.zeros(fan_out)", "constant": "np.full(fan_out, {r.bias.value!r})",
    "normal": "np.sqrt({r.bias.value!r}) * rng.standard_normal(fan_out)",
    "uniform": "rng.uniform(-1, 1, fan_out) / np.sqrt(fan_in)",
}, weights={
    "normal": "{numpy_std} * rng.standard_normal((fan_out, fan_in))",
    "truncated": "{numpy_std} * truncated((fan_out, fan_in))",
    "uniform": "{numpy_limit} * rng.uniform(-1, 1, (fan_out, fan_in))",
    "orthogonal": "{r.times_gamma}orthogonal(fan_in, fan_out)",
    "identity": "{r.times_gamma}np.eye(fan_out, fan_in)",
    "constant": "np.full((fan_out, fan_in), {r.gamma!r})",
    "zeros": "np.zeros((fan_out, fan_in))",
}, shape="fan_out, fan_in")

NUMPY_FUNCTIONS = {"truncated": f'''

def truncated(shape):
    """Standard normal, redrawn beyond ±2, divided by the std that this leaves."""
    w = rng.standard_normal(shape)
    while (beyond := np.abs(w) > 2).any():
        w[beyond] = rng.standard_normal(beyond.sum())
    return w / {TRUNCATED_STD!r}

''', "orthogonal": '''

def orthogonal(fan_in, fan_out):
    """Orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out))))
    q *= np.sign(np.diag(r))
    return q if fan_out >= fan_in else q.T

'''}

LINEAR = """
layers = []
for fan_in, fan_out in zip(widths, widths[1:]):
    layer = nn.Linear(fan_in, fan_out)
"""
CONVOLUTION = """\
kernels = {}

layers = []
for channels, units, side in zip(widths, widths[1:], kernels):
    layer = nn.Conv2d(channels, units, side, padding="same")
    fan_in, fan_out = side**2 * channels, side**2 * units
"""
KERNEL_WEIGHTS = {
    "orthogonal": "nn.init.zeros_(layer.weight)\n    middle = layer.weight.data[:, :, side // 2, side // 2]\n"
                  "    nn.init.orthogonal_(middle, gain={r.gamma!r})",
    "identity": "nn.init.dirac_(layer.weight)\n    layer.weight.data.mul_({r.gamma!r})",
}
PYTORCH = Framework('''\
{about}
{imports}from torch import nn

{r.list_of_widths}
{module}{layer}    {weight}
    {bias}
    layers += [layer, {activation}]
model = nn.Sequential(*layers[:-1])  # no activation after the last layer
{end}''', "w, b = model[-1].weight.data, model[-1].bias.data\nw[:], b[:] = {w}, {b}\n", biases={
    "zeros": "nn.init.zeros_(layer.bias)", "constant": "nn.init.constant_(layer.bias, {r.bias.value!r})",
    "normal": "nn.init.normal_(layer.bias, std={r.bias.value!r} ** 0.5)",
    "uniform": "# b stays as PyTorch draws it, from U(±1 / sqrt(fan_in))",
}, weights={
    "normal": "nn.init.normal_(layer.weight, std={std})",
    "truncated": f"std = {{std}} / {TRUNCATED_STD!r}  # before truncation\n"
                 "    nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)"
                 "  # xavier_normal_ does not truncate",
    "uniform": "limit = {limit}\n    nn.init.uniform_(layer.weight, -limit, limit)",
    "orthogonal": "nn.init.orthogonal_(layer.weight, gain={r.gamma!r})",
    "identity": "nn.init.eye_(layer.weight)\n    layer.weight.data.mul_({r.gamma!r})",
    "constant": "nn.init.constant_(layer.weight, {r.gamma!r})",
    "zeros": "nn.init.zeros_(layer.weight)",
}, named={
    "bert_normal": "nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04)",
    "he_fan_out": 'nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")',
    "lecun_normal": 'nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")',
    "lecun_uniform": 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")',
    "glorot_uniform": "nn.init.xavier_uniform_(layer.weight)",
    "he_normal": 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")',
    "he_uniform": 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")',
    "orthogonal": "nn.init.orthogonal_(layer.weight)",
    "identity": "nn.init.eye_(layer.weight)",
    "keras_default": "nn.init.xavier_uniform_(layer.weight)",
    "pytorch_default": "# w stays as PyTorch draws it, from U(±1 / sqrt(fan_in))",
}, shape="fan_out, fan_in")

KERAS_SCALING = 'VarianceScaling(scale={{r.scale}}, mode="{{r.mode}}", distribution="{}")'
KERAS_WEIGHTS = {
    "normal": "RandomNormal(stddev={std})",
    "uniform": "RandomUniform(minval=-{limit}, maxval={limit})",
    "normal over fan": KERAS_SCALING.format("untruncated_normal"),
    "truncated over fan": KERAS_SCALING.format("truncated_normal"),
    "uniform over fan": KERAS_SCALING.format("uniform"),
    "orthogonal": "Orthogonal(gain={r.gamma!r})",
    "truncated": f"TruncatedNormal(stddev={{std}} / {TRUNCATED_STD!r})",
    "identity": "Identity(gain={r.gamma!r})",
    "constant": "Constant({r.gamma!r})",
    "zeros": "Zeros()",
}
SAME_NAMES = ("lecun_uniform", "glorot_normal", "glorot_uniform", "he_uniform")  # here, in Keras and in JAX
KERAS_NAMES = {**dict.fromkeys((*SAME_NAMES, "orthogonal", "identity"), "{r.title}()"),
               "keras_default": "GlorotUniform()", "flax_default": "LecunNormal()",
               "bert_normal": "TruncatedNormal(stddev=0.02)"}

# keras/src/initializers/random_initializers.py, Keras 3 (Apache License 2.0), which TensorFlow takes
DOCUMENTED = {
    "glorot_normal": "Draws samples from a truncated normal distribution centered on 0 with stddev = "
                     "sqrt(2 / (fan_in + fan_out)) where fan_in is the number of input units in the weight "
                     "tensor and fan_out is the number of output units in the weight tensor.",
    "glorot_uniform": "Draws samples from a uniform distribution within [-limit, limit], where limit = "
                      "sqrt(6 / (fan_in + fan_out)) (fan_in is the number of input units in the weight "
                      "tensor and fan_out is the number of output units).",
}

KERAS = Framework('''\
{about}
import keras

{r.list_of_widths}


def dense(fan_in, units, activation=None):
{note}    kernel = keras.initializers.{weight}
    bias = keras.initializers.{bias}
    return keras.layers.Dense(units, activation=activation, kernel_initializer=kernel, bias_initializer=bias)


model = keras.Sequential([
    keras.Input((widths[0],)),
    *[dense(fan_in, units, {activation})
      for fan_in, units in zip(widths[:-2], widths[1:-1])],
    dense(*widths[-2:]),
])
{end}''', "w, b = model.layers[-1].get_weights()\nmodel.layers[-1].set_weights([{w}, {b}])\n", biases={
    "zeros": "Zeros()", "constant": "Constant({r.bias.value!r})",
    "normal": "RandomNormal(stddev={r.bias.value!r} ** 0.5)",
    "uniform": "RandomUniform(minval=-1 / fan_in**0.5, maxval=1 / fan_in**0.5)",
}, weights=KERAS_WEIGHTS, named=KERAS_NAMES)

TENSORFLOW = Framework('''\
{about}
import tensorflow as tf

{r.list_of_widths}

layers = []
for fan_in, fan_out in zip(widths, widths[1:]):
{note}    init = tf.keras.initializers.{weight}
    w = tf.Variable(init((fan_in, fan_out)))
    b = tf.Variable({bias})
    layers.append((w, b))
{end}''' + _forward("x", "w"), "w, b = layers[-1]\nw.assign({w})\nb.assign({b})\n", biases={
    "zeros": "tf.zeros([fan_out])", "constant": "tf.fill([fan_out], {r.bias.value!r})",
    "normal": "{r.bias.value!r} ** 0.5 * tf.random.normal([fan_out])",
    "uniform": "tf.random.uniform([fan_out], -1, 1) / fan_in**0.5",
}, weights=KERAS_WEIGHTS, named=KERAS_NAMES)

JAX_INITIALIZER = "init = jax.nn.initializers.{}\n"
JAX_SCALING = JAX_INITIALIZER.format('variance_scaling({{r.scale}}, "{{r.mode}}", "{}"){}')
JAX_FUNCTION = '''

def init(key, shape, dtype=jnp.float32):
    return {}

'''
JAX_SPLIT = "    key, b_key = jax.random.split(key)\n"
JAX = Framework('''\
{about}
import jax
import jax.numpy as jnp

{r.list_of_widths}
{weight}
layers = []
keys = jax.random.split(jax.random.key(0), len(widths) - 1)
for key, fan_in, fan_out in zip(keys, widths, widths[1:]):
{split}    w = init(key, (fan_in, fan_out))  # in flax: nn.Dense(fan_out, kernel_init=init)
    b = {bias}
    layers.append((w, b))
{end}''' + _forward("layers, x", "w"), LAST, biases={
    "zeros": "jnp.zeros(fan_out)", "constant": "jnp.full(fan_out, {r.bias.value!r})",
    "normal": "{r.bias.value!r} ** 0.5 * jax.random.normal(b_key, (fan_out,))",
    "uniform": "jax.random.uniform(b_key, (fan_out,), minval=-1, maxval=1) / fan_in**0.5",
}, weights={
    "normal": JAX_INITIALIZER.format("normal(stddev={std})"),
    "uniform": JAX_FUNCTION.format(
        "jax.random.uniform(key, shape, dtype, minval=-{limit}, maxval={limit})"),
    "normal over fan": JAX_SCALING.format("normal", "  # {r.initializer} would be truncated"),
    "truncated over fan": JAX_SCALING.format("truncated_normal", ""),
    "uniform over fan": JAX_SCALING.format("uniform", ""),
    "orthogonal": JAX_INITIALIZER.format("orthogonal({r.gamma!r})"),
    "identity": JAX_FUNCTION.format("{r.times_gamma}jnp.eye(*shape, dtype=dtype)"),
    "truncated": JAX_INITIALIZER.format(f"truncated_normal(stddev={{std}} / {TRUNCATED_STD!r})"),
    "constant": JAX_INITIALIZER.format("constant({r.gamma!r})"),
    "zeros": JAX_INITIALIZER.format("zeros"),
}, named={**dict.fromkeys((*SAME_NAMES, "orthogonal"), JAX_INITIALIZER.format("{r.initializer}()")),
          "keras_default": JAX_INITIALIZER.format("glorot_uniform()"),
          "flax_default": JAX_INITIALIZER.format("lecun_normal()"),
          "bert_normal": JAX_INITIALIZER.format("truncated_normal(stddev=0.02)")})

TEMPLATES = dict(zip(FRAMEWORKS, (NUMPY, PYTORCH, KERAS, JAX, TENSORFLOW), strict=True))
