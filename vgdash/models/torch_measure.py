"""Measure tensors of PyTorch: squares, shares of flat units, cosines, weights and gradients."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable

import numpy as np
import torch

from vgdash.activations import ACTIVATIONS
from vgdash.models.expectation import flat_ends
from vgdash.models.records import MATRICES, NAN

SAMPLE = 65_536  # entries of which slopes are taken
ROWS = 64  # inputs that are compared with each other


def square(x: torch.Tensor) -> float:
    """Return the sum of squares of all entries, in float64 where float32 ends."""
    x = x.detach()
    if not (x.is_floating_point() or x.is_complex()) or not x.numel():
        return math.nan
    dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else None
    root = float(torch.linalg.vector_norm(x, dtype=dtype))
    if root < 1e-15 or not math.isfinite(root):
        root = float(torch.linalg.vector_norm(x.double()))
    return root * root if root < 1e150 else math.inf


def largest(x: torch.Tensor) -> float:
    """Return the largest absolute value of the entries."""
    if not x.numel() or not x.is_floating_point():
        return math.nan
    low, high = torch.aminmax(x.detach())
    return max(-float(low), float(high))


def mean_of(x: torch.Tensor) -> float:
    """Return the mean of all entries; of complex ones its absolute value."""
    x = x.detach()
    return float(x.mean().abs()) if x.is_complex() else float(x.mean(dtype=torch.float32))


def mean_square(x: torch.Tensor) -> float:
    """Return the mean of the squares of all entries."""
    return square(x) / max(x.numel(), 1)


def sizes(name: str, x: torch.Tensor) -> dict[str, float]:
    """Return mean square, mean and largest entry, named as in ``Layer``: ``name`` is "in" or "out"."""
    return {f"{name}2": mean_square(x), f"{name}_mean": mean_of(x), f"{name}_largest": largest(x)}


def slopes_of(op: str, z, parents, low: float, high: float) -> dict[str, float]:
    """Return the shares of entries that are off or saturated, and of units that are dead.

    ``low``, ``high``: where a piecewise linear activation is cut off.
    """
    if not isinstance(z, torch.Tensor) or not z.dim() or not z.numel():
        return {}
    z, dim = z.detach(), next((p.dim for p in parents if p.data), -1)
    dim = 1 if dim == 1 and z.dim() > 2 else -1
    rows = z.movedim(dim, -1).reshape(-1, z.shape[dim])
    if op == "relu":
        on = rows > 0
        cut = float(torch.count_nonzero(rows >= high)) / on.numel() if high < math.inf else 0.0
        return {"off": 1 - float(torch.count_nonzero(on)) / on.numel(), "saturated": cut,
                "dead": 1 - float(on.any(0).float().mean()), "units": rows.shape[1]}
    sample = rows[::max(1, len(rows) // max(32, SAMPLE // rows.shape[1]))].float().cpu().numpy()
    if op == "hardtanh":
        flat = (sample <= low) | (sample >= high)
    elif op == "sine":
        flat = np.zeros_like(sample, bool)
    else:
        flat = ACTIVATIONS[op].saturated(sample)
    share, both = float(flat.mean()), op == "hardtanh" or flat_ends(op) == (True, True)
    return {"off": 0.0 if both else share, "saturated": share if both else 0.0,
            "dead": 0.0 if both else float((flat & (sample < 0)).all(0).mean()), "units": rows.shape[1]}


def record_gradient(t: torch.Tensor, into: dict) -> None:
    """Put the sum of squares and the number of entries of a tensor's gradient ``into``."""
    if not t.requires_grad or t.is_leaf:
        return

    def measure(gradient):
        into["square"] = into.get("square", 0.0) + square(gradient)
        into["entries"] = into.get("entries", 0) + gradient.numel()
        if "tiny" in into:  # half of float16's smallest number or less becomes 0
            into["tiny"] += int(torch.count_nonzero((gradient.abs() <= 2.0**-25) & (gradient != 0)))
    t.register_hook(measure)


