"""Models that people bring: cause and layer among the first two findings; none if healthy; fixes cure."""

import copy

import pytest

torch = pytest.importorskip("torch")

from tests.models import (  # noqa: E402, F401
    broken_more,
    broken_paths,
    broken_rest,
    broken_weights,
    healthy_more,
    healthy_nets,
    healthy_rest,
    healthy_wider,
    losses_and_ends,
    made_weights,
    scales_and_norms,
    streams_and_biases,
)
from tests.models.nets import BROKEN as MORE_BROKEN  # noqa: E402
from tests.models.nets import HEALTHY as MORE_HEALTHY  # noqa: E402
from tests.models.zoo.models import MODELS  # noqa: E402
from tests.models.zoo.truth import BROKEN, HEALTHY  # noqa: E402
from vgdash import assert_healthy, inspect  # noqa: E402

STEPS = {"pointcloud_half": 6}
RATES = 0.001, 0.01
SECOND = {"sigmoid_bias"}  # its large biases make all inputs one, too
UNCURED = {  # two faults, one behind the other; no code makes data, a slope, or a way back through NumPy
    "relu_as_a_function_at_the_end", "loss_of_whole_numbers", "loss_made_anew", "root_of_0",
    "targets_that_are_missing", "labels_that_are_all_left_out", "row_that_is_all_padding",
    "nothing_to_read", "normalized_one_by_one", "normalized_in_groups_of_one",
    "half_overflow", "half_sum", "convT_he", "numpy_trip", "vq_no_straight_through", "autocast_half"}


def right(report, causes, layers) -> bool:
    return any(f.cause in causes and layers & {*f.layers} for f in report.findings[:2])


def mended(model, inputs, targets, findings):
    names = {"model": model, "inputs": inputs, "targets": targets}
    for finding in findings:
        exec(finding.fix, names)
    return names["model"], names["inputs"], names["inputs"] if targets is inputs else names["targets"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", BROKEN)
def test_the_cause_and_a_layer_at_fault_are_among_the_first_two_findings(name, seed):
    report = inspect(*MODELS[name](seed))
    assert right(report, *BROKEN[name]), str(report)
    assert not report.healthy
    assert len(report.sentence) <= 110


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_models_have_no_finding(name, seed):
    assert_healthy(*MODELS[name](seed))


def trained(model, inputs, targets, loss, rate, steps) -> float:
    """Train copies of the weights in float32 with Adam; return the last loss."""
    model.train()
    parameters = list(model.parameters())
    masters = [p.detach().float().clone().requires_grad_() for p in parameters]
    optimizer = torch.optim.Adam(masters, rate)
    for _ in range(steps):
        value = loss(model(inputs), targets)
        model.zero_grad()
        value.backward()
        for p, master in zip(parameters, masters, strict=True):
            master.grad = None if p.grad is None else p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for p, master in zip(parameters, masters, strict=True):
                p.copy_(master)
    with torch.no_grad():
        return float(loss(model(inputs), targets))


@pytest.mark.parametrize("name", BROKEN)
def test_the_fix_cures(name):
    model, inputs, targets, loss = MODELS[name]()
    report = inspect(model, inputs, targets, loss)
    model, inputs, targets = mended(model, inputs, targets, report.findings[:1])
    cured = assert_healthy(model, inputs, targets, loss)
    copies = [copy.deepcopy(model) for _ in RATES]
    assert any(trained(one, inputs, targets, loss, rate, STEPS.get(name, 30)) < 0.9 * cured.trace.loss
               for one, rate in zip(copies, RATES, strict=True))


@pytest.mark.parametrize("name", MORE_BROKEN)
def test_other_models_of_the_same_kinds_are_judged_as_well(name):
    build, causes, layers = MORE_BROKEN[name]
    model, inputs, targets, loss = build()
    report = inspect(model, inputs, targets, loss)
    assert right(report, causes, layers), str(report)
    assert report.findings[0].cause in causes or name in SECOND  # the headline says it
    model, inputs, targets = mended(model, inputs, targets, report.findings[:2])
    if name not in UNCURED:
        assert_healthy(model, inputs, targets, loss)


@pytest.mark.parametrize("name", MORE_HEALTHY)
def test_what_lists_of_symptoms_complain_about_is_no_finding(name):
    assert_healthy(*MORE_HEALTHY[name]())
