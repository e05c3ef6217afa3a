"""Theory carried through layers: the weights that stand there, others instead, and the fate of each layer."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.models.test_weights import mlp
from vgdash import INITIALIZERS, ProbeParams, inspect, predict
from vgdash.models.examples import EXAMPLES, example
from vgdash.models.fates import FATES, HEALTHY, fates
from vgdash.models.propagation import expected_gradients, propagate, with_initializer
from vgdash.models.weights import with_activation


def chain(depth=20, width=64, gain=1 / 3, activation="relu"):
    return inspect(mlp([width] * (depth + 1), gain), activation=activation)


@pytest.mark.parametrize(("initializer", "activation"), [
    ("he_normal", "relu"), ("lecun_normal", "tanh"), ("pytorch_default", "relu"), ("small_normal", "gelu")])
def test_other_weights_are_predicted_as_mean_field_predicts_them(initializer, activation):
    """From unit Gaussian inputs, and back from one and the same gradient of the outputs."""
    layers = [replace(a, bias="b") for a in chain(12, activation=activation).layers]
    theory = predict(ProbeParams.uniform(12, 64, activation, initializer))
    there = with_initializer(layers, initializer)
    assert np.log10([a.out2 for a in there]) == pytest.approx(theory.log10_q, abs=1e-9)
    decades = np.log10([a.grad_out for a in there]), theory.log10_grad2
    assert np.diff(decades[0]) == pytest.approx(np.diff(decades[1]), abs=1e-9)


def test_other_weights_are_those_that_a_net_with_them_really_has():
    torch = pytest.importorskip("torch")
    parts = [(torch.nn.Linear(256, 256), torch.nn.ReLU()) for _ in range(10)]
    net = torch.nn.Sequential(*(part for pair in parts for part in pair))
    inputs = torch.randn(256, 256)
    predicted = with_initializer(inspect(net, inputs).layers, "he_normal")
    for layer in net[::2]:
        torch.nn.init.kaiming_normal_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    measured = inspect(net, inputs).layers
    for depth, (theory, real) in enumerate(zip(predicted, measured, strict=True), 1):
        # a layer's mean square varies by √(5/n) from net to net (Hanin & Nica 2018)
        assert math.log(real.after2 / theory.after2) == pytest.approx(0, abs=5 * math.sqrt(5 * depth / 256))
    back = measured[0].grad_out / measured[-1].grad_out / (predicted[0].grad_out / predicted[-1].grad_out)
    assert math.log(back) == pytest.approx(0, abs=5 * math.sqrt(5 * 10 / 256))


def test_where_normalization_stands_a_course_starts_again_from_what_was_measured():
    layers = [replace(a, normalized=True) for a in chain().layers]
    assert {a.in2 for a in with_initializer(layers, "standard_normal")[1:]} == {a.in2 for a in layers[1:]}
    ahead = [replace(a, next=-1) for a in layers]
    assert [a.in2 for a in propagate(ahead)] == [a.in2 for a in ahead]


def test_what_was_measured_between_two_layers_stays_such_as_pooling():
    layers = list(chain(4).layers)
    layers[2] = replace(layers[2], in2=layers[2].in2 / 4, grad_in=layers[2].grad_in * 3)
    plain, pooled = (with_initializer(net, "he_normal") for net in (chain(4).layers, layers))
    assert [b.in2 / a.in2 for a, b in zip(plain, pooled, strict=True)] == pytest.approx([1, 1, 1 / 4, 1 / 4])
    back = [b.grad_out / a.grad_out for a, b in zip(plain, pooled, strict=True)]
    assert back == pytest.approx([1 / 3, 1 / 3, 1, 1])


def test_what_a_layer_sends_back_is_expected_of_the_layer_after_it():
    layers = chain().layers
    assert expected_gradients(layers) == pytest.approx([a.grad_out for a in layers])
    halved = [*layers[:-1], replace(layers[-1], grad_out=layers[-1].grad_out / 2)]
    expected = expected_gradients(halved)
    assert expected[-2] == pytest.approx(layers[-2].grad_out / 2)
    assert expected[-3] == pytest.approx(layers[-3].grad_out)


def test_weights_alone_are_judged_anew_with_another_activation():
    weights = mlp([128] * 21, 2.0)
    for activation in ("tanh", "relu", "selu"):
        again = with_activation(inspect(weights, activation="gelu").trace, activation)
        there = inspect(weights, activation=activation).trace
        assert repr(again) == repr(there), activation


# ---- fates

def test_fates_of_broken_weights():
    assert fates(chain(gain=2.0)) == [(HEALTHY, HEALTHY)] * 20
    assert fates(chain())[:-1] == [("vanishing", "vanishing")] * 19
    exploding = fates(chain(gain=20.0))
    assert [signal for signal, _ in exploding] == ["exploding"] * 20
    back = [gradient for _, gradient in exploding]  # ×10 a layer, and too large beyond ×1,000
    assert (back[:16], back[17:]) == (["exploding"] * 16, [HEALTHY] * 3)
    assert fates(chain(gain=100.0, activation="tanh"))[3][0] == "saturated"
    dead = mlp([64, 32, 32, 4], 1.0) | {"layers.1.bias": np.full(32, -20.0)}
    assert fates(inspect(dead))[1] == ("dead", "dead")
    zero = {name: np.zeros_like(w) for name, w in mlp([64, 32, 32, 4], 1.0).items()}
    assert set(fates(inspect(zero))) == {("blocked", "blocked")}


def test_zeros_that_the_first_steps_open_are_no_fault_beside_another_one():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    normed = [part for _ in range(6) for part in (nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())]
    model = nn.Sequential(*normed, nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
    nn.init.zeros_(model[-1].weight)
    nn.init.normal_(model[-3].weight)
    found = fates(inspect(model, torch.randn(64, 64), torch.arange(64) % 5))
    assert found[-2:] == [("exploding", HEALTHY), (HEALTHY, HEALTHY)]
    assert {*found[:-2]} == {(HEALTHY, HEALTHY)}


def test_every_cause_has_a_fate_and_every_model_of_the_zoo_shows_where_it_is_ill():
    pytest.importorskip("torch")
    from tests.models.zoo.models import MODELS
    from tests.models.zoo.truth import BROKEN
    from tests.models.zoo.truth import HEALTHY as SOUND
    for name in SOUND:
        assert {*fates(inspect(*MODELS[name](0)))} == {(HEALTHY, HEALTHY)}, name
    for name in BROKEN:
        report = inspect(*MODELS[name](0))
        found = fates(report)
        assert {fate for both in found for fate in both} <= set(FATES)
        named = [both for a, both in zip(report.layers, found, strict=True) if a.path in report.causes]
        ill = [both for both in named if both != (HEALTHY, HEALTHY)]
        assert len(ill) >= 0.5 * len(named) > 0, (name, named)


# ---- the examples that ship

def test_the_examples_are_what_their_models_give():
    pytest.importorskip("torch")
    from tests.models.zoo.models import MODELS
    for (name, (file, _)), model in zip(EXAMPLES.items(), ("mlp_relu_default", "mlp_tanh_normal", "gpt2"),
                                        strict=True):
        shipped, made = example(name), inspect(*MODELS[model](0))
        assert [a.path for a in shipped.layers] == [a.path for a in made.layers], file
        gains = [[a.gain for a in report.layers] for report in (shipped, made)]
        assert gains[0] == pytest.approx(gains[1], rel=0.01, nan_ok=True)
        assert [f.cause for f in shipped.findings] == [f.cause for f in made.findings]


def test_one_example_is_healthy_and_two_are_not_and_all_are_small():
    from vgdash.models.examples import FOLDER
    assert [example(name).healthy for name in EXAMPLES] == [False, False, True]
    assert all((FOLDER / file).stat().st_size < 30_000 for file, _ in EXAMPLES.values())


def test_no_number_is_too_large_to_carry():
    layers = [replace(a, weight2=10.0**exponent, in2=in2) for a in chain().layers[:2]
              for exponent in (-300, 0, 300) for in2 in (0.0, 1.0, math.inf, math.nan)]
    layers = [replace(a, next=i + 1 if i + 1 < len(layers) else -1) for i, a in enumerate(layers)]
    for initializer in INITIALIZERS:
        assert len(with_initializer(layers, initializer)) == len(expected_gradients(layers)) == len(layers)
