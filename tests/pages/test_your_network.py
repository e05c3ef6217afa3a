"""Your network: what is shown is what was measured, stays with one visitor, and names stay text."""

import json
import math
import re
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from pages.parts.views import own_files
from pages.parts.views.layer import layer_view
from pages.parts.views.own_files import LIMITS, read
from pages.parts.views.your_network import AS_THEY_ARE, CELLS, EXAMPLES, WHAT_IF, network_view, plane_view
from tests.models.test_weights import mlp, written
from tests.opened import opened, plotted, verdict
from tests.pages.test_faults import resident
from tests.pages.test_own_files import GPT, RELU, TANH, sent
from tests.pages.wire import Session, state
from vgdash import INITIALIZERS, ParamError, Report, inspect
from vgdash.models.examples import example
from vgdash.models.propagation import with_initializer
from vgdash.models.records import Layer

NAME = "<img src=x onerror=alert(1)> **b** [x](http://evil.example) `q` $x$ www.evil.example :red[r] | #1"
WEIGHTS = inspect(mlp([32] * 9, 1 / 3))


def renamed(report, name):
    return Report(replace(report.trace, layers=tuple(replace(a, path=f"{name}{i}", weight=f"{name}{i}.w")
                                                     for i, a in enumerate(report.layers))))


# ---- names stay text, numbers stay numbers

