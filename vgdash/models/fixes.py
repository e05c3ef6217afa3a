"""Write the code of fixes, in the framework of the model that was traced.

Each text runs where ``model`` (or ``weights``), ``inputs`` and ``targets`` are those that were inspected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from vgdash.models.expectation import wanted_gain
from vgdash.models.records import MULTIPLYING, Layer, Trace

FORMS = {  # of names and values, both by the framework
    "torch": ("import torch\n", """parameters = dict(model.named_parameters(remove_duplicate=False))
with torch.no_grad():
    for {item}, names in {item}s.items():
        for name in names:
            {line}
"""),
    "keras": ("import keras\n", """variables = {{variable.path: variable for variable in model.weights}}
for {item}, names in {item}s.items():
    for name in names:
        {line}
"""),
    "weights": ("import numpy as np\n", """for {item}, names in {item}s.items():
    for name in names:
        {line}
"""),
}
LINES = {
    "factor": ("parameters[name].mul_(factor)", "variables[name].assign(variables[name] * factor)",
               "weights[name] = np.asarray(weights[name]) * factor"),
    "value": ("parameters[name].fill_(value)",
              "variables[name].assign(keras.ops.full(variables[name].shape, value))",
              "weights[name] = np.full_like(weights[name], value)"),
    "std": ("torch.nn.init.normal_(parameters[name], std=std)",
            "variables[name].assign(keras.random.normal(variables[name].shape, stddev=std))",
            "weights[name] = np.random.default_rng().normal(0, std, np.shape(weights[name]))"),
}
CLOSE = 1.05  # values that differ by less are one: a sampled variance is no better known


def _rows(table: dict[str, float]) -> str:
    """Write names by their value, those of values that are nearly one together."""
    groups: dict[float, list[str]] = {}
    for name, value in table.items():
        near = (k for k in groups if k == value or (value and 1 / CLOSE < k / value < CLOSE))
        groups.setdefault(next(near, value), []).append(name)
    rows = ""
    for value, names in groups.items():
        lines = [", ".join(map(repr, names[i:i + 5])) for i in range(0, len(names), 5)]
        rows += f"    {value:.4g}: [{(',' + chr(10) + ' ' * 8).join(lines)}],\n"
    return f"{{\n{rows}}}\n"


def _loop(trace: Trace, item: str, table: dict[str, float], effect: str) -> str:
    head, loop = FORMS[trace.framework]
    line = LINES[item][tuple(FORMS).index(trace.framework)]
    return f"{head}\n{item}s = {_rows(table)}{loop.format(item=item, line=line)}# Predicted: {effect}.\n"


def _names(layers: Iterable[Layer], value: Callable[[Layer], float]) -> dict[str, float]:
    return {name: value(a) for a in layers for name in (a.weight, *a.others)}


OUTPUTS = {"torch": """
def multiply(layer, factor):
    layer.register_forward_hook(lambda module, args, output: factor * output)


for factor, paths in outputs.items():
    for path in paths:
        multiply(model.get_submodule(path), factor)
""", "keras": """
def multiply(layer, factor):
    call = layer.call
    layer.call = lambda *args, **options: factor * call(*args, **options)


for factor, paths in outputs.items():
    for path in paths:
        multiply(model.get_layer(path), factor)
