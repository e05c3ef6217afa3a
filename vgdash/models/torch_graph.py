"""Record the graph of a PyTorch module's forward pass: what each operation reads, and from which module."""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Iterator, Mapping

import torch
from torch.overrides import TorchFunctionMode

from vgdash.activations import ACTIVATIONS
from vgdash.models.torch_measure import mean_square, record_gradient, slopes_of

CONVOLUTIONS = {f"conv{way}{n}d" for way in ("", "_transpose") for n in (1, 2, 3)}
RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
EMBEDDINGS = {"embedding", "embedding_bag"}
ATTENTION = {"multi_head_attention_forward", "bilinear"}  # of which no sum of products is predicted
LINEAR = {"linear", "matmul", "mm", "bmm", "addmm", "einsum", "tensordot", "rmatmul"}
CONTRACTIONS = {**dict.fromkeys(CONVOLUTIONS, "convolution"), **dict.fromkeys(RECURRENT, "recurrent"),
                **dict.fromkeys(EMBEDDINGS, "embedding"), **dict.fromkeys(ATTENTION, "attention"),
                **dict.fromkeys(LINEAR, "linear")}
NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize"}
SUMS = {"add", "iadd", "radd", "sub", "isub", "rsub", "cat", "concat", "concatenate", "stack", "lerp"}
PRODUCTS = {"mul", "imul", "rmul", "multiply", "div", "truediv", "true_divide", "itruediv"}
MAYBE_IDENTITY = {"to", "contiguous", "type", "float", "half", "double"}  # may return what they get
TO_PYTHON = {"item", "tolist", "numpy", "float", "int"}  # out of PyTorch
CREATION = {name for kind in ("zeros", "ones", "empty", "full", "rand", "randn")  # read a shape alone
       for name in (f"new_{kind}", f"{kind}_like")}
PERMUTING = {"permute", "transpose", "movedim", "swapaxes"}  # units move to another axis
ROOTS = {"rsqrt", "sqrt", "norm", "vector_norm", "std", "var", "linalg_norm", "linalg_vector_norm"}
CUT_OFF = {"hardtanh": (("min_val", -1.0), ("max_val", 1.0)),  # arguments that say where, and their defaults
           **dict.fromkeys(("clamp", "clip"), (("min", None), ("max", None)))}
NAMES = {"clamp_min": "relu", "threshold": "relu", "sin": "sine", "cos": "sine", "celu": "elu",
         "prelu": "leaky_relu", "rrelu": "leaky_relu", "hardswish": "silu"}
SLOPES = {*ACTIVATIONS, "hardtanh", "sine"} - {"linear"}


class Node:
    """One operation's result: its parents, the parameters it reads, and what was measured of it."""

    __slots__ = (
        "act",
        "after",
        "call",
        "data",
        "dim",
        "index",
        "kind",
        "left_graph",
        "op",
        "params",
        "parents",
        "path",
        "requires",
        "square",
    )

    def __init__(self, index, op, parents, params, data, path):
        self.index, self.op, self.parents, self.params = index, op, parents, params
        self.data, self.path = data, path
        self.kind, self.square, self.dim = "", None, -1
        self.act, self.after, self.requires, self.call = {}, {}, False, None
        self.left_graph = False  # out of PyTorch, as numbers


def tensors(*values) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested lists, tuples, dictionaries and records."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, Mapping):
            yield from tensors(*value.values())
        elif isinstance(value, (list, tuple)):
            yield from tensors(*value)
        elif hasattr(value, "__dataclass_fields__"):
            yield from tensors(*vars(value).values())


