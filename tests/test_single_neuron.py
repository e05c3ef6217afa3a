"""One neuron: closed forms, exact laws and shortcuts against plain simulation of weights and inputs."""

import itertools
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special, stats

from vgdash import single_neuron
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import BASES
from vgdash.single_neuron import (
    BINS,
    KURTOSIS,
    RULES,
    NeuronParams,
    example,
    neuron_variance,
    variance_against_n,
)

SIGMAS = 4.5
HARD = NeuronParams(n=5, rule="2/n", gamma=1.3, activation="tanh", mean=0.7, std=1.5, correlation=0.4)


def simulated(p, samples, seed=99):
    """z, and each neuron's variance over inputs, with every weight and input drawn; ``(samples,)`` both."""
    rng = np.random.default_rng(seed)
    w = BASES[p.distribution].draw(p.n, samples, rng, np.dtype(np.float64)) * math.sqrt(p.weight_variance)
    own, common = rng.standard_normal((samples, p.n)), rng.standard_normal((samples, 1))
    x = p.mean + p.std * (math.sqrt(p.correlation) * common + math.sqrt(1 - p.correlation) * own)
    covariance = p.std**2 * ((1 - p.correlation) * np.eye(p.n) + p.correlation)
    return (w * x).sum(axis=1), ((w @ covariance) * w).sum(axis=1)


def agree(measured, stderr, truth, sigmas=SIGMAS):
    assert abs(measured - truth) < sigmas * stderr, f"{(measured - truth) / stderr:.1f} standard errors"


@pytest.mark.parametrize("correlation", [0, 0.5, 1])
@pytest.mark.parametrize("mean", [0, 2])
@pytest.mark.parametrize("distribution", KURTOSIS)
def test_var_z_is_n_var_w_e_x2_whatever_mean_and_correlation(distribution, mean, correlation):
    p = NeuronParams(n=6, rule="2/n", gamma=0.5, std=1.5, mean=mean, correlation=correlation,
                     distribution=distribution, samples=50_000)
    r = neuron_variance(p)
    assert r.predicted == pytest.approx(6 * 2 / 6 * 0.25 * (mean**2 + 2.25))
    agree(r.measured, r.stderr, r.predicted)
    z, _ = simulated(p, 50_000)
    agree((z**2).mean(), (z**2).std() / math.sqrt(50_000), r.predicted)


@pytest.mark.parametrize("distribution", KURTOSIS)
@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize(("mean", "correlation"), [(0, 0), (1, 0), (0, 0.6), (0.5, 1)])
def test_the_shortcut_has_the_law_of_plain_simulation(distribution, n, mean, correlation):
    p = NeuronParams(n=n, mean=mean, correlation=correlation, std=0.8, distribution=distribution)
    z, within = single_neuron._sample(p, 20_000)
    truth_z, truth_within = simulated(p, 20_000)
    scale = p.weight_variance
    assert stats.ks_2samp(z * math.sqrt(scale), truth_z).pvalue > 1e-4
    assert stats.ks_2samp(within * scale, truth_within).pvalue > 1e-4


def test_within_a_neuron_and_between_neurons_add_up_and_are_measured_in_nested_simulation():
    p = replace(HARD, samples=50_000)
    r = neuron_variance(p)
    agree(r.measured_within, r.stderr_within, r.predicted_within)
    assert r.predicted_within / r.predicted == pytest.approx(1 - r.shared)
    # nested: one weight vector, many inputs
    rng = np.random.default_rng(5)
    neurons, inputs = 2_000, 200
    w = rng.standard_normal((neurons, p.n)) * math.sqrt(p.weight_variance)
    x = p.mean + p.std * (math.sqrt(p.correlation) * rng.standard_normal((inputs, 1))
                          + math.sqrt(1 - p.correlation) * rng.standard_normal((inputs, p.n)))
    z = x @ w.T  # (inputs, neurons)
    within = z.var(axis=0, ddof=1)
    inputs_error = r.predicted_within * math.sqrt(2 / inputs)  # all neurons see the same 200 inputs
    agree(within.mean(), math.hypot(within.std() / math.sqrt(neurons), inputs_error), r.predicted_within)


