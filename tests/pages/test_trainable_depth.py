"""The page of trainable depth: what is drawn is what is computed, clicks and links open points."""

import itertools
import json
import math
import re
from functools import partial
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pages.parts.scenes import of_page
from pages.parts.views.phase_point import phase_view
from tests.opened import opened as opened_app
from tests.pages.wire import state
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.probe import CompareParams
from vgdash.quadrature import MASSES, NODES
from vgdash.spelling import layers
from vgdash.theory.fixed_points import fixed_point
from vgdash.theory.phase_diagram import HIGHEST_BIAS, STARTS, PhaseParams, landmarks, phase_map, plane
from vgdash.training.trainer import TrainParams

SCENES = of_page("trainable_depth")

opened = partial(opened_app, "trainable_depth")


def drawn(page):
    """Return the tables, by name, of the plane and of the opened point's charts."""
    return [{part.name: pa.ipc.open_stream(part.data.data).read_pandas() for part in chart.proto.datasets}
            for chart in page.get("vega_lite_chart")[:2]]


# ---- what is drawn

def test_the_plane_that_is_drawn_is_the_plane_that_is_computed():
    page, direct = opened(activation="selu", sigma_w2="1", sigma_b2="0.2"), plane("selu")
    still, grid = (drawn(page)[0][name] for name in ("marks", "cells"))
    w, b = (values.ravel() for values in np.meshgrid(direct.sigma_w2, direct.sigma_b2))
    np.testing.assert_array_equal(grid.sigma_w2, w)
    np.testing.assert_array_equal(grid.sigma_b2, b)
    np.testing.assert_allclose(10**grid.value.astype(float), direct.xi_c.ravel(), rtol=1e-5)
    assert 0 < grid.value.isna().sum() < len(grid)
    np.testing.assert_array_equal(grid.value.isna(), direct.phase.ravel() == "none")
    line = still[still.part == "line"]
    np.testing.assert_array_equal(line.x, direct.critical_sigma_w2)
    np.testing.assert_array_equal(line.y, direct.critical_sigma_b2)
    ring = still[still.part == "opened"]
    assert (ring.x.item(), ring.y.item()) == (1.0, 0.2)


def test_the_course_that_is_drawn_is_the_course_that_is_computed():
    (_, course), direct = drawn(opened(sigma_w2="2.5")), phase_map(PhaseParams(sigma_w2=2.5)).profile
    correlation, moment = course["correlation"], course["moment"]
    lines = correlation[correlation.part == "line"].groupby("series", sort=False)
    for (_, line), values in zip(lines, direct.correlation, strict=True):
        np.testing.assert_array_equal(line.y, values[line.x.astype(int) - 1])
        assert (line.x.min(), line.x.max()) == (1, len(values))
    assert len(lines) == len(STARTS)
    line = moment[moment.part == "line"]
    np.testing.assert_array_equal(line.y, 10**direct.log10_q[line.x.astype(int) - 1])
    points = correlation[correlation.part == "point"]
    np.testing.assert_allclose(points.y, direct.measured.correlation.mean(axis=0)[points.x.astype(int) - 1])
    scales = correlation[correlation.part == "scale"]
    np.testing.assert_allclose(scales.x, fixed_point("tanh", 2.5, 0.05).xi_c)  # trains to 68, beyond the 50


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_scene_opens_its_own_point(scene):
    p = scene.params
    text = phase_view(p).verdict
    place = f"With σw² = {p.sigma_w2:.4g} and σb² = {p.sigma_b2:.4g}"
    nets = f"{ACTIVATIONS[p.activation].said} nets"
    assert text.startswith(f"{place}, {nets} train up to **{layers(phase_map(p).depth)}**. ")
    assert len(text) <= 200, "two lines of a projector"
    assert not re.search(r"\bnan\b|\binf\b|not a number", text)


def test_a_point_off_the_plane_is_drawn_at_its_edge_with_its_value_in_words():
    found = phase_view(PhaseParams())
    still = found.plane["marks"].to_pandas()
    beyond = still[still.part == "beyond"]
    assert set(beyond.sigma_w2) == {256.0, 85.3333, 21.3333}
    assert (beyond.x == plane("tanh").sigma_w2[-1] + 0.05).all()
    assert all(f"(at {w:.4g} →)" in found.legend for w in beyond.sigma_w2)


