"""Nets drawn from a grid, trained from many starts: the table of outcomes that ``bench_advice`` judges by."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import vgdash
from vgdash.parallel import single_threaded_blas
from vgdash.probe.params import ProbeParams
from vgdash.training.data import DATASETS, load
from vgdash.training.engine import Examples, Nets
from vgdash.training.params import TrainParams
from vgdash.training.trainer import Trainer

TABLE = Path(vgdash.__file__).parent / "datasets" / "advice.csv.gz"
DRAWN = {0: 150, 1: 60, 4: 60, 5: 60}  # nets of each draw

# ---- the grid: a name that stands twice is drawn twice as often
ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "softsign",
               "tanh", "sigmoid")  # linear on the digits only
DEPTHS = (3, 4, 6, 8, 12, 16, 24, 32, 50, 100)
WIDTHS = (32, 48)  # the narrowest hidden layers; 32 from 32 layers on
PROFILES = ("constant", "constant", "narrowing", "wide-narrow")
NORMALIZATIONS = ("none", "none", "none", "layer", "batch")
RESIDUALS = ("none", "none", "none", "plain", "scaled")
KEEPS = (1.0, 1.0, 1.0, 0.9)
DATA = ("digits", "digits", "circles")
LADDERS = {"sgd": (0.3, 0.05, 0.008, 0.0013), "momentum": (0.03, 0.005, 0.0008, 0.00013),
           "adam": (0.01, 0.002, 0.0004, 0.00008)}
USER_GAMMAS = (1.0, 1.0, 1.0, 0.5, 2.0, 4.0)

NAMED = ("zeros", "small_normal", "standard_normal", "lecun_normal", "lecun_uniform", "glorot_normal",
         "glorot_uniform", "he_normal", "he_uniform", "orthogonal", "identity", "pytorch_default",
         "playground_default")
TUNED = (*(("lecun_normal", gamma) for gamma in (0.5, 2.0, 4.0, 8.0)),
         *(("orthogonal", gamma) for gamma in (1.4142, 2.0, 4.0)))
STEPS, BATCH = 300, 16
FRESH = (1, 2, 3, 4)  # seeds; the others are for finding the rate
COARSE, FINE = 0, (5, 6, 7)
FINER = 2.5  # a rate of the ladder, times or divided by it, lies midway to the next
HOPELESS = 0.1  # of accuracy above chance
COLUMNS = ("draw", "net", "change", "initializer", "gamma", "rate", "hits")
CHANGES = ("residual", "normalization", "activation", "widths")  # of a net, that are recommended

Start = tuple[str, float]
Key = tuple[int, int, str]  # draw, net, and what is changed of it: "residual=scaled", or nothing
Job = tuple[str, float, float, int]  # start, rate, seed


def hidden_widths(profile: str, depth: int, width: int) -> tuple[int, ...]:
    if profile == "constant":
        return (width,) * (depth - 1)
    if profile == "narrowing":
        return tuple((2 * width, 3 * width // 2, width)[3 * i // (depth - 1)] for i in range(depth - 1))
    return tuple((2 * width, width)[i // 2 % 2] for i in range(depth - 1))


def drawn(draw: int, count: int) -> list[tuple[TrainParams, Start]]:
    """List the first nets of a draw, and what their users had."""
    rng, found = random.Random(draw), []
    for _ in range(count):
        depth, dataset = rng.choice(DEPTHS), rng.choice(DATA)
        activation = rng.choice([name for name in ACTIVATIONS if name != "linear" or dataset == "digits"])
        width = rng.choice(WIDTHS if depth < 32 else WIDTHS[:1])
        hidden = hidden_widths(rng.choice(PROFILES), depth, width)
        widths = (DATASETS[dataset].features, *hidden, DATASETS[dataset].classes)
        net = TrainParams(widths, activation, ("lecun_normal",), dataset, rng.choice(tuple(LADDERS)),
                          batch=BATCH, steps=STEPS, seeds=1 + max(FINE), snapshots=1,
                          normalization=rng.choice(NORMALIZATIONS), residual=rng.choice(RESIDUALS),
                          keep=rng.choice(KEEPS))
        found.append((net, (rng.choice(NAMED), rng.choice(USER_GAMMAS))))
    return found


def as_probed(net: TrainParams, start: Start) -> ProbeParams:
    """The same net for ``recommend`` and ``diagnose``."""
    return ProbeParams(net.widths, net.activation, *start, batch=net.batch, seeds=2,
                       normalization=net.normalization, residual=net.residual, keep=net.keep)


def chance(net: TrainParams) -> float:
    return 1 / DATASETS[net.dataset].classes


def hopeless(net: TrainParams) -> float:
    """Return the accuracy up to which a start counts as chance."""
    return chance(net) + HOPELESS


# ---- training

def train_starts(net: TrainParams, jobs: list[Job]) -> dict[Job, float]:
    """Train ``net`` from each of ``jobs``, side by side; return the accuracy on held-out examples."""
    found = {}
    for seed in sorted({job[-1] for job in jobs}):
        mine = [job for job in jobs if job[-1] == seed]
        data, layout = load(net.dataset, seed=seed), net.memory_layout(np.float32)
        train, held_out = (Examples.of(x, y, data.classes, np.float32)
                           for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)))
        nets = Nets(layout, len(mine), train, held_out, np.random.default_rng([seed, 0]),
                    np.array([job[2] for job in mine]))
        for start in {job[:2] for job in mine}:
            groups = Trainer(replace(net, initializers=start[:1], gamma=start[1]), workers=1).groups
            for layer in range(1, net.depth + 1):
                weights, biases = (np.concatenate([getattr(group, name)(layer) for group in groups])[seed]
                                   for name in ("weights", "biases"))
                for i, job in enumerate(mine):
                    if job[:2] == start:
                        nets.weights(layer)[i], nets.biases(layer)[i] = weights, biases
        with single_threaded_blas(), np.errstate(all="ignore"):
            measured = nets.run(STEPS, True, lambda: False, lambda: None, True)
        hits = np.where(nets.diverged >= 0, chance(net), measured["held_out"])
        found |= dict(zip(mine, hits.tolist(), strict=True))
    return found


@dataclass(frozen=True)
class Outcome:
    """Rate and accuracies on the fresh seeds of a start; none if it stayed at chance."""

    rate: float
    hits: tuple[float, ...]

    def mean(self, chance: float) -> float:
        return fmean(self.hits) if self.hits else chance

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return stdev(self.hits) / math.sqrt(len(self.hits)) if self.hits else 0.0


def outcomes(net: TrainParams, starts: list[Start]) -> dict[Start, Outcome]:
    """Train ``net`` from each start."""
    rates = LADDERS[net.optimizer]
    near = best_on_one_seed(net, starts, rates)
    lost = [start for start, (hits, _) in near.items() if hits <= hopeless(net)]
    near |= best_on_one_seed(net, lost, [rate * FINER for rate in rates])
    return best_of_neighbours(net, near)


def best_on_one_seed(net: TrainParams, starts: list[Start],
                     rates: Sequence[float]) -> dict[Start, tuple[float, float]]:
    """Return accuracy and rate of the best of ``rates``, for each start."""
    runs = train_starts(net, [(*start, rate, COARSE) for start in starts for rate in rates])
    return {start: max((runs[*start, rate, COARSE], rate) for rate in rates) for start in starts}


def best_of_neighbours(net: TrainParams, near: dict[Start, tuple[float, float]]) -> dict[Start, Outcome]:
    """Choose among each rate and its neighbours on ``FINE`` seeds, and judge the best on ``FRESH`` ones."""
    hopeful = {start: (rate, rate * FINER, rate / FINER) for start, (hits, rate) in near.items()
               if hits > hopeless(net)}
    runs = train_starts(net, [(*start, rate, seed) for start, rates in hopeful.items()
                              for rate in rates for seed in FINE])
    best = {start: max(rates, key=lambda rate, start=start: sum(runs[*start, rate, seed] for seed in FINE))
            for start, rates in hopeful.items()}
    runs |= train_starts(net, [(*start, rate, seed) for start, rate in best.items() for seed in FRESH])
    return {start: Outcome(best[start], tuple(runs[*start, best[start], seed] for seed in FRESH))
            if start in best else Outcome(near[start][1], ()) for start in near}


# ---- the table of outcomes

Table = dict[Key, dict[Start, Outcome]]


def read(path: Path = TABLE) -> Table:
    """Read a table of outcomes; one that is not there is empty."""
    table: Table = {}
    text = gzip.decompress(path.read_bytes()).decode() if path.exists() else ""
    for row in csv.DictReader(io.StringIO(text)):
        hits = tuple(float(hit) for hit in row["hits"].split())
        table.setdefault((int(row["draw"]), int(row["net"]), row["change"]), {})[
            row["initializer"], float(row["gamma"])] = Outcome(float(row["rate"]), hits)
    return table


def write(table: Table, path: Path = TABLE) -> None:
    """Write a table, and replace the old one at once."""
    lines = [",".join(COLUMNS)]
    for (draw, net, change), found in sorted(table.items()):
        for (name, gamma), outcome in sorted(found.items()):
            hits = " ".join(f"{hit:.4g}" for hit in outcome.hits)
            lines.append(f"{draw},{net},{change},{name},{gamma:g},{outcome.rate:g},{hits}")
    new = path.with_name(path.name + ".new")
    new.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), 9, mtime=0))
    new.replace(path)


def find(found: dict[Start, Outcome], start: Start) -> Outcome | None:
    """Return the outcome of a start, or of one whose gamma is within 3 %: theory moves in its last digits."""
    near = [one for one in found if one[0] == start[0] and abs(one[1] - start[1]) <= 0.03 * start[1]]
    return found[min(near, key=lambda one: abs(one[1] - start[1]))] if near else None


NETS = {(draw, i, ""): net for draw, count in DRAWN.items() for i, net in enumerate(drawn(draw, count))}


@cache
def net_of(key: Key) -> TrainParams:
    """Return the net of a key of the table, changed as that says."""
    net, _ = NETS[*key[:2], ""]
    changes = dict(change.split("=") for change in key[2].split()) if key[2] else {}
    return replace(net, **{name: net.keys()[name].parse(name, [value]) for name, value in changes.items()})


def change_of(p: ProbeParams, other: ProbeParams) -> str:
    """Write what another net has changed: "residual=scaled widths=64-32x9-10"."""
    spelled = {name: p.keys()[name].to_query(getattr(other, name))[0] for name in CHANGES
               if getattr(other, name) != getattr(p, name)}
    return " ".join(f"{name}={value}" for name, value in spelled.items())
