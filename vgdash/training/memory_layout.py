"""What nets trained together share: the plan of their memory, and the calls that apply their activation and normalization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from vgdash.activations import Activation
from vgdash.layers import AXES, EPSILON, residual_factors
from vgdash.training.optimizers import Optimizer

__all__ = ["CACHE", "Calls", "Plan", "normalize_back_calls", "normalize_calls", "normalize_with_calls"]

CACHE = 384 * 1024  # bytes of one chunk's gradients: with the weights, less than a megabyte of second-level cache

Calls = list[Callable[[], object]]


@dataclass(frozen=True)
class Plan:
    """What all nets of a comparison share. ``widths`` from the input to the last layer; ``clip`` 0 is off.

    Hidden layers are those of ``layers.Net``, z[l] = N(W a + b) or z[l-1] + factor·N(W a + b); the last one is linear and has neither.
    """

    widths: tuple[int, ...]
    activation: Activation
    optimizer: Optimizer
    learning_rate: float
    momentum: float
    clip: float
    batch: int
    dtype: np.dtype
    normalization: str = "none"
    residual: str = "none"

    @property
    def depth(self) -> int:
        return len(self.widths) - 1

    @property
    def kernel(self) -> type[_General]:
        return KERNELS.get(self.activation.name, _General)

    @property
    def keeps_input(self) -> bool:
        """Whether the slope f' needs z; else the output a is enough."""
        return self.activation.slope_of_output is None

    @cached_property
    def skips(self) -> tuple[float | None, ...]:
        """By layer: the factor of the branch beside a skip connection, None without one."""
        return (*residual_factors(self.widths[:-1], self.residual), None)

    @property
    def axis(self) -> int | None:
        """Axis of mean and variance in ``(nets, units, batch)``; None without normalization."""
        axis = AXES[self.normalization]
        return None if axis is None else -3 - axis  # units and batch change places

    @property
    def turns(self) -> int:
        """How many layers' z there must be at a time."""
        return 1 if self.residual == "none" else 2

    @property
    def two_deltas(self) -> bool:
        """Whether ∂C/∂z and ∂C/∂(W a + b) differ."""
        return self.axis is not None or self.residual == "scaled"

    def sizes(self) -> list[int]:
        """Parameters of each layer, biases included."""
        return [m * (n + 1) for n, m in zip(self.widths, self.widths[1:], strict=False)]

    def chunks(self, nets: int) -> list[tuple[int, int]]:
        """Layers first..last (from 1, both inclusive) that go back together, from the last layer to the first."""
        found: list[tuple[int, int]] = []
        for layer in range(self.depth, 0, -1):
            n, m = self.widths[layer - 1:layer + 1]
            most = CACHE // (nets * m * (n + 1 + self.batch) * self.dtype.itemsize)
            if found and layer > 1 and (n, m) == self.widths[found[-1][1] - 1:found[-1][1] + 1] and found[-1][1] - layer < most:
                found[-1] = layer, found[-1][1]
            else:
                found.append((layer, layer))
        return found

    def arrays(self, nets: int) -> dict[str, int]:
        """Entries of every array that ``Nets`` allocates, but for a few of the size of the labels."""
        hidden, chunks, sizes = self.widths[1:-1], self.chunks(nets), self.sizes()
        one = nets * self.batch
        widest = (max(hidden, default=1) + 1) * one
        activations = sum(n + 1 for n in hidden) * one
        z_of_its_own = self.residual != "none" or (self.axis is None and not self.kernel.in_place)
        deltas = 2 * one * max((self.widths[last] + 1) * (last - first + 1) for first, last in chunks)
        return {
            "parameters": nets * sum(sizes),
            "state": self.optimizer.slots * nets * sum(sizes),
            "gradient": nets * (sum(sizes) if self.clip else max(sum(sizes[first - 1:last]) for first, last in chunks)),
            "a": activations,
            "z": 0 if not z_of_its_own else activations if self.keeps_input else self.turns * widest,
            "hat": 0 if self.axis is None else activations,
            "statistics": sum(self.statistics(nets)),
            "delta": deltas,
            "outer": deltas if self.two_deltas else 0,
            "slope": widest,
            "slopes": one * max(((self.widths[first - 1] + 1) * (last - first + 1) for first, last in chunks if first > 1), default=0)
                      if self.kernel.by_chunk else 0,
            "constants": self.kernel.constants * widest,
            "logits": 3 * one * self.widths[-1],
            "x": self.batch * (self.widths[0] + 1),
        }

    def statistics(self, nets: int) -> list[int]:
        """Entries that normalization keeps of each hidden layer: mean and factor of the minibatch, and for batch normalization of
        the population too."""
        each = {"none": lambda n: 0, "batch": lambda n: 4 * (n + 1), "layer": lambda n: 2 * self.batch}[self.normalization]
        return [nets * each(n) for n in self.widths[1:-1]]

    def memory_bytes(self, nets: int) -> int:
        """Bytes of the arrays of ``Nets(self, nets, …)``."""
        return self.dtype.itemsize * sum(self.arrays(nets).values())

    def measuring_bytes(self, nets: int) -> int:
        """Bytes that a measurement takes for a moment: a chunk's weights in float64, twice."""
        return 16 * nets * max(sum(self.sizes()[first - 1:last]) for first, last in self.chunks(nets))


