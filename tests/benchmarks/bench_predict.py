"""Milliseconds of processor time for a 256-layer prediction (bar: 20 ms), by activation, at three weight scales; for the three predictions
of the Initializers page as it opens; and for a 256-layer probe with every view that the page has of it.

Run: python tests/benchmarks/bench_predict.py. "first" is the first prediction of an activation in this process, which fills its tables;
the bar is for those after it. Processor time too doubles and more while other jobs share the cores.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: processor time adds up threads
sys.path.insert(0, str(Path(__file__).parents[2]))

from pages.parts.views import diagnosis, initializers
from vgdash.activations import ACTIVATIONS
from vgdash.probe.probe import CompareParams, ProbeParams, compare
from vgdash.theory.layerwise import predict

REPEATS = 5
BAR = 20.0
SCALES = {"shrinking": 0.8, "framework": 1.0, "exploding": 1.5}  # gamma, on top of the forward gain of the activation


def once(compute: Callable) -> float:
    start = time.process_time()
    compute()
    return 1e3 * (time.process_time() - start)


def milliseconds(compute: Callable) -> float:
    """Processor time, so that other jobs on the machine do not count: the fastest of some runs, after one that fills the caches."""
    compute()
    return min(once(compute) for _ in range(REPEATS))


def predictions() -> bool:
    print(f"{'256 layers':12}{'first':>12}" + "".join(f"{scale:>12}" for scale in SCALES) + f"   bar {BAR:g} ms")
    passed = True
    for name, activation in ACTIVATIONS.items():
        jobs = [ProbeParams.uniform(256, 64, name, "lecun_normal", gamma=scale * activation.forward_gain) for scale in SCALES.values()]
        first, row = once(lambda p=jobs[0]: predict(p)), [milliseconds(lambda p=p: predict(p)) for p in jobs]
        passed &= max(row) <= BAR
        print(f"{name:12}" + "".join(f"{ms:9.1f} ms" for ms in (first, *row)) + f"   {'pass' if max(row) <= BAR else 'FAIL'}")
    return passed


def views() -> None:
    """Each view computed anew, as for parameters that nobody has asked for before; seeds differ, so that no weights are known."""
    seeds = iter(range(1000))
    p = CompareParams.uniform(256, 100, seed=next(seeds))
    probes = tuple(compare(p).probes.values())

    def comparison():
        initializers._predicted.cache_clear()
        initializers.comparison_view(probes)

    def advice():
        diagnosis._recommended.cache_clear()
        diagnosis.advice_view(probes[0], "pytorch")

    def closer_look(view: Callable):
        return lambda: view(ProbeParams.uniform(256, 100, seed=next(seeds)))

    def shares():
        for name in initializers.STATISTICS:
            initializers.shares_view(probes, name)

    jobs = {
        "the probe": lambda: compare(CompareParams.uniform(256, 100, seed=next(seeds))),
        "verdict, courses, numbers": comparison,
        f"shares by layer, {len(initializers.STATISTICS)} statistics": shares,
        "histograms of one initializer": closer_look(diagnosis.histograms_view),
        "its Jacobian's singular values": closer_look(diagnosis.spectrum_view),
        "its advice and code": advice,
    }
    print(f"\n256 layers x 100, {len(probes)} initializers, measured")
    times = {name: milliseconds(job) for name, job in jobs.items()}
    for name, ms in {**times, "all": sum(times.values())}.items():
        print(f"{name:36}{ms:9.1f} ms")


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the pages' caches work without a server and say so
    passed = predictions()
    page = CompareParams.parse_lenient({})[0].probes
    ms = milliseconds(lambda: [predict(p) for p in page])
    print(f"\nthe Initializers page as it opens: {len(page)} predictions, {page[0].depth} layers of {page[0].activation}: {ms:.1f} ms")
    views()
    sys.exit(not passed)