@pytest.mark.parametrize(("activation", "fan_in"), [
    ("tanh", 256), ("tanh", 4), ("sigmoid", 256), ("softsign", 2), ("relu", 2048)])
def test_every_initializer_has_a_number_with_its_name_and_no_number_lies_on_another_one(activation, fan_in):
    found = phase_view(PhaseParams(activation, fan_in=fan_in))
    still = found.plane["marks"].to_pandas()
    points, badges = still[still.part.isin(["point", "beyond"])], still[still.part == "badge"]
    said = "; ".join(points.text)
    assert all(f"{INITIALIZERS[mark.name].title}: " in said for mark in landmarks(activation, fan_in))
    np.testing.assert_array_equal(badges.sigma_w2, points.sigma_w2)
    assert list(badges.name) == re.findall(r"\*\*(\d+)\*\*\s\S", found.legend)
    places = np.stack([badges.x / found.right, badges.y / HIGHEST_BIAS], axis=1)
    assert places.max() < 1.01
    for one, other in itertools.combinations(places, 2):  # a badge is 20 pixels wide; 250 x 230 on a phone
        assert (np.abs(one - other) * (250, 230)).max() > 19


# ---- where it leads

@pytest.mark.parametrize("p", [
    PhaseParams("tanh", 1.76, 0.05), PhaseParams("relu", 0.333333, 0.00130208, 100),
    PhaseParams("tanh", 1e4, 0.5, 2048), PhaseParams("tanh", 0.0, 0.0)], ids=str)
def test_the_links_lead_to_the_same_point(p):
    links = [urlsplit(address) for address in re.findall(r"\]\(([^)]*)\)", phase_view(p).links)]
    assert [link.path for link in links] == ["initializers", "training"]
    for kind, link in zip((CompareParams, TrainParams), links, strict=True):
        there, refused = kind.parse_lenient(parse_qs(link.query), text=True)
        assert not refused
        fan_in = there.widths[1]
        (name,) = there.initializers
        sigma_w2 = fan_in * there.gamma**2 * INITIALIZERS[name].variance(fan_in, fan_in)
        assert sigma_w2 == pytest.approx(p.sigma_w2, rel=1e-5)
        assert there.activation == p.activation
        if kind is CompareParams:
            assert there.sigma_b2 == pytest.approx(p.sigma_b2, rel=1e-5)
            assert there.depth == p.depth


# ---- what it says

@pytest.mark.parametrize(("depth", "words"), [
    (94.74, "about 95 layers"), (1.2, "about 1 layer"), (0.6, "less than 1 layer"), (math.inf, "any depth"),
    (9400.0, "about 9,400 layers"), (29472.0, "any depth"), (math.nan, "–")])
def test_depths_read_like_depths(depth, words):
    assert layers(depth) == words


def test_the_identity_is_not_judged_as_a_random_matrix():
    for p in (PhaseParams("tanh", fan_in=2), PhaseParams("relu", fan_in=1)):
        lines = phase_view(p).landmarks.splitlines()[2:]
        (row,) = (line for line in lines if "identity" in line)
        assert [cell.strip() for cell in row.split("|")[4:-1]] == ["not random", "–", "–"]
        assert any("zeros" in line and "ordered" in line for line in lines)


@pytest.mark.parametrize(("sigma_w2", "fan_in", "said"), [
    (1.76, 16, True), (1.76, 1024, True), (1.5, 2048, False), (0.5, 4, True), (0.5, 2048, False)])
def test_nets_that_would_be_deeper_than_wide_are_told_of_the_other_limit(sigma_w2, fan_in, said):
    p = PhaseParams("tanh", sigma_w2, 0.05, fan_in=fan_in)
    assert (phase_map(p).depth > fan_in) == said
    assert ("Nets deeper than they are wide" in phase_view(p).remarks) == said


@pytest.mark.parametrize(("activation", "sigma_w2", "sigma_b2", "away"), [
    ("gelu", 2.3, 0.0, True), ("silu", 2.5, 0.05, True), ("mish", 2.2, 0.0, True), ("gelu", 2.0, 0.0, False),
    ("gelu", 2.6, 0.0, False), ("tanh", 1.76, 0.05, False), ("tanh", 4.0, 0.0, False),
    ("relu", 1.0, 0.1, False), ("sigmoid", 100.0, 0.3, False)])