@pytest.mark.parametrize("distribution", KURTOSIS)
@pytest.mark.parametrize("correlation", [0, 0.3, 1])
@pytest.mark.parametrize("n", [1, 4, 50])
def test_correlation_makes_neurons_unequal_as_predicted(distribution, correlation, n):
    r = neuron_variance(NeuronParams(n=n, correlation=correlation, distribution=distribution, samples=50_000,
                                     mean=1))
    agree(r.measured_spread, r.stderr_spread, r.predicted_spread, sigmas=5)


def test_many_correlated_inputs_leave_a_spread_of_root_two_rho_and_uncorrelated_ones_none():
    correlated, not_so = (neuron_variance(NeuronParams(n=100_000, correlation=rho)) for rho in (0.5, 0))
    assert correlated.predicted_spread == pytest.approx(math.sqrt(2) / 2, rel=1e-4)
    assert not_so.predicted_spread == pytest.approx(0, abs=5e-3)


def test_the_law_of_one_two_and_four_terms_is_bessel_laplace_and_their_convolution():
    # z/std: n = 1: K0(|z|)/pi; n = 2: Laplace; n = 4: (1 + b|z|) e^(-b|z|) b/4; with variance 1
    laws = {1: lambda z: special.k0(abs(z)) / math.pi,
            2: lambda z: math.exp(-math.sqrt(2) * abs(z)) / math.sqrt(2),
            4: lambda z: (1 + 2 * abs(z)) * math.exp(-2 * abs(z)) / 2}
    for n, density in laws.items():
        p = NeuronParams(n=n, rule="1")
        r = neuron_variance(p)
        edges = r.edges / math.sqrt(n)
        expected = [integrate.quad(density, a, b, points=[0] if a < 0 < b else None)[0] / (b - a)
                    for a, b in itertools.pairwise(edges)]
        # the characteristic function, 1/t for n = 1, times the bin's 2/(t width) is cut off at
        # t = 256 pi/width. The rest of its integral, 1/(128 pi^2), is the error at most; its terms alternate
        np.testing.assert_allclose(r.predicted_density * math.sqrt(n), expected, rtol=0,
                                   atol=1 / (128 * math.pi**2) / 10)


def test_the_law_of_many_uncorrelated_inputs_is_gaussian_and_of_correlated_ones_is_not():
    r = neuron_variance(NeuronParams(n=100_000, mean=1))
    np.testing.assert_allclose(r.predicted_density, r.gaussian_density, rtol=0,
                               atol=2e-3 * r.gaussian_density.max())
    r = neuron_variance(NeuronParams(n=100_000, correlation=1))
    assert r.predicted_density.max() > 1.5 * r.gaussian_density.max()


@pytest.mark.parametrize("p", [
    HARD, NeuronParams(n=1, mean=-2, correlation=0.5), NeuronParams(n=60, correlation=0.9, mean=0.3)])
def test_the_predicted_law_is_that_of_plain_simulation_for_normal_weights(p):
    z, _ = simulated(p, 40_000)
    r = neuron_variance(p)
    width = np.diff(r.edges)
    counts, expected = np.histogram(z, r.edges)[0], r.predicted_density * width * 40_000
    used = expected > 10
    chi2 = ((counts - expected) ** 2 / expected)[used].sum()
    assert stats.chi2.sf(chi2, used.sum()) > 1e-4


