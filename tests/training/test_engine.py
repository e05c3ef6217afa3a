"""The inner loop: gradients against finite differences, trajectories against PyTorch, memory of a step."""

import tracemalloc
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import scipy.special

from vgdash.activations import ACTIVATIONS
from vgdash.layers import AXES, RESIDUALS, Net, Tape, forward, residual_factors
from vgdash.training.engine import Examples, Nets
from vgdash.training.memory_layout import MemoryLayout
from vgdash.training.optimizers import OPTIMIZERS

WIDTHS, ROWS = (5, 6, 4, 4, 4, 3), 24
REMEDIES = [(normalization, residual) for normalization in AXES for residual in RESIDUALS]


def layout_of(activation="relu", optimizer="sgd", widths=WIDTHS, batch=8, dtype=np.float64, clip=0.0,
              normalization="none", residual="none", keep=1.0, norm_scale=1.0, squared=False):
    return MemoryLayout(widths, ACTIVATIONS[activation], OPTIMIZERS[optimizer], 0.9, clip, batch,
                        np.dtype(dtype), normalization, residual, keep, norm_scale, squared)


def examples(p, rows=ROWS):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, p.widths[0])), rng.integers(0, p.widths[-1], rows)
    return x, y, Examples.of(x, y, p.widths[-1], p.dtype)


def filled(p, nets=3, rows=ROWS, rates=0.05):
    """Nets with random weights and biases."""
    x, y, both = examples(p, rows)
    made = Nets(p, nets, both, both, np.random.default_rng(7), np.broadcast_to(rates, nets))
    rng = np.random.default_rng(1)
    for layer in range(1, p.depth + 1):
        weights = made.weights(layer)
        weights[:] = rng.standard_normal(weights.shape) * 1.5 / np.sqrt(p.widths[layer - 1])
        made.biases(layer)[:] = rng.standard_normal(made.biases(layer).shape) * 0.3
    return made, x, y


def parameters(nets):
    """All weights and biases, a copy ``(nets, all)``, layer by layer as (fan_out, fan_in + 1)."""
    layers = [np.concatenate([nets.weights(layer), nets.biases(layer)[..., None]], axis=2)
              for layer in range(1, nets.layout.depth + 1)]
    return np.concatenate([both.reshape(nets.nets, -1) for both in layers], axis=1)


def put(nets, values):
    start = 0
    for layer in range(1, nets.layout.depth + 1):
        weights, biases = nets.weights(layer), nets.biases(layer)
        end = start + weights[0].size + biases[0].size
        both = values[:, start:end].reshape(nets.nets, weights.shape[1], -1)
        start = end
        weights[:], biases[:] = both[..., :-1], both[..., -1]


def quietly(nets, until):
    with np.errstate(all="ignore"):
        return nets.run(until, False, lambda: False, lambda: None, True)


def formula(nets, x, y):
    """Mean loss of each net as ``layers.forward`` computes it; the last layer is linear."""
    p, losses = nets.layout, []
    skips = (*residual_factors(p.widths[:-1], p.residual, p.norm_scale), None)
    def mask(index):
        return nets.masks[index + 1][:, np.argsort(nets._rows)].T  # the minibatch is all rows, shuffled

    for i in range(nets.nets):
        weights, biases = ([get(layer)[i] for layer in range(1, p.depth + 1)]
                           for get in (nets.weights, nets.biases))
        net = Net(p.activation, weights[:-1], [1.0] * (p.depth - 1), skips[:-1], biases[:-1],
                  AXES[p.normalization], mask if p.keep < 1 else None,
                  norm_scale=p.norm_scale if p.residual == "none" else 1.0)
        tape = Tape(p.widths[:-1], len(x), np.float64)
        for _ in forward(net, x, tape):
            pass
        if p.squared:
            error = tape.a[-1] @ weights[-1].T + biases[-1] - np.eye(p.widths[-1])[y]
            losses.append((error**2).sum(axis=1).mean() / 2)
            continue
        log_shares = scipy.special.log_softmax(tape.a[-1] @ weights[-1].T + biases[-1], axis=1)
        losses.append(-log_shares[np.arange(len(y)), y].mean())
    return np.array(losses)