def test_a_point_that_unit_inputs_never_reach_is_not_where_nets_end(activation, sigma_w2, sigma_b2, away):
    p = PhaseParams(activation, sigma_w2, sigma_b2, depth=60)
    shown = phase_view(p)
    log10_q = phase_map(p).profile.log10_q
    assert ("Inputs of mean square 1 run away" in shown.verdict) == away
    assert ("smaller inputs settle at" in shown.numbers) == away
    if away:
        assert (np.diff(log10_q) > 0).all()
        assert log10_q[-1] > 2
        assert "dies out" not in shown.remarks


def test_where_nothing_passes_there_is_no_correlation_and_the_page_says_so():
    for sigma_b2, silent in ((0.0, True), (0.1, False)):
        shown = phase_view(PhaseParams("tanh", 0.0, sigma_b2))
        table = shown.course["correlation"].to_pandas()
        assert (not (table.part == "line").any()) == silent == ("no correlation to draw" in shown.remarks)


def test_without_a_fixed_point_the_verdict_says_so_and_by_how_much_it_grows():
    shown = phase_view(PhaseParams("relu", 3.0, 0.05))
    assert "No fixed point: the signal grows without bound." in shown.verdict
    assert "each multiplies the squared gradient by 1.50." in shown.verdict
    assert "No fixed point: the variance grows without bound (×1.5 a layer)." in shown.remarks
    assert "Signal and gradient explode, ×1.50 a layer" in shown.remarks


@pytest.mark.parametrize(("sigma_w2", "words"), [
    (1.5, "each multiplies the squared gradient by 0.922"), (1.76, "The gradient keeps its size"),
    (2.5, "each multiplies the squared gradient by 1.12"),
    (0.3, "each multiplies the squared gradient by 0.26")])
def test_what_a_layer_does_to_the_squared_gradient_is_its_measured_factor(sigma_w2, words):
    p = PhaseParams("tanh", sigma_w2)
    assert words in phase_view(p).verdict
    grad2 = phase_map(p).profile.measured.log10("grad2").mean(axis=0)
    factor = 10 ** ((grad2[0] - grad2[-1]) / (len(grad2) - 1))
    said = re.search(r"[\d.]*\d", words)
    assert (float(said[0]) if said else 1.0) == pytest.approx(factor, rel=0.04, abs=0.01)


@pytest.mark.parametrize("p", [PhaseParams(), PhaseParams("tanh", 25 / 9, 0.0), PhaseParams("relu", 1.0, 0.0),
                               PhaseParams("relu", 2.0, 0.0), PhaseParams("gelu", 1.0)], ids=str)
def test_every_factor_of_the_page_is_that_of_the_squared_gradient_and_says_where(p):
    shown = phase_view(p)
    at_limit = re.search(r"squared gradient by χ₁ = ([\d.]*\d)", shown.numbers)[1]
    on_the_way = re.search(r"On the way there it is ([\d.]*\d)", shown.numbers)
    in_verdict = re.search(r"squared gradient by ([\d.]*\d)", shown.verdict)
    assert ("At the limit q" in shown.numbers) == (p.activation != "relu")
    chi_1 = fixed_point(p.activation, p.sigma_w2, p.sigma_b2).chi_1
    assert float(at_limit) == pytest.approx(chi_1, abs=0.006)
    assert not in_verdict or in_verdict[1] == (on_the_way[1] if on_the_way else at_limit)
    assert not re.search(r"C\\?\*", shown.remarks), "a symbol has no capital"


def test_a_limit_that_no_solver_can_tell_from_0_is_0_and_an_endless_depth_is_no_number():
    shown = phase_view(PhaseParams("tanh", 25 / 9, 0.0))
    assert "c\\* = 0 |" in shown.numbers
    endless = phase_view(PhaseParams("tanh", 1.0, 0.0))
    assert "theory sets **no limit** to the depth of tanh nets" in endless.verdict
    assert "| no limit |" in endless.landmarks


@pytest.mark.parametrize(("activation", "sigma_w2", "sigma_b2", "cell", "limit"), [
    ("tanh", 0.9, 0.0, "depends on where they start | –", None),
    ("gelu", 2.0, 0.0, "depends on where they start | –", None),
    ("relu", 1.0, 0.0, "c\\* = 1.00 | –", "┈ c* = 1.00"),
    ("tanh", 0.9, 0.05, "c\\* = 1.00 | ξc = 2.88", "┈ c* = 1.00")])