"""}


def scale(trace: Trace, layers: list[Layer], factor: Callable[[Layer], float], effect: str) -> str:
    """Multiply the weights of layers by what sets their size; where nothing does, the outputs."""
    free = [replace(a, weight=a.size or a.weight) for a in layers if not a.fixed]
    outputs = {a.path: factor(a) for a in layers if a.fixed}
    code = _loop(trace, "factor", _names(free, factor), effect) if free else ""
    if not outputs:
        return code
    normalized = "# These weights are normalized before use: what comes out is multiplied, as if they were.\n"
    table = _rows(outputs)
    if "" in outputs or trace.framework not in OUTPUTS:
        table = "".join(f"# {line}\n" for line in table.splitlines())
        return f"{code}{normalized}# Multiply in the source, by path:\n{table}# Predicted: {effect}.\n"
    return f"{code}{normalized}outputs = {table}\n{OUTPUTS[trace.framework]}# Predicted: {effect}.\n"


def fill(trace: Trace, names: list[str], value: float, effect: str) -> str:
    """Set weights to a number."""
    return _loop(trace, "value", dict.fromkeys(names, value), effect)


def redraw(trace: Trace, layers: list[Layer], gain: Callable[[Layer], float] | None = None) -> str:
    """Draw weights anew, each with the variance that its activation wants."""
    def std(a: Layer) -> float:
        wanted = gain(a) if gain else wanted_gain(a.activation) if a.kind in MULTIPLYING else 1.0
        return 0.02 if a.kind == "embedding" else math.sqrt(wanted / a.fan_in)
    effect = "units differ, fan-in·Var(w) is what the activation wants, and a gradient reaches every layer"
    code = _loop(trace, "std", _names(layers, std), effect)
    if sized := [a for a in layers if (a.size or a.fixed) and 0 < a.gain < math.inf]:
        code += scale(trace, sized, lambda a: std(a) * math.sqrt(a.fan_in / a.gain), effect)
    return code


def with_bias(layer: Layer) -> Layer:
    """Let the bias be scaled with the weights, where there is one."""
    return replace(layer, others=(*layer.others, layer.bias)) if layer.bias else layer


def revive(trace: Trace, layers: list[Layer]) -> str:
    """Set the biases that hold units off to 0; where there are none, draw the weights anew."""
    biased = [a for a in layers if a.bias and a.bias2 > 0.1 * max(a.out2 - a.bias2, 0.0)]
    if biased:
        return fill(trace, [a.bias for a in biased], 0.0, "half of the units are on")
    return redraw(trace, layers)


def unsaturate(trace: Trace, layers: list[Layer]) -> str:
    """Set large biases to 0; where there are none, divide the weights by the size of their outputs."""
    biased = [a for a in layers if a.bias and a.bias2 > 0.5 * a.out2]
    if biased:
        return fill(trace, [a.bias for a in biased], 0.0, "units leave the flat ends")
    return scale(trace, [a for a in layers if a.out2 > 0], lambda a: 1 / math.sqrt(a.out2),
                 "E[z²] is 1, and units leave the flat ends")


ENTER = {"torch": """layer = model.get_submodule({path!r})
layer.register_forward_pre_hook(lambda module, args: ({changed}, *args[1:]))
""", "keras": """layer = model.get_layer({path!r})
layer.call = lambda x, *args, call=layer.call, **options: call({changed}, *args, **options)
""", "weights": "# Let {path!r} read {changed} in place of x.\n"}


def _entering(trace: Trace, layer: Layer, mean: float, size: float) -> str:
    """Subtract ``mean`` from what a layer reads, and divide it by ``size``."""
    read = "args[0]" if trace.framework == "torch" else "x"
    read = f"({read}{_minus(mean, size)})"
    return ENTER[trace.framework].format(path=layer.path, changed=f"{read} / {size:.6g}")


def _minus(mean: float, std: float) -> str:
    """Write the subtraction of a mean, or nothing if it is far below the standard deviation."""
    return "" if abs(mean) < 1e-3 * std else f" {'-' if mean > 0 else '+'} {abs(mean):.6g}"


def standardize(trace: Trace, layers: list[Layer]) -> str:
    """Bring the inputs to mean 0 and standard deviation 1; where they are changed first, what is read."""
    lines = [] if trace.uneven else ["# Mean and standard deviation of all entries; better: of each feature."]
    if any(a.source.endswith("]") for a in layers):
        lines.append("inputs = inputs.copy() if isinstance(inputs, dict) else list(inputs)")
    for a in {a.source or a.path: a for a in layers}.values():
        std = math.sqrt(max(a.in2 - a.in_mean**2, 0.0)) or 1.0
        if a.source and a.source in trace.uneven:  # where all are equal, the standard deviation is 0
            lines += [f"std = {a.source}.std(0)",
                      f"{a.source} = ({a.source} - {a.source}.mean(0)) / (std + (std == 0))"]
        else:
            lines.append(f"{a.source} = ({a.source}{_minus(a.in_mean, std)}) / {std:.6g}" if a.source
                         else _entering(trace, a, a.in_mean, std).rstrip())
    lines += ["targets = inputs"] if trace.rebuilds else []
    return "\n".join([*lines, "# Predicted: the inputs have the scale that initializers expect.", ""])


def replace_last_activation(trace: Trace, wanted: str = "linear") -> str:
    """Put another activation, or none, in the place of the one that gives the outputs."""
    effect = "# Predicted: the outputs can be what the loss compares them with.\n"
    if trace.framework == "torch" and trace.end_path:
        module = "Identity" if wanted == "linear" else wanted.capitalize()
        return (f"import torch\n\nparent, _, name = {trace.end_path!r}.rpartition('.')\n"
                f"setattr(model.get_submodule(parent), name, torch.nn.{module}())\n{effect}")
    last = next((a.path for a in reversed(trace.layers) if a.last), "")
    if trace.framework == "keras":
        return f"import keras\n\nmodel.get_layer({last!r}).activation = keras.activations.{wanted}\n{effect}"
    return f"# In the source, after {last}, put {wanted} in the place of {trace.ends_in}.\n"


def match_shape() -> str:
    """Give targets the outputs' shape."""
    return ("targets = targets.reshape(model(inputs).shape)\n"
            "# Predicted: each output is compared with its own target.\n")


