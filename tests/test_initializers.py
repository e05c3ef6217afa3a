"""Initializers against SciPy's distributions, sampling error, and the numbers of Keras and PyTorch."""

import math

import numpy as np
import pytest
from scipy import stats

from vgdash.codegen.export import export
from vgdash.initializers import INITIALIZERS, TRUNCATED_STD, initializer_for
from vgdash.probe.params import ProbeParams

SHAPES = [(64, 256), (256, 64), (300, 300), (784, 10)]
RANDOM = [name for name in INITIALIZERS if name not in ("zeros", "identity", "constant")]
STANDARD = {"normal": stats.norm, "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
            "truncated": stats.truncnorm(-2, 2, scale=1 / stats.truncnorm.std(-2, 2))}
# variance at fan_in 8, fan_out 24, written out by hand
BY_HAND = {"zeros": 0, "small_normal": 1e-4, "standard_normal": 1, "lecun_normal": 1 / 8,
           "lecun_uniform": 1 / 8, "glorot_normal": 2 / 32, "glorot_uniform": 2 / 32, "he_normal": 2 / 8,
           "he_uniform": 2 / 8, "lecun_fan_out": 1 / 24, "he_fan_out": 2 / 24,
           "bert_normal": 0.02**2 * stats.truncnorm.var(-2, 2), "uniform": 1 / 3, "constant": 0,
           "orthogonal": 1 / 24, "identity": 8 / 192 - (8 / 192) ** 2,
           "siren": 6 / 8 / 30**2 / 3, "pytorch_default": 1 / 24, "keras_default": 2 / 32,
           "flax_default": 1 / 8, "playground_default": 1 / 12}


def test_the_variances_are_those_of_the_formulas():
    assert list(INITIALIZERS) == list(BY_HAND)
    for name, variance in BY_HAND.items():
        assert INITIALIZERS[name].variance(8, 24) == pytest.approx(variance, rel=1e-12), name


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_draws_follow_the_distribution_that_the_name_promises(name, dtype):
    initializer = INITIALIZERS[name]
    if initializer.base.name == "orthogonal":
        # an entry of a Haar matrix squared is Beta(1/2, (n - 1)/2); one of each matrix, for independence
        entries = np.array([initializer.draw(6, 10, seed, dtype=dtype)[2, 3] for seed in range(1_000)])
        p = stats.kstest(entries**2, stats.beta(0.5, 4.5).cdf).pvalue
        assert abs((entries > 0).sum() - 500) < 5 * math.sqrt(250)
    else:
        w = initializer.draw(150, 200, 3, dtype=dtype).ravel().astype(float)
        p = stats.kstest(w / math.sqrt(initializer.variance(150, 200)),
                         STANDARD[initializer.base.name].cdf).pvalue
    assert p > 1e-4


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_sample_variance_is_the_realized_variance_within_five_sampling_errors(name, shape):
    initializer = INITIALIZERS[name]
    w = initializer.draw(*shape, 7).astype(float)
    if initializer.base.name == "orthogonal":
        relative_error = 1e-6  # the sum of squares is the number of unit vectors, no chance in it
    else:
        relative_error = 5 * math.sqrt((STANDARD[initializer.base.name].stats(moments="k") + 2) / w.size)
        assert abs(w.mean()) < 5 * math.sqrt(initializer.variance(*shape) / w.size)
    assert (w**2).mean() == pytest.approx(initializer.variance(*shape), rel=float(relative_error))


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_is_fan_out_by_fan_in_and_keeps_its_type(name, dtype):
    w = INITIALIZERS[name].draw(3, 5, 0, dtype=dtype)
    assert w.shape == (5, 3)
    assert w.dtype == dtype
    assert w.flags.c_contiguous
    assert w.flags.writeable


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (64, 64), (1, 7), (7, 1)])
def test_orthogonal_keeps_every_length_on_the_shorter_side(shape):
    w = INITIALIZERS["orthogonal"].draw(*shape, 5, dtype=np.float64)
    short = w.T @ w if shape[0] <= shape[1] else w @ w.T
    np.testing.assert_allclose(short, np.eye(min(shape)), rtol=0, atol=1e-13)


