"""Activations against finite differences, SciPy, PyTorch's table and the constants of the literature."""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from tests.midpoint_rule import GRID, WEIGHTS, gaussian_mean
from vgdash.activations import ACTIVATIONS, SATURATION

EVERY = list(ACTIVATIONS.values())
every = pytest.mark.parametrize("activation", EVERY, ids=lambda a: a.name)
every_float = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# written again, from the papers, with SciPy's functions
TRUTH = {
    "linear": lambda z: z,
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: np.where(
        z > 0, 1.0507009873554805 * z, 1.0507009873554805 * 1.6732632423543772 * np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * special.expit(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)),
    "silu": lambda z: z * special.expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "tanh": np.tanh,
    "sigmoid": special.expit,
}


def test_every_name_of_the_design_is_there():
    assert list(ACTIVATIONS) == list(TRUTH)


@every
@every_float
def test_the_value_is_the_formula_of_the_paper(activation, dtype):
    z = np.linspace(-30, 30, 6001).astype(dtype)
    truth = TRUTH[activation.name](z.astype(np.float64))
    unit = 8 * np.finfo(dtype).eps  # a handful of roundings, relative to the larger of value and argument
    np.testing.assert_allclose(activation.f(z), truth, rtol=unit, atol=unit * 30)


@every
def test_the_slope_agrees_with_finite_differences(activation):
    step = 1e-3
    # no stencil straddles a kink
    z = np.concatenate([np.linspace(-12, -0.0105, 701), np.linspace(0.0105, 12, 701)])
    f = activation.f
    difference = (f(z - 2 * step) - 8 * f(z - step) + 8 * f(z + step) - f(z + 2 * step)) / (12 * step)
    # the five-point rule is off by step^4/30 times a fifth derivative (at most 24 here), and by rounding/step
    np.testing.assert_allclose(activation.df(z), difference, rtol=0,
                               atol=24 / 30 * step**4 + 1.5 * 12 * np.finfo(float).eps / step)


@every
def test_at_a_kink_the_slope_is_the_one_of_the_left_side(activation):
    for kink in activation.kinks:
        left = (activation.f(np.array(kink)) - activation.f(np.array(kink - 1e-7))) / 1e-7
        assert activation.df(np.array(kink)) == pytest.approx(left, abs=1e-6)


@every
@every_float
def test_the_slope_follows_from_the_output_where_the_record_says_so(activation, dtype):
    if activation.slope_of_output is None:
        assert activation.name in {"gelu", "silu", "mish"}, "others are monotone: their output has the slope"
        return
    z = np.linspace(-20, 20, 4001).astype(dtype)
    a = activation.f(z)
    slope = activation.slope_of_output(a, np.empty_like(a))
    assert slope.dtype == dtype
    np.testing.assert_allclose(slope, activation.df(z), rtol=0, atol=8 * np.finfo(dtype).eps)


@every
@every_float
def test_the_floating_type_is_kept_and_out_is_filled(activation, dtype):
    z = np.linspace(-3, 3, 7).astype(dtype)
    before = z.copy()
    for function in (activation.f, activation.df):
        out = np.empty_like(z)
        assert function(z, out) is out
        assert function(z).dtype == dtype
        np.testing.assert_array_equal(function(z), out)
    np.testing.assert_array_equal(z, before)
    assert activation.f([1, 2]).dtype == np.float64
    assert activation.f(0.5).shape == ()


@every
@every_float
def test_no_warning_and_no_nan_at_the_ends_of_the_number_line(activation, dtype):
    largest = np.finfo(dtype).max
    z = np.array([1e4, -1e4, 1e19, -1e19, largest, -largest, np.finfo(dtype).tiny, 0, -0.0], dtype)
    with np.errstate(all="raise", under="ignore"):
        value, slope, saturated = activation.f(z), activation.df(z), activation.saturated(z)
    # 1.05 times the largest number is beyond it
    representable = z < largest if activation.name == "selu" else z <= largest
    assert np.isfinite(value[representable]).all()
    assert not np.isnan(value).any()
    assert np.isfinite(slope).all()
    assert saturated.dtype == bool
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(value[:2], TRUTH[activation.name](z[:2].astype(np.float64)), rtol=1e-6)


@every
def test_the_forward_gain_is_the_gaussian_second_moment(activation):
    def integrand(z):
        return TRUTH[activation.name](np.float64(z)) ** 2 * stats.norm.pdf(z)

    moment = sum(integrate.quad(integrand, *ends, epsabs=1e-13, epsrel=1e-12)[0]
                 for ends in ((-12, 0), (0, 12)))
    # a kink costs the grid step^2/12 x weight
    assert activation.forward_gain == pytest.approx(1 / math.sqrt(moment), rel=1e-6)


def test_framework_gains_are_those_of_pytorch():
    init = pytest.importorskip("torch").nn.init
    for name in ("linear", "sigmoid", "tanh", "relu", "selu"):
        assert ACTIVATIONS[name].framework_gain == pytest.approx(init.calculate_gain(name), rel=1e-12)
    gain = init.calculate_gain("leaky_relu", 0.01)
    assert ACTIVATIONS["leaky_relu"].framework_gain == pytest.approx(gain, rel=1e-12)
    without = {a.name for a in EVERY if a.framework_gain is None}
    assert without == {"elu", "gelu", "silu", "mish", "softplus", "softsign"}


@every
def test_pytorch_computes_the_same_function(activation):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    theirs = {"linear": lambda z: z, "gelu": lambda z: F.gelu(z, approximate="tanh"), "tanh": torch.tanh,
              "sigmoid": torch.sigmoid}
    z = torch.linspace(-8, 8, 1601, dtype=torch.float64, requires_grad=True)
    value = (theirs.get(activation.name) or getattr(F, activation.name))(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    ours = z.detach().numpy()
    smooth = np.abs(ours) > 1e-9  # at the kink conventions differ
    np.testing.assert_allclose(activation.f(ours), value.detach().numpy(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(activation.df(ours)[smooth], slope.numpy()[smooth], rtol=0, atol=1e-13)


def test_a_unit_is_saturated_where_its_slope_is_below_a_twentieth_of_the_largest():
    edge = math.acosh(1 / math.sqrt(SATURATION))  # tanh' = 1/cosh^2
    around = np.array([0, edge - 1e-3, edge + 1e-3, -edge - 1e-3])
    assert ACTIVATIONS["tanh"].saturated(around).tolist() == [False, False, True, True]
    # the sigmoid is a tanh of half the argument
    assert ACTIVATIONS["sigmoid"].saturated(2 * around).tolist() == [False, False, True, True]
    assert ACTIVATIONS["relu"].saturated(np.array([-1.0, 0.0, 1e-9])).tolist() == [True, True, False]
    assert not ACTIVATIONS["linear"].saturated(np.array([-1e9, 0.0, 1e9])).any()


def test_the_grid_is_symmetric_and_has_the_moments_of_a_standard_normal():
    np.testing.assert_allclose(GRID, -GRID[::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose([WEIGHTS @ GRID**k for k in (0, 2, 4, 6, 8)], [1, 1, 3, 15, 105], rtol=1e-12)
    assert gaussian_mean((GRID > 0).astype(float)) == pytest.approx(0.5, abs=1e-14)