class _General:
    """Calls that apply an activation function, on whole ``(nets, units + 1, batch)`` blocks.

    Blocks go with their last row because NumPy copies what is not contiguous through buffers: twice the time at 64 units. The
    ones are put back afterwards; in the deltas that row means nothing.
    """

    in_place = False
    by_chunk = False
    constants = 0

    def __init__(self, plan: Plan, constants: np.ndarray):
        self.activation, self.keeps_input = plan.activation, plan.keeps_input

    def forward(self, z: np.ndarray, a: np.ndarray) -> Calls:
        """a = f(z)"""
        return [partial(self.activation.value, z, a), partial(np.copyto, a[:, -1], 1)]

    def slopes(self, a: np.ndarray, slopes: np.ndarray) -> Calls:
        """``slopes`` ← f'(z) of all layers ``(layers, nets, units + 1, batch)`` below a chunk, where ``by_chunk`` says so."""
        return []

    def backward(self, delta: np.ndarray, z: np.ndarray, a: np.ndarray, slope: np.ndarray) -> Calls:
        """delta ← delta · f'(z), with ``slope`` to work in, or what ``slopes`` left there."""
        f = self.activation
        write = partial(f.slope, z, slope) if self.keeps_input else partial(f.slope_of_output, a, slope)
        return [write, partial(np.multiply, delta, slope, out=delta)]


class _Relu(_General):
    """In place, and back on bit patterns: a >= 0 read as an integer is 0 or positive, so min(a, 1) is the slope as 0 or 1.

    Three times as fast as the general way: NumPy takes maxima with vector instructions only of array against array. The slopes of a
    chunk are one call.
    """

    in_place = True
    by_chunk = True
    constants = 2

    def __init__(self, plan: Plan, constants: np.ndarray):
        self.whole = np.dtype(f"i{plan.dtype.itemsize}")
        zeros, ones = constants.reshape(2, -1)
        self.zeros, self.ones = zeros, ones.view(self.whole)
        self.ones[:] = 1

    def forward(self, z, a):
        largest = partial(np.maximum, z, self.zeros[:a.size].reshape(a.shape), out=a)
        return [largest] if z is a else [largest, partial(np.copyto, a[:, -1], 1)]

    def slopes(self, a, slopes):
        return [partial(np.minimum, a.view(self.whole), self.ones[:a[0].size].reshape(a[0].shape), out=slopes.view(self.whole))]

    def backward(self, delta, z, a, slope):
        delta = delta.view(self.whole)
        return [partial(np.multiply, delta, slope.view(self.whole), out=delta)]


KERNELS = {"relu": _Relu}


def normalize_calls(hat: np.ndarray, mean: np.ndarray, factor: np.ndarray, work: np.ndarray, axis: int) -> Calls:
    """``layers.normalize`` of ``hat`` in place; ``mean`` and ``factor``, like it but 1 along ``axis``, are kept.

    On whole blocks ``(nets, units + 1, batch)`` like the activation functions, and for the same reason; the last row counts in no
    average, and is put to 0 because it would grow from step to step.
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
        partial(np.multiply, hat, factor, out=hat),
    ]


def normalize_with_calls(hat: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> Calls:
    """``hat`` ← (hat - mean)·factor"""
    return [
        partial(np.copyto, hat[:, -1], 0),
        partial(np.subtract, hat, mean, out=hat),
        partial(np.multiply, hat, factor, out=hat),
    ]


def normalize_back_calls(gradient: np.ndarray, inner: np.ndarray, hat: np.ndarray, mean: np.ndarray, factor: np.ndarray,
                         work: np.ndarray, axis: int) -> Calls:
    """``layers.normalize_backward`` from ``gradient`` to ``inner``, whole blocks too; overwrites ``mean``."""
    return [
        partial(np.multiply, gradient, hat, out=work),
        _average(work, mean, axis),
        partial(np.multiply, hat, mean, out=work),
        _average(gradient, mean, axis),
        partial(np.subtract, gradient, mean, out=inner),
        partial(np.subtract, inner, work, out=inner),
        partial(np.multiply, inner, factor, out=inner),
    ]


def _average(block: np.ndarray, out: np.ndarray, axis: int) -> Callable[[], object]:
    """Mean along ``axis`` without the last row, as a product with a vector: twice as fast as a sum at 64 units."""
    values = block[:, :-1]
    share = np.full(values.shape[axis], 1 / values.shape[axis], block.dtype)
    if axis == -1:
        return partial(np.matmul, values, share[:, None], out=out[:, :-1])
    return partial(np.matmul, share[None], values, out=out)
