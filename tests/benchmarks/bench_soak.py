"""Memory of one server over a long lecture: python -m tests.benchmarks.bench_soak [minutes]

Visitors, a few at a time, open every page with 2,000 new parameter sets, 50 of them training runs, after
4,400 others, 400 of them runs, have filled what is remembered (about a thousand sets a page, 350 runs).
Prints the median of every half minute; fails beyond 500 MB, or if the second half grows by 1 MB a minute.
"""

import asyncio
import itertools
import statistics
import subprocess
import sys
import time

import numpy as np

from tests.benchmarks.bench_load import megabytes
from tests.pages.crowd import Hall, connection, exchange, page_request
from tests.server import port_of, serving

VISITORS, SETS, RUNS = 300, 2000, 50
FIRST, FIRST_RUNS = 4400, 400
AT_ONCE = 6
PEAK, GROWTH = 500, 1.0  # MB, MB a minute
PAGES = {
    "linear_chain": "factor={0}&depth={1}",
    "neuron_variance": "n={1}&seed={2}",
    "initializers": "depth={3}&seed={2}",
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


async def visits(port: int, sets: list[tuple[str, str]], pace: float, hall: Hall) -> None:
    """Let visitors come, ``AT_ONCE`` at a time; each opens some sets, one in ``pace`` seconds, and leaves."""
    each = SETS // VISITORS
    waiting = iter([sets[k:k + each] for k in range(0, len(sets), each)])

    async def seat() -> None:
        for mine in waiting:
            async with connection(port) as visitor:
                for page, query in mine:
                    seconds = await exchange(visitor, page_request(page, query), hall, {})
                    hall.first.append(seconds)
                    await asyncio.sleep(max(0.0, pace - seconds))

    await asyncio.gather(*(seat() for _ in range(AT_ONCE)))


async def soak(minutes: float, port: int, process: subprocess.Popen, hall: Hall) -> tuple[list, float]:
    """Return the curve of (minute, MB), medians of half minutes, and the peak."""
    await visits(port, addresses(range(FIRST), FIRST_RUNS), 0.0, hall)
    start, curve, peak = time.monotonic(), [], 0.0
    pace = minutes * 60 / SETS * AT_ONCE
    crowd = asyncio.create_task(visits(port, addresses(range(FIRST, FIRST + SETS), RUNS), pace, hall))
    print("minute  MB    sets")
    while not crowd.done():
        readings, until = [], time.monotonic() + min(30.0, minutes * 3)
        while time.monotonic() < until:
            await asyncio.sleep(1)
            readings.append(megabytes(process))
        minute, middle = (time.monotonic() - start) / 60, statistics.median(readings)
        curve.append((minute, middle))
        peak = max(peak, *readings)
        print(f"{minute:6.1f}  {middle:4.0f}  {len(hall.first):5}  {'▇' * round(middle / 15)}", flush=True)
    await crowd
    return curve, peak


def main(minutes: float) -> int:
    hall, processes = Hall(), []
    with serving(seen=processes) as address:
        curve, peak = asyncio.run(soak(minutes, port_of(address), processes[0], hall))
    at, memory = np.array(curve).T  # the last reading is of a server that prepares what nobody has asked for
    late = (at > at[-1] / 2) & (at < at[-1])
    growth = float(np.polyfit(at[late], memory[late], 1)[0]) if late.sum() > 2 else float("nan")
    print(f"peak {peak:.0f} MB (wanted: {PEAK}), "
          f"{growth:+.2f} MB a minute in the second half (wanted: {GROWTH}), "
          f"{len(hall.first)} sets, errors {len(hall.errors)} {hall.errors[:1] or ''}")
    return int(peak > PEAK or not growth <= GROWTH or bool(hall.errors))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20))
