"""Advice and verdicts judged by training: python -m tests.benchmarks.bench_advice [minutes]

Nets are drawn from the grid below, with a fixed seed, and each is trained by vgdash's own engine from (a)
what its user had, an initializer and a gamma drawn at random, (b) what ``recommend`` says, (c) every named
initializer, and some tuned ones. (keras_default is glorot_uniform; flax_default differs from lecun_normal by
its tails: they are not trained again.) Where ``recommend`` names a change of the net besides, the changed net
is trained, too, from the start that goes with it.

A start is trained for ``STEPS`` steps of ``BATCH`` examples, as one would look for a rate: on one seed with
each rate of the ladder, and with those between if none of them helps; then with the best and its neighbours
``FINER`` away on three seeds more. The best of these is judged on fresh seeds of weights, order, masks, and
points of the circles.

Its accuracy is the mean over the fresh seeds of the share of hits on held-out examples, so that the choice of
the rate does not flatter it; chance if it stays within ``HOPELESS`` of it at all rates. The regret of a
recommendation is the best accuracy of all starts minus its own. A difference counts only beyond its own
standard error over the seeds: the best of twenty equal starts lies one or two of them above the middle.

Outcomes are kept in ``vgdash/datasets/advice.csv.gz``; what they lack is trained and added, net after net.
What was seen of each draw before a rule was made: ADVICE.md. Draw 5 was trained after the last of them.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

from tests.benchmarks.advice_nets import (
    DRAWN,
    LADDERS,
    NAMED,
    NETS,
    TABLE,
    TUNED,
    Key,
    Outcome,
    Start,
    Table,
    as_probed,
    chance,
    change_of,
    find,
    net_of,
    outcomes,
    read,
    write,
)
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.outlook import Outlook, outlooks
from vgdash.diagnosis.recommendation import recommend
from vgdash.diagnosis.record import Diagnosis
from vgdash.training.params import TrainParams

recommended = lru_cache(maxsize=None)(recommend)


def starts_of(net: TrainParams, user: Start) -> tuple[list[Start], Start]:
    """List all starts of a net, and name the recommended one."""
    choice = recommended(as_probed(net, user)).choice
    advised = choice.initializer, choice.gamma
    return list(dict.fromkeys([*((name, 1.0) for name in NAMED), *TUNED, user, advised])), advised


def changed_nets(key: Key) -> list[tuple[Key, Start]]:
    """List the changes that are recommended for a net, the best first, each with its start."""
    p = as_probed(*NETS[key])
    return [((*key[:2], change_of(p, one.choice)), (one.choice.initializer, one.choice.gamma))
            for one in recommended(p).remedies]


def fill(minutes: float, path: Path = TABLE) -> None:
    """Train what the table lacks, for so many minutes on all cores; cheap nets first."""
    table, end = read(path), time.monotonic() + 60 * minutes
    wanted = {key: starts_of(net, user)[0] for key, (net, user) in NETS.items()}
    wanted |= {changed: [start] for key in NETS for changed, start in changed_nets(key)}
    lacking = [(key, missing) for key, starts in sorted(wanted.items(), key=lambda one: net_of(one[0]).flops)
               if (missing := [start for start in starts if not find(table.get(key, {}), start)])]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        trained = pool.map(outcomes, *zip(*((net_of(key), missing) for key, missing in lacking), strict=True))
        for (key, _), found in zip(lacking, trained, strict=True):
            table[key] = table.get(key, {}) | found
            write(table, path)
            print(f"{end - time.monotonic():.0f} s left: net {key[1]} of draw {key[0]} {key[2]}", flush=True)
            if time.monotonic() > end:
                pool.shutdown(wait=False, cancel_futures=True)
                return


# ---- what it says of today's advice and verdicts

@dataclass(frozen=True)
class Judged:
    """One net: what was advised, the best of all and what the user had; differences beyond their errors.

    ``changed``: accuracy after each recommended change of the net, the first named first. ``regret_changed``
    and ``below_user_changed``: those of the first of them, or of the weights where none is recommended.
    """

    net: TrainParams
    advised: Start
    accuracy: float
    best: Start
    regret: float
    below_user: float
    changed: tuple[float, ...]
    regret_changed: float
    below_user_changed: float


def judge_advice(table: Table) -> dict[Key, Judged]:
    """Judge today's recommendation for each net of the table that has been trained from it."""
    judged = {}
    for key in NETS.keys() & table.keys():
        found, (net, user) = table[key], NETS[key]
        advised, changes = starts_of(net, user)[1], changed_nets(key)
        ours, theirs = find(found, advised), find(found, user)
        changed = [find(table.get(changed, {}), start) for changed, start in changes]
        if ours and theirs and all(changed):
            best = max(found, key=lambda start: found[start].mean(chance(net)))
            first = changed[0] if changed else ours
            judged[key] = Judged(
                net, advised, ours.mean(chance(net)), best,
                _beyond(found[best], ours, net), _beyond(theirs, ours, net),
                tuple(one.mean(chance(net)) for one in changed),
                _beyond(found[best], first, net), _beyond(theirs, first, net))
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
    for key, found in table.items():
        net = net_of(key)
        seen = outlooks([as_probed(net, start) for start in found])
        judged += [(key[0], net, start, outcome.mean(chance(net)) > (1 + chance(net)) / 2, outlook)
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
    for key, found in table.items():
        net = net_of(key)
        for start, outcome in found.items():
            learned = outcome.mean(chance(net)) > (1 + chance(net)) / 2
            said = diagnose(as_probed(net, start))
            judged.append((key[0], net.optimizer, learned, claim(said, net.optimizer)))
    return judged


def report(table: Table) -> None:
    """Print how many recommendations regret little, and how many verdicts agree, by draw."""
    advice, verdicts, words = judge_advice(table), judge_verdicts(table), judge_words(table)
    report_advice("all", advice.values())
    for draw in DRAWN:
        report_advice(f"draw {draw}", [one for key, one in advice.items() if key[0] == draw])
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
    for key, one in sorted(advice.items(), key=lambda item: -item[1].regret):
        if one.regret > 0.02:
            changed = "".join(f" changed: {accuracy:.3f}" for accuracy in one.changed)
            print(f"{one.regret:.3f} {key} {one.accuracy:.3f} {one.advised} {one.best} {one.net.depth} x "
                  f"{one.net.width} {one.net.activation} {one.net.normalization} {one.net.residual} "
                  f"{one.net.keep} {one.net.optimizer} {one.net.dataset}{changed}")


def report_advice(name: str, judged: Collection[Judged]) -> None:
    """Print how many recommendations regret little, of weights alone and with the first change of the net."""
    for what, end in (("weights alone", ""), ("with the change named first", "_changed")):
        regrets = [getattr(one, f"regret{end}") for one in judged]
        below = sum(getattr(one, f"below_user{end}") > 0.02 for one in judged)
        small, larger = (share(regret <= most for regret in regrets) for most in (0.02, 0.05))
        print(f"{name}: {len(regrets)} nets, {what}: regret at most 2 points {small:.1%}, 5 {larger:.1%}; "
              f"more than 2 below the user's: {below}")
    gains = [accuracy - one.accuracy for one in judged for accuracy in one.changed]
    print(f"{name}: {len(gains)} changes of {sum(bool(one.changed) for one in judged)} nets: "
          f"{share(gain > 0.05 for gain in gains):.1%} win more than 5 points, "
          f"{share(gain > 0.01 for gain in gains):.1%} more than 1, "
          f"{share(gain < -0.02 for gain in gains):.1%} lose more than 2")


def share(values: Iterable[bool]) -> float:
    return fmean(values)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fill(float(sys.argv[1]))
    report(read())
