"""Write a report as one HTML page that needs no network: findings, chart and table."""

from __future__ import annotations

import math
from html import escape

from vgdash.initializers import INITIALIZERS
from vgdash.models.causes import number
from vgdash.models.expectation import expected_after
from vgdash.models.records import MATRICES

STYLE = """
.vg{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:1rem auto;padding:0 1rem}
.vg{color:#1b1f24;background:#fff}
.vg h1{font-size:1.5rem}.vg pre{background:#f3f4f6;padding:.7rem;overflow:auto;max-height:22rem}
.vg table{border-collapse:collapse;width:100%;font-size:13px}.vg .wide{overflow-x:auto}
.vg th,.vg td{text-align:right;padding:.2rem .5rem;border-bottom:1px solid #ddd;white-space:nowrap}
.vg th:nth-child(2),.vg td:nth-child(2),.vg th:nth-child(3),.vg td:nth-child(3){text-align:left}
.vg tr.bad td{background:#fdecea}.vg svg{width:100%;height:auto}.vg text{font:12px system-ui,sans-serif}
"""
SERIES = (  # what is drawn: title, colour, whether as a line
    ("outputs, predicted by theory", "#0072B2", True, expected_after),
    ("outputs, measured", "#0072B2", False, lambda a: a.after2),
    ("gradient of the outputs, measured", "#D55E00", False, lambda a: a.grad_out2),
)
COLUMNS = (
    ("layer", lambda a: a.path), ("kind", lambda a: a.kind), ("fan-in n", lambda a: number(a.fan_in)),
    ("n·E[w²]", lambda a: _spell(a.gain) if a.kind in MATRICES else ""),
    ("initializer", lambda a: INITIALIZERS[a.initializer].title if a.initializer else ""),
    ("E[in²]", lambda a: _spell(a.in2)), ("E[out²]", lambda a: _spell(a.out2)),
    ("out²/predicted", lambda a: _spell(a.out2 / a.predicted) if a.predicted > 0 else ""),
    ("largest", lambda a: _spell(a.out_largest)), ("off", lambda a: _share(a.off)),
    ("saturated", lambda a: _share(a.saturated)), ("gradient, E[g²]", lambda a: _spell(a.grad_out2)),
    ("update : weight", lambda a: _spell(a.update)), ("two inputs' cosine", lambda a: _spell(a.correlation)))


def _spell(x: float) -> str:
    return "" if math.isnan(x) else number(x)


def _share(x: float) -> str:
    return "" if math.isnan(x) else f"{x:.0%}"


def page(report) -> str:
    """Return the whole page."""
    head = f'<meta charset="utf-8"><title>{escape(report.sentence)}</title>'
    return f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body(report)}</body></html>\n'


def body(report) -> str:
    """Return the page's content, as a notebook shows it."""
    t = report.trace
    guess = f" (guessing: {number(t.guess)})" if math.isfinite(t.guess) else ""
    said = f"{t.framework}, {t.format}; first loss {number(t.loss)}{guess}"
    parts = [f"<style>{STYLE}</style><div class='vg'><h1>{escape(report.sentence)}</h1><p>{escape(said)}</p>"]
    for f in report.findings:
        named = ", ".join(f.layers[:12]) + (f" and {len(f.layers) - 12} more" if len(f.layers) > 12 else "")
        parts.append(f"<h2>{escape(f.cause)}: {escape(named)}</h2><p>{escape(f.evidence)}</p>"
                     f"<pre>{escape(f.fix)}</pre>")
    return "".join([*parts, _chart(report), _table(report), "</div>"])


def _table(report) -> str:
    bad = {path for f in report.findings for path in f.layers}
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in COLUMNS)
    rows = []
    for place, a in enumerate(report.layers, 1):
        cells = "".join(f"<td>{escape(str(of(a)))}</td>" for _, of in COLUMNS)
        rows.append(f"<tr{' class=bad' if a.path in bad else ''}><td>{place}</td>{cells}</tr>")
    return f"<div class='wide'><table><tr><th></th>{head}</tr>{''.join(rows)}</table></div>"


def _chart(report) -> str:
    """Draw mean squares by layer on a log axis, as SVG."""
    layers = [a for a in report.layers if a.kind in MATRICES]
    series = [(name, colour, line, [math.log10(y) if 0 < (y := of(a)) < math.inf else None for a in layers])
              for name, colour, line, of in SERIES]
    values = [y for *_, ys in series for y in ys if y is not None]
    if not values:
        return ""
    low, high = math.floor(min(values)), math.ceil(max(values))
    high += high == low
    width, height, left, top = 900, 320, 70, 46
    def x(i):
        return left + (width - left - 20) * (i + 0.5) / len(layers)
    def y(v):
        return top + (height - top - 40) * (high - v) / (high - low)
    step = max(1, (high - low) // 8)
    parts = [f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='Mean squares by layer'>"]
    for v in range(low, high + 1, step):
        power = number(10.0**v).removeprefix("1.0·")
        parts.append(f"<line x1='{left}' x2='{width - 20}' y1='{y(v):.1f}' y2='{y(v):.1f}' stroke='#ddd'/>"
                     f"<text x='{left - 8}' y='{y(v) + 4:.1f}' text-anchor='end'>{power}</text>")
    for k, (name, colour, line, ys) in enumerate(series):
        dots = [(x(i), y(v)) for i, v in enumerate(ys) if v is not None]
        if line:
            way = " ".join(f"{a:.1f},{b:.1f}" for a, b in dots)
            parts.append(f"<polyline points='{way}' fill='none' stroke='{colour}'/>")
        else:
            parts += [f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3.5' fill='{colour}'/>" for a, b in dots]
        mark = "—" if line else "●"
        parts.append(f"<text x='{left + 270 * k}' y='18' fill='{colour}'>{mark} {escape(name)}</text>")
    parts.append(f"<text x='{width / 2}' y='{height - 8}' text-anchor='middle'>layer in order of use "
                 f"(mean squares)</text></svg>")
    return "".join(parts)
