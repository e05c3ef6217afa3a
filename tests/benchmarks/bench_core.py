"""What pages compute, without a cache: python -m tests.benchmarks.bench_core

Each computation at its page's defaults and limits; 256 layers predicted; the phase plane.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: processor time adds up threads

from vgdash import (
    ACTIVATIONS,
    ChainParams,
    CompareParams,
    DescentParams,
    NeuronParams,
    PhaseParams,
    ProbeParams,
    compare,
    descent,
    linear_chain,
    neuron_variance,
    phase_map,
    predict,
)
from vgdash.single_neuron import variance_against_n

REPEATS = 5
PREDICTION, PLANE = 20.0, 1000.0  # milliseconds
SCALES = {"shrinking": 0.8, "framework": 1.0, "exploding": 1.5}  # gamma, on top of the forward gain
CASES = {
    "linear chain, default": lambda: linear_chain(ChainParams()),
    "linear chain, 1,000 layers": lambda: linear_chain(ChainParams(factor=0.9, depth=1000)),
    "gradient descent on chains of 1 to 30 layers": lambda: descent(DescentParams()),
    "one neuron, default": lambda: neuron_variance(NeuronParams()),
    "one neuron, 100,000 inputs": lambda: neuron_variance(NeuronParams(n=100_000)),
    "one neuron, 30 truncated weights, 200,000 samples": lambda: neuron_variance(
        NeuronParams(n=30, samples=200_000, distribution="truncated", activation="mish")),
    "Var(z) against n, truncated": lambda: variance_against_n(NeuronParams(distribution="truncated")),
    "three initializers, 50 x 256, measured": lambda: compare(CompareParams()),
    "three initializers, 50 x 256, predicted": lambda: [predict(p) for p in CompareParams().probes],
    "three initializers, 256 x 100, measured": lambda: compare(CompareParams.uniform(256, 100)),
}


def milliseconds(compute: Callable, clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    compute()
    return 1e3 * (clock() - start)


def predictions() -> bool:
    """Processor time, so that other jobs count less: the first, then the fastest of some at each scale."""
    scales = "".join(f"{scale:>12}" for scale in ("first", *SCALES))
    print(f"{'256 layers':12}{scales}   bar {PREDICTION:g} ms")
    passed = True
    for name, activation in ACTIVATIONS.items():
        jobs = [ProbeParams.uniform(256, 64, name, "lecun_normal", gamma=scale * activation.forward_gain)
                for scale in SCALES.values()]
        first = milliseconds(lambda p=jobs[0]: predict(p), time.process_time)
        row = [min(milliseconds(lambda p=p: predict(p), time.process_time) for _ in range(REPEATS))
               for p in jobs]
        passed &= max(row) <= PREDICTION
        times = "".join(f"{ms:9.1f} ms" for ms in (first, *row))
        print(f"{name:12}{times}   {'pass' if max(row) <= PREDICTION else 'FAIL'}")
    return passed


def planes() -> bool:
    print(f"\n{'phase plane':12}{'first':>12}   bar {PLANE:g} ms")
    times = {name: milliseconds(partial(phase_map, PhaseParams(name))) for name in ACTIVATIONS}
    for name, ms in times.items():
        print(f"{name:12}{ms:9.0f} ms   {'pass' if ms <= PLANE else 'FAIL'}")
    return max(times.values()) <= PLANE


def main() -> int:
    for name, compute in CASES.items():
        compute()
        times = [milliseconds(compute) for _ in range(REPEATS)]
        print(f"{name:52} median {statistics.median(times):7.1f} ms   best {min(times):7.1f} ms")
    return not (predictions() & planes())


if __name__ == "__main__":
    sys.exit(main())
