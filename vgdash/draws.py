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

_kept: OrderedDict[tuple, np.ndarray] = OrderedDict()
_lock = threading.Lock()


def stream(seed: int, draw: int, layer: int, what: str) -> np.random.Generator:
    """The random numbers of one layer of one net. They depend on these four only, not on depth or on what else is drawn."""
    words = (draw, layer, zlib.crc32(what.encode()))
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=words)))


def layers_of(bases: Sequence[str], widths: Sequence[int], seed: int, draws: Iterable[int]) -> dict[tuple[str, int], list[np.ndarray]]:
    """(base, draw) → the matrices of all layers before scaling, float32 ``(fan_out, fan_in)``, read-only.

    All bases start from one stream a layer, which pairs the truncated with the full normal. What is not kept from before is drawn
    on all cores.
    """
    wanted = {(base, draw): [(base, fan_in, fan_out, seed, draw, layer) for layer, (fan_in, fan_out) in enumerate(pairwise(widths), 1)]
              for draw in draws for base in bases}
    with _lock:
        found = {key: _kept[key] for keys in wanted.values() for key in keys if key in _kept}
        for key in found:
            _kept.move_to_end(key)
    missing = [key for keys in wanted.values() for key in keys if key not in found]
    found |= dict(zip(missing, run_all(lambda key: _drawn(*key), missing), strict=True))
    return {net: [found[key] for key in keys] for net, keys in wanted.items()}


def _drawn(base: str, fan_in: int, fan_out: int, seed: int, draw: int, layer: int) -> np.ndarray:
    matrix = BASES[base].draw(fan_in, fan_out, stream(seed, draw, layer, "weights"), np.dtype(np.float32))
    matrix.flags.writeable = False
    if matrix.nbytes <= bounds.WEIGHTS.largest:
        with _lock:
            _kept[base, fan_in, fan_out, seed, draw, layer] = matrix
            held = sum(kept.nbytes for kept in _kept.values())
            while held > bounds.WEIGHTS.total:
                held -= _kept.popitem(last=False)[1].nbytes
    return matrix
