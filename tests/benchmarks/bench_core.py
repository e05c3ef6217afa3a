"""Milliseconds of what pages compute without a cache: `python -m tests.benchmarks.bench_core`."""

from __future__ import annotations

import statistics
import time

from vgdash import (
    ChainParams,
    CompareParams,
    DescentParams,
    NeuronParams,
    compare,
    descent,
    linear_chain,
    load,
    neuron_variance,
    predict,
)
from vgdash.single_neuron import variance_against_n
from vgdash.training import data as digits

REPEATS = 5


def cold_digits():
    digits._load.cache_clear()
    digits._digits.cache_clear()
    return load()


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
    "digits, first load": cold_digits,
}


def main() -> None:
    for name, compute in CASES.items():
        compute()
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            compute()
            times.append(time.perf_counter() - start)
        print(f"{name:52} median {1e3 * statistics.median(times):7.1f} ms   best {1e3 * min(times):7.1f} ms")


if __name__ == "__main__":
    main()