REGISTER = '''import torch

for module in list(model.modules()):
    for name, value in list(vars(module).items()):
        if isinstance(value, (list, tuple)) and any(isinstance(part, torch.nn.Module) for part in value):
            setattr(module, name, torch.nn.ModuleList(value))
        elif isinstance(value, dict) and not name.startswith("_") and any(
                isinstance(part, torch.nn.Module) for part in value.values()):
            setattr(module, name, torch.nn.ModuleDict(value))
# Predicted: model.parameters() has them all; make the optimizer anew.
'''


def standardize_targets(mean: float, std: float) -> str:
    """Bring targets to mean 0 and standard deviation 1."""
    return (f"mean, std = {mean:.6g}, {std:.6g}\ntargets = (targets - mean) / std\n"
            "# Predicted: the first loss is that of guessing. Answers are outputs * std + mean.\n")


def divide(trace: Trace, leaps: list[tuple[Layer, float]]) -> str:
    """Divide what layers read, each by the root of its number."""
    summed = any(leap > 1 for _, leap in leaps)
    better = "take the mean of what is summed, or divide by the root of its number" if summed else (
        "leave the factor out")
    return (f"# Better: {better}.\n"
            + "".join(_entering(trace, a, 0.0, math.sqrt(leap)) for a, leap in leaps)
            + "# Predicted: the layers read numbers as large as those before them.\n")


def wider(trace: Trace) -> str:
    """Change to a format with the range of float32."""
    effect = "# Predicted: nothing overflows or rounds to 0; bfloat16 has the range of float32, 3.4·10³⁸.\n"
    if trace.format != "float16":
        return f"import torch\n\ndtype = torch.bfloat16  # for torch.autocast, instead of float16\n{effect}"
    return f"import torch\n\nmodel.bfloat16()\ninputs = inputs.bfloat16()\n{effect}"


ATTACH = '''import types

import torch
from torch.overrides import TorchFunctionMode

CUTS = torch.Tensor.data.__get__, torch.Tensor.detach, torch.detach
STEPS = {getattr(where, name) for where in (torch, torch.Tensor) for name in ("round", "floor", "sign")}


class Attached(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in CUTS:
            return args[0]
        if function is torch.Tensor.numpy:  # nothing leads back from NumPy
            return args[0].data.numpy()
        with torch.enable_grad():
            found = function(*args, **(kwargs or {}))
            return args[0] + (found - args[0]).detach() if function in STEPS else found


def forward(self, *args, **kwargs):
    with Attached():
        return type(self).forward(self, *args, **kwargs)


model.forward = types.MethodType(forward, model)
'''


def attach(trace: Trace) -> str:
    """Let gradients through ``.data``, ``.detach()``, ``no_grad`` and rounding until the source changes."""
    better = f"# Better: change the source, {trace.cuts[0]}.\n" if trace.cuts else ""
    found = trace.cuts or not any(a.gradient == "none" for a in trace.layers)
    effect = ("# Predicted: a gradient reaches all layers that require one.\n" if found else
              "# A comparison, argmax and NumPy stay without a slope: put a smooth function there.\n")
    code = ATTACH if trace.framework == "torch" else "# Remove stop_gradient from the source.\n"
    return code + better + effect


SKIPS = {"torch": '''

def skip(first, last):
    kept = []
    first.register_forward_pre_hook(lambda module, args: kept.append(args[0]))
    last.register_forward_hook(lambda module, args, output: kept.pop() + scale * output)


for first, last in pairs:
    skip(model.get_submodule(first), model.get_submodule(last))
''', "keras": '''

def skip(first, last):
    kept, begin, end = [], first.call, last.call
    first.call = lambda x, *args, **options: kept.append(x) or begin(x, *args, **options)
    last.call = lambda x, *args, **options: kept.pop() + scale * end(x, *args, **options)


for first, last in pairs:
    skip(model.get_layer(first), model.get_layer(last))
'''}


def skips(trace: Trace, layers: list[Layer]) -> str:
    """Add a skip around each layer and its normalization, with branches of 1/√(their number)."""
    pairs, order = [], {a.path: i for i, a in enumerate(trace.layers)}
    for a in layers:
        after = trace.layers[order[a.path] + 1: a.next if a.next > order[a.path] else None]
        norm = next((b.path for b in after if b.kind in ("norm", "scale")), "")
        if norm and a.fan_in == a.fan_out:
            pairs.append((a.path, norm))
    rows = "".join(f"    {pair!r},\n" for pair in pairs)
    table = f"scale = {max(len(pairs), 1)} ** -0.5\npairs = [\n{rows}]\n"
    effect = "# Predicted: the gradient's square grows by e or less in all, instead of at every layer.\n"
    return table + SKIPS.get(trace.framework, "# Compute x + scale * branch(x) around each pair.\n") + effect
