"""Training: initializers on real digits, snapshots against autograd, threads that end, honest costs."""

import sys
import threading
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tests.training.parameters import biases_of, weights_of
from vgdash.initializers import INITIALIZERS
from vgdash.probe.probe import ProbeParams
from vgdash.probe.propagation import build
from vgdash.training.engine import Nets
from vgdash.training.trainer import Trainer, TrainParams, train

LN10 = np.log(10)


def small(**rest):
    return TrainParams.uniform(4, 16, **{"steps": 30, "snapshots": 3, "seeds": 2, "batch": 16} | rest)


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("vgdash-training")]


@pytest.fixture(scope="module")
def default_run():
    p = TrainParams()
    trainer = Trainer(p)
    return p, trainer, list(trainer)


def test_by_default_he_learns_the_digits_and_the_small_normal_stays_at_ln_10(default_run):
    p, _, snapshots = default_run
    last = snapshots[-1]
    he, little, zeros = (p.initializers.index(name) for name in ("he_normal", "small_normal", "zeros"))
    assert (p.depth, last.step) == (30, p.steps)
    assert last.held_out[he].min() >= 0.9
    # nothing arrives at the output but its bias: the entropy of the class shares, at most ln 10
    for snapshot in snapshots:
        assert snapshot.loss[[little, zeros]] == pytest.approx(LN10, abs=0.01)
    assert snapshots[0].loss[[little, zeros]] == pytest.approx(LN10, abs=1e-5)


def test_zero_weights_move_only_the_bias_of_the_last_layer(default_run):
    p, trainer, snapshots = default_run
    zeros = p.initializers.index("zeros")
    for layer in range(1, p.depth + 1):
        assert not weights_of(trainer, layer)[zeros].any()
        assert biases_of(trainer, layer)[zeros].any() == (layer == p.depth)
    assert np.isneginf(snapshots[-1].update_ratio[zeros]).all()
    assert not snapshots[-1].dw2[zeros].any()


def test_the_first_snapshot_is_before_any_update_and_they_are_evenly_spaced(default_run):
    p, _, snapshots = default_run
    assert [s.step for s in snapshots] == list(p.snapshot_steps)
    assert snapshots[0].step == 0
    assert np.diff(p.snapshot_steps).max() - np.diff(p.snapshot_steps).min() <= 1
    assert TrainParams(steps=7).snapshot_steps == tuple(range(8))


@pytest.mark.parametrize(("sigma_b2", "last"), [
    (0.0, {}), (0.25, {}), (0.0, {"last_scale": 0.0}), (0.25, {"last_scale": 0.1, "last_bias": -2.0})])
def test_nets_start_where_the_probe_of_the_same_seed_looks_at_them(sigma_b2, last):
    names = "glorot_normal", "orthogonal", "pytorch_default", "playground_default"
    p = small(initializers=names, seed=5, gamma=2.0, sigma_b2=sigma_b2, **last)
    trainer = Trainer(p)
    for which, name in enumerate(p.initializers):
        for draw in range(p.seeds):
            probed = ProbeParams(p.widths, initializer=name, seed=5, gamma=2.0, sigma_b2=sigma_b2, **last)
            net, _, _ = build(probed, draw)
            for layer, (weights, scale) in enumerate(zip(net.weights, net.scales, strict=True), 1):
                ours = weights_of(trainer, layer)[which, draw]
                np.testing.assert_allclose(ours, weights * np.float32(scale), rtol=1e-6)
                expected = net.biases[layer - 1] if net.biases else np.zeros(p.widths[layer])
                assert np.array_equal(biases_of(trainer, layer)[which, draw], expected)


@pytest.mark.parametrize("residual", ["none", "plain", "scaled", "zero"])
def test_branches_start_at_zero_only_if_they_are_zero_initialized(residual):
    trainer = Trainer(small(residual=residual))
    nonzero = [weights_of(trainer, layer).any() for layer in (1, 2, 3, 4)]
    assert nonzero == [True, *[residual != "zero"] * 2, True]


