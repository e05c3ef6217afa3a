"""Statistics of random nets against laws of wide layers, closed forms, PyTorch and exact moments."""

import math

import numpy as np
import pytest

from tests.midpoint_rule import GRID, gaussian_mean
from vgdash.initializers import INITIALIZERS
from vgdash.layers import EPSILON, Tape, forward
from vgdash.probe.moments import mean, mean_square, mean_square_and_cosine, mean_square_product
from vgdash.probe.params import CompareParams, ProbeParams
from vgdash.probe.probe import compare, probe
from vgdash.probe.propagation import STATISTICS, build


def slope(values, stop=None):
    """log10 growth a layer, over all seeds and layers up to ``stop``, and its standard error over seeds."""
    logs = np.log10(values[:, :stop])
    rates = (logs[:, -1] - logs[:, 0]) / (logs.shape[1] - 1)
    return rates.mean(), rates.std(ddof=1) / math.sqrt(len(rates))


def test_he_keeps_relu_second_moment_flat_over_50_layers():
    # Hanin & Nica 2018: ln(q[L]/q[1]) ~ N(-beta/2, beta), beta = 5·sum(1/n) for one input, nearly so a batch
    p = ProbeParams.uniform(50, 256, "relu", "he_normal", batch=16, seeds=24, seed=1)
    logs = np.log(probe(p).q[:, -1] / 2)
    beta = 5 * 50 / 256
    assert abs(logs.mean() + beta / 2) < 5 * math.sqrt(beta / p.seeds)
    assert logs.var(ddof=1) < beta * (1 + 5 * math.sqrt(2 / (p.seeds - 1)))
    assert abs(logs.mean()) < abs(math.log(0.98) * 49)  # 2 % a layer would show


@pytest.mark.parametrize(("activation", "initializer", "gamma", "factor"), [
    ("relu", "lecun_normal", 1.0, 1 / 2),
    ("relu", "glorot_normal", 1.0, 1 / 2),
    ("relu", "lecun_uniform", 3**-0.5, 1 / 6),  # row 16
    ("linear", "lecun_normal", 1.0, 1.0),
    ("linear", "lecun_uniform", 1.3, 1.3**2),
    ("relu", "standard_normal", 1 / 16, 128 / 256),
])
def test_moments_change_by_one_factor_forward_and_backward(activation, initializer, gamma, factor):
    # widths so large that the finite-width drift of the logarithm, 5/(2n) a layer, is inside the tolerance
    result = probe(ProbeParams.uniform(12, 256, activation, initializer, gamma=gamma, batch=32, seeds=12))
    drift = math.exp(-2.5 / 256 if activation == "relu" else -1 / 256)
    for values, expected in ((result.q, factor * drift), (result.grad2[:, ::-1], factor)):
        rate, error = slope(values)
        assert error < 0.02
        assert abs(rate - math.log10(expected)) < 5 * error


def test_every_forward_law_is_fan_in_times_variance_times_a2():
    p = ProbeParams((200, 100, 300, 50), "silu", "glorot_uniform", gamma=1.5, sigma_b2=0.3, batch=64, seeds=8)
    result = probe(p)
    for layer in (2, 3):
        fan_in, fan_out = p.widths[layer - 1:layer + 1]
        variance = p.gamma**2 * INITIALIZERS[p.initializer].variance(fan_in, fan_out)
        expected = fan_in * variance * result.a2[:, layer - 2] + p.sigma_b2
        ratios = result.q[:, layer - 1] / expected
        assert abs(ratios.mean() - 1) < 5 * ratios.std(ddof=1) / math.sqrt(p.seeds)
        assert ratios.std() < 0.3


def test_relu_with_he_makes_inputs_parallel_as_cho_and_saul_say():
    p = ProbeParams.uniform(12, 512, "relu", "he_normal", batch=32, seeds=6)
    result = probe(p).correlation
    assert abs(result[:, 0].mean()) < 5 / math.sqrt(512 * 31)
    c = 0.0
    for layer in range(2, 12):
        c = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
        values = result[:, layer - 1]
        # the drift of finite width, of the order of layer/n, besides the sampling error
        assert abs(values.mean() - c) < 5 * values.std(ddof=1) / math.sqrt(p.seeds) + (layer - 1) / 512
    assert c == pytest.approx(0.87154, abs=5e-6)  # row 9, layer 10


