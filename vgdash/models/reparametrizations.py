"""Assemble the weights that a layer uses from the arrays of a file: lengths, spectral norms, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Weights:
    """A layer's matrix, its name in the file and in the model; ``size``, ``fixed``: as in ``Layer``."""

    stands: str
    name: str
    array: np.ndarray
    size: str = ""
    fixed: bool = False


@dataclass(frozen=True)
class Way:
    """A way to make weights of an array whose name has an ``end``, and of others with the same beginning."""

    end: str
    others: tuple[str, ...]
    make: Callable[..., np.ndarray]
    sized: bool = False  # the first of the others multiplies the weights
    fixed: bool = False


def _normed(v, g):
    """Return g·v/|v|, with one length for each entry of g (Salimans & Kingma 2016)."""
    if g.size != max(g.shape, default=1):
        raise ValueError("lengths have one axis")
    axes = tuple(i for i in range(v.ndim) if g.ndim != v.ndim or g.shape[i] == 1)
    length = np.sqrt(np.sum(np.square(v, dtype=float), axes, keepdims=True))
    return v * (g / np.maximum(length, 1e-300))


def _spectral(w, u, v):
    """Return W/(uᵀWv) (Miyato et al. 2018)."""
    return w / (float(u.astype(float) @ w.reshape(len(w), -1) @ v) or 1.0)


WAYS = (
    Way("_v", ("_g",), _normed, sized=True),
    Way("original1", ("original0",), _normed, sized=True),
    Way("_orig", ("_u", "_v"), _spectral, fixed=True),
    Way("original", ("0._u", "0._v"), _spectral, fixed=True),
    Way("original", ("0.base",), lambda _, base: base, fixed=True),  # both are orthogonal
    Way("_orig", ("_mask",), np.multiply),  # pruned
    Way("weight", ("weight_scale",), np.multiply),  # quantized
)


def assembled(weights: Mapping, read: Callable[[str], np.ndarray | None]) -> Iterator[Weights]:
    """Yield what layers use of a mapping of names to arrays; ``read`` returns the array of a name."""
    found = {name: ways[0] for name in weights if (ways := list(_ways(name, weights)))}
    parts = {other for _, _, others in found.values() for other in others}
    for name in weights:
        if name in parts or (array := read(name)) is None:
            continue
        way, stem, names = found.get(name, (None, "", ()))
        others, made = {other: read(other) for other in names}, None
        if way and array.ndim > 1 and all(other is not None for other in others.values()):
            with suppress(ValueError, TypeError), np.errstate(all="ignore"):  # shapes that do not fit
                made = way.make(array, *others.values())
        if made is not None and made.shape == array.shape:
            yield Weights(name, stem, made, names[0] if way.sized else "", way.fixed)
        else:
            alone = {name: array, **others}
            yield from (Weights(one, one, value) for one, value in alone.items() if value is not None)


def _ways(name: str, weights: Mapping) -> Iterator[tuple[Way, str, tuple[str, ...]]]:
    """Yield the ways for which all arrays are there, each with the name in the model and the other arrays."""
    module, _, inner = name.partition(".parametrizations.")
    for way in WAYS:
        stem = name.removesuffix(way.end)
        others = tuple(stem + other for other in way.others)
        if stem != name and all(other in weights for other in others):
            yield way, f"{module}.{inner.partition('.')[0]}" if inner else stem, others