@pytest.mark.parametrize("p", [NeuronParams(), HARD, NeuronParams(n=100_000, rule="1", gamma=100, mean=10)])
def test_the_numerical_law_has_mass_one_variance_one_and_the_kurtosis_of_the_closed_form(p):
    law, _ = single_neuron._law(p)
    z = np.fft.fftfreq(len(law)) * 256 * 9 / BINS
    own, along = p.std**2 * (1 - p.correlation), p.std**2 * (1 - p.correlation + p.n * p.correlation)
    # Var |x|^2 of a noncentral chi-square and a central one
    variance = 2 * along**2 + 4 * p.n * p.mean**2 * along + 2 * (p.n - 1) * own**2
    kurtosis = 3 * (1 + variance / (p.n * p.x2) ** 2)
    np.testing.assert_allclose([law.sum(), law @ z, law @ z**2, law @ z**4], [1, 0, 1, kurtosis],
                               atol=1e-6 * kurtosis)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("base", [HARD, NeuronParams(n=1), NeuronParams(n=4, rule="1", correlation=0.8)])
def test_e_a2_is_predicted_for_every_activation_at_small_n(activation, base):
    p = replace(base, activation=activation, samples=50_000)
    r = neuron_variance(p)
    assert r.a2_exact
    agree(r.measured_a2, r.stderr_a2, r.predicted_a2)
    a2 = ACTIVATIONS[activation].f(simulated(p, 50_000)[0]) ** 2
    agree(a2.mean(), a2.std() / math.sqrt(50_000), r.predicted_a2)


def test_e_a2_of_one_product_is_the_bessel_integral():
    def density(z):
        return special.expit(z) ** 2 * special.k0(abs(z)) / math.pi

    truth = sum(integrate.quad(density, *ends, epsabs=1e-11)[0] for ends in ((-60, 0), (0, 60)))
    found = neuron_variance(NeuronParams(n=1, rule="1", activation="sigmoid"))
    assert found.predicted_a2 == pytest.approx(truth, abs=1e-6)


@pytest.mark.parametrize("distribution", KURTOSIS)
def test_relu_halves_the_second_moment_exactly_for_every_distribution(distribution):
    r = neuron_variance(NeuronParams(n=2, distribution=distribution, activation="relu", correlation=0.5,
                                     mean=1))
    assert r.predicted_a2 == pytest.approx(r.predicted / 2, rel=1e-12)
    assert r.a2_exact
    agree(r.measured_a2, r.stderr_a2, r.predicted_a2)


def test_other_weights_and_a_bent_activation_are_called_approximate_and_become_right_with_n():
    p = NeuronParams(n=1, distribution="uniform", activation="tanh", samples=100_000)
    few, many = neuron_variance(p), neuron_variance(replace(p, n=60))
    assert not few.a2_exact
    assert not many.a2_exact
    assert abs(few.measured_a2 - few.predicted_a2) > 5 * few.stderr_a2
    agree(many.measured_a2, many.stderr_a2, many.predicted_a2)


def test_the_gaussian_e_a2_is_the_integral_over_a_normal_of_the_predicted_variance():
    truth = integrate.quad(lambda z: math.tanh(z) ** 2 * stats.norm.pdf(z, scale=3), -40, 40, epsabs=1e-12)[0]
    r = neuron_variance(NeuronParams(n=9, rule="1", activation="tanh"))
    assert r.gaussian_a2 == pytest.approx(truth, abs=1e-10)


def test_the_standard_error_covers_the_truth_as_often_as_it_should_for_heavy_tails():
    # 200 repetitions at n = 1, where the kurtosis is 9 and the Gaussian formula would be a factor 2 too small
    records = [neuron_variance(NeuronParams(n=1, seed=seed, samples=5_000)) for seed in range(200)]
    for name in ("", "_within", "_spread"):
        scores = np.array([(getattr(r, f"measured{name}") - getattr(r, f"predicted{name}"))
                           / getattr(r, f"stderr{name}") for r in records])
        assert scores.std() == pytest.approx(1, abs=4.5 / math.sqrt(2 * 200))
    r = neuron_variance(NeuronParams(n=1, samples=200_000))
    # rel: its own error, from E[z^8] = 105^2
    assert r.stderr == pytest.approx(math.sqrt(8 / 200_000), rel=0.1)


