"""Write a typed formula as source text for NumPy, PyTorch, Keras, JAX and TensorFlow."""

from __future__ import annotations

import re
from functools import partial

from vgdash.activations import Activation
from vgdash.formula import COMPARE, ORDER, PAIRS, fold, spell_operation

FRAMEWORKS = ("numpy", "pytorch", "keras", "jax", "tensorflow")
MODULES = dict(zip(FRAMEWORKS, ("np", "torch", "keras.ops", "jnp", "tf"), strict=True))
OTHERWISE = {  # calls that are not module.name(u)
    ("numpy", "atan"): "np.arctan({})", ("keras", "atan"): "keras.ops.arctan({})",
    ("jax", "atan"): "jnp.arctan({})", ("numpy", "erf"): "np.vectorize(math.erf)({})",
    ("jax", "erf"): "jax.lax.erf({})",
    **{("tensorflow", name): f"tf.math.{name}({{}})" for name in ("log", "log1p", "expm1", "erf")},
    ("numpy", "leaky_relu"): "np.where({0} > 0, {0}, {1} * ({0}))",
    ("numpy", "elu"): "np.where({0} > 0, {0}, {1} * np.expm1(np.minimum({0}, 0)))",
    ("tensorflow", "elu"): "tf.where({0} > 0, {0}, {1} * tf.math.expm1(tf.minimum({0}, 0.0)))",
    **{("pytorch", name): f"nn.functional.{name}({{}}, {{}})" for name in ("leaky_relu", "elu")},
    **{("jax", name): f"jax.nn.{name}({{}}, {{}})" for name in ("leaky_relu", "elu")},
    ("tensorflow", "leaky_relu"): "tf.nn.leaky_relu({}, {})",
}


def formula_source(tree: tuple, framework: str) -> str:
    """Return an expression in z."""
    return _write(fold(tree), framework)


def _write(node: tuple, framework: str) -> str:
    op, *parts = node
    write, module = partial(_write, framework=framework), MODULES[framework]
    if op == "z":
        return op
    if op == "number":
        return repr(parts[0])
    if op in ORDER:
        return spell_operation(node, write, " ")
    if op == "call":
        return _call(parts[0], write(parts[1]), framework)
    texts = [write(part) for part in parts]
    if op in COMPARE:
        return f" {op} ".join(texts)
    if op in PAIRS:
        numbers = [part[0] == "number" for part in parts]
        if framework == "pytorch" and any(numbers):  # torch.maximum takes tensors only
            bound = "min" if op == "max" else "max"
            return f"torch.clamp({texts[numbers.index(False)]}, {bound}={texts[numbers.index(True)]})"
        return f"{module}.{op}imum({', '.join(texts)})"
    return OTHERWISE.get((framework, op), f"{module}.{op}({', '.join('{}' for _ in texts)})").format(*texts)


def _call(record: Activation, u: str, framework: str) -> str:
    """Write a named activation of ``u``."""
    if record.name == "linear":
        return f"({u})"
    code = record.code[FRAMEWORKS.index(framework)]
    if framework in ("numpy", "jax", "tensorflow"):
        whole = code if code.startswith(("np.", "jax.", "jnp.", "tf.")) else f"({code})"

        def argument(z: re.Match) -> str:
            alone = whole[z.start() - 1] == "(" and whole[z.end()] in ",)"
            return u if alone or u == "z" else f"({u})"
        return re.sub(r"\bz\b", argument, whole)
    if framework == "keras" and code.startswith('"'):
        return f"keras.activations.{record.name}({u})"
    if framework == "pytorch" and record.name in ("tanh", "sigmoid"):
        return f"torch.{record.name}({u})"
    return f"{code}({u})" if framework == "pytorch" else f"({code})({u})"
