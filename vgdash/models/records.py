"""Neutral records of a measured model: what each layer does, from whichever framework."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vgdash.initializers import INITIALIZERS

NAN = math.nan
KINDS = ("linear", "convolution", "embedding", "recurrent", "attention", "norm", "scale")
MULTIPLYING = ("linear", "convolution")  # kinds of which theory says E[out²] from E[in²]
MATRICES = (*MULTIPLYING, "embedding", "recurrent", "attention")


@dataclass(frozen=True)
class Layer:
    """One call of a layer with weights of its own, at one forward and one backward pass.

    Mean squares ("m.s.") are over all entries. Gradients are sums of squares over all entries, because a
    matrix of random weights multiplies these by ``gain``, whatever the widths. ``nan``: not measured.
    """

    # the layer and its weights
    path: str  # of its module
    weight: str = ""  # name of its largest parameter
    kind: str = "linear"  # one of ``KINDS``
    fan_in: float = NAN  # products in one sum: the kernel's area and one group's channels are counted
    fan_out: float = NAN
    area: float = 1.0  # of a convolution's kernel
    groups: float = 1.0
    variance: float = NAN  # of the weights
    weight2: float = NAN  # m.s. of the weights
    weight_largest: float = NAN  # absolute value
    entries: float = 0.0  # number of weights
    bias2: float = 0.0  # m.s. of the bias
    bias_mean: float = 0.0
    # forward: what it reads and gives, and what follows up to the next layer
    in2: float = NAN  # m.s. of what it reads
    in_mean: float = NAN
    in_largest: float = NAN  # absolute value
    out2: float = NAN  # m.s. of what it gives
    out_mean: float = NAN
    out_largest: float = NAN
    after2: float = NAN  # m.s. of what the next layer reads, E[f(out)²]
    output2: float = NAN  # m.s. of the model's output, where this layer alone leads to it
    share: float = NAN  # out2 beside the m.s. of the sum that follows
    activation: str = ""  # that follows
    off: float = NAN  # share of entries at the flat end of a one-sided activation
    dead: float = NAN  # share of units that are off for all inputs
    saturated: float = NAN  # share of entries at either flat end
    units: float = NAN  # number of those that may be dead
    # backward
    grad_in: float = NAN  # of what it reads
    grad_out: float = NAN  # of what it gives
    grad_after: float = NAN  # of what the next layer reads
    # measured factors of squares beside the activation
    read_ratio: float = 1.0  # from what the layer gives to what the activation reads
    kept: float = 1.0  # from what the activation gives to what the next layer reads
    kept_back: float = 1.0  # of the gradient, from the next layer back to this one
    grad_out2: float = NAN  # m.s. of the gradient of what it gives
    grad_weight2: float = NAN  # m.s. of the gradient of the weights
    update: float = NAN  # a step's size beside the weights', at the trace's rate
    correlation: float = NAN  # mean cosine of what two inputs give
    token_cosine: float = NAN  # mean cosine of two tokens of one input
    # its place among the others
    calls: int = 1  # of these weights in all
    next: int = -1  # index of the layer that reads this one alone; -1 where paths join or part
    source: str = "inputs"  # those that a first layer reads as they are given
    bias: str = ""  # its name
    others: tuple[str, ...] = ()  # names of further matrices of a recurrent layer or an attention
    size: str = ""  # of weights made of several parameters: the one that multiplies them, if not ``weight``
    fixed: bool = False  # no parameter sets their size: they are normalized before use
    first: bool = False
    last: bool = False
    bypassed: bool = False  # a shorter path leads around it, as a skip does, or what a gate multiplies
    normalized: bool = False  # its size is divided out before the next layer, or bounded by a gate
    zero: bool = False  # all weights are 0
    identical: bool = False  # all units have equal weights, and their gradient does not part them
    stuck: bool = False  # weights of 0 that have no gradient after two steps, either
    gradient: str = "unknown"  # of the weights: reaches, zero, not finite, none (it should), frozen, unknown

    @property
    def gain(self) -> float:
        """fan_in·E[w²]: the factor of mean squares, forward; of sums of squares, backward."""
        return self.fan_in * self.weight2

    @property
    def predicted(self) -> float:
        """E[out²] that theory expects from this layer's own input: ``gain·E[in²] + E[b²]``."""
        return self.gain * self.in2 + self.bias2 if self.kind in MULTIPLYING else NAN

    @property
    def common(self) -> float:
        """Mean square that all units have in common: that of the sum of fan_in equal inputs and weights."""
        return (self.weight2 - self.variance) * (self.fan_in * self.in_mean) ** 2

    @property
    def held(self) -> bool:
        """Test if normalization or a gate gives what follows its size, whatever comes out of the layer."""
        return self.normalized and (self.read_ratio, self.kept) != (1.0, 1.0)

    @property
    def initializer(self) -> str:
        """Named initializer with the nearest variance, or "" if none is within sampling error."""
        if self.kind not in MULTIPLYING or not (self.entries and 1 <= self.fan_in < math.inf > self.fan_out):
            return ""
        fans = max(round(self.fan_in), 1), max(round(self.fan_out), 1)
        # √3 for a uniform distribution, and 4 standard errors of the root mean square
        bound = self.weight_largest <= (math.sqrt(3) + 3 / math.sqrt(self.entries)) * math.sqrt(self.weight2)
        fit = {}
        for name, rule in INITIALIZERS.items():
            expected = rule.variance(*fans)
            if expected > 0 and (rule.base.name == "uniform") == bound and rule.base.name != "identity":
                fit[name] = abs(math.log(max(self.weight2, 1e-300) / expected))
        name = min(fit, key=fit.__getitem__, default="")
        if self.zero:
            return "zeros"
        return name if name and fit[name] < 5 * math.sqrt(2 / self.entries) else ""


