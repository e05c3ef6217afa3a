"""Command line of a sweep: ``python -m vgdash.sweep``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from datetime import timedelta

import numpy as np

import vgdash.sweep
from vgdash.params import ParamError
from vgdash.sweep import SweepParams, Trainability, trainability

PATIENCE = 10  # seconds for a scheduler to answer
BAR = 40  # characters


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sweep, with an option for each field of ``SweepParams``; return the exit status."""
    summary = (vgdash.sweep.__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser("python -m vgdash.sweep", description=summary)
    for name, rule in SweepParams.rules().items():
        default = ",".join(rule.to_query(getattr(SweepParams, name)))
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, metavar="…", help=f"{rule.text} (default: {default})")
    parser.add_argument("--out", metavar="FILE", help="CSV file of the cells; a sweep goes on from it")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="run on a Dask cluster, such as tcp://10.0.0.1:8786 (needs distributed)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes here (default: one a core)")
    given = vars(parser.parse_args(arguments))
    texts = {name: [given[name]] for name in SweepParams.rules() if given[name] is not None}
    p, refused = SweepParams.parse_lenient(texts, text=True)
    if refused:
        parser.error(str(refused[0]))
    try:
        with _cluster(given["scheduler"]) if given["scheduler"] else nullcontext() as executor:
            found = trainability(p, executor, given["out"], _ProgressBar(p), given["workers"])
    except (ParamError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        advice = "The same command goes on from there." if given["out"] else "With --out it could go on."
        print("\nStopped.", advice, file=sys.stderr)
        return 130
    print(_summary(found))
    return 1 if found.failures else 0


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """Open an executor on the Dask cluster at ``address``; raises ``OSError`` if none answers."""
    try:
        from distributed import Client
        client = Client(address, timeout=PATIENCE)
    except ImportError:
        message = "--scheduler needs Dask on this machine and on the workers: pip install distributed"
        raise OSError(message) from None
    except (OSError, ValueError) as error:
        raise OSError(f"no Dask scheduler answers at {address!r}: {error}") from None
    with client:
        yield client.get_executor()


class _ProgressBar:
    """Progress and time left on stderr: one moving line on a terminal, elsewhere a line for each tenth."""

    def __init__(self, p: SweepParams):
        self.cells, self.start, self.first, self.tenth = len(p.grid), time.monotonic(), None, -1

    def __call__(self, cells: int, share: float) -> None:
        if self.first is None:
            self.first = share
        elapsed, here = time.monotonic() - self.start, share - self.first
        left = ""
        if here > 0.01 and share < 1:
            left = f", {timedelta(seconds=round(elapsed / here * (1 - share)))} left"
        line = f"[{'#' * round(BAR * share):.<{BAR}}] {share:4.0%}  {cells:,} of {self.cells:,} cells{left}"
        moving, tenth = sys.stderr.isatty() and cells < self.cells, int(10 * share)
        if moving or tenth > self.tenth:
            self.tenth = tenth
            print(f"{line:<79}", end="\r" if moving else "\n", file=sys.stderr, flush=True)


def _summary(found: Trainability) -> str:
    """For each sigma_w2 the deepest net that trained and the prediction; then the failures."""
    lines = ["sigma_w2   trained to layer   6 xi_c"]
    for i, sigma_w2 in enumerate(found.params.sigma_w2s):
        deepest = max(np.array(found.params.depths)[found.trained[:, i]], default="none")
        lines.append(f"{sigma_w2:8.4g} {deepest:>18} {found.predicted[i]:8.0f}")
    lines += [f"depth {depth}, sigma_w2 {s:g}: {reason}" for (depth, s), reason in found.failures.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
