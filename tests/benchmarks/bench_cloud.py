"""The app as Community Cloud runs it: python -m tests.benchmarks.bench_cloud [students] [python ...]

Each ``python`` is one of an environment with requirements.txt alone (this one, if none is named). The server
gets half a core, 690 MB (only watched where control groups cannot be made) and Cloud's forced settings. Every
page is opened by its deep link, then students change a slider every two seconds, among three values.
"""

import asyncio
import sys
import time
from pathlib import Path

from tests.benchmarks.bench_load import megabytes
from tests.benchmarks.bench_pages import KEYS
from tests.pages.crowd import fill
from tests.pages.wire import Session
from tests.server import port_of, serving

FORCED = ("--runner.fastReruns", "true", "--client.showErrorDetails", "false",
          "--server.enableXsrfProtection", "true")
CORES, MEGABYTES = 0.5, 690
PAGES = ("", *KEYS, "published")
GROUPS = {"cpu": {"cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": int(CORES * 100_000)},
          "memory": {"memory.limit_in_bytes": MEGABYTES * 1_000_000}}


def limited() -> list[Path]:
    """Control groups (version 1) with the limits, if they can be made."""
    made = []
    try:
        for kind, limits in GROUPS.items():
            group = Path("/sys/fs/cgroup", kind, "vgdash-cloud")
            group.mkdir(exist_ok=True)
            for name, value in limits.items():
                (group / name).write_text(str(value))
            made.append(group)
    except OSError:
        return []
    return made


def main(students: int, pythons: list[str]) -> int:
    groups = limited()
    held = "control groups" if groups else "no control groups here; memory is only watched"
    print(f"half a core, {MEGABYTES} MB: {held}")
    joining = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups) + 'exec "$@"'
    failed = 0
    for python in pythons:
        processes = []
        with serving(*FORCED, python=python, before=["sh", "-c", joining, "sh"], seen=processes) as address:
            port = port_of(address)
            for page in PAGES:
                with Session(port) as visitor:
                    start = time.perf_counter()
                    errors = visitor.open(page).exceptions
                    seconds = time.perf_counter() - start
                    said = f"errors {len(errors)} {errors[:1] or ''}"
                    print(f"{page or 'home':18} {seconds:5.1f} s  {said}", flush=True)
                    failed += len(errors)
            for stem, (key, _) in KEYS.items():
                found = asyncio.run(fill(port, stem, key, students, changes=10, between=2))
                print(found.line(f"{stem}, {students} students"), flush=True)
                failed += len(found.errors)
            most = megabytes(processes[0], "VmHWM")
        print(f"{python}: most memory {most:.0f} MB (limit {MEGABYTES})")
        failed += most > MEGABYTES
    for group in groups:
        group.rmdir()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:] or [sys.executable]))
