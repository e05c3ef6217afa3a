"""A lecture hall without browsers: python -m tests.benchmarks.bench_load [students] [changes each] [seconds]

Students arrive within 4 s, open a page and keep changing its first slider: among three values, as in a
lecture, and to a new value each time; on a bare page first. Prints first loads and changes in milliseconds
(median, 95th percentile, maximum), errors, and the server's memory.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.bench_pages import BARE, KEYS
from tests.pages.crowd import fill
from tests.server import port_of, serving


def megabytes(process: subprocess.Popen, what: str = "VmRSS") -> float:
    """Return the memory that a process holds (VmHWM: has held at most)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1]) / 1e3


def main() -> None:
    given = [float(text) for text in sys.argv[1:4]]
    students, changes, between = (*given, *(100, 10, 2)[len(given):])
    crowd = {"students": int(students), "changes": int(changes), "between": between}
    with serving(script=BARE) as bare:
        found = asyncio.run(fill(port_of(bare), "", **crowd))
        print(found.line("bare page, our settings"), flush=True)
    processes: list[subprocess.Popen] = []
    with serving(seen=processes) as app:
        for stem, (key, _) in KEYS.items():
            for lecture in (True, False):
                found = asyncio.run(fill(port_of(app), stem, key, lecture=lecture, **crowd))
                name = f"{stem}, {'lecture' if lecture else 'new values'}"
                print(found.line(name), f"  {megabytes(processes[0]):.0f} MB", flush=True)
        many = 3 * int(students)
        found = asyncio.run(fill(port_of(app), "linear_chain", "factor", many, 2, between, arrive=10))
        print(found.line(f"{many} open one link within 10 s"), f"  {megabytes(processes[0]):.0f} MB")


if __name__ == "__main__":
    main()
