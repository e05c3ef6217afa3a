"""Seconds of the Trainable depth page's computation, by activation: the first picture (bar: 1 s), another point, and the same again
from the cache (bar: 0.1 s). python tests/benchmarks/bench_phases.py"""

import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from pages.parts import results
from vgdash.activations import ACTIVATIONS
from vgdash.theory import phase_diagram
from vgdash.theory.phase_diagram import PhaseParams


def seconds(p: PhaseParams) -> float:
    start = time.perf_counter()
    results.phases(p)
    return time.perf_counter() - start


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # the cache works without a server and says so
    seconds(PhaseParams("linear"))  # what is made once for all: nodes of the quadrature
    phase_diagram.plane.cache_clear()
    results.phases.clear()
    print(f"{'':12}{'first':>10}{'next point':>12}{'cached':>10}")
    for name in ACTIVATIONS:
        first, following, cached = (seconds(p) for p in (PhaseParams(name), PhaseParams(name, 1.6), PhaseParams(name, 1.6)))
        print(f"{name:12}{first:8.2f} s{1e3 * following:9.0f} ms{1e3 * cached:7.1f} ms")
