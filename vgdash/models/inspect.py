"""Inspect a model that people have: one call for PyTorch, Keras, and weights alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from vgdash.models.report import Report
from vgdash.number_formats import FORMATS
from vgdash.params import Choice, ParamError, Real

PICKLED = ("Convert it where you trust it: "
           "safetensors.torch.save_file(torch.load(path, weights_only=True), new_path).")
OTHERS = {**dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"), PICKLED),
          **dict.fromkeys((".keras", ".h5"), "Give keras.saving.load_model(path)."),
          ".npz": "Give numpy.load(path).", ".onnx": "Write its weights with safetensors."}


def inspect(model, inputs=None, targets=None, loss=None, *, rate: float = 0.01, formats: tuple[str, ...] = (),
            activation: str = "relu") -> Report:
    """Measure one forward and one backward pass of a model at its present weights, layer by layer.

    ``model``: a ``torch.nn.Module``, a Keras 3 model, a mapping of names to arrays, or the path of a
    ``.safetensors`` file; of weights alone theory says what they do with unit inputs and ``activation``.
    ``inputs``: what the model is called with; a dictionary gives arguments by name, a list or tuple in order.
    ``loss(outputs, targets)`` gives the loss; without it cross-entropy for classes (binary for one output)
    and squared error for numbers, and without targets the product with a random direction. ``rate``:
    learning rate behind ``update``. ``formats``: number formats to ask about, such as ``("float16",)``.

    Nothing of the model is changed: parameters, gradients, buffers, mode, hooks and random states stay.
    Raises ``ParamError`` for what cannot be inspected, and whatever the model itself raises.
    """
    formats = (formats,) if isinstance(formats, str) else formats
    formats = tuple(Choice(tuple(FORMATS)).check("formats", name) for name in formats)
    rate = Real(0, 1e6).check("rate", rate)
    bases = {(c.__module__.partition(".")[0], c.__name__) for c in type(model).__mro__}
    if isinstance(model, (str, PathLike)):
        if instead := OTHERS.get(Path(model).suffix.lower()):
            no_code = ": a pickle can run any code as it opens" if instead is PICKLED else ""
            raise ParamError("model", f"a .safetensors file{no_code}", str(model), instead)
        from vgdash.models.safetensors_file import Tensors
        model = Tensors(model)
    if isinstance(model, Mapping):
        from vgdash.models.weights import trace_weights
        return Report(trace_weights(model, activation))
    if ("keras", "Layer") in bases:
        from vgdash.models.keras_trace import trace
    elif ("torch", "Module") in bases or type(model).__module__.startswith("torch."):
        from vgdash.models.torch_trace import trace
    else:
        raise ParamError(
            "model", "a torch.nn.Module, a Keras model, a mapping of names to arrays or a .safetensors file",
            type(model).__name__, "Convert its weights to NumPy arrays.")
    if inputs is None:
        raise ParamError("inputs", "a batch that the model is called with", None, "Give one batch of data.")
    return Report(trace(model, inputs, targets, loss, rate, formats))


def assert_healthy(model, inputs=None, targets=None, loss=None, **options) -> Report:
    """Return the report of ``inspect``, or raise ``AssertionError`` with its findings."""
    report = inspect(model, inputs, targets, loss, **options)
    assert report.healthy, str(report)
    return report


class Watch:
    """Inspect a model every ``every`` steps of training, and keep the last ``keep`` pairs (step, report).

    Call ``watch(step)`` in a loop, in Lightning from ``on_train_batch_end`` with ``trainer.global_step``. For
    Keras pass ``keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: watch(batch))``.
    """

    def __init__(self, model, inputs, targets=None, loss=None, *, every=100, keep=50, **options):
        if every < 1 or keep < 1:
            raise ParamError("every, keep", "whole numbers from 1", (every, keep), "Leave them out: 100, 50.")
        self.call, self.every = (lambda: inspect(model, inputs, targets, loss, **options)), every
        self.reports: deque[tuple[int, Report]] = deque(maxlen=keep)

    def __call__(self, step: int) -> Report | None:
        """Inspect if the step is a multiple of ``every``; return the report, or None."""
        if step % self.every:
            return None
        report = self.call()
        self.reports.append((step, report))
        return report
