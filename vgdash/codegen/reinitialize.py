"""Write a function that draws the weights of an existing model anew, and a check to run afterwards.

The rule sees the fans of each layer of that model. The check prints E[z²] of every layer beside what theory
expects for the widths of the parameter set.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vgdash.codegen.export import (
    JAX_SPLIT,
    KERAS,
    NUMPY_FUNCTIONS,
    TEMPLATES,
    about,
    activation_source,
    roots,
)
from vgdash.codegen.formula_source import FRAMEWORKS
from vgdash.codegen.recipe import Recipe
from vgdash.initializers import INITIALIZERS
from vgdash.params import Choice
from vgdash.probe.params import ProbeParams
from vgdash.theory.layerwise import predict

SHOWN = 11  # layers with an expected number, at most
SIDE = 32  # pixels of an image that the check sends through convolutions
FANS = re.compile(r'(?<!")\bfan_(in|out)\b')  # as variables, not as the name of a mode
FURTHEST = 290.0  # decades that a float can hold


@dataclass(frozen=True)
class Framework:
    """Format strings for one framework.

    ``text`` has places for the others. ``weights`` (by initializer) and ``biases`` replace those of
    ``export`` that only hold for a layer that was just made. ``first``, ``scale`` and ``bias`` change the
    first and the last of the ``layers``.
    """

    text: str
    fans: str
    layers: str
    first: str
    scale: str
    bias: str
    inputs: str
    images: str
    weights: Mapping[str, str] = field(default_factory=dict)
    biases: Mapping[str, str] = field(default_factory=dict)


def reinitialize(p: ProbeParams, framework: str) -> str:
    """Return source text for one of ``FRAMEWORKS`` that runs where a model is, and changes its weights.

    Weights are those of the initializer of ``p``, times gamma, with its biases; the last layer has the scale
    and the bias of ``p``. The model is ``model`` in PyTorch, Keras and TensorFlow, ``model`` and ``params``
    in JAX (flax), and ``layers``, the list of (w, b) that ``export`` gives, in NumPy. Raises ``ParamError``,
    a ``ValueError``, for an unknown framework.
    """
    framework = Choice(FRAMEWORKS).check("framework", framework)
    r = Recipe(p.initializer, p.activation, p.widths, p.gamma, p.sigma_b2, p.last_scale, p.last_bias)
    chosen, source = RULES[framework], KERAS if framework == "tensorflow" else TEMPLATES[framework]
    weight = (chosen.weights.get(r.initializer) or source.weight(r)).format(r=r, **roots(r))
    bias = {**source.biases, **chosen.biases}[r.bias.law].format(r=r)
    first = INITIALIZERS[r.initializer].first(p.fans_in[0])
    end = [line.format(value) for line, value, usual in (
        (chosen.first, first, 1), (chosen.scale, r.last_scale, 1), (chosen.bias, r.last_bias, 0))
        if value != usual]
    inputs = (chosen.images if p.kernels else chosen.inputs).format(p.batch, p.widths[0], SIDE)
    inputs = f"{p.input_scale!r} * {inputs}" if p.input_scale != 1 else inputs
    inputs += f" + {p.input_mean!r}" if p.input_mean else ""
    keras = "tf.keras" if framework == "tensorflow" else "keras"
    return chosen.text.format(
        about=about(r, framework), weight=weight, bias=bias, inputs=inputs,
        end="".join([chosen.layers, *end] if end else end),
        fans=chosen.fans if FANS.search(weight + bias) else "", compare=_compare(p),
        split=JAX_SPLIT if "b_key" in bias else "",
        define=NUMPY_FUNCTIONS.get(r.base, ""), keras=keras,
        others="" if r.base == "identity" else CONVOLUTIONS.format(keras),
        **activation_source(r.activation, framework))


def _compare(p: ProbeParams) -> str:
    """Return the part that all frameworks share: the expected numbers, and a function that prints them."""
    expected, why_not = _expected(p)
    rows = "".join(f"    {layer}: {text!r},\n" for layer, text in expected.items())
    why_not = "".join(f"# {line}\n" for line in textwrap.wrap(why_not, 98))
    return COMPARE.format(why_not=why_not, table=f"{{\n{rows}}}" if rows else "{}", depth=p.depth)


def _expected(p: ProbeParams) -> tuple[dict[int, str], str]:
    """Return what theory expects of E[z²] at some layers, as texts, or why it does not say."""
    if left_out := what_is_beside(p):
        return {}, f"No numbers: theory's z holds for nets with {' and '.join(left_out)}"
    if p.kernels:
        return {}, "No numbers: at the borders of images convolutions add zeros"
    theory = predict(p)
    if np.isnan(theory.log10_q).all():
        return {}, f"No numbers: {theory.reason}"
    low, high = theory.interval("q")
    layers = sorted({round(layer) for layer in np.linspace(1, p.depth, min(SHOWN, p.depth))})
    found = {}
    for layer in layers:
        middle, *ends = (float(x[layer - 1]) for x in (theory.log10_q, low, high))
        if not math.isnan(middle):
            known = all(map(math.isfinite, ends))
            between = f" (19 of 20 nets: {_spell(ends[0])} to {_spell(ends[1])})" if known else ""
            found[layer] = f"{_spell(middle)}{between}"
    return found, ""


def what_is_beside(p: ProbeParams) -> list[str]:
    """Name the parts of the net besides weights, biases and activation."""
    return [name for name, there in (
        (f"{p.normalization} normalization", p.normalization != "none"),
        (f"{p.residual} skip connections", p.residual != "none"),
        (f"dropout that keeps {p.keep:.0%}", p.keep < 1), ("LSUV rescaling", p.rescale != "none")) if there]


def _spell(log10: float) -> str:
    """Write 10^log10 as Python prints it."""
    if math.isinf(log10):
        return "0" if log10 < 0 else "inf"
    return f"{10**log10:.3g}" if abs(log10) < FURTHEST else f"1e{log10:+.0f}"


COMPARE = '''
{why_not}expected = {table}


def compare(found):
    """Print E[z²] of each layer, z before its activation, and what theory expects for inputs as below."""
    known = expected if len(found) == {depth} else {{}}
    if len(found) != {depth}:
        print(f"{{len(found)}} layers here; the expected numbers are for {depth}.")
    for layer, square in enumerate(found, start=1):
        theory = f", expected {{known[layer]}}" if layer in known else ""
        print(f"layer {{layer}}: E[z²] = {{square:.3g}}{{theory}}")
'''

NUMPY = Framework('''\
{about}
{imports}import numpy as np

rng = np.random.default_rng(0)
{define}

def init(layers):
    """Draw a list of (w, b) anew."""
    drawn = []
    for w, b in layers:
        fan_out, fan_in = w.shape
        w = {weight}
        b = {bias}
        drawn.append((w, b))
    return drawn

{compare}

def check(layers, x):
    found, a = [], x
    for w, b in layers:
        z = a @ w.T + b
        found.append((z**2).mean())
        a = {activation}
    compare(found)


layers = init(layers)
{end}check(layers, {inputs})
''', fans="", layers="", first="layers[0] = ({!r} * layers[0][0], layers[0][1])  # the first layer\n",
                  scale="layers[-1] = ({!r} * layers[-1][0], layers[-1][1])  # the last layer\n",
                  bias="layers[-1][1][:] = {!r}\n",
                  inputs="rng.standard_normal(({}, {}))", images="rng.standard_normal(({}, {}))")

PYTORCH = Framework('''\
{about}
import torch
from torch import nn

LAYERS = nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d  # all others stay as they are


def init(layer):
    if not isinstance(layer, LAYERS):
        return
{fans}    {weight}
    if layer.bias is not None:
        {bias}

{compare}

def check(model, inputs):
    found = []

    def watch(layer, args, z):
        found.append((z**2).mean().item())

    hooks = [layer.register_forward_hook(watch) for layer in model.modules() if isinstance(layer, LAYERS)]
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    compare(found)


model.apply(init)
{end}check(model, {inputs})
''', fans="""\
    size = layer.weight[0, 0].numel()  # of a kernel; 1 in a dense layer
    fan_out, fan_in = layer.weight.shape[0] * size, layer.weight.shape[1] * size
