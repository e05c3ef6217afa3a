"""Read and write the CSV file of a sweep: a line with its parameters, then a line for each cell and seed."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pandas as pd

from vgdash.params import ParamError
from vgdash.sweep.grid import MEASURED, Cell, Key, SweepParams, Trainability

FORMAT = "# vgdash trainability 1 "  # raise the number when the same parameters come to give other numbers
COLUMNS = {"depth": int, "sigma_w2": float, "seed": int, **MEASURED}


def read(path: str | Path) -> Trainability:
    """Read the map in a file of ``trainability``, plain or gzipped; raises ``ParamError`` for others."""
    path = Path(path)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    p, found = _parse(content.decode(), path)
    return Trainability.of(p, found.values())


def resume(path: Path, p: SweepParams) -> dict[Key, Cell]:
    """Read the cells of this sweep in ``path``, and write the file again without a cell that was cut off."""
    if path.suffix == ".gz":
        raise ParamError("out", "a plain CSV file", str(path), "Compress it when the sweep is done.")
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    found: dict[Key, Cell] = {}
    if not _head(p).startswith(text):  # else it is new, or its first line was cut off
        other, found = _parse(text, path)
        if other != p:
            mine, theirs = p.to_query(), other.to_query()
            differences = [f"{name} {', '.join(theirs[name])}" for name in mine if theirs[name] != mine[name]]
            raise ParamError("out", "a new file, or one of this very sweep", str(path),
                             f"It holds another: {'; '.join(differences)}.")
    write(path, p, found)
    return found


def write(path: Path, p: SweepParams, found: Mapping[Key, Cell]) -> None:
    """Write the whole file in the order of the grid, and replace the old one at once."""
    new = path.with_name(path.name + ".new")
    new.write_text(_head(p) + "".join(_lines(found[key]) for key in p.grid if key in found), encoding="utf-8")
    new.replace(path)


def append(path: Path, cell: Cell) -> None:
    """Add a cell in one write; it is on the disk when this returns."""
    with path.open("ab", buffering=0) as file:
        file.write(_lines(cell).encode())
        os.fsync(file.fileno())


def _head(p: SweepParams) -> str:
    return f"{FORMAT}{urlencode(p.to_query(), doseq=True)}\n{','.join(COLUMNS)}\n"


def _lines(cell: Cell) -> str:
    """A line for each seed; a failure leaves none, so that it is tried again."""
    rows = zip(*(getattr(cell, name) for name in MEASURED), strict=True)
    return "".join(",".join(map(repr, (*cell.key, seed, *row))) + "\n" for seed, row in enumerate(rows))


def _parse(text: str, path: Path) -> tuple[SweepParams, dict[Key, Cell]]:
    """Parameters and complete cells; a line that was cut off is left out."""
    first, _, rest = text[:text.rfind("\n") + 1].partition("\n")
    found: dict[Key, Cell] = {}
    try:
        if not first.startswith(FORMAT):
            raise ValueError("its first line is another")
        p, refused = SweepParams.parse_lenient(parse_qs(first.removeprefix(FORMAT)), text=True)
        if refused:
            raise refused[0]
        table = pd.read_csv(io.StringIO(rest), names=list(COLUMNS), skiprows=1, dtype=str,
                            keep_default_na=False)
        grid = set(p.grid)
        for (depth, sigma_w2), rows in table.astype(COLUMNS).groupby(["depth", "sigma_w2"], sort=False):
            key = int(depth), float(sigma_w2)
            if key not in grid or rows["seed"].tolist() != list(range(len(rows))):
                raise ValueError(f"depth {depth}, sigma_w2 {sigma_w2} is not what comes next")
            if len(rows) == p.seeds:
                found[key] = Cell(*key, **{name: tuple(rows[name].tolist()) for name in MEASURED})
    except ValueError as error:
        instead = f"This one cannot be read: {error}"
        raise ParamError("out", "a file that a sweep wrote", str(path), instead) from None
    return p, found
