"""Trace one forward and one backward pass of a PyTorch module, and leave everything as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields, replace

import torch
from torch.nn.modules import module as hooks

from vgdash.models.records import MATRICES, NAN, Layer, Trace
from vgdash.models.torch_call import arguments, as_tensors, unchanged, unwrapped
from vgdash.models.torch_graph import Recorder, tensors
from vgdash.models.torch_links import Links, linked
from vgdash.models.torch_loss import compared, losses
from vgdash.models.torch_measure import (
    close,
    cosines,
    elasticities,
    have_unlike_scales,
    mean_of,
    mean_square,
    operation_without_slope,
    ratios_between,
    record_gradient,
    sizes,
    square,
    weights_of,
)
from vgdash.params import ParamError

GATES = {"lstm": 4, "lstm_cell": 4, "gru": 3, "gru_cell": 3}  # stacked in the rows of one matrix
MOST_CALLS = 32  # of one weight that are measured: a loop over time has hundreds


def trace(model, inputs, targets=None, loss=None, rate: float = 0.01, formats=()) -> Trace:
    """Measure ``model`` at its present weights. Nothing of it changes."""
    if isinstance(inputs, torch.utils.data.DataLoader):
        raise ParamError("inputs", "one batch of what the model is called with", "a DataLoader",
                         "Give inputs and targets of next(iter(loader)).")
    if not isinstance(unwrapped(model), torch.nn.Module):
        raise ParamError("model", "a torch.nn.Module", type(model).__name__, "Give the module itself.")
    inputs, targets = as_tensors(model, inputs), as_tensors(model, targets)
    return measured(Tracer(unwrapped(model), formats), inputs, targets, loss, rate)


def measured(tracer: Tracer, inputs, targets, loss, rate: float) -> Trace:
    """Run a tracer's forward and backward pass, and leave its model as it was."""
    if any(p.is_meta for p in tracer.model.parameters()):
        raise ParamError("model", "a module whose weights exist", "weights on the meta device",
                         "Give them numbers: model.to_empty(device='cpu'), then initialize.")
    if any(isinstance(p, torch.nn.parameter.UninitializedParameter) for p in tracer.model.parameters()):
        raise ParamError("model", "a module whose weights exist", "lazy layers", "Call it once with a batch.")
    stance = getattr(torch.compiler, "set_stance", None)  # compiled parts run as they were written
    eager = stance("force_eager") if stance else nullcontext()
    with unchanged(tracer.model), eager, torch.inference_mode(False), torch.enable_grad():
        outputs = tracer.forward(inputs)
        if not tracer.calls:
            instead = ("Keep its layers in torch.nn.ModuleList." if tracer.recorder.unregistered else
                       "Inspect the module that has the layers.")
            raise ParamError("model", "a module that computes with weights of its own",
                             type(tracer.model).__name__, instead)
        return tracer.backward(outputs, targets, loss, rate)