def test_orthogonal_is_haar_so_the_trace_of_a_square_one_has_mean_zero_and_variance_one():
    # Diaconis & Shahshahani 1994; without the sign fix QR gives a trace of order -sqrt(n)
    traces = np.array([np.trace(INITIALIZERS["orthogonal"].draw(10, 10, seed, dtype=np.float64))
                       for seed in range(2_000)])
    assert abs(traces.mean()) < 5 / math.sqrt(2_000)
    assert traces.var() == pytest.approx(1, abs=5 * math.sqrt(2 / 2_000))


def test_identity_passes_what_fits_and_zeros_pass_nothing():
    w = INITIALIZERS["identity"].draw(3, 2, 0, gamma=0.5)
    np.testing.assert_array_equal(w, [[0.5, 0, 0], [0, 0.5, 0]])
    assert w.size / 4 * INITIALIZERS["identity"].variance(3, 2) == pytest.approx(w.size * w.var(), rel=1e-6)
    assert not INITIALIZERS["zeros"].draw(3, 2, 0).any()
    np.testing.assert_array_equal(INITIALIZERS["constant"].draw(3, 2, 0, gamma=0.5), np.full((2, 3), 0.5))


def test_berts_normal_is_cut_at_two_stds_of_0_02_and_gamma_is_the_limit_of_the_uniform_one():
    w = np.abs(INITIALIZERS["bert_normal"].draw(500, 600, 0))
    assert 0.0399 < w.max() <= 0.04 * (1 + 1e-6)
    w = np.abs(INITIALIZERS["uniform"].draw(500, 600, 0, gamma=0.07))
    assert 0.0699 < w.max() <= 0.07 * (1 + 1e-6)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_gamma_multiplies_the_weights_of_the_same_draw(name):
    once = INITIALIZERS[name].draw(20, 30, 1, dtype=np.float64)
    np.testing.assert_allclose(INITIALIZERS[name].draw(20, 30, 1, gamma=-2.5, dtype=np.float64), -2.5 * once,
                               rtol=1e-15)


def test_one_seed_gives_every_gaussian_initializer_the_same_underlying_draw():
    def draw(name):
        return INITIALIZERS[name].draw(50, 70, 11)

    two_roundings = 3 * np.finfo(np.float32).eps
    np.testing.assert_array_equal(draw("standard_normal"), draw("standard_normal"))
    np.testing.assert_allclose(draw("he_normal"), math.sqrt(2) * draw("lecun_normal"), rtol=two_roundings)
    np.testing.assert_allclose(draw("he_normal"), math.sqrt(2 / 50) * draw("standard_normal"),
                               rtol=two_roundings)
    np.testing.assert_allclose(draw("small_normal"), 0.01 * draw("standard_normal"), rtol=two_roundings)
    np.testing.assert_allclose(draw("he_uniform"), math.sqrt(6) * draw("pytorch_default"), rtol=two_roundings)
    # the truncated draw is the normal one wherever that lies within +-2
    kept = np.abs(draw("standard_normal")) < 1.999
    np.testing.assert_allclose(draw("glorot_normal")[kept],
                               (math.sqrt(2 / 120) / TRUNCATED_STD * draw("standard_normal"))[kept],
                               rtol=two_roundings)


def test_a_generator_moves_on_and_a_seed_does_not():
    rng = np.random.default_rng(0)
    first, second = (INITIALIZERS["he_normal"].draw(4, 4, rng) for _ in range(2))
    assert (first != second).all()
    np.testing.assert_array_equal(first, INITIALIZERS["he_normal"].draw(4, 4, 0))


