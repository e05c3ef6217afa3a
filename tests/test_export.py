"""The exported text is run (NumPy, PyTorch) or held against the documented interfaces (Keras, JAX, TensorFlow)."""

import ast
import inspect
import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from vgdash.activations import ACTIVATIONS
from vgdash.export import FRAMEWORKS, export
from vgdash.initializers import INITIALIZERS, TRUNCATED_STD
from vgdash.network import ProbeParams
from vgdash.params import ParamError
from vgdash.prediction import predict
from vgdash.recipe import spell_list

WIDTHS = (60, 90, 90, 90, 90, 90, 40)
STANDARD = {  # variance 1
    "normal": stats.norm(),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "truncated": stats.truncnorm(-2, 2, scale=1 / TRUNCATED_STD),
}
RANDOM = [name for name, initializer in INITIALIZERS.items() if initializer.base.name in STANDARD]
EXACT = [name for name in INITIALIZERS if name not in RANDOM]
FIVE = 5  # standard errors


# ---- running the text

def run(text):
    namespace = {"__name__": "exported"}
    exec(compile(text, "exported", "exec"), namespace)
    return namespace


def layers_and_forward(framework, *arguments, **settings):
    """Weights (fan_out, fan_in) and biases of every layer, and the net as a function of a float array (batch, features)."""
    if framework == "pytorch":
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        model = run(export(*arguments, framework, **settings))["model"]
        layers = [(layer.weight, layer.bias) for layer in model if isinstance(layer, torch.nn.Linear)]
        return ([tuple(part.detach().numpy().astype(float) for part in layer) for layer in layers],
                lambda x: model(torch.tensor(x, dtype=torch.float32)).detach().numpy())
    net = run(export(*arguments, framework, **settings))
    return net["layers"], net["forward"]


RUNNABLE = pytest.mark.parametrize("framework", ["numpy", "pytorch"])


@RUNNABLE
@pytest.mark.parametrize("gamma", [1.0, 1.7])
@pytest.mark.parametrize("name", RANDOM)
def test_every_layer_has_the_realized_variance_and_the_distribution_of_the_initializer(framework, name, gamma):
    layers, _ = layers_and_forward(framework, name, "tanh", widths=WIDTHS, gamma=gamma)
    initializer = INITIALIZERS[name]
    law = STANDARD[initializer.base.name]
    kurtosis = float(law.stats(moments="k")) + 3
    assert [w.shape for w, _ in layers] == [(m, n) for n, m in itertools.pairwise(WIDTHS)]
    for w, b in layers:
        fan_out, fan_in = w.shape
        variance = gamma**2 * initializer.variance(fan_in, fan_out)
        assert (w**2).mean() == pytest.approx(variance, rel=FIVE * math.sqrt((kurtosis - 1) / w.size))
        assert abs(w.mean()) < FIVE * math.sqrt(variance / w.size)
        assert stats.kstest(w.ravel() / math.sqrt(variance), law.cdf).pvalue > 1e-4
        assert not b.any()
    assert len({w[0, 0] for w, _ in layers}) == len(layers), "two layers repeat one draw"


@RUNNABLE
@pytest.mark.parametrize("gamma", [1.0, 1.7])
def test_a_truncated_draw_ends_at_two_stds_of_the_normal_it_is_cut_from(framework, gamma):
    layers, _ = layers_and_forward(framework, "glorot_normal", "tanh", widths=(300, 400), gamma=gamma)
    bound = 2 / TRUNCATED_STD * gamma * math.sqrt(2 / 700)
    assert 0.999 * bound < np.abs(layers[0][0]).max() <= bound * (1 + 1e-6)


@RUNNABLE
@pytest.mark.parametrize("gamma", [1.0, 1.7])
@pytest.mark.parametrize("name", EXACT)
def test_orthogonal_identity_and_zeros_are_what_they_are_called_times_gamma(framework, name, gamma):
    layers, _ = layers_and_forward(framework, name, "relu", widths=(5, 8, 8, 3), gamma=gamma)
    for (w, _), fan_in, fan_out in zip(layers, (5, 8, 8), (8, 8, 3), strict=True):
        assert w.shape == (fan_out, fan_in)
        if name == "orthogonal":
            short = w.T @ w if fan_in <= fan_out else w @ w.T
            np.testing.assert_allclose(short, gamma**2 * np.eye(len(short)), atol=1e-5)
        else:
            np.testing.assert_allclose(w, INITIALIZERS[name].draw(fan_in, fan_out, 0, gamma, np.float64), rtol=1e-6)


