"""Code to take home: an initializer, an activation and widths as source text for NumPy, PyTorch, Keras, JAX and TensorFlow.

Each text builds the net that ``vgdash`` measures: weights of the same distribution, not only of the same variance, the same form
of the activation, biases 0 or normal, and a last layer without activation. Names differ: he_normal and lecun_normal are plain
normal here and in PyTorch, truncated in Keras and JAX; glorot_normal is truncated here, in Keras and in JAX, but not in PyTorch.
The text says so where it matters. A Keras initializer repeats its draw when it is called again, so every layer gets its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from vgdash.activations import GELU_CUBIC, LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE
from vgdash.codegen.recipe import Recipe
from vgdash.initializers import TRUNCATED_STD
from vgdash.params import Choice
from vgdash.probe.probe import ProbeParams

__all__ = ["FRAMEWORKS", "export"]

SCALED = ("lecun_normal", "lecun_uniform", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform")  # names in Keras and JAX too


def export(initializer: str, activation: str, framework: str, widths: Sequence[int] = (784, 512, 512, 10),
           gamma: float = 1.0, sigma_b2: float = 0.0) -> str:
    """Source text that builds the net ``widths`` (from the input to the last layer) in one of ``FRAMEWORKS``, initialized.

    Weights are drawn as ``INITIALIZERS[initializer]`` does, times ``gamma``; biases are 0, or N(0, ``sigma_b2``). NumPy, JAX and
    TensorFlow define ``layers``, a list of (w, b), and ``forward``; PyTorch and Keras define ``model``. w is (fan_out, fan_in) in
    NumPy and PyTorch, (fan_in, fan_out) elsewhere. Raises ``ParamError``, a ``ValueError``, for what ``ProbeParams`` refuses as a
    single value, and for an unknown framework.
    """
    values = {"initializer": initializer, "activation": activation, "widths": widths, "gamma": gamma, "sigma_b2": sigma_b2}
    rules = ProbeParams.rules()
    recipe = Recipe(**{name: rules[name].check(name, value) for name, value in values.items()})
    return WRITERS[Choice(FRAMEWORKS).check("framework", framework)](recipe)


# ---- NumPy

FORWARD = '''

def forward({arguments}):
    """(batch, {first}) -> (batch, {last})"""
    a = x
    for w, b in layers[:-1]:
        z = a @ {w} + b
        a = {activation}
    w, b = layers[-1]
    return a @ {w} + b
'''
NUMPY = '''\
{about}
import numpy as np

rng = np.random.default_rng(0)
{widths}
{define}
layers = []
for fan_in, fan_out in zip(widths, widths[1:]):
    w = {weight}
    b = {bias}
    layers.append((w, b))
'''
NUMPY_TRUNCATED = f'''

def truncated(shape):
    """Standard normal, redrawn beyond ±2, divided by the std that this leaves."""
    w = rng.standard_normal(shape)
    while (beyond := np.abs(w) > 2).any():
        w[beyond] = rng.standard_normal(beyond.sum())
    return w / {TRUNCATED_STD!r}

'''
NUMPY_ORTHOGONAL = '''

def orthogonal(fan_in, fan_out):
    """Orthonormal rows or columns, whichever are fewer."""
    q, r = np.linalg.qr(rng.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out))))
    q *= np.sign(np.diag(r))
    return q if fan_out >= fan_in else q.T

'''


def _forward(recipe: Recipe, framework: str, arguments: str, w: str) -> str:
    return FORWARD.format(arguments=arguments, w=w, first=recipe.widths[0], last=recipe.widths[-1],
                          activation=ACTIVATION_TEXTS[recipe.activation][framework])


def _numpy(recipe: Recipe) -> str:
    weight = {
        "normal": lambda: f"{recipe.root(1, 'np.sqrt({})')} * rng.standard_normal((fan_out, fan_in))",
        "truncated": lambda: f"{recipe.root(1, 'np.sqrt({})')} * truncated((fan_out, fan_in))",
        "uniform": lambda: f"{recipe.root(3, 'np.sqrt({})')} * rng.uniform(-1, 1, (fan_out, fan_in))",
        "orthogonal": lambda: f"{recipe.times_gamma}orthogonal(fan_in, fan_out)",
        "identity": lambda: f"{recipe.times_gamma}np.eye(fan_out, fan_in)",
        "zeros": lambda: "np.zeros((fan_out, fan_in))",
    }[recipe.base]()
    return NUMPY.format(
        about=recipe.about("fan_out, fan_in"), widths=recipe.list_of_widths, weight=weight,
        define={"truncated": NUMPY_TRUNCATED, "orthogonal": NUMPY_ORTHOGONAL}.get(recipe.base, ""),
        bias=f"np.sqrt({recipe.sigma_b2!r}) * rng.standard_normal(fan_out)" if recipe.sigma_b2 else "np.zeros(fan_out)",
    ) + _forward(recipe, "numpy", "x", "w.T")


# ---- PyTorch

PYTORCH = '''\
{about}
from torch import nn

{widths}

layers = []
for fan_in, fan_out in zip(widths, widths[1:]):
    layer = nn.Linear(fan_in, fan_out)
{weight}
    {bias}
    layers += [layer, {activation}]
model = nn.Sequential(*layers[:-1])  # no activation after the last layer
'''
PYTORCH_NAMES = {
    "lecun_normal": 'nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")',
    "lecun_uniform": 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")',
    "glorot_uniform": "nn.init.xavier_uniform_(layer.weight)",
    "he_normal": 'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")',
    "he_uniform": 'nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")',
    "pytorch_default": "# w stays as nn.Linear draws it; it draws b from U(±1 / sqrt(fan_in)) too, unlike the next line",
}


def _pytorch(recipe: Recipe) -> str:
    if recipe.gamma == 1 and recipe.initializer in PYTORCH_NAMES:
        lines = [PYTORCH_NAMES[recipe.initializer]]
    elif recipe.base == "normal":
        lines = [f"nn.init.normal_(layer.weight, std={recipe.root()})"]
    elif recipe.base == "truncated":
        lines = [f"std = {recipe.root()} / {TRUNCATED_STD!r}  # before truncation",
                 "nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)  # xavier_normal_ does not truncate"]
    elif recipe.base == "uniform":
        lines = [f"limit = {recipe.root(3)}", "nn.init.uniform_(layer.weight, -limit, limit)"]
    elif recipe.base == "orthogonal":
        lines = [f"nn.init.orthogonal_(layer.weight{recipe.gain(', gain=')})"]
    elif recipe.base == "identity":
        lines = ["nn.init.eye_(layer.weight)"] + ([] if recipe.gamma == 1 else [f"layer.weight.data.mul_({recipe.gamma!r})"])
    else:
        lines = ["nn.init.zeros_(layer.weight)"]
    return PYTORCH.format(
        about=recipe.about("fan_out, fan_in"), widths=recipe.list_of_widths, weight=textwrap.indent("\n".join(lines), " " * 4),
        bias=f"nn.init.normal_(layer.bias, std={recipe.sigma_b2!r} ** 0.5)" if recipe.sigma_b2 else "nn.init.zeros_(layer.bias)",
        activation=ACTIVATION_TEXTS[recipe.activation]["pytorch"])


# ---- Keras, and TensorFlow with the initializers of Keras

KERAS = '''\
{about}
import keras

{widths}


def dense(units, activation=None):
{note}    kernel = {weight}
    bias = {bias}
    return keras.layers.Dense(units, activation=activation, kernel_initializer=kernel, bias_initializer=bias)


model = keras.Sequential([
    keras.Input((widths[0],)),
    *[dense(units, {activation}) for units in widths[1:-1]],
    dense(widths[-1]),
])
'''
TENSORFLOW = '''\
{about}
import tensorflow as tf

{widths}

layers = []
for fan_in, fan_out in zip(widths, widths[1:]):
{note}    init = {weight}
    w = tf.Variable(init((fan_in, fan_out)))
    b = tf.Variable({bias})
    layers.append((w, b))
'''


def _keras_initializer(recipe: Recipe, module: str) -> tuple[str, str]:
    """The call, and a comment where Keras means another distribution by the name."""
    name = "".join(part.title() for part in recipe.initializer.split("_"))
    note = ""
    if recipe.base == "zeros":
        call = "Zeros()"
    elif recipe.base in ("orthogonal", "identity"):
        call = f"{name}({recipe.gain('gain=')})"
    elif not recipe.mode:
        call = {"normal": f"RandomNormal(stddev={recipe.root()})",
                "uniform": f"RandomUniform(minval=-{recipe.root(3)}, maxval={recipe.root(3)})"}[recipe.base]
    elif recipe.gamma == 1 and recipe.initializer in SCALED and recipe.base != "normal":
        call = f"{name}()"
    else:
        law = {"normal": "untruncated_normal", "truncated": "truncated_normal", "uniform": "uniform"}[recipe.base]
        call = f'VarianceScaling(scale={recipe.scale}, mode="{recipe.mode}", distribution="{law}")'
        note = f"    # {name} would be truncated\n" if recipe.base == "normal" else ""
    return f"{module}.{call}", note


def _keras(recipe: Recipe) -> str:
    weight, note = _keras_initializer(recipe, "keras.initializers")
    bias = f"keras.initializers.RandomNormal(stddev={recipe.sigma_b2!r} ** 0.5)" if recipe.sigma_b2 else "keras.initializers.Zeros()"
    return KERAS.format(about=recipe.about("fan_in, fan_out"), widths=recipe.list_of_widths, weight=weight, note=note, bias=bias,
                        activation=ACTIVATION_TEXTS[recipe.activation]["keras"])


def _tensorflow(recipe: Recipe) -> str:
    weight, note = _keras_initializer(recipe, "tf.keras.initializers")
    bias = f"{recipe.sigma_b2!r} ** 0.5 * tf.random.normal([fan_out])" if recipe.sigma_b2 else "tf.zeros([fan_out])"
    return TENSORFLOW.format(about=recipe.about("fan_in, fan_out"), widths=recipe.list_of_widths, weight=weight, note=note,
                             bias=bias) + _forward(recipe, "tensorflow", "x", "w")


# ---- JAX

JAX = '''\
{about}
import jax
import jax.numpy as jnp

{widths}
{init}
layers = []
keys = jax.random.split(jax.random.key(0), len(widths) - 1)
for key, fan_in, fan_out in zip(keys, widths, widths[1:]):
{split}    w = init(key, (fan_in, fan_out))  # in flax: nn.Dense(fan_out, kernel_init=init)
    b = {bias}
    layers.append((w, b))
'''
JAX_INIT = '''

def init(key, shape, dtype=jnp.float32):
    return {}

'''


def _jax(recipe: Recipe) -> str:
    bias, split = "jnp.zeros(fan_out)", ""
    if recipe.sigma_b2:
        bias, split = f"{recipe.sigma_b2!r} ** 0.5 * jax.random.normal(b_key, (fan_out,))", "    key, b_key = jax.random.split(key)\n"
    return JAX.format(about=recipe.about("fan_in, fan_out"), widths=recipe.list_of_widths, init=_jax_init(recipe), split=split,
                      bias=bias) + _forward(recipe, "jax", "layers, x", "w")


def _jax_init(recipe: Recipe) -> str:
    """Lines that define ``init(key, shape, dtype)``; a function of our own where JAX has none, or one that starts at 0."""
    if recipe.base == "identity":
        return JAX_INIT.format(f"{recipe.times_gamma}jnp.eye(*shape, dtype=dtype)")
    if recipe.base == "uniform" and not recipe.mode:
        return JAX_INIT.format(f"jax.random.uniform(key, shape, dtype, minval=-{recipe.root(3)}, maxval={recipe.root(3)})")
    note = ""
    if recipe.base == "zeros":
        call = "zeros"
    elif recipe.base == "orthogonal":
        call = f"orthogonal({recipe.gain()})"
    elif not recipe.mode:
        call = {"normal": f"normal(stddev={recipe.root()})"}[recipe.base]
    elif recipe.gamma == 1 and recipe.initializer in SCALED and recipe.base != "normal":
        call = f"{recipe.initializer}()"
    else:
        law = {"normal": "normal", "truncated": "truncated_normal", "uniform": "uniform"}[recipe.base]
        call = f'variance_scaling({recipe.scale}, "{recipe.mode}", "{law}")'
        note = f"  # {recipe.initializer} would be truncated" if recipe.base == "normal" else ""
    return f"init = jax.nn.initializers.{call}{note}\n"


WRITERS: dict[str, Callable[[Recipe], str]] = {
    "numpy": _numpy, "pytorch": _pytorch, "keras": _keras, "jax": _jax, "tensorflow": _tensorflow}
FRAMEWORKS = tuple(WRITERS)

_SIGMOID, _SOFTPLUS = "0.5 * (1 + np.tanh(z / 2))", "np.logaddexp(0, z)"
ACTIVATION_TEXTS: dict[str, dict[str, str]] = {name: dict(zip(FRAMEWORKS, texts, strict=True)) for name, texts in {
    "linear": ("z", "nn.Identity()", '"linear"', "z", "z"),
    "relu": ("np.maximum(0, z)", "nn.ReLU()", '"relu"', "jax.nn.relu(z)", "tf.nn.relu(z)"),
    "leaky_relu": (f"np.where(z > 0, z, {LEAKY_SLOPE} * z)", f"nn.LeakyReLU(negative_slope={LEAKY_SLOPE})",
                   f"keras.layers.LeakyReLU(negative_slope={LEAKY_SLOPE})",
                   f"jax.nn.leaky_relu(z, negative_slope={LEAKY_SLOPE})", f"tf.nn.leaky_relu(z, alpha={LEAKY_SLOPE})"),
    "elu": ("np.where(z > 0, z, np.expm1(np.minimum(0, z)))", "nn.ELU()", '"elu"', "jax.nn.elu(z)", "tf.nn.elu(z)"),
    "selu": (f"{SELU_SCALE} * np.where(z > 0, z, {SELU_ALPHA} * np.expm1(np.minimum(0, z)))", "nn.SELU()", '"selu"',
             "jax.nn.selu(z)", "tf.nn.selu(z)"),
    "gelu": (f"0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + {GELU_CUBIC} * z**3)))", 'nn.GELU(approximate="tanh")',
             "lambda z: keras.activations.gelu(z, approximate=True)", "jax.nn.gelu(z, approximate=True)",
             "tf.nn.gelu(z, approximate=True)"),
    "silu": (f"z * {_SIGMOID}", "nn.SiLU()", '"silu"', "jax.nn.silu(z)", "tf.nn.silu(z)"),
    "mish": (f"z * np.tanh({_SOFTPLUS})", "nn.Mish()", '"mish"', "jax.nn.mish(z)", "z * tf.nn.tanh(tf.nn.softplus(z))"),
    "softplus": (_SOFTPLUS, "nn.Softplus()", '"softplus"', "jax.nn.softplus(z)", "tf.nn.softplus(z)"),
    "softsign": ("z / (1 + np.abs(z))", "nn.Softsign()", '"softsign"', "jax.nn.soft_sign(z)", "tf.nn.softsign(z)"),
    "tanh": ("np.tanh(z)", "nn.Tanh()", '"tanh"', "jnp.tanh(z)", "tf.nn.tanh(z)"),
    "sigmoid": (_SIGMOID, "nn.Sigmoid()", '"sigmoid"', "jax.nn.sigmoid(z)", "tf.nn.sigmoid(z)"),
}.items()}
