"""A model of one's own, or an example: the strip of its layers, their courses, and what-if weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts, names
from pages.parts.text import number, ten_to
from pages.parts.views.layer import LayerView, layer_view, quoted
from pages.parts.views.phase_plane import cell_size, cells, critical_line, on_plane, right_end, sides
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.models.causes import CAUSES
from vgdash.models.examples import EXAMPLES
from vgdash.models.expectation import expected_after, spelled
from vgdash.models.fates import FATES, HEALTHY, fates
from vgdash.models.propagation import expected_gradients, with_initializer
from vgdash.models.records import MATRICES, MULTIPLYING, Layer
from vgdash.models.report import Report
from vgdash.theory.phase_diagram import HIGHEST_BIAS, plane

AS_THEY_ARE = "as they are"
WHAT_IF = (AS_THEY_ARE, *(name for name, rule in INITIALIZERS.items()
                          if not rule.no_theory and rule.variance(64, 64) > 0))
CELLS, LINE, POINTS = 200, 120, 60  # of the strip, of a line, of the measured points, at most
SNIPPET = """\
# in the folder of vgdash, in the environment of your model:  pip install .
import vgdash

report = vgdash.inspect(model, inputs, targets, loss)  # one pass forward and back; your model stays as it is
report.save("run.json")                                # the file to open above"""
HOW = """\
### See your own net

Paste these lines beside your model, PyTorch or Keras, and open `run.json` above. `targets` and `loss` may be
left out. A `.safetensors` file of weights opens too, up to {most} MB: nothing of it is run, so theory says
what its weights do. For a larger file: `python -m vgdash inspect model.safetensors --json run.json`. Do you
have no model yet? [Type the widths of your layers](initializers).
"""
PRIVATE = """\
**What you open stays with you.** The file is read once, and its bytes are dropped. The numbers by layer stay
in this session until you close the page; no disk, cache or log gets them. They do not go into the address:
Share gives the example.
"""


@dataclass(frozen=True)
class NetworkView:
    verdict: str
    remarks: str
    strip: pa.Table
    forward: pa.Table
    backward: pa.Table
    what_if: str
    legend: str
    layer: LayerView


@dataclass(frozen=True)
class PlaneView:
    tables: dict[str, pa.Table]
    right: float
    cell: tuple[float, float]
    words: str
    places: tuple[tuple[float, float, int], ...]  # sigma_w2, sigma_b2 and number of each layer

    def nearest(self, sigma_w2: float, sigma_b2: float) -> int:
        """Return the number of the layer that is nearest to a place on the plane."""
        def distance(place: tuple[float, float, int]) -> float:
            x = min(place[0], self.right) - min(sigma_w2, self.right)
            return math.hypot(x / self.right, (min(place[1], HIGHEST_BIAS) - sigma_b2) / HIGHEST_BIAS)
        return min(self.places, key=distance)[2]


def network_view(report: Report, place: int, initializer: str, example: str = "") -> NetworkView:
    """Show a report, its layer number ``place`` (0: the first at fault), and what other weights would do."""
    place = opened(report, place)
    other = [] if initializer == AS_THEY_ARE else with_initializer(report.layers, initializer)
    after, back = ([getattr(a, key) if a.kind in MATRICES else math.nan for a in other]
                   for key in ("after2", "grad_out"))
    forward, backward = _courses(report.layers, report.trace.framework == "weights")
    return NetworkView(
        report.say("`"), _remarks(report, example), _strip(report, place),
        _course(forward, after, initializer, place, -1),
        _course(backward, back, initializer, place, 0),
        _what_if(report.layers, other, initializer), _legend(report), layer_view(report, place))


def opened(report: Report, place: int) -> int:
    """Return the number of the layer to show: the first at fault for 0, the last for one beyond the end."""
    if place:
        return min(place, len(report.layers))
    at_fault = report.findings[0].layers if report.findings else ()
    return next((i for i, a in enumerate(report.layers, 1) if a.path in at_fault), 1)


