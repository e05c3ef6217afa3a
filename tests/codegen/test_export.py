"""The exported text is run (NumPy, PyTorch, Keras), and it is a text that people read."""

import ast
import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from tests.formulas import FORMULAS
from vgdash.activations import ACTIVATIONS
from vgdash.codegen.export import FRAMEWORKS, export
from vgdash.codegen.recipe import spell_list
from vgdash.initializers import INITIALIZERS, TRUNCATED_STD
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams
from vgdash.theory.layerwise import predict

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
    """Weights (fan_out, fan_in) and biases of every layer, and the net as a function of a float array."""
    if framework == "pytorch":
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        model = run(export(*arguments, framework, **settings))["model"]
        layers = [(layer.weight, layer.bias) for layer in model if isinstance(layer, torch.nn.Linear)]
        return ([tuple(part.detach().numpy().astype(float) for part in layer) for layer in layers],
                lambda x: model(torch.tensor(x, dtype=torch.float32)).detach().numpy())
    if framework == "keras":
        pytest.importorskip("keras").utils.set_random_seed(0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__")  # Keras' own
            model = run(export(*arguments, framework, **settings))["model"]
            layers = [[part.astype(float) for part in layer.get_weights()] for layer in model.layers]
        return [(w.T, b) for w, b in layers], lambda x: model(x.astype(np.float32)).detach().numpy()
    net = run(export(*arguments, framework, **settings))
    return net["layers"], net["forward"]


RUNNABLE = pytest.mark.parametrize("framework", ["numpy", "pytorch", "keras"])


@RUNNABLE
@pytest.mark.parametrize("gamma", [1.0, 1.7])
@pytest.mark.parametrize("name", RANDOM)
def test_every_layer_has_the_variance_and_the_distribution_of_the_initializer(framework, name, gamma):
    layers, _ = layers_and_forward(framework, name, "tanh", widths=WIDTHS, gamma=gamma)
    initializer = INITIALIZERS[name]
    law = STANDARD[initializer.base.name]
    kurtosis = float(law.stats(moments="k")) + 3
    assert [w.shape for w, _ in layers] == [(m, n) for n, m in itertools.pairwise(WIDTHS)]
    for w, b in layers:
        fan_out, fan_in = w.shape
        variance = gamma**2 * initializer.variance(fan_in, fan_out)
        if name == "siren" and w is layers[0][0]:
            variance = gamma**2 / 3 / fan_in**2
        assert (w**2).mean() == pytest.approx(variance, rel=FIVE * math.sqrt((kurtosis - 1) / w.size))
        assert abs(w.mean()) < FIVE * math.sqrt(variance / w.size)
        assert stats.kstest(w.ravel() / math.sqrt(variance), law.cdf).pvalue > 1e-4
        rule = initializer.biases(0.0)
        away = FIVE * math.sqrt(0.8 * rule.variance(fan_in) ** 2 / b.size)  # kurtosis 1.8 if uniform
        assert abs((b**2).mean() - rule.square(fan_in)) <= away + 1e-9
        assert abs(b.mean() - rule.mean) <= FIVE * math.sqrt(rule.variance(fan_in) / b.size) + 1e-7
    assert len({w[0, 0] for w, _ in layers}) == len(layers), "two layers repeat one draw"


@pytest.mark.parametrize("framework", ["numpy", "pytorch"])  # Keras on PyTorch lets one in 200,000 through
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
            np.testing.assert_allclose(w, INITIALIZERS[name].draw(fan_in, fan_out, 0, gamma, np.float64),
                                       rtol=1e-6)


def test_orthogonal_in_numpy_is_haar_so_its_trace_has_mean_zero_and_variance_one():
    # Diaconis & Shahshahani 1994; without the sign fix QR gives a trace of order -sqrt(n)
    layers, _ = layers_and_forward("numpy", "orthogonal", "relu", widths=(10,) * 257)
    traces = np.array([np.trace(w) for w, _ in layers])
    assert abs(traces.mean()) < FIVE / math.sqrt(256)
    assert traces.var() == pytest.approx(1, abs=FIVE * math.sqrt(2 / 256))


@RUNNABLE
@pytest.mark.parametrize("sigma_b2", [0.05, 4.0])
@pytest.mark.parametrize("name", ["he_normal", "pytorch_default"])
def test_biases_are_normal_with_the_variance_that_was_asked_for(framework, name, sigma_b2):
    layers, _ = layers_and_forward(framework, name, "relu", widths=(10, *(500,) * 8), sigma_b2=sigma_b2)
    biases = np.concatenate([b for _, b in layers])
    assert biases.var() == pytest.approx(sigma_b2, rel=FIVE * math.sqrt(2 / biases.size))
    assert stats.kstest(biases / math.sqrt(sigma_b2), stats.norm.cdf).pvalue > 1e-4


@RUNNABLE
@pytest.mark.parametrize(("scale", "bias"), [(0.0, 0.0), (0.1, -2.5), (1.0, 3.0)])
def test_the_last_layer_has_its_own_scale_and_bias(framework, scale, bias):
    arguments = framework, "pytorch_default", "relu"
    usual, changed = (layers_and_forward(*arguments, widths=(5, 8, 6), **settings)[0]
                      for settings in ({}, {"last_scale": scale, "last_bias": bias}))
    for one, other in zip(usual[0], changed[0], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(changed[1][0], scale * usual[1][0], rtol=1e-6)
    np.testing.assert_allclose(changed[1][1], bias or usual[1][1], rtol=1e-6)


@pytest.mark.parametrize(("name", "gamma"),
                         [("pytorch_default", 1.0), ("he_normal", 1.0), ("he_normal", 1.7)])
def test_convolutions_are_initialized_by_their_own_fans(name, gamma):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    widths, kernels = (16, 32, 24), (3, 5)
    model = run(export(name, "relu", "pytorch", widths, gamma, kernels=kernels))["model"]
    layers = [layer for layer in model if isinstance(layer, torch.nn.Conv2d)]
    for layer, n, m, side in zip(layers, widths, widths[1:], kernels, strict=False):
        w = layer.weight.detach().numpy().astype(float)
        assert w.shape == (m, n, side, side)
        variance = gamma**2 * INITIALIZERS[name].variance(side**2 * n, side**2 * m)
        assert (w**2).mean() == pytest.approx(variance, rel=FIVE * math.sqrt(2 / w.size))
        limit = (1 / (side**2 * n)) ** 0.5 if name == "pytorch_default" else 0.0
        assert abs(layer.bias.detach().numpy()).max() == pytest.approx(limit, rel=0.3)
    assert model(torch.zeros(2, 16, 8, 8)).shape == (2, 24, 8, 8)
    with torch.no_grad():
        middle = run(export("orthogonal", "linear", "pytorch", (8, 8), 1.5, kernels=(3,)))["model"][0].weight
        x = torch.randn(2, 8, 6, 6)
        net = run(export("identity", "linear", "pytorch", (8, 8), 1.5, kernels=(3,)))["model"]
        torch.testing.assert_close(net(x), 1.5 * x)
    w = middle[:, :, 1, 1].detach().numpy()
    np.testing.assert_allclose(w @ w.T, 2.25 * np.eye(8), atol=1e-5)
    assert (middle**2).sum().item() == pytest.approx((w**2).sum(), rel=1e-6)
    with pytest.raises(ParamError, match="framework must be pytorch for convolutions, received 'jax'"):
        export(name, "relu", "jax", widths, kernels=(3,))


@RUNNABLE
@pytest.mark.parametrize("name", [*ACTIVATIONS, *FORMULAS, "max(z,gelu(z))-min(mish(2*z),0.1*z)",
                                  "selu(z)+softsign(-z)+where(1>z,0.2*z,0.2)", "leaky_relu(2*z,0.3)**1"])
def test_between_identities_the_net_is_the_activation_itself(framework, name):
    _, forward = layers_and_forward(framework, "identity", name, widths=(4, 4, 4))
    z = np.linspace(-8, 8, 4_000).reshape(-1, 4)
    np.testing.assert_allclose(forward(z), ACTIVATIONS[name].f(z), rtol=2e-5, atol=2e-5)  # float32, 30 z too


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
@pytest.mark.parametrize("setup", [
    ("he_normal", "relu", 1.0, 0.0), ("he_uniform", "relu", 0.8, 0.0), ("lecun_normal", "tanh", 1.5, 0.05),
    ("glorot_normal", "gelu", 1.3, 0.0), ("pytorch_default", "relu", 1.0, 0.0),
    ("playground_default", "softsign", 1.0, 0.0)])
def test_the_last_signal_is_the_predicted_one_for_19999_of_20000_nets(framework, setup):
    name, activation, gamma, sigma_b2 = setup
    p = ProbeParams((200, 300, 300, 300, 300, 100), activation, name, gamma, sigma_b2, batch=64)
    settings = {"widths": p.widths, "gamma": gamma, "sigma_b2": sigma_b2}
    _, forward = layers_and_forward(framework, name, activation, **settings)
    q = (forward(np.random.default_rng(2).standard_normal((p.batch, p.widths[0]))) ** 2).mean()
    low, high = (bound[-1] for bound in predict(p).interval("q", 0.99995))
    assert low < math.log10(q) < high


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
            spelled, = (node.value for node in tree.body
                        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "widths")
            assert tuple(eval(compile(ast.Expression(spelled), "widths", "eval"))) == widths


@pytest.mark.parametrize(("numbers", "spelled"), [
    ((1,), "[1]"), ((5, 5, 5), "[5, 5, 5]"), ((5, 5, 5, 5), "[*[5] * 4]"),
    ((784, *(512,) * 50, 10, 10), "[784, *[512] * 50, 10, 10]")])
def test_runs_of_four_and_more_are_spelled_short(numbers, spelled):
    assert spell_list(numbers) == spelled
    assert tuple(ast.literal_eval(spelled) if "*" not in spelled else eval(spelled)) == numbers


@pytest.mark.parametrize(("arguments", "words"), [
    (("he_normal", "relu", "mxnet"),
     "framework must be one of numpy, pytorch, keras, jax, tensorflow, received 'mxnet'"),
    (("xavier", "relu", "numpy"), "initializer must be one of zeros, .*, received 'xavier'"),
    (("he_normal", "snake", "numpy"), "activation must be the name .*, .* Known names are"),
    (("he_normal", "relu", "numpy", (5,)), "widths must be 2 to 1,001 whole numbers"),
    (("he_normal", "relu", "numpy", (5, 0)), r"widths\[1\] must be a whole number from 1"),
    (("he_normal", "relu", "numpy", (5, 4), -1.0), "gamma must be a number from 0 to 100"),
    (("he_normal", "relu", "numpy", (5, 4), 1.0, math.nan), "sigma_b2 must be a number from 0 to 100")])
def test_what_cannot_be_exported_is_refused_with_the_field_the_rule_and_the_value(arguments, words):
    with pytest.raises(ParamError, match=words):
        export(*arguments)


@RUNNABLE
@pytest.mark.parametrize("gamma", [0.0, 1e-160, 1e-300, np.float64(100.0), 3])
def test_every_gamma_that_the_page_allows_gives_a_text_that_runs(framework, gamma):
    for name in INITIALIZERS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layers, _ = layers_and_forward(framework, name, "relu", widths=(3, 4, 2), gamma=gamma)
        assert all(np.isfinite(w).all() for w, _ in layers)
        assert gamma or not any(w.any() for w, _ in layers)
