"""Every page under AppTest: what is plotted and said is what ``vgdash`` computes, in every scene."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest

from pages.parts import training_panel
from pages.parts.questions import QUESTIONS
from pages.parts.scenes import SCENES
from pages.parts.training_runs import Store
from pages.parts.views.training import DECISION, HISTOGRAMS, LOOKS_AT, RATES
from tests.opened import control, opened, plotted, sound, verdict
from tests.pages.slow import wait_for
from vgdash.probe.probe import CompareParams, ProbeParams, probe
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.training.trainer import TrainParams, train

POWERS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def drawn(table, part, series):
    """x and y of one part of one series, in the order of x."""
    rows = table[(table.part == part) & (table.series == series)].sort_values("x")
    return rows.x.to_numpy(), rows.y.to_numpy()


def told_log10(text):
    """log10 of the number in a text such as 2.6·10²⁶ or 1,234.5; no float could hold some of them."""
    mantissa, exponent = re.fullmatch(r"([\d.,]+)(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?", text).groups()
    return math.log10(float(mantissa.replace(",", ""))) + int(exponent.translate(POWERS) if exponent else 0)


def told(text):
    return 10 ** told_log10(text)


@pytest.fixture
def no_runs(monkeypatch):
    """Links and scenes of the training page start nothing here."""
    monkeypatch.setattr(training_panel, "start_when_ready", lambda: None)


@pytest.fixture
def own_store(monkeypatch):
    """A store of runs for this test alone."""
    mine = Store()
    monkeypatch.setattr(training_panel, "STORE", mine)
    return mine


def ended(page, store):
    """The page when its runs are over."""
    wait_for(lambda: all(run.over for run in store._runs.values()), 60)
    return sound(page.run())


NET = {"norm_scale": "scale of the normalization", "last_scale": "last layer: multiplies its weights",
       "last_bias": "last layer: all its biases", "input_mean": "inputs: then added"}


@pytest.mark.usefixtures("no_runs")
@pytest.mark.parametrize(("name", "state", "drawn"), [
    ("initializers", {}, {"last_scale", "last_bias", "input_mean"}),
    ("initializers", {"normalization": "layer"}, {"norm_scale", "input_mean"}),
    ("initializers", {"rescale": "lsuv"}, {"last_bias", "input_mean"}),
    ("initializers", {"normalization": "layer", "last_scale": "0"}, set(NET) - {"last_bias"}),
    ("training", {"normalization": "layer"}, set(NET)), ("training", {}, set(NET) - {"norm_scale"})])
def test_controls_of_the_net_stand_where_they_act_or_have_been_set(name, state, drawn):
    page = opened(name, **state)
    labels = [field.label for field in page.number_input]
    assert {key for key, label in NET.items() if any(one.startswith(label) for one in labels)} == drawn
    for dataset in ("wave", "moons") if name == "training" else ():
        page = opened(name, dataset=dataset, **state)
        labels = {widget.label for widget in (*page.slider, *page.selectbox)}
        assert ({"wrong labels, share", "loss"} <= labels) is (dataset == "moons")


@pytest.mark.usefixtures("no_runs")
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.page}: {scene.name}")
def test_every_scene_is_drawn_under_the_line_that_it_says(scene):
    page = opened(scene.page, scene=scene.name)
    labels = [one.label for one in SCENES if one.page == scene.page]
    assert list(control(page, "button_group", "scene").options) == labels
    assert not page.warning
    if scene.question is not None:
        question = QUESTIONS[scene.question]
        assert page.title[0].value == question.text, "the message would tell the answer"
        assert not page.get("vega_lite_chart"), "the answer must not show before the question"
        assert not any(text.value.startswith("## ") for text in page.markdown)
        assert list(page.radio[0].options) == list(question.options)
        page = sound(page.button(key="skip").click().run())
    assert page.title[0].value == scene.say
    assert page.get("vega_lite_chart") or scene.page in ("training", "published")


@pytest.mark.parametrize(("factor", "depth"), [(1.5, 150), (0.9, 152), (0.5, 9), (1.0, 256), (0.37, 1000)])
def test_the_chain_is_plotted_and_told_as_c_to_the_power_of_the_layer(factor, depth):
    page = opened("linear_chain", factor=str(factor), depth=str(depth))
    last = depth - 1  # the lecture's W[L] has another shape, so L - 1 factors are left
    for series, exponents in (("activation", lambda layer: layer), ("gradient", lambda layer: last - layer)):
        layers, log10 = drawn(plotted(page), "point", series)
        assert (layers[0], layers[-1]) == (0, last)
        np.testing.assert_allclose(log10, exponents(layers) * math.log10(factor), rtol=1e-9, atol=1e-9)
    linear = opened("linear_chain", factor=str(factor), depth=str(depth), scale="linear")
    layers, values = drawn(plotted(linear), "point", "activation")
    np.testing.assert_allclose(values, float(factor)**layers, rtol=1e-9)
    told_of = r"\*\*×([\d.]+) a layer\*\*: C([⁰¹²³⁴⁵⁶⁷⁸⁹]+)x has size (\S+)\. "
    said = re.search(told_of, verdict(page)).groups()
    assert float(said[0]) == factor
    assert int(said[1].translate(POWERS)) == last
    assert told_log10(said[2]) == pytest.approx(last * math.log10(factor), abs=0.03)  # two digits are told
    counting = next(text.value for text in page.markdown if "Two ways of counting" in text.value)
    both = [told_log10(size) for size in re.findall(r"size (\S+)\.", counting)]
    assert both == pytest.approx([power * math.log10(factor) for power in (last, depth)], abs=0.03)


def test_a_diagonal_chain_is_drawn_and_told_with_both_of_its_components():
    page = opened("linear_chain", kind="diagonal", factor="1.5", factor2="0.5", depth="20")
    for i, factor in ((1, 1.5), (2, 0.5)):
        for series, exponents in (("activation", np.arange(20)), ("gradient", np.arange(20)[::-1])):
            _, log10 = drawn(plotted(page), "point", f"{series} {i}")
            np.testing.assert_allclose(log10, exponents * math.log10(factor), atol=1e-9)
    assert "×1.50 and ×0.50 a layer**: C¹⁹x has size 2,217 and 1.9·10⁻⁶." in verdict(page)
    assert control(page, "slider", "factor2").value == 0.5
    with pytest.raises(StopIteration):
        control(opened("linear_chain"), "slider", "factor2")


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_the_halves_of_the_lecture_stand_at_their_points(scale):
    page = opened("linear_chain", factor="0.5", depth="9", scale=scale)
    values = plotted(page).query("part == 'value'").sort_values("x")
    assert list(values.text)[:5] == ["(1, 1)", "(½, ½)", "(¼, ¼)", "(⅛, ⅛)", "(1/16, 1/16)"]
    table = next(text.value for text in page.markdown if "Two ways" in text.value)
    assert "| a₂ | 1 | ½ | ¼ | ⅛ | 1/16 |" in table


@pytest.mark.parametrize(("depth", "steps"), [(1, 2), (2, 4), (3, 6), (4, 7), (150, 8)])
def test_the_chain_step_by_step_writes_one_line_more_at_each_step_and_stops_at_the_output(depth, steps):
    for step in (0, 1, 7):
        page = opened("linear_chain", scale="steps", depth=str(depth), step=str(step))
        drawing = next(text.value for text in page.markdown if "<svg" in text.value)
        lines = re.findall(r'<div class="(now|later|)">(.*?)</div>', drawing)
        assert len(lines) == steps
        assert [kind for kind, _ in lines].index("now") == min(step, steps - 1)
    plain = re.sub("<[^>]+>", "", lines[-1][1])
    assert plain.startswith(f"ŷ = W[{depth}]" + (f"C{depth - 1}x" if depth > 1 else "x"))
    size = re.search(r"= (\S+?)for W", plain).group(1)
    log10 = math.log10(Fraction(size)) if depth < 150 else told_log10(size)
    assert log10 == pytest.approx(math.log10(2) + (depth - 1) * math.log10(1.5), abs=0.03)
    assert ("float16 overflows" in drawing) == (depth == 150)
    assert "a<tspan font-size=\"75%\" dy=\"-5\">[28]" in drawing or depth < 150


@pytest.mark.parametrize(("factor", "ends"), [(1.5, "overflows"), (0.5, "reaches zero")])
def test_the_chain_names_the_layer_where_a_number_format_ends(factor, ends):
    x, layer = np.float16(1), 0
    with np.errstate(over="ignore"):
        while x and np.isfinite(x):
            x, layer = np.float16(x * np.float16(factor)), layer + 1
    assert f"float16 {ends} at layer {layer}" in verdict(opened("linear_chain", factor=str(factor)))


@pytest.mark.parametrize(("n", "rule", "activation"), [
    (4, "1", "linear"), (100, "1/n", "relu"), (1000, "2/n", "relu"), (64, "1/n", "tanh")])
def test_the_neuron_tells_the_predicted_and_the_measured_variance(n, rule, activation):
    page = opened("neuron_variance", n=str(n), rule=rule, activation=activation)
    variance = {"1": 1.0, "1/n": 1 / n, "2/n": 2 / n}[rule] * n
    predicted, measured = re.search(r"Var\(z\) = (\S+) predicted, (\S+) ±", verdict(page)).groups()
    assert told(predicted) == pytest.approx(variance, rel=0.005)  # three digits are told
    found = neuron_variance(NeuronParams(n=n, rule=rule, activation=activation))
    assert told(measured) == pytest.approx(found.measured, rel=0.01)
    middles, density = drawn(plotted(page), "bar", "sampled")
    np.testing.assert_allclose(middles, (found.edges[:-1] + found.edges[1:]) / 2, atol=1e-12)
    bars = plotted(page).query("part == 'bar'")
    np.testing.assert_allclose(bars[["low", "high"]], np.stack([found.edges[:-1], found.edges[1:]], axis=1))
    np.testing.assert_allclose(density, found.density)
    z, normal = drawn(plotted(page), "line", "Gaussian")
    gaussian = np.exp(-z**2 / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    np.testing.assert_allclose(normal, gaussian, rtol=1e-6)


def test_the_neuron_s_sweep_has_the_slopes_of_its_rules():
    page = opened("neuron_variance")
    for rule, slope in (("1", 1.0), ("1/n", 0.0), ("2/n", 0.0)):
        n, log10 = drawn(plotted(page, 2), "line", rule)
        np.testing.assert_allclose(np.diff(log10) / np.diff(np.log10(n)), slope, atol=1e-9)


@pytest.mark.parametrize(("n", "rule", "n_out"), [(4, "1", 4), (512, "2/(n_in+n_out)", 10)])
def test_a_ring_marks_the_chosen_neuron_and_the_drawing_shows_one_that_adds_up(n, rule, n_out):
    page = opened("neuron_variance", n=str(n), rule=rule, n_out=str(n_out), activation="tanh")
    (mark,) = plotted(page, 2).query("part == 'mark'").itertuples()
    variance = {"1": 1.0, "2/(n_in+n_out)": 2 / (n + n_out)}[rule] * n
    assert (mark.x, mark.series) == (n, rule)
    assert mark.y == pytest.approx(math.log10(variance))
    drawing = next(text.value for text in page.markdown if "<svg" in text.value)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
    numbers = [float(text.partition("=")[2].replace("−", "-")) for text in texts if "=" in text]
    assert len(numbers) == 4 + 2
    assert numbers[-1] == pytest.approx(math.tanh(numbers[-2]), abs=0.06)  # two digits are shown
    if n == 4:
        weights = [float(text[2:].replace("−", "-")) for text in texts if text.startswith("×")]
        assert numbers[-2] == pytest.approx(np.dot(numbers[:4], weights), abs=0.25)
    assert ("⋮" in texts) == (n > 4)


def test_the_cut_of_relu_can_be_seen_beside_z():
    page = opened("neuron_variance", n="1000", activation="relu")
    bars = plotted(page, 1).query("part == 'bar' and y > 0")
    assert bars.high.min() > 0, "nothing is left of 0"
    assert plotted(page, 0).query("part == 'bar' and y > 0").x.min() < -2
    assert "50% are 0" in set(plotted(page, 1).text)
    assert "are 0" not in " ".join(plotted(opened("neuron_variance", activation="tanh"), 1).text)


@pytest.mark.parametrize("query", [
    {"depth": "10", "width": "40"}, {"widths": "30-50-20x3-10", "gamma": "1.5", "seeds": "3", "of": "zeros"}])
def test_the_initializers_are_plotted_as_probed_one_by_one(query):
    names = ("lecun_normal", "he_uniform")
    page = opened("initializers", initializers=list(names), **query)
    p = CompareParams.parse_lenient({key: [value] for key, value in query.items()}, text=True)[0]
    for name in names:
        alone = probe(ProbeParams(widths=p.widths, initializer=name, gamma=p.gamma, seeds=p.seeds))
        for chart, statistic in enumerate(("q", "grad2")):
            layers, log10 = drawn(plotted(page, chart), "point", name)
            expected = np.log10(getattr(alone, statistic)).mean(axis=0)
            np.testing.assert_allclose(log10, expected[layers.astype(int) - 1], rtol=1e-5, atol=1e-6)
    assert f"{p.depth} layers" in verdict(page)
    assert control(page, "selectbox", "of").value == ("he_uniform" if "of" in query else "lecun_normal")


def test_the_verdict_on_initializers_tells_who_holds_and_who_vanishes():
    names = ["lecun_normal", "he_normal", "standard_normal"]
    said = verdict(opened("initializers", initializers=names, depth="50", width="256"))
    assert "50 layers: He holds; all inputs become nearly parallel. SGD may train it." in said
    assert "LeCun vanishes, ×0.50 a layer. SGD cannot train it; Adam may." in said
    assert "N(0, 1) explodes, ×128 a layer. SGD cannot train it; nor can Adam." in said
    names = ["lecun_normal", "glorot_normal", "he_normal", "pytorch_default"]
    said = verdict(opened("initializers", initializers=names, depth="50", width="256"))
    assert "LeCun and Glorot vanish, ×0.50 a layer. SGD cannot train them." in said
    assert len(said.removeprefix("## ")) < 245


def test_a_training_run_is_plotted_as_trained(own_store):
    names = ("he_normal", "zeros")
    page = opened("training", steps="60", depth="3", width="16", initializers=list(names), seed="4")
    page, p = ended(page, own_store), TrainParams.uniform(3, 16, initializers=names, steps=60, seed=4)
    snapshots = list(train(p))
    for i, name in enumerate(p.initializers):
        steps, log10 = drawn(plotted(page), "line", name)
        np.testing.assert_array_equal(steps, [s.step for s in snapshots])
        expected = np.log10([s.loss[i].mean() for s in snapshots])
        np.testing.assert_allclose(log10, expected, rtol=1e-5, atol=1e-6)
    assert verdict(page).startswith("## Step 60:")
    assert f"zeros still guesses (loss {math.log(10):.3f} = ln 10)" in verdict(page)


@pytest.mark.parametrize("look", LOOKS_AT)
@pytest.mark.parametrize("query", [
    {"depth": "1", "initializers": "he_normal"},
    {"depth": "5", "learning_rate": "10", "initializers": "standard_normal"}],
    ids=["one layer", "diverged"])
def test_every_look_at_a_run_shows_or_says_something(own_store, look, query):
    page = ended(opened("training", steps="50", width="8", look=look, **query), own_store)
    said, charts = " ".join(box.value for box in page.info), page.get("vega_lite_chart")
    if look in (DECISION, RATES):
        return
    if look == HISTOGRAMS:
        texts = set(plotted(page).text) if charts else {said}
        expected = "the net blew up at step" if "learning_rate" in query else "no hidden layer"
        assert texts
        assert all(expected in text and "not a number" not in text for text in texts)
    assert all(len(plotted(page, index)) for index in range(len(charts)))
    assert said or charts


def test_a_run_that_takes_too_long_is_not_begun_and_the_page_says_what_would_do(own_store, monkeypatch):
    monkeypatch.setattr(training_panel, "SECONDS", 2.0)
    p = TrainParams()
    monkeypatch.setattr(own_store, "rate", p.effort / 8)  # it would take 8 seconds
    page = opened("training", steps=str(p.steps))
    said = "This would take about 8.0 s. A run may take 2.0 s here. Take about 375 steps"
    assert said in page.info[0].value, page.info[0].value
    assert not own_store._runs
    assert not any(button.label.startswith("Run") for button in page.button)
    page = opened("training", steps="200")
    assert not page.info
    assert own_store._runs


@pytest.mark.usefixtures("no_runs")
def test_a_link_too_long_for_a_qr_code_is_still_shared_as_text():
    page = opened("linear_chain", factor="1.25", held="é" * 900)
    page = sound(page.button(key="share").click().run())
    shared = next(code.value for code in page.code if "v=1" in code.value)
    assert "factor=1.25&" in shared
    assert "too long" in " ".join(caption.value for caption in page.caption)


def test_singular_values_of_a_and_b_stand_on_one_scale():
    page = opened("initializers", look="singular values", depth="20", held="depth=5&look=singular+values")
    sides = [plotted(page, index) for index in (0, 1)]
    bars = [side[side.part == "bar"] for side in sides]
    assert bars[0].low.min() != bars[1].low.min()
    across = [side[["x", "low", "high"]].to_numpy(float) for side in sides]
    reach = [(np.nanmin(x), np.nanmax(x), side.y.max()) for x, side in zip(across, sides, strict=True)]
    assert reach[0] == reach[1]
