"""Memory of nets that train together, and the calls that apply their activation and normalization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from vgdash.activations import Activation
from vgdash.layers import AXES, EPSILON, plain_norm_scale, residual_factors
from vgdash.training.optimizers import Optimizer

CACHE = 384 * 1024  # bytes of one chunk's gradients: with its weights, less than a second-level cache of 1 MB

Calls = list[Callable[[], object]]


@dataclass(frozen=True)
class MemoryLayout:
    """Settings that nets share, and the arrays these need. ``clip`` 0 is off.

    ``widths`` run from the input to the last layer, which is linear. Hidden layers are those of
    ``layers.Net``: z = N(W a + b), or z[l] = z[l-1] + factor·N(W a + b).
    """

    widths: tuple[int, ...]
    activation: Activation
    optimizer: Optimizer
    momentum: float
    clip: float
    batch: int
    dtype: np.dtype
    normalization: str = "none"
    residual: str = "none"
    keep: float = 1.0
    norm_scale: float = 1.0
    squared: bool = False  # the loss is half the squared error, not cross-entropy

    @property
    def depth(self) -> int:
        return len(self.widths) - 1

    @property
    def kernel(self) -> type[_ActivationCalls]:
        return _ReluCalls if self.activation.name == "relu" else _ActivationCalls

    @property
    def slope_needs_z(self) -> bool:
        """True if f' is computed from z; else from the output a, which dropout changes."""
        return self.activation.slope_of_output is None or self.keep < 1

    @cached_property
    def skips(self) -> tuple[float | None, ...]:
        """Factor of the branch beside each layer's skip connection, None without one."""
        return (*residual_factors(self.widths[:-1], self.residual, self.norm_scale), None)

    @property
    def plain_scale(self) -> float:
        """The scale of the normalization in layers without a skip connection; its factors carry it."""
        return plain_norm_scale(self.skips, self.norm_scale)

    @property
    def axis(self) -> int | None:
        """Axis of mean and variance in ``(nets, units, batch)``; None without normalization."""
        axis = AXES[self.normalization]
        return None if axis is None else -3 - axis  # units and batch change places

    @property
    def z_buffers(self) -> int:
        """Number of layers whose pre-activations are alive at once."""
        return 1 if self.residual == "none" else 2

    @property
    def separate_deltas(self) -> bool:
        """True if ∂C/∂z and ∂C/∂(W a + b) differ."""
        return self.axis is not None or self.residual == "scaled"

    def chunks(self, nets: int) -> list[tuple[int, int]]:
        """First and last (from 1) of the layers that go back together, the last layer first."""
        found = [(self.depth, self.depth)]
        for layer in range(self.depth - 1, 0, -1):
            (n, m), (first, last) = self.widths[layer - 1:layer + 1], found[-1]
            most = CACHE // (nets * m * (n + 1 + self.batch) * self.dtype.itemsize)
            if layer > 1 and (n, m) == self.widths[first - 1:first + 1] and last - layer < most:
                found[-1] = layer, last
            else:
                found.append((layer, layer))
        return found

    def array_sizes(self, nets: int) -> dict[str, int]:
        """Entries of every array that ``Nets`` allocates, but for a few of the size of the labels."""
        hidden, column = self.widths[1:-1], nets * self.batch
        parameters = nets * sum(m * (n + 1) for n, m in pairwise(self.widths))
        widest, units = max(hidden, default=1) + 1, sum(n + 1 for n in hidden)
        activations = units * column
        separate_z = self.residual != "none" or (self.axis is None and not self.kernel.in_place)
        deltas = 2 * column * max((self.widths[last] + 1) * (last - first + 1)
                                  for first, last in self.chunks(nets))
        return {
            "parameters": parameters,
            "state": self.optimizer.slots * parameters,
            "gradient": parameters if self.clip else nets * self.largest_chunk(nets),
            "a": activations,
            "z": separate_z * (activations if self.slope_needs_z else self.z_buffers * widest * column),
            "hat": 0 if self.axis is None else activations,
            "statistics": {"none": 0, "batch": 4 * nets * units, "layer": 2 * len(hidden) * column}[
                self.normalization],
            "delta": deltas,
            "outer": deltas if self.separate_deltas else 0,
            "slope": widest * column,
            "mask": (self.keep < 1) * sum(hidden) * self.batch,
            "constants": self.kernel.constants * widest * column,
            "logits": 2 * column * self.widths[-1],
            "x": self.batch * (self.widths[0] + 1),
        }

    def memory_bytes(self, nets: int) -> int:
        """Bytes of the arrays of ``Nets(self, nets, …)``."""
        return self.dtype.itemsize * sum(self.array_sizes(nets).values())

    def largest_chunk(self, nets: int) -> int:
        """Parameters of one net in the largest chunk."""
        return max((last - first + 1) * self.widths[first] * (self.widths[first - 1] + 1)
                   for first, last in self.chunks(nets))


