"""Measure named arrays as layers: which of them is a bias, and which axis of a matrix has the outputs."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from itertools import pairwise

import numpy as np

from vgdash.models.records import Layer

EMBEDDINGS = ("emb", "wte", "wpe", "token", "position")
RECURRENT = ("weight_ih", "weight_hh", "recurrent_kernel")
BIASES = {"weight": ("bias",), "weights": ("biases", "bias"), "kernel": ("bias",), "w": ("b",), "W": ("b",)}
NAME = re.compile(r"(.*?)(weights?|kernel|(?<![A-Za-z])[wW])(_?\d*(?::0)?)")
NO_MATRIX = re.compile(r"(scales?|scale_inv|zeros|zero_point|absmax)(:0)?$")  # of quantized weights
DEAD = 4.0  # standard deviations below 0, where fewer than one input in 30,000 is on


def leaf(name: str) -> str:
    """Return the last part of a name, without TensorFlow's ``:0``."""
    return name.replace("/", ".").rpartition(".")[2].removesuffix(":0")


def bias_of(name: str, names: Collection[str]) -> str:
    """Name the bias beside a matrix: b1 beside W1, 0.bias beside 0.weight, bias:0 beside kernel:0; or ""."""
    found = NAME.fullmatch(name)
    if not found:
        return ""
    stem, word, end = found.groups()
    return next((other for b in BIASES[word] if (other := stem + b + end) in names), "")


def outputs_last(name: str, shape: tuple[int, ...], bias: int) -> bool | None:
    """Test if the last axis has the outputs, as in Keras, not the first one; None if nothing says it."""
    if leaf(name) == "kernel":
        return True
    if shape[0] != shape[-1] and bias in (shape[0], shape[-1]):
        return bias == shape[-1]
    return None


def outputs_axes(found: list[tuple[str, tuple[int, ...], bool | None]]) -> Iterator[int]:
    """Yield the axis of each array's outputs, 0 or -1, from name, shape and what ``outputs_last`` says.

    Arrays of which nothing is said follow those with the same word in their name, or the order in which
    widths follow each other.
    """
    words = [re.sub(r"\d", "", leaf(name)) for name, *_ in found]
    votes: dict[str, set] = {word: set() for word in words}
    shapes: dict[str, list] = {word: [] for word in words}
    for word, (_, shape, said) in zip(words, found, strict=True):
        votes[word] |= {said} - {None}
        shapes[word] += [shape] if len(shape) == 2 else []
    last = {word: votes[word] == {True} or (
        not votes[word] and all(one[1] == other[0] for one, other in pairwise(shapes[word]))
        and any(one[0] != other[1] for one, other in pairwise(shapes[word]))) for word in votes}
    for word, (_, _, said) in zip(words, found, strict=True):
        yield -1 if (last[word] if said is None else said) else 0


def equal(w: np.ndarray, axis: int) -> bool:
    """Test if all slices of ``w`` along an axis are equal."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.abs(w - np.take(w, [0], axis)).max() <= 1e-6 * np.abs(w).max())


def layer(name: str, w: np.ndarray, bias: np.ndarray | None, outputs: int) -> Layer:
    """Measure one matrix whose ``outputs`` are axis 0 or -1; a kernel's other axes lie opposite.

    ``out_mean`` is that of inputs of 1.
    """
    path = name.rpartition("/" if "/" in name else ".")[0]
    kind = "linear" if w.ndim == 2 else "convolution"
    if any(word in name.lower() for word in EMBEDDINGS) and w.ndim == 2 and bias is None:
        kind = "embedding"
    if any(word in name for word in RECURRENT):
        kind = "recurrent"
    units, area = w.shape[outputs], math.prod(w.shape[:-2] if outputs else w.shape[2:])
    with np.errstate(over="ignore", invalid="ignore"):
        weight2 = float(np.mean(np.square(w, dtype=np.float64)))
        mean = float(np.mean(w, dtype=np.float64))
        largest = float(np.abs(w).max())
        known = (bias if bias is not None and bias.size else np.zeros(1)).astype(float)
        bias2, bias_mean = float(np.mean(known**2)), float(known.mean())
    fan_in = w.size / units if kind != "embedding" else 1.0
    return Layer(path or name, name, kind, fan_in, float(units * area), float(area), 1.0,
                 max(weight2 - mean * mean, 0.0), weight2, largest, float(w.size), bias2, bias_mean,
                 out_mean=mean * fan_in + bias_mean, zero=largest == 0,
                 identical=units > 1 and largest > 0 and equal(w, outputs),
                 dead=float(np.mean(known < -DEAD * math.sqrt(fan_in * weight2))),
                 units=float(known.size))
