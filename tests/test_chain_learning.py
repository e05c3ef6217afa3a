"""Descent on a chain against descent on all its weights, exact arithmetic, integrals and closed forms."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad

from vgdash.chain_learning import OUTCOMES, DescentParams, descent


def descend_every_weight(p: DescentParams, depth: int) -> tuple[str, int, np.ndarray]:
    """Gradient descent on ``depth`` separate weights, each gradient the product of the others, to its end."""
    weights = np.full(depth, p.factor)
    for step in range(p.cap + 1):
        residual = weights.prod() - p.target
        loss = residual**2 / 2
        if not np.isfinite(loss):
            return "diverged", step, weights
        if loss <= p.tolerance * p.target**2 / 2:
            return "reached", step, weights
        gradient = np.array([residual * np.delete(weights, i).prod() for i in range(depth)])
        weights = weights - p.learning_rate * gradient
    return "capped", p.cap, weights


@pytest.mark.parametrize(("values", "expected"), [
    ({"factor": 0.5, "depth": 8, "cap": 700}, {"reached", "capped"}),
    ({"factor": 0.9, "depth": 14, "learning_rate": 0.05, "target": 2.0, "tolerance": 1e-4, "cap": 400},
     {"reached", "capped"}),
    ({"factor": 1.5, "depth": 12, "cap": 200}, {"reached", "capped", "diverged"}),
    ({"factor": 1.2, "depth": 9, "learning_rate": 0.02, "target": 0.3, "cap": 400}, {"reached"}),
])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_one_weight_stands_for_all_of_them(values, expected):
    p = DescentParams(**values)
    found = descent(p)
    for depth in range(1, p.depth + 1):
        outcome, steps, weights = descend_every_weight(p, depth)
        assert (found.outcome[depth - 1], found.steps[depth - 1]) == (outcome, steps), f"{depth} layers"
        if outcome == "reached":
            assert np.ptp(weights) <= 1e-12 * weights.max()
    assert set(found.outcome) == expected


def test_one_layer_shrinks_its_residual_by_the_same_factor_every_step():
    p = DescentParams(factor=0.2, depth=1, learning_rate=0.03, tolerance=1e-4)
    # |0.2 - 1| (1 - 0.03)^steps <= sqrt(1e-4)
    assert descent(p).steps[0] == math.ceil(math.log(0.01 / 0.8) / math.log(0.97))


@pytest.mark.parametrize("cap_less", [0, 1])
def test_the_cap_itself_still_counts_as_reached(cap_less):
    steps = int(descent(DescentParams(factor=0.5, depth=1)).steps[0])
    found = descent(DescentParams(factor=0.5, depth=1, cap=steps - cap_less))
    assert found.outcome[0] == ("capped" if cap_less else "reached")
    assert found.steps[0] == steps - cap_less


def test_a_vanishing_step_is_frozen_because_float64_loses_it():
    found = descent(DescentParams(factor=0.5, depth=80))
    learning_rate, frozen = 0.01, found.outcome == "frozen"
    step = learning_rate * (1 - 0.5**found.depths) * 0.5 ** (found.depths - 1.0)
    assert np.array_equal(frozen, 0.5 + step == 0.5)
    assert 0 < frozen.sum() < 80
    assert (found.steps[frozen] == 0).all()
    assert (found.steps[found.outcome == "capped"] == found.params.cap).all()


def test_an_output_beyond_float64_has_diverged_before_the_first_step():
    found = descent(DescentParams(factor=10, depth=400))
    assert (found.outcome[309:] == "diverged").all()
    assert (found.steps[309:] == 0).all()
    assert found.steps[99] == 1  # y = 1e100 is finite, one step of 1e197 is not survived


def test_starting_at_the_target_takes_no_step():
    found = descent(DescentParams(factor=1, depth=1000))
    assert found.reached.all()
    assert not found.steps.any()
    assert np.isneginf(found.log10_first_step).all()
    assert np.isneginf(found.log10_flow_steps).all()


@pytest.mark.parametrize(("factor", "target"), [
    (0.5, 1.0), (1.5, 1.0), (10.0, 0.01), (0.01, 100.0), (0.999, 1.0)])
def test_first_step_is_exact_to_1000_layers(factor, target):
    found = descent(DescentParams(factor=factor, depth=1000, target=target, cap=1))
    for depth in (1, 2, 17, 400, 1000):
        w = Fraction(factor)
        ratio = Fraction(0.01) * abs(w**depth - Fraction(target)) * w ** (depth - 1) / w
        exact = math.log10(ratio.numerator) - math.log10(ratio.denominator)
        assert found.log10_first_step[depth - 1] == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize(("factor", "target"), [(0.5, 1.0), (0.9, 1.0), (1.3, 1.0), (0.8, 5.0), (1.1, 0.2)])
@pytest.mark.parametrize("tolerance", [0.01, 1e-6])
def test_flow_is_the_integral_over_the_weight(factor, target, tolerance):
    found = descent(DescentParams(factor=factor, depth=20, target=target, tolerance=tolerance, cap=1))
    for depth in (1, 2, 3, 10, 20):
        start, aim = factor**depth, math.sqrt(tolerance) * target
        if abs(start - target) <= aim:
            assert np.isneginf(found.log10_flow_steps[depth - 1])
            continue
        end = (target + math.copysign(aim, start - target)) ** (1 / depth)
        time, _ = quad(lambda w, n=depth: 1 / ((target - w**n) * w ** (n - 1)), factor, end, limit=200,
                       epsrel=1e-9)
        assert 10 ** found.log10_flow_steps[depth - 1] == pytest.approx(time / 0.01, rel=1e-3)


@pytest.mark.parametrize(("factor", "learning_rate"), [(0.5, 1e-3), (1.2, 2e-5)])
def test_small_steps_follow_the_flow(factor, learning_rate):
    found = descent(DescentParams(factor=factor, depth=9, learning_rate=learning_rate, cap=100_000))
    assert found.reached.all()
    # descent lags or leads the flow by learning_rate · curvature, relatively, here below 1/200, and by at
    # most one whole step
    assert np.abs(found.steps - 10**found.log10_flow_steps).max() <= 1 + 0.005 * found.steps.max()


def test_flow_beyond_every_cap_grows_by_one_over_the_factor_a_layer():
    flow = descent(DescentParams(factor=0.5, depth=1000, cap=1)).log10_flow_steps
    # on the plateau t = w^(2-L) / (learning_rate (L - 2)), all but a 2^-998 of it
    assert flow[-1] == pytest.approx(998 * math.log10(2) + 2 - math.log10(998), abs=1e-3)
    assert np.diff(flow)[500:] == pytest.approx(math.log10(2), abs=1e-3)


@pytest.mark.parametrize("values", [
    {"factor": 0.01, "target": 100}, {"factor": 10, "target": 0.01}, {"factor": 1.001, "learning_rate": 10},
    {"factor": 0.999, "learning_rate": 1e-6}, {"factor": 1.01, "tolerance": 1e-6},
])
def test_a_thousand_layers_give_no_nan_at_the_ends_of_the_ranges(values):
    found = descent(DescentParams(depth=1000, cap=300, **values))
    assert set(found.outcome) <= set(OUTCOMES)
    assert ((found.steps >= 0) & (found.steps <= 300)).all()
    assert np.isfinite(found.log10_first_step).all()
    assert (np.isfinite(found.log10_flow_steps) | np.isneginf(found.log10_flow_steps)).all()
    assert (np.isneginf(found.log10_flow_steps) == (found.reached & (found.steps == 0))).all()


def test_the_frame_has_the_outcome_of_every_depth():
    found = descent(DescentParams(factor=0.5, depth=70))
    frame = found.frame()
    assert frame["depth"].tolist() == list(range(1, 71))
    assert list(dict.fromkeys(frame["outcome"])) == ["reached", "capped", "frozen"]
    assert list(frame.columns) == ["depth", "steps", "outcome", "log10_first_step", "log10_flow_steps"]
