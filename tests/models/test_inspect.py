"""Inspect changes nothing, takes models of any kind, and costs little."""

import copy
import math
import random
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from vgdash import ParamError, Watch, assert_healthy, inspect  # noqa: E402


class Net(nn.Module):
    """Convolution, batch norm, dropout, a shared layer, a counter, hooks, frozen and unused parameters."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)
        self.shared, self.drop, self.head = nn.Linear(32, 32), nn.Dropout(0.3), nn.Linear(32, 4)
        self.unused, self.seen, self.cache = nn.Linear(3, 3), 0, {"last": torch.ones(3)}
        self.conv.weight.requires_grad_(False)
        self.register_buffer("counter", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        self.cache["last"] = x
        self.counter += 1
        self.head.weight.data = torch.renorm(self.head.weight.data, 2, 0, 0.1)  # as EEGNet bounds its weights
        random.random()
        np.random.rand()  # noqa: NPY002
        x = torch.relu_(self.norm(self.conv(x))).mean((2, 3)).repeat(1, 4)
        return self.head(self.drop(self.shared(torch.relu(self.shared(x)))))


def state(model):
    hooks = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks), sorted(vars(m)))
             for m in model.modules()]
    return ({k: v.clone() for k, v in model.state_dict().items()}, hooks,
            [None if p.grad is None else p.grad.clone() for p in model.parameters()],
            [(p.requires_grad, id(p)) for p in model.parameters()], model.seen, model.cache["last"],
            torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_model_changes(training):
    model, inputs, targets = Net().train(training), torch.randn(16, 1, 8, 8), torch.arange(16) % 4
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.head.register_forward_hook(lambda *_: None)
    before, given = state(model), inputs.clone()
    inspect(model, inputs, targets)
    assert equal(state(model), before)
    assert torch.equal(inputs, given)
    assert inputs.grad is None
    assert not vars(inputs)


def test_nothing_changes_when_the_model_raises():
    model = Net()
    inputs = torch.randn(16, 1, 8, 8)
    before = state(model)
    with pytest.raises(RuntimeError):
        inspect(model, inputs, torch.zeros(16), lambda o, t: o @ t)
    assert equal(state(model), before)
    assert not torch.nn.modules.module._global_forward_hooks


def test_what_is_measured_is_what_autograd_and_a_plain_pass_give():
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 5))
    x, t = torch.randn(64, 20), torch.arange(64) % 5
    first, last = inspect(model, x, t, rate=0.1).layers
    z = model[0](x)
    a = torch.tanh(z)
    loss = nn.functional.cross_entropy(model[2](a), t)
    gz, ga, gw = torch.autograd.grad(loss, [z, a, model[0].weight])
    w, b, z, a = model[0].weight.detach(), model[0].bias.detach(), z.detach(), a.detach()
    expected = {"in2": x.square().mean(), "out2": z.square().mean(), "after2": a.square().mean(),
                "grad_out": gz.square().sum(), "grad_after": ga.square().sum(), "out_largest": z.abs().max(),
                "grad_weight2": gw.square().mean(), "gain": 20 * w.square().mean(), "out_mean": z.mean(),
                "predicted": 20 * w.square().mean() * x.square().mean() + b.square().mean(),
                "saturated": (a.abs() > 0.95**0.5).float().mean(),
                "update": 0.1 * (gw.square().mean() / w.square().mean()).sqrt()}
    for name, value in expected.items():
        assert getattr(first, name) == pytest.approx(float(value), rel=1e-4), name
    rows = nn.functional.normalize(z, dim=1)
    assert first.correlation == pytest.approx(float(((rows @ rows.T).sum() - 64) / (64 * 63)), abs=1e-4)
    assert (first.initializer, last.last, first.next) == ("pytorch_default", True, 1)


@pytest.mark.parametrize(("layer", "shape", "fan_in", "fan_out"), [
    (nn.Conv2d(8, 12, 3, padding=1), (4, 8, 9, 9), 72, 108),
    (nn.Conv1d(8, 16, 5, groups=4), (4, 8, 9), 10, 20), (nn.Conv2d(8, 8, 3, groups=8), (4, 8, 9, 9), 9, 9),
    (nn.ConvTranspose2d(8, 6, 4, stride=2), (4, 8, 9, 9),
     8 * 16 * 81 / 400, 96),
    (nn.Linear(7, 3), (5, 7), 7, 3)])
def test_fans_count_kernels_and_groups_and_predict_the_outputs(layer, shape, fan_in, fan_out):
    nn.init.normal_(layer.weight)
    found = inspect(layer, torch.randn(64, *shape[1:])).layers[0]
    assert found.fan_in == pytest.approx(fan_in)
    assert found.fan_out == fan_out
    error = 5 * (2 / layer.weight.numel()) ** 0.5 + 0.25 * (layer.weight.dim() > 2)  # padding, few filters
    assert found.out2 / found.predicted == pytest.approx(1, abs=error)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 4)

    def forward(self, left, right=None):
        return {"logits": self.a(left) + (0 if right is None else self.a(right))}


@pytest.mark.filterwarnings("ignore")
def test_inputs_may_be_named_or_several_and_wrappers_come_off():
    x = torch.randn(32, 8)
    for inputs in ({"left": x, "right": x}, (x, x), [x], x):
        report = inspect(Named(), inputs)
        calls = 1 if inputs is x or len(inputs) == 1 else 2
        assert [(a.path, a.calls) for a in report.layers] == [("a", calls)] * calls
    assert [a.path for a in inspect(torch.compile(Named()), x).layers] == ["a"]
    assert [a.path for a in inspect(nn.DataParallel(Named()), x).layers] == ["a"]


def test_the_loss_of_usual_targets_is_guessed():
    class Named(nn.Linear):
        def forward(self, x):
            return {"logits": super().forward(x), "inputs": x}

    f, x, classes = nn.functional, torch.randn(9, 8), torch.arange(9) % 3
    one, three = nn.Linear(8, 1), nn.Linear(8, 3)
    named = Named(8, 3)
    labels, numbers = classes // 2, torch.randn(9)
    many = torch.eye(3, dtype=torch.long)[classes]
    for model, targets, loss in (
            (three, classes.int(), f.cross_entropy(three(x), classes)),
            (named, classes, f.cross_entropy(named(x)["logits"], classes)),
            (three, many, f.binary_cross_entropy_with_logits(three(x), many.float())),
            (one, labels, f.binary_cross_entropy_with_logits(one(x)[:, 0], labels.float())),
            (nn.Sequential(one, nn.Sigmoid()), labels,
             f.binary_cross_entropy_with_logits(one(x)[:, 0], labels.float())),
            (one, numbers, f.mse_loss(one(x)[:, 0], numbers))):
        assert inspect(model, x, targets).trace.loss == pytest.approx(loss.item(), rel=1e-5)


def test_arrays_of_numpy_are_inputs_and_targets_too():
    model, x, classes = nn.Linear(8, 3), torch.randn(9, 8), torch.arange(9) % 3
    for given in (x.double().numpy(), (x.numpy(),), {"input": x.numpy()}):
        assert inspect(model, given, classes.numpy()).trace.loss == inspect(model, x, classes).trace.loss
    words = torch.arange(12).reshape(4, 3)
    model = nn.Sequential(nn.Embedding(12, 8), nn.Linear(8, 2))
    assert inspect(model, words.numpy()).layers == inspect(model, words).layers


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_inputs_that_are_not_finite_are_named_as_such(bad):
    model, x = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(9, 8)
    x[4, 2] = bad
    found, = inspect(model, x, torch.arange(9) % 3).findings
    assert (found.cause, found.layers) == ("not_finite", ("0",))
    assert found.evidence == "What 0 reads holds NaN or infinity."


def test_a_healthy_model_passes_and_a_broken_one_fails_with_its_findings():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    assert assert_healthy(model, torch.randn(32, 64)).healthy
    nn.init.constant_(model[0].bias, -20.0)
    with pytest.raises(AssertionError, match="dead: 0") as caught:
        assert_healthy(copy.deepcopy(model), torch.randn(32, 64))
    assert "parameters[name].fill_(value)" in str(caught.value)


def test_numbers_that_are_not_finite_are_a_finding():
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(16, 8)
    loss = inspect(model, x, torch.ones(16, 2), lambda o, t: (o.sum() * 0).log() + float("nan"))
    assert [f.cause for f in loss.findings] == ["not_finite"]
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    found = inspect(model, x, torch.ones(16, 2))
    assert [f.layers for f in found.findings] == [("2",)]
    exec(found.findings[0].fix, {"model": model})
    assert_healthy(model, x, torch.ones(16, 2))
    weights = {"a.weight": np.full((3, 3), np.nan)}
    assert inspect(weights).findings[0].layers == ("a",)


def test_float16_is_asked_of_a_float32_model():
    model, x = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)), torch.randn(256, 64)
    assert assert_healthy(model, x, formats=("float16",)).formats()["float16"] == ""
    with torch.no_grad():
        model[0].weight.mul_(1e6)
    found = inspect(model, x, formats=("float16",))
    assert found.findings[0].cause == "float16_overflow"
    assert found.findings[0].layers == ("0",) == (found.formats()["float16"],)


READ = {  # how a model reads the outputs q of a layer, beside its signal h
    "unused": lambda h, q: h, "converted": lambda h, q: (h, q.float())[0],
    "item": lambda h, q: h * q.mean().item(),
    "float": lambda h, q: h * float(q.mean()), "detached": lambda h, q: h + q.detach(),
    "data": lambda h, q: h + q.data, "numpy": lambda h, q: h + torch.from_numpy(q.detach().numpy()),
    "argmax": lambda h, q: h + q.argmax(1, keepdim=True), "compared": lambda h, q: torch.where(q > 0, h, -h)}


@pytest.mark.parametrize("read", READ)
@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_a_layer_is_detached_if_the_model_reads_it_without_a_gradient(read):
    class Read(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 5)

        def forward(self, x):
            h = self.a(x).relu()
            return self.c(READ[read](h, self.b(h).tanh()))

    found = inspect(Read(), torch.randn(64, 16), torch.arange(64) % 5)
    assert [(f.cause, f.layers) for f in found.findings] == [("detached", ("b",))] * (
        read not in ("unused", "converted"))


def test_a_normalization_by_hand_is_found_where_branches_take_turns():
    class Turns(nn.Module):
        def __init__(self):
            super().__init__()
            self.branches = nn.ModuleList([nn.Linear(64, 16) for _ in range(12)])
            self.head = nn.Linear(192, 5)
            for branch in self.branches:
                nn.init.normal_(branch.weight)

        def forward(self, x):
            z = [branch(x) for branch in self.branches]
            apart = [v - v.mean(0) for v in z]
            squares = [(v * v).mean(0) for v in apart]
            roots = [torch.rsqrt(v + 1e-5) for v in squares]
            return self.head(torch.cat([v * r for v, r in zip(apart, roots, strict=True)], 1).relu())

    found = assert_healthy(Turns(), torch.randn(64, 64), torch.arange(64) % 5)
    assert all(a.normalized for a in found.layers[:-1])


def test_a_module_may_keep_a_dictionary_that_refuses_to_be_changed():
    class Frozen(dict):
        def clear(self):
            raise TypeError

    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    model.config = Frozen(width=16)
    assert_healthy(model, torch.randn(32, 16))
    assert model.config == {"width": 16}


def test_weights_may_be_complex():
    class Fourier(nn.Module):  # a layer of a Fourier neural operator
        def __init__(self):
            super().__init__()
            self.modes, self.head = nn.Parameter(torch.randn(1, 8, 9, dtype=torch.cfloat)), nn.Linear(8, 1)

        def forward(self, x):
            z = torch.einsum("bki,iok->bko", torch.fft.rfft(x, dim=1), self.modes)
            return self.head(torch.fft.irfft(z, n=16, dim=1).relu())

    found = assert_healthy(Fourier(), torch.randn(32, 16, 1), torch.randn(32, 16, 1))
    assert found.layers[0].weight2 == pytest.approx(1, abs=4 / 72**0.5)


def test_weights_may_be_made_of_a_parameter_with_fewer_axes():
    class Distances(nn.Module):  # relative positions: a matrix for each pair
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Parameter(torch.full((15, 16), 0.1)), nn.Linear(8, 5)

        def forward(self, x):
            apart = torch.arange(8)[:, None] - torch.arange(8) + 7
            return self.head(torch.einsum("bqc,qkc->bqk", x, self.table[apart]).relu().mean(1))

    found = inspect(Distances(), torch.randn(32, 8, 16), torch.arange(32) % 5)
    assert [a.path for a in found.layers] == ["", "head"]


def test_a_training_loop_is_watched_in_bounded_memory():
    model, x, t = nn.Linear(8, 4), torch.randn(32, 8), torch.arange(32) % 4
    watch = Watch(model, x, t, every=2, keep=3)
    found = [watch(step) for step in range(20)]
    assert [step for step, _ in watch.reports] == [14, 16, 18]
    assert sum(report is not None for report in found) == 10
    with pytest.raises(ParamError):
        Watch(model, x, every=0)


def test_the_cost_is_at_most_three_times_that_of_the_models_own_passes():
    model = nn.Sequential(*[part for _ in range(10) for part in (nn.Linear(1024, 1024), nn.ReLU())],
                          nn.Linear(1024, 10))
    x, t = torch.randn(128, 1024), torch.arange(128) % 10

    def own():
        nn.functional.cross_entropy(model(x), t).backward()

    def seconds(run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    own(), inspect(model, x, t)
    inspected = min(seconds(lambda: inspect(model, x, t)) for _ in range(4))
    assert inspected < 3 * min(seconds(own) for _ in range(4))
