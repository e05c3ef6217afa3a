"""Trace weights alone: what theory says of them, with unit inputs and one activation after each layer.

Names and shapes say what is a layer. Without the model nobody knows its skips and what normalization divides
out, so layers beside normalization, or whose widths do not follow each other, are not judged as a chain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.models.assembled import assembled
from vgdash.models.carried import carried
from vgdash.models.records import MULTIPLYING, NAN, Layer, Trace
from vgdash.params import Choice, ParamError

EMBEDDINGS = ("emb", "wte", "wpe", "token", "position")
RECURRENT = ("weight_ih", "weight_hh", "recurrent_kernel")
DEAD = 4.0  # standard deviations below 0, where fewer than one input in 30,000 is on


def trace_weights(weights: Mapping, activation: str) -> Trace:
    """Trace a mapping of names to arrays. Raises ``ParamError`` if none of them is a matrix."""
    Choice(tuple(ACTIVATIONS)).check("activation", activation)
    layers, normed = [], False
    for one in assembled(weights, lambda name: _array(weights[name])):
        leaf = one.name.replace("/", ".").rpartition(".")[2]
        if one.array.ndim == 0 or not one.array.size:
            continue
        if one.array.ndim == 1:
            normed |= leaf in ("gamma", "running_mean", "moving_mean") or leaf == "weight"
        elif "bias" not in leaf and not np.issubdtype(one.array.dtype, np.integer):
            beside = _bias(weights, one.name)
            found = _layer(one.name, leaf, one.array, _array(weights[beside]) if beside else None)
            layers.append(replace(found, weight=one.stands, bias=beside, size=one.size, fixed=one.fixed))
    if not layers:
        nested = any(isinstance(value, Mapping) for value in weights.values())
        instead = ("Give the inner one, checkpoint['state_dict']; of Flax flatten_dict(params, sep='/')."
                   if nested else "Give the arrays by name, as a state_dict does.")
        raise ParamError("model", "weights with at least one matrix", ", ".join(list(weights)[:5]), instead)
    sizes = getattr(weights, "formats", {})
    form = max(sizes, key=sizes.__getitem__, default="") or "float32"
    return with_activation(Trace("weights", tuple(_linked(layers, normed)), format=form), activation)


def _array(value) -> np.ndarray | None:
    """Return an array of numbers; a framework's tensor is converted, what is no array is left out."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    array = np.asarray(value)
    if array.dtype.name.startswith(("bfloat16", "float8")):  # of JAX, which NumPy does not count as floats
        array = array.astype(np.float32)
    return array if array.dtype.kind in "fiu" else None


def _bias(weights: Mapping, name: str) -> str:
    """Name the bias that stands beside a matrix."""
    stem = name.removesuffix("weight").removesuffix("kernel")
    return stem + "bias" if stem != name and stem + "bias" in weights else ""


def _layer(name: str, leaf: str, w: np.ndarray, bias: np.ndarray | None) -> Layer:
    """Measure one matrix; convolutions have the kernel's axes last (PyTorch) or first (Keras)."""
    path = name.rpartition("/" if "/" in name else ".")[0]
    rows_first = leaf != "kernel" and not (
        w.ndim == 2 and bias is not None and bias.shape == (w.shape[1],) != (w.shape[0],))
    kind = "linear" if w.ndim == 2 else "convolution"
    if any(word in name.lower() for word in EMBEDDINGS) and w.ndim == 2 and bias is None:
        kind = "embedding"
    if any(word in name for word in RECURRENT):
        kind = "recurrent"
    rows = w.reshape(w.shape[0], -1) if rows_first else np.moveaxis(w, -1, 0).reshape(w.shape[-1], -1)
    area = math.prod(w.shape[2:] if rows_first else w.shape[:-2])
    with np.errstate(over="ignore", invalid="ignore"):
        weight2 = float(np.mean(np.square(rows, dtype=np.float64)))
        mean = float(np.mean(rows, dtype=np.float64))
        largest = float(np.abs(rows).max())
        same = len(rows) > 1 and bool(np.abs(rows - rows[:1]).max() <= 1e-6 * largest)
        columns = bool(np.abs(rows - rows[:, :1]).max() <= 1e-6 * largest)
        known = (bias if bias is not None and bias.size else np.zeros(1)).astype(float)
        bias2, bias_mean = float(np.mean(known**2)), float(known.mean())
    fan_in = rows.shape[1] if kind != "embedding" else 1
    return Layer(path or name, name, kind, float(fan_in), float(len(rows) * area), float(area), 1.0,
                 max(weight2 - mean * mean, 0.0), weight2, largest, float(w.size), bias2, bias_mean,
                 identical=same and largest > 0, stuck=columns, zero=largest == 0,
                 dead=float(np.mean(known < -DEAD * math.sqrt(fan_in * weight2))), units=float(known.size))


def _linked(layers: list[Layer], normed: bool) -> list[Layer]:
    """Link layers whose widths follow each other, from unit inputs to a unit gradient of the outputs."""
    outs = [a.fan_out / a.area for a in layers]
    chain = not normed and all(a.kind in MULTIPLYING for a in layers) and all(
        out == a.fan_in / a.area or (a.kind == "linear" and b.kind == "convolution" and a.fan_in % out == 0)
        for out, b, a in zip(outs, layers, layers[1:], strict=False))
    found, zeros = [], [False, *(a.zero for a in layers), False]
    for place, (a, after) in enumerate(zip(layers, [*layers[1:], None], strict=True)):
        last, out2 = after is None, a.gain + a.bias2
        found.append(replace(
            a, in2=1.0, out2=out2, after2=out2, grad_after=NAN if chain and not last else 1.0,
            next=place + 1 if chain and not last else -1, first=place == 0, last=last,
            bypassed=not chain, normalized=not chain,
            dead=a.dead if chain and not last else 0.0,  # elsewhere nobody knows the activation
            identical=a.identical and after is not None and after.stuck,
            # a layer of 0 after each other one may end the branch of a skip connection
            stuck=chain and a.zero and (zeros[place] or zeros[place + 2])))
    return found


def with_activation(trace: Trace, activation: str) -> Trace:
    """Return a trace of weights alone as theory predicts it with another activation after each layer."""
    layers = [replace(a, activation="" if a.last else activation, after2=NAN, grad_in=NAN)
              if a.kind in MULTIPLYING else a for a in trace.layers]
    return replace(trace, layers=tuple(carried(layers)))
