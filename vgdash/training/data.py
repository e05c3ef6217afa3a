"""Data to train on: handwritten digits from a file, four sets in the plane and a function, drawn from a seed.

Every set is standardised with statistics of the training rows: subtract each feature's mean, then divide all
by one number, so that E[x²] = 1 over training rows and features. One divisor keeps the shape of pictures and
figures. Numbers to predict have mean 0 and variance 1 over the training rows too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from vgdash.params import ParamError, Params, choice, integer, real
from vgdash.records import Record

TRAIN, HELD_OUT = 1_000, 500  # rows of a set in the plane
EVERY = 5  # of each digit's images, in the order of the file, every fifth is held out
DIGITS = Path(__file__).parent.parent / "datasets" / "digits.npz"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Name, size and source of a data set, and the default ``noise`` of a figure in the plane or a function.

    ``draw(rows, rng)`` makes a figure: x and y of its points, without noise, and labels, all ``(rows,)``. A
    set of one "class" is a function: ``draw`` makes its x and y.
    """

    name: str
    classes: int
    features: int
    source: str
    noise: float = 0.0
    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None


@dataclass(frozen=True, eq=False)
class Data(Record):
    """Data ready for training: read-only arrays, inputs with E[x²] = 1 over the training rows."""

    name: str
    classes: int
    features: int
    source: str
    x_train: np.ndarray
    """(training rows, features) float32"""
    y_train: np.ndarray
    """(training rows,) int64 from 0 to classes - 1, with label noise; of a function float32"""
    x_test: np.ndarray
    """(held-out rows, features) float32"""
    y_test: np.ndarray
    """(held-out rows,) likewise, never with label noise"""
    mislabelled: np.ndarray
    """(training rows,) bool, where label noise replaced the true label"""
    centre: np.ndarray
    """(features,) float64, subtracted from the raw values"""
    scale: float
    """divisor of the rest: raw = centre + scale * x"""

    def frame(self) -> pd.DataFrame:
        """One row for each example: its features x1, x2, …, label, held_out and mislabelled."""
        names = [f"x{i}" for i in range(1, self.features + 1)]
        table = pd.DataFrame(np.concatenate([self.x_train, self.x_test]), columns=names)
        return table.assign(label=np.append(self.y_train, self.y_test),
                            held_out=table.index >= len(self.y_train),
                            mislabelled=np.append(self.mislabelled, np.zeros(len(self.y_test), bool)))


def _spirals(rows, rng):
    """Two arms of an Archimedean spiral, 1.5 turns, to radius 1; points are uniform along the radius."""
    labels = np.arange(rows) % 2
    radius = rng.uniform(0.1, 1, rows)
    angle = 3 * math.pi * radius + math.pi * labels
    return radius * np.cos(angle), radius * np.sin(angle), labels


def _circles(rows, rng):
    """A circle of radius 1 around one of radius 1/2."""
    labels = np.arange(rows) % 2
    radius, angle = 1 - labels / 2, rng.uniform(0, 2 * math.pi, rows)
    return radius * np.cos(angle), radius * np.sin(angle), labels


def _moons(rows, rng):
    """Two half circles of radius 1, the second turned over and moved by (1, 1/2)."""
    labels = np.arange(rows) % 2
    angle, side = rng.uniform(0, math.pi, rows), 1 - 2 * labels
    return labels + side * np.cos(angle), labels / 2 + side * np.sin(angle), labels


def _gaussians(rows, rng):
    """Four points, in the corners of a square of half side 1."""
    labels = np.arange(rows) % 4
    angle = math.pi / 4 + math.pi / 2 * labels
    return math.sqrt(2) * np.cos(angle), math.sqrt(2) * np.sin(angle), labels


def _wave(rows, rng):
    """Two periods of a sine that grows, over x from -1 to 1."""
    x = rng.uniform(-1, 1, rows)
    return x, (1 + x / 2) * np.sin(2 * math.pi * x)


DATASETS: dict[str, Dataset] = {d.name: d for d in (
    Dataset("digits", 10, 64,
            "Alpaydin & Kaynak 1998, UCI Machine Learning Repository (doi 10.24432/C50P49), CC BY 4.0"),
    Dataset("spirals", 2, 2, "two Archimedean spirals, after Lang & Witbrock 1988", 0.03, _spirals),
    Dataset("circles", 2, 2, "one circle around another", 0.1, _circles),
    Dataset("moons", 2, 2, "two interleaved half circles", 0.15, _moons),
    Dataset("gaussians", 4, 2, "four round Gaussian clouds", 0.4, _gaussians),
    Dataset("wave", 1, 1, "two periods of a growing sine, to be predicted as a number", 0.1, _wave),
)}


