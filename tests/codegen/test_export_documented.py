"""The exported text against the documented interfaces of Keras, JAX and TensorFlow (none is needed)."""

import ast
import inspect
import itertools
from functools import cache

import numpy as np
import pytest

from tests.codegen.test_export import WIDTHS
from vgdash.activations import ACTIVATIONS
from vgdash.codegen.export import export
from vgdash.codegen.reinitialize import reinitialize
from vgdash.initializers import INITIALIZERS, TRUNCATED_STD
from vgdash.probe.params import ProbeParams

KERAS_INITIALIZERS = {
    "VarianceScaling": "scale=1.0, mode='fan_in', distribution='truncated_normal'",
    "RandomNormal": "mean=0.0, stddev=0.05", "RandomUniform": "minval=-0.05, maxval=0.05",
    "TruncatedNormal": "mean=0.0, stddev=0.05", "Constant": "value=0.0",
    **dict.fromkeys(("Orthogonal", "Identity"), "gain=1.0"),
    **dict.fromkeys(("Zeros", "GlorotNormal", "GlorotUniform", "HeUniform", "LecunUniform",
                     "LecunNormal"), "")}
JAX_INITIALIZERS = {
    "variance_scaling": "scale, mode, distribution", "normal": "stddev=0.01", "orthogonal": "scale=1.0",
    "zeros": "key, shape, dtype=None", "constant": "value", "truncated_normal": "stddev=0.01",
    **dict.fromkeys(("glorot_normal", "glorot_uniform", "he_uniform", "lecun_uniform",
                     "lecun_normal"), "")}
