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
from vgdash.models.arrays import NO_MATRIX, bias_of, equal, layer, leaf, outputs_axes, outputs_last
from vgdash.models.propagation import propagate
from vgdash.models.records import MULTIPLYING, NAN, Layer, Trace
from vgdash.models.reparametrizations import assembled
from vgdash.params import Choice, ParamError
from vgdash.theory.averages import log_moment, mean_value


def trace_weights(weights: Mapping, activation: str) -> Trace:
    """Trace a mapping of names to arrays. Raises ``ParamError`` if none of them is a matrix."""
    Choice(tuple(ACTIVATIONS)).check("activation", activation)
    found, normed = [], False
    biases = {bias_of(name, weights) for name in weights}
    for one in assembled(weights, lambda name: _array(weights[name])):
        if one.array.ndim == 0 or not one.array.size:
            continue
        if one.array.ndim == 1:
            normed |= leaf(one.name) in ("gamma", "running_mean", "moving_mean", "weight", "scale")
        elif not (one.stands in biases or "bias" in leaf(one.name) or NO_MATRIX.search(one.name)
                  or np.issubdtype(one.array.dtype, np.integer)):
            name = bias_of(one.name, weights)
            bias = _array(weights[name]) if name else None
            found.append((one, name, bias))
    axes = outputs_axes([(one.name, one.array.shape, outputs_last(
        one.name, one.array.shape, bias.size if bias is not None else 0)) for one, _, bias in found])
    layers, symmetric = [], []  # in its inputs
    for (one, name, bias), axis in zip(found, axes, strict=True):
        layers.append(replace(layer(one.name, one.array, bias, axis), weight=one.stands, bias=name,
                              size=one.size, fixed=one.fixed))
        symmetric.append(equal(one.array, -2 if axis else 1))
    if not layers:
        nested = any(isinstance(value, Mapping) for value in weights.values())
        instead = ("Give the inner one, checkpoint['state_dict']; of Flax flatten_dict(params, sep='/')."
                   if nested else "Give the arrays by name, as a state_dict does.")
        raise ParamError("model", "weights with at least one matrix", ", ".join(list(weights)[:5]), instead)
    sizes = getattr(weights, "formats", {})
    form = max(sizes, key=sizes.__getitem__, default="") or "float32"
    layers = _linked(layers, symmetric, normed)
    return with_activation(Trace("weights", tuple(layers), format=form), activation)


def _array(value) -> np.ndarray | None:
    """Return an array of numbers; a framework's tensor is converted, what is no array is left out."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    array = np.asarray(value)
    if array.dtype.name.startswith(("bfloat16", "float8")):  # of JAX, which NumPy does not count as floats
        array = array.astype(np.float32)
    return array if array.dtype.kind in "fiu" else None


def _linked(layers: list[Layer], symmetric: list[bool], normed: bool) -> list[Layer]:
    """Link layers whose widths follow each other, from unit inputs to a unit gradient of the outputs.

    Units stay equal if they have equal weights and the next layer reads all of them alike (``symmetric``).
    """
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
            identical=a.identical and after is not None and symmetric[place + 1],
            # a layer of 0 after each other one may end the branch of a skip connection
            stuck=chain and a.zero and (zeros[place] or zeros[place + 2])))
    return found


def with_activation(trace: Trace, activation: str) -> Trace:
    """Return a trace of weights alone as theory predicts it with another activation after each layer.

    ``in_mean`` of a layer whose weights have a mean above 0 is that of the activation before it, E[f(√q z)].
    Weights below 0 turn units off; training makes such, too.
    """
    layers = propagate([replace(a, activation="" if a.last else activation, after2=NAN, grad_in=NAN)
                      if a.kind in MULTIPLYING else a for a in trace.layers])
    for a in layers:
        if a.next > 0 and layers[a.next].out_mean > 0 and 0 < a.out2 < math.inf:
            log_q = math.log(a.out2)
            share = float(mean_value(activation, log_q) / np.exp(log_moment(activation, log_q) / 2))
            layers[a.next] = replace(layers[a.next], in_mean=share * math.sqrt(layers[a.next].in2))
    return replace(trace, layers=tuple(layers))