def texts(value):
    """Every text of a view."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, (tuple, list)):
        return [text for part in value for text in texts(part)]
    if hasattr(value, "__dataclass_fields__"):
        return [text for field in fields(value) for text in texts(getattr(value, field.name))]
    return []


def markdown_of(shown):
    """Every text of a view that the page gives to Markdown; evidence and code it does not."""
    titles = (title for title, *_ in shown.layer.findings)
    return [shown.verdict, shown.remarks, shown.what_if, shown.legend, shown.layer.head, shown.layer.numbers,
            *titles]


def assert_sound(shown):
    """Every number that is drawn is one, and no sentence says that one is not."""
    for table in (shown.strip, shown.forward, shown.backward):
        drawn = table.to_pandas()[["x", "y"]].to_numpy(float)
        assert np.isfinite(drawn).all()
    marked = [text for text in texts(shown) if re.search(r"\bnan\b|\binf\b", text)]
    assert not marked, marked


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324])
def test_weights_of_any_size_are_judged(tmp_path, size):
    weights = {f"{i}.weight": np.full((8, 8), size) for i in range(4)} | {"0.bias": np.full(8, -size)}
    report = read(sent(written(tmp_path / "m.safetensors", weights).read_bytes(), "m.safetensors"), "relu")
    for activation in ("relu", "tanh"):
        found = own_files.with_activation(report, activation)
        assert not found.healthy
        for initializer in (AS_THEY_ARE, "he_normal"):
            assert_sound(network_view(found, 0, initializer))


def test_numbers_that_are_not_finite_in_the_weights_are_a_finding(tmp_path):
    weights = mlp([8, 8, 8], 2.0) | {"layers.0.weight": np.full((8, 8), np.nan, "f4")}
    content = written(tmp_path / "m.safetensors", weights).read_bytes()
    report = read(sent(content, "m.safetensors"), "relu")
    assert report.findings[0].layers == ("layers.0",)
    assert_sound(network_view(report, 0, "he_normal"))


@pytest.mark.parametrize("report", [RELU, GPT, WEIGHTS], ids=["findings", "healthy", "weights"])
def test_a_name_stands_as_code_wherever_markdown_is_read(report):
    for place in (0, 2):
        shown = network_view(renamed(report, NAME), place, "he_normal")
        markdown = [*markdown_of(shown), plane_view(renamed(report, NAME), place).words]
        for text in markdown:
            assert "`q`" not in text, "a name cannot end its own quotation"
            assert not re.search(r"evil|alert|red\[", re.sub(r"`[^`]*`", "", text)), text
        assert any("evil" in text for text in markdown)


def test_the_fix_of_a_hostile_report_is_the_same_code_with_other_names():
    for title, evidence, code in layer_view(renamed(RELU, "a', *__import__('os').system('x')]#"), 1).findings:
        assert title
        assert evidence
        names = re.findall(r"'[^'\\]*(?:\\.[^'\\]*)*'|\"[^\"]*\"", code)
        assert len(names) == 29
        outside = code
        for name in names:
            outside = outside.replace(name, "")
        assert "__import__" not in outside


def test_any_activation_and_any_number_is_drawn_or_left_out():
    numbers, tried = [math.nan, math.inf, 0.0, 1e-300, 1e300, 1.0], set()
    for i, name in enumerate(field.name for field in fields(Layer) if field.type == "float"):
        layers = tuple(replace(a, activation=("**b**", "relu", "tanh")[k % 3], **{name: numbers[(i + k) % 6]})
                       for k, a in enumerate(RELU.layers))
        try:
            report = Report.from_json(Report(replace(RELU.trace, layers=layers)).to_json())
        except ParamError:
            continue
        tried.add(name)
        for initializer in (AS_THEY_ARE, "he_normal"):
            shown = network_view(report, 1 + i % 30, initializer)
            assert np.isfinite(shown.strip.to_pandas().x).all()
            assert np.isfinite(shown.forward.to_pandas().y).all()
            assert "**b**" not in "".join(markdown_of(shown))
        plane_view(report, 1)
    assert len(tried) > 20


# ---- what is shown

def test_the_strip_has_every_layer_with_both_fates_and_marks_those_at_fault():
    cells = network_view(RELU, 3, AS_THEY_ARE).strip.to_pandas()
    assert list(cells.part.value_counts()[["cell", "fault", "opened"]]) == [60, 29, 1]
    assert (cells.fate[cells.part == "cell"] == "vanishing").sum() == 58
    assert cells.x[cells.part == "opened"].item() == 2.5


@pytest.mark.parametrize(("deep", "share"), [(1_000, 5), (CELLS + 42, 2), (CELLS, 1)])
def test_more_layers_than_cells_share_them_and_the_worst_is_seen(deep, share):
    ill = deep - 23
    layers = [replace(RELU.layers[0], path=str(i), weight2=2 / 64, variance=2 / 64, next=-1, bypassed=True)
              for i in range(deep)]
    layers[ill] = replace(layers[ill], bypassed=False, dead=1.0)
    report = Report(replace(RELU.trace, layers=tuple(layers)))
    assert [f.cause for f in report.findings] == ["dead"]
    cells = network_view(report, 0, AS_THEY_ARE).strip.to_pandas()
    assert (cells.part == "cell").sum() == 2 * deep / share <= 2 * CELLS
    assert {*(cells.x2 - cells.x)[cells.part == "cell"]} == {share}
    assert list(cells.layer[(cells.part == "cell") & (cells.fate == "dead")]) == [ill + 1] * 2
    assert cells.layer[cells.part == "opened"].item() == ill + 1


@pytest.mark.parametrize("initializer", WHAT_IF[1:])
def test_what_if_draws_the_course_that_theory_has_for_these_weights(initializer):
    shown, other = network_view(RELU, 0, initializer), with_initializer(RELU.layers, initializer)
    for table, key in ((shown.forward, "after2"), (shown.backward, "grad_out")):
        drawn = table.to_pandas().query("part == 'line' and series == 'other weights'")
        expected = np.log10([getattr(a, key) for a in other])
        assert drawn.y.to_numpy() == pytest.approx(expected[np.isfinite(expected)])
    assert f"**With {INITIALIZERS[initializer].short}**" in shown.what_if


def test_what_the_activation_reads_is_shown_where_something_stands_before_it():
    a = replace(RELU.layers[7], out2=3.0, read_ratio=0.25)
    trace = replace(RELU.trace, layers=(*RELU.layers[:7], a, *RELU.layers[8:]))
    assert "| E[u²], what the activation reads | 0.750 |" in layer_view(Report(trace), 8).numbers
    assert "E[f'(u)²]" in layer_view(Report(trace), 8).numbers
    assert not re.search(r"E\[u|\(u\)", layer_view(RELU, 8).numbers)


def test_what_if_draws_no_layer_without_a_matrix():
    layers = [replace(a, kind="norm") if i % 2 else a for i, a in enumerate(RELU.layers)]
    shown = network_view(Report(replace(RELU.trace, layers=tuple(layers))), 0, "he_normal")
    for table in (shown.forward, shown.backward):
        drawn = table.to_pandas().query("part == 'line' and series == 'other weights'")
        assert drawn.x.to_list() == list(range(1, 31, 2))


def test_what_if_says_where_normalization_holds_the_signal():
    held = replace(RELU.layers[7], normalized=True, read_ratio=2.0)
    for layers, said in (((*RELU.layers[:7], held, *RELU.layers[8:]), True), (RELU.layers, False)):
        found = network_view(Report(replace(RELU.trace, layers=layers)), 0, "he_normal").what_if
        assert ("normalization stands, the course starts again" in found) == said


def test_points_are_measured_and_the_line_is_theory_of_what_each_layer_receives():
    table = network_view(RELU, 0, AS_THEY_ARE).forward.to_pandas()
    points, line = (table[table.part == part].y.to_numpy() for part in ("point", "line"))
    assert points == pytest.approx(np.log10([a.after2 for a in RELU.layers]))
    q = np.array([a.gain * a.in2 + a.bias2 for a in RELU.layers])
    mean = np.array([a.bias_mean for a in RELU.layers])
    sigma = np.sqrt(q - mean**2)
    rectified = q * norm.cdf(mean / sigma) + mean * sigma * norm.pdf(mean / sigma)  # E[max(0, z)²]
    assert 10**line == pytest.approx([*rectified[:-1], q[-1]], rel=1e-5)  # no activation after the last


def test_weights_alone_have_no_measured_points():
    shown = network_view(WEIGHTS, 0, AS_THEY_ARE)
    for table in (shown.forward, shown.backward):
        parts = set(table["part"].to_pylist())
        assert "line" in parts
        assert "point" not in parts
    assert "nothing was run" in shown.remarks
    assert "Points are measured" in network_view(RELU, 0, AS_THEY_ARE).remarks


def test_layers_stand_on_the_plane_where_their_variances_are_and_the_nearest_is_opened():
    shown = plane_view(RELU, 4)
    marks = pa.table(shown.tables["marks"]).to_pandas()
    points = marks[marks.part == "point"]
    assert points.sigma_w2.to_numpy() == pytest.approx([a.gain for a in RELU.layers])
    assert points.y.to_numpy() == pytest.approx([a.bias2 for a in RELU.layers])
    a = RELU.layers[7]
    assert shown.nearest(a.gain, a.bias2) == 8
    beyond = plane_view(TANH, 1).tables["marks"].to_pandas()
    assert (beyond.part == "beyond").sum() == 8
    assert plane_view(Report(replace(RELU.trace, layers=RELU.layers[-1:])), 1) is None


def test_the_plane_says_how_many_layers_are_none_of_a_plain_net():
    assert "plain" not in plane_view(RELU, 4).words
    some = [replace(a, normalized=i < 5, bypassed=i > 26) for i, a in enumerate(RELU.layers)]
    assert "plain nets: 8 of these layers have normalization" in plane_view(
        Report(replace(RELU.trace, layers=tuple(some))), 4).words
    normed = mlp([32] * 9, 1 / 3) | {"norm.weight": np.ones(32)}
    assert "plain nets: 8 of these layers may have normalization" in plane_view(inspect(normed), 1).words


# ---- the page

def trigger(page, message):
    """What the field for a file sends."""
    made = state(f"$$STREAMLIT_INTERNAL_KEY_{page.widget('file').id}__events", "json_trigger_value",
                 json.dumps([{"event": "file", "value": message}]))
    return made


def give(visitor, message):
    return visitor.exchange(visitor.message(trigger(visitor.page, message),
                                            fragment=visitor.page.fragment(visitor.page.widget("file").id)))


def test_every_example_has_its_address_and_says_that_it_is_one():
    for name in EXAMPLES:
        page = opened("your_network", example=name)
        assert verdict(page) == f"## {example(name).say('`')}"
        assert any(text.value.startswith("**Example:**") for text in page.markdown)
        assert len(page.get("vega_lite_chart")) == 4
    assert plotted(page).fate.dropna().eq("healthy").all()


def test_what_a_visitor_opens_is_shown_to_nobody_else_and_is_not_in_the_address(port, visitor):
    before = visitor.open("your_network").verdict
    page = give(visitor, sent(renamed(GPT, "mine.").to_json()))
    assert page.verdict.startswith("## Healthy: 40 layers")
    assert visitor.query == ""
    assert any("`mine.0`" in text for text in page.texts)
    assert not any("**Example:**" in text for text in page.texts)
    with Session(port) as other:
        assert other.open("your_network").verdict == before
        assert not any("mine." in text for text in other.page.texts)
    visitor.open("linear_chain")
    assert visitor.open("your_network").verdict == page.verdict, "it stays while the session lives"
    assert visitor.click("close").verdict == before


def test_a_file_that_cannot_be_opened_gives_one_sentence_and_what_was_open_stays(visitor):
    before = visitor.open("your_network").verdict
    for message in (sent("[1"), sent(b"\xff" * 99, "m.safetensors"), sent("x", "m.pt"), {"name": 3}):
        page = give(visitor, message)
        assert not page.exceptions
        assert page.verdict == before
        assert len(page.warnings) == 1
        assert all("must be" in sentence and len(sentence) < 300 for sentence in page.warnings)
    assert not visitor.send(state(page.widget("layer").id, "double_array_value", [5.0])).warnings


def test_weights_are_judged_with_the_activation_that_is_chosen(visitor, tmp_path):
    content = written(tmp_path / "m.safetensors", mlp([128] * 21, 0.9)).read_bytes()
    visitor.open("your_network")
    page = give(visitor, sent(content, "m.safetensors"))
    assert "too small" in page.verdict
    page = visitor.send(state(page.widget("activation").id, "string_value", "tanh"))
    assert page.verdict.startswith("## Healthy: 20 layers")


def test_files_are_not_kept(app, visitor, tmp_path):
    width = int(math.sqrt(LIMITS["weights"] / 4 / 2)) - 10
    content = written(tmp_path / "m.safetensors", mlp([width] * 3, 2.0)).read_bytes()
    visitor.open("your_network")
    for _ in range(3):
        give(visitor, sent(content, "m.safetensors"))
    taken = resident(app[1])
    for _ in range(25):  # what a message of the last seconds took is not yet given back
        assert "Healthy" in give(visitor, sent(content, "m.safetensors")).verdict
    assert resident(app[1]) - taken < 15 * len(content)


def test_a_click_opens_its_layer_and_what_is_no_layer_breaks_nothing(visitor):
    visitor.open("your_network")

    def click(chart, *points):
        return visitor.send(state(visitor.page.widget(chart).id, "string_value",
                                  json.dumps({"selection": {"picked": list(points)}})))
    assert any("**Layer 12 of 30:**" in text for text in click("strip", {"layer": 12}).texts)
    assert visitor.query == "layer=12"
    a = RELU.layers[20]
    place = {"sigma_w2": a.gain, "sigma_b2": a.bias2}
    assert any("**Layer 21 of 30:**" in text for text in click("layers-plane", place).texts)
    for points in ([], [{}], [7], [{"layer": "x"}], [{"layer": 1e300}], [{"layer": None}], [{"layer": -3}]):
        assert not click("strip", *points).exceptions
        assert not click("layers-plane", *points).exceptions
    assert any("of 30:**" in text for text in visitor.page.texts)


def test_the_browser_is_told_the_limits_that_the_server_has(visitor):
    visitor.open("your_network")
    assert json.loads(visitor.page.widget("file").json) == own_files.LIMITS
