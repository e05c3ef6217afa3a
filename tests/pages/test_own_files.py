"""Files that visitors open: each is read as it was saved, or refused with a sentence before it is used."""

import json
import math
from base64 import b64encode

import pytest

from pages.parts.views.own_files import LIMITS, read
from pages.parts.views.your_network import EXAMPLES
from tests.models.test_weights import mlp, written
from vgdash import ParamError, inspect
from vgdash.models.examples import example
from vgdash.models.report import LARGEST_FILE, MOST_ITEMS

RELU, TANH, GPT = map(example, EXAMPLES)


def sent(content, name="run.json"):
    content = content if isinstance(content, bytes) else content.encode()
    return {"name": name, "content": "data:application/octet-stream;base64," + b64encode(content).decode()}


def changed(**more):
    return json.dumps(json.loads(RELU.to_json()) | more)


def test_a_report_and_weights_are_read_as_they_were_saved(tmp_path):
    assert read(sent(TANH.to_json()), "relu").to_json() == TANH.to_json()
    weights = mlp([32] * 9, 1 / 3)
    file = written(tmp_path / "m.safetensors", weights)
    found = read(sent(file.read_bytes(), "M.SafeTensors"), "tanh")
    assert repr(found.trace) == repr(inspect(weights, activation="tanh").trace)


LAYER = {"path": "a", "weight": "a.weight", "fan_in": 4, "weight2": 0.1}
HOSTILE = {
    "nothing": "", "no JSON": "[1, 2", "NaN": "NaN", "deep": "[" * 200_000, "deeper": '{"a":' * 100_000,
    "a list": "[]", "another object": "{}", "a number": "3", "other version": changed(version=99),
    "no layer": changed(layers=[]), "numbers": changed(layers=[1]), "no list": changed(layers="abc"),
    "NaN inside": changed(loss=math.nan), "infinite": changed(loss=math.inf), "huge": changed(loss=10**400),
    "an unknown framework": changed(framework="php"), "two lines of a cut": changed(cuts=["a\nb"]),
    **{name: changed(layers=[LAYER | more]) for name, more in {
        "wrong type": {"weight2": "0.1"}, "true": {"in2": True}, "negative": {"weight2": -1},
        "no inputs": {"fan_in": 0},
        "no such field": {"x": 1}, "long name": {"path": "a" * 9999}, "two lines": {"path": "a\nimport os"},
        "code as source": {"source": "inputs = __import__('os')"}, "no such layer": {"next": 9}}.items()},
    "too many layers": changed(layers=[{"path": str(i)} for i in range(MOST_ITEMS + 1)]),
    "a byte too many": RELU.to_json().ljust(LARGEST_FILE + 1), "other bytes": b"\xff\xfe\x00" * 99,
    "twice": RELU.to_json() * 2,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_report_that_is_none_is_refused_with_a_sentence(content):
    with pytest.raises(ParamError, match=r"^[\w.]+ must be .*, received .*\.$"):
        read(sent(content), "relu")


def header(text, body=b""):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return len(text).to_bytes(8, "little") + text + body


ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
TENSORS = {
    "nothing": b"", "truncated header": header({"w": ENTRY}, bytes(16))[:30],
    "truncated body": header({"w": ENTRY}, bytes(9)), "more body": header({"w": ENTRY}, bytes(20)),
    "header too long": (2**63).to_bytes(8, "little") + b"{}" * 99, "header of 0": bytes(99),
    "a name twice": header(b'{"w": %(e)s, "w": %(e)s}' % {b"e": json.dumps(ENTRY).encode()}, bytes(16)),
    "two on one place": header({"w": ENTRY, "v": ENTRY}, bytes(16)),
    "shape and bytes differ": header({"w": ENTRY | {"shape": [9, 9]}}, bytes(16)),
    "no numbers": header({"w": ENTRY | {"shape": [None, 2]}}, bytes(16)),
    "a pickle": b"\x80\x04\x95" + bytes(99), "no matrix": header({"w": ENTRY | {"shape": [4]}}, bytes(16)),
    "two lines": header({"a\nb.w": ENTRY}, bytes(16)), "long name": header({"w" * 9999: ENTRY}, bytes(16)),
    "too many": header({f"{i}.weight": {"dtype": "F32", "shape": [0, 2], "data_offsets": [0, 0]}
                        for i in range(MOST_ITEMS + 1)}),
    "only empty ones": header({"w": {"dtype": "F32", "shape": [0, 2], "data_offsets": [0, 0]}}),
    "a byte too many": bytes(LIMITS["weights"] + 1),
}


@pytest.mark.parametrize("content", TENSORS.values(), ids=TENSORS)
def test_weights_that_are_none_are_refused_with_a_sentence(content):
    with pytest.raises(ParamError, match=r"(?s)^\w+ must be .*, received .*\.$"):
        read(sent(content, "m.safetensors"), "relu")


@pytest.mark.parametrize(("kind", "name"), [("report", "run.json"), ("weights", "m.safetensors")])
def test_a_file_beyond_the_limit_is_not_even_decoded(kind, name):
    with pytest.raises(ParamError, match=f"at most {LIMITS[kind] / 1e6:g} MB"):
        read(sent(bytes(LIMITS[kind] + 3), name), "relu")


@pytest.mark.parametrize("message", [
    None, 3, [], {}, {"name": "run.json"}, {"name": 1, "content": "data:;base64,e30="}, {"content": ""},
    {"name": "run.json", "content": 7}, {"name": "run.json", "content": "data:;base64,%%%"},
    {"name": "run.json", "content": "{}"}, sent("{}", "model.pt"), sent("{}", "json"), sent("{}", "a.exe")])
def test_what_no_browser_sends_is_refused_with_a_sentence(message):
    with pytest.raises(ParamError):
        read(message, "relu")