def test_layer_normalization_lets_thirty_layers_learn_from_weights_that_are_far_too_small():
    p = TrainParams(initializers=("small_normal",), steps=150, snapshots=1, learning_rate=0.01,
                    normalization="layer", residual="scaled")
    assert list(train(p))[-1].held_out[0, 0] > 0.8
    assert list(train(TrainParams(initializers=("small_normal",), steps=150,
                                  snapshots=1)))[-1].held_out[0, 0] < 0.2


def test_snapshots_agree_with_autograd():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    p = small(initializers=("he_normal",), activation="tanh", learning_rate=0.1, steps=1, seeds=1)
    trainer = Trainer(p, dtype=np.float64)
    layers = [(torch.tensor(weights_of(trainer, layer)[0, 0], requires_grad=True),
               torch.zeros(p.widths[layer], dtype=torch.float64)) for layer in range(1, p.depth + 1)]
    first = next(iter(trainer))
    rows = np.arange(len(p.data.x_train))
    np.random.default_rng([p.seed, 0]).shuffle(rows)
    rows = rows[:p.batch]

    def run(x):
        a, zs = torch.tensor(x, dtype=torch.float64), []
        for w, b in layers:
            zs.append(a @ w.T + b)
            a = torch.tanh(zs[-1])
        return zs

    zs = run(p.data.x_train[rows])
    for z in zs:
        z.retain_grad()
    loss = torch.nn.functional.cross_entropy(zs[-1], torch.tensor(p.data.y_train[rows]))
    loss.backward()
    assert first.loss[0, 0] == pytest.approx(loss.item(), rel=1e-9)
    assert first.accuracy[0, 0] == (zs[-1].argmax(dim=1).numpy() == p.data.y_train[rows]).mean()
    answers = run(p.data.x_test)[-1].argmax(dim=1).numpy()
    assert first.held_out[0, 0] == pytest.approx((answers == p.data.y_test).mean(), rel=1e-12)
    np.testing.assert_allclose(first.grad2[0, 0], [(p.batch * z.grad).square().mean().item() for z in zs],
                               rtol=1e-9)
    np.testing.assert_allclose(first.dw2[0, 0], [w.grad.square().mean().item() for w, _ in layers], rtol=1e-9)
    ratios = [w.grad.std(correction=0) / w.std(correction=0) for w, _ in layers]
    np.testing.assert_allclose(first.gradient_ratio[0, 0], np.log10([r.item() for r in ratios]), rtol=1e-9)
    ratios = [(0.1 * w.grad).std(correction=0) / w.std(correction=0) for w, _ in layers]
    np.testing.assert_allclose(first.update_ratio[0, 0], np.log10([r.item() for r in ratios]), rtol=1e-9)


@pytest.mark.parametrize(("names", "optimizer"), [
    (tuple(INITIALIZERS)[:7], "sgd"), (tuple(INITIALIZERS)[7:14], "adam"),
    (tuple(INITIALIZERS)[14:], "momentum")])
def test_every_initializer_trains_the_same_bits_again_with_one_worker_or_two(names, optimizer):
    p = small(initializers=names, activation="tanh", optimizer=optimizer)
    runs = [list(train(p, workers=workers)) for workers in (1, 1, 2, 2)]
    for first, *others in zip(*runs, strict=True):
        for name, values in vars(first).items():
            if isinstance(values, np.ndarray):
                assert {getattr(other, name).tobytes() for other in others} == {values.tobytes()}, name
    changing = [name for name in names if name not in ("zeros", "identity", "constant")]
    loss = list(train(replace(p, seed=1)))[-1].loss
    assert all((loss[names.index(name)] != runs[0][-1].loss[names.index(name)]).all() for name in changing)


def test_closing_the_iterator_ends_its_threads_at_once_and_gives_blas_and_the_lock_back(two_blas_threads):
    before, interval = threadpool_info(), sys.getswitchinterval()
    run = train(TrainParams(steps=20_000, initializers=("he_normal", "zeros")))
    next(run)
    assert threads()
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert sys.getswitchinterval() < interval
    start = time.perf_counter()
    run.close()
    assert not threads()
    assert time.perf_counter() - start < 2
    assert [pool["num_threads"] for pool in threadpool_info()] == [pool["num_threads"] for pool in before]
    assert sys.getswitchinterval() == interval


