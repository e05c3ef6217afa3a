"""Specifications of charts: Altair accepts their parts, tables have their columns, each is compiled once."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pages.parts import charts
from pages.parts.charts.drawings import neuron
from pages.parts.charts.spec import cached_spec
from pages.parts.charts.tables import COLUMNS

CURVES = [
    ("x", "y"), ("x", "y", False), ("x", "y", True, True, 200, True, True), ("x", "y", True, True, 200, True)]
ONE_TABLE = [
    *((charts.curves, arguments) for arguments in CURVES), (charts.histogram, ("z", "density", True)),
    (charts.depth_profiles, ()), (charts.depth_profiles, (True,)), (charts.spectrum, ()),
    (charts.spectrum, (True,)),
]
ALL = [
    *ONE_TABLE, (charts.decision, ()), (charts.heat_map, ("x", "y", "size")), (charts.measured_map, ()),
    (charts.scrubbed_lines, ("y", True, 3)), (charts.scrubbed_lines, ("y", False, 0)),
    (charts.scrubbed_histograms, (3,)), (charts.scrubbed_histograms, (3, "z", "y", False, True, -4)),
    (charts.draggable_chain, (150, (("overflows", 4.8), ("is zero", -7.2)))),
    (charts.phase_plane, (4.0, 0.5, (0.1, 0.05))), (charts.layer_strip, ()),
]


def fields(node):
    """Every column that a specification draws."""
    if isinstance(node, list):
        return set().union(*map(fields, node))
    if not isinstance(node, dict):
        return set()
    own = {node["field"]} if isinstance(node.get("field"), str) else set()
    return own.union(*map(fields, node.values()))


def computed(node):
    """Every column that a specification computes in the browser."""
    if isinstance(node, list):
        return set().union(*map(computed, node))
    if not isinstance(node, dict):
        return set()
    own = {node["as"]} if isinstance(node.get("as"), str) else set()
    return own.union(*map(computed, node.values()))


@pytest.mark.parametrize(("author", "arguments"), ALL)
def test_altair_accepts_every_part_of_a_specification_and_nothing_of_altair_is_left_in_it(author, arguments):
    spec = author.__wrapped__(*arguments)  # validated part by part; what ``cached_spec`` compiles is not
    assert json.loads(json.dumps(spec)) == spec
    assert spec == author(*arguments)


@pytest.mark.parametrize(("author", "arguments"), ONE_TABLE)
def test_a_chart_draws_columns_of_its_table(author, arguments):
    spec = author(*arguments)
    assert {"x", "y", "slot", "text"} <= fields(spec) <= set(COLUMNS) | computed(spec)


def test_sessions_that_open_a_chart_at_once_wait_for_one_specification():
    calls = []

    @cached_spec
    def author(title):
        calls.append(title)
        time.sleep(0.02)
        return {"title": title}

    with ThreadPoolExecutor(8) as pool:
        specs = list(pool.map(author, ["a", "b"] * 8))
    assert sorted(calls) == ["a", "b"]
    assert len({id(spec) for spec in specs}) == 2


def test_an_enlarged_specification_has_type_that_grows_with_the_window_and_the_same_everything_else():
    spec = charts.curves("layer", "size")
    large = charts.enlarge(spec)
    assert fields(large) == fields(spec)
    small = charts.spec.FONT["labelFontSize"]
    assert f'"labelFontSize": {small}' in json.dumps(spec)
    assert f'"labelFontSize": {{"expr": "{small} * zoom"}}' in json.dumps(large)
    assert [one["name"] for one in large["params"]] == ["zoom"]
    assert "windowSize" in large["params"][0]["expr"]


def test_no_line_of_a_drawn_neuron_passes_through_a_weight():
    weights = ["× −0.94", "× 1.6", "× 2.1·10⁻³"]
    drawn = neuron([(f"x{i}", "0.1", w) for i, w in enumerate(weights)], "1", "1", "linear", False, "")
    lines = [list(map(float, found)) for found in
             re.findall(r'<line x1="(.*?)" y1="(.*?)" x2="(.*?)" y2="(.*?)"', drawn)]
    for w in weights:
        x, y = map(int, re.search(rf'x="(\d+)" y="(\d+)"[^>]*>{re.escape(w)}<', drawn).groups())
        for x1, y1, x2, y2 in lines:
            for part in range(101):
                at_x, at_y = x1 + (x2 - x1) * part / 100, y1 + (y2 - y1) * part / 100
                assert abs(at_x - x) > 3.5 * len(w) or not y - 10 < at_y < y
