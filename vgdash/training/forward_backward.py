"""Forward and back through a few nets of one shape: batched arrays, in memory that is allocated once, and lists of calls on them.

Layout, chosen by measurement. Activations are ``(nets, units + 1, batch)`` with a last row of ones, and the weights of a layer
``(nets, fan_out, fan_in + 1)`` with the bias as last column: one product adds the bias, one gives both gradients. Layers of one
shape go back in chunks that fit the second-level cache, and a chunk's parameters are one block: its gradients are a single call
and so is its update, which also leaves Python's lock to the other threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from vgdash.training.memory_layout import Calls, Plan, normalize_back_calls, normalize_calls, normalize_with_calls

__all__ = ["Chunk", "Passes"]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Layers first..last, all of one shape, on the way back: ``calls`` make the deltas below each of them from its own."""

    first: int
    last: int
    parameters: np.ndarray  # (nets, layers, fan_out, fan_in + 1), like the next two
    gradient: np.ndarray
    state: list[np.ndarray]
    blocks: np.ndarray  # of the deltas, ∂C/∂(W a + b): (layers, nets, fan_out + 1, batch)
    outer: np.ndarray  # the same of ∂C/∂z; the same memory where the two are equal
    delta: np.ndarray  # the memory of blocks as (nets, layers, fan_out, batch)
    inputs: np.ndarray  # (nets, layers, batch, fan_in + 1)
    calls: Calls