# in place; slope from the output; slope from the input
@pytest.mark.parametrize(("name", "remedy"), [
    *((name, (*REMEDIES[0], 1.0)) for name in [*ACTIVATIONS, "z*sigmoid(2*z)", "max(-1,min(z,1))"]),
    *product(["relu", "tanh", "gelu"], [(*remedy, 1.0) for remedy in REMEDIES[1:]]),
    *product(["relu", "tanh", "gelu"], [("none", "none", 0.7), ("layer", "scaled", 0.7)])])
def test_the_gradient_agrees_with_finite_differences(name, remedy):
    normalization, residual, keep = remedy
    assert gradient_error(layout_of(name, batch=ROWS, normalization=normalization, residual=residual,
                                    keep=keep)) < 1e-6


def gradient_error(p, directions=12):
    """Largest relative error of one step of rate 1, by net, against central differences of ``formula``.

    Along random directions, which show an error of any coordinate in proportion to its size.
    """
    nets, x, y = filled(p, rates=1.0)
    start = parameters(nets)
    quietly(nets, 0)
    gradient = start - parameters(nets)
    if (keep := p.keep) < 1:  # kept units are scaled by 1/keep, and nothing is dropped in a test
        mask = nets.mask.copy()
        assert set(np.unique(mask)) == {0, 1 / keep}
        nets.mask[:] = 1
        np.testing.assert_allclose(nets.evaluate(nets.held_out)[0], formula(nets, x, y), rtol=1e-12)
        nets.mask[:] = mask
    h, moves = 1e-5, np.random.default_rng(2).standard_normal((directions, start.shape[1]))
    moves /= np.linalg.norm(moves, axis=1, keepdims=True)
    losses = []
    for move in moves:
        for sign in (1, -1):
            put(nets, start + sign * h * move)
            losses.append(formula(nets, x, y))
    numeric = -np.diff(np.reshape(losses, (directions, 2, -1)), axis=1)[:, 0].T / (2 * h)
    error = gradient @ moves.T - numeric
    return (np.linalg.norm(error, axis=1) / np.linalg.norm(numeric, axis=1)).max()


TORCH = {"relu": "ReLU", "tanh": "Tanh", "silu": "SiLU", "elu": "ELU"}


def torch_model(nets, i, name):
    """Net i as a PyTorch module with the same weights."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    p = nets.layout
    skips = residual_factors(p.widths[:-1], p.residual)
    makers = {"none": lambda n: torch.nn.Identity(),
              "batch": lambda n: torch.nn.BatchNorm1d(n, affine=False, momentum=None, dtype=torch.float64),
              "layer": lambda n: torch.nn.LayerNorm(n, elementwise_affine=False, dtype=torch.float64)}

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linears = torch.nn.ModuleList([torch.nn.Linear(n, m, dtype=torch.float64)
                                                for n, m in pairwise(p.widths)])
            self.norms = torch.nn.ModuleList([makers[p.normalization](n) for n in p.widths[1:-1]])
            self.activation = getattr(torch.nn, TORCH[name])()

        def forward(self, x):
            a, z = x, None
            for linear, norm, skip in zip(self.linears[:-1], self.norms, skips, strict=True):
                branch = norm(linear(a)) * p.norm_scale
                z = branch if skip is None else z + skip * branch
                a = self.activation(z)
            return self.linears[-1](a)

    model = Model()
    with torch.no_grad():
        for layer, linear in enumerate(model.linears, 1):
            linear.weight[:] = torch.tensor(nets.weights(layer)[i])
            linear.bias[:] = torch.tensor(nets.biases(layer)[i])
    return model


def torch_trajectory(name, optimizer, nets, x, y, steps, rates):
    """Final parameters of each net after PyTorch's own training from the weights of ``nets``."""
    torch = pytest.importorskip("torch")
    final, batch, clip = [], nets.layout.batch, nets.layout.clip
    for i in range(nets.nets):
        model = torch_model(nets, i, name)
        rule = {"sgd": torch.optim.SGD, "momentum": partial(torch.optim.SGD, momentum=0.9),
                "adam": torch.optim.Adam}[optimizer](model.parameters(), lr=rates[i])
        order, rows, at = np.random.default_rng(7), np.arange(len(x)), len(x)
        for _ in range(steps):
            if at + batch > len(x):
                order.shuffle(rows)
                at = 0
            chosen = rows[at:at + batch]
            at += batch
            rule.zero_grad()
            logits = model(torch.tensor(x[chosen]))
            labels = torch.tensor(y[chosen])
            if nets.layout.squared:
                one_hot = torch.nn.functional.one_hot(labels, nets.layout.widths[-1]).to(logits.dtype)
                loss = torch.nn.functional.mse_loss(logits, one_hot, reduction="sum") / (2 * batch)
            else:
                loss = torch.nn.functional.cross_entropy(logits, labels)
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            rule.step()
        both = [torch.cat([linear.weight, linear.bias[:, None]], dim=1).ravel() for linear in model.linears]
        final.append(torch.cat(both).detach().numpy())
    return np.array(final)


