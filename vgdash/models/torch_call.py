"""Call a PyTorch module and leave it as it was: arguments, and all that a call could change."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
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