def test_tanh_with_lecun_decays_as_one_over_twice_the_layer():
    # row 8: from the recursion q' = E tanh²(sqrt(q) z) = q - 2q² + …, a power law
    p = ProbeParams.uniform(60, 256, "tanh", "lecun_normal", batch=8, seeds=16)
    measured, q = probe(p).q, 1.0
    for layer in range(1, 61):
        if layer > 1:
            q = gaussian_mean(np.tanh(math.sqrt(q) * GRID) ** 2)
        values = measured[:, layer - 1]
        # v' = 2/n - (2/l)v for the relative variance over nets, hence v = 2l/(3n);
        # b' = -(2/l)b - v/l for the bias, hence b = -2l/(9n)
        bias = q * 2 * layer / (9 * 256)
        assert abs(values.mean() - q) < 5 * values.std(ddof=1) / math.sqrt(p.seeds) + bias
        assert values.std() < q
    assert abs(q * 2 * 60 - 1) < 0.05


def test_compare_gives_the_bits_of_probe_for_each_initializer():
    p = CompareParams((30, 40, 20, 20), "gelu", ("lecun_normal", "glorot_normal", "he_uniform", "orthogonal"),
                      seeds=3, batch=16, sigma_b2=0.1, keep=0.9, residual="scaled", seed=9)
    result = compare(p)
    assert tuple(result.probes) == p.initializers
    for one in p.probes:
        alone = probe(one)
        for name in STATISTICS:
            np.testing.assert_array_equal(getattr(result.probes[one.initializer], name), getattr(alone, name),
                                          strict=True)
    assert len(result.frame()) == 4 * 3 * 3


def test_layers_do_not_depend_on_the_depth_nor_seeds_on_their_number():
    short = probe(ProbeParams.uniform(4, 32, "tanh", "he_normal", seeds=1, sigma_b2=0.1, keep=0.8))
    deep = probe(ProbeParams.uniform(9, 32, "tanh", "he_normal", seeds=3, sigma_b2=0.1, keep=0.8))
    np.testing.assert_array_equal(short.q[0], deep.q[0, :4])
    assert len(np.unique(deep.q)) == 27


def test_batch_normalization_keeps_the_signal_at_1():
    result = probe(ProbeParams.uniform(20, 64, "relu", "standard_normal", seeds=1, normalization="batch"))
    np.testing.assert_allclose(result.q, 1, atol=1e-4)


def test_zero_residual_branches_are_the_identity_both_ways():
    result = probe(ProbeParams.uniform(20, 32, "relu", "he_normal", residual="zero", seeds=2))
    np.testing.assert_array_equal(result.q, np.repeat(result.q[:, :1], 20, axis=1))
    np.testing.assert_array_equal(result.grad2, np.repeat(result.grad2[:, -1:], 20, axis=1))
    assert (result.dw2 > 0).all()


def test_dropout_moves_the_critical_variance_of_relu_to_twice_keep():
    # E factor sigma_w2/(2·keep): gamma² = keep on He's 2/n
    keep = 0.5
    p = ProbeParams.uniform(12, 256, "relu", "he_normal", gamma=math.sqrt(keep), keep=keep, batch=64,
                            seeds=16)
    rate, error = slope(probe(p).q)
    assert abs(rate) < 5 * error + 0.43 * 2.5 / 256 / keep
    assert error < 0.01


@pytest.mark.parametrize("initializer", ["orthogonal", "standard_normal", "small_normal"])
def test_lsuv_leaves_unit_variance_in_every_layer(initializer):
    p = ProbeParams.uniform(30, 64, "tanh", initializer, rescale="lsuv", seeds=2)
    result = probe(p)
    # a mean over units and batch is left in q; tanh keeps it small
    np.testing.assert_allclose(result.q, 1, atol=0.05)
    net, x, _ = build(p, 0)
    for step in forward(net, x, Tape(p.widths, p.batch)):
        assert step.z.var(dtype=float) == pytest.approx(1, abs=1e-5)
    net.rescale = False
    for step, q in zip(forward(net, x, Tape(p.widths, p.batch)), result.q[0], strict=True):
        # the scales were kept: the net is now an ordinary one
        assert mean_square(step.z[None]).item() == pytest.approx(q, rel=1e-3)


def test_orthogonal_linear_nets_keep_every_gradient():
    result = probe(ProbeParams.uniform(40, 48, "linear", "orthogonal", seeds=1))
    np.testing.assert_allclose(result.q, result.q[0, 0], rtol=1e-4)
    np.testing.assert_allclose(result.grad2, result.grad2[0, -1], rtol=1e-4)


@pytest.mark.parametrize("change", [{}, {"residual": "scaled"}, {"normalization": "batch"},
                                    {"normalization": "layer", "residual": "scaled"},
                                    {"normalization": "layer", "norm_scale": 0.3, "input_mean": 2.0},
                                    {"normalization": "batch", "norm_scale": 0.0, "residual": "plain"},
                                    {"last_scale": 0.1, "last_bias": -0.7, "input_scale": 5.0}], ids=str)