DOCUMENTED = {  # name: its parameters as far as they are used, without the **kwargs that take any misspelling
    # https://keras.io/api/layers/initializers/
    # https://www.tensorflow.org/api_docs/python/tf/keras/initializers/ and the name
    **{f"{package}.initializers.{name}": parameters for package in ("keras", "tensorflow.keras")
       for name, parameters in KERAS_INITIALIZERS.items()},
    # https://keras.io/api/layers/core_layers/dense/
    "keras.layers.Dense": "units, activation=None, use_bias=True, kernel_initializer='glorot_uniform', "
                          "bias_initializer='zeros'",
    **{f"{package}.layers.{name}": "" for package in ("keras", "tensorflow.keras")
       for name in ("Conv1D", "Conv2D", "Conv3D", "Layer")},
    "tensorflow.keras.layers.Dense": "",
    # https://keras.io/api/ops/numpy/, https://keras.io/api/random/random_ops/
    "keras.ops.mean": "x, axis=None",
    "keras.random.normal": "shape, mean=0.0, stddev=1.0",
    # https://keras.io/api/layers/activation_layers/leaky_relu/
    "keras.layers.LeakyReLU": "negative_slope=0.3",
    # https://keras.io/api/layers/activations/
    "keras.activations.gelu": "x, approximate=False",
    # https://keras.io/api/models/sequential/
    "keras.Sequential": "layers=None",
    # https://keras.io/api/layers/core_layers/input/
    "keras.Input": "shape=None",
    # https://www.tensorflow.org/api_docs/python/tf/ and the name
    "tensorflow.Variable": "initial_value=None",
    "tensorflow.zeros": "shape, dtype=None",
    "tensorflow.fill": "dims, value",
    "tensorflow.reduce_mean": "input_tensor, axis=None",
    "tensorflow.random.uniform": "shape, minval=0, maxval=None",
    "tensorflow.random.normal": "shape, mean=0.0, stddev=1.0",
    "tensorflow.nn.gelu": "features, approximate=False",
    "tensorflow.nn.leaky_relu": "features, alpha=0.2",
    **dict.fromkeys((f"tensorflow.nn.{name}" for name in ("tanh", "sigmoid")), "x"),
    **dict.fromkeys((f"tensorflow.nn.{name}" for name in (
        "relu", "elu", "selu", "silu", "softplus", "softsign")), "features"),
    # https://docs.jax.dev/en/latest/_autosummary/ and the name
    **{f"jax.nn.initializers.{name}": parameters for name, parameters in JAX_INITIALIZERS.items()},
    "jax.nn.gelu": "x, approximate=True",
    "jax.nn.leaky_relu": "x, negative_slope=0.01",
    "jax.nn.elu": "x, alpha=1.0",
    **dict.fromkeys((f"jax.nn.{name}" for name in (
        "relu", "selu", "silu", "mish", "softplus", "soft_sign", "sigmoid")), "x"),
    "jax.random.key": "seed",
    "jax.random.split": "key, num=2",
    "jax.random.normal": "key, shape=(), dtype=None",
    "jax.random.uniform": "key, shape=(), dtype=None, minval=0.0, maxval=1.0",
    "jax.numpy.zeros": "shape, dtype=None",
    "jax.numpy.full": "shape, fill_value",
    "jax.numpy.eye": "N, M=None, k=0, dtype=None",
    "jax.numpy.tanh": "x, /",
    "jax.numpy.mean": "a, axis=None",
    "jax.numpy.zeros_like": "a",
    "jax.numpy.full_like": "a, fill_value",
    # https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/module.html (and layers.html)
    **{f"flax.linen.{name}": "features, kernel_size=None" for name in ("Dense", "Conv")},
    "flax.linen.intercept_methods": "interceptor",
}
VALUES = {  # what the documentation allows for an argument that is a word
    "keras.mode": {"fan_in", "fan_out", "fan_avg"},
    "jax.mode": {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"},
    "keras.distribution": {"truncated_normal", "untruncated_normal", "uniform"},
    "jax.distribution": {"truncated_normal", "normal", "uniform"},
    # https://keras.io/api/layers/activations/
    "keras.activation": {"relu", "elu", "selu", "silu", "mish", "softplus", "softsign", "tanh", "sigmoid",
                         "linear"},
}
TYPES = {"jax.numpy.float32"}
OTHERS = ("keras", "jax", "tensorflow")
TEXTS = [(framework, export(name, activation, framework, widths=WIDTHS, gamma=gamma, sigma_b2=sigma_b2))
         for framework in OTHERS
         for name, activation, gamma, sigma_b2 in {
             *itertools.product(INITIALIZERS, ["relu"], [0.0, 1.0, 1.7], [0.0, 0.05]),
             *itertools.product(["he_normal"], ACTIVATIONS, [1.0], [0.0])}]
TEXTS += [(framework, export("zeros", "relu", framework, last_scale=0.1, last_bias=1.0))
          for framework in OTHERS]
TEXTS += [(framework, reinitialize(ProbeParams(WIDTHS, "tanh", name, gamma, sigma_b2), framework))
          for framework in OTHERS for name in INITIALIZERS
          for gamma in (1.0, 1.7) for sigma_b2 in (0.0, 0.05)]


def signature(parameters):
    scope = {}
    exec(f"def documented({parameters}): pass", scope)
    return inspect.signature(scope["documented"])


@cache
def interface(text):
    """Every dotted name of an imported package in a text, and its call or None: [(name, call)]."""
    nodes = list(ast.walk(ast.parse(text)))
    imports = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules = {alias.asname or alias.name: alias.name for alias in imports}
    called = {node.func: node for node in nodes if isinstance(node, ast.Call)}
    inner = {node.value for node in nodes if isinstance(node, ast.Attribute)}
    found = []
    for node in nodes:
        name = ast.unparse(node) if isinstance(node, ast.Attribute) and node not in inner else ""
        if (root := name.split(".")[0]) in modules and name.replace(".", "").replace("_", "").isalnum():
            found.append((modules[root] + name[len(root):], called.get(node)))
    return found


def bound(name, call):
    """The arguments of a call by the names of the documentation; a starred argument stands for one."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    return signature(DOCUMENTED[name]).bind(*call.args, **keywords).arguments


def undocumented(text):
    """What a text uses that the documentation does not know: names, arguments, words."""
    wrong = []
    for name, call in interface(text):
        if name not in DOCUMENTED:
            wrong += [] if name in TYPES else [name]
        elif call is not None:
            try:
                arguments = bound(name, call)
            except TypeError as error:
                wrong.append(f"{name}: {error}")
                continue
            package = "jax" if name.startswith("jax") else "keras"
            wrong += [f"{name}: {key} = {value.value}" for key, value in arguments.items()
                      if isinstance(value, ast.Constant) and isinstance(value.value, str)
                      and value.value not in VALUES[f"{package}.{key}"]]
    return wrong


def test_keras_jax_and_tensorflow_are_called_as_they_are_documented():
    assert {framework for framework, _ in TEXTS} == set(OTHERS)
    for framework, text in TEXTS:
        assert interface(text), framework
        assert not undocumented(text), text


def test_every_documented_name_is_needed():
    assert {name for _, text in TEXTS for name, _ in interface(text)} - TYPES == set(DOCUMENTED)


@pytest.mark.parametrize(("misspelt", "found"), [
    ("import keras\nkeras.initializers.VarianceScaling(scale=2.0, mod='fan_in')",
     "keras.initializers.VarianceScaling: got an unexpected"),
    ("import keras\nkeras.initializers.VarianceScaling(distribution='normal')", "distribution = normal"),
    ("import keras\nkeras.initializers.HeNorm()", "keras.initializers.HeNorm"),
    ("import jax\njax.nn.initializers.variance_scaling(2.0, 'fan_in')",
     "missing a required argument: 'distribution'"),
    ("import jax\njax.nn.gelu(z, aproximate=True)", "unexpected keyword argument 'aproximate'"),
    ("import tensorflow as tf\ntf.nn.leaky_relu(z, negative_slope=0.01)",
     "unexpected keyword argument 'negative_slope'"),
    ("import jax.numpy as jnp\njnp.zeroes(3)", "jax.numpy.zeroes")])
def test_a_misspelt_name_argument_or_word_is_found(misspelt, found):
    wrong, = undocumented(misspelt)
    assert found in wrong


def test_keras_activations_are_documented_words_and_the_form_of_gelu_and_leaky_relu_is_spelled_out():
    for name in ACTIVATIONS:
        text = export("he_normal", name, "keras")
        dense, = (node for node in ast.walk(ast.parse(text))
                  if isinstance(node, ast.Starred) and isinstance(node.value, ast.ListComp))
        written = dense.value.elt.args[2]
        spelled = {"gelu": "lambda z: keras.activations.gelu(z, approximate=True)",
                   "leaky_relu": "keras.layers.LeakyReLU(negative_slope=0.01)"}
        assert ast.unparse(written) == spelled.get(name, f"'{name}'")
        assert name in {*spelled, *VALUES["keras.activation"]}


def scaling(scale, mode, distribution):
    """The documented law of a variance scaling in Keras and JAX: variance scale/fan, and the family."""
    def variance(fan_in, fan_out):
        return scale / {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    families = {"truncated_normal": "truncated", "untruncated_normal": "normal", "normal": "normal",
                "uniform": "uniform"}
    return variance, families[distribution]


def fixed(variance, family):
    return lambda fan_in, fan_out: variance, family


def uniform(low, high):
    return fixed((high - low) ** 2 / 12 + ((high + low) / 2) ** 2, "uniform")


# the realized variance as a function of the fans, and the family, as the addresses above define them
LAWS = {
    **dict.fromkeys(("VarianceScaling", "variance_scaling"), scaling),
    **dict.fromkeys(("RandomNormal", "normal"), lambda stddev: fixed(stddev**2, "normal")),
    "RandomUniform": lambda minval, maxval: uniform(minval, maxval),
    "uniform": lambda key, shape, dtype, minval, maxval: uniform(minval, maxval),
    **dict.fromkeys(("GlorotNormal", "glorot_normal"), lambda: scaling(1.0, "fan_avg", "truncated_normal")),
    **dict.fromkeys(("GlorotUniform", "glorot_uniform"), lambda: scaling(1.0, "fan_avg", "uniform")),
    **dict.fromkeys(("HeUniform", "he_uniform"), lambda: scaling(2.0, "fan_in", "uniform")),
    **dict.fromkeys(("LecunNormal", "lecun_normal"), lambda: scaling(1.0, "fan_in", "truncated_normal")),
    **dict.fromkeys(("LecunUniform", "lecun_uniform"), lambda: scaling(1.0, "fan_in", "uniform")),
    "Orthogonal": lambda gain=1.0: (lambda fan_in, fan_out: gain**2 / max(fan_in, fan_out), "orthogonal"),
    "orthogonal": lambda scale=1.0: (lambda fan_in, fan_out: scale**2 / max(fan_in, fan_out), "orthogonal"),
    "Identity": lambda gain=1.0: (lambda fan_in, fan_out: np.var(gain * np.eye(fan_in, fan_out)), "identity"),
    # the std before it is cut, in both
    **dict.fromkeys(("TruncatedNormal", "truncated_normal"),
                    lambda stddev: fixed(stddev**2 * TRUNCATED_STD**2, "truncated")),
    **dict.fromkeys(("Constant", "constant"), lambda value: fixed(0.0, "constant")),
    **dict.fromkeys(("Zeros", "zeros"), lambda: fixed(0.0, "zeros")),
}


def weight_law(text, framework):
    """Variance and family of the weights that the documentation promises for a text's first initializer."""
    module = {"keras": "keras.initializers.", "tensorflow": "tensorflow.keras.initializers.",
              "jax": "jax.nn.initializers."}[framework]
    found = [(name, call) for name, call in interface(text)
             if name.startswith((module, "jax.random.uniform", "jax.numpy.eye"))]
    name, call = found[0]
    if name == "jax.numpy.eye":
        factor = text.split("jnp.eye")[0].rsplit("return ")[-1].rstrip(" *") or "1"
        return LAWS["Identity"](gain=float(factor))
    arguments = {} if call is None else {key: evaluated(value) for key, value in bound(name, call).items()}
    return LAWS[name.rsplit(".", 1)[1]](**arguments)


def evaluated(node):
    code = compile(ast.Expression(node), "argument", "eval")
    return None if isinstance(node, ast.Name) else eval(code, {"__builtins__": {}})


@pytest.mark.parametrize("framework", OTHERS)
@pytest.mark.parametrize("gamma", [0.0, 1e-200, 1.0, 1.7])  # Keras refuses a scale of 0, which (1e-200)² is
@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_documentation_promises_the_variance_and_family_of_the_initializer(framework, name, gamma):
    variance, family = weight_law(export(name, "relu", framework, gamma=gamma), framework)
    assert family == (INITIALIZERS[name].base.name if gamma**2 else "zeros")
    for fans in ((784, 512), (512, 512), (100, 10), (3, 700)):
        assert variance(*fans) == pytest.approx(gamma**2 * INITIALIZERS[name].variance(*fans), rel=1e-9)


@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_kernels_are_fan_in_by_fan_out_where_the_input_stands_on_the_left(framework, name):
    tree = ast.parse(export(name, "relu", framework))
    shapes = [ast.unparse(node.args[-1]) for node in ast.walk(tree)
              if isinstance(node, ast.Call) and ast.unparse(node.func) == "init"]
    products = {ast.unparse(node) for node in ast.walk(tree)
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)}
    assert shapes == ["(fan_in, fan_out)"]
    assert products == {"a @ w"}


@pytest.mark.parametrize("framework", ["keras", "tensorflow"])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_layer_gets_an_initializer_of_its_own_because_one_repeats_its_draw(framework, name):
    tree = ast.parse(export(name, "relu", framework))
    inside = [call for block in tree.body if isinstance(block, ast.FunctionDef | ast.For)
              for call in ast.walk(block)]
    calls = [node for node in ast.walk(tree)
             if isinstance(node, ast.Call) and ".initializers." in ast.unparse(node.func)]
    assert calls
    assert all(call in inside for call in calls)
