"""Optimizers as PyTorch defines them, in place: from a gradient to what is subtracted from the weights.

``OPTIMIZERS[name]`` for sgd, momentum, adam. Nothing is allocated, to save passes over memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba 2015, and the defaults of torch.optim.Adam
CLIP_EPSILON = 1e-6  # torch.nn.utils.clip_grad_norm_


@dataclass(frozen=True, eq=False)
class Optimizer:
    """An update rule w ← w - update(∂C/∂w).

    ``update(g, state, step, learning_rate, momentum)`` returns the update in ``g`` or in one of the ``slots``
    arrays of ``state``, which are 0 at the start; it overwrites ``g``. ``step`` counts from 1,
    ``learning_rate`` broadcasts over ``g``. With ``linear`` the gradient must carry the learning rate
    already: one pass over memory less. ``formula`` is LaTeX, ``source`` the paper.
    """

    name: str
    formula: str
    source: str
    slots: int
    linear: bool
    update: Callable[[np.ndarray, Sequence[np.ndarray], int, float | np.ndarray, float], np.ndarray]


def _sgd(g, state, step, learning_rate, momentum):
    return g


def _momentum(g, state, step, learning_rate, momentum):
    velocity, = state
    velocity *= momentum
    velocity += g
    return velocity


def _adam(g, state, step, learning_rate, momentum):
    mean, square = state
    mean -= g
    mean *= BETA_1
    mean += g
    g *= math.sqrt(1 - BETA_2)
    g *= g
    square *= BETA_2
    square += g
    np.sqrt(square, out=g)
    g *= 1 / math.sqrt(1 - BETA_2**step)
    g += EPSILON
    np.divide(mean, g, out=g)
    g *= learning_rate / (1 - BETA_1**step)
    return g


OPTIMIZERS: dict[str, Optimizer] = {o.name: o for o in (
    Optimizer("sgd", r"w \leftarrow w - \eta g", "Robbins & Monro 1951", 0, True, _sgd),
    Optimizer("momentum", r"v \leftarrow \mu v + g,\; w \leftarrow w - \eta v", "Polyak 1964", 1, True,
              _momentum),
    Optimizer("adam", r"w \leftarrow w - \eta\, \hat m / (\sqrt{\hat v} + \epsilon)",
              "Kingma & Ba 2015 (arXiv 1412.6980)", 2, False, _adam),
)}


def clip_norm(gradients: Sequence[np.ndarray], limit: float, carried: float = 1.0) -> None:
    """Scale ``gradients`` ``(nets, …)`` in place so that the norm of each net's is at most ``limit``.

    ``carried`` is a factor of the gradients to which the limit does not apply. Each net's are divided by
    their largest entry first, because the square of an exploding gradient overflows long before the gradient.
    Those not finite, or all 0, are left as they are. Pascanu et al. 2013 (arXiv 1211.5063).
    """
    rows = [g.reshape(len(g), -1) for g in gradients]
    largest = np.max([np.maximum(g.max(axis=1), -g.min(axis=1)) for g in rows], axis=0)
    largest[~(np.isfinite(largest) & (largest > 0))] = 1
    for g in rows:
        g /= largest[:, None]
    norm = largest * np.sqrt(sum(np.vecdot(g, g).astype(np.float64) for g in rows)) / carried
    factor = np.minimum(1, limit / (norm + CLIP_EPSILON)) * largest
    for g in rows:
        g *= factor[:, None].astype(g.dtype)