def test_glorot_normal_is_cut_at_two_base_stds_and_glorot_uniform_at_root_six_over_the_fans():
    bound = 2 / TRUNCATED_STD * math.sqrt(2 / 500)
    w = np.abs(INITIALIZERS["glorot_normal"].draw(200, 300, 0))
    assert 0.999 * bound < w.max() <= bound * (1 + 1e-6)
    w = np.abs(INITIALIZERS["glorot_uniform"].draw(200, 300, 0))
    assert 0.999 * math.sqrt(6 / 500) < w.max() <= math.sqrt(6 / 500) * (1 + 1e-6)


def test_pytorch_default_is_what_nn_linear_draws():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer, default = torch.nn.Linear(120, 4000), INITIALIZERS["pytorch_default"]
    biases = default.biases(0.0).draw(120, 4000, np.random.default_rng(0))
    for ours, theirs in ((default.draw(120, 4000, 0), layer.weight), (biases, layer.bias)):
        assert ours.shape == theirs.shape
        assert stats.ks_2samp(ours.ravel(), theirs.detach().numpy().ravel()).pvalue > 1e-4
    assert default.variance(120, 400) == default.bias.variance(120) == pytest.approx(1 / 360)


@pytest.mark.parametrize(("name", "sigma_b2", "law"), [
    ("pytorch_default", 0.0, stats.uniform(-1 / 12, 1 / 6)),
    ("pytorch_default", 0.3, stats.norm(0, 0.3**0.5)),
    ("playground_default", 0.0, None), ("playground_default", 4.0, stats.norm(0, 2)),
    ("keras_default", 0.0, None), ("flax_default", 0.0, None), ("he_normal", 2.0, stats.norm(0, 2**0.5))])
def test_biases_are_the_frameworks_own_unless_a_variance_is_chosen(name, sigma_b2, law):
    rule = INITIALIZERS[name].biases(sigma_b2)
    drawn = rule.draw(144, 4000, np.random.default_rng(2))
    if law is None:
        assert set(drawn) == {np.float32(0.1 if name == "playground_default" else 0)}
        assert (rule.mean, rule.variance(144)) == pytest.approx((drawn[0], 0), rel=1e-6)
    else:
        assert stats.kstest(drawn, law.cdf).pvalue > 1e-4
        assert (rule.mean, rule.square(144)) == pytest.approx((0, law.var()))


@pytest.mark.parametrize(("arguments", "words"), [
    ((0, 3, 0), "fan_in must be at least 1, received 0"),
    ((3, -1, 0), "fan_out must be at least 1, received -1"),
    ((3, 3, 0, math.nan), "gamma must be a finite number"), ((3, 3, 0, -math.inf), "gamma must be a finite")])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_empty_layer_or_a_gamma_that_is_no_number_is_refused(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        INITIALIZERS[name].draw(*arguments)


@pytest.mark.parametrize(("activation", "omega"), [
    ("sin(30*z)", 30), ("sin(10*z)", 10), ("sin(z)", 1), ("-sin(2.5*z)", 2.5), ("tanh", 30),
    ("sin(z)+z", 30)])
def test_siren_takes_the_frequency_of_the_sine_beside_it(activation, omega):
    """Sitzmann et al. 2020: U(±√(6/n)/ω), in the first layer U(±1/n); 30 where there is no sine alone."""
    found = initializer_for("siren", activation)
    assert found.variance(64, 32) == pytest.approx(6 / 64 / omega**2 / 3)
    assert found.first(64) ** 2 * found.variance(64, 32) == pytest.approx(1 / 64**2 / 3)
    p = ProbeParams((8, 64, 64, 3), activation, "siren")
    assert p.scales == pytest.approx([1 / 8 / math.sqrt(3), *[math.sqrt(2 / 64) / omega] * 2])
    net = {}
    exec(export("siren", activation, "numpy", p.widths), net)
    limits = [np.abs(w).max() for w, _ in net["layers"]]
    assert limits == pytest.approx([1 / 8, *[math.sqrt(6 / 64) / omega] * 2], rel=0.1)
