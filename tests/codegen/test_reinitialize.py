"""The text that draws an existing model anew is run on real models: their weights, and what it prints."""

import ast
import itertools
import math
import re
import types
from functools import cache

import numpy as np
import pytest

import vgdash.codegen.reinitialize as codegen
from tests.codegen.test_export import FIVE, RANDOM, STANDARD
from vgdash.codegen.export import DOCUMENTED, FRAMEWORKS, export
from vgdash.codegen.reinitialize import SHOWN, reinitialize
from vgdash.initializers import INITIALIZERS
from vgdash.params import ParamError
from vgdash.probe.params import ProbeParams

WIDTHS = (60, 90, 80, 40)
LINE = re.compile(r"layer (\d+): E\[z²\] = (\S+)(?:, expected (\S+)(?: \(19 of 20 nets: (\S+) to (\S+)\))?)?")
RUNNABLE = pytest.mark.parametrize("framework", ["numpy", "pytorch", "keras", "tensorflow"])
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras' own: __array__ without copy


@pytest.fixture(autouse=True)
def one_seed():
    try:
        import keras
        import torch
    except ImportError:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        keras.utils.set_random_seed(0)
        yield


def run(text, **namespace):
    """Run a text; one for TensorFlow with Keras under its names."""
    if "import tensorflow as tf" in text:
        import keras
        normal = types.SimpleNamespace(normal=keras.random.normal)
        namespace["tf"] = types.SimpleNamespace(keras=keras, reduce_mean=keras.ops.mean, random=normal)
        text = text.replace("import tensorflow as tf", "")
    exec(compile(text, "pasted", "exec"), namespace)
    return namespace


def built(framework, p, **settings):
    """What the text of a new net leaves: a model of another start, which is then drawn anew."""
    if framework != "numpy":
        pytest.importorskip("keras" if framework != "pytorch" else "torch")
    namespace = run(export("small_normal", p.activation, {"tensorflow": "keras"}.get(framework, framework),
                           p.widths, **settings))
    return {name: namespace[name] for name in ("model", "layers") if name in namespace}


def weights(framework, namespace):
    """Weights (fan_out, fan_in) and biases of every layer, in float64."""
    if framework == "numpy":
        return namespace["layers"]
    if framework == "pytorch":
        pairs = [(a.weight, a.bias) for a in namespace["model"] if hasattr(a, "weight")]
        return [tuple(part.detach().numpy().astype(float) for part in pair) for pair in pairs]
    return [(w.T.astype(float), b.astype(float)) for w, b in
            (layer.get_weights() for layer in namespace["model"].layers if layer.get_weights())]


def printed(capsys):
    """{layer: (measured, expected, low, high)} of what a check printed, and its other lines."""
    lines = capsys.readouterr().out.splitlines()
    rows = [LINE.fullmatch(line.rstrip()) for line in lines]
    found = {int(row[1]): tuple(float(text) if text else None for text in row.groups()[1:])
             for row in rows if row}
    return found, [line for line, row in zip(lines, rows, strict=True) if not row]


@RUNNABLE
@pytest.mark.parametrize("gamma", [1.0, 1.7])
@pytest.mark.parametrize("name", RANDOM)
def test_every_layer_of_an_existing_model_gets_the_variance_of_the_rule(framework, name, gamma, capsys):
    p = ProbeParams(WIDTHS, "tanh", name, gamma)
    model = built(framework, p)
    before = weights(framework, model)
    assert all((w**2).mean() == pytest.approx(1e-4, rel=0.2) for w, _ in before)
    after = weights(framework, run(reinitialize(p, framework), **model))
    initializer = INITIALIZERS[name]
    kurtosis = float(STANDARD[initializer.base.name].stats(moments="k")) + 3
    for layer, (w, b) in enumerate(after):
        fan_out, fan_in = w.shape
        variance = gamma**2 * initializer.variance(fan_in, fan_out)
        if layer == 0:
            variance *= initializer.first(fan_in) ** 2
        assert (w**2).mean() == pytest.approx(variance, rel=FIVE * math.sqrt((kurtosis - 1) / w.size))
        rule = initializer.biases(0.0)
        away = FIVE * math.sqrt(0.8 * rule.variance(fan_in) ** 2 / b.size)
        assert abs((b**2).mean() - rule.square(fan_in)) <= away + 1e-9
    assert len({w[0, 0] for w, _ in after}) == len(after), "two layers repeat one draw"
    assert [w.shape for w, _ in after] == [(m, n) for n, m in itertools.pairwise(WIDTHS)]