def follow_pytorch(p, name, optimizer, steps, rates, moved):
    nets, x, y = filled(p, nets=2, rates=rates)
    theirs = torch_trajectory(name, optimizer, nets, x, y, steps, rates)
    start = parameters(nets)
    quietly(nets, steps - 1)
    assert np.abs(theirs - start).max(axis=1).min() > moved
    np.testing.assert_allclose(parameters(nets), theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("clip", [0.0, 0.3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", TORCH)
def test_fifty_steps_follow_pytorch(name, optimizer, clip):
    p = layout_of(name, optimizer, batch=10, clip=clip)
    rates = np.array([0.05, 0.02])  # each net has its own
    follow_pytorch(p, name, optimizer, 50, rates, 0.04)


@pytest.mark.parametrize("name", ["relu", "tanh", "silu"])
@pytest.mark.parametrize(("normalization", "residual"), REMEDIES[1:])
def test_twenty_steps_follow_pytorch_under_every_remedy(name, normalization, residual):
    """At widths 12, not 4: of four relu units batch normalization sometimes sees hardly any variance."""
    p = layout_of(name, widths=(5, 12, 8, 8, 8, 8, 3), batch=12, normalization=normalization,
                  residual=residual)
    follow_pytorch(p, name, "sgd", 20, (0.05, 0.05), 0.02)


@pytest.mark.parametrize(("residual", "scale"), [("none", 1.0), ("scaled", 1.0), ("none", 0.4)])
def test_batch_normalization_answers_with_the_statistics_that_pytorch_gathers_over_the_same_batches(
        residual, scale):
    torch = pytest.importorskip("torch")
    p = layout_of("tanh", batch=7, normalization="batch", residual=residual, norm_scale=scale)
    nets, x, y = filled(p)
    with np.errstate(all="ignore"):
        nets.update_batchnorm_statistics()
        loss, accuracy = nets.evaluate(nets.train)
    batches = np.random.default_rng(0).permutation(ROWS)[:21].reshape(3, 7)
    for i in range(nets.nets):
        model = torch_model(nets, i, "tanh")
        with torch.no_grad():
            for rows in batches:
                model(torch.tensor(x[rows]))
            model.eval()
            logits = model(torch.tensor(x))
            theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(y)).item()
            assert loss[i] == pytest.approx(theirs, rel=1e-9)
        assert accuracy[i] == pytest.approx((logits.argmax(dim=1).numpy() == y).mean(), rel=1e-12)


@pytest.mark.parametrize(("normalization", "residual"), [
    ("none", "none"), ("batch", "plain"), ("layer", "scaled")])
def test_a_step_allocates_no_arrays(normalization, residual):
    p = layout_of(optimizer="adam", widths=(64, *(64,) * 12, 10), batch=64, dtype=np.float32,
                  normalization=normalization, residual=residual)
    nets, _, _ = filled(p, rows=200)
    smallest = 3 * 64 * 64 * 4  # one array of one hidden layer
    quietly(nets, 20)
    with np.errstate(all="ignore"):
        tracemalloc.start()
        try:
            for _ in range(20):
                nets._read(nets.train, nets._next_minibatch())
                nets._predict(nets.forward)
                nets._freeze_diverged(nets._losses.mean(axis=1))
                nets._backward_and_update(None, True)
                nets.updates += 1
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < smallest


@pytest.mark.parametrize(("activation", "rest"), [
    *(case for optimizer in OPTIMIZERS for case in (
        ("relu", {"optimizer": optimizer}), ("gelu", {"optimizer": optimizer, "clip": 1.0}))),
    *((activation, {"normalization": normalization, "residual": residual})
      for activation in ("relu", "gelu") for normalization, residual in REMEDIES[1:])])
def test_the_memory_formula_counts_what_is_allocated(activation, rest):
    p = layout_of(activation, widths=(64, *(96,) * 10, 10), batch=64, dtype=np.float32, **rest)
    _, _, data = examples(p, 200)
    tracemalloc.start()
    try:
        nets = Nets(p, 3, data, data, np.random.default_rng(0), np.ones(3))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert parameters(nets).shape == (3, p.array_sizes(1)["parameters"])
    assert p.memory_bytes(3) == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_net_that_explodes_is_frozen_and_the_others_do_not_freeze_diverged(optimizer, clip):
    p = layout_of(optimizer=optimizer, clip=clip, dtype=np.float32)
    together, _, _ = filled(p)
    alone, _, _ = filled(p)
    together.weights(2)[1] = 1e30
    together.weights(4)[1] = 1e30
    broken = parameters(together)[1]
    one, two = quietly(together, 15), quietly(alone, 15)
    assert together.diverged.tolist() == [-1, 0, -1]
    assert np.array_equal(parameters(together)[1], broken)
    assert np.array_equal(parameters(together)[[0, 2]], parameters(alone)[[0, 2]])
    for ours, theirs in zip(one.values(), two.values(), strict=True):
        assert np.isnan(ours[1]).all()
        assert np.array_equal(ours[[0, 2]], theirs[[0, 2]])
        assert not np.isnan(ours[0]).any()


def test_a_gradient_that_overflows_although_the_loss_does_not_is_noticed():
    """Forward the last layers undo what the first one does; backward their product overflows in float32."""
    p = layout_of("linear", widths=(4, 4, 4, 3), dtype=np.float32)
    nets, _, _ = filled(p, nets=2, rates=1.0)
    for layer in (1, 2, 3):
        nets.biases(layer)[0] = 0
    nets.weights(1)[0] = 1e-30
    nets.weights(2)[0] *= 1e25
    nets.weights(3)[0] *= 1e25
    with np.errstate(all="ignore"):
        assert np.isfinite(nets.evaluate(nets.train)[0]).all()
    quietly(nets, 0)
    assert nets.diverged.tolist() == [0, -1]


def test_chunks_hold_every_layer_once_from_the_last_to_the_first_and_stay_within_the_cache():
    p = layout_of(widths=(64, *(64,) * 49, 10), batch=64, dtype=np.float32)
    chunks = p.chunks(2)
    assert [layer for first, last in chunks for layer in range(last, first - 1, -1)] == list(range(50, 0, -1))
    longest = max(last - first + 1 for first, last in chunks)
    one_layer = 2 * 64 * (65 + 64) * 4
    assert longest * one_layer <= 384 * 1024 < (longest + 1) * one_layer


@pytest.mark.parametrize("widths", [(5, 3), (5, 1, 3), (5, 3, 3, 3, 3), (5, 7, 2, 2, 2, 9, 3)])
def test_any_widths_learn_what_the_same_widths_learn_in_one_chunk_or_many(widths, monkeypatch):
    results = []
    for cache in (0, 1 << 24):
        monkeypatch.setattr("vgdash.training.memory_layout.CACHE", cache)
        nets, _, _ = filled(layout_of("tanh", widths=widths))
        before = nets.evaluate(nets.train)[0]
        quietly(nets, 200)
        assert (nets.evaluate(nets.train)[0] < before).all()
        results.append(parameters(nets))
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)