def test_orthogonal_in_numpy_is_haar_so_its_trace_has_mean_zero_and_variance_one():
    # Diaconis & Shahshahani 1994; without the sign fix QR gives a trace of order -sqrt(n)
    layers, _ = layers_and_forward("numpy", "orthogonal", "relu", widths=(10,) * 257)
    traces = np.array([np.trace(w) for w, _ in layers])
    assert abs(traces.mean()) < FIVE / math.sqrt(256)
    assert traces.var() == pytest.approx(1, abs=FIVE * math.sqrt(2 / 256))


@RUNNABLE
@pytest.mark.parametrize("name", INITIALIZERS)
def test_gamma_zero_is_a_net_of_zeros(framework, name):
    assert not any(w.any() for w, _ in layers_and_forward(framework, name, "relu", widths=(3, 4, 2), gamma=0.0)[0])


@RUNNABLE
@pytest.mark.parametrize("sigma_b2", [0.05, 4.0])
@pytest.mark.parametrize("name", ["he_normal", "pytorch_default"])
def test_biases_are_normal_with_the_variance_that_was_asked_for(framework, name, sigma_b2):
    layers, _ = layers_and_forward(framework, name, "relu", widths=(10, *(500,) * 8), sigma_b2=sigma_b2)
    biases = np.concatenate([b for _, b in layers])
    assert biases.var() == pytest.approx(sigma_b2, rel=FIVE * math.sqrt(2 / biases.size))
    assert stats.kstest(biases / math.sqrt(sigma_b2), stats.norm.cdf).pvalue > 1e-4


@RUNNABLE
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_between_identities_the_net_is_the_activation_itself(framework, name):
    _, forward = layers_and_forward(framework, "identity", name, widths=(4, 4, 4))
    z = np.linspace(-8, 8, 4_000).reshape(-1, 4)
    np.testing.assert_allclose(forward(z), ACTIVATIONS[name].f(z), rtol=2e-5, atol=2e-6)  # float32


@RUNNABLE
@pytest.mark.parametrize("widths", [(7, 3), (7, 5, 3), (7, *(6,) * 9, 5, 3)])
def test_forward_multiplies_adds_activates_and_leaves_the_last_layer_linear(framework, widths):
    layers, forward = layers_and_forward(framework, "glorot_uniform", "sigmoid", widths=widths, sigma_b2=1.0)
    x = a = np.random.default_rng(1).standard_normal((20, 7))
    for layer, (w, b) in enumerate(layers, start=1):
        z = np.einsum("ij,bj->bi", w, a) + b
        a = z if layer == len(layers) else ACTIVATIONS["sigmoid"].f(z)
    assert len(layers) == len(widths) - 1
    np.testing.assert_allclose(forward(x), a, rtol=1e-4, atol=1e-5)


@RUNNABLE
@pytest.mark.parametrize(("name", "activation", "gamma", "sigma_b2"), [
    ("he_normal", "relu", 1.0, 0.0), ("he_uniform", "relu", 0.8, 0.0), ("lecun_normal", "tanh", 1.5, 0.05),
    ("glorot_normal", "gelu", 1.3, 0.0), ("pytorch_default", "relu", 1.0, 0.0), ("playground_default", "softsign", 1.0, 0.0)])
def test_the_signal_at_the_last_layer_is_the_predicted_one_for_19999_of_20000_nets(framework, name, activation, gamma, sigma_b2):
    p = ProbeParams((200, 300, 300, 300, 300, 100), activation, name, gamma, sigma_b2, batch=64)
    _, forward = layers_and_forward(framework, name, activation, widths=p.widths, gamma=gamma, sigma_b2=sigma_b2)
    q = (forward(np.random.default_rng(2).standard_normal((p.batch, p.widths[0]))) ** 2).mean()
    low, high = (bound[-1] for bound in predict(p).interval("q", 0.99995))
    assert low < math.log10(q) < high


# ---- the documented interfaces

KERAS_INITIALIZERS = {
    "VarianceScaling": "scale=1.0, mode='fan_in', distribution='truncated_normal', seed=None",
    "RandomNormal": "mean=0.0, stddev=0.05, seed=None", "RandomUniform": "minval=-0.05, maxval=0.05, seed=None",
    "Orthogonal": "gain=1.0, seed=None", "Identity": "gain=1.0", "Zeros": "",
    "GlorotNormal": "seed=None", "GlorotUniform": "seed=None", "HeUniform": "seed=None", "LecunUniform": "seed=None"}
