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
from vgdash.models.records import Layer, Trace
from vgdash.params import Choice, ParamError
from vgdash.quadrature import GRID, gaussian_mean
from vgdash.theory.averages import log_moment, log_slope

EMBEDDINGS = ("emb", "wte", "wpe", "token", "position")
RECURRENT = ("weight_ih", "weight_hh", "recurrent_kernel")
DEAD = 4.0  # standard deviations below 0, where fewer than one input in 30,000 is on


def trace_weights(weights: Mapping, activation: str) -> Trace:
    """Trace a mapping of names to arrays. Raises ``ParamError`` if none of them is a matrix."""
    Choice(tuple(ACTIVATIONS)).check("activation", activation)
    layers, normed = [], False
    for name in weights:
        array = _array(weights[name])
        leaf = name.replace("/", ".").rpartition(".")[2]
        if array is None or array.ndim == 0 or not array.size:
            continue
        if array.ndim == 1:
            normed |= leaf in ("gamma", "running_mean", "moving_mean") or leaf == "weight"
        elif "bias" not in leaf and not np.issubdtype(array.dtype, np.integer):
            beside = _bias(weights, name)
            layers.append(replace(_layer(name, leaf, array, _array(weights[beside]) if beside else None),
                                  bias=beside))
    if not layers:
        raise ParamError("model", "weights with at least one matrix", ", ".join(list(weights)[:5]),
                         "Give the arrays by name, as a state_dict does.")
    sizes = getattr(weights, "formats", {})
    form = max(sizes, key=sizes.__getitem__, default="") or "float32"
    return Trace("weights", tuple(_course(layers, activation, normed)), format=form)


def _array(value) -> np.ndarray | None:
    """Return an array of numbers; a framework's tensor is converted, what is no array is left out."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    array = np.asarray(value)
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
    fan_in = rows.shape[1] if kind != "embedding" else 1
    return Layer(path or name, name, kind, float(fan_in), float(len(rows) * area), float(area), 1.0,
                 max(weight2 - mean**2, 0.0), weight2, largest, float(w.size), float(np.mean(known**2)),
                 float(known.mean()), identical=same and largest > 0, stuck=columns, zero=largest == 0,
                 dead=float(np.mean(known < -DEAD * math.sqrt(fan_in * weight2))), units=float(known.size))


def _course(layers: list[Layer], activation: str, normed: bool) -> list[Layer]:
    """Carry unit inputs forward and a unit gradient back through the layers, by theory."""
    outs = [a.fan_out / a.area for a in layers]
    chain = not normed and all(a.kind in ("linear", "convolution") for a in layers) and all(
        out == a.fan_in / a.area or (a.kind == "linear" and b.kind == "convolution" and a.fan_in % out == 0)
        for out, b, a in zip(outs, layers, layers[1:], strict=False))
    found, q = [], 1.0
    for place, a in enumerate(layers):
        last = place == len(layers) - 1
        f = "linear" if last else activation
        out2 = a.gain * q + a.bias2 if chain else a.gain + a.bias2
        inside = 0 < out2 < math.inf
        after = float(np.exp(log_moment(f, math.log(out2)))) if inside else out2
        flat = ACTIVATIONS[f].saturated(math.sqrt(out2 if inside else 0.0) * GRID)
        ends = [abs(float(ACTIVATIONS[f].df(z))) < 0.01 for z in (-30.0, 30.0)]
        after_it = layers[place + 1] if not last else None
        found.append(replace(
            a, in2=q if chain else 1.0, out2=out2, after2=after, activation="" if last else f,
            first=place == 0, last=last, bypassed=not chain, normalized=not chain,
            next=-1 if last or not chain else place + 1,
            saturated=float(gaussian_mean(flat)) if all(ends) and not last else 0.0,
            dead=a.dead if ends == [True, False] and not last else 0.0,
            identical=a.identical and after_it is not None and after_it.stuck,
            stuck=chain and a.zero and any(b.zero for b in layers if b is not a)))
        q = after if chain else 1.0
    gradient = 1.0
    for place in range(len(found) - 1, -1, -1):
        a = found[place]
        known = a.activation and 0 < a.out2 < math.inf
        slope2 = float(np.exp(log_slope(a.activation, math.log(a.out2)))) if known else 1.0
        after = gradient
        gradient *= slope2 * a.gain if chain else 1.0
        found[place] = replace(a, grad_after=after, grad_out=after * slope2, grad_in=gradient)
    return found
