"""Parameters of a training run, its cost and its memory."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from vgdash.activations import ACTIVATIONS, any_activation
from vgdash.initializers import INITIALIZERS
from vgdash.layers import AXES, RESIDUALS
from vgdash.parallel import WORKERS
from vgdash.params import Integer, ParamError, Params, Unquoted, choice, choices, integer, integers, real
from vgdash.training.data import DATASETS, Data, load
from vgdash.training.inspection import BINS, GRID, decision_grid, spread
from vgdash.training.memory_layout import MemoryLayout
from vgdash.training.optimizers import OPTIMIZERS

DEPTH, WIDTH = 30, 64
MEMORY, SNAPSHOT_MEMORY = 256e6, 24e6  # bytes of a run, of its snapshots
WORK = 3e13  # floating-point operations of a run: five minutes on two cores
DESCRIPTION = 2000  # bytes of a snapshot beside its numbers, for the twelve array objects
HISTOGRAMS = 12  # layers, at the most
TEST_SHARE = 0.05  # of a run's operations: for decision grids, and for held-out examples
FEWEST, MOST = 50, 400  # intervals between snapshots of a run that is watched live
LIVE = 6e9  # operations between two snapshots then: 0.1 to 0.25 s with nets 64 wide on two cores
SNAPSHOT_SHARE = 0.1  # of a run's operations for snapshots beyond the fewest, and snapshots per step
CALLS = 5e5  # operations in the time of the calls that a layer takes in a step, about 10 µs
SHORT = 8192  # entries (units x batch) of a call: below, threads wait for Python's lock rather than work
AT_ONCE = 32768  # the same: below, Python's time per call shows; above, the cache overflows


def _uniform_widths(dataset: str, depth: int, width: int) -> tuple[int, ...]:
    return (DATASETS[dataset].features, *(width,) * (depth - 1), DATASETS[dataset].classes)


@dataclass(frozen=True)
class TrainParams(Params):
    """Nets of several ``initializers`` and ``seeds``, trained on one ``dataset``.

    ``widths`` run from the features to the classes of the data. Hidden layers apply ``activation``, the last
    layer is linear. The ``loss`` is softmax cross-entropy or half the squared error; auto is what fits: wave
    has numbers to predict. ``gamma`` multiplies the initial weights; ``sigma_b2`` is the variance of the
    initial biases, as in ``ProbeParams``, and so are ``last_scale``, ``last_bias`` and the scale and mean of
    the inputs, which are standardised before. ``clip`` bounds the norm of the gradient, 0 is off. ``steps``
    updates use minibatches of ``batch`` examples, the same for all nets. ``snapshots`` counts the intervals
    between snapshots, 0 chooses for a live view. ``seed`` draws the parameters, the order of the examples and
    the figures. ``normalization``, with its ``norm_scale``, and ``residual`` are those of ``ProbeParams``,
    but scale and shift are not learned, and the last layer has none. Dropout keeps the share ``keep`` of the
    hidden units in training.

    Raises ``ParamError`` beyond 256 MB, 24 MB of snapshots or about five minutes of work.
    """

    widths: tuple[int, ...] = integers(_uniform_widths("digits", DEPTH, WIDTH), 1, 1024, 2, 257)
    activation: str = any_activation("relu")
    initializers: tuple[str, ...] = choices(
        ("zeros", "small_normal", "glorot_normal", "he_normal"), INITIALIZERS, 8)
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
    keep: float = real(1.0, 0.01, 1.0)
    loss: str = choice("auto", ("auto", "cross_entropy", "squared_error"))
    norm_scale: float = real(1.0, 0, 100)
    last_scale: float = real(1.0, 0, 100)
    last_bias: float = real(0.0, -100, 100)
    input_scale: float = real(1.0, 1e-3, 1e3)
    input_mean: float = real(0.0, -1e3, 1e3)

    SHORTHAND: ClassVar = {"depth": Integer(1, 256), "width": Integer(1, 1024)}

    @classmethod
    def uniform(cls, depth: int = DEPTH, width: int = WIDTH, *, dataset: str = "digits",
                **rest) -> TrainParams:
        """``depth`` layers, the hidden ones ``width`` wide, for features and classes of ``dataset``."""
        dataset = cls.rules()["dataset"].check("dataset", dataset)
        depth = cls.SHORTHAND["depth"].check("depth", depth)
        width = cls.SHORTHAND["width"].check("width", width)
        return cls(_uniform_widths(dataset, depth, width), dataset=dataset, **rest)

    @classmethod
    def expand(cls, values: dict[str, Any]) -> dict[str, Any]:
        depth, width = values.pop("depth", DEPTH), values.pop("width", WIDTH)
        values.setdefault("widths", _uniform_widths(values.get("dataset", "digits"), depth, width))
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
    def squared(self) -> bool:
        """Test if the loss is half the squared error."""
        return self.loss == "squared_error" or (self.loss == "auto" and self.regression)

    @property
    def regression(self) -> bool:
        """Test if the data are numbers to predict, not classes; then accuracy means R²."""
        return DATASETS[self.dataset].classes == 1

    @property
    def guess_accuracy(self) -> float:
        """The accuracy of a net that knows nothing: 1/K of K classes; R² = 0 of numbers."""
        return 0.0 if self.regression else 1 / self.widths[-1]

    @property
    def guess_loss(self) -> float:
        """The loss of a net that knows nothing: ln K; if squared half the variance of the labels."""
        return 0.5 * (1 - self.guess_accuracy) if self.squared else math.log(self.widths[-1])

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs of the nets: the standardised features times the scale, plus the mean."""
        return x if (self.input_scale, self.input_mean) == (1, 0) else x * self.input_scale + self.input_mean

    @property
    def copies(self) -> int:
        """Nets of each initializer; net i has seed i modulo ``seeds``."""
        return self.seeds

    @property
    def nets(self) -> int:
        return len(self.initializers) * self.copies

    @property
    def rates(self) -> np.ndarray:
        """Learning rate of each net, ``(nets,)``."""
        return np.full(self.nets, self.learning_rate)

    @property
    def snapshot_steps(self) -> tuple[int, ...]:
        """Steps with a snapshot, from 0 to ``steps``."""
        return spread(self.steps + 1, self.snapshot_intervals + 1)

    @cached_property
    def snapshot_intervals(self) -> int:
        """Intervals between snapshots: ``snapshots``, or if that is 0 one for each 6·10⁹ operations.

        Then they are 50 to 400, fit into 24 MB, and beyond 50 take a tenth of the operations and steps at
        most.
        """
        if self.snapshots:
            return self.snapshots
        most = SNAPSHOT_SHARE * self._training_flops / self._one_snapshot_flops
        live = min(self._training_flops / LIVE, SNAPSHOT_SHARE * self.steps, most, MOST)
        room = (SNAPSHOT_MEMORY - MOST * len(self.initializers) * GRID * GRID) / self._one_snapshot_bytes - 1
        return int(max(1, min(room, max(FEWEST, live))))

    @cached_property
    def held_out_steps(self) -> tuple[int, ...]:
        """Snapshots with held-out examples: 51, or as many as take a twentieth of the run."""
        return self._some_steps(len(self.data.x_test), FEWEST + 1)

    @cached_property
    def decision_steps(self) -> tuple[int, ...]:
        """Snapshots with decision grids, for sets in the plane: 2, or a twentieth of the run."""
        return self._some_steps(GRID * GRID, 2) if DATASETS[self.dataset].features == 2 else ()

    def _some_steps(self, rows: int, fewest: int) -> tuple[int, ...]:
        """Spread at least ``fewest`` snapshots at which ``rows`` examples take a twentieth of the run."""
        most = int(TEST_SHARE * self._training_flops / self._pass_flops(rows))
        return tuple(self.snapshot_steps[i] for i in spread(len(self.snapshot_steps), max(fewest, most)))

    @property
    def data(self) -> Data:
        return load(self.dataset, seed=self.seed, label_noise=self.label_noise)

    @property
    def histogram_layers(self) -> tuple[int, ...]:
        """Hidden layers (from 1) whose activations have histograms: at most 12, evenly spread."""
        return tuple(i + 1 for i in spread(self.depth - 1, HISTOGRAMS))

    @cached_property
    def decision_axes(self) -> np.ndarray:
        """Coordinates of the decision grid along the two features, ``(2, 32)``, for sets in the plane."""
        return decision_grid(self.data.x_train)[1]

    @cached_property
    def flops(self) -> float:
        """Operations of all matrix products.

        They are 2·batch·(3 P - n[0]·n[1]) per net and gradient, with P = Σ n[l-1]·n[l], and for snapshots,
        held-out examples and grids 2 P per example of full batches.
        """
        tests = len(self.held_out_steps) * self._pass_flops(len(self.data.x_test))
        grids = len(self.decision_steps) * self._pass_flops(GRID * GRID)
        return self._training_flops + len(self.snapshot_steps) * self._one_snapshot_flops + tests + grids

    @property
    def effort(self) -> float:
        """Time of a run in operations of one core, including the time of Python's calls."""
        groups = len(self.groups)
        return (self.flops + CALLS * groups * self.depth * self.steps) / min(WORKERS, groups)

    @property
    def _one_snapshot_flops(self) -> float:
        """Operations of a snapshot: of a batch, and of training examples for batch normalization."""
        held_out, train = len(self.data.x_test), len(self.data.x_train)
        population = min(math.ceil(held_out / self.batch), train // self.batch)
        return self._pass_flops(self.batch * (1 + population * (self.normalization == "batch")))

    @property
    def _weight_count(self) -> int:
        return sum(n * m for n, m in pairwise(self.widths))

    @property
    def _training_flops(self) -> float:
        back = 2 * self._weight_count - self.widths[0] * self.widths[1]
        return 2.0 * self.nets * (self.steps + 1) * self.batch * (self._weight_count + back)

    def _pass_flops(self, rows: int) -> float:
        return 2.0 * self.nets * math.ceil(rows / self.batch) * self.batch * self._weight_count

    @property
    def snapshot_bytes(self) -> int:
        """Bytes of all snapshots."""
        grids = len(self.decision_steps) * len(self.initializers) * GRID * GRID
        return len(self.snapshot_steps) * self._one_snapshot_bytes + grids

    @property
    def _one_snapshot_bytes(self) -> int:
        """Bytes of a snapshot, without decision grids."""
        return DESCRIPTION + self.nets * (32 + 44 * self.depth + (4 + 2 * BINS) * len(self.histogram_layers))

    @property
    def memory_bytes(self) -> int:
        """Bytes of all arrays in float32, the weights at the start, the data, and the measurement of a chunk.

        See ``MemoryLayout.array_sizes``.
        """
        layout = self.memory_layout(np.float32)
        rows, columns = len(self.data.x_train) + len(self.data.x_test), self.widths[0] + 1 + self.widths[-1]
        sizes = Counter(self.groups)  # thousands of groups, of two sizes
        arrays = sum(count * layout.memory_bytes(size) for size, count in sizes.items())
        measured = min(WORKERS, len(self.groups)) * self.groups[0] * layout.largest_chunk(self.groups[0])
        measured *= 16  # in float64, twice
        return arrays + 4 * (self.nets * self._weight_count + rows * columns) + measured

    @property
    def groups(self) -> list[int]:
        """Sizes of the groups of nets that share their calls.

        In short calls threads wait for Python's lock. So where calls on all nets are short, the nets are one
        group; where those on one net are short, each core has one group.
        """
        entries = self.batch * max(self.widths[1:])
        share = math.ceil(self.nets / WORKERS) if entries <= SHORT else self.nets // WORKERS
        size = self.nets if self.nets * entries <= SHORT else max(1, min(round(AT_ONCE / entries), share))
        count = math.ceil(self.nets / size)
        return [self.nets // count + (i < self.nets % count) for i in range(count)]

    def memory_layout(self, dtype) -> MemoryLayout:
        return MemoryLayout(
            self.widths, ACTIVATIONS[self.activation], OPTIMIZERS[self.optimizer], self.momentum, self.clip,
            self.batch, np.dtype(dtype), self.normalization, self.residual, self.keep,
            self.norm_scale, self.squared)

    def consistent(self) -> None:
        dataset = DATASETS[self.dataset]
        ends = (dataset.features, dataset.classes)
        if (self.widths[0], self.widths[-1]) != ends:
            raise ParamError("widths", f"from {ends[0]} features to {ends[1]} classes for {self.dataset}",
                             Unquoted(f"{self.widths[0]} to {self.widths[-1]}"),
                             "TrainParams.uniform(depth, width, dataset=…) sets both.")
        if self.regression and self.loss == "cross_entropy":
            raise ParamError("loss", f"squared_error for {self.dataset}", self.loss,
                             "Its data are numbers to predict, no classes.")
        if self.norm_scale != 1 and self.normalization == "none":
            raise ParamError("norm_scale", "1 without normalization", self.norm_scale,
                             "It multiplies what normalization gives: choose batch or layer.")
        if self.norm_scale < 1e-3:
            raise ParamError("norm_scale", "at least 0.001 in training", self.norm_scale,
                             "It is not learned here, so what 0 shuts stays shut: take residual zero without "
                             "normalization, whose branches open.")
        if self.batch > (rows := len(self.data.x_train)):
            raise ParamError("batch", f"at most the {rows:,} training examples of {self.dataset}", self.batch)
        if self.normalization == "batch" and self.batch == 1:
            raise ParamError("batch", "at least 2 with batch normalization", self.batch,
                             "One example has no variance.")
        if self.normalization != "none" and self.residual == "zero":
            raise ParamError("residual", "other than zero when there is normalization", self.residual,
                             "A branch of zeros has no variance to divide by: take none, plain or scaled.")
        if (memory := self.memory_bytes) > MEMORY:
            rule = (f"small enough for {MEMORY / 1e6:.0f} MB in all, where these nets take "
                    f"{memory / 1e6:,.0f} MB")
            raise ParamError("widths", rule, Unquoted(self.to_query()["widths"][0]),
                             "Take fewer or narrower layers, fewer initializers or seeds, a smaller batch.")
        if (memory := self.snapshot_bytes) > SNAPSHOT_MEMORY:
            few = max(1, int(len(self.snapshot_steps) * SNAPSHOT_MEMORY / memory) - 1)
            raise ParamError("snapshots", f"few enough for {SNAPSHOT_MEMORY / 1e6:.0f} MB in all",
                             self.snapshot_intervals, f"{few:,} would do; or take fewer layers or nets.")
        if self.flops > WORK:
            rule = (f"few enough for {WORK / 1e12:.0f} trillion operations in all, where this run takes "
                    f"{self.flops / 1e12:,.0f} trillion")
            few = max(1, int(self.steps * WORK / self.flops))
            raise ParamError("steps", rule, self.steps,
                             f"About {few:,} steps would do; or take fewer or narrower layers.")
