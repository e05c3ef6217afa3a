"""The linear chain against explicit matrix products, scipy's digamma and the published numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma, polygamma

from vgdash.linear_chain import (
    ChainParams,
    before_output,
    digamma_half,
    exact_components,
    linear_chain,
    typical_factor,
)
from vgdash.number_formats import FORMATS, Breaks

D2L = {"kind": "gaussian", "width": 4, "sigma2": 4.0, "depth": 100}  # 100 matrices 4x4 with N(0, 1) entries


def log10_exact(value: Fraction) -> float:
    return math.log10(value.numerator) - math.log10(value.denominator)


@pytest.mark.parametrize("factor", [0.1, 0.9, 1.2, 2.0])
def test_scaled_identity_is_the_exact_power_over_1000_layers(factor):
    chain = linear_chain(ChainParams(factor, 1000, x1=3.0, x2=-7.0))
    layers = (0, 1, 152, 999, 1000)
    exact = [log10_exact(7 * Fraction(factor) ** layer) for layer in layers]
    assert chain.log10_activation[list(layers)] == pytest.approx(exact, abs=1e-9)
    assert chain.log10_gradient[0] == pytest.approx(log10_exact(Fraction(factor) ** 1000), abs=1e-9)
    assert chain.log10_factor == chain.log10_factor_gradient == pytest.approx(math.log10(factor))


@settings(max_examples=60, deadline=None)
@given(c1=st.floats(0.1, 2), c2=st.floats(0.1, 2), x1=st.floats(-9, 9), x2=st.floats(0.01, 9),
       depth=st.integers(1, 40))
def test_diagonal_chain_is_the_product_of_its_matrices(c1, c2, x1, x2, depth):
    chain = linear_chain(ChainParams(c1, depth, "diagonal", c2, 0.0 if abs(x1) < 1e-3 else x1, x2))
    weights, a, g = np.diag([c1, c2]), np.array([chain.params.x1, x2]), np.ones(2)
    for layer in range(depth + 1):
        assert 10 ** chain.log10_components[layer] == pytest.approx(np.abs(a))
        assert 10 ** chain.log10_activation[layer] == pytest.approx(np.abs(a).max())
        assert 10 ** chain.log10_gradient[depth - layer] == pytest.approx(g.max())
        a, g = weights @ a, weights.T @ g


@pytest.mark.parametrize("depth", [1, 2, 9, 150])
def test_before_the_output_layer_a_chain_has_one_factor_less_and_its_gradient_starts_from_ones(depth):
    p = ChainParams(1.5, depth, "diagonal", 0.5, x1=-3.0)
    chain = before_output(p)
    c, a = np.diag([1.5, 0.5]), np.array([-3.0, 1.0])
    values, gradients = [a], [np.ones(2)]
    for _ in range(depth - 1):
        values.append(c @ values[-1])
        gradients.insert(0, c.T @ gradients[0])
    assert 10**chain.log10_components == pytest.approx(np.abs(values))
    assert 10**chain.log10_gradient_components == pytest.approx(np.array(gradients))
    exact = exact_components(p, depth - 1)
    assert [float(value) for value in exact] == pytest.approx(values[-1])
    assert chain.forward["float16"].overflow == (25 if depth > 25 else None)  # 3·1.5²⁵ > 65,504
    assert chain.backward_layers["float16"].overflow == (depth - 1 - 28 if depth > 28 else None)
    gaussian = ChainParams(depth=5, kind="gaussian")
    assert (before_output(gaussian).log10_activation == linear_chain(gaussian).log10_activation).all()


@pytest.mark.parametrize("layer", [9, np.int64(9), 99, np.int64(99)])
def test_powers_are_exact_for_a_factor_of_many_digits(layer):
    one, other = exact_components(ChainParams(0.5367999999999999, 100, "diagonal", 1.337), layer)
    assert one == Fraction(5367999999999999, 10**16) ** int(layer)
    assert other == Fraction(1337, 1000) ** int(layer)


def test_a_component_that_starts_at_zero_stays_out_of_size_growth_and_frame_but_not_of_the_gradient():
    chain = linear_chain(ChainParams(2.0, 10, "diagonal", 0.5, x1=0.0, x2=1.0))
    assert chain.log10_activation[-1] == pytest.approx(-10 * math.log10(2))
    assert chain.log10_factor == pytest.approx(-math.log10(2))
    assert chain.log10_factor_gradient == pytest.approx(math.log10(2))
    assert chain.log10_gradient[0] == pytest.approx(10 * math.log10(2))
    assert np.isneginf(chain.log10_components[:, 0]).all()
    assert set(chain.frame()["line"]) == {"activation", "gradient", "component 2"}
    assert chain.breaks == dict.fromkeys(FORMATS)


@pytest.mark.parametrize(("factor", "within", "continued"), [
    (1.5, {"float16": 28, "bfloat16": None, "float32": None, "float64": None},
     {"float16": 28, "float32": 219, "float64": 1751}),
    (0.5, {"float16": 25, "bfloat16": 134, "float32": 150, "float64": None},
     {"float16": 25, "float32": 150, "float64": 1075}),
])
def test_published_breaks_within_150_layers_and_beyond(factor, within, continued):
    chain = linear_chain(ChainParams(factor, 150))
    assert chain.breaks == within
    assert {name: chain.continued[name].first for name in continued} == continued


def test_the_last_layer_counts_and_the_next_does_not():
    assert linear_chain(ChainParams(1.5, 28)).breaks["float16"] == 28
    chain = linear_chain(ChainParams(1.5, 27))
    assert chain.breaks["float16"] is None
    assert chain.backward["float16"] == Breaks()


def test_gradient_breaks_from_the_top_down_whatever_the_start_vector():
    chain = linear_chain(ChainParams(0.5, 150, x1=100.0))
    assert chain.backward["float16"] == Breaks(subnormal=15, zero=25)
    assert chain.backward_layers["float16"] == Breaks(subnormal=135, zero=125)
    assert chain.forward["float16"].zero > 25


def test_nine_tenths_is_reported_stuck_and_not_as_zero_nor_while_it_still_shrinks():
    chain = linear_chain(ChainParams(0.9, 1000))
    assert chain.breaks["float16"] is None
    assert chain.forward["float16"].stuck == 142
    assert linear_chain(ChainParams(0.9, 120)).forward["float16"] == Breaks(subnormal=93)


def test_diagonal_breaks_follow_the_larger_component():
    chain = linear_chain(ChainParams(0.5, 400, "diagonal", 1.5, x1=100.0, x2=0.01))
    value = np.float16([100, 0.01])
    layer = 0
    with np.errstate(over="ignore", under="ignore"):
        while np.isfinite(value).all():
            value, layer = value * np.float16([0.5, 1.5]), layer + 1
    assert chain.forward["float16"] == Breaks(overflow=layer)


@pytest.mark.parametrize(("factor", "layers"), [
    (2.0, 1.0), (0.5, 1.0), (1.2, math.log(2) / math.log(1.2)), (1.0, math.inf)])
def test_doubling_depth(factor, layers):
    assert linear_chain(ChainParams(factor, 5)).doubling_depth == pytest.approx(layers)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 31, 32])
def test_digamma_of_halves_is_scipys(n):
    assert digamma_half(n) == pytest.approx(digamma(n / 2), abs=1e-13)


@pytest.mark.parametrize(("width", "sigma2", "depth"), [
    (2, 1.0, 50), (4, 4.0, 100), (16, 0.5, 20), (3, 0.01, 150)])
def test_measured_growth_agrees_with_the_lyapunov_exponent_and_its_error_with_trigamma(width, sigma2, depth):
    chain = linear_chain(ChainParams(kind="gaussian", width=width, sigma2=sigma2, depth=depth, seeds=200,
                                     seed=3))
    expected = (math.log(2 * sigma2 / width) + digamma(width / 2)) / 2 / math.log(10)
    # a layer's ln|Wa|/|a| is half a log chi-squared, of variance trigamma(n/2)/4, independent of the others
    stderr = math.sqrt(polygamma(1, width / 2) / 4 / (200 * depth)) / math.log(10)
    assert chain.log10_factor == pytest.approx(expected)
    assert chain.log10_factor_measured == pytest.approx(expected, abs=5 * stderr)
    assert chain.log10_factor_stderr == pytest.approx(stderr, rel=5 / math.sqrt(2 * 199))


@pytest.mark.parametrize("line", ["activation", "gradient"])
def test_gaussian_theory_lines_run_through_the_mean_of_every_layer(line):
    chain = linear_chain(ChainParams(kind="gaussian", width=4, sigma2=1.0, depth=60, seeds=200, x1=3.0,
                                     x2=0.0, seed=1))
    seeds, theory = getattr(chain, f"log10_{line}_seeds"), getattr(chain, f"log10_{line}_theory")
    multiplied = np.arange(61) if line == "activation" else np.arange(60, -1, -1)
    stderr = np.sqrt(multiplied * polygamma(1, 2) / 4 / 200) / math.log(10)
    assert (np.abs(seeds.mean(axis=0) - theory) <= 5 * stderr + 1e-12).all()


def test_rms_growth_is_the_mean_square_over_draws():
    chain = linear_chain(ChainParams(kind="gaussian", width=8, sigma2=2.5, depth=1, seeds=200, seed=2))
    squares = 10 ** (2 * chain.log10_activation_seeds[:, 1])
    assert squares.mean() == pytest.approx(10 ** (2 * chain.log10_factor_rms), rel=5 * math.sqrt(2 / 8 / 200))


def explicit_sizes(p: ChainParams) -> tuple[np.ndarray, np.ndarray]:
    """rms components of a[l] and of the gradient for every seed, by plain products in float64."""
    draws = np.random.default_rng(p.seed).standard_normal((p.depth, p.seeds, p.width, p.width))
    draws *= math.sqrt(p.sigma2 / p.width)
    a = np.tile(np.resize([p.x1, p.x2], p.width), (p.seeds, 1))
    g = np.ones((p.seeds, p.width))
    ups, downs = [a], [g]
    for layer in range(p.depth):
        a = np.stack([draws[layer, s] @ a[s] for s in range(p.seeds)])
        g = np.stack([g[s] @ draws[p.depth - 1 - layer, s] for s in range(p.seeds)])
        ups.append(a)
        downs.insert(0, g)
    return tuple(np.sqrt((np.array(v) ** 2).mean(axis=2)).T for v in (ups, downs))


def test_gaussian_activations_and_gradients_are_products_of_the_same_matrices():
    p = ChainParams(kind="gaussian", width=3, sigma2=2.0, depth=70, seeds=5, x1=2.0, x2=-1.0, seed=11)
    chain, (up, down) = linear_chain(p), explicit_sizes(p)
    assert 10**chain.log10_activation_seeds == pytest.approx(up)
    assert 10**chain.log10_gradient_seeds == pytest.approx(down)
    assert 10**chain.log10_activation == pytest.approx(np.median(up, axis=0))
    assert 10**chain.log10_gradient == pytest.approx(np.median(down, axis=0))


@pytest.mark.parametrize("sigma2", [0.01, 100.0])
def test_gaussian_sizes_stay_finite_over_1000_layers(sigma2):
    chain = linear_chain(ChainParams(kind="gaussian", width=2, sigma2=sigma2, depth=1000, seeds=5))
    spread = math.sqrt(1000 * polygamma(1, 1) / 4) / math.log(10)
    expected = 1000 * math.log10(typical_factor(sigma2, 2))
    assert chain.log10_activation_seeds[:, -1] == pytest.approx(expected, abs=5 * spread)


def test_a_deeper_gaussian_chain_begins_with_the_same_layers():
    short, long = (linear_chain(ChainParams(kind="gaussian", depth=depth)) for depth in (40, 90))
    assert long.log10_activation_seeds[:, :41] == pytest.approx(short.log10_activation_seeds, abs=1e-12)


@pytest.mark.parametrize("sigma2", [0.3, 6.0])
def test_gaussian_float32_breaks_at_the_median_seed_of_an_explicit_iteration(sigma2):
    p = ChainParams(kind="gaussian", width=4, sigma2=sigma2, depth=300, seeds=7, seed=5)
    up = np.random.default_rng(5).standard_normal((300, 7, 4, 4)) * math.sqrt(sigma2 / 4)
    chain = linear_chain(p)
    for draws, found in ((up, chain.forward), (up[::-1].swapaxes(2, 3), chain.backward)):
        layers = []
        for s in range(7):
            a, layer = np.ones(4, np.float32), 0
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                while np.isfinite(a).all() and a.any():
                    a, layer = draws[layer, s].astype(np.float32) @ a, layer + 1
            layers.append(layer)
        assert found["float32"].first == sorted(layers)[3]
    assert (chain.forward["float32"].overflow is None) == (sigma2 < 1)
    assert chain.breaks["float16"] < chain.breaks["float32"]


def test_half_precision_gaussian_chains_break_near_the_layer_where_the_sizes_cross_the_limit():
    chain = linear_chain(ChainParams(**{**D2L, "seeds": 21}))
    for name in ("float16", "bfloat16"):
        limit = FORMATS[name].log10_largest
        crossed = np.flatnonzero(chain.log10_activation > limit)
        found = chain.forward[name].overflow
        # the largest component is at most 2 = sqrt(4) times the rms one, about one layer's growth of 1.75
        assert (not crossed.size and found is None) or crossed[0] - 3 <= found <= crossed[0] + 1


def test_frame_has_one_row_a_layer_and_line():
    chain = linear_chain(ChainParams(2.0, 7, "diagonal"))
    frame = chain.frame()
    assert list(frame["line"].unique()) == ["activation", "gradient", "component 1", "component 2"]
    assert all(layers.tolist() == list(range(8)) for _, layers in frame.groupby("line")["layer"])
    component = frame[frame["line"] == "component 2"]["log10_size"].to_numpy()
    assert component == pytest.approx(np.arange(8) * math.log10(0.5))
    gaussian = linear_chain(ChainParams(**D2L)).frame()
    assert gaussian["log10_size"].between(gaussian["log10_low"], gaussian["log10_high"]).all()
    assert len(gaussian) == 2 * 101
    assert np.isfinite(gaussian.select_dtypes("number").to_numpy()).all()
