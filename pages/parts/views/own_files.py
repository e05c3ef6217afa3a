"""Files that visitors open: a report, or weights alone. Each is checked before anything of it is used."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from typing import Any

from vgdash.models.report import LARGEST_FILE, MOST_ITEMS, Report
from vgdash.models.safetensors_file import Tensors
from vgdash.models.weights import trace_weights
from vgdash.models.weights import with_activation as other_activation
from vgdash.params import ParamError

LIMITS = {"report": LARGEST_FILE, "weights": 8_000_000}  # bytes; the second is 2 million weights in float32
OTHER = "Save a report with report.save, or weights with safetensors."


def read(sent: Any, activation: str) -> Report:
    """Return the report of a file as the browser sends it: its name, and its bytes as a data URL.

    Raises ``ParamError`` for anything else.
    """
    name, content = (sent.get(key) for key in ("name", "content")) if isinstance(sent, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(content, str):
        raise ParamError("file", "a file that the browser has read", "something else", OTHER)
    kind = {"json": "report", "safetensors": "weights"}.get(name.lower().rpartition(".")[2])
    if kind is None:
        raise ParamError("file", "a .json or a .safetensors file", name, OTHER)
    encoded = content.partition("base64,")[2]
    if len(encoded) > 4 * LIMITS[kind] / 3 + 4:
        raise ParamError("file", f"at most {LIMITS[kind] / 1e6:g} MB for {kind}", name,
                         "Inspect it where it is: python -m vgdash inspect.")
    try:
        data = b64decode(encoded, validate=True)
    except ValueError:
        raise ParamError("file", "a file that the browser has read", name, OTHER) from None
    if kind == "report":
        found = Report.from_json(data.decode("utf-8", "replace"))
    else:
        weights = Tensors(data)
        if len(weights) > MOST_ITEMS:
            raise ParamError("file", f"a file of at most {MOST_ITEMS:,} tensors", f"{len(weights):,}", OTHER)
        found = Report(trace_weights(weights, activation)).checked()
    if not found.layers:
        raise ParamError("file", "a file of at least one layer", "none", OTHER)
    return found


def with_activation(own: Report, activation: str) -> Report:
    """Return a report on weights alone as theory has it with this activation; others stay as they are."""
    if own.trace.framework == "weights":
        with suppress(ParamError):  # numbers that no weights have
            return Report(other_activation(own.trace, activation)).checked()
    return own