@dataclass(frozen=True)
class Join:
    """An addition of a skip and a branch: mean squares before and after, and the branch's last layers."""

    path: str
    skip2: float
    out2: float
    last: tuple[int, ...] = ()
    chained: bool = False  # the skip is the join before it, without a normalization between them
    normalized: bool = False  # the branch's size does not depend on the skip's
    grad_out: float = NAN  # sum of squares of the gradient of the sum
    attends: bool = False  # the branch has an attention


@dataclass(frozen=True)
class Trace:
    """Measurement of a model: its layers in order of use, its joins, its loss.

    ``guess`` is the loss of outputs that say nothing (all 0), ``output2`` the outputs' mean square,
    ``target2`` and ``target_mean`` are those of numbers that the outputs are to be.
    ``broken``: the module where the first infinite number or NaN stands. ``cuts``: places in the source where
    the gradient's path ends. ``shrunk``: share of the gradient's entries that the format rounds to 0.
    ``no_slope``: the operation that makes the gradient NaN. ``unregistered``: modules that use parameters of
    none of the model's modules.

    ``ends_in``: the activation that gives the outputs, if it has bounds, and ``end_path``, its module.
    ``beyond``: mean squared distance of the targets to its range, beside their variance. ``repeated``:
    "softmax" or "sigmoid", which the loss applies itself. ``broadcast``: it pairs each output with all
    targets. ``rebuilds``: the targets are the inputs. ``uneven``: inputs whose features have unlike scales.
    """

    framework: str
    layers: tuple[Layer, ...]
    joins: tuple[Join, ...] = ()
    format: str = "float32"
    loss: float = NAN
    guess: float = NAN
    output2: float = NAN
    target2: float = NAN
    target_mean: float = NAN
    rate: float = 0.01
    broken: str = ""
    cuts: tuple[str, ...] = ()
    shrunk: float = NAN
    no_slope: str = ""
    unregistered: tuple[str, ...] = ()
    ends_in: str = ""
    end_path: str = ""
    beyond: float = NAN
    repeated: str = ""
    broadcast: bool = False
    finite_targets: bool = True
    rebuilds: bool = False
    uneven: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()

    def unbypassed(self, kinds: tuple[str, ...] = MULTIPLYING) -> list[Layer]:
        """List the layers of given kinds that no shorter path leads around."""
        return [a for a in self.layers if a.kind in kinds and not a.bypassed]


@dataclass(frozen=True)
class Finding:
    """A cause, the layers at fault, the evidence (measured against predicted) and the code that mends it."""

    cause: str
    layers: tuple[str, ...]
    evidence: str
    fix: str
    size: float = 0.0  # decades from what is right