class Tracer:
    """Measurements of the calls of one model, in order of use."""

    framework = "torch"

    def __init__(self, model, formats):
        self.model, self.formats = model, formats
        self.parameters = {id(p): p for p in model.parameters()}
        self.types = {p.dtype for p in self.parameters.values()}
        half = torch.float16 in self.types
        self.calls: list[dict] = []
        self.count: dict[str, int] = {}
        self.recorder = Recorder(model, self, half)
        self.tiny = "float16" in formats

    def forward(self, inputs):
        """Run the model and record its operations."""
        recorder, self.inputs, self.uneven = self.recorder, inputs, []
        parts = ({f"inputs[{k!r}]": v for k, v in inputs.items()} if isinstance(inputs, Mapping) else
                 {f"inputs[{i}]": v for i, v in enumerate(inputs)} if isinstance(inputs, (list, tuple)) else
                 {"inputs": inputs})
        given = list(tensors(inputs))
        if given and not any(t.numel() for t in given):
            raise ParamError("inputs", "a batch of at least one example", "none", "Give one batch of data.")
        for name, part in parts.items():
            for t in tensors(part):
                node = recorder.add("input", [], frozenset(), True, name)
                node.square = mean_square(t)
                self.uneven += [name] if have_unlike_scales(t) else []
                recorder.remember(t, node)
        handles = (hooks.register_module_forward_pre_hook(recorder.enter),
                   hooks.register_module_forward_hook(recorder.leave))
        try:
            with recorder:
                args, named = self.given = self.arguments(inputs)
                outputs = self.outputs = self.model(*args, **named)
        except TypeError as error:
            if not (isinstance(inputs, (list, tuple)) and args and args[0] is inputs):
                raise
            raise ParamError("inputs", "what the model is called with", f"{len(inputs)} things in one",
                             "Give the targets apart: inspect(model, inputs, targets).") from error
        finally:
            for handle in handles:
                handle.remove()
        return outputs

    # ---- one layer

    def measure(self, node, args, kwargs, given, out) -> None:
        """Measure one call of a layer, forward; its gradients come with the backward pass."""
        recorder, kind = self.recorder, node.kind
        weights, bias, source = [], [], None
        mixed = args[:3] if node.op == "multi_head_attention_forward" else ()  # queries may be parameters
        for t in given:
            own = recorder.node(t)
            if any(t is other for other in mixed) and not (own is not None and own.data):
                continue
            if id(t) in recorder.named or (own is not None and not own.data and own.params):
                (weights if t.dim() > 1 or (kind in ("norm", "scale") and not weights) else bias).append(t)
            elif source is None and own is not None and own.data:
                source = t
        if kind == "norm" and not weights:
            weights = [torch.ones(1)]
        if kind in MATRICES and (not weights or self.is_mixing(node, args, weights)):
            node.kind = ""
            return
        own = [p for p in node.params
               if any(self.parameters[p].data_ptr() == w.data_ptr() for w in weights)]
        made = dict.fromkeys(p for w in weights if (n := recorder.node(w)) is not None for p in n.params)
        size, fixed = ("", False) if own or not made else self.find_scale(weights[0], made)
        own = own or sorted(made or node.params, key=lambda p: -self.parameters[p].numel())
        name = self.matrix_name(own) if own else ""
        path = self.module_path(name) if name else recorder.here
        self.count[name] = self.count.get(name, 0) + 1
        if name and self.count[name] > MOST_CALLS:
            return
        found = {"node": node, "path": path, "weight": name, "kind": kind, "params": node.params, "own": own,
                 "others": tuple(self.recorder.named[p][0] for p in own if kind in ("recurrent", "attention")
                                 and self.parameters[p].dim() > 1 and self.recorder.named[p][0] != name),
                 "size": size, "fixed": fixed, "gin": self.gradient_record(), "gout": self.gradient_record()}
        found.update(weights_of(kind, node.op, weights, bias, args, out, source))
        found["bias"] = self.parameter_name(bias[0]) if bias else ""
        if kind == "norm":
            training = kwargs.get("training", args[5] if len(args) > 5 else False)
            stale = node.op == "batch_norm" and not training
            scale2, out2 = mean_square(weights[0]), mean_square(out) - found["bias2"]
            found["divides"] = not stale or (scale2 > 0 and 0.25 < out2 / scale2 < 4)
        if source is not None and source.is_floating_point():
            found.update(sizes("in", source))
            record_gradient(source, found["gin"])
        found.update(sizes("out", out))
        if kind in MATRICES:
            found.update(cosines(out.detach(), node.dim))
        record_gradient(out, found["gout"])
        node.call = found
        self.calls.append(found)

    def is_mixing(self, node, args, weights) -> bool:
        """Test if a product mixes data: its weights are made of inputs, or a layer gives them, as queries."""
        if node.kind == "convolution" or node.op == "linear":
            return bool(args) and args[0] is weights[0]
        waiting = [n for w in weights if id(w) not in self.recorder.named and (n := self.recorder.node(w))]
        while waiting and waiting[-1].op != "linear":
            waiting += waiting.pop().parents
        return bool(waiting)

    def find_scale(self, w, made) -> tuple[str, bool]:
        """Name the parameter that multiplies ``w``, "" if it is the largest; test if none of them does."""
        parts = {p: self.parameters[p] for p in made}
        found = elasticities(w, parts)
        largest = max(parts, key=lambda p: parts[p].numel())
        best = max(found, key=found.__getitem__, default=largest)
        if found.get(largest, 1.0) > 0.5:
            return "", False
        return ("", True) if found[best] < 0.1 else (self.recorder.named[best][0], False)

    def add_bias(self, found: dict, bias, out) -> None:
        """Measure the outputs of a layer whose bias is added by an operation of its own."""
        found.update(sizes("out", out), bias2=mean_square(bias), bias_mean=mean_of(bias),
                     bias=self.parameter_name(bias), gout=self.gradient_record(), **cosines(out.detach(), -1))
        record_gradient(out, found["gout"])

    def arguments(self, inputs) -> tuple[tuple, dict]:
        """Return what the model is called with."""
        return arguments(self.model, inputs)

    def module_path(self, name: str) -> str:
        """Return the path of the module that owns a parameter."""
        return name.rpartition(".")[0].split(".parametrizations")[0]

    def gradient_record(self) -> dict:
        return {"tiny": 0} if self.tiny else {}

    def parameter_name(self, t) -> str:
        """Name a parameter, or the one that a tensor comes from."""
        node = self.recorder.node(t)
        keys = (id(t),) if id(t) in self.recorder.named or node is None else tuple(node.params)
        return next((self.recorder.named[key][0] for key in keys), "")

    def matrix_name(self, own) -> str:
        """Name the first own matrix: the name under the module that runs, where it has several."""
        names = self.recorder.named[max(own, key=lambda p: self.parameters[p].dim())]
        here = self.recorder.here
        return next((n for n in names if n.rpartition(".")[0] == here), names[0])

    # ---- backward

    def backward(self, outputs, targets, loss, rate) -> Trace:
        """Take the gradients, and put everything together."""
        value, guess = losses(self.recorder, outputs, targets, loss)

        def again(found):
            return losses(self.recorder, found, targets, loss)[0]

        asked = targets is not None or loss is not None
        used = {p: self.parameters[p] for c in self.calls for p in c["params"]}
        learning = {p: t for p, t in used.items() if t.requires_grad}
        grads = dict.fromkeys(learning)
        shrunk, half, learns = NAN, torch.float16 in self.types, value.requires_grad and bool(learning)
        if learns:
            taken = torch.autograd.grad(value, list(learning.values()), allow_unused=True,
                                        retain_graph=half or bool(self.recorder.unregistered))
            taken = [g.coalesce().values() if g is not None and g.is_sparse else g for g in taken]
            grads = dict(zip(learning, taken, strict=True))
        self.take_two_steps(grads, learning, again)
        links = Links(self.recorder.nodes, self.calls)
        returned = {node.index: t for t in tensors(outputs)
                    if (node := self.recorder.node(t)) is not None and t.is_floating_point()}
        if any(g is not None for g in grads.values()) or not asked:  # else the path ends in the loss
            links.leave_unread(returned)
        ends = {index: mean_square(t) for index, t in returned.items() if t.dim()}  # a loss is no output
        most = max((square(g) for g in grads.values() if g is not None), default=0.0)
        layers = [self.layer(c, links, ends, grads, used, rate, most) for c in self.calls]
        layers, joins = linked(self.calls, layers, links)
        layers = [replace(a, calls=self.count.get(a.weight, 1)) for a in layers]
        if self.tiny:
            entries = sum(c["gout"].get("entries", 0) for c in self.calls)
            shrunk = sum(c["gout"].get("tiny", 0) for c in self.calls) / entries if entries else NAN
        elif half and learns:  # a second pass, after what the first has measured
            shrunk = self.rounded_away(value, learning, grads)
        no_slope = ""
        if math.isfinite(value.detach()) and not math.isfinite(most):
            no_slope = operation_without_slope(lambda: again(self.run_with({}, *self.given)),
                                               list(learning.values()))
        outs = [t for t in tensors(outputs) if t.is_floating_point() and t.dim()]
        kinds = [str(t).removeprefix("torch.") for t in self.types if t.is_floating_point]
        return Trace(
            self.framework, tuple(layers), tuple(joins), min(kinds, key=len, default="float32"),
            float(value.detach()), guess, mean_square(outs[0]) if outs else NAN, rate=rate,
            broken=self.recorder.broken, cuts=tuple(dict.fromkeys(self.recorder.cuts)), shrunk=shrunk,
            formats=tuple(self.formats), unregistered=self.unregistered(value), uneven=tuple(self.uneven),
            no_slope=no_slope,
            **compared(self, outputs, targets, loss, guess))

    def take_two_steps(self, grads, learning, value_of) -> None:
        """Take two small steps on copies: do weights of 0 without a gradient get one, and do rows part?"""
        def is_zero(g):
            return g is not None and not bool(g.any())

        waiting = [c for c in self.calls if c["kind"] in MATRICES and c["zero"]
                   and c["own"] and all(is_zero(grads.get(p)) for p in c["own"])]
        if not waiting:
            return
        moved, now = {p: t.detach().clone() for p, t in learning.items()}, grads
        args, named = self.given
        for _ in range(2):
            for p, g in now.items():
                if g is not None and bool(g.any()) and bool(torch.isfinite(g).all()):
                    moved[p] -= 0.01 * g / g.abs().max()
            leaves = {p: t.detach().requires_grad_() for p, t in moved.items()}
            value = value_of(self.run_with(leaves, args, named))
            taken = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
            now = dict(zip(leaves, taken, strict=True))
        for c in waiting:
            c["stuck"] = all(is_zero(now.get(p)) for p in c["own"])
            c["again"] = [now[p] for p in c["own"] if now.get(p) is not None]

    def unregistered(self, value) -> tuple[str, ...]:
        """List the modules that use parameters of none of the model's modules, which the loss depends on."""
        hidden = self.recorder.unregistered
        if not hidden or not value.requires_grad:
            return ()
        taken = torch.autograd.grad(value, [t for t, _ in hidden.values()], allow_unused=True)
        return tuple(dict.fromkeys(path for (_, path), g in zip(hidden.values(), taken, strict=True)
                                   if g is not None and bool(g.any())))

    def run_with(self, leaves, args, named):
        """Run the model with other values in the place of its parameters."""
        swap = {name: leaves[p] for p in leaves for name in self.recorder.named[p]}
        return torch.func.functional_call(self.model, swap, args, named)

    def rounded_away(self, value, learning, grads) -> float:
        """Return the share of the gradient's squares that loss scaling brings back: 0 if nothing was lost."""
        scale = 2.0**12
        scaled = torch.autograd.grad(value, list(learning.values()), torch.full_like(value, scale),
                                     allow_unused=True)
        whole = sum(square(g) / scale**2 for g in scaled if g is not None)
        kept = sum(square(g) for g in grads.values() if g is not None)
        return 1 - kept / whole if whole and math.isfinite(whole) else NAN

    def layer(self, c, links, ends, grads, used, rate, most) -> Layer:
        """Put a call's measurements into a record."""
        own = [p for p in c["own"] if p in used]
        taken = [grads[p] for p in own if grads.get(p) is not None]
        asked = [p for p in own if used[p].requires_grad]
        total = sum(square(g) for g in taken)
        count = sum(g.numel() for g in taken)
        unread = bool(links.unread >> c["node"].index & 1)
        state = ("unknown" if not own else "frozen" if not asked else
                 "unknown" if unread and not taken else "none" if len(taken) < len(asked)
                 else "not finite" if not math.isfinite(total)
                 else "zero" if total == 0 and not any(bool(g.any()) for g in taken) else "reaches")
        seen = c.get("again", taken)
        seen = [g.movedim(c["axis"], 0).chunk(GATES.get(c["node"].op, 1)) for g in seen
                if g.dim() > max(c["axis"], 1)]  # what is made of a parameter may have more axes
        same = c["same"] and bool(seen) and ((total < 1e-12 * most and not c["zero"]) or all(
            close(g, 1e-4 * float(g.abs().max())) for gates in seen for g in gates))
        follow = links.follow(c["node"])
        act = follow.get("act", {})
        shares = ("off", "dead", "saturated", "units") if not follow["passed"] else ()
        grad2 = total / count if count else NAN
        after = act.get("after", {}).get("square", NAN)
        following = follow.get("call")
        if following is not None:
            after = following["gin"].get("square", after)
        output2 = ends.get(follow["end"].index, NAN) if "end" in follow else NAN
        whole, gated = follow["join"].square if "join" in follow else NAN, links.gated(c["node"])
        after2 = following.get("in2", NAN) if following else act.get("square", c["out2"])
        grad_out = c["gout"].get("square", NAN)
        factors = ratios_between(act, c["out2"], after2, grad_out, after)
        return Layer(
            **{f.name: c[f.name] for f in fields(Layer) if f.name in c}, after2=after2, output2=output2,
            share=c["out2"] / whole if whole and whole > 0 else NAN,
            activation=act.get("name", ""), **{k: act[k] for k in shares if k in act},
            grad_in=c["gin"].get("square", NAN), grad_out=grad_out, grad_after=after, **factors,
            grad_out2=c["gout"]["square"] / c["gout"]["entries"] if "square" in c["gout"] else NAN,
            grad_weight2=grad2, update=rate * math.sqrt(grad2 / c["weight2"]) if c["weight2"] else NAN,
            first=links.reads_input(c["node"]), source=links.source(c["node"], c.get("in2", NAN)),
            last=links.is_last(c["node"]), bypassed=gated or links.bypassed(c["node"]),
            normalized=gated or follow.get("norm", False),
            identical=same, gradient=state)
