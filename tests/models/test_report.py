"""Reports: files both ways, pages without a network, sentences; hostile files end in a sentence."""

import json
import math
import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgdash import ParamError, Report, inspect
from vgdash.__main__ import main
from vgdash.models.causes import number
from vgdash.models.records import Layer
from vgdash.models.report import LARGEST_FILE

rng = np.random.default_rng(0)


def weights(depth=30, width=64, gain=1 / 3):
    return {f"{i}.weight": rng.normal(0, math.sqrt(gain / width), (width, width)) for i in range(depth)}


BROKEN, HEALTHY = inspect(weights()), inspect(weights(gain=2.0))


def same(a, b) -> bool:
    return all(
        x == y or (isinstance(x, float) and math.isclose(x, y, rel_tol=1e-6)) or (x != x and y != y)
        for x, y in ((getattr(a, f.name), getattr(b, f.name)) for f in fields(Layer))
    )


def test_a_report_comes_back_from_its_file(tmp_path):
    for report in (BROKEN, HEALTHY):
        report.save(tmp_path / "run.json")
        again = Report.load(tmp_path / "run.json")
        assert all(map(same, again.layers, report.layers))
        assert [f.cause for f in again.findings] == [f.cause for f in report.findings]
        assert again.to_json() == report.to_json()


def test_infinite_and_unknown_numbers_come_back():
    trace = replace(BROKEN.trace, layers=(Layer("a", out2=math.inf, in2=math.nan, in_mean=-math.inf),))
    layer = Report.from_json(Report(trace).to_json()).layers[0]
    assert (layer.out2, layer.in_mean) == (math.inf, -math.inf)
    assert math.isnan(layer.in2)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"vgdash": "train"},
        {"layers": 3},
        {"layers": [3]},
        {"layers": [{"path": 3}]},
        {"loss": "big"},
        {"layers": [{"path": "a", "x": 1}]},
        {"layers": [{"path": "a", "next": 7}]},
        {"layers": [{"path": "a" * 600}]},
        {"layers": [{"path": "a", "in2": True}]},
        {"layers": [{}]},
        {"loss": [1]},
        {"cuts": "x"},
        {"layers": None},
        {"joins": [{"path": "a", "skip2": 1, "out2": 1, "last": [99]}]},
        {"layers": [{"path": "a", "zero": 1}]},
        {"layers": [{"path": "a", "calls": 1.5}]},
        {"loss": 10**400},
        {"framework": None},
    ],
)
def test_what_is_no_report_is_refused_with_a_sentence(change):
    good = json.loads(BROKEN.to_json())
    with pytest.raises(ParamError, match=r"must be .* received"):
        Report.from_json(json.dumps(good | change))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, "NaN", "x" * (LARGEST_FILE + 1), '{"vgdash": "inspect"}']
)
def test_other_text_is_refused_with_a_sentence(text):
    with pytest.raises(ParamError):
        Report.from_json(text)


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
NAMES = st.sampled_from([f.name for f in fields(Layer)])
for _ in range(2):  # lists and objects, two deep
    ANYTHING |= st.lists(ANYTHING, max_size=3) | st.dictionaries(NAMES, ANYTHING, max_size=4)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f.name for f in fields(Layer) if f.name not in ("path", "next")]), ANYTHING
    ),
    st.lists(st.tuples(st.floats(), st.floats(), st.floats()), min_size=3, max_size=4),
)
def test_any_layer_and_any_sum_is_judged_or_refused(values, sums):
    text = json.dumps(
        {
            "vgdash": "inspect",
            "version": 1,
            "framework": "torch",
            "loss": 1.0,
            "guess": 1.0,
            "layers": [{"path": "a"} | values, {"path": "b"} | values],
            "joins": [{"path": "a", "skip2": a, "out2": b, "last": [0], "chained": True, "grad_out": c}
                      for a, b, c in sums],
        }
    )
    try:
        report = Report.from_json(text)
    except ParamError:
        return
    report.frame()
    assert len(report.sentence) <= 110
    assert str(report)
    assert report._repr_html_()


class Links(HTMLParser):
    """Collect tags, and whatever a browser would fetch or run."""

    def __init__(self):
        super().__init__()
        self.tags, self.fetched = set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.fetched += [v for k, v in attributes if k in ("src", "href") or k.startswith("on")]


def test_the_page_needs_no_network_and_shows_names_as_text(tmp_path):
    name = "<img src=x onerror=alert(1)>\"'&"
    layers = tuple(replace(a, path=name) for a in BROKEN.layers)
    Report(replace(BROKEN.trace, layers=layers)).to_html(tmp_path / "run.html")
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert not page.fetched
    assert not page.tags & {"img", "script", "link", "iframe"}
    assert {"svg", "table", "pre"} <= page.tags
    assert "url(" not in text
    assert "@import" not in text


def test_the_table_has_theory_beside_measurement():
    table = BROKEN.frame()
    assert len(table) == 30
    assert table["gain"].to_numpy() == pytest.approx(1 / 3, rel=0.1)
    assert (table["finding"][:-1] == "weights_small").all()
    assert table["out/predicted"].to_numpy() == pytest.approx(1)


def test_the_smallest_number_of_all_is_written_too():
    assert number(5e-324) == "4.9·10⁻³²⁴"
    assert number(-2.5e-5) == "-2.5·10⁻⁵"


def test_the_longest_name_leaves_the_sentence_short():
    long = replace(
        BROKEN.trace, layers=tuple(replace(a, path="module." * 40 + a.path) for a in BROKEN.layers)
    )
    assert len(Report(long).sentence) <= 110


def test_the_command_line_says_by_its_status_what_it_found(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def good():\n"
        "    return nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(9, 9)\n"
        "def bad():\n    model, inputs = good()\n    return model, inputs * 1e4\n"
        "def raises():\n    model, inputs = good()\n    return model, inputs[:, :5]\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["inspect", "mine:good", "--json", "run.json"]) == 0
    assert capsys.readouterr().out.startswith("Healthy")
    assert Report.load(tmp_path / "run.json").healthy
    assert main(["inspect", "mine:bad", "--html", "run.html"]) == 1
    assert "input_scale: 0" in capsys.readouterr().out
    assert (tmp_path / "run.html").exists()
    for wrong, said in (("mine:none", "function of mine"), ("mine:nn", "function of mine"),
                        ("nowhere:good", "nowhere"), ("none.safetensors", "none.safetensors"),
                        ("mine:raises", "RuntimeError: mat1"), ("mine", "mine:make_model"),
                        ("model.pt", "pickle"), ("w.npz", "numpy.load"), ("net.keras", "load_model")):
        assert main(["inspect", wrong]) == 2
        assert re.search(said, capsys.readouterr().err)
    with pytest.raises(SystemExit) as caught:
        main(["inspect"])
    assert caught.value.code == 2