@RUNNABLE
@pytest.mark.parametrize("gamma", [0.0, 1.5])
@pytest.mark.parametrize("name", sorted(set(INITIALIZERS) - set(RANDOM)))
def test_rules_without_chance_give_their_matrices(framework, name, gamma):
    p = ProbeParams((5, 8, 8, 3), "relu", name, gamma)
    for w, _ in weights(framework, run(reinitialize(p, framework), **built(framework, p))):
        if name == "orthogonal":
            short = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
            np.testing.assert_allclose(short, gamma**2 * np.eye(len(short)), atol=1e-5)
        else:
            drawn = INITIALIZERS[name].draw(*w.shape[::-1], 0, gamma, np.float64)
            np.testing.assert_allclose(w, drawn, rtol=1e-6)


@RUNNABLE
@pytest.mark.parametrize(("setup", "settled"), [
    (("relu", "he_normal"), 2.0), (("linear", "lecun_normal"), 1.0), (("relu", "lecun_uniform"), None),
    (("leaky_relu", "he_normal"), None), (("silu", "lecun_normal", 1.55, 0.05), None)])
def test_the_check_prints_what_the_net_does_beside_what_theory_expects(framework, setup, settled, capsys):
    p = ProbeParams((300,) * 13, *setup, batch=256)
    after = run(reinitialize(p, framework), **built(framework, p))
    found, others = printed(capsys)
    assert others == []
    assert len(found) == 12
    known = {layer: row for layer, row in found.items() if row[1] is not None}
    assert {1, 12} <= set(known)
    assert len(known) == SHOWN
    if settled:
        assert {row[1] for row in known.values()} == {settled}
    for z2, _, low, high in known.values():  # 19 of 20 are 1.96 standard deviations
        assert abs(math.log(z2**2 / (low * high))) < FIVE / 1.96 * math.log(high / low) + 0.02
    f = {"relu": lambda z: np.maximum(z, 0), "linear": lambda z: z, "silu": lambda z: z / (1 + np.exp(-z)),
         "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z)}[p.activation]
    a = np.random.default_rng(5).standard_normal((2000, 300))
    for layer, (w, b) in enumerate(weights(framework, after), start=1):  # these weights, other inputs
        z = a @ w.T + b
        assert found[layer][0] == pytest.approx((z**2).mean(), rel=0.1)
        a = f(z)


@RUNNABLE
def test_a_model_of_another_depth_is_measured_and_not_compared(framework, capsys):
    p = ProbeParams((20,) * 6)
    run(reinitialize(p, framework), **built(framework, ProbeParams((20,) * 4)))
    found, others = printed(capsys)
    assert others == ["3 layers here; the expected numbers are for 5."]
    assert [row[1] for row in found.values()] == [None] * 3


@RUNNABLE
def test_the_last_layer_and_the_inputs_are_those_of_the_parameter_set(framework, capsys):
    p = ProbeParams((400, 400, 200), "linear", "lecun_normal", last_scale=0.5, last_bias=3.0,
                    input_scale=2.0, input_mean=1.0, batch=512)
    (_, first), (w, b) = weights(framework, run(reinitialize(p, framework), **built(framework, p)))
    assert (w**2).mean() == pytest.approx(0.25 / 400, rel=FIVE * math.sqrt(2 / w.size))
    assert set(b) == {3.0}
    assert not first.any()
    found, _ = printed(capsys)
    assert [row[1] for row in found.values()] == [5.0, pytest.approx(9 + 5 / 4, rel=0.005)]  # E[x²] = 4 + 1
    assert all(row[0] == pytest.approx(row[1], rel=0.25) for row in found.values())


def test_convolutions_norms_and_nested_modules_of_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    block = nn.Sequential(nn.Conv2d(16, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU())
    model = nn.ModuleDict({"a": block, "b": nn.Linear(48, 90), "e": nn.Embedding(10, 7)})
    model.forward = lambda x: model["b"](model["a"](x).mean((2, 3)))
    kept = {name: value.clone() for name, value in model.state_dict().items() if name[:3] in ("e.w", "a.1")}
    p = ProbeParams((16, 48, 90), kernels=(3, 1), batch=4)
    run(reinitialize(p, "pytorch"), model=model)
    for layer, fan in ((model["a"][0], 9 * 16), (model["b"], 48)):
        w = layer.weight.detach()
        assert (w**2).mean().item() == pytest.approx(2 / fan, rel=FIVE * math.sqrt(2 / w.numel()))
    state = model.state_dict()
    changed = {name for name in kept if not torch.equal(kept[name], state[name])}
    assert changed <= {"a.1.running_mean", "a.1.running_var", "a.1.num_batches_tracked"}  # of one batch
    run(reinitialize(ProbeParams((16, 48), initializer="identity", kernels=(3,)), "pytorch"), model=block)
    x = torch.randn(2, 16, 6, 6)
    torch.testing.assert_close(block[0](x)[:, :16], x)


def test_convolutions_norms_and_models_inside_of_a_keras_model(capsys):
    keras = pytest.importorskip("keras")
    inner = keras.Sequential([keras.Input((8, 8, 16)), keras.layers.Conv2D(48, 3), keras.layers.ReLU()])
    model = keras.Sequential([keras.Input((8, 8, 16)), inner, keras.layers.LayerNormalization(),
                              keras.layers.GlobalAveragePooling2D(),
                              keras.layers.Dense(90, activation=keras.layers.LeakyReLU(0.1))])
    leaky = model.layers[-1].activation
    scale = keras.ops.convert_to_numpy(model.layers[1].gamma)
    p = ProbeParams((16, 48, 90), initializer="pytorch_default", kernels=(3, 1), batch=4)
    text = reinitialize(p, "keras").replace("32, 32", "8, 8")
    run(text, model=model)
    for layer, fan in ((inner.layers[0], 9 * 16), (model.layers[-1], 48)):
        w, b = layer.get_weights()
        assert (w**2).mean() == pytest.approx(1 / 3 / fan, rel=FIVE * math.sqrt(0.8 / w.size))
        assert 0.8 * fan**-0.5 < abs(b).max() <= fan**-0.5
    assert model.layers[-1].activation is leaky
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model.layers[1].gamma), scale)
    assert len(printed(capsys)[0]) == 2


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("more", "reason"), [
    ({"normalization": "batch"}, "batch normalization"), ({"residual": "plain", "keep": 0.5}, "plain skip"),
    ({"kernels": (3,)}, "borders of images"), ({"initializer": "constant"}, "no theory is drawn")])