def test_a_limit_that_no_pair_of_inputs_comes_to_is_neither_named_nor_drawn(activation, sigma_w2, sigma_b2,
                                                                           cell, limit):
    shown = phase_view(PhaseParams(activation, sigma_w2, sigma_b2))
    assert f"| correlation of two inputs | {cell} |" in shown.numbers
    drawn = {text for text in shown.course["correlation"].to_pandas().text.dropna() if text}
    assert {text for text in drawn if text.startswith("┈")} == ({limit} if limit else set())
    assert ("ξc" in drawn) == (sigma_b2 > 0)
    assert "vanishing bias" not in shown.remarks
    assert ("without biases" in shown.remarks.lower()) == (sigma_b2 == 0)


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(sorted(ACTIVATIONS)), st.floats(0, 1e4), st.floats(0, 0.5), st.integers(1, 2048),
       st.floats(0.1, 2))
def test_no_word_and_no_mark_is_not_a_number(activation, sigma_w2, sigma_b2, fan_in, gamma):
    shown = phase_view(PhaseParams(activation, sigma_w2, sigma_b2, fan_in, gamma, 10))
    for words in (shown.verdict, shown.remarks, shown.numbers, shown.landmarks):
        assert not re.search(r"\bnan\b|\binf\b|not a number|\de[+-]\d", words), words
    assert np.isfinite(shown.plane["cells"].to_pandas()[["sigma_w2", "sigma_b2"]].to_numpy()).all()
    for drawn in (shown.plane["marks"], *shown.course.values()):
        assert np.isfinite(drawn.to_pandas()[["x", "y"]].to_numpy(float)).all()


# ---- clicks, as the browser sends them and as none does

def select(visitor, text):
    return visitor.send(state(visitor.page.widget("plane").id, "string_value", text))


def click(visitor, *points):
    picked = list(points) or {}  # a browser's nothing
    return select(visitor, json.dumps({"selection": {"picked": picked}}))


def test_every_click_opens_its_place_also_the_second_on_the_same(visitor):
    """The browser picks with one click on a place and unpicks with the next."""
    here, there, beyond = ({"sigma_w2": w, "sigma_b2": b} for w, b in ((2.5, 0.05), (2, 0), (21.3333, 0.01)))
    visitor.open("trainable_depth")
    clicks = (([here], "2.5 and σb² = 0.05, "), ([here, there], "2 and σb² = 0, "), ([there], "2.5 and "),
              ([], "2 and "), ([here], "2.5 and "), ([here, beyond], "21.33 and σb² = 0.01, "))
    for picked, opened in clicks:
        assert f"With σw² = {opened}" in click(visitor, *picked).verdict, picked


def test_what_is_no_point_and_a_selection_of_another_shape_open_nothing_and_break_nothing(visitor):
    before = visitor.open("trainable_depth").verdict
    points = [[], [{}], [{"sigma_w2": "x", "sigma_b2": 0}], [{"sigma_w2": 1e9, "sigma_b2": 0}], [7], [[1, 2]],
              [{"sigma_w2": None, "sigma_b2": True}]]
    texts = ['{"selection": {"picked": null}}', '{"selection": {}}', "{}", "[]",
             '{"selection": {"picked": {"sigma_w2": [1]}}}']
    for text in [*texts, *(json.dumps({"selection": {"picked": picked}}) for picked in points)]:
        after = select(visitor, text)
        assert not after.exceptions, text
        assert after.verdict == before


def test_a_gradient_without_one_rate_is_said_as_what_comes_of_it_in_all():
    """No "vanishes" in the verdict beside "shrinks" below it, of nets that SGD may train."""
    log_q, total = 0.0, 0.0
    for _ in range(49):
        u = math.exp(log_q / 2) * NODES
        log_q = math.log(0.9 * (MASSES @ np.tanh(u) ** 2))
        total += math.log10(0.9 * (MASSES @ (1 - np.tanh(u) ** 2) ** 2))
    verdict = phase_view(PhaseParams(activation="tanh", sigma_w2=0.9, sigma_b2=0)).verdict
    number, power = re.search(r"gradient is multiplied by ([\d.]+)·10(\S+) in all", verdict).groups()
    shown = math.log10(float(number)) + int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    assert shown == pytest.approx(total, abs=0.1)  # q of the first layer is 0.9, not 1