@pytest.mark.parametrize("batch", [7, 200])
def test_all_statistics_agree_with_torch_autograd(batch, change):
    torch = pytest.importorskip("torch")
    p = ProbeParams((20, 30, 30, 30, 10), "tanh", "lecun_normal", sigma_b2=0.2, batch=batch, seeds=1,
                    **change)
    result = probe(p)
    net, x, cotangent = build(p, 0)
    weights = [torch.tensor(s * w.astype(float), requires_grad=True)
               for s, w in zip(net.scales, net.weights, strict=True)]
    a, z_all, a_all = torch.tensor(x.astype(float)), [], []
    for weight, bias, skip in zip(weights, net.biases, net.skips, strict=True):
        z = a @ weight.T + torch.tensor(bias.astype(float))
        if net.axis is not None:
            variance = z.var(dim=net.axis, keepdim=True, unbiased=False)
            z = (z - z.mean(dim=net.axis, keepdim=True)) / (variance + EPSILON).sqrt()
        if skip is not None:
            z = z_all[-1] + skip * z
        elif p.residual == "none":
            z = p.norm_scale * z
        z.retain_grad()
        a = torch.tanh(z)
        z_all.append(z)
        a_all.append(a.detach().numpy())
    z_all[-1].backward(torch.tensor(cotangent.astype(float)))
    for layer, (z, a, weight) in enumerate(zip(z_all, a_all, weights, strict=True)):
        values, flat = z.detach().numpy(), 1 - a**2 < 0.05
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        expected = {"q": (values**2).mean(), "a2": (a**2).mean(), "a_mean": a.mean(),
                    "saturated": flat.mean(), "dead": flat.all(axis=0).mean(),
                    "correlation": (unit[:-1] * unit[1:]).sum(axis=1).mean(),
                    "grad2": float(z.grad.square().mean()),
                    "dw2": float(weight.grad.square().mean()) / batch**2,
                    "largest": np.abs(values).max(), "largest_gradient": float(z.grad.abs().max())}
        for name in STATISTICS:
            assert getattr(result, name)[0, layer] == pytest.approx(expected[name], rel=2e-5, abs=1e-6), name


def test_dead_units_are_those_flat_for_the_whole_batch():
    alive = probe(ProbeParams.uniform(1, 400, "relu", "he_normal", batch=4, seeds=4))
    # inputs in general position: each unit is off for each of 4 nearly orthogonal examples with chance 1/2
    share = 2.0**-4
    assert abs(alive.dead.mean() - share) < 5 * math.sqrt(share * (1 - share) / 1600)
    assert abs(alive.saturated.mean() - 0.5) < 5 * math.sqrt(0.25 / 1600)


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e-12, 1.0, 1e12, 1e30, 3e37])
@pytest.mark.parametrize("shape", [(5, 60), (60, 5)])
def test_moments_of_float32_are_right_where_their_squares_do_not_fit(size, shape):
    rng = np.random.default_rng(4)
    x = (rng.standard_normal(shape) * size).astype(np.float32)
    g = rng.standard_normal(shape).astype(np.float32)
    exact = x.astype(float)
    with np.errstate(all="ignore"):
        x, g = np.stack([g, x, g]), np.stack([g, g, x])  # the nets beside it must not matter
        assert mean_square(x)[1] == pytest.approx((exact**2).mean(), rel=1e-5)
        q, cosine = (values[1] for values in mean_square_and_cosine(x))
        assert mean(x)[1] == pytest.approx(exact.mean(), rel=1e-4, abs=1e-5 * size)
        product = ((g[1].astype(float).T @ exact) ** 2).mean()
        assert mean_square_product(g, x)[1] == pytest.approx(product, rel=1e-5)
    unit = exact / size / np.linalg.norm(exact / size, axis=1, keepdims=True)
    assert q == pytest.approx((exact**2).mean(), rel=1e-5)
    assert cosine == pytest.approx((unit[:-1] * unit[1:]).sum(axis=1).mean(), abs=1e-5)


def test_results_are_read_only_tables_with_one_row_a_seed_and_layer():
    result = probe(ProbeParams.uniform(3, 8, seeds=2))
    frame = result.frame()
    assert list(frame.columns) == ["initializer", "seed", "layer", *STATISTICS]
    assert frame.query("seed == 1 and layer == 2")["q"].item() == result.q[1, 1]
    assert result.log10("q")[1, 1] == pytest.approx(math.log10(result.q[1, 1]), rel=1e-12)
    for name in STATISTICS:
        array = getattr(result, name)
        assert array.shape == (2, 3)
        assert array.dtype == np.float64
        assert not array.flags.writeable


def test_an_address_may_say_depth_and_width():
    assert ProbeParams.parse_lenient({"depth": ["7"], "width": ["32"]}, text=True)[0].widths == (32,) * 8
    assert ProbeParams.parse_lenient({"depth": ["3"]}, text=True)[0].widths == (100,) * 4