def test_rules_are_the_formulas():
    assert {name: rule(4, 12) for name, rule in RULES.items()} == {
        "1": 1, "0.01^2": pytest.approx(1e-4), "1/n": 0.25, "2/n": 0.5, "2/(n_in+n_out)": 0.125}
    assert NeuronParams(n=4, n_out=12, rule="2/(n_in+n_out)", gamma=3).weight_variance == pytest.approx(9 / 8)


def test_kurtosis_of_the_weights_is_that_of_scipy():
    assert KURTOSIS["uniform"] == pytest.approx(3 + float(stats.uniform.stats(moments="k")))
    assert KURTOSIS["truncated"] == pytest.approx(3 + float(stats.truncnorm.stats(-2, 2, moments="k")),
                                                  rel=1e-9)


def test_one_seed_serves_every_rule_and_gamma_with_the_same_draw():
    r, again = (neuron_variance(NeuronParams(rule=rule, gamma=gamma))
                for rule, gamma in (("1/n", 1), ("2/n", 3)))
    assert again.measured == pytest.approx(18 * r.measured, rel=1e-12)
    assert neuron_variance(NeuronParams(seed=1)).measured != r.measured
    assert neuron_variance(NeuronParams()).measured == r.measured


@pytest.mark.parametrize("p", [
    NeuronParams(), replace(HARD, distribution="truncated"), NeuronParams(n=100_000, distribution="uniform")])
def test_the_histogram_counts_every_sample(p):
    r = neuron_variance(p)
    assert (r.density * np.diff(r.edges)).sum() + r.outside == pytest.approx(1)
    root = math.sqrt(r.predicted)
    assert (r.edges[0], r.edges[-1]) == (pytest.approx(-4.5 * root), pytest.approx(4.5 * root))
    score = (r.density - r.predicted_density) / r.density_stderr
    if p.distribution == "normal":
        assert np.abs(score[np.abs(r.edges[:-1]) < 3 * root]).max() < 5
    table = r.frame()
    assert list(table) == ["z_low", "z_high", "measured", "stderr", "predicted", "gaussian"]
    assert len(table) == BINS
    assert np.isfinite(table.to_numpy()).all()


def test_samples_shrink_to_the_budget_and_the_record_says_so():
    p = NeuronParams(n=100_000, samples=20_000)
    assert neuron_variance(p).samples == 20_000
    assert neuron_variance(replace(p, distribution="uniform")).samples == 60
    assert neuron_variance(replace(p, distribution="uniform", n=300)).samples == 20_000


@pytest.mark.parametrize("distribution", KURTOSIS)
def test_memory_stays_below_40_mb_where_all_weights_would_take_80_gb(distribution):
    p = NeuronParams(n=100_000, samples=200_000, distribution=distribution, activation="mish")
    neuron_variance(p)
    for n in (1, 30, 100_000):
        tracemalloc.start()
        try:
            neuron_variance(replace(p, n=n))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 40e6


@pytest.mark.parametrize("distribution", KURTOSIS)
def test_the_sweep_measures_what_it_predicts_for_every_rule_and_n(distribution):
    p = NeuronParams(distribution=distribution, mean=0.5, correlation=0.2, gamma=2, n_out=50, samples=4_000)
    s = variance_against_n(p)
    assert s.rules == tuple(RULES)
    assert (s.n[0], s.n[-1]) == (1, 100_000)
    assert (np.diff(s.n) > 0).all()
    for rule, row in zip(s.rules, s.predicted, strict=True):
        variance = np.array([RULES[rule](n, 50) for n in s.n.tolist()])
        np.testing.assert_allclose(row, s.n * variance * p.gamma**2 * (p.mean**2 + p.std**2))
    # the standard error of few samples is itself rough: there take it from the law, kurtosis below 9
    error = np.where(s.samples < 1_000, s.predicted * np.sqrt(8 / s.samples), s.stderr)
    assert (np.abs(s.measured - s.predicted) < 5 * error).all()
    assert (s.stderr > 0).all()


