"""Advice and verdicts judged by training: python -m tests.benchmarks.bench_advice [CPU minutes]

Nets are drawn from the grid below, with a fixed seed, and each is trained by vgdash's own engine from (a)
what its user had, an initializer and a gamma drawn at random, (b) what ``recommend`` says, (c) every named
initializer, and some tuned ones. (keras_default is glorot_uniform; flax_default differs from lecun_normal by
its tails: they are not trained again.) A start is trained for ``STEPS`` steps of ``BATCH`` examples, first on
one seed with each rate of the optimizer's ladder, as a practitioner would look for a rate, then at the best
rate on fresh seeds of weights, order, masks, and points of the circles.

Its accuracy is the mean over the fresh seeds of the share of hits on held-out examples, so that the choice of
the rate does not flatter it; chance if it stays within ``HOPELESS`` of it at all rates. The regret of a
recommendation is the best accuracy of all starts minus its own. A difference counts only beyond its own
standard error over the seeds: the best of twenty equal starts lies one or two of them above the middle.

Outcomes are kept in ``vgdash/datasets/advice.csv.gz``; what they lack is trained and added, net after net.
Draw 0 was looked at while the rule of the advice was made, draw 1 was not; both were while the limits of the
verdicts were, and the preference for gammas near 1 (ADVICE.md).
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import random
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import vgdash
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.outlook import Outlook, outlooks
from vgdash.diagnosis.recommendation import recommend
from vgdash.diagnosis.record import Diagnosis
from vgdash.parallel import single_threaded_blas
from vgdash.probe.params import ProbeParams
from vgdash.training.data import DATASETS, load
from vgdash.training.engine import Examples, Nets
from vgdash.training.params import TrainParams
from vgdash.training.trainer import Trainer

TABLE = Path(vgdash.__file__).parent / "datasets" / "advice.csv.gz"
DRAWN = {0: 150, 1: 60}  # nets of each draw

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
FRESH = (1, 2, 3, 4)  # seeds; 0 is for finding the rate
HOPELESS = 0.1  # of accuracy above chance
COLUMNS = ("draw", "net", "initializer", "gamma", "rate", "hits")

Start = tuple[str, float]
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
                          batch=BATCH, steps=STEPS, seeds=1 + len(FRESH), snapshots=1,
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
    runs = train_starts(net, [(*start, rate, 0) for start in starts for rate in rates])
    best = {start: max((runs[*start, rate, 0], rate) for rate in rates) for start in starts}
    hopeful = [start for start in starts if best[start][0] > chance(net) + HOPELESS]
    runs |= train_starts(net, [(*start, best[start][1], seed) for start in hopeful for seed in FRESH])
    return {start: Outcome(best[start][1], tuple(runs[*start, best[start][1], seed] for seed in FRESH)
                           if start in hopeful else ()) for start in starts}


# ---- the table of outcomes

Table = dict[tuple[int, int], dict[Start, Outcome]]  # by draw and net


def read(path: Path = TABLE) -> Table:
    """Read a table of outcomes; one that is not there is empty."""
    table: Table = {}
    text = gzip.decompress(path.read_bytes()).decode() if path.exists() else ""
    for row in csv.DictReader(io.StringIO(text)):
        hits = tuple(float(hit) for hit in row["hits"].split())
        table.setdefault((int(row["draw"]), int(row["net"])), {})[
            row["initializer"], float(row["gamma"])] = Outcome(float(row["rate"]), hits)
    return table


def write(table: Table, path: Path = TABLE) -> None:
    """Write a table, and replace the old one at once."""
    lines = [",".join(COLUMNS)]
    for (draw, net), found in sorted(table.items()):
        for (name, gamma), outcome in sorted(found.items()):
            hits = " ".join(f"{hit:.4g}" for hit in outcome.hits)
            lines.append(f"{draw},{net},{name},{gamma:g},{outcome.rate:g},{hits}")
    new = path.with_name(path.name + ".new")
    new.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), 9, mtime=0))
    new.replace(path)


def starts_of(net: TrainParams, user: Start) -> tuple[list[Start], Start]:
    """List all starts of a net, and name the recommended one."""
    choice = recommend(as_probed(net, user)).choice
    advised = choice.initializer, choice.gamma
    return list(dict.fromkeys([*((name, 1.0) for name in NAMED), *TUNED, user, advised])), advised


def find(found: dict[Start, Outcome], start: Start) -> Outcome | None:
    """Return the outcome of a start, or of one whose gamma is within 3 %: theory moves in its last digits."""
    near = [one for one in found if one[0] == start[0] and abs(one[1] - start[1]) <= 0.03 * start[1]]
    return found[min(near, key=lambda one: abs(one[1] - start[1]))] if near else None


def fill(minutes: float, path: Path = TABLE) -> None:
    """Train what the table lacks, for so many minutes of processor time; cheap nets first."""
    table = read(path)
    nets = [(net, user, draw, index) for draw, count in DRAWN.items()
            for index, (net, user) in enumerate(drawn(draw, count))]
    for net, user, draw, index in sorted(nets, key=lambda one: one[0].flops):
        known = table.get((draw, index), {})
        if lacking := [start for start in starts_of(net, user)[0] if not find(known, start)]:
            table[draw, index] = known | outcomes(net, lacking)
            write(table, path)
            print(f"{time.process_time():.0f} s: net {index} of draw {draw}", flush=True)
        if time.process_time() > 60 * minutes:
            return


# ---- what it says of today's advice and verdicts

@dataclass(frozen=True)
class Judged:
    """One net: what was advised, the best of all and what the user had; differences beyond their errors."""

    draw: int
    net: TrainParams
    advised: Start
    accuracy: float
    best: Start
    regret: float
    below_user: float


def judge_advice(table: Table) -> list[Judged]:
    """Judge today's recommendation for each net of the table that has been trained from it."""
    judged = []
    for (draw, index), found in table.items():
        net, user = NETS[draw][index]
        advised = starts_of(net, user)[1]
        ours, theirs = find(found, advised), find(found, user)
        if ours and theirs:
            best = max(found, key=lambda start: found[start].mean(chance(net)))
            judged.append(Judged(draw, net, advised, ours.mean(chance(net)), best,
                                 _beyond(found[best], ours, net), _beyond(theirs, ours, net)))
    return judged


