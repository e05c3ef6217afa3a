"""The lecture as data: every scene is valid, every answer is recomputed here by other means, old links keep their meaning."""

import math
import re

import numpy as np
import pytest

from pages.parts import scenes
from pages.parts.scenes import SCENES
from vgdash import probe
from vgdash.probe.probe import CompareParams

ASKED = [scene for scene in SCENES if scene.question]
BY_NAME = {(scene.page, scene.name): scene for scene in SCENES}

# links of version 1, as they were given out: page, scene, and what it set that is not a default. They must never change.
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
    """The right option of each question, from plain arithmetic or from measurement, without the functions of ``scenes``."""
    halved, layers = np.float16(1), 0
    while halved:
        halved, layers = np.float16(halved * np.float16(0.5)), layers + 1

    def steps(depth):
        w, count = 0.5, 0
        while (w**depth - 1) ** 2 > 0.01:
            w, count = w - 0.01 * (w**depth - 1) * w ** (depth - 1), count + 1
        return count

    rng = np.random.default_rng(1)
    z = rng.standard_normal((2000, 100)) @ rng.standard_normal(100) / 10
    relu = probe(BY_NAME["initializers", "ReLU"].params.probes[0]), probe(BY_NAME["initializers", "ReLU"].params.probes[2])
    tanh = probe(BY_NAME["initializers", "tanh"].params.probes[2])
    thin = probe(BY_NAME["initializers", "finite width"].params.probes[0])
    wide = probe(BY_NAME["initializers", "parallel inputs"].params.probes[0])
    norm = probe(BY_NAME["initializers", "BatchNorm"].params.probes[0])
    angle = math.degrees(math.acos(wide.correlation[:, -1].mean()))
    return {
        ("linear_chain", "1.5"): int(np.argmin([abs(150 * math.log10(1.5) - x) for x in (math.log10(225), 8, 26, 100)])),
        ("linear_chain", "0.5"): {25: 1, 150: 2, 1075: 3}[layers],
        ("linear_chain", "0.9"): int(np.argmin([abs(152 * math.log10(0.9) - x) for x in (math.log10(0.5), -2, -7)])),
        ("linear_chain", "tiny steps"): 1 if steps(8) > steps(2) else 0,
        ("neuron_variance", "ReLU halves"): int(np.argmin([abs((np.maximum(z, 0) ** 2).mean() / (z**2).mean() - x)
                                                           for x in (1, 0.5, 0.25, 0)])),
        ("initializers", "ReLU"): 2 if abs(relu[1].log10("q")[:, -1].mean()) < 2 < abs(relu[0].log10("q")[:, -1].mean()) else 0,
        ("initializers", "tanh"): 2 if tanh.log10("grad2")[:, 0].mean() > 1 else 0,
        ("initializers", "finite width"): 2 if np.ptp(thin.log10("q")[:, -1]) > 3 else 1,
        ("initializers", "parallel inputs"): int(np.argmin([abs(angle - x) for x in (90, 50, 9)])),
        ("initializers", "BatchNorm"): 2 if norm.log10("grad2")[:, 0].mean() > 1 else 0,
    }


def test_every_answer_is_the_one_that_other_means_give():
    truth = independent_answers()
    assert {(scene.page, scene.name) for scene in ASKED} == set(truth)
    assert {(scene.page, scene.name): scene.question.answer(scene.params) for scene in ASKED} == truth


@pytest.mark.parametrize("scene", ASKED, ids=lambda scene: scene.name)
def test_an_answer_follows_the_parameters_and_its_reason_has_a_number(scene):
    assert 3 <= len(scene.question.options) <= 5
    assert any(character.isdigit() for character in scene.question.why(scene.params))


@pytest.mark.parametrize("scene", [scene for scene in ASKED if scene.page == "initializers"], ids=lambda scene: scene.name)
def test_a_question_is_about_the_net_that_its_scene_shows(scene):
    for pattern, of_scene in ((r"(\d+) layers", scene.params.depth), (r"width (\d+)", scene.params.width)):
        assert {int(said) for said in re.findall(pattern, scene.question.text)} <= {of_scene}


def test_an_answer_is_not_stored_text():
    question = BY_NAME["initializers", "ReLU"].question
    assert question.answer(CompareParams(activation="linear")) in (0, 1)
    assert BY_NAME["linear_chain", "0.9"].question.answer(scenes.KINDS["linear_chain"](factor=0.5, depth=1)) == 0


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.page} {scene.name}")
def test_every_scene_is_a_valid_state(scene):
    assert scene.params
    assert scene.say.endswith(".")
    assert scene.source


@pytest.mark.parametrize("scene", scenes.of_page("initializers"), ids=lambda scene: scene.name)
def test_a_scene_looks_closer_at_an_initializer_that_it_compares(scene):
    assert scene.values.get("of", "lecun_normal") in scene.params.initializers


def test_the_walk_passes_every_scene_once_in_both_directions():
    assert len(SCENES) == len(BY_NAME) >= 20
    here, forwards = SCENES[0], [SCENES[0]]
    while (here := scenes.neighbours(here.page, here.name)[1]) is not None:
        forwards.append(here)
    here, backwards = SCENES[-1], [SCENES[-1]]
    while (here := scenes.neighbours(here.page, here.name)[0]) is not None:
        backwards.append(here)
    assert forwards == list(SCENES) == backwards[::-1]


@pytest.mark.parametrize(("page", "name", "values"), GIVEN_OUT)
def test_links_of_version_1_keep_their_meaning(page, name, values):
    p = BY_NAME[page, name].params
    assert {key: getattr(p, key) for key in values} == values
