"""Every scene is valid, every answer is recomputed here by other means, old links keep their meaning."""

import itertools
import math
import re

import numpy as np
import pytest

from pages.parts import scenes
from pages.parts.questions import QUESTIONS, reveal
from pages.parts.scenes import SCENE_BY_NAME, SCENES
from pages.parts.views import same_net
from tests.opened import opened
from tests.test_architecture import import_graph
from vgdash import ChainParams, predict, probe, train
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

    def back(i):
        return net("framework defaults", i).log10("grad2")[:, 0].mean()

    lecun, he, tanh = net("ReLU"), net("ReLU", 2), net("tanh", 2)
    thin, wide, norm = net("finite width"), net("parallel inputs"), net("BatchNorm")
    angle = math.degrees(math.acos(wide.correlation[:, -1].mean()))
    return {
        ("linear_chain", "1.5"): nearest(149 * math.log10(1.5), math.log10(225), 8, 26, 100),
        ("linear_chain", "0.5"): {25: 1, 150: 2, 1075: 3}[layers],
        ("linear_chain", "0.9"): nearest(151 * math.log10(0.9), math.log10(0.5), -2, -7),
        ("linear_chain", "tiny steps"): 1 if steps(8) > steps(2) else 0,
        ("neuron_variance", "n = 4"): nearest((rng.standard_normal((9000, 2, 4)).prod(1).sum(1)).var(),
                                              1, 2, 4, 16),
        ("neuron_variance", "ReLU halves"): nearest(
            (np.maximum(z, 0) ** 2).mean() / (z**2).mean(), 1, 0.5, 0.25, 0),
        ("initializers", "ReLU"): 2 if abs(last_q(he).mean()) < 2 < abs(last_q(lecun).mean()) else 0,
        ("initializers", "tanh"): 2 if tanh.log10("grad2")[:, 0].mean() > 1 else 0,
        ("initializers", "finite width"): 2 if np.ptp(last_q(thin)) > 3 else 1,
        ("initializers", "parallel inputs"): nearest(angle, 90, 50, 9),
        ("initializers", "BatchNorm"): 2 if norm.log10("grad2")[:, 0].mean() > 1 else 0,
        ("initializers", "framework defaults"): next((i for i in range(3) if abs(back(i)) < 1), 3),
        **independent_answers_about_depth(),
    }


def independent_answers_about_depth() -> dict[tuple[str, str], int]:
    """From inputs sent through wide random nets, and for ReLU from its moments."""
    rng = np.random.default_rng(2)

    def correlations(sigma_w2, start):
        x = rng.standard_normal(800)
        a, b = x, start * x + math.sqrt(1 - start**2) * rng.standard_normal(800)
        for _ in range(40):
            w = rng.standard_normal((800, 800)) * math.sqrt(sigma_w2 / 800)
            bias = rng.standard_normal(800) * math.sqrt(0.05)
            z = w @ a + bias, w @ b + bias
            a, b = map(np.tanh, z)
        return z[0] @ z[1] / math.sqrt(z[0] @ z[0] * (z[1] @ z[1]))

    z, q = rng.standard_normal(200_000), 1.0
    for _ in range(100):
        q = 25 / 9 * (np.tanh(math.sqrt(q) * z) ** 2).mean()
    slope = 25 / 9 * (np.cosh(math.sqrt(q) * z) ** -4).mean()
    return {
        ("trainable_depth", "ordered"): 2 if correlations(1.5, 0.0) > 0.9 else 1,
        ("trainable_depth", "chaotic"): 2 if correlations(2.5, 0.99) < 0.8 else 0,
        ("trainable_depth", "gain 5/3"): 2 if slope > 1.05 else 1 if slope > 0.95 else 0,
        # n·Var(w) is 1/3 for U(±1/√n), and ReLU passes every other gradient
        ("trainable_depth", "PyTorch default"): int(np.abs(1 / 6 - np.array([1, 0.5, 1 / 6, 0])).argmin()),
    }


