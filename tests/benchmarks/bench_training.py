"""Training against eager PyTorch, jitted JAX and this machine's matrix product, on a quiet machine:

    python tests/benchmarks/bench_training.py [minutes]

The same nets, minibatches and steps in every contestant, on two cores, in turns, medians; only ours measure
their nets on the way. All use this processor's kernels (so no ``OPENBLAS_CORETYPE``).
Rounds go on while their shape's share of the minutes (five) lasts, two at least and nine at most.
"""

import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.pop("OPENBLAS_CORETYPE", None)  # before NumPy is imported

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.training.parameters import weights_of
from vgdash.training.trainer import Trainer, TrainParams

INITIALIZERS = ("lecun_normal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform")  # five nets
# depth, width, batch, times PyTorch to reach
SHAPES = ((50, 64, 64, 3.0), (20, 128, 128, 2.5), (10, 256, 128, 1.7))
JAX_TARGET = 1.3
CORES = 2
FEWEST, MOST = 2, 9  # rounds
WORK = 2.5e11  # operations of a run: one or two seconds
SNAPSHOTS = 5


def params(depth, width, batch, steps):
    return TrainParams.uniform(depth, width, initializers=INITIALIZERS, batch=batch, steps=steps,
                               snapshots=SNAPSHOTS, learning_rate=0.001)


def start(p):
    """Initial weights, biases being 0: for each layer (nets, fan_out, fan_in)."""
    trainer = Trainer(p)
    return [weights_of(trainer, layer)[:, 0] for layer in range(1, p.depth + 1)]


def minibatches(p):
    order, rows, at = np.random.default_rng([p.seed, 0]), np.arange(len(p.data.x_train)), len(p.data.x_train)
    for _ in range(p.steps + 1):
        if at + p.batch > len(rows):
            order.shuffle(rows)
            at = 0
        yield rows[at:at + p.batch].copy()
        at += p.batch


def early(p):
    """The steps whose mean loss shows that all do the same job, those before rounding has grown."""
    return slice(1, p.steps // SNAPSHOTS + 1)


def ours(p):
    trainer = Trainer(p, CORES)
    begin = time.perf_counter()
    second = list(trainer)[1]
    return time.perf_counter() - begin, second.loss[:, 0]


def pytorch(p):
    import torch

    torch.set_num_threads(CORES)
    weights, models = start(p), []
    for net in range(p.nets):
        layers = []
        for w in weights:
            linear = torch.nn.Linear(*w.shape[:0:-1])
            with torch.no_grad():
                linear.weight[:], linear.bias[:] = torch.tensor(w[net]), 0
            layers += [linear, torch.nn.ReLU()]
        models.append(torch.nn.Sequential(*layers[:-1]))
    rules = [torch.optim.SGD(model.parameters(), lr=p.learning_rate) for model in models]
    x, y = torch.tensor(p.data.x_train), torch.tensor(p.data.y_train)
    losses = []
    begin = time.perf_counter()
    for rows in minibatches(p):
        xb, yb = x[rows], y[rows]
        losses.append([])
        for model, rule in zip(models, rules, strict=True):
            rule.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(xb), yb)
            loss.backward()
            rule.step()
            losses[-1].append(loss.detach())
    elapsed = time.perf_counter() - begin
    return elapsed, np.array(losses)[early(p)].mean(axis=0)


def jitted_jax(p):
    import jax
    import jax.numpy as jnp

    def loss(params, x, y):
        (w1, b1), hidden, (w2, b2) = params
        a = jax.nn.relu(x @ w1.T + b1)
        a, _ = jax.lax.scan(lambda a, wb: (jax.nn.relu(a @ wb[0].T + wb[1]), None), a, hidden)
        z = a @ w2.T + b2
        return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()

    @jax.jit
    def step(params, x, y):
        losses, gradient = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None, None))(params, x, y)
        return losses, jax.tree.map(lambda w, g: w - p.learning_rate * g, params, gradient)

    weights = [jnp.array(w) for w in start(p)]
    pairs = [(w, jnp.zeros(w.shape[:2])) for w in weights]
    params = (pairs[0], tuple(jnp.stack(parts, axis=1) for parts in zip(*pairs[1:-1], strict=True)),
              pairs[-1])
    x, y = jnp.array(p.data.x_train), jnp.array(p.data.y_train)
    jax.block_until_ready(step(params, x[:p.batch], y[:p.batch]))
    losses = []
    begin = time.perf_counter()
    for rows in minibatches(p):
        now, params = step(params, x[rows], y[rows])
        losses.append(now)
    jax.block_until_ready(params)
    elapsed = time.perf_counter() - begin
    return elapsed, np.array(losses)[early(p)].mean(axis=0)


def product_rate(width, batch, seconds=0.5):
    """Operations a second of W a, Wᵀ δ and δ aᵀ in turn, on all cores, each with its own operands."""
    def work(which):
        w, a, delta = np.ones((width, width), np.float32), *np.ones((2, width, batch), np.float32)
        forward, gradient = np.empty_like(a), np.empty_like(w)
        operands = (w, a, forward), (w.T, delta, forward), (delta, a.T, gradient)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for _ in range(20):
                for left, right, out in operands:
                    np.matmul(left, right, out=out)
            counts[which] += 60

    counts = [0] * CORES
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(CORES) as pool:
        list(pool.map(work, range(CORES)))
    return sum(counts) * 2 * width * width * batch / seconds


def contest(depth, width, batch, target, seconds_left):
    few, many = (params(depth, width, batch, steps).flops for steps in (SNAPSHOTS, 2 * SNAPSHOTS))
    p = params(depth, width, batch, steps := SNAPSHOTS * round(WORK / (many - few)))
    contestants = {"vgdash": ours, "PyTorch": pytorch, "JAX": jitted_jax}
    seconds, losses, rates = {name: [] for name in contestants}, {}, []
    begin = time.perf_counter()
    while len(rates) < MOST:
        spent = time.perf_counter() - begin
        if len(rates) >= FEWEST and spent >= seconds_left * len(rates) / (len(rates) + 1):
            break
        rates.append(product_rate(width, batch))
        for name, run in list(contestants.items()):
            try:
                elapsed, losses[name] = run(p)
            except ModuleNotFoundError as missing:
                print(f"  {name} left out: {missing}")
                del contestants[name]
                continue
            seconds[name].append(elapsed)
    for name in contestants:
        np.testing.assert_allclose(losses[name], losses["vgdash"], rtol=2e-2,
                                   err_msg=f"{name} did another job")
    median = {name: statistics.median(seconds[name]) for name in contestants}
    rate = p.flops / median["vgdash"]
    print(f"{depth} layers x {width}, batch {batch}, {p.nets} nets, {steps} steps, {len(rates)} rounds:"
          f" {median['vgdash'] / steps * 1e3:.2f} ms a step")
    for name in list(contestants)[1:]:
        wanted = target if name == "PyTorch" else JAX_TARGET
        print(f"  {median[name] / median['vgdash']:.2f} times as fast as {name} (to reach: {wanted})")
    share = rate / statistics.median(rates)
    print(f"  {rate / 1e9:.0f} GFLOP/s, {share:.0%} of a layer's three products (to reach: 60%)", flush=True)


if __name__ == "__main__":
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    print("NumPy's kernels:", *(library["architecture"] for library in blas))
    for shape in SHAPES:
        contest(*shape, 60 * minutes / len(SHAPES))
