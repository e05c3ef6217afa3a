"""Milliseconds of processor time for a 256-layer prediction (bar: 20 ms), by activation, at three weight scales.

Run: python tests/benchmarks/bench_predict.py. Processor time too doubles and more while other jobs share the cores.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from vgdash.activations import ACTIVATIONS
from vgdash.network import ProbeParams
from vgdash.prediction import predict

REPEATS = 5
SCALES = {"shrinking": 0.8, "framework": 1.0, "exploding": 1.5}  # gamma, on top of the forward gain of the activation


def milliseconds(p: ProbeParams) -> float:
    """Processor time, so that other jobs on the machine do not count: the fastest of some runs, after one that fills the caches."""
    predict(p)
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        predict(p)
        times.append(time.process_time() - start)
    return 1e3 * min(times)


if __name__ == "__main__":
    print(f"{'':12}" + "".join(f"{scale:>12}" for scale in SCALES))
    for name, activation in ACTIVATIONS.items():
        row = [milliseconds(ProbeParams.uniform(256, 64, name, "lecun_normal", gamma=scale * activation.forward_gain))
               for scale in SCALES.values()]
        print(f"{name:12}" + "".join(f"{ms:9.1f} ms" for ms in row))