@dataclass(frozen=True)
class DataParams(Params):
    """Name, ``seed`` and noise of a data set.

    ``noise`` scales a figure's own jitter (the digits have none); ``label_noise`` is the share of training
    labels replaced by another class.
    """

    name: str = choice("digits", DATASETS)
    seed: int = integer(0, 0, 2**31 - 1)
    noise: float = real(1.0, 0, 10)
    label_noise: float = real(0.0, 0, 1)

    def consistent(self) -> None:
        if self.name == "digits" and self.noise != 1:
            raise ParamError("noise", "1 for the digits", self.noise,
                             "They are pictures; use label_noise, or another data set.")
        if DATASETS[self.name].classes == 1 and self.label_noise:
            raise ParamError("label_noise", f"0 for {self.name}", self.label_noise,
                             "It has numbers, no labels; use noise.")


def load(name: str = "digits", seed: int = 0, noise: float = 1.0, label_noise: float = 0.0) -> Data:
    """Load a data set, split and standardised; the same arguments give the same record.

    Digits: 1,442 training and 355 held-out images of 8 x 8, every fifth of each class held out; the same 13
    people wrote both. Others: 1,000 training and 500 held-out points, classes equally frequent; noise moves
    the points of a figure, and the numbers of a function. Labels wrong
    at a noise of 10 % are wrong at 20 % too. Raises ``ParamError`` as ``DataParams`` does.
    """
    return _load(DataParams(name, seed, noise, label_noise))


@lru_cache(maxsize=33)  # of 60 kB at most, two features and a label of 1,500 points: 2 MB
def _load(p: DataParams) -> Data:
    dataset = DATASETS[p.name]
    if dataset.classes == 1:
        return _function(dataset, p)
    if dataset.draw is None:
        x_train, true, x_test, y_test, centre, scale = _digits()
    else:
        rng = np.random.default_rng([p.seed, *p.name.encode()])
        train, true = _draw(dataset, TRAIN, p.noise, rng)
        test, y_test = _draw(dataset, HELD_OUT, p.noise, rng)
        x_train, x_test, centre, scale = _standardise(train, test)
    y_train = _relabelled(true, dataset.classes, p)
    arrays = x_train, y_train, x_test, y_test.astype(np.int64), y_train != true, centre
    return Data(p.name, dataset.classes, dataset.features, dataset.source, *arrays, scale)


def _function(dataset: Dataset, p: DataParams) -> Data:
    """Draw x and noisy y of a function, both standardised."""
    rng = np.random.default_rng([p.seed, *p.name.encode()])
    x, y = (values[:, None] for values in dataset.draw(TRAIN + HELD_OUT, rng))
    y = y + p.noise * dataset.noise * rng.standard_normal(y.shape)
    x_train, x_test, centre, scale = _standardise(x[:TRAIN], x[TRAIN:])
    y_train, y_test, *_ = _standardise(y[:TRAIN], y[TRAIN:])
    arrays = x_train, y_train[:, 0], x_test, y_test[:, 0], np.zeros(TRAIN, bool), centre
    return Data(p.name, dataset.classes, dataset.features, dataset.source, *arrays, scale)


def _draw(dataset: Dataset, rows: int, noise: float,
          rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x, y, labels = dataset.draw(rows, rng)
    return np.stack([x, y], axis=1) + noise * dataset.noise * rng.standard_normal((rows, 2)), labels


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Both standardised, float32; then the centre and the scale."""
    centre = train.mean(axis=0)
    scale = float(np.sqrt(((train - centre) ** 2).mean()))
    x_train, x_test = (((x - centre) / scale).astype(np.float32) for x in (train, test))
    return x_train, x_test, centre, scale


@cache
def _digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Training images and labels, held-out images and labels, centre and scale."""
    with np.load(DIGITS) as file:
        images, labels = file["images"].astype(np.float64), file["labels"].astype(np.int64)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[EVERY - 1::EVERY]] = True
    x_train, x_test, centre, scale = _standardise(images[~held_out], images[held_out])
    return x_train, labels[~held_out], x_test, labels[held_out], centre, scale


def _relabelled(true: np.ndarray, classes: int, p: DataParams) -> np.ndarray:
    """``true`` with the share ``p.label_noise`` of its entries replaced by other classes, uniformly."""
    rng = np.random.default_rng([p.seed, 1])
    order, steps = rng.permutation(len(true)), rng.integers(1, classes, len(true))
    wrong = order[:round(p.label_noise * len(true))]
    labels = true.astype(np.int64)
    labels[wrong] = (labels[wrong] + steps[wrong]) % classes
    return labels
