"""Find residual streams that grow, lose the gradient, or are buried by what the branches add."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from vgdash.models.causes import BY_WEIGHTS, LIMITS, finding, number
from vgdash.models.fixes import scale, with_bias
from vgdash.models.records import Join, Trace


def find_growing_stream(trace: Trace, known: set[str]) -> list:
    """Find a residual stream that grows exponentially: by as much in its second half as in the first."""
    best, run = (0.0, []), []
    for run in _runs(trace, lambda join: not join.normalized):  # a normalized branch adds the same each time
        total, half = run[-1].out2 / run[0].skip2, run[-1].out2 / run[len(run) // 2].skip2
        if total >= LIMITS["stream"][0] and half >= LIMITS["stream"][1] and total > best[0]:
            best = total, run
    total, run = best
    if not run:
        return []
    rate, n = total ** (1 / len(run)), len(run)
    layers = [trace.layers[i] for join in run
              if join.out2 / join.skip2 - 1 > (rate - 1) / 4 for i in join.last]
    root = n * max(rate - 1, 1.0)
    cured = number((1 + (rate - 1) / root) ** n)
    return finding("stream_grows", layers, (
        f"Each of {n} branches multiplies the stream's mean square by {number(rate)}, {number(total)} in all."
        f" Branches scaled by 1/√{number(root)} would make it {cured}, normalization in them about {n}."),
        scale(trace, list(map(with_bias, layers)), lambda a: root**-0.5,
              f"the stream's mean square grows by {cured} in all"),
        math.log10(total))


def find_fading_stream(trace: Trace, known: set[str]) -> list:
    """Find a residual stream whose gradient shrinks exponentially: the skips lose more than branches add.

    A sum of skip s and branch b passes back s + b of a squared gradient; branches √((1-s)/b) times as large
    make it 1. Their shares are estimated from the mean squares of skip and branch. A signal that shrinks less
    than the gradient would grow then: the code goes half of the way.
    """
    each = LIMITS["fades"] ** 0.25  # in both halves: no single sum, such as that of the last token alone
    runs = [run for run in _runs(trace, lambda join: all(
        0 < size < math.inf for size in (join.grad_out, join.skip2, join.out2)))
            if run[0].grad_out / each < run[len(run) // 2].grad_out < run[-1].grad_out * each]
    run = min(runs, key=lambda run: run[0].grad_out / run[-1].grad_out, default=[])
    if known & {"stream_grows", "detached", "weights_large"} or not run:
        return []
    n = len(run)
    rate = max(run[0].grad_out / run[-1].grad_out, 1e-300) ** (1 / (n - 1))
    if rate**n > LIMITS["fades"]:
        return []
    forward = max(run[-1].skip2 / run[0].skip2, 1e-300) ** (1 / (n - 1))
    added = sum(join.out2 / join.skip2 for join in run) / n - 1
    wanted = ((1 + added) / math.sqrt(rate * forward) - 1) / added if added > 0 else math.inf
    layers = [trace.layers[i] for join in run for i in join.last]
    return finding("weights_small", layers, (
        f"Each of {n} sums of skip and branch multiplies the gradient's square by {number(rate)}, "
        f"{number(rate**n)} in all: the skips lose more than the branches add. Such weights may suit a net "
        "without skips; beside these skips they are too small."),
        scale(trace, list(map(with_bias, layers)), lambda a: math.sqrt(min(max(wanted, 1.0), 100.0)),
              "the gradient keeps its size; better: add the skip without a factor in front"),
        -n * math.log10(rate))


def find_buried_skips(trace: Trace, known: set[str]) -> list:
    """Find skips that attention buries and normalization divides away, in three sums or more.

    Without skips attention averages until all tokens are one (Dong et al. 2021). n branches of 1/n of the
    skips' mean square leave (1 + 1/n)⁻ⁿ of a token.
    """
    sums = [join for join in trace.joins if join.attends and join.last and not join.chained
            and 0 < join.skip2 < join.out2 < math.inf]
    n, left = len(sums), math.prod(join.skip2 / join.out2 for join in sums)
    if n < 3 or left > LIMITS["buried"] or known & BY_WEIGHTS:
        return []
    factors, layers = {}, []
    for join in sums:
        factor = math.sqrt(join.skip2 / (join.out2 - join.skip2) / n)
        for a in (trace.layers[i] for i in join.last if factor < 1):
            layers.append(with_bias(a))
            factors[a.path] = factor ** (1 / (1 + len(a.others)))
    most = max(join.out2 / join.skip2 for join in sums) - 1
    return finding("weights_large", layers, (
        f"In {n} sums attention gives up to {number(most)} times the skip's mean square, and normalization "
        f"divides the skip away: {number(left)} of a token is left, the rest are averages of others."),
        scale(trace, layers, lambda a: factors[a.path], f"{number((1 + 1 / n) ** -n)} of a token is left"),
        -math.log10(left))


def _runs(trace: Trace, belongs: Callable[[Join], bool]) -> Iterator[list[Join]]:
    """Yield the streams of three and more sums, each of which has the one before as its skip."""
    run: list[Join] = []
    for join in trace.joins:
        run = [] if not belongs(join) else [*run, join] if join.chained else [join]
        if len(run) > 2 and run[0].skip2 > 0:
            yield run
