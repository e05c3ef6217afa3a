"""What makes no sense or costs too much is refused by the name of its field, before it is allocated."""

import math
import tracemalloc

import pytest

from vgdash import (
    BalanceParams,
    ChainParams,
    CompareParams,
    DescentParams,
    NeuronParams,
    ParamError,
    PhaseParams,
    ProbeParams,
    RateParams,
    SweepParams,
    TrainParams,
    fixed_point,
)
from vgdash.training.data import DataParams

REFUSED = {
    ChainParams: [
        ({"x1": 0, "x2": 0}, "x2"), ({"x1": 1e-300}, "x1"), ({"factor": 0}, "factor"),
        ({"depth": 1001}, "depth"), ({"kind": "orthogonal"}, "kind"),
        ({"kind": "gaussian", "width": 32, "depth": 1000, "seeds": 2}, "seeds")],
    DescentParams: [({"depth": 1000, "cap": 5001}, "cap")],
    NeuronParams: [
        ({"n": 0}, "n"), ({"n": 100_001}, "n"), ({"gamma": 0}, "gamma"), ({"std": 0}, "std"),
        ({"correlation": -0.1}, "correlation"), ({"correlation": 1.1}, "correlation"),
        ({"samples": 10**9}, "samples"), ({"rule": "3/n"}, "rule"), ({"mean": math.nan}, "mean"),
        ({"distribution": "cauchy"}, "distribution")],
    PhaseParams: [
        ({"sigma_w2": -0.1}, "sigma_w2"), ({"sigma_w2": math.nan}, "sigma_w2"), ({"gamma": 0}, "gamma"),
        ({"sigma_b2": 0.51}, "sigma_b2"), ({"fan_in": 0}, "fan_in"), ({"depth": 1000}, "depth"),
        ({"activation": "cosine"}, "activation")],
    BalanceParams: [
        ({"initializer": "identity"}, "initializer"), ({"initializer": "zeros"}, "initializer"),
        ({"gamma": 0.0}, "gamma")],
    ProbeParams: [
        ({"widths": (4096,) * 6}, "widths"), ({"widths": (512,) * 1001}, "widths"),
        ({"widths": (64,) * 257, "batch": 4096}, "batch"),
        ({"widths": (256,) * 101, "batch": 192, "seeds": 32}, "seeds"),
        ({"widths": (1024,) * 15, "initializer": "orthogonal", "seeds": 1}, "widths"),
        ({"norm_scale": 0.5}, "norm_scale"), ({"input_scale": 0}, "input_scale"),
        ({"normalization": "layer", "last_scale": 0}, "last_scale"),
        ({"normalization": "batch", "last_bias": 1}, "last_bias"),
        ({"rescale": "lsuv", "last_scale": 0}, "last_scale"),
        ({"widths": (64,) * 5, "kernels": (3, 3)}, "kernels"), ({"kernels": (0,)}, "kernels"),
        ({"kernels": (3,), "initializer": "constant"}, "kernels")],
    TrainParams: [
        ({"widths": (64, 32, 2)}, "widths"), ({"dataset": "spirals"}, "widths"),
        ({"widths": (64, *(1024,) * 255, 10)}, "widths"),
        ({"widths": (64, *(1024,) * 4, 10), "steps": 20_000, "batch": 256}, "steps"),
        ({"widths": (64, *(8,) * 255, 10), "snapshots": 400, "seeds": 4}, "snapshots"),
        ({"widths": (2, 8, 2), "dataset": "moons", "batch": 1001}, "batch"),
        ({"normalization": "batch", "batch": 1}, "batch"),
        ({"normalization": "layer", "residual": "zero"}, "residual"),
        ({"dataset": "wave", "widths": (1, 8, 1), "loss": "cross_entropy"}, "loss"),
        ({"dataset": "wave", "widths": (1, 8, 1), "label_noise": 0.1}, "label_noise"),
        ({"norm_scale": 0.5}, "norm_scale"), ({"normalization": "layer", "norm_scale": 0}, "norm_scale"),
        ({"normalization": "group"}, "normalization"), ({"learning_rate": math.nan}, "learning_rate"),
        ({"initializers": ()}, "initializers")],
    RateParams: [
        ({"lowest": 1.0, "highest": 0.5}, "lowest"), ({"lowest": 1.0, "highest": 1.0}, "lowest"),
        ({"rates_tried": 1}, "rates_tried"), ({"widths": (64, *(512,) * 9, 10)}, "widths")],
    SweepParams: [
        ({"depths": (256,), "width": 1024}, "depths"),
        ({"depths": (200,), "width": 200, "steps": 20_000, "batch": 256}, "steps"),
        ({"depths": tuple(range(60, 92)), "width": 256, "steps": 4_000, "sigma_w2_count": 64, "batch": 64},
         "steps"),
        ({"batch": 1024, "dataset": "moons"}, "batch"), ({"depths": (5, 5)}, "depths"),
        ({"depths": (9, 5)}, "depths"), ({"sigma_w2_low": 2, "sigma_w2_high": 1}, "sigma_w2_high"),
        ({"sigma_w2_low": 2, "sigma_w2_high": 2}, "sigma_w2_high")],
    DataParams: [
        ({"name": "mnist"}, "name"), ({"seed": -1}, "seed"), ({"label_noise": 1.5}, "label_noise"),
        ({"name": "digits", "noise": 0.5}, "noise")],
}
ALLOWED = [  # the largest that are: nets of the lecture, and a chain and a descent at their budgets
    lambda: ProbeParams.uniform(256, 256), lambda: CompareParams.uniform(1000, 100),
    lambda: CompareParams.uniform(100, 256, batch=256),
    lambda: ProbeParams((4096, 4096, 4096)), lambda: ChainParams(width=32, depth=1000, seeds=200),
    lambda: ChainParams(kind="gaussian", width=32, depth=100, seeds=19),
    lambda: DescentParams(depth=1000, cap=5000)]


@pytest.mark.parametrize(("kind", "values", "field"), [
    (kind, *case) for kind, cases in REFUSED.items() for case in cases], ids=str)
def test_what_makes_no_sense_or_costs_too_much_is_refused(kind, values, field):
    kind()  # what is made once
    tracemalloc.start()
    try:
        with pytest.raises(ParamError) as error:
            kind(**values)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert error.value.field.split("[")[0] == field


@pytest.mark.parametrize(("arguments", "field"), [
    (("swish", 1, 0), "activation"), (("tanh", -1, 0), "sigma_w2"), (("tanh", math.nan, 0), "sigma_w2"),
    (("tanh", 1, math.inf), "sigma_b2")])
def test_fixed_points_of_nonsense_are_refused(arguments, field):
    with pytest.raises(ParamError) as error:
        fixed_point(*arguments)
    assert error.value.field == field


@pytest.mark.parametrize("make", ALLOWED)
def test_what_is_just_within_the_budget_is_allowed(make):
    make()


@pytest.mark.parametrize(("make", "said"), [
    (lambda: DescentParams(depth=1000, cap=5001), "at most 5,000 at depth 1,000"),
    (lambda: ChainParams(kind="gaussian", width=32, depth=100, seeds=20), "at most 19 at depth 100"),
    (lambda: ProbeParams.uniform(5, 4096), "684 MB.*Take fewer")])
def test_a_refusal_says_what_still_fits(make, said):
    with pytest.raises(ParamError, match=said):
        make()