class Recorder(TorchFunctionMode):
    """Record every operation while it is active; ``tracer`` measures each one that has weights.

    ``named`` maps id(parameter) to its names. ``check``: look for the first number that is not finite.
    """

    def __init__(self, model, tracer, check: bool):
        super().__init__()
        self.tracer = tracer
        self.named: dict[int, list[str]] = {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            self.named.setdefault(id(parameter), []).append(name)
        self.paths = {id(module): name for name, module in model.named_modules()}
        self.nodes, self.known, self.stack, self.cuts = [], {}, [], []
        self.check, self.broken = check, ""
        self.unregistered: dict[int, tuple[torch.Tensor, str]] = {}

    # ---- modules

    def enter(self, module, args):
        if id(module) in self.paths:
            self.stack.append((self.paths[id(module)], [n for t in tensors(args) if (n := self.node(t))]))

    def leave(self, module, args, output):
        if id(module) not in self.paths or not self.stack:
            return
        path, inputs = self.stack.pop()
        for t in tensors(output):
            if self.node(t) is None and inputs:
                self.remember(t, self.add("module", inputs, frozenset(), True, path))

    @property
    def here(self) -> str:
        return self.stack[-1][0] if self.stack else ""

    # ---- nodes

    def node(self, t) -> Node | None:
        found = self.known.get(id(t))
        return found[1] if found and found[0]() is t else None

    def remember(self, t, node) -> None:
        self.known[id(t)] = (weakref.ref(t), node)
        node.requires |= t.requires_grad

    def add(self, op, parents, params, data, path) -> Node:
        node = Node(len(self.nodes), op, parents, params, data, path)
        node.dim = next((p.dim for p in parents if p.data), -1) if op not in PERMUTING else -1
        self.nodes.append(node)
        return node

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        op = getattr(func, "__name__", "").strip("_")
        low, high = _bounds(op, args, kwargs)
        op = "relu" if low == 0 else NAMES.get(op, op)
        given = list(tensors(args, kwargs))
        parents, params = [], set()
        for t in given:
            if id(t) in self.named:
                params.add(id(t))
            elif isinstance(t, torch.nn.Parameter) and t.requires_grad:
                self.unregistered.setdefault(id(t), (t, self.here))
            elif (node := self.node(t)) is not None:
                parents.append(node)
            elif t.grad_fn is not None and self.stack and self.stack[-1][1]:
                node = self.add("unknown", self.stack[-1][1], frozenset(), True, self.here)
                self.remember(t, node)
                parents.append(node)
        embedded = op in EMBEDDINGS and bool(params)
        data = embedded or (op not in CREATION and any(node.data for node in parents))
        if op in SUMS and data:  # before an addition in place
            for t in given:
                if (p := self.node(t)) is not None and p.square is None:
                    p.square = mean_square(t)
        slopes = slopes_of(op, args[0], parents, low, high) if data and args and op in SLOPES else {}
        if slopes:
            slopes |= self._read(args[0])
        out = func(*args, **kwargs)
        outs = list(tensors(out))
        if op in TO_PYTHON and not outs:  # float() of one number, not a change of type
            for node in parents:
                node.left_graph = True
        if outs and op in MAYBE_IDENTITY and outs[0] is args[0]:
            return out
        if outs and (parents or params):
            self._record(op, args, kwargs, given, parents, params, data, slopes, outs)
        elif outs:
            node = self.add(op, [], frozenset(), False, self.here)
            for t in outs:
                self.remember(t, node)
        return out

    def _read(self, z) -> dict:
        """Measure what an activation reads, unless a layer's call has: mean square, and gradient to come."""
        call = getattr(self.node(z), "call", None)
        if call is not None:
            return {"read2": call["out2"], "grad_read": call["gout"]}
        found = {"read2": mean_square(z), "grad_read": {}}
        record_gradient(z, found["grad_read"])
        return found

    def _record(self, op, args, kwargs, given, parents, params, data, slopes, outs):
        for node in parents:
            if not node.data:
                params |= node.params
        node = self.add(op, parents, frozenset(params), data, self.here)
        for t in outs:
            self.remember(t, node)
        if not data:
            return
        first = outs[0]
        if slopes:
            node.act = {"name": op, **slopes}
            record_gradient(first, node.after)
            node.square = mean_square(first)
        elif (params and (op in CONTRACTIONS or op in PRODUCTS)) or op in NORMS:
            node.kind = CONTRACTIONS.get(op, "norm" if op in NORMS else "scale")
            node.dim = 1 if node.kind == "convolution" else node.dim if node.kind in ("norm", "scale") else -1
            self.tracer.measure(node, args, kwargs, given, first)
        elif op in SUMS and params and (call := _own_layer(parents)) is not None:
            bias = [t for t in given if id(t) in self.named or not getattr(self.node(t), "data", True)]
            self.tracer.add_bias(call, bias[0], first)
        elif op in SUMS and len({p.index for p in parents if p.data}) > 1:
            node.kind = "join"
            node.square = mean_square(first)
            record_gradient(first, node.after)
        if ((self.check or first.dtype == torch.float16) and not self.broken and first.is_floating_point()
                and not bool(torch.isfinite(first.detach()).all())):
            self.broken = self.here or "(the model)"
        if first.is_floating_point() and not first.requires_grad and any(
                t.requires_grad for t in given) and len(self.cuts) < 20:
            self.cuts.append(_place(op))


def _bounds(op: str, args, kwargs) -> tuple[float, float]:
    """Return the ends at which an operation cuts its input off, infinite where it does not."""
    ends = [kwargs.get(name, args[i] if len(args) > i else usual)
            for i, (name, usual) in enumerate(CUT_OFF.get(op, ()), 1)]
    low, high = (0, 6) if op == "relu6" else ends or (None, None)
    return (low if isinstance(low, (int, float)) else -math.inf,
            high if isinstance(high, (int, float)) else math.inf)


def _own_layer(parents) -> dict | None:
    """Return the layer to whose outputs alone something is added."""
    data = [p for p in parents if p.data]
    return data[0].call if len(data) == 1 and data[0].kind in ("linear", "convolution") else None


def _place(op: str) -> str:
    """Return "file:line, operation" of the caller outside of PyTorch and of this package."""
    frame = sys._getframe()
    while frame and ("torch" in frame.f_code.co_filename.split("/") or __file__ == frame.f_code.co_filename
                     or "site-packages" in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno} ({'data' if op == 'get' else op})" if frame else op
