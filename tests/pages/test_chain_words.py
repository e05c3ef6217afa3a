"""Sentences and tables of the linear chain: what they name is drawn, and true of a chain computed here."""

import re

import numpy as np
import pytest

from pages.parts.questions import reveal
from pages.parts.scenes import SCENE_BY_NAME
from pages.parts.series_style import GLYPHS, SERIES_STYLES
from pages.parts.views.linear_chain import WHY, chain_view
from vgdash.chain_learning import OUTCOMES, DescentParams, descent
from vgdash.linear_chain import ChainParams


@pytest.mark.parametrize("factor", [1.00658, 0.997, 1.03, 0.37])
def test_the_first_layers_of_a_chain_differ_in_their_table(factor):
    cells = chain_view(ChainParams(factor=factor, depth=152), 0.01).first.splitlines()[2].split("|")[2:-1]
    values = [float(cell.replace("·10⁻⁴", "e-4")) for cell in cells]
    assert values == pytest.approx([factor**layer for layer in range(8)], rel=0.05 * abs(factor - 1))
    assert len(set(values)) == 8


@pytest.mark.parametrize(("factor", "depth"), [
    (0.5, 150), (0.5, 151), (1.5, 28), (1.5, 29), (2.0, 16), (2.0, 17), (1.0, 50), (0.5, 26)])
@pytest.mark.parametrize("kind", ["scaled identity", "diagonal"])
def test_a_format_ends_in_the_sentence_at_a_layer_that_is_drawn_or_would_end(factor, depth, kind):
    view = chain_view(ChainParams(factor=factor, depth=depth, kind=kind, factor2=factor), 0.01)
    ended, _, would = view.verdict.replace(",", "").partition(" would ")
    cells = {line.split("|")[1].strip(): line.split("|")[2] for line in view.formats.splitlines()[2:]}
    said = dict(re.findall(r"(float\d+) (?:\w+ zero at layer|overflows at layer|at) (\d+)", ended))
    there = {name: re.search(r"(\d+) (?:is zero|overflows)", cell) for name, cell in cells.items()}
    assert said == {name: found[1] for name, found in there.items() if found and name != "bfloat16"}
    assert all(int(layer) < depth for layer in said.values())
    assert all(int(layer) >= depth for layer in re.findall(r"at layer (\d+)", would))


def test_every_matrix_of_the_chain_gets_the_gradient_of_its_why():
    c, depth, x = 0.9, 12, np.ones(2)

    def output(layer, entry):
        matrices = [c * np.eye(2) + (at == layer) * np.diag([entry, 0]) for at in range(depth - 1)]
        return np.ones(2) @ np.linalg.multi_dot(matrices) @ x

    slopes = [output(layer, 0.5) - output(layer, -0.5) for layer in range(depth - 1)]  # linear in each entry
    assert slopes == pytest.approx([c ** (depth - 2)] * (depth - 1))
    assert "every $C$ of this chain gets the\nsame factor, $c^{\\,L-2}$" in WHY


@pytest.mark.parametrize(("factor", "depth", "rate"), [
    (1.5, 150, 0.01), (0.5, 9, 0.01), (0.9, 152, 0.01), (1.0, 50, 0.01), (0.5, 150, 1.0), (2.0, 10, 1.0),
    (0.1, 60, 0.001)])
def test_the_sentence_on_learning_explains_every_mark_of_its_chart(factor, depth, rate):
    view = chain_view(ChainParams(factor=factor, depth=depth), rate)
    marks = view.steps.to_pandas()
    drawn = {GLYPHS[SERIES_STYLES[outcome].marker] for outcome in marks.series[marks.part == "point"]}
    assert {glyph for glyph in GLYPHS.values() if glyph in view.learning} == drawn
    assert ("The line" in view.learning) == (marks.part == "line").any()


def test_a_chain_that_never_learns_stands_above_every_one_that_does():
    marks = chain_view(ChainParams(factor=0.1, depth=60), 1.0).steps.to_pandas()
    height = marks[marks.part == "point"].groupby("series").y
    assert height.min()["frozen"] > max(height.max()["reached"], height.max()["capped"])
    assert "never" in set(marks.text[marks.part == "limit"])


def test_the_sentence_on_learning_says_at_which_depths():
    learned = descent(DescentParams(0.5, 60, learning_rate=1.0, cap=2_000))
    said = chain_view(ChainParams(factor=0.5, depth=60), 1.0).learning
    assert set(learned.outcome) == set(OUTCOMES)
    where = {"capped": r"some of (\d+) to (\d+) layers", "frozen": r"(\d+) layers or more()"}
    for outcome, words in where.items():
        first, last = re.search(f"{words}: {OUTCOMES[outcome]}", said).groups(default="")
        there = learned.depths[learned.outcome == outcome]
        assert (int(first), int(last or learned.params.depth)) == (there.min(), there.max())
        assert (len(there) == there.max() - there.min() + 1) == (not last)


def test_the_task_is_said_and_a_net_that_learned_is_as_near_as_that():
    said = chain_view(ChainParams(factor=0.5, depth=9), 0.01).learning
    assert "Task: output 1 for input 1. A net has learned when it is within 10 % of that." in said
    steps = descent(DescentParams(0.5, 9, cap=2_000)).steps
    for depth, needed in enumerate(steps, start=1):
        w, misses = 0.5, []
        for _ in range(needed + 1):
            misses.append(abs(w**depth - 1))
            w -= 0.01 * (w**depth - 1) * w ** (depth - 1)
        assert misses[-1] <= 0.1 < misses[-2]


def test_the_chart_of_tiny_steps_shows_the_steps_of_its_answer():
    scene = SCENE_BY_NAME["linear_chain", "tiny steps"]
    marks = chain_view(scene.params, 0.01).steps.to_pandas()
    points = marks[marks.part == "point"]
    assert set(points.series) == {"reached"}
    for depth, steps in re.findall(r"(\d) layers: ([\d,]+)", reveal(scene.question, scene.params).why):
        assert f"({steps} steps)" in points.text[points.x == int(depth)].item()
