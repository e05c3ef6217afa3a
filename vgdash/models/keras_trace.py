"""Trace a Keras 3 model, with the PyTorch tracer where that is its backend, else its weights alone."""

from __future__ import annotations

import keras

from vgdash.models.records import Trace
from vgdash.params import ParamError


def trace(model, inputs, targets=None, loss=None, rate: float = 0.01, formats=()) -> Trace:
    """Measure a Keras model as in training. Nothing of it changes."""
    if keras.backend.backend() != "torch":
        raise ParamError(
            "model", "a Keras model with the torch backend", keras.backend.backend(),
            "Set KERAS_BACKEND=torch, or inspect weights alone: {v.path: v.numpy() for v in model.weights}.")
    from vgdash.models.torch_trace import Tracer, measured

    class KerasTracer(Tracer):
        """Names of layers and variables as Keras has them."""

        framework = "keras"

        def __init__(self, model, formats):
            super().__init__(model, formats)
            layers = list(model._flatten_layers())
            names = [one.name for one in layers]
            self.owner = {}
            for one in layers:
                for variable in [*one._trainable_variables, *one._non_trainable_variables]:
                    self.recorder.named[id(variable._value)] = [variable.path]
                    self.owner[variable.path] = one.name if names.count(one.name) == 1 else one.path

        def path_of(self, name):
            return self.owner.get(name, name)

        def run_with(self, leaves, args, named):
            variables = {id(v._value): v for v in self.model.variables}
            own = {p: variables[p]._value for p in leaves}
            try:
                for p, value in leaves.items():
                    variables[p]._value = value
                return self.model(*args, **named)
            finally:
                for p, value in own.items():
                    variables[p]._value = value

        def arguments(self, inputs):
            return (inputs,), {"training": True}

    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    if targets is not None:
        targets = keras.tree.map_structure(keras.ops.convert_to_tensor, targets)
    state = [(v, v._value.detach().clone()) for v in model.variables if not v.trainable]
    try:
        return measured(KerasTracer(model, formats), inputs, targets, _loss(model, loss, targets), rate)
    finally:
        for variable, saved in state:
            variable._value.detach().copy_(saved)


def _loss(model, loss, targets):
    """Return loss(outputs, targets) of a Keras loss, of its name, or of the compiled model."""
    if loss is None and targets is not None:
        loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss) or getattr(loss, "__module__", "").startswith("keras."):
        return lambda outputs, given: keras.ops.mean(loss(given, outputs))
    return loss