def _remarks(report: Report, example: str) -> str:
    """Say what this is, and what the loss is at first."""
    trace, said = report.trace, []
    if example:
        said.append(f"**Example:** {EXAMPLES[example][1]}, measured by `inspect` before training.")
    if trace.framework == "weights":
        said.append("Weights alone: nothing was run. Points and lines are theory, from unit inputs on.")
    else:
        said.append("Points are measured. The line is theory: what random weights of this size would make of "
                    "what each layer reads.")
    if math.isfinite(trace.loss) and math.isfinite(trace.guess):
        said.append(f"The first loss is {number(trace.loss, 2)}; guessing has {number(trace.guess, 2)}.")
    rest = report.findings[1:]
    if rest:
        named = "; ".join(f"{CAUSES[f.cause].words} {quoted(f.layers[0])}" for f in rest[:3] if f.layers)
        said.append(f"Also: {named}.")
    return " ".join(said)


# ---- the strip

def _strip(report: Report, place: int) -> pa.Table:
    """Make cells of ``charts.layer_strip``; beyond ``CELLS`` layers share them, and the worst shows."""
    found, layers, rows = fates(report), report.layers, []
    share = -(-len(layers) // CELLS)
    shared = [range(i, min(i + share, len(layers))) for i in range(0, len(layers), share)]
    for group in shared:
        start, end = float(group[0]) + 0.5, float(group[-1]) + 1.5
        for way, (low, name) in enumerate(((1, "signal"), (0, "gradient"))):
            shown = next((i for i in group if found[i][way] != HEALTHY), group[0])
            fate = found[shown][way]
            rows.append({"part": "cell", "x": start, "x2": end, "y": low, "y2": low + 1,
                         "layer": int(shown) + 1, "fate": fate, "count": len(shared),
                         "text": f"{shown + 1}. {layers[shown].path[-60:]}: {name} {fate}"})
        fault = next((i for i in group if layers[i].path in report.causes), None)
        if fault is not None:
            rows.append({"part": "fault", "x": (start + end) / 2, "y": 2.2, "layer": int(fault) + 1,
                         "text": "!"})
    rows.append({"part": "opened", "x": place - 0.5, "x2": place + 0.5, "y": 0, "y2": 2, "layer": place})
    return charts.strip_table(rows)


def _legend(report: Report) -> str:
    """Explain the fates that the strip shows."""
    there = {fate for both in fates(report) for fate in both}
    said = "; ".join(f"**{fate}**: {words}" for fate, words in FATES.items() if fate in there)
    marks = " **!** marks a layer that a finding names." if report.causes else ""
    return f"{said}.{marks} Choose a layer in the strip."


# ---- courses

def _courses(layers: Sequence[Layer], theory_alone: bool):
    """Measured and predicted squares by layer: of the signal after it, and of the gradient at its output.

    Each is predicted from what the layer itself receives. Arrays ``(2, layers)`` of measured and predicted.
    """
    after = [(a.after2, expected_after(a)) if a.kind in MATRICES else (math.nan, math.nan) for a in layers]
    gradient = [(a.grad_out, expected) if a.kind in MATRICES else (math.nan, math.nan)
                for a, expected in zip(layers, expected_gradients(layers), strict=True)]
    found = np.array(after).T, np.array(gradient).T
    for both in found:
        if theory_alone:
            both[1], both[0] = both[0], math.nan
    return found


def _log10(values) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.asarray(values, float))


def _course(both: np.ndarray, other: Sequence[float], name: str, place: int, end: int) -> pa.Table:
    """Table of ``charts.curves``: points measured, lines of theory, a ring around the layer that is open.

    ``end``: 0 to name the lines at the first layer, -1 at the last.
    """
    measured, predicted = _log10(both)
    parts, ends = [], []
    for series, line, label in (("activation", predicted, "theory"),
                                ("other weights", _log10(other), names.short(name))):
        known = np.flatnonzero(np.isfinite(line))
        if len(known):
            along = known[charts.evenly_spaced(len(known), LINE)]
            parts.append(charts.rows("line", series, along + 1, line[along]))
            beside = along[end] + 1 + (0.02 if end else -0.02) * len(line)  # of a ring
            ends.append(charts.rows("label", series, [beside], [line[along[end]]], text=[label]))
    known = np.flatnonzero(np.isfinite(measured))
    along = known[charts.evenly_spaced(len(known), POINTS)] if len(known) else known
    said = [f"layer {i + 1}: {number(10**measured[i], 2)} measured" for i in along]
    parts.append(charts.rows("point", "activation", along + 1, measured[along], text=said))
    y = [row["y"] for row in parts if len(row["y"])]
    if y:  # an axis of less than a decade would have no numbers
        y = np.concatenate(y)
        parts.append(charts.rows("extent", "", along[:1] + 1, [np.floor(y.min())]))
        parts.append(charts.rows("extent", "", along[:1] + 1, [np.ceil(y.max())]))
    shown = measured if np.isfinite(measured[place - 1]) else predicted
    parts.append(charts.rows("mark", "activation", [place], [shown[place - 1]], text=[f"layer {place}"]))
    return charts.table([*parts, *ends])


