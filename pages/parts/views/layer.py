"""One layer of a report: its numbers against theory, and the findings that name it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pages.parts import names
from pages.parts.text import count, markdown_table, number, plain
from vgdash.activations import ACTIVATIONS
from vgdash.models.causes import CAUSES
from vgdash.models.expectation import expected_after, expected_slope2, flat_ends, spelled, wanted_gain
from vgdash.models.fates import fates
from vgdash.models.propagation import expected_gradients
from vgdash.models.records import MULTIPLYING, Layer
from vgdash.models.report import Report

HEADER = "| quantity | {of} | theory |\n|---|--:|--:|"
LONGEST = 60  # characters of a name


@dataclass(frozen=True)
class LayerView:
    head: str
    numbers: str
    findings: tuple[tuple[str, str, str], ...]  # title, evidence, code


def quoted(name: str) -> str:
    """Write a name from outside as code, which Markdown leaves alone; a long one without its beginning."""
    name = "".join(c if c.isprintable() and c != "`" else "·" for c in name) or "the model"
    return f"`{name if len(name) <= LONGEST else '…' + name[1 - LONGEST:]}`"


def layer_view(report: Report, place: int) -> LayerView:
    """Show layer number ``place`` of a report."""
    a = report.layers[place - 1]
    fans = f", {a.fan_in:,.0f} → {a.fan_out / a.area:,.0f}" if a.fan_in + a.fan_out < math.inf else ""
    head = f"**Layer {place} of {len(report.layers)}:** {quoted(a.path)}, {a.kind}{fans}"
    of = "as built" if report.trace.framework == "weights" else "measured"
    expected = expected_gradients(report.layers)[place - 1]
    rows = markdown_table(HEADER.format(of=of), _rows(a, expected))
    findings = tuple((_title(f), f.evidence, f.fix) for f in report.causes.get(a.path, ()))
    return LayerView(head, rows, findings)


def _title(finding) -> str:
    said, others = CAUSES[finding.cause].words, len(finding.layers) - 1
    rest = f" and {count(others, 'other')}" if others else ""
    return f"{said[0].upper()}{said[1:]} this layer{rest}."


def _rows(a: Layer, gradient: float) -> Iterator[tuple[str, str, str]]:
    """Yield what is known of a layer: name, value, and what theory expects of it."""
    multiplies = a.kind in MULTIPLYING
    by = f" by {spelled(a.activation)}" if a.activation in ACTIVATIONS else ""  # else any text
    wanted = f"{plain(wanted_gain(a.activation))} wanted{by}"
    flat, z = flat_ends(a.activation), "z" if a.read_ratio == 1 else "u"
    found = [
        ("fan-in · E[w²]", a.gain, wanted if multiplies and not a.last else ""),
        ("E[b²]", a.bias2 if multiplies else math.nan, ""),
        ("E[in²]", a.in2, ""),
        ("E[z²], its output", a.out2, a.predicted),
        ("E[u²], what the activation reads", a.out2 * a.read_ratio if a.read_ratio != 1 else math.nan, ""),
        (f"E[f({z})²], what the next layer reads", a.after2, expected_after(a)),
        ("gradient at its output, Σδ², δ = ∂C/∂z", a.grad_out, gradient if multiplies else math.nan),
        ("factor of the gradient on its way back", a.grad_in / a.grad_out if a.grad_out > 0 else math.nan,
         a.gain if multiplies else math.nan),
        (f"E[f'({z})²]", a.grad_out / back if (back := a.grad_after * a.kept_back) > 0 else math.nan,
         expected_slope2(a) if a.activation else math.nan),
        ("largest entry", a.out_largest, ""),
        ("units off", a.off, 0.5 if flat == (True, False) else math.nan),
        ("update : weight", a.update, "about 0.001"),
        ("cosine of two inputs", a.correlation, ""),
    ]
    for name, value, theory in found:
        if not math.isnan(value):
            yield name, number(value, 2), theory if isinstance(theory, str) else _known(theory)
    if a.saturated == a.saturated and flat == (True, True):
        yield "units at the flat ends", f"{a.saturated:.0%}", "few"
    if a.initializer:
        yield "weights like", names.short(a.initializer), ""


def layers_table(report: Report) -> pd.DataFrame:
    """Tabulate every layer: what it is, what it does beside what theory expects, and what is wrong."""
    rows, expected = [], expected_gradients(report.layers)
    for place, (a, fate, gradient) in enumerate(zip(report.layers, fates(report), expected, strict=True), 1):
        multiplies = a.kind in MULTIPLYING
        rows.append({
            "layer": place, "name": a.path, "kind": a.kind, "fan-in": a.fan_in, "fan-in · E[w²]": a.gain,
            "E[b²]": a.bias2, "E[in²]": a.in2, "E[z²]": a.out2, "E[z²], theory": a.predicted,
            "E[f(z)²]": a.after2, "E[f(z)²], theory": expected_after(a),
            "Σδ²": a.grad_out,
            "Σδ², theory": gradient if multiplies else math.nan, "largest |z|": a.out_largest,
            "units off": a.off, "saturated units": a.saturated, "update : weight": a.update,
            "correlation of two inputs": a.correlation, "signal": fate[0], "gradient": fate[1],
            "findings": "; ".join(CAUSES[f.cause].words for f in report.causes.get(a.path, ()))})
    return pd.DataFrame(rows)


def _known(value: float) -> str:
    return "" if math.isnan(value) else number(value, 2)
