"""Call a PyTorch module and leave it as it was: arguments, losses, and all that a call could change."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict
from contextlib import contextmanager, suppress
from inspect import signature

import numpy as np
import torch

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
    """Put back buffers, attributes of modules and the states of all random generators."""
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
    """Return the model's arguments: a dictionary gives them by name, a list or tuple in order."""
    args, named = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    if isinstance(inputs, (dict, list, tuple)):
        with suppress(TypeError, ValueError):
            signature(model.forward).bind(*args, **named)
            return tuple(args), named
    return (inputs,), {}


def guessed_loss(output, targets):
    """Cross-entropy for classes, squared error for numbers of the outputs' shape."""
    functional = torch.nn.functional
    if isinstance(targets, torch.Tensor) and not targets.is_floating_point():
        if output.dim() == targets.dim() + 1:
            last = output.shape[:-1] == targets.shape and output.dim() > 2
            return (lambda o, t: functional.cross_entropy(o.flatten(0, -2), t.flatten())) if last \
                else functional.cross_entropy
    elif isinstance(targets, torch.Tensor) and output.shape == targets.shape:
        return functional.mse_loss
    raise ParamError("loss", "a function of outputs and targets", "None",
                     "The targets fit neither cross-entropy nor squared error: give the loss.")


def quiet(outputs, recorder):
    """Return outputs that say nothing: 0, or the last activation of 0."""
    if isinstance(outputs, torch.Tensor):
        node = recorder.node(outputs)
        zero = torch.zeros_like(outputs)
        last = {"log_softmax": lambda z: z.log_softmax(-1 if z.dim() != 4 else 1), "sigmoid": torch.sigmoid,
                "softmax": lambda z: z.softmax(-1 if z.dim() != 4 else 1)}
        return last.get(node.op if node else "", lambda z: z)(zero)
    if isinstance(outputs, dict):
        changed = {k: quiet(v, recorder) for k, v in outputs.items()}
        return changed if type(outputs) is dict else type(outputs)(**changed)
    if isinstance(outputs, (list, tuple)):
        changed = [quiet(v, recorder) for v in outputs]
        return type(outputs)(*changed) if hasattr(outputs, "_fields") else type(outputs)(changed)
    return outputs
