"""Report on a model: its layers against theory, what is wrong with it, and the code that mends it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from textwrap import indent
from typing import get_args, get_origin, get_type_hints

import pandas as pd

from vgdash.models.causes import CAUSES
from vgdash.models.expectation import expected_after
from vgdash.models.findings import findings_of
from vgdash.models.fixes import FORMS
from vgdash.models.records import KINDS, MATRICES, Finding, Join, Layer, Trace
from vgdash.number_formats import FORMATS
from vgdash.params import ParamError
from vgdash.spelling import count

VERSION = 1
AGAIN = "Save the report anew."
LARGEST_FILE = 1_000_000  # bytes of a report that is read
COUNTS, FANS = ("area", "groups"), ("fan_in", "fan_out")
SIGNED = {"bias_mean", "in_mean", "out_mean", "correlation", "token_cosine"}
MOST_ITEMS, LARGEST_COUNT, LONGEST_TEXT = 5_000, 20_000, 500
# Names become code to paste: one line, and of the inputs nothing but the name that ``inspect`` gives them.
SOURCE = re.compile(r"""|inputs(\[(\d+|'([^'\\]|\\.)*'|"([^"\\]|\\.)*")\])?""")
HINTS = {kind: get_type_hints(kind) for kind in (Trace, Layer, Join)}  # of those that are read
UNSIGNED = [name for name, kind in HINTS[Layer].items() if kind is float and name not in SIGNED]


@dataclass(frozen=True)
class Report:
    """Measurement of a model and the judgement on it; the judgement follows from the measurement alone."""

    trace: Trace

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers with weights of their own, in order of use."""
        return self.trace.layers

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """List what is wrong, most serious first; empty for a healthy model."""
        return findings_of(self.trace)

    @cached_property
    def causes(self) -> dict[str, list[Finding]]:
        """Map the paths of layers at fault to the findings that name them, most serious first."""
        named: dict[str, list[Finding]] = {}
        for finding in self.findings:
            for path in finding.layers:
                named.setdefault(path, []).append(finding)
        return named

    @property
    def healthy(self) -> bool:
        """True if there are no findings."""
        return not self.findings

    @property
    def sentence(self) -> str:
        """Say the judgement in at most 110 characters."""
        return self.say()

    def say(self, quote: str = "") -> str:
        """Say the judgement, with a layer's name between quotation marks, which it then does not hold."""
        if self.healthy:
            return self._healthy()
        worst = self.findings[0]
        more = f" (and {len(worst.layers) - 1} more)" if len(worst.layers) > 1 else ""
        rest = f"; {count(len(self.findings) - 1, 'more finding')}" if len(self.findings) > 1 else ""
        said = CAUSES[worst.cause].words
        room = 99 - len(said) - len(more) - len(rest)
        name = worst.layers[0] or "the model"
        of = "layer " if name.isdecimal() else ""
        name = name if len(name) <= room else "…" + name[1 - room:]
        name = f"{quote}{name.replace(quote, '·')}{quote}" if quote else name
        return f"{said[0].upper()}{said[1:]} {of}{name}{more}{rest}."

    def _healthy(self) -> str:
        paths, states = {a.path for a in self.layers}, {a.gradient for a in self.layers}
        passes = f"Healthy: {count(len(paths), 'layer')} pass{'es' * (len(paths) == 1)}"
        if self.trace.framework != "weights" and not states & {"reaches", "zero"}:
            why = "all weights are frozen" if "frozen" in states else "no gradient was asked for"
            return f"{passes} the signal on as theory says; {why}."
        unread = {a.path for a in self.layers if a.gradient == "unknown" and a.weight and a.kind in MATRICES}
        has = "has" if len(unread) == 1 else "have"
        more = f"; {count(len(unread), 'layer')} {has} no part in the loss" if unread else ""
        return f"{passes} signal and gradient on as theory says{more * math.isfinite(self.trace.guess)}."

    def formats(self) -> dict[str, str]:
        """Return for each number format the first layer whose largest entry it cannot hold, or ""."""
        largest = [(a.path, max(0.0, a.in_largest, a.out_largest)) for a in self.layers]  # 0.0 beside nan
        return {name: next((path for path, x in largest if x > form.largest), "")
                for name, form in FORMATS.items()}

    def frame(self) -> pd.DataFrame:
        """Return one row a layer: what it is, what theory expects of it, and what it does."""
        rows, causes = [], self.causes
        for place, a in enumerate(self.layers, 1):
            row = {"layer": place, **{f.name: getattr(a, f.name) for f in fields(a) if f.name != "next"}}
            row |= {"gain": a.gain if a.kind in MATRICES else math.nan, "initializer": a.initializer,
                    "predicted": a.predicted,
                    "out/predicted": a.out2 / a.predicted if a.predicted > 0 else math.nan,
                    "predicted_after": expected_after(a),
                    "finding": ", ".join(f.cause for f in causes.get(a.path, ()))}
            rows.append(row)
        return pd.DataFrame(rows)

    # ---- files

    def to_json(self) -> str:
        """Return the measurement as JSON text; defaults are left out, numbers have seven digits."""
        return json.dumps({"vgdash": "inspect", "version": VERSION, **_plain(self.trace)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what ``to_json`` wrote. Raises ``ParamError`` for anything else, before any of it is used."""
        if len(text) > LARGEST_FILE:
            raise ParamError("report", f"at most {LARGEST_FILE:,} characters", f"{len(text):,}", AGAIN)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise ParamError("report", "JSON text as report.save writes it", text[:40], AGAIN) from None
        if not isinstance(found, dict) or found.pop("vgdash", None) != "inspect":
            raise ParamError("report", "a file that report.save has written", text[:40], AGAIN)
        if (version := found.pop("version", None)) != VERSION or isinstance(version, bool):
            raise ParamError("version", f"{VERSION}", version, "Save the report with this vgdash.")
        trace = _read(Trace, found, "report")
        many = len(trace.layers)
        indices = [a.next for a in trace.layers] + [i for join in trace.joins for i in join.last]
        if any(not -1 <= i < many for i in indices) or any(i < 0 for join in trace.joins for i in join.last):
            raise ParamError("next", f"a layer from 0 to {many - 1}", "another number", AGAIN)
        for a in trace.layers:
            signed = {name: getattr(a, name) for name in UNSIGNED if getattr(a, name) < 0}
            signed |= {name: getattr(a, name) for name in COUNTS if not 0 < getattr(a, name) < math.inf}
            signed |= {name: getattr(a, name) for name in FANS if getattr(a, name) in (0, math.inf)}
            if signed or a.kind not in KINDS:
                raise ParamError("layers", "sizes of 0 or more, of a known kind", signed or a.kind, AGAIN)
            if not SOURCE.fullmatch(a.source):
                raise ParamError("source", "empty, inputs, inputs[0], or inputs['name']", a.source, AGAIN)
        if trace.framework not in FORMS:
            raise ParamError("framework", f"one of {', '.join(FORMS)}", trace.framework, AGAIN)
        return cls(trace).checked()

    def checked(self) -> Report:
        """Return the report if everything that follows from it can be computed, else raise ``ParamError``."""
        try:
            self.frame()  # and with it every finding
        except (ArithmeticError, LookupError, TypeError, ValueError):
            raise ParamError("report", "numbers that a model can have", "others", AGAIN) from None
        return self

    def save(self, path: str | Path) -> None:
        """Write the report as a JSON file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read a file that ``save`` wrote. Raises ``ParamError``, and ``OSError`` where there is no file."""
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
        return cls.from_json(content.decode("utf-8", "replace"))

    def to_html(self, path: str | Path) -> None:
        """Write one HTML file that opens without a network: findings, chart and table."""
        from vgdash.models.html import page
        Path(path).write_text(page(self), encoding="utf-8")

    def _repr_html_(self) -> str:
        from vgdash.models.html import body
        return body(self)

    def __str__(self) -> str:
        """Say the judgement, then cause, layers, evidence and code of each finding."""
        parts = [self.sentence]
        for f in self.findings:
            named = ", ".join(path or "the model" for path in f.layers[:6])
            named += f" and {len(f.layers) - 6} more" if len(f.layers) > 6 else ""
            parts += [f"\n{f.cause}: {named}\n  {f.evidence}", indent(f.fix, "    ")]
        return "\n".join(parts)


def _plain(record) -> dict:
    """Return a record's fields that differ from their defaults, as JSON has them."""
    found = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if value == f.default or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, float):
            value = float(f"{value:.7g}") if math.isfinite(value) else "inf" if value > 0 else "-inf"
        elif isinstance(value, tuple):
            value = [_plain(item) if hasattr(item, "__dataclass_fields__") else item for item in value]
        found[f.name] = value
    return found


def _read(kind, found, where: str):
    """Make a record of JSON data whose names and types are checked."""
    if not isinstance(found, dict):
        raise ParamError(where, "an object with named fields", found, AGAIN)
    hints = HINTS[kind]
    if unknown := set(found) - set(hints):
        raise ParamError(where, "fields of this version", sorted(unknown)[0], AGAIN)
    values = {name: _value(hints[name], value, name) for name, value in found.items()}
    try:
        return kind(**values)
    except TypeError:
        raise ParamError(where, "all fields of this version", sorted(found), AGAIN) from None


def _value(hint, value, name: str):
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if isinstance(value, list) and len(value) > MOST_ITEMS:
            raise ParamError(name, f"a list of at most {MOST_ITEMS:,}", f"{len(value):,}", AGAIN)
        if isinstance(value, list):
            return tuple(_read(item, one, name) if hasattr(item, "__dataclass_fields__") else
                         _value(item, one, name) for one in value)
    elif hint is float:
        if value in ("inf", "-inf"):
            return float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e308:
            return float(value)
    elif hint is str:
        if isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable():
            return value
    elif type(value) is hint and (hint is bool or abs(value) <= LARGEST_COUNT):
        return value
    raise ParamError(name, f"a value of type {getattr(hint, '__name__', hint)}", value, AGAIN)
