"""The linear chain step by step: the net drawn, and the product as it grows, matrix by matrix."""

from __future__ import annotations

import re
from fractions import Fraction
from html import escape

from pages.parts.charts.drawings import Column, chain_net
from pages.parts.text import ten_to
from vgdash.linear_chain import Chain, ChainParams, before_output, exact_components
from vgdash.number_formats import FORMATS
from vgdash.spelling import digits_of_rate, fraction

LAST_STEP = 7  # of the longest sequence: x, z and a of two layers, a of the third, of the last, and ŷ
SINGLY = 3  # layers that are multiplied one by one
SIMPLE = 10  # the largest denominator of a factor or start whose powers are written as fractions
ENDS = {"overflow": "overflows", "zero": "is zero"}


def vector(chain: Chain, layer: int) -> tuple[str, ...]:
    """Write both components of a[layer], as fractions if c and x are simple ones; gaussian: their size."""
    p = chain.params
    if p.kind == "gaussian":
        return (ten_to(chain.log10_activation[layer]),)
    return tuple(_spelled(p, value) for value in exact_components(p, layer))


def _spelled(p: ChainParams, value: Fraction) -> str:
    first = (*exact_components(p, 0), *exact_components(p, 1))
    if max(one.denominator for one in first) <= SIMPLE:
        return fraction(value)
    return fraction(value, 1, max(1, *(digits_of_rate(c) for c in p.factors if c != 1)))


def steps_view(p: ChainParams, step: int) -> str:
    """Return the net as a drawing and the lines of the calculation up to ``step``, as HTML.

    Later lines take their room already: nothing moves when they appear.
    """
    chain = before_output(p)
    last = len(chain.log10_activation) - 1
    lines = _lines(chain, last)
    step = min(step, len(lines) - 1)
    columns, layers = _columns(chain, last)
    layer, said = lines[step]
    reached = max(i for i, drawn in enumerate(layers) if drawn <= layer)
    net = chain_net(columns, reached, f"Net of {p.depth} layers. {re.sub('<[^>]+>', '', said)}")
    kinds = ["now" if i == step else "later" if i > step else "" for i in range(len(lines))]
    rows = "".join(f'<div class="{kind}">{text}</div>' for kind, (_, text) in zip(kinds, lines, strict=True))
    return f'<div class="chain-steps">{net}<div class="lines">{rows}</div></div>'


def _columns(chain: Chain, last: int) -> tuple[list[Column], list[int]]:
    """Choose the layers to draw: the first ones, where a format gives up, the last, and the output."""
    found = [(getattr(breaks, end), f"{name} {word}") for name, breaks in chain.forward.items()
             if name in FORMATS for end, word in ENDS.items() if getattr(breaks, end) is not None]
    notes = dict([min(found)] if found else [])
    layers = sorted({*range(min(SINGLY, last) + 1), *notes, last})
    fixed = chain.params.kind != "gaussian"
    columns = []
    for layer, before in zip(layers, [None, *layers], strict=False):
        sizes = chain.log10_components[layer] if fixed else chain.log10_activation[layer:layer + 1]
        columns.append(Column(f"a[{layer}]" if layer else "x", vector(chain, layer), tuple(sizes),
                              f"W[{layer}]" if layer else "", before is not None and layer - before > 1,
                              notes.get(layer, "")))
    if fixed:
        columns.append(Column("ŷ", (_output(chain.params, last),), (chain.log10_activation[last],),
                              f"W[{last + 1}]"))
        layers.append(last + 1)
    return columns, layers


def _output(p: ChainParams, last: int) -> str:
    """Write ŷ for W[L] = (1 1): the sum of both components."""
    return _spelled(p, sum(exact_components(p, last)))


def _lines(chain: Chain, last: int) -> list[tuple[int, str]]:
    """List the lines of the calculation, each with the layer that it reaches."""
    p, fixed = chain.params, chain.params.kind != "gaussian"

    def value(layer: int) -> str:
        parts = [escape(part) for part in vector(chain, layer)]
        return f" = ({', '.join(parts)})" if fixed else f", of size {parts[0]}"

    lines = [(0, f"<i>x</i>{value(0)}")]
    for layer in range(1, min(last, SINGLY) + 1):
        product = "".join(_named("W", k) for k in range(layer, 0, -1)) + "<i>x</i>"
        if layer == SINGLY:
            lines.append((layer, f"{_named('a', layer)} = {product}{value(layer)}"))
            break
        before = f" = {_named('W', layer)}{_named('a', layer - 1)}" if layer > 1 else ""
        lines += [(layer, f"{_named('z', layer)}{before} = {product}{value(layer)}"),
                  (layer, f"{_named('a', layer)} = <i>g</i>({_named('z', layer)}) = {_named('z', layer)}")]
    if last > SINGLY:
        powers = f" = <i>C</i><sup>{last}</sup><i>x</i>" if fixed else ""
        lines.append((last, f"{_named('a', last)} = {_named('W', last)} ⋯ {_named('W', 1)}<i>x</i>"
                            f"{powers}{value(last)}"))
    if fixed:
        power = f"<i>C</i><sup>{last}</sup>" if last else ""
        lines.append((last + 1, f"<i>ŷ</i> = {_named('W', last + 1)}{power}<i>x</i> = "
                                f"{escape(_output(p, last))}<br>for {_named('W', last + 1)} = (1 1), "
                                "which is 1×2"))
    return lines


def _named(letter: str, layer: int) -> str:
    return f"<i>{letter}</i><sup>[{layer}]</sup>"
