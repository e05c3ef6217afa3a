"""Name every cause of a finding, most serious first, and the limits beyond which a layer is at fault."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from vgdash.models.expectation import wanted_gain
from vgdash.models.records import Finding, Layer
from vgdash.spelling import SUPERSCRIPT


class Cause(NamedTuple):
    """Words for a cause, which the name of a layer ends, and the fates of a layer that has it."""

    words: str
    signal: str = ""  # a key of ``fates.FATES``; "" if the sizes decide
    gradient: str = ""
    excess: Callable[[Layer], float] | None = None  # above 1 if the signal explodes, below if it vanishes


CAUSES = {  # most serious first
    "detached": Cause("no gradient reaches", "healthy", "blocked"),
    "not_finite": Cause("numbers are not finite at", "exploding", "exploding"),
    "unregistered": Cause("the optimizer does not see layers of", "", "blocked"),
    "float16_overflow": Cause("float16 overflows at", "exploding"),
    "weights_zero": Cause("weights stay 0 at", "blocked", "blocked"),
    "scale_zero": Cause("a scale of 0 closes", "blocked", "blocked"),
    "norm_empty": Cause("normalization leaves nothing at", "blocked", "blocked"),
    "scale_small": Cause("the scale is too small at", "vanishing", "vanishing"),
    "dead": Cause("units are dead at", "dead", "dead"),
    "weights_identical": Cause("units stay equal at", "identical", "identical"),
    "weights_shifted": Cause("the mean of the weights is not 0 at"),
    "input_scale": Cause("the inputs have the wrong scale at", excess=lambda a: a.in2),
    "last_activation": Cause("the last activation does not fit the loss at", "", "vanishing"),
    "targets_crossed": Cause("the loss compares outputs with others' targets at", "", "blocked"),
    "target_scale": Cause("the targets have the wrong scale for", "", "exploding"),
    "stream_grows": Cause("the residual stream explodes at", "exploding", "exploding"),
    "wrong_fan": Cause("weights fit another fan at", excess=lambda a: a.gain / wanted_gain(a.activation)),
    "weights_large": Cause("weights are too large at", "exploding"),
    "weights_small": Cause("weights are too small at", "vanishing", "vanishing"),
    "bias_large": Cause("biases are too large at"),
    "gradient_grows": Cause("the gradient explodes at", "", "exploding"),
    "saturated": Cause("units are saturated at", "saturated"),
    "output_scale": Cause("the first outputs are too large at", "exploding"),
    "float16_underflow": Cause("float16 rounds the gradient to 0 at", "", "vanishing"),
}
BY_WEIGHTS = {"weights_large", "weights_small", "wrong_fan"}
LIMITS = {
    "shrinks": 1e-6,  # of squares: a step of the first layer is a thousandth of the last one's
    "grows": 1e3,  # of squares: outputs 30 times too large, the first loss far above guessing
    "normalized": 1e4,  # of squares, where normalization holds the outputs: 24 layers of ×1.47 (Yang 2019)
    "one layer": 30.0,  # gain of one layer, of which 2 to 4 is what an activation wants
    "one layer small": 1e-3,
    "fades": 1e-4,  # of squares, along a stream: 52 of 53 architectures have 0.28 or more
    "apart": 1e-4,  # of 1 - the cosine of two inputs, from the first layer to the last hidden one
    "buried": 1e-4,  # of squares, left of the tokens after the sums with attention: Adam learns from 2e-3
    "stream": (100.0, 10.0),  # growth in all, and over the second half, where a linear one is ×2
    "flat": 0.6,  # share of units at flat ends; tanh with 1/n has 0.02
    "flat around": 0.99,  # where a skip leads around: such nets learn with 0.9
    "flat gain": 4.0,  # times what the activation wants: the weights are to blame for saturation
    "input": (1e-3, 100.0),  # mean square; pixels in [0, 1] have .1 to .3
    "small entry": 0.1,  # sparse inputs are small on average and have entries of 1
    "offset": (25.0, 9.0),  # squared mean beside the variance, and mean square
    "targets": (1e5, 3e3),  # mean square; and where the mean is 5 standard deviations: SGD learns up to 1e3
    "small targets": 1e-4,  # of the outputs' mean square
    "beyond": 0.25,  # of the targets' variance, out of the last activation's reach; tanh has .1 of N(0, 1)
    "loss": 3.0,  # first loss beside that of guessing; He in the last layer gives 1.4
    "leap": 3.0,  # a layer's inputs beside the largest mean square before it
    "share": 0.1,  # of a mean square, below which nearly all of it comes from elsewhere
    "last layer": 4.0,  # its output's mean square beside its input's; He has 2
    "fan": 3.5,  # a layer beside what its activation wants, in a net whose variance fits another fan
    "recurrent": (16.0, 0.4),  # gain of a recurrent layer; PyTorch's default has 0.4
    "rounded": 0.5,  # share of the gradient that float16 rounds to 0
}


def number(x: float) -> str:
    """Write a number as 0.17, 30, 1,990 or 3.1·10⁻²⁴."""
    if not math.isfinite(x):
        return "not a number" if math.isnan(x) else "infinite"
    if x == 0 or 1e-3 <= abs(x) < 999.5:
        return f"{x or 0.0:.3g}"  # -0 is 0
    if 999.5 <= abs(x) < 9995:
        return f"{float(f'{x:.3g}'):,.0f}"
    exponent = math.floor(math.log10(abs(x)) - math.log10(0.995))  # 9.95 is 10
    mantissa = math.copysign(10 ** (math.log10(abs(x)) - exponent), x)  # 10.0**-324 is 0
    return f"{mantissa:.1f}·10{str(exponent).translate(SUPERSCRIPT)}"


def finding(cause: str, layers: list[Layer], evidence: str, fix: str, size: float = 0.0) -> list[Finding]:
    """Return the one finding as a list, empty if no layer is at fault."""
    paths = tuple(dict.fromkeys(a.path for a in layers))
    return [Finding(cause, paths, evidence, fix, size)] if paths else []