class _ActivationCalls:
    """Calls that apply an activation function to whole ``(nets, units + 1, batch)`` blocks.

    They include the last row because NumPy copies non-contiguous arrays through buffers: twice the time at 64
    units. Its ones are put back afterwards.
    """

    in_place = False
    constants = 0

    def __init__(self, layout: MemoryLayout, constants: np.ndarray):
        self.activation, self.slope_needs_z = layout.activation, layout.slope_needs_z

    def forward(self, z: np.ndarray, a: np.ndarray) -> Calls:
        """a ← f(z)"""
        return [partial(self.activation.value, z, a), partial(np.copyto, a[:, -1], 1)]

    def backward(self, delta: np.ndarray, z: np.ndarray, a: np.ndarray, slope: np.ndarray) -> Calls:
        """delta ← delta · f'(z), with ``slope`` as work space."""
        f = self.activation
        write = partial(f.slope, z, slope) if self.slope_needs_z else partial(f.slope_of_output, a, slope)
        return [write, partial(np.multiply, delta, slope, out=delta)]


class _ReluCalls(_ActivationCalls):
    """ReLU in place; its slope is min(a, 1) on the bit patterns, where a >= 0 is 0 or a positive integer.

    Three times as fast as the general way: NumPy has vector instructions for the maximum of two arrays only.
    """

    in_place = True
    constants = 2

    def __init__(self, layout: MemoryLayout, constants: np.ndarray):
        self.integer = np.dtype(f"i{layout.dtype.itemsize}")
        self.zeros, ones = constants.reshape(2, -1)
        self.ones = ones.view(self.integer)
        self.ones[:] = 1

    def forward(self, z, a):
        maximum = partial(np.maximum, z, self.zeros[:a.size].reshape(a.shape), out=a)
        return [maximum] if z is a else [maximum, partial(np.copyto, a[:, -1], 1)]

    def backward(self, delta, z, a, slope):
        delta, a, slope = (array.view(self.integer) for array in (delta, a, slope))
        ones = self.ones[:a.size].reshape(a.shape)
        return [partial(np.minimum, a, ones, out=slope), partial(np.multiply, delta, slope, out=delta)]


def normalize_calls(hat: np.ndarray, mean: np.ndarray, factor: np.ndarray, work: np.ndarray,
                    axis: int, scale: float) -> Calls:
    """Make the calls of ``layers.normalize``, times ``scale``, on ``hat`` in place.

    They keep ``mean`` and ``factor``, the latter times ``scale``.
    The last row counts in no average, and is put to 0 because it would grow from step to step.
    """
    return [
        partial(np.copyto, hat[:, -1], 0),
        _average(hat, mean, axis),
        partial(np.subtract, hat, mean, out=hat),
        partial(np.multiply, hat, hat, out=work),
        _average(work, factor, axis),
        partial(np.add, factor, EPSILON, out=factor),
        partial(np.sqrt, factor, out=factor),
        partial(np.reciprocal, factor, out=factor),
        *([] if scale == 1 else [partial(np.multiply, factor, scale, out=factor)]),
        partial(np.multiply, hat, factor, out=hat),
    ]


def normalize_backward_calls(gradient: np.ndarray, inner: np.ndarray, hat: np.ndarray, mean: np.ndarray,
                             factor: np.ndarray, work: np.ndarray, axis: int, scale: float) -> Calls:
    """Make the calls of ``layers.normalize_backward`` from ``gradient`` to ``inner``; overwrites ``mean``."""
    return [
        partial(np.multiply, gradient, hat, out=work),
        _average(work, mean, axis),
        *([] if scale == 1 else [partial(np.multiply, mean, scale**-2, out=mean)]),
        partial(np.multiply, hat, mean, out=work),
        _average(gradient, mean, axis),
        partial(np.subtract, gradient, mean, out=inner),
        partial(np.subtract, inner, work, out=inner),
        partial(np.multiply, inner, factor, out=inner),
    ]


def _average(block: np.ndarray, out: np.ndarray, axis: int) -> Callable[[], object]:
    """Make the call of a mean without the last row, as a product: twice as fast as a sum at 64 units."""
    values = block[:, :-1]
    share = np.full(values.shape[axis], 1 / values.shape[axis], block.dtype)
    if axis == -1:
        return partial(np.matmul, values, share[:, None], out=out[:, :-1])
    return partial(np.matmul, share[None], values, out=out)
