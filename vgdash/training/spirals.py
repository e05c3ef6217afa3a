"""Three nets learn the spirals from first weights of several scales: the frames that Home plays.

    python -m vgdash.training.spirals    # trains 21 nets in some 20 s, writes datasets/spirals.npz

The file holds nothing but what this command computes: its points are drawn by ``load("spirals")``. It has the
licence of the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vgdash.records import Record
from vgdash.training.params import TrainParams
from vgdash.training.trainer import train

FILE = Path(__file__).parent.parent / "datasets" / "spirals.npz"
SCALES = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)  # gamma: all weights of a net times this
NETS = ("small_normal", "lecun_normal", "he_normal")
LEVELS = 64  # of an answer, from class 0 to class 1
POINTS = 120  # of the training set, that are drawn


@dataclass(frozen=True, eq=False)
class Film(Record):
    """Answers of every net on a grid, at ``steps`` of its training.

    steps     (frames,)
    answers   (scales, nets, frames, 32, 32) uint8 from 0 to ``LEVELS`` - 1, rows by the second feature
    accuracy  (scales, nets, frames) share of hits in the minibatches before
    diverged  (scales, nets) step at which the net blew up, else -1
    points    (points, 2) from 0 to 1 along the sides of the grid
    labels    (points,) class
    """

    steps: np.ndarray
    answers: np.ndarray
    accuracy: np.ndarray
    diverged: np.ndarray
    points: np.ndarray
    labels: np.ndarray


def params(scale: float) -> TrainParams:
    """Return the training of the three nets whose weights start ``scale`` times as large."""
    return TrainParams.uniform(16, 32, dataset="spirals", initializers=NETS, learning_rate=0.05, steps=2000,
                               snapshots=20, gamma=scale)


def film() -> Film:
    """Train all nets now."""
    runs = [[s for s in train(params(scale)) if s.decision is not None] for scale in SCALES]
    answers = np.array([[s.decision for s in run] for run in runs]).swapaxes(1, 2)
    p = params(1.0)
    axes = p.decision_axes
    points = p.data.x_train[:POINTS]
    return Film(
        steps=np.array([s.step for s in runs[0]]),
        answers=(answers.astype(int) * LEVELS // 256).astype(np.uint8),
        accuracy=np.array([[s.accuracy[:, 0] for s in run] for run in runs], np.float32).swapaxes(1, 2),
        diverged=np.array([run[-1].diverged[:, 0] for run in runs]),
        points=(points - axes[:, 0]) / (axes[:, -1] - axes[:, 0]), labels=p.data.y_train[:POINTS])


def shipped() -> Film:
    """Read the film that was computed before."""
    with np.load(FILE) as stored:
        return Film(**stored)


if __name__ == "__main__":
    np.savez_compressed(FILE, **vars(film()))
