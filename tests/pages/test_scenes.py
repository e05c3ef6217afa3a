"""Every scene is valid, every answer is recomputed here by other means, old links keep their meaning."""

import math
import re

import numpy as np
import pytest

from pages.parts import scenes
from pages.parts.questions import QUESTIONS, reveal
from pages.parts.scenes import SCENE_BY_NAME, SCENES
from tests.test_architecture import GRAPH
from vgdash import ChainParams, probe
from vgdash.probe.probe import CompareParams

ASKED = [scene for scene in SCENES if scene.question]

# links of version 1, as they were given out: page, scene, and values that are no defaults. They never change.
GIVEN_OUT = [
    ("linear_chain", "1.5", {"factor": 1.5, "depth": 150}),
    ("linear_chain", "0.5", {"factor": 0.5, "depth": 150}),
    ("linear_chain", "halves", {"factor": 0.5, "depth": 9}),
    ("linear_chain", "0.9", {"factor": 0.9, "depth": 152}),
    ("linear_chain", "gradients too", {"factor": 0.9, "depth": 256}),
    ("neuron_variance", "n = 4", {"n": 4, "rule": "1"}),
    ("neuron_variance", "2/n", {"n": 100, "rule": "2/n", "activation": "relu"}),
    ("initializers", "ReLU", {"depth": 50, "activation": "relu"}),
    ("initializers", "152 layers", {"depth": 152, "width": 128}),
    ("training", "only He learns", {"depth": 30, "width": 64, "dataset": "digits"}),
]


def independent_answers() -> dict[tuple[str, str], int]:
    """The right option of each question, from plain arithmetic or from measurement, without ``questions``."""
    halved, layers = np.float16(1), 0
    while halved:
        halved, layers = np.float16(halved * np.float16(0.5)), layers + 1

    def steps(depth):
        w, count = 0.5, 0
        while (w**depth - 1) ** 2 > 0.01:
            w, count = w - 0.01 * (w**depth - 1) * w ** (depth - 1), count + 1
        return count

    def nearest(value, *options):
        return int(np.argmin([abs(value - option) for option in options]))

    def last_q(net):
        return net.log10("q")[:, -1]

    rng = np.random.default_rng(1)
    z = rng.standard_normal((2000, 100)) @ rng.standard_normal(100) / 10

    def net(scene, i=0):
        return probe(SCENE_BY_NAME["initializers", scene].params.probes[i])

    lecun, he, tanh = net("ReLU"), net("ReLU", 2), net("tanh", 2)
    thin, wide, norm = net("finite width"), net("parallel inputs"), net("BatchNorm")
    angle = math.degrees(math.acos(wide.correlation[:, -1].mean()))
    return {
        ("linear_chain", "1.5"): nearest(150 * math.log10(1.5), math.log10(225), 8, 26, 100),
        ("linear_chain", "0.5"): {25: 1, 150: 2, 1075: 3}[layers],
        ("linear_chain", "0.9"): nearest(152 * math.log10(0.9), math.log10(0.5), -2, -7),
        ("linear_chain", "tiny steps"): 1 if steps(8) > steps(2) else 0,
        ("neuron_variance", "ReLU halves"): nearest(
            (np.maximum(z, 0) ** 2).mean() / (z**2).mean(), 1, 0.5, 0.25, 0),
        ("initializers", "ReLU"): 2 if abs(last_q(he).mean()) < 2 < abs(last_q(lecun).mean()) else 0,
        ("initializers", "tanh"): 2 if tanh.log10("grad2")[:, 0].mean() > 1 else 0,
        ("initializers", "finite width"): 2 if np.ptp(last_q(thin)) > 3 else 1,
        ("initializers", "parallel inputs"): nearest(angle, 90, 50, 9),
        ("initializers", "BatchNorm"): 2 if norm.log10("grad2")[:, 0].mean() > 1 else 0,
    }


def test_every_answer_is_the_one_that_other_means_give():
    truth = independent_answers()
    assert {(scene.page, scene.name) for scene in ASKED} == set(truth)
    assert {(scene.page, scene.name): reveal(scene.question, scene.params).index for scene in ASKED} == truth
    assert {scene.question for scene in ASKED} == set(QUESTIONS)


@pytest.mark.parametrize("scene", ASKED, ids=lambda scene: scene.name)
def test_an_answer_follows_the_parameters_and_its_reason_has_a_number(scene):
    truth = reveal(scene.question, scene.params)
    assert 3 <= len(QUESTIONS[scene.question].options) <= 5
    assert any(character.isdigit() for character in truth.why)
    shown = {r"(\d+) layers": "depth", r"width (\d+)": "width"} if scene.page == "initializers" else {}
    for pattern, key in shown.items():  # of the net that the scene shows
        said = re.findall(pattern, QUESTIONS[scene.question].text)
        assert {int(number) for number in said} <= {getattr(scene.params, key)}


def test_scenes_are_data_and_questions_know_no_page():
    own, asked = ({name for name in GRAPH[f"pages.parts.{part}"] if name.startswith("pages")}
                  for part in ("scenes", "questions"))
    assert (own, asked) == (set(), {"pages.parts.text"})


def test_an_answer_is_not_stored_text():
    assert reveal("which_survives", CompareParams(activation="linear")).index in (0, 1)
    assert reveal("nine_tenths", ChainParams(factor=0.5, depth=1)).index == 0


@pytest.mark.parametrize("scene", scenes.of_page("initializers"), ids=lambda scene: scene.name)
def test_a_scene_looks_closer_at_an_initializer_that_it_compares(scene):
    assert scene.values.get("of", "lecun_normal") in scene.params.initializers


def test_the_walk_passes_every_scene_once_in_both_directions():
    assert len(SCENES) == len(SCENE_BY_NAME) >= 20
    here, forwards = SCENES[0], [SCENES[0]]
    while (here := scenes.neighbours(here.page, here.name)[1]) is not None:
        forwards.append(here)
    here, backwards = SCENES[-1], [SCENES[-1]]
    while (here := scenes.neighbours(here.page, here.name)[0]) is not None:
        backwards.append(here)
    assert forwards == list(SCENES) == backwards[::-1]


@pytest.mark.parametrize(("page", "name", "values"), GIVEN_OUT)
def test_links_of_version_1_keep_their_meaning(page, name, values):
    p = SCENE_BY_NAME[page, name].params
    assert {key: getattr(p, key) for key in values} == values
