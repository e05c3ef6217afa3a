"""Random numbers of nets: one stream for each layer of each net, and the weights that are drawn from it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from vgdash.initializers import BASES
from vgdash.parallel import run_all

CACHED_ENTRIES = 2**14  # entries of the largest layers that are kept, 128 x 128: 64 kB for each base draw


def stream(seed: int, draw: int, layer: int, what: str) -> np.random.Generator:
    """Return the generator of one layer of one net, independent of the depth and of other draws."""
    words = (draw, layer, zlib.crc32(what.encode()))
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=words)))


def draw_layers(bases: Iterable[str], widths: Sequence[int], seed: int,
                draws: Sequence[int]) -> dict[tuple[str, int], list[np.ndarray]]:
    """Draw the layers of nets before scaling: (base, draw) → float32 ``(fan_out, fan_in)``, read-only.

    All bases start from one stream a layer, which pairs the truncated with the full normal.
    """
    def draw_layer(job: tuple[int, int, int, int]) -> dict[str, np.ndarray]:
        draw, layer, fan_in, fan_out = job
        function = _draw_layer if fan_in * fan_out <= CACHED_ENTRIES else _draw_layer.__wrapped__
        return function(bases, fan_in, fan_out, seed, draw, layer)

    bases = tuple(sorted(bases))
    jobs = [(draw, layer, *fans) for draw in draws for layer, fans in enumerate(pairwise(widths), 1)]
    found: dict[tuple[str, int], list[np.ndarray]] = {(base, draw): [] for draw in draws for base in bases}
    for (draw, *_), matrices in zip(jobs, run_all(draw_layer, jobs), strict=True):
        for base, matrix in matrices.items():
            found[base, draw].append(matrix)
    return found


@lru_cache(maxsize=400)  # 26 MB for each base draw; a slider that moves the depth draws one layer only
def _draw_layer(bases: tuple[str, ...], fan_in: int, fan_out: int, seed: int, draw: int,
                layer: int) -> dict[str, np.ndarray]:
    """Draw the matrices of one layer; ``bases`` in alphabetical order: "normal" before "truncated"."""
    matrices: dict[str, np.ndarray] = {}
    generators: dict[str, np.random.Generator] = {}
    for name in bases:
        base = BASES[name]
        if base.from_normal and "normal" in matrices:
            matrices[name] = base.from_normal(matrices["normal"].copy(), generators["normal"])
        else:
            generators[name] = stream(seed, draw, layer, "weights")
            matrices[name] = base.draw(fan_in, fan_out, generators[name], np.dtype(np.float32))
    for matrix in matrices.values():
        matrix.flags.writeable = False
    return matrices