JAX_INITIALIZERS = {
    "variance_scaling": "scale, mode, distribution, in_axis=-2, out_axis=-1, batch_axis=(), dtype=None",
    "normal": "stddev=0.01, dtype=None", "orthogonal": "scale=1.0, column_axis=-1, dtype=None", "zeros": "key, shape, dtype=None",
    **dict.fromkeys(("glorot_normal", "glorot_uniform", "he_uniform", "lecun_uniform"),
                    "in_axis=-2, out_axis=-1, batch_axis=(), dtype=None")}
JAX_ACTIVATIONS = {"gelu": "x, approximate=True", "leaky_relu": "x, negative_slope=0.01", "elu": "x, alpha=1.0",
                   **dict.fromkeys(("relu", "selu", "silu", "mish", "softplus", "soft_sign", "sigmoid"), "x")}
TENSORFLOW_ACTIVATIONS = {"gelu": "features, approximate=False, name=None", "leaky_relu": "features, alpha=0.2, name=None",
                          "silu": "features, beta=1.0", "tanh": "x, name=None", "sigmoid": "x, name=None",
                          **dict.fromkeys(("relu", "elu", "selu", "softplus", "softsign"), "features, name=None")}
TF = "https://www.tensorflow.org/api_docs/python/tf"
JAX = "https://docs.jax.dev/en/latest/_autosummary"
DOCUMENTED = {  # name: address, parameters (without the **kwargs that would take any misspelling)
    **{f"keras.initializers.{name}": ("https://keras.io/api/layers/initializers/", text) for name, text in KERAS_INITIALIZERS.items()},
    "keras.layers.Dense": ("https://keras.io/api/layers/core_layers/dense/",
                           "units, activation=None, use_bias=True, kernel_initializer='glorot_uniform', bias_initializer='zeros', "
                           "kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, "
                           "bias_constraint=None"),
    "keras.layers.LeakyReLU": ("https://keras.io/api/layers/activation_layers/leaky_relu/", "negative_slope=0.3"),
    "keras.activations.gelu": ("https://keras.io/api/layers/activations/", "x, approximate=False"),
    "keras.Sequential": ("https://keras.io/api/models/sequential/", "layers=None, trainable=True, name=None"),
    "keras.Input": ("https://keras.io/api/layers/core_layers/input/", "shape=None, batch_size=None, dtype=None, sparse=None, "
                    "batch_shape=None, name=None, tensor=None, optional=False"),
    **{f"tensorflow.keras.initializers.{name}": (f"{TF}/keras/initializers/{name}", text) for name, text in KERAS_INITIALIZERS.items()},
    **{f"tensorflow.nn.{name}": (f"{TF}/nn/{name}", text) for name, text in TENSORFLOW_ACTIVATIONS.items()},
    "tensorflow.Variable": (f"{TF}/Variable", "initial_value=None, trainable=None, validate_shape=True, caching_device=None, name=None, "
                            "variable_def=None, dtype=None, import_scope=None, constraint=None, synchronization=None, aggregation=None, "
                            "shape=None"),
    "tensorflow.zeros": (f"{TF}/zeros", "shape, dtype=None, name=None, layout=None"),
    "tensorflow.random.normal": (f"{TF}/random/normal", "shape, mean=0.0, stddev=1.0, dtype=None, seed=None, name=None"),
    **{f"jax.nn.initializers.{name}": (f"{JAX}/jax.nn.initializers.{name}.html", text) for name, text in JAX_INITIALIZERS.items()},
    **{f"jax.nn.{name}": (f"{JAX}/jax.nn.{name}.html", text) for name, text in JAX_ACTIVATIONS.items()},
    "jax.random.key": (f"{JAX}/jax.random.key.html", "seed, *, impl=None"),
    "jax.random.split": (f"{JAX}/jax.random.split.html", "key, num=2"),
    "jax.random.normal": (f"{JAX}/jax.random.normal.html", "key, shape=(), dtype=None"),
    "jax.random.uniform": (f"{JAX}/jax.random.uniform.html", "key, shape=(), dtype=None, minval=0.0, maxval=1.0"),
    "jax.numpy.zeros": (f"{JAX}/jax.numpy.zeros.html", "shape, dtype=None, *, device=None"),
    "jax.numpy.eye": (f"{JAX}/jax.numpy.eye.html", "N, M=None, k=0, dtype=None, *, device=None"),
    "jax.numpy.tanh": (f"{JAX}/jax.numpy.tanh.html", "x, /"),
}
VALUES = {  # what the documentation allows for an argument that is a word
    "keras.mode": {"fan_in", "fan_out", "fan_avg"}, "jax.mode": {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"},
    "keras.distribution": {"truncated_normal", "untruncated_normal", "uniform"},
    "jax.distribution": {"truncated_normal", "normal", "uniform"},
    # https://keras.io/api/layers/activations/
    "keras.activation": {"relu", "elu", "selu", "silu", "mish", "softplus", "softsign", "tanh", "sigmoid", "linear"},
}
TYPES = {"jax.numpy.float32"}
OTHERS = ("keras", "jax", "tensorflow")
TEXTS = [(framework, export(name, activation, framework, widths=WIDTHS, gamma=gamma, sigma_b2=sigma_b2))
         for framework in OTHERS
         for name, activation, gamma, sigma_b2 in {
             *itertools.product(INITIALIZERS, ["relu"], [0.0, 1.0, 1.7], [0.0, 0.05]),
             *itertools.product(["he_normal"], ACTIVATIONS, [1.0], [0.0])}]


def signature(parameters):
    scope = {}
    exec(f"def documented({parameters}): pass", scope)
    return inspect.signature(scope["documented"])


def interface(text):
    """Every dotted name of an imported package that a text uses, and the call if it is called: [(name, ast.Call or None)]."""
    tree = ast.parse(text)
    modules = {alias.asname or alias.name: alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    called = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = []
    for node in ast.walk(tree):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) and node not in inner else ""
        if (root := name.split(".")[0]) in modules and name.replace(".", "").replace("_", "").isalnum():
            found.append((modules[root] + name[len(root):], called.get(node)))
    return found


def bound(name, call):
    """The arguments of a call by the names of the documentation; a starred argument stands for one."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    return signature(DOCUMENTED[name][1]).bind(*call.args, **keywords).arguments


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


def test_every_documented_name_is_needed_and_has_the_address_of_its_documentation():
    used = {name for _, text in TEXTS for name, _ in interface(text)}
    assert used - TYPES == set(DOCUMENTED)
    assert all(address.startswith("https://") for address, _ in DOCUMENTED.values())


@pytest.mark.parametrize(("misspelt", "found"), [
    ("import keras\nkeras.initializers.VarianceScaling(scale=2.0, mod='fan_in')", "keras.initializers.VarianceScaling: got an unexpected"),
    ("import keras\nkeras.initializers.VarianceScaling(distribution='normal')", "distribution = normal"),
    ("import keras\nkeras.initializers.HeNorm()", "keras.initializers.HeNorm"),
    ("import jax\njax.nn.initializers.variance_scaling(2.0, 'fan_in')", "missing a required argument: 'distribution'"),
    ("import jax\njax.nn.gelu(z, aproximate=True)", "unexpected keyword argument 'aproximate'"),
    ("import tensorflow as tf\ntf.nn.leaky_relu(z, negative_slope=0.01)", "unexpected keyword argument 'negative_slope'"),
    ("import jax.numpy as jnp\njnp.zeroes(3)", "jax.numpy.zeroes")])
def test_a_misspelt_name_argument_or_word_is_found(misspelt, found):
    wrong, = undocumented(misspelt)
    assert found in wrong


def test_keras_activations_are_documented_words_and_the_form_of_gelu_and_leaky_relu_is_spelled_out():
    for name in ACTIVATIONS:
        text = export("he_normal", name, "keras")
        dense, = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Starred) and isinstance(node.value, ast.ListComp))
        written = dense.value.elt.args[1]
        if name == "gelu":
            assert ast.unparse(written) == "lambda z: keras.activations.gelu(z, approximate=True)"
        elif name == "leaky_relu":
            assert ast.unparse(written) == "keras.layers.LeakyReLU(negative_slope=0.01)"
        else:
            assert written.value == name
            assert name in VALUES["keras.activation"]


def scaling(scale, mode, distribution):
    """The documented law of a variance scaling, Keras and JAX: variance scale/n with n the fan, and the family."""
    def variance(fan_in, fan_out):
        return scale / {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    families = {"truncated_normal": "truncated", "untruncated_normal": "normal", "normal": "normal", "uniform": "uniform"}
    return variance, families[distribution]


def fixed(variance, family):
    return lambda fan_in, fan_out: variance, family


LAWS = {  # the realized variance as a function of the fans, and the family, as the addresses above define them
    "VarianceScaling": lambda scale, mode, distribution: scaling(scale, mode, distribution),
    "variance_scaling": lambda scale, mode, distribution: scaling(scale, mode, distribution),
    "RandomNormal": lambda stddev: fixed(stddev**2, "normal"),
    "normal": lambda stddev: fixed(stddev**2, "normal"),
    "RandomUniform": lambda minval, maxval: fixed((maxval - minval) ** 2 / 12 + ((maxval + minval) / 2) ** 2, "uniform"),
    "uniform": lambda key, shape, dtype, minval, maxval: fixed((maxval - minval) ** 2 / 12 + ((maxval + minval) / 2) ** 2, "uniform"),
    **{name: lambda: scaling(1.0, "fan_avg", "truncated_normal") for name in ("GlorotNormal", "glorot_normal")},
    **{name: lambda: scaling(1.0, "fan_avg", "uniform") for name in ("GlorotUniform", "glorot_uniform")},
    **{name: lambda: scaling(2.0, "fan_in", "uniform") for name in ("HeUniform", "he_uniform")},
    **{name: lambda: scaling(1.0, "fan_in", "uniform") for name in ("LecunUniform", "lecun_uniform")},
    "Orthogonal": lambda gain=1.0: (lambda fan_in, fan_out: gain**2 / max(fan_in, fan_out), "orthogonal"),
    "orthogonal": lambda scale=1.0: (lambda fan_in, fan_out: scale**2 / max(fan_in, fan_out), "orthogonal"),
    "Identity": lambda gain=1.0: (lambda fan_in, fan_out: np.var(gain * np.eye(fan_in, fan_out)), "identity"),
    "Zeros": lambda: fixed(0.0, "zeros"),
    "zeros": lambda: fixed(0.0, "zeros"),
}


def weight_law(text, framework):
    """Variance and family of the weights that the documentation promises for the first initializer in a text."""
    module = {"keras": "keras.initializers.", "tensorflow": "tensorflow.keras.initializers.", "jax": "jax.nn.initializers."}[framework]
    found = [(name, call) for name, call in interface(text) if name.startswith((module, "jax.random.uniform", "jax.numpy.eye"))]
    name, call = found[0]
    if name == "jax.numpy.eye":
        factor = text.split("jnp.eye")[0].rsplit("return ")[-1].rstrip(" *") or "1"
        return LAWS["Identity"](gain=float(factor))
    arguments = {} if call is None else {key: evaluated(value) for key, value in bound(name, call).items()}
    return LAWS[name.rsplit(".", 1)[1]](**arguments)


def evaluated(node):
    return None if isinstance(node, ast.Name) else eval(compile(ast.Expression(node), "argument", "eval"), {"__builtins__": {}})


@pytest.mark.parametrize("framework", OTHERS)
@pytest.mark.parametrize("gamma", [0.0, 1e-200, 1.0, 1.7])  # Keras refuses a scale of 0, which (1e-200)² is
@pytest.mark.parametrize("name", INITIALIZERS)
def test_what_the_documentation_promises_is_the_variance_and_the_family_of_the_initializer(framework, name, gamma):
    variance, family = weight_law(export(name, "relu", framework, gamma=gamma), framework)
    assert family == (INITIALIZERS[name].base.name if gamma**2 else "zeros")
    for fans in ((784, 512), (512, 512), (100, 10), (3, 700)):
        assert variance(*fans) == pytest.approx(gamma**2 * INITIALIZERS[name].variance(*fans), rel=1e-9)


@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_kernels_are_fan_in_by_fan_out_where_the_input_stands_on_the_left(framework, name):
    tree = ast.parse(export(name, "relu", framework))
    shapes = [ast.unparse(node.args[-1]) for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "init"]
    products = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)}
    assert shapes == ["(fan_in, fan_out)"]
    assert products == {"a @ w"}


@pytest.mark.parametrize("framework", ["keras", "tensorflow"])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_layer_gets_an_initializer_of_its_own_because_one_repeats_its_draw(framework, name):
    tree = ast.parse(export(name, "relu", framework))
    inside = [call for block in tree.body if isinstance(block, ast.FunctionDef | ast.For) for call in ast.walk(block)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ".initializers." in ast.unparse(node.func)]
    assert calls
    assert all(call in inside for call in calls)


@pytest.mark.parametrize("framework", OTHERS)
@pytest.mark.parametrize("name", ["he_normal", "lecun_normal"])
def test_where_the_name_means_a_truncated_normal_the_text_says_so(framework, name):
    expected = name if framework == "jax" else "".join(part.title() for part in name.split("_"))
    for gamma in (1.0, 1.7):
        assert f"# {expected} would be truncated" in export(name, "relu", framework, gamma=gamma)
        assert "would be truncated" not in export("glorot_normal", "relu", framework, gamma=gamma)


def test_pytorch_says_that_its_glorot_does_not_truncate_and_what_bias_its_default_has():
    assert "xavier_normal_ does not truncate" in export("glorot_normal", "tanh", "pytorch")
    text = export("pytorch_default", "relu", "pytorch")
    assert "U(±1 / sqrt(fan_in))" in text
    assert "layer.weight" not in text


# ---- the text as text

@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_hundred_equal_layers_are_a_loop_and_no_longer_than_three(framework):
    three, hundred = (export("he_normal", "relu", framework, widths=(784, *(512,) * n, 10)) for n in (3, 100))
    assert hundred.count("\n") == three.count("\n")
    assert "[784, *[512] * 100, 10]" in hundred


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_lines_are_short_enough_to_read_and_the_widths_are_the_ones_asked_for(framework):
    widths = (784, *range(4_096, 3_900, -1), *(64,) * 30, 10)
    for settings in ({"gamma": 1.7, "sigma_b2": 0.05}, {}):
        for name in INITIALIZERS:
            text = export(name, "leaky_relu", framework, widths=widths, **settings)
            assert max(map(len, text.splitlines())) <= 120
            tree = ast.parse(text)
            spelled, = (node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "widths")
            assert tuple(eval(compile(ast.Expression(spelled), "widths", "eval"))) == widths


@pytest.mark.parametrize(("numbers", "spelled"), [
    ((1,), "[1]"), ((5, 5, 5), "[5, 5, 5]"), ((5, 5, 5, 5), "[*[5] * 4]"), ((784, *(512,) * 50, 10, 10), "[784, *[512] * 50, 10, 10]")])
def test_runs_of_four_and_more_are_spelled_short(numbers, spelled):
    assert spell_list(numbers) == spelled
    assert tuple(ast.literal_eval(spelled) if "*" not in spelled else eval(spelled)) == numbers


def test_the_lectures_line_is_in_the_text():
    assert "np.sqrt(2 / fan_in) * rng.standard_normal((fan_out, fan_in))" in export("he_normal", "relu", "numpy")
    assert "np.sqrt(1 / fan_in) * rng.standard_normal((fan_out, fan_in))" in export("lecun_normal", "tanh", "numpy")


@pytest.mark.parametrize(("arguments", "words"), [
    (("he_normal", "relu", "mxnet"), "framework must be one of numpy, pytorch, keras, jax, tensorflow, received 'mxnet'"),
    (("xavier", "relu", "numpy"), "initializer must be one of zeros, .*, received 'xavier'"),
    (("he_normal", "swish", "numpy"), "activation must be one of linear, .*, received 'swish'"),
    (("he_normal", "relu", "numpy", (5,)), "widths must be 2 to 257 whole numbers"),
    (("he_normal", "relu", "numpy", (5, 0)), r"widths\[1\] must be a whole number from 1"),
    (("he_normal", "relu", "numpy", (5, 4), -1.0), "gamma must be a number from 0 to 100"),
    (("he_normal", "relu", "numpy", (5, 4), 1.0, math.nan), "sigma_b2 must be a number from 0 to 100")])
def test_what_cannot_be_exported_is_refused_with_the_field_the_rule_and_the_value(arguments, words):
    with pytest.raises(ParamError, match=words):
        export(*arguments)


@RUNNABLE
@pytest.mark.parametrize("gamma", [1e-160, 1e-300, np.float64(100.0), 3])
def test_every_gamma_that_the_page_allows_gives_a_text_that_runs(framework, gamma):
    for name in INITIALIZERS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layers, _ = layers_and_forward(framework, name, "relu", widths=(3, 4, 2), gamma=gamma)
        assert all(np.isfinite(w).all() for w, _ in layers)