def test_a_point_of_the_sweep_is_the_single_neuron_of_the_same_seed():
    p = NeuronParams(n=1_000, rule="2/n", samples=10_000, seed=8)
    s, r = variance_against_n(p), neuron_variance(p)
    row, column = s.rules.index("2/n"), s.n.tolist().index(1_000)
    assert s.measured[row, column] == pytest.approx(r.measured, rel=1e-12)
    assert s.stderr[row, column] == pytest.approx(r.stderr, rel=1e-12)
    table = s.frame()
    assert list(table) == ["rule", "n", "predicted", "measured", "stderr", "samples"]
    assert len(table) == len(s.rules) * len(s.n)
    assert table.query("rule == '2/n' and n == 1000")["measured"].item() == s.measured[row, column]


@pytest.mark.parametrize(("activation", "density"), [
    ("relu", lambda a: np.where(a > 0, stats.norm.pdf(a), 0)),
    ("tanh", lambda a: np.where(np.abs(a) < 1, stats.norm.pdf(np.arctanh(np.clip(a, -0.999999, 0.999999)))
                                / np.maximum(1 - a**2, 1e-12), 0)),
    ("leaky_relu", lambda a: np.where(a > 0, stats.norm.pdf(a), stats.norm.pdf(100 * a) * 100))])
def test_the_distribution_of_a_is_that_of_z_through_the_activation(activation, density):
    """By the change of variables, for a z that is Gaussian: n is large."""
    p = NeuronParams(n=100_000, activation=activation, samples=200_000)
    found = neuron_variance(p)
    width = found.edges_a[1] - found.edges_a[0]
    inside = np.linspace(found.edges_a[:-1], found.edges_a[1:], 2001)
    expected = density((inside[1:] + inside[:-1]) / 2).mean(axis=0)
    assert found.predicted_density_a == pytest.approx(expected, rel=0.02, abs=0.01 / width / 61)
    share = expected * width
    error = 5 * np.sqrt(share * (1 - share) / p.samples) / width
    assert (np.abs(found.density_a - expected) <= error + 0.02 * expected + 0.002).all()
    if activation != "tanh":  # its values fill less than a quarter of the range of z
        np.testing.assert_array_equal(found.edges_a, found.edges)
    zero = 0.5 if activation == "relu" else 0.0
    assert found.predicted_zero_a == pytest.approx(zero, abs=0.01)
    assert found.zero_a == pytest.approx(zero, abs=5 * 0.5 / math.sqrt(p.samples))


@pytest.mark.parametrize("more", [{}, {"distribution": "uniform", "mean": 1.0, "correlation": 0.5}])
def test_the_neuron_of_the_picture_adds_up_and_its_weights_have_the_variance_of_the_rule(more):
    p = NeuronParams(n=20_000, rule="2/n", activation="relu", **more)
    one = example(p)
    assert one.z == pytest.approx(sum(w * x for w, x in zip(one.w, one.x, strict=True)))
    assert one.a == max(one.z, 0)
    kurtosis = 3 if not more else 1.8
    assert one.w.var() == pytest.approx(2 / p.n, rel=5 * math.sqrt((kurtosis - 1) / p.n))
    assert one.x.var() == pytest.approx(1 - p.correlation, rel=5 * math.sqrt(2 / p.n))


@pytest.mark.parametrize("p", [
    NeuronParams(activation="softplus", rule="2/n", gamma=0.01, distribution="uniform"),
    NeuronParams(activation="sigmoid", gamma=0.1, n=100), NeuronParams(activation="sigmoid", gamma=100.0)],
    ids=["softplus", "sigmoid", "saturated"])
def test_the_histogram_of_a_holds_all_that_z_within_its_own_becomes(p):
    found = neuron_variance(p)
    width = np.diff(found.edges_a)
    for density, zero in ((found.density_a, found.zero_a),
                          (found.predicted_density_a, found.predicted_zero_a)):
        assert (density * width).sum() + zero == pytest.approx(1, abs=0.002)
