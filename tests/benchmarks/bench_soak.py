"""Memory of one server over a long lecture: python -m tests.benchmarks.bench_soak [minutes]

More than 300 visitors, a few at a time, open every page with parameter sets that nobody has asked for before, 2,000 of them, and among
these 50 training runs. What is remembered grows until it is full, with about a thousand sets a page and 350 of these runs: so 4,400
others, 400 of them runs, are asked for first, as fast as they are answered, and then the time begins. Reads the server's resident
memory every second and prints the median of every half minute as a curve, then the peak of all and how the curve goes in the second
half of the time. Fails beyond 600 MB, or if it still grows by more than 1 MB a minute.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.pages.wire import Session
from tests.server import serving

VISITORS, SETS, RUNS = 300, 2000, 50
FIRST, FIRST_RUNS = 4400, 400
AT_ONCE = 6
PEAK, GROWTH = 600, 1.0  # MB, MB a minute
PAGES = {
    "linear_chain": "factor={0}&depth={1}", "neuron_variance": "n={1}&seed={2}", "initializers": "depth={3}&seed={2}",
    "trainable_depth": "sigma_w2={0}&sigma_b2=0.1&activation=tanh",
}
TRAINING = "scene=spirals&depth=5&width=16&steps=300&seed={2}"


def addresses(numbers: range, runs: int) -> list[tuple[str, str]]:
    """Page and query of every parameter set, so many training runs spread among them."""
    pages, found = itertools.cycle(PAGES.items()), []
    for k in numbers:
        page, query = ("training", TRAINING) if k % (len(numbers) // runs) == 0 else next(pages)
        found.append((page, query.format(f"{0.5 + k / 5000:.5f}", 5 + k % 900, k, 10 + k % 90)))
    return found


def resident(process: subprocess.Popen) -> float:
    """MB."""
    line = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def hall(port: int, sets: list[tuple[str, str]], each: int, pace: float, done: list[int], errors: list[str]) -> list[threading.Thread]:
    """Visitors of whom a few are there at a time; everyone opens ``each`` sets, one every ``pace`` seconds, and leaves."""
    turns, taking = iter([sets[k:k + each] for k in range(0, len(sets), each)]), threading.Lock()

    def visit() -> None:
        while True:
            with taking:
                mine = next(turns, None)
            if mine is None:
                return
            try:
                with Session(port) as visitor:
                    for page, query in mine:
                        start = time.monotonic()
                        errors.extend(visitor.open(page, query).exceptions)
                        done[1] += 1
                        time.sleep(max(0.0, pace - (time.monotonic() - start)))
                done[0] += 1
            except Exception as error:
                errors.append(repr(error))

    visitors = [threading.Thread(target=visit, daemon=True) for _ in range(AT_ONCE)]
    for one in visitors:
        one.start()
    return visitors


def main(minutes: float) -> int:
    everything = addresses(range(FIRST, FIRST + SETS), RUNS)
    each, pace = SETS // VISITORS, minutes * 60 / SETS * AT_ONCE
    done, errors, processes, curve, peak = [0, 0], [], [], [], 0.0

    with serving(seen=processes) as address:
        port = int(address.rsplit(":", 1)[1])
        for one in hall(port, addresses(range(FIRST), FIRST_RUNS), each, 0.0, [0, 0], errors):
            one.join()
        start = time.monotonic()
        visitors = hall(port, everything, each, pace, done, errors)
        print("minute  MB    visitors  sets")
        while any(one.is_alive() for one in visitors):
            readings, until = [], time.monotonic() + min(30.0, minutes * 3)
            while time.monotonic() < until:
                time.sleep(1)
                readings.append(resident(processes[0]))
            curve.append(((time.monotonic() - start) / 60, statistics.median(readings)))
            peak = max(peak, *readings)
            print(f"{curve[-1][0]:6.1f}  {curve[-1][1]:4.0f}  {done[0]:8}  {done[1]:5}  {'▇' * round(curve[-1][1] / 15)}", flush=True)
    at, memory = np.array(curve).T  # the last reading is of a server that has time to prepare what nobody has asked for
    late = (at > at[-1] / 2) & (at < at[-1])
    growth = float(np.polyfit(at[late], memory[late], 1)[0]) if late.sum() > 2 else float("nan")
    print(f"peak {peak:.0f} MB (wanted: {PEAK}), {growth:+.2f} MB a minute in the second half (wanted: {GROWTH}), "
          f"{done[0]} visitors, {done[1]} sets, errors {len(errors)} {errors[:1] or ''}")
    return int(peak > PEAK or not growth <= GROWTH or bool(errors))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20))
