"""Formulas over z that a user types: read, spelled, and computed together with their slope.

``z*sigmoid(1.702*z)``, ``where(z>0,z,5*z)``, ``sin(30*z)``: numbers, pi, e, z, + - * / **, ``FUNCTIONS``,
``PAIRS``, where, and named activations. The text goes through Python's parser, but only the nodes that
``_Reader`` knows are taken over, and nothing runs as Python. The slope is computed forward beside the value
(dual numbers), in the floating type of z.

A tree is a tuple of an operator and its operands: ``("*", ("z",), ("number", 2.0))``.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

OVER = 40.0  # |z| beyond which an infinite slope is an overflow
LONGEST, DEEPEST, MOST_NODES, POWER = 200, 24, 80, 8.0  # characters, levels, nodes, exponent
Z = ("z",)
CONSTANTS = {"pi": math.pi, "e": math.e}
BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
COMPARISONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
WITH_NUMBER = {"leaky_relu": 0.01, "elu": 1.0}  # slope left of 0 and α, the second operand
ORDER = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}  # what binds closer has the larger number


class Misread(ValueError):
    """Refusal of a formula: what is wrong, in which column, and what to do instead."""


@cache
def _erf_series() -> tuple[np.polynomial.Polynomial, np.polynomial.Chebyshev]:
    """Return erf(x)/x as a series in x² up to x = 0.5, and e^(x²) erfc(x) as one in 2/(2 + x) up to x = 6."""
    near = [2 / math.sqrt(math.pi) * (-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(12)]

    def far(t: np.ndarray) -> np.ndarray:
        return np.array([math.erfc(x) * math.exp(x * x) for x in (2 / t - 2).tolist()])
    return (np.polynomial.Polynomial(near),
            np.polynomial.Chebyshev.interpolate(far, 26, domain=[0.25, 1]))


def _erf(u):
    u, (near, far) = np.asarray(u), _erf_series()
    size = np.minimum(np.abs(u), 6).astype(np.float64)
    tail = far(2 / (2 + size)) * np.exp(-size * size)
    return np.where(size < 0.5, u * near(np.minimum(size, 0.5) ** 2), np.sign(u) * (1 - tail)).astype(u.dtype)


FUNCTIONS: dict[str, tuple[Callable, Callable]] = {  # value of u; slope of u and that value
    "exp": (np.exp, lambda u, v: v),
    "log": (np.log, lambda u, v: 1 / u),
    "log1p": (np.log1p, lambda u, v: 1 / (1 + u)),
    "expm1": (np.expm1, lambda u, v: v + 1),
    "sqrt": (np.sqrt, lambda u, v: 0.5 / v),
    "abs": (np.abs, lambda u, v: np.where(u > 0, 1.0, -1.0).astype(u.dtype)),
    "sign": (np.sign, lambda u, v: 0.0),
    "sin": (np.sin, lambda u, v: np.cos(u)),
    "cos": (np.cos, lambda u, v: -np.sin(u)),
    "atan": (np.arctan, lambda u, v: 1 / (1 + u * u)),
    "erf": (_erf, lambda u, v: 2 / math.sqrt(math.pi) * np.exp(-u * u)),
}
PAIRS = {"max": np.maximum, "min": np.minimum}


# ---- read

def read(text: str, named: Mapping[str, Any]) -> tuple:
    """Return the tree of a formula; ``named`` maps further functions to records with ``f`` and ``df``.

    Raises ``Misread`` for anything but a formula over z.
    """
    plain = " ".join(text.split())
    if len(plain) > LONGEST:
        raise Misread(f"A formula has at most {LONGEST} characters; this one has {len(plain):,}.")
    for column, sign in enumerate(plain, 1):
        if not (sign.isascii() and sign.isprintable()):
            raise Misread(f"Column {column}: write plain letters, digits and signs.")
    try:
        tree = ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        raise Misread(f"Column {error.offset or len(plain) + 1}: this is not a formula. Check the "
                      "brackets, and that every product has its sign.") from None
    except (ValueError, MemoryError, RecursionError):
        raise Misread("The brackets are nested too deeply.") from None
    count = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    if count > MOST_NODES:
        raise Misread(f"A formula has at most {MOST_NODES} numbers and signs; this one has {count}.")
    found = _Reader(named).node(tree)
    if is_constant(found):
        raise Misread("A formula must depend on z, such as `z*sigmoid(1.702*z)`.")
    return found


class _Reader:
    def __init__(self, named: Mapping[str, Any]):
        self.named = named

    def node(self, node: ast.expr, level: int = 1) -> tuple:
        """Return the tree of one node of Python's tree."""
        if level > DEEPEST:
            raise _misread(node, "the brackets are nested too deeply.")
        read = partial(self.node, level=level + 1)
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                found = ("number", float(value) if abs(value) < 1e300 else math.inf)
            case ast.Name(id="z"):
                return Z
            case ast.Name(id=name):
                if name not in CONSTANTS:
                    raise _misread(node, f"`{name[:20]}` is not known. The variable is z.")
                return (name,)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                found = ("neg", read(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return read(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                found = (BINARY[type(op)], read(left), read(right))
                power = number(found[2]) if found[0] == "**" and is_constant(found[2]) else math.nan
                if found[0] == "**" and not abs(power) <= POWER:
                    raise _misread(right, f"a power is a number from -{POWER:g} to {POWER:g}.")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                found = self.call(node, name, args, read)
            case _:
                raise _misread(node, "only numbers, z, `+ - * / **` and functions can stand here.")
        if is_constant(found) and not math.isfinite(number(found)):
            raise _misread(node, "this is not a finite number.")
        return found

    def call(self, node: ast.Call, name: str, args: list[ast.expr], read: Callable) -> tuple:
        """Return the tree of a call of a function."""
        if name == "where":
            match args:
                case [ast.Compare(left=left, ops=[op], comparators=[right]), a, b] if type(op) in COMPARISONS:
                    return ("where", (COMPARISONS[type(op)], read(left), read(right)), read(a), read(b))
            raise _misread(node, "write `where(z>0, a, b)`, with one comparison and two values.")
        if name not in (known := {*FUNCTIONS, *PAIRS, *self.named}):
            raise _misread(node, f"`{name[:20]}` is not a known function. Known are "
                                 f"`{' '.join(sorted(known | {'where'}))}`.")
        inner, wanted = [read(arg) for arg in args], 2 if name in PAIRS else 1
        if name in WITH_NUMBER and len(inner) == 1 and is_constant(inner[0]):
            inner = [Z, *inner]
        if name in WITH_NUMBER and len(inner) == 2 and is_constant(inner[1]):
            if number(inner[1]) != WITH_NUMBER[name]:
                return (name, *inner)
            inner = inner[:1]
        if len(inner) != wanted:
            raise _misread(node, f"`{name}` takes {wanted} value{'s' * (wanted > 1)}.")
        return ("call", self.named[name], *inner) if name in self.named else (name, *inner)


def _misread(node: ast.expr, said: str) -> Misread:
    return Misread(f"Column {node.col_offset + 1}: {said}")


def is_constant(node: tuple) -> bool:
    """Test if a tree does not depend on z."""
    return node != Z and all(is_constant(part) for part in node[1:] if isinstance(part, tuple))


def number(node: tuple) -> float:
    """Return the value of a constant tree; nan or inf where it has none."""
    with np.errstate(all="ignore"):
        return float(_forward(node, np.zeros(()), 0.0)[0])


def fold(node: tuple) -> tuple:
    """Return a tree with its constant parts as numbers."""
    if is_constant(node) and node[0] not in COMPARE:
        return ("number", number(node))
    return tuple(fold(part) if isinstance(part, tuple) else part for part in node)


# ---- compute

def compiled(tree: tuple) -> tuple[Callable, Callable]:
    """Return ``value(z, out)`` and ``slope(z, out)`` of a tree, as in ``Activation``."""
    folded = _soften(fold(tree))

    def value(z, out):
        with np.errstate(all="ignore"):
            out[...] = _forward(folded, z, 0.0)[0]
        return out

    def slope(z, out):
        with np.errstate(all="ignore"):
            out[...] = _forward(folded, z, 1.0)[1]
            if not np.isfinite(out.sum()):  # 0·inf: exp overflows, and a quotient or tanh has absorbed it
                absorbed = np.isnan(out) | (np.isinf(out) & (np.abs(z) > OVER))
                np.copyto(out, 0, where=absorbed & np.isfinite(z))
        return out

    return value, slope


def _soften(node: tuple) -> tuple:
    """Write ln(1 + e^u) as softplus, which does not overflow."""
    node = tuple(_soften(part) if isinstance(part, tuple) else part for part in node)
    match node:
        case (("log", ("+", ("number", 1.0), ("exp", u))) | ("log", ("+", ("exp", u), ("number", 1.0)))
              | ("log1p", ("exp", u))):
            return ("softplus", u)
    return node


def _forward(node: tuple, z: np.ndarray, seed: float) -> tuple[Any, Any]:
    """Return value and slope of a tree at z, arrays or floats; ``seed`` is 1, or 0 if no slope is wanted."""
    op, *parts = node
    if op == "z":
        return z, seed
    if op == "number" or op in CONSTANTS:
        return CONSTANTS.get(op) or parts[0], 0.0
    if op == "where":
        (sign, *sides), *parts = parts
        left, right = (_forward(side, z, 0.0)[0] for side in sides)
        (a, da), (b, db) = (_forward(part, z, seed) for part in parts)
        chosen = COMPARE[sign](left, right)
        return _select(chosen, a, b, z), 0.0 if _nil(da) and _nil(db) else _select(chosen, da, db, z)
    if op == "call":
        record, part = parts
        u, du = _forward(part, z, seed)
        return record.f(u), 0.0 if _nil(du) else _product(record.df(u), du)
    (u, du), *rest = (_forward(part, z, seed) for part in parts)
    if rest:
        return _two(op, u, du, *rest[0], z)
    if op == "neg":
        return -u, -du
    if op == "softplus":
        small = np.exp(-np.abs(u))
        gate = 0.0 if _nil(du) else _select(u > 0, 1.0, small, z) / (1 + small)
        return np.log1p(small) + np.maximum(u, 0), _product(gate, du)
    f, df = FUNCTIONS[op]
    value = f(u)
    return value, 0.0 if _nil(du) else _product(df(u, value), du)


def _two(op: str, u: Any, du: Any, v: Any, dv: Any, z: np.ndarray) -> tuple[Any, Any]:
    """Return value and slope of an operator of two parts."""
    flat = _nil(du) and _nil(dv)
    if op == "+":
        return u + v, _total(du, dv)
    if op == "-":
        return u - v, _total(du, -dv)
    if op == "*":
        return u * v, _total(_product(v, du), _product(u, dv))
    if op == "/":
        value = np.divide(u, v)
        return value, 0.0 if flat else _total(du, -_product(value, dv)) / v
    if op == "**":
        value = u * u if v == 2 else np.power(u, v)
        return value, 0.0 if flat else _product(v * (u if v == 2 else np.power(u, v - 1)), du)
    if op == "leaky_relu":
        slope = 0.0 if flat else _product((u > 0) * z.dtype.type(1 - v) + v, du)
        return (np.maximum if v <= 1 else np.minimum)(u, v * u), slope
    if op == "elu":
        left = v * np.expm1(np.minimum(u, 0))
        slope = 0.0 if flat else _product(_select(u > 0, 1.0, left + v, z), du)
        return _select(u > 0, u, left, z), slope
    value = PAIRS[op](u, v)
    if flat:
        return value, 0.0
    tie = np.minimum(du, dv) if op == "max" else np.maximum(du, dv)  # there, the slope of the left side
    first, second = value != v, value != u
    if isinstance(du, float) and isinstance(dv, float):  # three times as fast
        return value, first * z.dtype.type(du - tie) + second * z.dtype.type(dv - tie) + z.dtype.type(tie)
    return value, _select(first, du, _select(second, dv, tie, z), z)


def _select(test: Any, a: Any, b: Any, z: np.ndarray) -> np.ndarray:
    return np.where(test, a, b).astype(z.dtype, copy=False)


def _nil(slope: Any) -> bool:
    return isinstance(slope, float) and slope == 0


def _product(a: Any, slope: Any) -> Any:
    if isinstance(slope, float) and slope in (0.0, 1.0):
        return a if slope else 0.0
    return a * slope


def _total(a: Any, b: Any) -> Any:
    return b if _nil(a) else a if _nil(b) else a + b


def switches(node: tuple) -> Iterator[tuple]:
    """Yield the trees at whose zeros another branch of the formula begins."""
    op, *parts = node
    if op in ("abs", "sign", *WITH_NUMBER) or (op == "call" and parts[0].kinks):
        yield parts[-1] if op == "call" else parts[0]
    if op in PAIRS or op in COMPARE:
        yield ("-", *parts)
    for part in parts:
        if isinstance(part, tuple):
            yield from switches(part)


# ---- spell

def spell(node: tuple) -> str:
    """Return the text that ``read`` takes, without spaces."""
    op, *parts = node
    if op == "number":
        short = f"{parts[0]:g}"
        return short if float(short) == parts[0] else repr(parts[0])
    if not parts:
        return op
    if op in ORDER:
        return spell_operation(node, spell)
    if op == "where":
        sign, left, right = parts[0]
        return f"where({spell(left)}{sign}{spell(right)},{spell(parts[1])},{spell(parts[2])})"
    if op == "call":
        return f"{parts[0].name}({spell(parts[1])})"
    return f"{op}({','.join(map(spell, parts))})"


def spell_operation(node: tuple, spell: Callable[[tuple], str], space: str = "") -> str:
    """Return the text of a sum, product, power or negative, with the brackets that it needs."""
    op, *parts = node

    def bracketed(part: tuple, least: int) -> str:
        negative = part[0] == "number" and part[1] < 0
        order = ORDER["neg"] if negative else ORDER.get(part[0], 9)
        return f"({spell(part)})" if order < least else spell(part)
    least = ORDER[op]
    if op == "neg":
        return f"-{bracketed(parts[0], least)}"
    gap = "" if op == "**" else space
    left, right = (5, least) if op == "**" else (least, least + 1)
    return f"{bracketed(parts[0], left)}{gap}{op}{gap}{bracketed(parts[1], right)}"
