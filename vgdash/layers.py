"""Layers of nets, forward and backward: weights, normalization, residual branches and dropout.

Arrays are ``(…, batch, units)``. ``forward`` and ``backward`` go through the fully-connected layers of a
``Net`` and yield each layer's arrays, so that statistics need no second pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vgdash.activations import Activation

EPSILON = 1e-5  # added to the variance; the default of BatchNorm and LayerNorm in PyTorch
AXES: dict[str, int | None] = {"none": None, "batch": -2, "layer": -1}  # normalization → axis of its mean
RESIDUALS = ("none", "plain", "scaled", "zero")


def normalize(u: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Normalize u along ``axis``, -2 for batch, -1 for layer normalization: (u - mean)/sqrt(var + EPSILON).

    Returns the normalized array and the factor 1/sqrt(var + EPSILON), with ``axis`` kept as 1. There is no
    scale and shift: they start at 1 and 0. Sources: Ioffe & Szegedy 2015 (arXiv 1502.03167), Ba et al. 2016
    (arXiv 1607.06450).
    """
    hat = u - u.mean(axis=axis, keepdims=True)
    factor = 1 / np.sqrt((hat * hat).mean(axis=axis, keepdims=True) + u.dtype.type(EPSILON))
    hat *= factor
    return hat, factor


def normalize_backward(gradient: np.ndarray, hat: np.ndarray, factor: np.ndarray, axis: int) -> np.ndarray:
    """Return ∂C/∂u = factor·(g - mean(g) - hat·mean(g·hat)), g = ∂C/∂hat the gradient; overwrite ``hat``."""
    hat *= -(gradient * hat).mean(axis=axis, keepdims=True)
    hat += gradient
    hat -= gradient.mean(axis=axis, keepdims=True)
    hat *= factor
    return hat


def dropout_mask(shape: tuple[int, ...], keep: float, rng: np.random.Generator) -> np.ndarray:
    """Draw 1/keep with probability ``keep``, else 0; the mean is 1 (Srivastava et al. 2014, inverted)."""
    return (rng.random(shape, dtype=np.float32) < keep) * np.float32(1 / keep)


def residual_factors(widths: Sequence[int], residual: str,
                     norm_scale: float = 1.0) -> tuple[float | None, ...]:
    """Return, by layer, the factor of the branch in z[l] = z[l-1] + factor·branch, or None without a skip.

    A layer has a skip if its input and output have the same width, layer 1 excepted (it has no z before it).
    The factor is 1/sqrt(number of branches) for scaled, else 1, times ``norm_scale``, the scale of the
    branch's normalization; for zero the weights of the branch start at 0.
    """
    skips = [residual != "none" and layer > 0 and n == m for layer, (n, m) in enumerate(pairwise(widths))]
    factor = norm_scale / math.sqrt(max(1, sum(skips))) if residual == "scaled" else norm_scale
    return tuple(factor if skip else None for skip in skips)


def plain_norm_scale(skips: Sequence[float | None], norm_scale: float) -> float:
    """Return the scale of the normalization in layers without a skip: 1 in a net that has branches."""
    return norm_scale if all(skip is None for skip in skips) else 1.0


@dataclass(eq=False)
class Net:
    """Fully-connected layers l = 1 … L (index l - 1 in every sequence):

        u[l] = scales[l]·weights[l] a[l-1] + biases[l]
        z[l] = norm_scale·N(u[l])   or, with a skip connection, z[l-1] + skips[l]·N(u[l])
        a[l] = f(z[l]) ⊙ mask(l)

    ``weights[l]`` is ``(fan_out, fan_in)``, shared by nets that differ only in ``scales``; ``biases`` are
    ``(fan_out,)`` or None; ``axis`` is None or that of ``normalize``; ``mask(l)`` returns the dropout mask of
    layer index l, ``(batch, fan_out)``. With ``rescale`` the forward pass divides each scale by the standard
    deviation of scales[l]·weights[l] a[l-1] over batch and units (LSUV, Mishkin & Matas 2016, arXiv
    1511.06422).

    ``stack`` joins several nets of one architecture: weights[l] is then one matrix for each net, and
    everything else has a leading axis for the nets.
    """

    activation: Activation
    weights: Sequence[np.ndarray | tuple[np.ndarray, ...]]
    scales: list[float | np.ndarray]
    skips: Sequence[float | None]
    biases: Sequence[np.ndarray] | None = None
    axis: int | None = None
    mask: Callable[[int], np.ndarray] | None = None
    rescale: bool = False
    norm_scale: float = 1.0


def stack(nets: Sequence[Net]) -> Net:
    """Join nets that differ only in weights, scales, biases and masks."""
    def by_layer(name: str) -> list[tuple]:
        return list(zip(*(getattr(net, name) for net in nets), strict=True))

    first = nets[0]
    biases = None
    if any(net.biases is not None for net in nets):
        biases = [np.stack([np.zeros(len(matrix), matrix.dtype) if net.biases is None else net.biases[layer]
                            for net, matrix in zip(nets, matrices, strict=True)])[:, None]
                  for layer, matrices in enumerate(by_layer("weights"))]
    return replace(
        first, weights=by_layer("weights"),
        scales=[np.array(scales)[:, None, None] for scales in by_layer("scales")],
        biases=biases,
        mask=first.mask and (lambda index: np.stack([net.mask(index) for net in nets])))


