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

    Squares are means over all entries, ``nan`` where not measured. ``fan_in`` counts the kernel's area and
    one group's channels: the number of products in a sum. ``after2`` is E[f(out)²], what comes next reads;
    ``output2`` is that of the model's output, where this layer alone leads to it, ``share`` is out2 beside
    that of the sum that follows. ``grad_in``, ``grad_out``, ``grad_after`` are sums of squares over all
    entries: in random layers a matrix multiplies them by ``fan_in·E[w²]``, whatever the widths. ``next`` is
    the index of the layer that reads this one alone, -1 where paths join or part. What stands between two
    layers beside the activation is measured, as a factor of squares: ``read_ratio`` up to what the activation
    reads, ``kept`` after it, ``kept_back`` of the gradient on the way back. ``bypassed``: a shorter
    path leads around this layer, as a skip connection does, or what a gate multiplies. ``normalized``: its
    scale is divided out before the next layer, or bounded by a gate. ``others`` names further matrices of a
    recurrent layer or an attention, ``source`` the inputs that a first layer reads as they are given. Of
    weights made of several parameters ``size`` names the one that multiplies them, if it is not ``weight``
    (as in weight normalization); ``fixed``: none does, they are normalized before use.
    """

    path: str
    weight: str = ""
    kind: str = "linear"
    fan_in: float = NAN
    fan_out: float = NAN
    area: float = 1.0
    groups: float = 1.0
    variance: float = NAN
    weight2: float = NAN
    weight_largest: float = NAN
    entries: float = 0.0
    bias2: float = 0.0
    bias_mean: float = 0.0
    in2: float = NAN
    in_mean: float = NAN
    in_largest: float = NAN
    out2: float = NAN
    out_mean: float = NAN
    out_largest: float = NAN
    after2: float = NAN
    output2: float = NAN
    share: float = NAN
    activation: str = ""
    off: float = NAN
    dead: float = NAN
    saturated: float = NAN
    units: float = NAN
    grad_in: float = NAN
    grad_out: float = NAN
    grad_after: float = NAN
    read_ratio: float = 1.0
    kept: float = 1.0
    kept_back: float = 1.0
    grad_out2: float = NAN
    grad_weight2: float = NAN
    update: float = NAN
    correlation: float = NAN
    token_cosine: float = NAN
    calls: int = 1
    next: int = -1
    source: str = "inputs"
    bias: str = ""  # its name
    others: tuple[str, ...] = ()
    size: str = ""
    fixed: bool = False
    first: bool = False
    last: bool = False
    bypassed: bool = False
    normalized: bool = False
    zero: bool = False
    identical: bool = False
    stuck: bool = False
    gradient: str = "unknown"  # reaches, zero, none (it requires one), frozen, unknown

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

    ``guess`` is the loss of outputs that say nothing (all 0), ``output2`` the outputs' mean square.
    ``broken``: the module where the first infinite number or NaN stands. ``cuts``: places in the source where
    the gradient's path ends. ``shrunk``: share of the gradient's entries that the format rounds to 0.
    """

    framework: str
    layers: tuple[Layer, ...]
    joins: tuple[Join, ...] = ()
    format: str = "float32"
    loss: float = NAN
    guess: float = NAN
    output2: float = NAN
    rate: float = 0.01
    broken: str = ""
    cuts: tuple[str, ...] = ()
    shrunk: float = NAN
    formats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A cause, the layers at fault, the evidence (measured against predicted) and the code that mends it."""

    cause: str
    layers: tuple[str, ...]
    evidence: str
    fix: str
    size: float = 0.0  # decades from what is right
