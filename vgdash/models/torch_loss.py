"""Ask a loss about a model's outputs: its value, that of guessing, and whether outputs and targets fit it."""

from __future__ import annotations

import math
from contextlib import suppress
from inspect import signature

import torch

from vgdash.models.records import NAN
from vgdash.models.torch_graph import tensors
from vgdash.models.torch_measure import mean_of, mean_square
from vgdash.params import ParamError

RANGES = {  # of activations whose outputs have bounds
    "sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf), "relu6": (0.0, 6.0), "softplus": (0.0, math.inf), "elu": (-1.0, math.inf)}
REORDERING = {"squeeze", "unsqueeze", "view", "reshape", "flatten", "permute", "transpose", "contiguous",
              "getitem", "movedim", "to", "float", "double", "t"}  # values stay as they are


def checked_loss(loss, targets):
    """Return the loss if it can be called with what there is. Raises ``ParamError``."""
    if not callable(loss) or isinstance(loss, type):
        raise ParamError("loss", "a function of outputs and targets", loss,
                         "Such as torch.nn.functional.cross_entropy, or torch.nn.CrossEntropyLoss().")
    needed = []
    with suppress(ValueError):  # it has no signature
        needed = [one for one in signature(getattr(loss, "forward", loss)).parameters.values()
                  if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if targets is None and len(needed) > 1:
        raise ParamError("targets", "what the loss compares the outputs with", None,
                         "Give them, or a loss of the outputs alone.")
    return loss


def guessed_loss(output, targets):
    """Return cross-entropy for classes, of one output for two; squared error for numbers of its shape."""
    functional = torch.nn.functional
    if isinstance(targets, torch.Tensor):
        alike = output.numel() == targets.numel() and output.squeeze().shape == targets.squeeze().shape
        if targets.is_floating_point():
            if alike:
                return lambda o, t: functional.mse_loss(o.reshape(t.shape), t)
        elif alike and 0 <= int(targets.min()) <= int(targets.max()) <= 1:
            low, high = (float(end) for end in torch.aminmax(output.detach()))
            loss = functional.binary_cross_entropy if 0 <= low <= high <= 1 else (
                functional.binary_cross_entropy_with_logits)
            return lambda o, t: loss(o.reshape(t.shape), t.to(o.dtype))
        elif output.dim() == targets.dim() + 1:
            last = output.shape[:-1] == targets.shape and output.dim() > 2
            if output.dim() == 1:
                raise ParamError("inputs", "a batch of examples", "one example",
                                 "Add an axis: inputs[None], targets[None].")
            classes = output.shape[-1 if last else 1]
            if int(targets.max()) >= classes:
                raise ParamError("targets", f"whole numbers below {classes}, the model's classes",
                                 int(targets.max()), "Count classes from 0, or give the loss.")
            return (lambda o, t: functional.cross_entropy(o.flatten(0, -2), t.flatten().long())) if last \
                else lambda o, t: functional.cross_entropy(o, t.long())
        received = f"{str(targets.dtype).removeprefix('torch.')} of shape {tuple(targets.shape)}"
    else:
        received = type(targets).__name__
    raise ParamError("targets", "a tensor of whole numbers of classes, or of numbers of the outputs' "
                     f"shape {tuple(output.shape)}", received, "Convert them, or give the loss.")


def losses(recorder, outputs, targets, loss):
    """Return the loss and that of outputs of 0; without one, a random direction's product."""
    floats = [t for t in tensors(outputs) if t.is_floating_point()]
    if not floats:
        raise ParamError("model", "a module with an output of floating type", type(outputs).__name__,
                         "Return a tensor of numbers that can have a gradient.")
    first = floats[0]
    if loss is None and targets is not None:
        guessed = guessed_loss(first, targets)

        def loss(found, t):
            return guessed(next(o for o in tensors(found) if o.is_floating_point()), t)
    if loss is None:
        given = outputs.get("loss") if isinstance(outputs, dict) else None
        if isinstance(given, torch.Tensor) and given.numel() == 1:
            return given, NAN
        draw = torch.Generator(device="cpu").manual_seed(0)
        direction = torch.randn(first.shape, generator=draw).to(first.device, torch.float32)
        return (first.float() * direction).sum(), NAN
    rest = () if targets is None else (targets,)
    value = checked_loss(loss, targets)(outputs, *rest)
    if not isinstance(value, torch.Tensor):
        instead = ("Return the loss without .item()." if isinstance(value, (int, float)) else
                   "Return the loss alone: lambda outputs, targets: criterion(outputs, targets)[0].")
        raise ParamError("loss", "a function that returns a tensor", type(value).__name__, instead)
    try:
        with torch.no_grad():
            guess = float(loss(zero_outputs(outputs, recorder), *rest).float().mean())
    except Exception:  # a loss of another kind: it has no guess
        guess = NAN
    return value.mean(), guess if math.isfinite(guess) and guess > 1e-12 else NAN


def target_sizes(outputs, targets, guess: float) -> dict[str, float]:
    """Return mean square and mean of targets that outputs are to equal, as a loss of outputs of 0 shows."""
    if not (isinstance(targets, torch.Tensor) and targets.is_floating_point() and targets.numel()):
        return {}
    alike = any(t.numel() == targets.numel() for t in tensors(outputs))
    wanted = alike and guess >= 0.4 * float(targets.abs().mean())  # Poisson's loss of log-rates of 0 is 1
    return {"target2": mean_square(targets), "target_mean": mean_of(targets)} if wanted else {}


def zero_outputs(outputs, recorder):
    """Return outputs that say nothing: 0, or the last activation of 0."""
    if isinstance(outputs, torch.Tensor):
        node = recorder.node(outputs)
        zero = torch.zeros_like(outputs)
        last = {"log_softmax": lambda z: z.log_softmax(-1 if z.dim() != 4 else 1), "sigmoid": torch.sigmoid,
                "softmax": lambda z: z.softmax(-1 if z.dim() != 4 else 1)}
        return last.get(node.op if node else "", lambda z: z)(zero)
    if isinstance(outputs, dict):
        changed = {k: zero_outputs(v, recorder) for k, v in outputs.items()}
        return changed if type(outputs) is dict else type(outputs)(**changed)
    if isinstance(outputs, (list, tuple)):
        changed = [zero_outputs(v, recorder) for v in outputs]
        return type(outputs)(*changed) if hasattr(outputs, "_fields") else type(outputs)(changed)
    return outputs


# ---- do outputs and targets fit the loss?

def compared(tracer, outputs, targets, loss, guess: float) -> dict:
    """Return the fields of ``Trace`` that say how targets, last activation and loss fit together."""
    if not isinstance(targets, torch.Tensor):
        return {}
    finite = not targets.is_floating_point() or bool(torch.isfinite(targets).all())
    found = {"finite_targets": finite, "rebuilds": _alike(tracer.inputs, targets)}
    if not (finite and isinstance(outputs, torch.Tensor)):
        return {**found, **target_sizes(outputs, targets, guess)}

    def ask(changed, wanted=targets) -> float:
        torch.manual_seed(0)  # a loss may draw, too; the caller's state is put back
        with torch.no_grad(), suppress(Exception):  # a loss may refuse what it was not made for
            return float(losses(tracer.recorder, changed, wanted, loss)[0])
        return NAN

    outputs, value, distance = outputs.detach(), ask(outputs.detach()), False
    if targets.is_floating_point() and outputs.numel() == targets.numel():
        distance = abs(ask(targets.reshape(outputs.shape).to(outputs.dtype))) <= 1e-6 * guess
    found.update(target_sizes(outputs, targets, math.inf if distance else guess))
    squeezed = outputs.squeeze().shape == targets.squeeze().shape
    if loss and squeezed and outputs.shape != targets.shape:
        change = ask(outputs, targets.reshape(outputs.shape)) - value
        found["broadcast"] = abs(change) > 1e-4 * abs(value)
    node = tracer.recorder.node(tracer.outputs)
    while node is not None and node.op in REORDERING and len(node.parents) == 1:
        node = node.parents[0]
    if node is None or node.op not in RANGES:
        return found
    module = dict(tracer.model.named_modules()).get(node.path)
    own = type(module).__module__ == "torch.nn.modules.activation"
    found.update(ends_in=node.op, end_path=node.path if own else "",
                 repeated=_repeated(node.op, ask, outputs, targets, value) if loss else "")
    spread = found["target2"] - found["target_mean"] ** 2 if distance else 0.0
    if distance and spread > 1e-6 * found["target2"]:
        found["beyond"] = mean_square(targets - targets.clamp(*RANGES[node.op])) / spread
    return found


def _alike(inputs, targets) -> bool:
    """Test if the targets are the inputs, as an autoencoder has them."""
    return isinstance(inputs, torch.Tensor) and inputs.is_floating_point() and (
        inputs is targets or (inputs.shape == targets.shape and bool((inputs == targets).all())))


def _repeated(activation: str, ask, outputs, targets, value: float) -> str:
    """Name the softmax or sigmoid that the loss applies itself, if it reads an activation that spoils it.

    A softmax gives the same where a number is added to all classes of an example. Cross-entropy of a sigmoid
    grows by |z|·(share of the other class) far from 0, on both sides.
    """
    if not targets.is_floating_point() and targets.dim() == outputs.dim() - 1:
        if activation not in ("softmax", "sigmoid", "hardsigmoid", "relu", "relu6"):
            return ""
        axes = [axis for axis in {1, outputs.dim() - 1} if outputs.shape[axis] > 1]
        rows = torch.linspace(-2, 3, len(outputs)).to(outputs).reshape(-1, *[1] * (outputs.dim() - 1))
        same = axes and abs(ask(outputs + rows) - value) <= 1e-4 * abs(value) < abs(ask(2 * outputs) - value)
        return "softmax" if same else ""
    share = mean_of(targets.float())
    if activation not in ("sigmoid", "hardsigmoid") or not (
            0 < share < 1 and float(targets.min()) >= 0 and float(targets.max()) <= 1):
        return ""
    low, high = (ask(torch.full_like(outputs, 8.0 * sign)) - ask(torch.full_like(outputs, 5.0 * sign))
                 for sign in (-1, 1))
    return "sigmoid" if low > 2.5 * share and abs(high / (3 * (1 - share)) - 1) < 0.05 else ""
