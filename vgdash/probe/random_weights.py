"""The random numbers of nets: one stream for each layer of each net, and the weights drawn last, kept for the next look."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from vgdash import bounds
from vgdash.initializers import BASES
from vgdash.parallel import run_all

__all__ = ["layers_of", "stream"]

_Place = tuple[int, int, int, int, int]  # fan_in, fan_out, seed, draw, layer
_Key = tuple[str, _Place]
ENTRY = 500  # bytes of an array of numbers and its key in memory, beside the numbers


class _Kept:
    """The matrices that were asked for last, within ``bounds.WEIGHTS``."""

    def __init__(self) -> None:
        self.matrices: OrderedDict[_Key, np.ndarray] = OrderedDict()
        self.bytes = 0
        self._lock = threading.Lock()

    def find(self, keys: Iterable[_Key]) -> dict[_Key, np.ndarray]:
        with self._lock:
            found = {key: self.matrices[key] for key in keys if key in self.matrices}
            for key in found:
                self.matrices.move_to_end(key)
        return found

    def add(self, key: _Key, matrix: np.ndarray) -> None:
        if matrix.nbytes > bounds.WEIGHTS.largest:
            return
        with self._lock:
            if key in self.matrices:
                return
            self.matrices[key] = matrix
            self.bytes += matrix.nbytes + ENTRY
            while self.bytes > bounds.WEIGHTS.total:
                self.bytes -= self.matrices.popitem(last=False)[1].nbytes + ENTRY


_kept = _Kept()


def stream(seed: int, draw: int, layer: int, what: str) -> np.random.Generator:
    """The random numbers of one layer of one net. They depend on these four only, not on depth or on what else is drawn."""
    words = (draw, layer, zlib.crc32(what.encode()))
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=words)))


def layers_of(bases: Sequence[str], widths: Sequence[int], seed: int, draws: Iterable[int]) -> dict[tuple[str, int], list[np.ndarray]]:
    """(base, draw) → the matrices of all layers before scaling, float32 ``(fan_out, fan_in)``, read-only.

    All bases start from one stream a layer, which pairs the truncated with the full normal. What is not kept from before is drawn
    on all cores.
    """
    wanted = {(base, draw): [(base, (fan_in, fan_out, seed, draw, layer)) for layer, (fan_in, fan_out) in enumerate(pairwise(widths), 1)]
              for draw in draws for base in sorted(bases)}
    missing: dict[_Place, list[str]] = {}
    found = _kept.find(key for keys in wanted.values() for key in keys)
    for base, place in (key for keys in wanted.values() for key in keys if key not in found):
        missing.setdefault(place, []).append(base)
    for place, matrices in zip(missing, run_all(lambda job: _drawn(*job), list(missing.items())), strict=True):
        found |= {(base, place): matrix for base, matrix in matrices.items()}
    return {net: [found[key] for key in keys] for net, keys in wanted.items()}


def _drawn(place: _Place, bases: Sequence[str]) -> dict[str, np.ndarray]:
    """The matrices of one layer; ``bases`` in alphabetical order, the normal before what can be made of it."""
    fan_in, fan_out, *where = place
    matrices: dict[str, np.ndarray] = {}
    generators: dict[str, np.random.Generator] = {}
    for name in bases:
        base = BASES[name]
        if base.from_normal and "normal" in matrices:
            matrices[name] = base.from_normal(matrices["normal"].copy(), generators["normal"])
        else:
            generators[name] = stream(*where, "weights")
            matrices[name] = base.draw(fan_in, fan_out, generators[name], np.dtype(np.float32))
    for name, matrix in matrices.items():
        matrix.flags.writeable = False
        _kept.add((name, place), matrix)
    return matrices