def test_stop_from_another_thread_ends_the_iteration():
    trainer = Trainer(TrainParams(steps=20_000, initializers=("he_normal", "zeros")))
    timer = threading.Timer(0.2, trainer.stop)
    timer.start()
    steps = [snapshot.step for snapshot in trainer]
    timer.join()
    assert steps[-1:] != [20_000]
    assert not threads()


def test_threads_wait_for_a_slow_reader():
    trainer = Trainer(small(steps=400, snapshots=400))
    run = iter(trainer)
    next(run)
    time.sleep(0.3)
    assert max(nets.updates for nets in trainer.groups) < 10
    run.close()


def test_an_error_in_a_thread_reaches_the_reader(monkeypatch):
    trainer = Trainer(small())

    def broken(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr(trainer.groups[-1], "run", broken)
    with pytest.raises(RuntimeError, match="broken"):
        list(trainer)
    assert not threads()


def test_the_frame_has_a_row_for_each_net_and_layer():
    p = small(initializers=("lecun_normal", "he_normal"))
    last = list(train(p))[-1]
    assert last.loss.shape == (2, 2)
    assert last.grad2.shape == (2, 2, 4)
    table = last.frame()
    assert len(table) == 2 * 2 * 4
    row = table.query("initializer == 'he_normal' and seed == 1 and layer == 3").iloc[0]
    assert (row.step, row.loss) == (30, last.loss[1, 1])
    for name in ("grad2", "drift", "dead", "saturated"):
        assert row[name] == getattr(last, name)[1, 1, 2]


@pytest.mark.parametrize("dataset", ["spirals", "circles", "moons", "gaussians"])
def test_every_set_in_the_plane_is_learned(dataset):
    p = TrainParams.uniform(4, 32, dataset=dataset, initializers=("he_normal",), optimizer="adam",
                            learning_rate=0.01, steps=600, snapshots=2)
    last = list(train(p))[-1]
    assert last.held_out[0, 0] > 0.9


def test_zeros_in_the_last_layer_alone_start_at_ln_10_and_learn():
    p = TrainParams.uniform(4, 32, initializers=("standard_normal", "he_normal"), last_scale=0.0, steps=300,
                            snapshots=2, activation="tanh", learning_rate=0.1)
    first, *_, last = train(p)
    np.testing.assert_allclose(first.loss, LN10, rtol=1e-6)
    assert last.held_out[1, 0] > 0.9


def test_constant_weights_keep_all_units_of_a_layer_equal():
    p = small(initializers=("lecun_normal", "constant"), gamma=0.05, activation="tanh", learning_rate=0.1,
              steps=100)
    trainer = Trainer(p)
    start = [weights_of(trainer, layer) for layer in range(1, p.depth)]
    list(trainer)
    for layer, before in enumerate(start, 1):
        usual, rows = weights_of(trainer, layer)
        assert np.abs(rows - before[1]).max() > 1e-4  # they move
        np.testing.assert_allclose(rows, np.broadcast_to(rows[:, :1], rows.shape), rtol=1e-4, atol=1e-6)
        assert usual.std(axis=1).min() > 1e-3


def test_a_function_is_learned_to_r2_near_1_and_a_net_that_knows_nothing_has_half_the_variance():
    p = TrainParams.uniform(4, 32, dataset="wave", initializers=("zeros", "he_normal"), activation="tanh",
                            optimizer="adam", learning_rate=0.01, steps=600, snapshots=2)
    trainer = Trainer(p)
    *_, last = shots = list(trainer)
    assert (p.squared, p.guess_loss, p.guess_accuracy) == (True, 0.5, 0)
    # noise 0.1 in a sine of variance 1/2 (1 + 1/12) leaves R² = 0.98
    assert 0.95 < last.held_out[1, 0] < 0.99
    assert last.loss[0, 0] == pytest.approx(0.5, abs=0.15)  # batches of 32: the variance of 32 is 18 % off
    with np.errstate(all="ignore"):
        loss, r2 = trainer.groups[0].evaluate(trainer.groups[0].held_out)
    np.testing.assert_allclose(last.accuracy, 1 - 2 * last.loss, rtol=1e-5)
    np.testing.assert_allclose(r2, 1 - 2 * loss / p.data.y_test.var(), rtol=1e-5)
    assert np.mean([shot.held_out[0, 0] for shot in shots]) < 0.02  # the best constant has 0


def test_inputs_are_scaled_and_moved_and_the_decision_grid_with_them():
    usual = small(dataset="moons", initializers=("he_normal",), input_scale=255.0, input_mean=100.0)
    for examples in (Trainer(usual).groups[0].train, Trainer(usual).groups[0].held_out):
        x = usual.data.x_train if len(examples) == 1_000 else usual.data.x_test
        np.testing.assert_allclose(examples.x[:, :-1], 255 * x + 100, rtol=1e-6)
    np.testing.assert_array_equal(usual.decision_axes, small(dataset="moons").decision_axes)


def test_addresses_may_say_depth_and_width():
    p = TrainParams.parse_lenient({"dataset": ["moons"], "depth": ["8"], "width": ["12"]}, text=True)[0]
    assert p == TrainParams.uniform(8, 12, dataset="moons")
    assert p.widths == (2, *(12,) * 7, 2)
    assert TrainParams.parse_lenient({"dataset": ["moons"]}, text=True)[0].widths == (2, *(64,) * 29, 2)


@pytest.mark.parametrize("rest", [{}, {"normalization": "batch"}, {"dataset": "moons", "batch": 100}])
def test_flops_are_those_that_torch_counts(rest):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    p = small(**{"seeds": 1, "initializers": ("he_normal",), "steps": 1} | rest)
    pairs = zip(p.widths, p.widths[1:], strict=False)
    model = torch.nn.Sequential(*[part for n, m in pairs
                                  for part in (torch.nn.Linear(n, m), torch.nn.ReLU())][:-1])
    with FlopCounterMode(display=False) as step:
        x, y = torch.zeros(p.batch, p.widths[0]), torch.zeros(p.batch, dtype=torch.int64)
        torch.nn.functional.cross_entropy(model(x), y).backward()
    with FlopCounterMode(display=False) as batch, torch.no_grad():
        model(x)
    held_out = -(-len(p.data.x_test) // p.batch)
    # inspected, answered, and for batch normalization gathered
    batches = 1 + held_out * (2 if p.normalization == "batch" else 1)
    grids = -(-1024 // p.batch) if p.dataset == "moons" else 0
    assert p.flops == 2 * step.get_total_flops() + 2 * (batches + grids) * batch.get_total_flops()


def test_flops_count_every_pass_that_is_made(monkeypatch):
    passes = []
    for name in ("_predict", "_backward_and_update"):
        method = getattr(Nets, name)
        monkeypatch.setattr(Nets, name, lambda *a, _name=name, _method=method, **k: (
            passes.append(_name), _method(*a, **k)))
    p = small(normalization="batch", dataset="moons", seeds=1, initializers=("he_normal",))
    list(train(p))
    products = sum(n * m for n, m in zip(p.widths, p.widths[1:], strict=False))
    forward, back = passes.count("_predict"), passes.count("_backward_and_update")
    assert back == p.steps + 1
    assert p.flops == 2 * p.batch * (forward * products + back * (2 * products - p.widths[0] * p.widths[1]))


@pytest.mark.parametrize("rest", [{}, {"optimizer": "adam", "activation": "gelu"}, {"clip": 1.0, "seeds": 3},
                                  {"normalization": "batch", "residual": "plain"}])
def test_memory_is_what_was_promised(rest):
    p = TrainParams.uniform(20, 96, steps=2, batch=64, **rest)
    assert p.data.x_train.size
    tracemalloc.start()
    try:
        list(train(p))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak == pytest.approx(p.memory_bytes, rel=0.15)