""", layers="layers = [layer for layer in model.modules() if isinstance(layer, LAYERS)]\n",
                    first="layers[0].weight.data.mul_({!r})\n", scale="layers[-1].weight.data.mul_({!r})\n",
                    bias="layers[-1].bias.data.fill_({!r})\n",
                    inputs="torch.randn({}, {})", images="torch.randn({0}, {1}, {2}, {2})", weights={
    "pytorch_default": TEMPLATES["pytorch"].weights["uniform"],
    "identity": "(nn.init.eye_ if layer.weight.ndim == 2 else nn.init.dirac_)(layer.weight)\n"
                "    layer.weight.data.mul_({r.gamma!r})",
}, biases={"uniform": "nn.init.uniform_(layer.bias, -1 / fan_in**0.5, 1 / fan_in**0.5)"})

CONVOLUTIONS = ", {0}.layers.Conv1D, {0}.layers.Conv2D, {0}.layers.Conv3D"
KERAS_TEXT = '''\
{about}
import PACKAGE

# All other layers stay as they are.
LAYERS = {keras}.layers.Dense{others}


def layers_of(model):
    """Yield the layers that are drawn anew, of models inside of the model too."""
    for layer in model.layers:
        if isinstance(layer, LAYERS):
            yield layer
        elif hasattr(layer, "layers"):
            yield from layers_of(layer)


def init(layer):
{fans}    draw = {keras}.initializers.{weight}
    layer.kernel.assign(draw(layer.kernel.shape))
    if layer.use_bias:
        draw = {keras}.initializers.{bias}
        layer.bias.assign(draw(layer.bias.shape))

{compare}

def check(model, inputs):
    found = []

    def watch(activation):
        def watched(z):
            found.append(float(MEAN(z**2)))
            return activation(z)
        return watched

    places = {{(a.activation, "call") if isinstance(a.activation, {keras}.layers.Layer) else (a, "activation")
              for a in layers_of(model)}}
    usual = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name, activation in usual:
        setattr(owner, name, watch(activation))
    model(inputs)
    for owner, name, activation in usual:
        setattr(owner, name, activation)
    compare(found)


for layer in layers_of(model):
    init(layer)
{end}check(model, {inputs})
'''


def _keras(package: str, mean: str, normal: str) -> Framework:
    return Framework(
        KERAS_TEXT.replace("PACKAGE", package).replace("MEAN", mean), fans="""\
    *window, fan_in, fan_out = layer.kernel.shape
    for side in window:
        fan_in, fan_out = fan_in * side, fan_out * side
