"""Forward and backward passes of a few nets of one shape, in memory that is allocated once.

Chosen by measurement: activations are ``(nets, units + 1, batch)`` with a last row of ones, weights ``(nets,
fan_out, fan_in + 1)`` with the bias as last column, so that one product adds the bias and one gives both
gradients. Layers of one shape go back in chunks that fit the second-level cache: one call makes a chunk's
gradients and one its update, which also frees Python's lock for other threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from vgdash.training.memory_layout import Calls, MemoryLayout, normalize_backward_calls, normalize_calls


@dataclass(frozen=True, eq=False)
class Chunk:
    """Layers first..last of one shape on the way back; ``calls`` make the delta below each from its own."""

    first: int
    last: int
    parameters: np.ndarray  # (nets, layers, fan_out, fan_in + 1), like the next two
    gradient: np.ndarray
    state: list[np.ndarray]
    blocks: np.ndarray  # ∂C/∂(W a + b): (layers, nets, fan_out + 1, batch)
    outer: np.ndarray  # ∂C/∂z, like blocks; the same memory where the two are equal
    delta: np.ndarray  # the memory of blocks as (nets, layers, fan_out, batch)
    inputs: np.ndarray  # (nets, layers, batch, fan_in + 1)
    calls: Calls


class ForwardBackward:
    """Arrays of ``nets`` nets and the calls that pass through them, bound once to save Python's time.

    Write the inputs into ``x`` ``(batch, features + 1)``, call ``forward``, read ``logits`` ``(nets, classes,
    batch)``. Write ∂C/∂logits into ``delta``, then make the calls of each of ``chunks``; ``lowest`` is ∂C/∂(W
    a + b) of layer 1. ``forward_fixed`` uses the population's statistics in batch normalization.
    ``statistics[i]`` are means (i = 0) and factors 1/sqrt(variance + EPSILON) (1) of the last minibatch in
    all layers, in batch normalization also of the population (2, 3). ``masks[layer]`` ``(units, batch)``,
    views of ``mask``, are dropout's, the same for all nets; ``forward_fixed`` drops nothing.
    """

    def __init__(self, layout: MemoryLayout, nets: int):
        self.layout, self.nets = layout, nets
        memory = {name: np.zeros(size, layout.dtype) for name, size in layout.array_sizes(nets).items()}
        self.x = memory["x"].reshape(layout.batch, -1)
        self.logits, self.shares = memory["logits"].reshape(2, nets, -1, layout.batch)
        self._bind(memory)

    def weights(self, layer: int) -> np.ndarray:
        """Weights of a layer (from 1) as a writable view ``(nets, fan_out, fan_in)``."""
        return self._layers[layer - 1][..., :-1]

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) as a writable view ``(nets, fan_out)``."""
        return self._layers[layer - 1][..., -1]

    def activation(self, layer: int) -> np.ndarray:
        """a of a hidden layer (from 1) in the last forward pass, a view ``(nets, units, batch)``."""
        return self._a[layer][:, :-1]

    def slope(self, layer: int) -> np.ndarray:
        """f'(z) of a hidden layer (from 1), like ``activation``, for one statement."""
        f, a = self.layout.activation, self._a[layer]
        out = self._work_like(a)
        slope = f.slope(self._z[layer], out) if self.layout.slope_needs_z else f.slope_of_output(a, out)
        return slope[:, :-1]

    def _bind(self, memory: dict[str, np.ndarray]) -> None:
        """Make the views of all activations and chunks, then the calls."""
        layout, nets, widths, hidden = self.layout, self.nets, self.layout.widths, range(1, self.layout.depth)
        starts = np.cumsum([0, 0] + [nets * (n + 1) * layout.batch for n in widths[1:-1]])

        def view(name: str, first: int, last: int) -> np.ndarray:
            """Hidden layers of one width: (layers, nets, units + 1, batch)"""
            shape = last - first + 1, nets, widths[first] + 1, layout.batch
            return memory[name][starts[first]:starts[last + 1]].reshape(shape)

        x = np.broadcast_to(self.x.T, (nets, *self.x.T.shape))
        self._a = a = [x, *(view("a", layer, layer)[0] for layer in hidden)]
        self._hat = hat = [x]
        if layout.axis is not None:
            hat += (view("hat", layer, layer)[0] for layer in hidden)
        for block in a[1:]:
            block[:, -1] = 1

        def place_z(layer: int) -> np.ndarray:
            """Find memory for z of a hidden layer: the first of these that holds it anyway."""
            if layout.axis is not None and layout.skips[layer - 1] is None:
                return hat[layer]
            if layout.residual == "none" and layout.kernel.in_place:
                return a[layer]
            if layout.slope_needs_z:
                return view("z", layer, layer)[0]
            buffer = memory["z"].reshape(layout.z_buffers, -1)[layer % layout.z_buffers]
            return buffer[:a[layer].size].reshape(a[layer].shape)

        self._z, self._slope = [x, *map(place_z, hidden)], memory["slope"]
        self.chunks = self._make_chunks(
            memory, lambda first, last: x[None] if first == 1 else view("a", first - 1, last - 1))
        self._layers = [chunk.parameters[:, i] for chunk in reversed(self.chunks)
                        for i in range(chunk.last - chunk.first + 1)]
        if layout.axis is not None:
            of_units = layout.normalization == "batch"
            rows, columns = (4, 1) if of_units else (2, layout.batch)
            ends = np.cumsum([n + 1 if of_units else 1 for n in widths[1:-1]])
            self.statistics = memory["statistics"].reshape(rows, nets, -1, columns)
            self._of_layer = [x, *np.split(self.statistics, ends[:-1], axis=2)]
        kernel = layout.kernel(layout, memory["constants"])
        self.mask = memory["mask"]
        ends = np.cumsum(widths[1:-1]) * layout.batch
        self.masks = [x, *(part.reshape(-1, layout.batch) for part in np.split(self.mask, ends[:-1]))]
        self.forward = self.forward_fixed = self._bind_forward(kernel, self._normalize, layout.keep < 1)
        if layout.normalization == "batch" or layout.keep < 1:
            fixed = self._normalize_fixed if layout.normalization == "batch" else self._normalize
            self.forward_fixed = self._bind_forward(kernel, fixed, drop=False)
        self._bind_backward(kernel)

    def _make_chunks(self, memory: dict[str, np.ndarray],
                     inputs: Callable[[int, int], np.ndarray]) -> list[Chunk]:
        """Place parameters one after the other, gradients too for clipping, deltas in two buffers."""
        layout, nets, chunks, start = self.layout, self.nets, [], 0
        states = memory["state"].reshape(layout.optimizer.slots, len(memory["parameters"]))
        for i, (first, last) in enumerate(layout.chunks(nets)):
            n, m = layout.widths[first - 1:first + 1]
            shape = nets, last - first + 1, m, n + 1
            here = slice(start, start + math.prod(shape))
            start = here.stop
            block_shape = last - first + 1, nets, m + 1, layout.batch
            blocks, outer = (memory[name].reshape(2, -1)[i % 2, :math.prod(block_shape)].reshape(block_shape)
                             for name in ("delta", "outer" if layout.separate_deltas else "delta"))
            gradient = memory["gradient"][here if layout.clip else slice(math.prod(shape))]
            parameters, gradient, *state = (values.reshape(shape) for values in (
                memory["parameters"][here], gradient, *states[:, here]))
            delta = blocks[:, :, :-1].swapaxes(0, 1)
            chunks.append(Chunk(first, last, parameters, gradient, state, blocks, outer, delta,
                                inputs(first, last).transpose(1, 0, 3, 2), []))
        return chunks

    def _work_like(self, block: np.ndarray) -> np.ndarray:
        """Work space in the shape of a block, for one statement; the slopes use it too."""
        return self._slope[:block.size].reshape(block.shape)

    def _normalize(self, layer: int) -> Calls:
        hat = self._hat[layer]
        return normalize_calls(hat, *self._of_layer[layer][:2], self._work_like(hat), self.layout.axis,
                               self.layout.plain_scale)

    def _normalize_fixed(self, layer: int) -> Calls:
        """Make the calls of hat ← (hat - mean)·factor with the population's statistics."""
        hat, (mean, factor) = self._hat[layer], self._of_layer[layer][2:]
        return [partial(np.copyto, hat[:, -1], 0), partial(np.subtract, hat, mean, out=hat),
                partial(np.multiply, hat, factor, out=hat)]

    def _bind_forward(self, kernel, normalize: Callable[[int], Calls], drop: bool) -> Calls:
        layout, a, z, calls = self.layout, self._a, self._z, []
        for layer in range(1, layout.depth):
            u, skip = (z if layout.axis is None else self._hat)[layer][:, :-1], layout.skips[layer - 1]
            calls.append(partial(np.matmul, self._layers[layer - 1], a[layer - 1], out=u))
            if layout.axis is not None:
                calls += normalize(layer)
            if skip is not None:
                here, before = z[layer][:, :-1], z[layer - 1][:, :-1]
                if skip != 1:
                    calls.append(partial(np.multiply, u, skip, out=here))
                calls.append(partial(np.add, here if skip != 1 else u, before, out=here))
            calls += kernel.forward(z[layer], a[layer])
            if drop:
                calls.append(partial(np.multiply, a[layer][:, :-1], self.masks[layer], out=a[layer][:, :-1]))
        return [*calls, partial(np.matmul, self._layers[-1], a[-1], out=self.logits)]

    def _bind_backward(self, kernel) -> None:
        layout = self.layout
        inner, outer = {}, {}  # by layer
        for chunk in self.chunks:
            inner |= dict(enumerate(chunk.blocks, chunk.first))
            outer |= dict(enumerate(chunk.outer, chunk.first))
        self.delta, self.lowest = inner[layout.depth][:, :-1], inner[1][:, :-1]
        if layout.separate_deltas:
            self.chunks[0].calls.append(partial(np.copyto, outer[layout.depth], inner[layout.depth]))
        for chunk in self.chunks[:-1]:  # nothing goes back below layer 1, which is a chunk of its own
            for layer in range(chunk.last, chunk.first - 1, -1):
                below, calls = outer[layer - 1], chunk.calls
                transposed = self.weights(layer).swapaxes(1, 2)
                calls.append(partial(np.matmul, transposed, inner[layer][:, :-1], out=below[:, :-1]))
                if layout.keep < 1:
                    calls.append(partial(np.multiply, below[:, :-1], self.masks[layer - 1],
                                         out=below[:, :-1]))
                z, a, work = self._z[layer - 1], self._a[layer - 1], self._work_like(below)
                calls += kernel.backward(below, z, a, work)
                if layout.skips[layer - 1] is not None:
                    calls.append(partial(np.add, below[:, :-1], outer[layer][:, :-1], out=below[:, :-1]))
                if layout.separate_deltas:
                    calls += self._backward_inside(layer - 1, below, inner[layer - 1])

    def _backward_inside(self, layer: int, outer: np.ndarray, inner: np.ndarray) -> Calls:
        """Make the calls from ∂C/∂z to ∂C/∂(W a + b)."""
        axis, skip, calls = self.layout.axis, self.layout.skips[layer - 1], []
        if axis is not None:
            mean, factor = self._of_layer[layer][:2]
            work = self._work_like(outer)
            calls += normalize_backward_calls(outer, inner, self._hat[layer], mean, factor, work, axis,
                                              self.layout.plain_scale)
            outer = inner
        if axis is None or skip not in (None, 1):
            calls.append(partial(np.multiply, outer, 1 if skip is None else skip, out=inner))
        return calls