class Tape:
    """Memory for a pass through a net of these widths, used again by the next pass.

    ``a[l]`` holds the activations of layer l (``a[0]`` the input), ``slope[l]`` the factor from ∂C/∂a[l] to
    ∂C/∂z[l] (l > 0), both ``(batch, units)``, or ``(nets, batch, units)`` for a stack; ``normalized[l]``
    holds the result of ``normalize``. ``backward`` overwrites ``slope`` and ``normalized`` with gradients.
    """

    def __init__(self, widths: Sequence[int], batch: int, dtype=np.float32, nets: int | None = None):
        self._rows = (batch,) if nets is None else (nets, batch)
        self.a, self.slope = ([np.empty((*self._rows, width), dtype) for width in widths] for _ in range(2))
        self.normalized: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(widths)
        self._spare = np.empty((3, math.prod(self._rows) * max(widths)), dtype)

    def spare(self, which: int, width: int) -> np.ndarray:
        """Return a temporary ``(batch, width)`` array; 0 and 1 alternate by layer, 2 is for one statement."""
        return self._spare[which, :math.prod(self._rows) * width].reshape(*self._rows, width)


@dataclass(frozen=True, eq=False)
class Forward:
    """One layer on the way forward; its arrays ``(batch, units)`` are valid until the next layer.

    ``slope`` is f'(z) without the dropout mask; ``a`` is the input of the next layer.
    """

    layer: int
    z: np.ndarray
    a: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True, eq=False)
class Backward:
    """One layer on the way back; its arrays are valid until the tape is used again.

    ``gradient`` is ∂C/∂z[l], ``inner`` ∂C/∂u[l], both ``(batch, fan_out)``; ``a`` is a[l-1] ``(batch,
    fan_in)``. With C summed over the batch, ∂C/∂W[l] = inner.T @ a and ∂C/∂b[l] = inner.sum(axis=0).
    """

    layer: int
    gradient: np.ndarray
    a: np.ndarray
    branch: np.ndarray  # ``inner`` before the factor of the skip connection
    skip: float | None

    @property
    def inner(self) -> np.ndarray:
        return self.branch if self.skip in (None, 1) else self.branch * self.branch.dtype.type(self.skip)


def _rescale(net: Net, index: int, u: np.ndarray) -> None:
    """Divide ``u`` and the layer's scale by the standard deviation of ``u``."""
    deviation = u.std(axis=(-2, -1), keepdims=u.ndim > 2, dtype=np.float64)
    deviation = np.where((deviation > 0) & np.isfinite(deviation), deviation, 1.0)
    net.scales[index] = net.scales[index] / deviation
    u /= deviation.astype(u.dtype)


def _multiply(x: np.ndarray, weights: np.ndarray | tuple[np.ndarray, ...], out: np.ndarray,
              transposed: bool) -> np.ndarray:
    """Write x Wᵀ (forward) or x W (backward) into ``out``, net by net."""
    stacked = isinstance(weights, tuple)
    for rows, matrix, into in zip(x, weights, out, strict=True) if stacked else ((x, weights, out),):
        np.matmul(rows, matrix.T if transposed else matrix, out=into)
    return out


def forward(net: Net, x: np.ndarray, tape: Tape) -> Iterator[Forward]:
    """Yield layers 1 … L, from the input ``x`` ``(batch, fan_in)``; fill ``tape`` for ``backward``."""
    tape.a[0][...] = x
    z = tape.a[0]
    for index, weights in enumerate(net.weights):
        layer = index + 1
        fan_in, fan_out = tape.a[index].shape[-1], tape.a[layer].shape[-1]
        # The scale goes to the input: s·a under- and overflows only where the products (s·w)·a do.
        scaled = np.multiply(tape.a[index], np.asarray(net.scales[index], z.dtype), out=tape.spare(2, fan_in))
        u = _multiply(scaled, weights, tape.spare(layer % 2, fan_out), transposed=True)
        if net.rescale:
            _rescale(net, index, u)
        if net.biases is not None:
            u += net.biases[index]
        if net.axis is not None:
            tape.normalized[layer] = normalize(u, net.axis)
            u[...] = tape.normalized[layer][0]
            if net.norm_scale != 1 and net.skips[index] is None:
                u *= u.dtype.type(net.norm_scale)
        if net.skips[index] is not None:
            u *= u.dtype.type(net.skips[index])
            u += z
        z, a, slope = u, tape.a[layer], tape.slope[layer]
        net.activation.f(z, out=a)
        net.activation.df(z, out=slope)
        mask = net.mask(index) if net.mask else None
        if mask is not None:
            a *= mask
        yield Forward(layer, z, a, slope)
        if mask is not None:
            slope *= mask


def backward(net: Net, cotangent: np.ndarray, tape: Tape) -> Iterator[Backward]:
    """Yield layers L … 1, from ``cotangent`` = ∂C/∂z[L] ``(batch, fan_out)``, after all of ``forward``."""
    gradient = tape.slope[-1]
    gradient[...] = cotangent
    for layer in range(len(net.weights), 0, -1):
        weights, skip = net.weights[layer - 1], net.skips[layer - 1]
        branch = gradient
        if net.axis is not None:
            branch = normalize_backward(gradient, *tape.normalized[layer], net.axis)
            if net.norm_scale != 1 and skip is None:
                branch *= branch.dtype.type(net.norm_scale)
        yield Backward(layer, gradient, tape.a[layer - 1], branch, skip)
        if layer == 1:
            return
        fan_in, fan_out = tape.a[layer - 1].shape[-1], branch.shape[-1]
        scale = net.scales[layer - 1] if skip is None else net.scales[layer - 1] * skip
        scaled = np.multiply(branch, np.asarray(scale, branch.dtype), out=tape.spare(2, fan_out))
        before = tape.slope[layer - 1]
        before *= _multiply(scaled, weights, tape.spare(0, fan_in), transposed=False)
        if skip is not None:
            before += gradient
        gradient = before