""", layers="layers = list(layers_of(model))\n", first="layers[0].kernel.assign({!r} * layers[0].kernel)\n",
        scale="layers[-1].kernel.assign({!r} * layers[-1].kernel)\n",
        bias="layers[-1].bias.assign(0 * layers[-1].bias + {!r})\n",
        inputs=f"{normal}(({{}}, {{}}))", images=f"{normal}(({{0}}, {{2}}, {{2}}, {{1}}))")


JAX = Framework('''\
{about}
import flax.linen as nn
import jax
import jax.numpy as jnp

{weight}

def draw(params, key):
    """Return the parameters of a flax model with every kernel, and the bias beside it, drawn anew."""
    if "kernel" not in params:
        keys = jax.random.split(key, len(params))
        return {{name: draw(part, key) if isinstance(part, dict) else part
                for key, (name, part) in zip(keys, params.items())}}
    kernel = params["kernel"]
{fans}{split}    drawn = {{**params, "kernel": init(key, kernel.shape, kernel.dtype)}}
    if "bias" in params:
        drawn["bias"] = {bias}
    return drawn

{compare}

def check(model, params, inputs):
    found = []

    def watch(call, args, kwargs, context):
        z = call(*args, **kwargs)
        if isinstance(context.module, (nn.Dense, nn.Conv)) and context.method_name == "__call__":
            found.append(float(jnp.mean(z**2)))
        return z

    with nn.intercept_methods(watch):
        model.apply({{"params": params}}, inputs)
    compare(found)


params = draw(params, jax.random.key(0))
{end}check(model, params, {inputs})
''', fans="""\
    *window, fan_in, fan_out = kernel.shape
    for side in window:
        fan_in, fan_out = fan_in * side, fan_out * side
""", layers="", first="# Multiply the kernel of the first layer by {!r}.\n",
                scale="# Multiply the kernel of the last layer by {!r}.\n",
                bias="# Set the bias of the last layer to {!r}.\n",
                inputs="jax.random.normal(jax.random.key(1), ({}, {}))",
                images="jax.random.normal(jax.random.key(1), ({0}, {2}, {2}, {1}))", biases={
    "zeros": 'jnp.zeros_like(params["bias"])',
    "constant": 'jnp.full_like(params["bias"], {r.bias.value!r})',
    "normal": '{r.bias.value!r} ** 0.5 * jax.random.normal(b_key, params["bias"].shape)',
    "uniform": 'jax.random.uniform(b_key, params["bias"].shape, minval=-1, maxval=1) / fan_in**0.5',
})

RULES = dict(zip(FRAMEWORKS, (
    NUMPY, PYTORCH, _keras("keras", "keras.ops.mean", "keras.random.normal"), JAX,
    _keras("tensorflow as tf", "tf.reduce_mean", "tf.random.normal")), strict=True))
