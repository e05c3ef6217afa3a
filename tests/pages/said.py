"""Every text that a page shows, from the messages that it sends to the browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

HIDDEN = {"id", "key", "form_id", "icon", "url", "query_string", "page_script_hash", "page", "type", "format",
          "columns"}
NOT_READ = {"code", "html", "imgs", "bidi_component"}  # code to paste, and what has no words of ours
SHOWN_COLUMNS = {"text", "name"}  # of a chart's table
CODE = re.compile(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>", re.DOTALL)  # formulas, targets, tags


def said(page: AppTest) -> Iterator[tuple[str, str]]:
    """Yield every text in sight with the kind of its element: labels, options, sentences, charts, tables."""
    for node in (*_nodes(page.main), *_nodes(page.sidebar)):
        kind, proto = node.type, node.proto
        if kind in NOT_READ or proto is None:
            continue
        if kind == "vega_lite_chart":
            texts = _of_chart(proto)
        elif kind == "arrow_data_frame":
            texts = _of_table(node.value)
        else:
            texts = _strings(proto)
        plain = (re.sub(r"\\(.)", r"\1", CODE.sub(" ", text)) for text in texts)
        yield from ((kind, text) for text in plain if text.strip())


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "children", {}).values():
        yield from _nodes(child)


def _strings(proto: Message) -> Iterator[str]:
    for field, value in proto.ListFields():
        if field.name in HIDDEN:
            continue
        for one in value if field.is_repeated else [value]:
            if isinstance(one, str):
                yield one
            elif isinstance(one, Message):
                yield from _strings(one)


def _of_chart(proto: Message) -> Iterator[str]:
    yield from _titles(json.loads(proto.spec))
    tables = [proto.data.data, *(named.data.data for named in proto.datasets)]
    for table in (pa.ipc.open_stream(data).read_all() for data in tables if data):
        for column in SHOWN_COLUMNS & set(table.column_names):
            yield from {one for one in table[column].to_pylist() if one}


def _titles(spec: Any) -> Iterator[str]:
    """Yield titles, fixed texts and names of sliders of a Vega-Lite specification."""
    for key, value in spec.items() if isinstance(spec, dict) else []:
        if key in ("title", "name") and isinstance(value, str) and key + "s" not in spec:
            yield value
        elif key == "text" and isinstance(value, dict) and isinstance(value.get("value"), str):
            yield value["value"]
    for part in spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else []:
        if isinstance(part, (dict, list)):
            yield from _titles(part)


def _of_table(table: Any) -> Iterator[str]:
    yield from map(str, table.columns)
    for column in table.select_dtypes(object):
        yield from {one for one in table[column] if isinstance(one, str)}