def test_where_theory_has_no_number_for_the_check_the_text_says_why(framework, more, reason):
    text = reinitialize(ProbeParams((8,) * 4, **more), framework)
    assert "expected = {}" in text
    assert "# No numbers: " in text
    assert reason in text.replace("\n# ", " ")


@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.7])
def test_every_text_is_python_in_lines_that_one_can_read(gamma, monkeypatch):
    monkeypatch.setattr(codegen, "predict", cache(codegen.predict))  # one prediction for all frameworks
    biased = {"sigma_b2": 0.1, "activation": "2*tanh(z)", "last_scale": 0.1, "last_bias": 1.0}
    for name, more, framework in itertools.product(INITIALIZERS, ({}, biased), FRAMEWORKS):
        text = reinitialize(ProbeParams((30,) * 200, initializer=name, gamma=gamma, **more), framework)
        ast.parse(text)
        assert max(map(len, text.splitlines())) <= 120
        assert text.count("\n") < 95
        assert "fan_in, fan_out = " not in text or len(re.findall(r"\bfan_(?:in|out)\b", text)) > 2


def test_numbers_that_no_float_holds_are_written_all_the_same():
    for name, gamma, end in (("zeros", 1, "0"), ("he_normal", 0.01, "2e-200"), ("he_normal", 1e-4, "1e-400")):
        text = reinitialize(ProbeParams((900,) * 51, initializer=name, gamma=gamma), "numpy")
        table = ast.literal_eval(re.search(r"^expected = (\{.*?^\})", text, re.M | re.S)[1])
        assert table[50].split(" (")[0] == end


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_words_of_the_source_are_those_of_keras(name):
    keras = pytest.importorskip("keras")
    source = getattr(keras.initializers, name.title().replace("_", "")).__doc__
    assert DOCUMENTED[name] in " ".join(source.replace("`", "").split())
    for framework in ("keras", "tensorflow"):
        for text in (export(name, "tanh", framework), reinitialize(ProbeParams(initializer=name), framework)):
            assert DOCUMENTED[name] in text.replace("\n# ", " ")
        assert DOCUMENTED[name] not in export(name, "tanh", framework, gamma=1.5).replace("\n# ", " ")


@pytest.mark.parametrize("name", ["he_normal", "pytorch_default", "playground_default"])
def test_a_bias_in_jax_keeps_the_shape_that_it_has(name):
    for sigma_b2 in (0.0, 0.1):
        text = reinitialize(ProbeParams((16, 32), initializer=name, sigma_b2=sigma_b2, kernels=(3,)), "jax")
        line, = re.findall(r'^ +drawn\["bias"\] = (.*)$', text, re.M)
        assert 'params["bias"]' in line
        assert "fan_out" not in line, "of a convolution it counts the kernel's entries too"


def test_an_unknown_framework_is_refused_with_the_field_the_rule_and_the_value():
    with pytest.raises(ParamError, match=r"framework must be one of numpy, .*, received 'mxnet'"):
        reinitialize(ProbeParams(), "mxnet")