def _what_if(layers: Sequence[Layer], other: Sequence[Layer], name: str) -> str:
    """Say how far signal and gradient come with the weights as they are, and with others."""
    if not other:
        return ""
    free = [i for i, a in enumerate(layers) if a.kind in MULTIPLYING and not a.bypassed]
    said = []
    for what, key, way in (("signal", "after2", 1), ("gradient", "grad_out", -1)):
        sizes = [[getattr(net[i], key) for i in free][::way] for net in (layers, other)]
        known = [i for i, both in enumerate(zip(*sizes, strict=True)) if all(0 < x < math.inf for x in both)]
        if len(known) > 1:
            now, then = (ten_to(math.log10(of[known[-1]]) - math.log10(of[known[0]])) for of in sizes)
            said.append(f"the square of the {what} is multiplied by {then} (as it is, by {now})")
    between = ("Where paths join, or normalization stands, the course starts again from what was measured."
               if any(a.next < 0 or a.held for a in layers[:-1]) else "")
    return f"**With {names.short(name)}** theory predicts: {' and '.join(said)}. {between}" if said else ""


# ---- the plane

def plane_view(report: Report, place: int) -> PlaneView | None:
    """Show the layers on the plane of their most frequent activation; None if no activation is known."""
    named = Counter(a.activation for a in report.layers
                    if a.kind in MULTIPLYING and a.activation in ACTIVATIONS and a.activation != "linear")
    if not named:
        return None
    activation, place = named.most_common(1)[0][0], opened(report, place)
    of, found = plane(activation), []
    for i, a in enumerate(report.layers, 1):
        if a.kind in MULTIPLYING and math.isfinite(a.gain) and math.isfinite(a.bias2):
            found.append((a.gain, a.bias2, i))
    marks = [critical_line(of), *sides(of), charts.plane_rows("extent", right_end(of), [0.0, HIGHEST_BIAS])]
    for k in charts.evenly_spaced(len(found), CELLS):
        w2, b2, i = found[k]
        x, y = on_plane(of, w2, b2)
        text = f"{i}. {report.layers[i - 1].path[-60:]}: σw² {number(w2, 2)}, σb² {number(b2, 2)}"
        part = "beyond" if x < w2 else "point"
        marks.append(charts.plane_rows(part, x, y, sigma_w2=w2, sigma_b2=b2, text=text))
    here = next(((w2, b2) for w2, b2, i in found if i == place), None)
    if here:
        marks.append(charts.plane_rows("opened", *on_plane(of, *here)))
    said = [f"**The layers on the plane of {spelled(activation)}:** σw² = n · E[w²], σb² = E[b²]. "
            "The white line is the edge of chaos, where deep nets train; the ring is the layer above."]
    if len(named) > 1:
        said.append("The net has other activations too.")
    if held := sum(a.normalized or a.bypassed for a in report.layers if a.kind in MULTIPLYING):
        have = f"{held} of these layers" + (" may" if report.trace.framework == "weights" else "")
        said.append(f"The plane is that of plain nets: {have} have normalization or skip connections beside "
                    "them.")
    if any(w2 > right_end(of) for w2, *_ in found):
        said.append("A triangle lies beyond the edge.")
    tables = {"cells": cells(of), "marks": charts.plane_table(marks)}
    return PlaneView(tables, right_end(of), cell_size(of), " ".join(said), tuple(found))