class Passes:
    """The arrays of ``nets`` nets of one ``plan`` and the calls that go through them, bound once: at 50 narrow layers Python's own
    time would count.

    Write the inputs into ``x`` ``(batch, features + 1)``, call ``forward``, read ``logits`` ``(nets, classes, batch)``; write
    ∂C/∂logits into ``delta``, then for each of ``chunks`` in turn its calls. ``answer`` is ``forward`` with the population's
    statistics where batch normalization needs them. ``lowest`` is ∂C/∂(W a + b) of the first layer. ``statistics`` has a row each
    for the means and the factors 1/sqrt(variance + EPSILON) of the last minibatch, all layers one after the other, and with batch
    normalization two more for those of the population.
    """

    def __init__(self, plan: Plan, nets: int):
        self.plan, self.nets = plan, nets
        memory = {name: np.zeros(entries, plan.dtype) for name, entries in plan.arrays(nets).items()}
        self.x = memory["x"].reshape(plan.batch, -1)
        self.logits, self.shares, self.work = memory["logits"].reshape(3, nets, -1, plan.batch)
        self._bind(memory)

    def weights(self, layer: int) -> np.ndarray:
        """Weights of a layer (from 1) as a writable view ``(nets, fan_out, fan_in)``."""
        return self._layers[layer - 1][..., :-1]

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) as a writable view ``(nets, fan_out)``."""
        return self._layers[layer - 1][..., -1]

    def activation(self, layer: int) -> np.ndarray:
        """a of a hidden layer (from 1) on the last pass forward, a view ``(nets, units, batch)``."""
        return self._a[layer][:, :-1]

    def slope(self, layer: int) -> np.ndarray:
        """f'(z) of a hidden layer (from 1) on the last pass forward, ``(nets, units, batch)``, valid until the next call."""
        f, a = self.plan.activation, self._a[layer]
        out = self._work_like(a)
        return (f.slope(self._z[layer], out) if self.plan.keeps_input else f.slope_of_output(a, out))[:, :-1]

    def _bind(self, memory: dict[str, np.ndarray]) -> None:
        """Views of all activations and chunks, then the calls."""
        plan, nets, widths, depth = self.plan, self.nets, self.plan.widths, self.plan.depth
        starts = np.cumsum([0, 0] + [nets * (n + 1) * plan.batch for n in widths[1:-1]])

        def run(name: str, first: int, last: int) -> np.ndarray:
            """Hidden layers of one width: (layers, nets, units + 1, batch)"""
            return memory[name][starts[first]:starts[last + 1]].reshape(last - first + 1, nets, widths[first] + 1, plan.batch)

        a = [np.broadcast_to(self.x.T, (nets, *self.x.T.shape)), *(run("a", layer, layer)[0] for layer in range(1, depth))]
        hat = [run("hat", layer, layer)[0] for layer in range(1, depth)] if plan.axis is not None else []
        hat.insert(0, a[0])
        for block in a[1:]:
            block[:, -1] = 1

        def place(layer: int) -> np.ndarray:
            """Where z of a hidden layer is: in the first of these that holds it anyway."""
            if plan.axis is not None and plan.skips[layer - 1] is None:
                return hat[layer]
            if plan.residual == "none" and plan.kernel.in_place:
                return a[layer]
            if plan.keeps_input:
                return run("z", layer, layer)[0]
            return memory["z"].reshape(plan.turns, -1)[layer % plan.turns, :a[layer].size].reshape(a[layer].shape)

        z = [a[0], *(place(layer) for layer in range(1, depth))]
        self._a, self._z, self._hat, self._slope = a, z, hat, memory["slope"]
        self.chunks = self._chunk(memory, lambda first, last: a[0][None] if first == 1 else run("a", first - 1, last - 1))
        self._layers = [chunk.parameters[:, i] for chunk in reversed(self.chunks) for i in range(chunk.last - chunk.first + 1)]
        self._bind_statistics(memory["statistics"])
        kernel = plan.kernel(plan, memory["constants"])
        self.forward = self._bind_forward(kernel, self._normalize)
        self.answer = self._bind_forward(kernel, self._normalize_fixed) if plan.normalization == "batch" else self.forward
        self._bind_backward(kernel, memory["slopes"])

    def _bind_statistics(self, memory: np.ndarray) -> None:
        """``_of_layer[l]``: mean and factor of the minibatch, then those of the population, each to be broadcast over a block."""
        plan, sizes = self.plan, self.plan.statistics(self.nets)
        self.statistics = memory.reshape(4 if plan.normalization == "batch" else 2, -1)
        ends = np.cumsum([0, *sizes]) // len(self.statistics)
        shape = (self.nets, -1, 1) if plan.normalization == "batch" else (self.nets, 1, plan.batch)
        self._of_layer = [[row[start:end].reshape(shape) for row in self.statistics] if end > start else []
                          for start, end in zip([0, *ends], ends, strict=False)]

    def _work_like(self, block: np.ndarray) -> np.ndarray:
        """Memory in the shape of a block, for one statement; the slopes use it too."""
        return self._slope[:block.size].reshape(block.shape)

    def _normalize(self, layer: int) -> Calls:
        return normalize_calls(self._hat[layer], *self._of_layer[layer][:2], self._work_like(self._hat[layer]), self.plan.axis)

    def _normalize_fixed(self, layer: int) -> Calls:
        return normalize_with_calls(self._hat[layer], *self._of_layer[layer][2:])

    def _bind_forward(self, kernel, normalize: Callable[[int], Calls]) -> Calls:
        plan, a, z, calls = self.plan, self._a, self._z, []
        for layer in range(1, plan.depth):
            u, skip = (z if plan.axis is None else self._hat)[layer][:, :-1], plan.skips[layer - 1]
            calls.append(partial(np.matmul, self._layers[layer - 1], a[layer - 1], out=u))
            if plan.axis is not None:
                calls += normalize(layer)
            if skip is not None:
                here, before = z[layer][:, :-1], z[layer - 1][:, :-1]
                if skip != 1:
                    calls.append(partial(np.multiply, u, skip, out=here))
                calls.append(partial(np.add, here if skip != 1 else u, before, out=here))
            calls += kernel.forward(z[layer], a[layer])
        return [*calls, partial(np.matmul, self._layers[-1], a[-1], out=self.logits)]

    def _bind_backward(self, kernel, slopes: np.ndarray) -> None:
        plan = self.plan
        inner = {layer: block for chunk in self.chunks for layer, block in enumerate(chunk.blocks, chunk.first)}
        outer = {layer: block for chunk in self.chunks for layer, block in enumerate(chunk.outer, chunk.first)}
        self.delta, self.lowest = inner[plan.depth][:, :-1], inner[1][:, :-1]
        if plan.two_deltas:
            self.chunks[0].calls.append(partial(np.copyto, outer[plan.depth], inner[plan.depth]))
        for chunk in self.chunks[:-1]:  # nothing goes back below layer 1, which is a chunk of its own
            inputs = chunk.inputs.transpose(1, 0, 3, 2)
            kept = slopes[:inputs.size].reshape(inputs.shape) if kernel.by_chunk else None
            chunk.calls.extend(kernel.slopes(inputs, kept))
            for layer in range(chunk.last, chunk.first - 1, -1):
                below = outer[layer - 1]
                slope = self._work_like(below) if kept is None else kept[layer - chunk.first]
                chunk.calls.append(partial(np.matmul, self.weights(layer).swapaxes(1, 2), inner[layer][:, :-1], out=below[:, :-1]))
                chunk.calls.extend(kernel.backward(below, self._z[layer - 1], self._a[layer - 1], slope))
                if plan.skips[layer - 1] is not None:
                    chunk.calls.append(partial(np.add, below[:, :-1], outer[layer][:, :-1], out=below[:, :-1]))
                if plan.two_deltas:
                    chunk.calls.extend(self._inward(layer - 1, below, inner[layer - 1]))

    def _inward(self, layer: int, outer: np.ndarray, inner: np.ndarray) -> Calls:
        """From ∂C/∂z to ∂C/∂(W a + b)"""
        plan, skip, calls = self.plan, self.plan.skips[layer - 1], []
        if plan.axis is not None:
            calls += normalize_back_calls(outer, inner, self._hat[layer], *self._of_layer[layer][:2], self._work_like(outer), plan.axis)
            outer = inner
        if plan.axis is None or skip not in (None, 1):
            calls.append(partial(np.multiply, outer, 1 if skip is None else skip, out=inner))
        return calls

    def _chunk(self, memory: dict[str, np.ndarray], inputs: Callable[[int, int], np.ndarray]) -> list[Chunk]:
        """Chunk by chunk: parameters one after the other, gradients too if clipping needs all, deltas in two places by turns."""
        plan, nets, found, start = self.plan, self.nets, [], 0
        states = memory["state"].reshape(plan.optimizer.slots, len(memory["parameters"]))
        for turn, (first, last) in enumerate(plan.chunks(nets)):
            n, m = plan.widths[first - 1:first + 1]
            shape = nets, last - first + 1, m, n + 1
            here = slice(start, start + math.prod(shape))
            start = here.stop
            blocks, outer = (memory[name].reshape(2, -1)[turn % 2, :shape[1] * nets * (m + 1) * plan.batch]
                             .reshape(shape[1], nets, m + 1, plan.batch) for name in ("delta", "outer" if plan.two_deltas else "delta"))
            found.append(Chunk(
                first, last, memory["parameters"][here].reshape(shape),
                memory["gradient"][here if plan.clip else slice(math.prod(shape))].reshape(shape),
                [slot[here].reshape(shape) for slot in states],
                blocks, outer, blocks[:, :, :-1].swapaxes(0, 1), inputs(first, last).transpose(1, 0, 3, 2), []))
        return found