def _beyond(other: Outcome, ours: Outcome, net: TrainParams) -> float:
    """Accuracy of another start above ours, less its standard error; 0 if there is none."""
    difference = other.mean(chance(net)) - ours.mean(chance(net))
    return max(0.0, difference - math.hypot(other.error, ours.error))


def judge_verdicts(table: Table) -> list[tuple[int, TrainParams, Start, bool, Outlook]]:
    """List all starts with what theory says: draw, net, start, True if it learned, outlook.

    Learned: the accuracy is nearer to 1 than to chance.
    """
    judged = []
    for (draw, index), found in table.items():
        net = NETS[draw][index][0]
        seen = outlooks([as_probed(net, start) for start in found])
        judged += [(draw, net, start, outcome.mean(chance(net)) > (1 + chance(net)) / 2, outlook)
                   for (start, outcome), outlook in zip(found.items(), seen, strict=True)]
    return judged


def verdict(seen: Outlook, optimizer: str) -> bool | None:
    """True if theory says that such a start learns, False if not, None if it may or may not."""
    return seen.adam_learns if optimizer == "adam" else seen.learns


def claim(found: Diagnosis, optimizer: str) -> bool | None:
    """True if the words of a diagnosis mean that such a start learns, False if not, None if perhaps."""
    outcome = found.outcome.text if found.outcome else ""
    if optimizer == "adam" and "Adam" in outcome:
        return True if "Adam can" in outcome else None if "Adam may" in outcome else False
    if re.search("vanish|explode|Nothing passes|cannot", f"{found.sentence} {outcome}"):
        return False
    return None if "may" in outcome else True


def judge_words(table: Table) -> list[tuple[int, str, bool, bool | None]]:
    """List all starts with what their sentences claim: draw, optimizer, True if it learned, claim."""
    judged = []
    for (draw, index), found in table.items():
        net = NETS[draw][index][0]
        for start, outcome in found.items():
            learned = outcome.mean(chance(net)) > (1 + chance(net)) / 2
            said = diagnose(as_probed(net, start))
            judged.append((draw, net.optimizer, learned, claim(said, net.optimizer)))
    return judged


def report(table: Table) -> None:
    """Print how many recommendations regret little, and how many verdicts agree, by draw."""
    advice, verdicts, words = judge_advice(table), judge_verdicts(table), judge_words(table)
    for draw in DRAWN:
        regrets = [one.regret for one in advice if one.draw == draw]
        if not regrets:
            continue
        below = sum(one.below_user > 0.02 for one in advice if one.draw == draw)
        small, larger = (share(regret <= most for regret in regrets) for most in (0.02, 0.05))
        print(f"draw {draw}: {len(regrets)} nets; regret at most 2 points {small:.1%}, 5 {larger:.1%}; "
              f"more than 2 below the user's: {below}")
        for optimizer in LADDERS:
            mine = [(learned, seen) for one, net, _, learned, seen in verdicts
                    if one == draw and net.optimizer == optimizer]
            said = [(learned, verdict(seen, optimizer)) for learned, seen in mine]
            definite = [learned == word for learned, word in said if word is not None]
            claims = [learned == word for one, used, learned, word in words
                      if (one, used) == (draw, optimizer) and word is not None]
            print(f"  {optimizer:8} {len(mine)} starts: {share(definite):.1%} of definite verdicts agree, "
                  f"{1 - len(definite) / len(mine):.1%} are open; of the words {share(claims):.1%} agree, "
                  f"{1 - len(claims) / len(mine):.1%} are open")
    for one in sorted(advice, key=lambda one: -one.regret)[:20]:
        if one.regret > 0.02:
            print(f"{one.regret:.3f} {one.accuracy:.3f} {one.advised} {one.best} {one.net.depth} x "
                  f"{one.net.width} {one.net.activation} {one.net.normalization} {one.net.residual} "
                  f"{one.net.keep} {one.net.optimizer} {one.net.dataset}")


def share(values: Iterable[bool]) -> float:
    return fmean(values)


NETS = {draw: drawn(draw, count) for draw, count in DRAWN.items()}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        fill(float(sys.argv[1]))
    report(read())
