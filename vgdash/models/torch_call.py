"""Call a PyTorch module and leave it as it was: arguments, losses, and all that a call could change."""

from __future__ import annotations

import math
import random
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from inspect import signature

import numpy as np
import torch

from vgdash.models.records import NAN
from vgdash.models.torch_graph import tensors
from vgdash.models.torch_measure import mean_of, mean_square
from vgdash.params import ParamError

DICTIONARIES = (dict, OrderedDict, defaultdict)  # others may refuse to be changed


def unwrapped(model):
    """Take ``torch.compile`` and DataParallel off; raises ``ParamError`` for a scripted module."""
    while hasattr(model, "_orig_mod") or isinstance(model, (torch.nn.DataParallel,
                                                           torch.nn.parallel.DistributedDataParallel)):
        model = getattr(model, "_orig_mod", None) or model.module
    if isinstance(model, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
        raise ParamError("model", "a torch.nn.Module before torch.jit", type(model).__name__,
                         "Inspect the module that was scripted.")
    return model


@contextmanager
def unchanged(model):
    """Put back parameters and buffers, attributes of modules and the states of all random generators."""
    weights = [(w, w.detach().clone()) for w in model.parameters()]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    modules = [(m, {k: dict(v) if type(v) in DICTIONARIES else v for k, v in vars(m).items()})
               for m in model.modules()]
    originals = [dict(vars(m)) for m, _ in modules]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the caller's
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        with torch.no_grad():
            for weight, saved in weights:
                if not torch.equal(weight, saved):  # maximal norms change weights in a forward pass
                    weight.copy_(saved)
            for buffer, saved in buffers:
                buffer.copy_(saved)
        for (module, copies), before in zip(modules, originals, strict=True):
            vars(module).clear()
            vars(module).update(before)
            for key, value in copies.items():
                if type(before[key]) in DICTIONARIES:
                    before[key].clear()
                    before[key].update(value)


def arguments(model, inputs) -> tuple[tuple, dict]:
    """Return the model's arguments: a mapping gives them by name, a list or tuple in order."""
    args, named = ((), inputs) if isinstance(inputs, Mapping) else (inputs, {})
    if isinstance(inputs, (Mapping, list, tuple)):
        with suppress(TypeError, ValueError):
            signature(model.forward).bind(*args, **named)
            return tuple(args), dict(named)
    return (inputs,), {}


def as_tensors(model, value):
    """Turn NumPy arrays, also in lists and dictionaries, into tensors: floats of the model's own type."""
    if isinstance(value, dict):
        return {name: as_tensors(model, one) for name, one in value.items()} if type(value) is dict else value
    if type(value) in (list, tuple):
        return type(value)(as_tensors(model, one) for one in value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return value
    tensor = torch.as_tensor(value)
    kind = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return tensor.to(kind) if tensor.is_floating_point() else tensor


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