def trained(p, rule, steps):
    """Train one net in PyTorch; return its accuracy on new digits, nan if it diverges."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    f = {"relu": torch.relu, "sigmoid": torch.sigmoid}[p.activation]
    x, y, x_new, y_new = map(torch.tensor, (p.data.x_train, p.data.y_train, p.data.x_test, p.data.y_test))
    weights = [torch.randn(m, n) * math.sqrt(rule(n, m)) for n, m in itertools.pairwise(p.widths)]
    biases = [torch.zeros(m) for m in p.widths[1:]]
    for parameter in (*weights, *biases):
        parameter.requires_grad_()

    def net(x):
        z = x @ weights[0].T + biases[0]
        for w, b in zip(weights[1:], biases[1:], strict=True):
            u = f(z) @ w.T + b
            z = z + u if p.residual == "plain" and u.shape == z.shape else u
        return z

    for _ in range(steps):
        rows = torch.randint(len(x), (p.batch,))
        loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows].long())
        if not torch.isfinite(loss):
            return math.nan
        for parameter, slope in zip((*weights, *biases), torch.autograd.grad(loss, (*weights, *biases)),
                                    strict=True):
            parameter.data -= p.learning_rate * slope
    return (net(x_new).argmax(1) == y_new).float().mean().item()


def test_answers_about_training_are_those_of_another_library():
    he, glorot = lambda n, m: 2 / n, lambda n, m: 2 / (n + m)
    p = {scene.name: scene.params for scene in ASKED if scene.page == "training"}
    thirty = [trained(p["only He learns"], rule, 100)
              for rule in (lambda n, m: 0.0, lambda n, m: 1e-4, glorot, he)]
    assert np.argmax(thirty) == reveal("who_learns", p["only He learns"]).index == 3
    sigmoid = [trained(p["sigmoid"], rule, 200) for rule in (lambda n, m: 1 / n, glorot, he)]
    assert (max(sigmoid) < 0.5) == (reveal("sigmoid_learners", p["sigmoid"]).index == 0)
    for question, name in (("learning_rate_one", "a step too large"), ("skips_alone", "residual alone")):
        right = trained(p[name], he, 60)
        assert (math.isnan(right) or right < 0.2) == (reveal(question, p[name]).index == 2)


def test_every_answer_is_the_one_that_other_means_give():
    truth = independent_answers()
    asked = [scene for scene in ASKED if scene.page != "training"]
    assert {(scene.page, scene.name) for scene in asked} == set(truth)
    assert {(scene.page, scene.name): reveal(scene.question, scene.params).index for scene in asked} == truth
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
    own, asked = ({name for name in import_graph()[f"pages.parts.{part}"] if name.startswith("pages")}
                  for part in ("scenes", "questions"))
    assert (own, asked) == (set(), {"pages.parts.text"})


def test_many_are_asked_on_every_page_and_what_shows_before_does_not_tell():
    assert len(ASKED) >= 16
    assert {scene.page for scene in ASKED} == {scene.page for scene in SCENES} - {"published"}
    for scene in ASKED:
        question = QUESTIONS[scene.question]
        answer = question.options[reveal(scene.question, scene.params).index]
        told = set(re.findall(r"[a-z]{4,}", answer.lower()))
        shown = set(re.findall(r"[a-z]{4,}", scene.label.lower()))
        assert not (told - {"layers"}) & shown, scene.label


def test_an_answer_is_not_stored_text():
    assert reveal("which_survives", CompareParams(activation="linear")).index in (0, 1)
    assert reveal("nine_tenths", ChainParams(factor=0.5, depth=1)).index == 0


@pytest.mark.parametrize("scene", scenes.of_page("initializers"), ids=lambda scene: scene.name)
def test_a_scene_looks_closer_at_an_initializer_that_it_compares(scene):
    assert scene.values.get("of", "lecun_normal") in scene.params.initializers


def test_the_scenes_of_152_layers_say_what_their_two_sides_show():
    chain = SCENE_BY_NAME["linear_chain", "ResNet 152"]
    assert chain.params.factor == pytest.approx(1 + 1 / 152, abs=1e-5)
    for depth in (151, 152):  # with and without the last matrix
        ours, theirs = ((p.factor**depth, p.depth) for p in chain.sides)
        assert (f"×{ours[0]:.1f}", ours[1], theirs[1]) == ("×2.7", 152, 152)
        assert 1e26 < theirs[0] < 1e27
    assert "×2.7 in all, not 10²⁶" in chain.say

    deep = SCENE_BY_NAME["initializers", "ResNet 152"]
    with_skips, without = (probe(p.probes[0]) for p in deep.sides)
    assert [one.params.residual for one in (with_skips, without)] == ["plain", "none"]
    for one, decades in ((with_skips, (0, 4)), (without, (20, 30))):
        assert (one.params.depth, one.params.normalization) == (152, "batch")
        back = one.log10("dw2")[:, 0] - one.log10("dw2")[:, -1]
        assert decades[0] < back.min() <= back.max() < decades[1]


def test_what_scenes_say_of_a_layer_is_what_theory_finds():
    grows = {}
    for net in same_net.comparison(SCENE_BY_NAME["training", "residual alone"].params).probes:
        grows[net.initializer] = 10 ** np.diff(predict(net).log10_q)[:-1]  # a last layer of 10 has no skip
    assert grows["lecun_normal"] == pytest.approx(1.5)
    assert grows["he_normal"] == pytest.approx(2.0)
    said = SCENE_BY_NAME["training", "residual alone"].say
    assert "adds half of the variance (LeCun) or doubles it (He)" in said

    narrow = SCENE_BY_NAME["initializers", "finite width"].params
    net = narrow.probes[0]
    variance = predict(net).band_q.variance
    assert np.diff(variance).max() <= 5 / net.width
    assert variance[-1] < 0.95 * 5 * net.depth / net.width, "the first layers add less"
    assert "adds up to 5/width" in reveal("finite_width", narrow).why


def test_a_step_that_saves_is_unstable_and_the_bad_start_draws_level():
    p = SCENE_BY_NAME["training", "a step that saves"].params
    bad, good = np.array([shot.held_out.mean(axis=1) for shot in train(p) if shot.step in p.held_out_steps]).T
    assert np.abs(bad - good).min() < 0.05 < 0.8 < bad.max(), "it is not far behind"
    assert np.diff(bad).min() < -0.2, "it falls back"


@pytest.mark.parametrize(("page", "name"), [
    (scene.page, scene.name) for scene in SCENES if scene.beside or scene.note])
def test_a_scene_shows_both_sides_and_its_note_with_sources(page, name):
    scene = SCENE_BY_NAME[page, name]
    shown = opened(page, scene=name)
    sides = [text.value for text in shown.markdown if text.value.startswith(("**A**:", "**B**:"))]
    assert len(sides) == (2 if scene.beside else 0)
    assert scene.note in [caption.value for caption in shown.caption]
    assert scene.note.count("](https://") >= 1
    assert {scene.params.depth} == {152}


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
