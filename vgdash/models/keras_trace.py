"""Trace a Keras 3 model, with the PyTorch tracer where that is its backend, else its weights alone."""

from __future__ import annotations

from collections import Counter

import keras

from vgdash.models.records import Trace
from vgdash.params import ParamError


def trace(model, inputs, targets=None, loss=None, rate: float = 0.01, formats=()) -> Trace:
    """Measure a Keras model as in training. Nothing of it changes."""
    if keras.backend.backend() != "torch":
        raise ParamError(
            "model", "a Keras model with the torch backend", keras.backend.backend(),
            "Set KERAS_BACKEND=torch, or inspect weights alone: {v.path: v.numpy() for v in model.weights}.")
    if not model.built:
        raise ParamError("model", "a model whose weights exist", "one that was never called",
                         "Call it once with a batch.")
    from vgdash.models.torch_trace import Tracer, measured

    class KerasTracer(Tracer):
        """Names of layers and variables as Keras has them."""

        framework = "keras"

        def __init__(self, model, formats):
            super().__init__(model, formats)
            self.variables = {id(v.value): v for v in model.variables}
            self.recorder.named.update((key, [v.path]) for key, v in self.variables.items())
            owners = {v.path.rpartition("/")[0] for v in model.variables}
            names = Counter(owner.rpartition("/")[2] for owner in owners)
            self.owners = {o: o.rpartition("/")[2] for o in owners if names[o.rpartition("/")[2]] == 1}

        def module_path(self, name):
            owner = name.rpartition("/")[0]
            return self.owners.get(owner, owner)

        def run_with(self, leaves, args, named):
            with keras.StatelessScope([(self.variables[p], value) for p, value in leaves.items()]):
                return self.model(*args, **named)

        def arguments(self, inputs):
            return (inputs,), {"training": True}

    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    if targets is not None:
        targets = keras.tree.map_structure(keras.ops.convert_to_tensor, targets)
    state = [(v, v.value.detach().clone()) for v in model.variables if not v.trainable]
    try:
        return measured(KerasTracer(model, formats), inputs, targets, _loss(model, loss, targets), rate)
    finally:
        for variable, saved in state:
            variable.value.detach().copy_(saved)


def _loss(model, loss, targets):
    """Return loss(outputs, targets) of a Keras loss, of its name, or of the compiled model."""
    if loss is None and targets is not None:
        loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss) or getattr(loss, "__module__", "").startswith("keras."):
        return lambda outputs, given: keras.ops.mean(loss(given, outputs))
    return loss
