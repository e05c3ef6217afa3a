"""What to train: nets of several initializers and seeds, on which data, how and for how long, and what that costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.layers import AXES, RESIDUALS
from vgdash.parallel import WORKERS
from vgdash.params import Integer, ParamError, Params, Rule, choice, choices, integer, integers, real
from vgdash.training.data import DATASETS, Data, load
from vgdash.training.inspection import BINS, GRID, grid, inspection_bytes, spread
from vgdash.training.memory_layout import Plan
from vgdash.training.optimizers import OPTIMIZERS

__all__ = ["TrainParams"]

DEPTH, WIDTH = 30, 64
MEMORY, KEPT, WORK = 256e6, 24e6, 3e13  # bytes of a run, of its snapshots; floating-point operations, five minutes on two cores
DESCRIBED = 2000  # bytes of a snapshot beside its numbers: what Python and NumPy need for its twelve arrays
HISTOGRAMS = 12  # layers, at the most
DECIDING = 0.05  # share of a run's operations that decision grids may take
FEWEST, MOST = 50, 400  # intervals between looks, where a run is to be watched live
LIVE = 6e9  # operations between two looks then: 0.1 to 0.25 s at the pace of nets 64 wide on two cores
LOOKING = 0.1  # share of a run's operations that looks beyond the fewest may take, and as many steps to one at least
CALLS = 5e5  # operations in the time of the calls that a layer takes in a step, about 10 µs
SHORT = 8192  # entries (units x batch) of a call: below, threads wait for Python's lock rather than work
AT_ONCE = 32768  # the same: below, Python's time per call shows; above, the cache overflows


class _Said(str):
    def __repr__(self) -> str:
        return str(self)


def _between(dataset: str, depth: int, width: int) -> tuple[int, ...]:
    return (DATASETS[dataset].features, *(width,) * (depth - 1), DATASETS[dataset].classes)


@dataclass(frozen=True)
class TrainParams(Params):
    """Nets of ``widths`` (from the features of ``dataset`` to its classes), one for each of ``initializers`` and ``seeds``.

    Hidden layers apply ``activation``; the last one is linear, its softmax cross-entropy is the loss. ``gamma`` multiplies the
    initial weights; ``sigma_b2`` is the variance of the initial biases. ``momentum`` counts for that optimizer only; ``clip`` bounds
    the norm of the gradient, 0 is off. ``steps`` updates with minibatches of ``batch`` examples, the same for all nets;
    ``snapshots`` intervals between looks, 0 is as many as show the run live (``looks``). ``seed`` draws the parameters (net s of
    every initializer from ``seed`` and s), the order and, for figures, the data. An address may say depth and width instead of
    widths.

    ``normalization`` and ``residual`` mean in hidden layers what they mean in ``ProbeParams``: z = N(W a + b), without learned scale
    and shift, and z[l] = z[l-1] + branch where the width stays. The last layer has neither. Held-out examples are answered with
    the population's statistics (see ``engine.Nets``).

    Raises ``ParamError`` beyond 256 MB, 24 MB of snapshots or about five minutes of work, before anything is computed.
    """

    widths: tuple[int, ...] = integers(_between("digits", DEPTH, WIDTH), 1, 1024, 2, 257)
    activation: str = choice("relu", ACTIVATIONS)
    initializers: tuple[str, ...] = choices(("zeros", "small_normal", "glorot_normal", "he_normal"), INITIALIZERS, 8)
    dataset: str = choice("digits", DATASETS)
    optimizer: str = choice("sgd", OPTIMIZERS)
    learning_rate: float = real(0.01, 1e-6, 100)
    batch: int = integer(32, 1, 1024)
    steps: int = integer(1500, 1, 20_000)
    seeds: int = integer(1, 1, 8)
    gamma: float = real(1.0, 0, 100)
    sigma_b2: float = real(0.0, 0, 100)
    momentum: float = real(0.9, 0, 0.999)
    clip: float = real(0.0, 0, 1000)
    label_noise: float = real(0.0, 0, 1)
    snapshots: int = integer(0, 0, MOST)
    seed: int = integer(0, 0, 2**31 - 1)
    normalization: str = choice("none", AXES)
    residual: str = choice("none", RESIDUALS)

    SHORTHAND: ClassVar[Mapping[str, Rule]] = {"depth": Integer(1, 256), "width": Integer(1, 1024)}

    @classmethod
    def uniform(cls, depth: int = DEPTH, width: int = WIDTH, *, dataset: str = "digits", **rest) -> TrainParams:
        """``depth`` layers, the hidden ones all ``width`` wide, between the features and the classes of ``dataset``."""
        dataset = cls.rules()["dataset"].check("dataset", dataset)
        depth, width = (cls.SHORTHAND[name].check(name, value) for name, value in (("depth", depth), ("width", width)))
        return cls(_between(dataset, depth, width), dataset=dataset, **rest)

    @classmethod
    def expand(cls, values: dict[str, Any]) -> dict[str, Any]:
        depth, width = values.pop("depth", DEPTH), values.pop("width", WIDTH)
        values.setdefault("widths", _between(values.get("dataset", "digits"), depth, width))
        return values

    @property
    def depth(self) -> int:
        """Number of layers L."""
        return len(self.widths) - 1

    @property
    def width(self) -> int:
        """Units of the first hidden layer."""
        return self.widths[1]

    @property
    def columns(self) -> int:
        """Nets of each initializer; column c has seed c modulo ``seeds``."""
        return self.seeds

    @property
    def nets(self) -> int:
        return len(self.initializers) * self.columns

    @property
    def rates(self) -> np.ndarray:
        """Learning rate of each net, ``(nets,)``."""
        return np.full(self.nets, self.learning_rate)

    @property
    def marks(self) -> tuple[int, ...]:
        """The steps at which there is a snapshot, from 0 to ``steps``."""
        return tuple(np.unique(np.linspace(0, self.steps, self.looks + 1).round().astype(int)).tolist())

    @cached_property
    def looks(self) -> int:
        """Intervals between snapshots: ``snapshots``, or if that is 0 one for each 6·10⁹ operations, but no more than a tenth of the
        steps and of the operations allow, 50 at the least and 400 at the most; in any case no more than 24 MB hold."""
        if self.snapshots:
            return self.snapshots
        look = self._pass_flops(1) + self._pass_flops(self._population)
        live = min(self._training_flops / LIVE, LOOKING * self.steps, LOOKING * self._training_flops / look, MOST)
        room = (KEPT - MOST * len(self.initializers) * GRID * GRID) / self._look_bytes - 1
        return int(max(1, min(room, max(FEWEST, live))))

    @cached_property
    def tested(self) -> tuple[int, ...]:
        """Those of ``marks`` at which all held-out examples are answered: 51, or as many as take a twentieth of the run."""
        most = int(DECIDING * self._training_flops / self._pass_flops(len(self.data.x_test)))
        return tuple(self.marks[i] for i in spread(len(self.marks), max(FEWEST + 1, most)))

    @property
    def data(self) -> Data:
        return load(self.dataset, seed=self.seed, label_noise=self.label_noise)

    @property
    def histogram_layers(self) -> tuple[int, ...]:
        """Hidden layers (from 1) whose activations have histograms: at most 12, evenly spread."""
        return tuple(i + 1 for i in spread(self.depth - 1, HISTOGRAMS))

    @cached_property
    def decided(self) -> tuple[int, ...]:
        """Those of ``marks`` at which decision grids are computed, for sets in the plane: as many as take a twentieth of the run,
        the first and the last at least."""
        if DATASETS[self.dataset].features != 2:
            return ()
        most = int(DECIDING * self._training_flops / self._pass_flops(GRID * GRID))
        return tuple(self.marks[i] for i in spread(len(self.marks), max(2, most)))

    @cached_property
    def decision_axes(self) -> np.ndarray:
        """Coordinates of the decision grid along the two features, ``(2, 32)``; only for sets in the plane."""
        return grid(self.data.x_train)[1]

    @cached_property
    def flops(self) -> float:
        """Operations of all matrix products: 2·batch·(3 P - n[0]·n[1]) per net and step, with P = Σ n[l-1]·n[l]; the gradient is
        taken once more than it is applied. Plus 2 P per example, and repetition that fills a batch, of each look: one batch that is
        inspected, with batch normalization as many training examples as are held out, at times all held-out examples and a grid."""
        looks = len(self.marks) * (self._pass_flops(1) + self._pass_flops(self._population))
        tests = len(self.tested) * self._pass_flops(len(self.data.x_test))
        return self._training_flops + looks + tests + len(self.decided) * self._pass_flops(GRID * GRID)

    @property
    def effort(self) -> float:
        """What the time goes with, for estimates: operations of one core, with those that fit into the time of Python's calls."""
        groups = len(self.groups)
        return (self.flops + CALLS * groups * self.depth * self.steps) / min(WORKERS, groups)

    @property
    def _population(self) -> int:
        """Training examples that a look needs for the statistics of batch normalization."""
        held_out, train = len(self.data.x_test), len(self.data.x_train)
        return min(math.ceil(held_out / self.batch), train // self.batch) * self.batch if self.normalization == "batch" else 0

    @property
    def _products(self) -> int:
        return sum(n * m for n, m in zip(self.widths, self.widths[1:], strict=False))

    @property
    def _training_flops(self) -> float:
        return 2.0 * self.nets * (self.steps + 1) * self.batch * (3 * self._products - self.widths[0] * self.widths[1])

    def _pass_flops(self, rows: int) -> float:
        return 2.0 * self.nets * math.ceil(rows / self.batch) * self.batch * self._products

    @property
    def snapshot_bytes(self) -> int:
        """Bytes of all snapshots: per net and mark 32, and 36 per layer, and 4 + 2·31 per histogram; a decision grid is 1,024 per
        initializer; and 2,000 per mark that say what all of these are."""
        return len(self.marks) * self._look_bytes + len(self.decided) * len(self.initializers) * GRID * GRID

    @property
    def _look_bytes(self) -> int:
        return DESCRIBED + self.nets * (32 + 36 * self.depth + (4 + 2 * BINS) * len(self.histogram_layers))

    @property
    def memory_bytes(self) -> int:
        """Bytes of the arrays of all nets in float32, of the data, and of what the threads take for a moment to measure.

        Per net: parameters (with biases) once, and again for each array the optimizer remembers and for clipping; the weights at the
        start; activations Σ (n[l] + 1)·batch, twice where f' is a function of z or z is normalized, three times if both and there
        are skip connections; two chunks of gradients (see ``plan.Plan.arrays``).
        """
        plan = self.plan(np.float32)
        rows, columns = len(self.data.x_train) + len(self.data.x_test), self.widths[0] + 1 + self.widths[-1]
        measuring = min(WORKERS, len(self.groups)) * plan.measuring_bytes(self.groups[0])
        sizes = Counter(self.groups)  # thousands of groups, of two sizes
        nets = sum(count * (plan.memory_bytes(size) + inspection_bytes(plan, size)) for size, count in sizes.items())
        return nets + rows * columns * 4 + measuring

    @property
    def groups(self) -> list[int]:
        """How many nets are trained together, group by group: enough to make calls long, and enough groups for the cores.

        Threads take turns with Python's lock, the more often the shorter their calls are. So where calls on all nets are short the
        nets are one group, and where one net's are short each core has one group, of different sizes perhaps.
        """
        entries = self.batch * max(self.widths[1:])
        share = math.ceil(self.nets / WORKERS) if entries <= SHORT else self.nets // WORKERS
        size = self.nets if self.nets * entries <= SHORT else max(1, min(round(AT_ONCE / entries), share))
        count = math.ceil(self.nets / size)
        return [self.nets // count + (i < self.nets % count) for i in range(count)]

    def plan(self, dtype) -> Plan:
        """What the engine needs to know."""
        return Plan(self.widths, ACTIVATIONS[self.activation], OPTIMIZERS[self.optimizer], self.learning_rate, self.momentum,
                    self.clip, self.batch, np.dtype(dtype), self.normalization, self.residual)

    def consistent(self) -> None:
        dataset = DATASETS[self.dataset]
        ends = (dataset.features, dataset.classes)
        if (self.widths[0], self.widths[-1]) != ends:
            raise ParamError("widths", f"from {ends[0]} features to {ends[1]} classes for {self.dataset}",
                             _Said(f"{self.widths[0]} to {self.widths[-1]}"),
                             "TrainParams.uniform(depth, width, dataset=…) sets both.")
        if self.batch > len(self.data.x_train):
            raise ParamError("batch", f"at most the {len(self.data.x_train):,} training examples of {self.dataset}", self.batch)
        if self.normalization == "batch" and self.batch == 1:
            raise ParamError("batch", "at least 2 with batch normalization", self.batch, "One example has no variance.")
        if self.normalization != "none" and self.residual == "zero":
            raise ParamError("residual", "other than zero when there is normalization", self.residual,
                             "A branch of zeros has no variance to divide by: take residual none, plain or scaled.")
        if self.memory_bytes > MEMORY:
            raise ParamError("widths", f"small enough for {MEMORY / 1e6:.0f} MB in all, where these nets take "
                             f"{self.memory_bytes / 1e6:,.0f} MB", _Said(", ".join(self.to_query()["widths"])),
                             "Take fewer or narrower layers, fewer initializers or seeds, or a smaller batch.")
        if self.snapshot_bytes > KEPT:
            raise ParamError("snapshots", f"few enough for {KEPT / 1e6:.0f} MB in all", self.looks,
                             f"{max(1, int(len(self.marks) * KEPT / self.snapshot_bytes) - 1):,} would do; or take fewer layers or nets.")
        if self.flops > WORK:
            raise ParamError("steps", f"few enough for {WORK / 1e12:.0f} trillion operations in all, where this run takes "
                             f"{self.flops / 1e12:,.0f} trillion", self.steps,
                             f"About {max(1, int(self.steps * WORK / self.flops)):,} steps would do; or take fewer or narrower layers.")