def weights_of(kind, op, weights, bias, args, out, source) -> dict:
    """Fans and moments of the weights that an operation reads."""
    w, area, groups, units = torch.atleast_1d(weights[0].detach()), 1, 1, 0
    fan_out, fan_in = w.shape[0], (w[0].numel() if w.dim() > 1 and w.shape[0] else 1)
    if op.startswith("conv"):
        area = w[0, 0].numel()
        if "transpose" in op:
            stride = out.shape[2:].numel() / max(source.shape[2:].numel(), 1)
            groups = max(out.shape[1] // w.shape[1], 1)
            fan_in, fan_out, units = w.shape[0] / groups * area / max(stride, 1), w.shape[1] * area, 1
        else:
            groups = max(source.shape[1] // w.shape[1], 1)
            fan_out = w.shape[0] / groups * area
    elif kind == "embedding":
        fan_in, fan_out, units = 1, w.shape[1], 1
    elif kind == "linear" and op != "linear":
        left = bool(args) and args[0] is weights[0]
        fan_in, fan_out = (w.shape[-1], w.shape[-2]) if left else (w.shape[-2], w.shape[-1])
        units = 0 if left else w.dim() - 1
    elif kind == "recurrent":
        fan_in = sum(x[0].numel() for x in weights[:2])
    weight2 = sum(square(x) for x in weights) / max(sum(x.numel() for x in weights), 1)
    mean = mean_of(w) if w.numel() else 0.0
    rows = w.movedim(units, 0)
    top = largest(w) if w.numel() else 0.0
    same = (kind in MATRICES and rows.shape[0] > 1 and close(rows[:2], 1e-6 * top)
            and close(rows, 1e-6 * top))
    return {"fan_in": fan_in, "fan_out": fan_out, "area": area, "groups": groups, "weight2": weight2,
            "variance": max(weight2 - mean * mean, 0.0), "weight_largest": top,
            "entries": w.numel(), "bias2": mean_square(bias[0]) if bias else 0.0,
            "bias_mean": mean_of(bias[0]) if bias else 0.0,
            "zero": weight2 == 0 and not any(bool(x.any()) for x in weights), "same": same, "axis": units}


def elasticities(w: torch.Tensor, parameters: dict[int, torch.Tensor]) -> dict[int, float]:
    """Return d log|w| / d log|p| of each parameter p that ``w`` is made of.

    1 if w is multiplied with p, 0 if p is normalized first. Parameters that need no gradient are left out.
    """
    asked = {key: p for key, p in parameters.items() if p.requires_grad}
    size2 = square(w)
    if not (asked and w.requires_grad and 0 < size2 < math.inf):
        return {}
    found = torch.autograd.grad(w, list(asked.values()), w.detach(), retain_graph=True, allow_unused=True)
    return {key: 0.0 if g is None else float((g * p.detach()).sum()) / size2
            for (key, p), g in zip(asked.items(), found, strict=True)}


def have_unlike_scales(x: torch.Tensor) -> bool:
    """Test if the columns of a table of numbers have standard deviations that differ by more than 10.

    Columns of one or two values, and those that are mostly 0, have no scale to compare.
    """
    if x.dim() != 2 or x.layout != torch.strided or not x.is_floating_point() or len(x) < 8 or x.shape[1] < 2:
        return False
    x = x.detach().float()
    ordered = x.sort(dim=0).values
    several = (ordered.diff(dim=0) != 0).sum(0) > 1
    std = x.std(0)[several & ((x == 0).float().mean(0) < 0.5)]
    return len(std) > 1 and bool(std.max() > 10 * std.min() > 0)


def operation_without_slope(loss: Callable[[], torch.Tensor], parameters: list[torch.Tensor]) -> str:
    """Name the operation whose gradient is the first that is NaN on the way back; "" if none is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.autograd.detect_anomaly():
                torch.autograd.grad(loss(), parameters, allow_unused=True)
    except RuntimeError as error:
        found = re.search(r"'(\w+?)Backward\d*' returned nan", str(error))
        return found[1].lower() if found else ""
    return ""


def close(rows, error: float) -> bool:
    """Test if all rows equal the first."""
    return float((rows - rows[:1]).abs().max()) <= error


def cosines(out, dim) -> dict[str, float]:
    """Return the mean cosine of two inputs' outputs, and of two tokens' within one input."""
    if not out.is_floating_point() or out.dim() < 2 or out.shape[0] < 2:
        return {}
    found = {"correlation": _mean_cosine(out[:ROWS].flatten(1).float())}
    if out.dim() == 3 and dim == -1 and out.shape[1] > 1:
        found["token_cosine"] = float(np.mean([_mean_cosine(x.float()) for x in out[:8]]))
    return found


def _mean_cosine(rows) -> float:
    rows = torch.nn.functional.normalize(rows, dim=1)
    n = len(rows)
    return (square(rows.sum(0)) / n - 1) / (n - 1) if n > 1 else NAN


def ratios_between(act: dict, out2: float, after2: float, grad_out: float, after: float) -> dict[str, float]:
    """Return what stands between a layer and the next one, beside an activation that is known."""
    read2, act2, through = out2, out2, 1.0
    if act.get("name") in ACTIVATIONS:
        read2, act2 = act["read2"], act["square"]
        through = act["grad_read"].get("square", NAN) / (act["after"].get("square") or NAN)
    elif "read2" in act:  # of which nothing is predicted, such as a sine
        read2 = act2 = act["read2"]
    factors = {"read_ratio": (read2, out2), "kept": (after2, act2), "kept_back": (grad_out, after * through)}
    return {name: one / other for name, (one, other) in factors.items()
            if other > 0 and math.isfinite(one / other) and abs(one / other - 1) > 1e-3}
