"""What a back row, a phone, a dark room and axe-core see: the chart above the fold, and readable colours."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from pages.parts.shell import PAGES
from tests.browser import geometry
from tests.browser.states import link

STEMS = [stem for stem, _ in PAGES]
SHORT_RUN = {"training": {"steps": "20", "depth": "3", "width": "8", "initializers": ["he_normal", "zeros"]}}
# WCAG 2.2: 1.4.11, 1.4.3; large is 14 pt bold or 18 pt
DATA_CONTRAST, TEXT_CONTRAST, LARGE_TEXT_CONTRAST, LARGE = 3.0, 4.5, 3.0, 18.66
HIDDEN = 0.01  # opacity of an axis label that Vega takes away because it would overlap
LINE_ALONE = 0.5  # opacity below which a mark is a band or a helper
COLOURS = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].flatMap(svg => {
  const behind = getComputedStyle(svg).backgroundColor;
  const seen = node => { const box = node.getBoundingClientRect(); return box.width + box.height > 0; };
  // what is drawn inside a map stands on its cells, not on the background, and has a rim
  const onCells = t => svg.querySelector('.mark-rect') && !t.closest('.role-axis, .role-legend, .role-title');
  const found = query => [...svg.querySelectorAll(query)].filter(one => seen(one) && !onCells(one))
    .map(one => [one, getComputedStyle(one)]);
  // a rim has a name that stands over lines: the name follows
  const words = found('text').filter(([t, style]) => t.textContent.trim() && style.stroke === 'none')
    .map(([t, style]) => ({kind: 'text', what: t.textContent.trim(), colour: style.fill, behind,
      opacity: +style.opacity, size: parseFloat(style.fontSize), bold: +style.fontWeight >= 700}));
  const lines = found('.mark-line path, .mark-symbol path').map(([p, style]) => ({
    kind: 'line', what: p.closest('[class*=mark-]').getAttribute('class'), behind,
    colour: style.stroke !== 'none' ? style.stroke : style.fill,
    opacity: +style.opacity * +style.strokeOpacity}));
  return [...words, ...lines];
})"""
PAGE_BEHIND = "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
Y_LABELS = """title => [...document.querySelectorAll(
  `[aria-label*="Y-axis titled '${title}'"] .role-axis-label text`)]
  .filter(label => getComputedStyle(label).opacity > 0).map(label => label.textContent)"""


def settled(visitor, stem, **more):
    return visitor.open_ended(link(stem, {**SHORT_RUN.get(stem, {}), **more}) if stem != "home" else "")


def channels(colour):
    """Red, green, blue (0 to 255) and opacity of a CSS colour."""
    numbers = [float(n) for n in re.findall(r"[\d.]+", colour)]
    return numbers[:3], numbers[3] if len(numbers) > 3 else 1.0


def luminance(rgb):
    """Relative luminance, WCAG 2.2."""
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour, behind, opacity=1.0):
    """Contrast ratio of a colour over an opaque background, WCAG 2.2."""
    (front, alpha), (back, _) = channels(colour), channels(behind)
    seen = [alpha * opacity * f + (1 - alpha * opacity) * b for f, b in zip(front, back, strict=True)]
    bright, dark = sorted((luminance(seen), luminance(back)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_contrast_formula_gives_the_known_ratios():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    lightest = contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)")  # grey that passes
    assert lightest == pytest.approx(4.54, abs=0.01)
    assert contrast("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(1)


def sound_charts(visitor):
    """Test that words stand apart and axes have numbers, in every chart of the page."""
    assert not visitor.page.evaluate(geometry.OVERLAPS)
    assert not visitor.page.evaluate(geometry.WITHOUT_NUMBERS)


def violations(visitor):
    """List what axe-core objects to in what a page draws."""
    visitor.page.locator("[data-testid=stVegaLiteChart] :is(svg, canvas)").first.wait_for()
    found = Axe().run(visitor.page, context={"include": [["[data-testid=stMain]"]]}).response["violations"]
    return [(v["id"], v["nodes"][0]["html"][:120]) for v in found]


@pytest.mark.parametrize("stem", STEMS)
def test_the_main_chart_ends_above_the_fold_and_neither_axe_nor_its_words_object(on, stem):
    visitor = settled(on(), stem)
    assert violations(visitor) == []
    assert visitor.page.evaluate(geometry.CHART_ENDS) <= 720
    sound_charts(visitor)
    assert not visitor.page.evaluate(geometry.COVERED)
    if stem == "initializers":
        visitor.page.get_by_text("Every initializer, and every number format").click()
        visitor.settle()
        assert not visitor.page.evaluate(geometry.TOO_WIDE)


@pytest.mark.parametrize("stem", [stem for stem in STEMS if stem != "home"])
def test_charts_and_type_fill_a_projector_of_either_size(on, stem):
    visitor = settled(on(), stem, present="true")
    assert not visitor.page.locator("[data-testid=stHeader]").is_visible()
    assert not visitor.page.locator(".st-key-scene").is_visible()
    assert not visitor.page.locator("[data-testid=stElementToolbar]").first.is_visible()
    found = []
    for width, height in ((1280, 720), (1920, 1080)):
        visitor.page.set_viewport_size({"width": width, "height": height})
        visitor.page.wait_for_function(f"() => {{ const found = ({geometry.STAGE})(); return found.drawn"
                                       f" && Math.abs(found.root - {height / 36}) < 0.1; }}")
        visitor.settle()
        sound_charts(visitor)
        assert not visitor.page.evaluate(geometry.CUT_VALUES)
        found.append(visitor.page.evaluate(geometry.STAGE))
        assert visitor.page.evaluate(geometry.CHART_ENDS) <= height
        if stem not in ("published", "trainable_depth"):  # words follow
            assert 0.97 * height <= found[-1]["bottom"] <= height
    small, large = found
    assert small["root"] == 20
    for size in ("root", "label"):
        assert large[size] == pytest.approx(1.5 * small[size], rel=0.01), size
    assert large["height"] > 1.3 * small["height"]
    assert large["label"] >= 28


@pytest.mark.parametrize("scene", ["ReLU", "BatchNorm", "parallel inputs", "framework defaults"])
def test_a_question_is_the_largest_text_and_the_revealed_chart_ends_above_the_fold_of_a_projector(on, scene):
    visitor = settled(on(), "initializers", scene=scene, present="true")
    question, others = visitor.page.evaluate(geometry.TYPE)
    assert question >= 1.5 * others > 24
    visitor.page.get_by_role("button", name="Skip", exact=True).click()
    visitor.settle()
    assert visitor.page.evaluate(geometry.CHART_ENDS) <= 720
    sound_charts(visitor)
    assert not visitor.page.evaluate(geometry.SMALL_MARKERS)


@pytest.mark.parametrize("scene", ["framework defaults", "ReLU"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080)])
def test_every_initializer_that_is_chosen_is_seen_on_a_projector(on, scene, width, height):
    visitor = settled(on(width, height), "initializers", scene=scene, present="true")
    visitor.click("Skip")
    assert not visitor.page.evaluate(geometry.CUT_VALUES)


@pytest.mark.parametrize("present", ["true", "false"])
@pytest.mark.parametrize("scene", ["gain 5/3", "SELU", "chaotic", "sigmoid"])
def test_names_beside_the_plane_stand_off_the_lines_and_numbers_at_their_place(on, scene, present):
    visitor = settled(on(), "trainable_depth", scene=scene, present=present)
    for skip in visitor.page.get_by_role("button", name="Skip", exact=True).all():
        skip.click()
    visitor.settle()
    sound_charts(visitor)
    assert not visitor.page.evaluate(geometry.STRUCK)
    assert max(visitor.page.evaluate(geometry.OFF_SCALE)) < 1.5


@pytest.mark.parametrize(("stem", "more"), [
    ("trainable_depth", {"activation": "sigmoid", "sigma_w2": "100", "sigma_b2": "0.3", "depth": "128"}),
    ("linear_chain", {"depth": "150"}), ("initializers", {"depth": "1"})])
def test_an_axis_says_80_and_1_and_not_8e_1_or_1_000000(on, stem, more):
    visitor = settled(on(1280, 900), stem, **more)
    labels = visitor.page.locator(".role-axis-label text").all_text_contents()
    assert len(labels) >= 5
    assert not [label for label in labels if re.search(r"\de[+-]|\.0000", label)], labels


@pytest.mark.parametrize("stem", STEMS)
def test_a_phone_and_a_tablet_show_the_chart_at_once_and_nothing_too_small_or_too_wide(on, stem):
    visitor = settled(on(390, 844), stem)
    assert not visitor.page.evaluate(geometry.SMALL_TARGETS)
    assert not visitor.page.evaluate(geometry.WITHOUT_HINT)
    sound_charts(visitor)
    for width, height, begins in ((390, 844, 500), (640, 360, 2 * 360), (641, 844, 844), (1024, 844, 844)):
        visitor.page.set_viewport_size({"width": width, "height": height})  # 640 x 360: 1280 x 720 at 200 %
        visitor.page.wait_for_function(f"() => ({geometry.SIDEWAYS})() <= 0")
        assert not visitor.page.evaluate(geometry.TOO_WIDE), width
        assert visitor.page.evaluate(geometry.CHART_BEGINS) <= begins, width


@pytest.mark.parametrize("scene", ["halves", "0.9", "gradients too"])
@pytest.mark.parametrize("present", ["true", "false"])
def test_no_line_passes_through_a_name_or_a_value_on_the_chain(on, scene, present):
    visitor = settled(on(), "linear_chain", scene=scene, present=present)
    for skip in visitor.page.get_by_role("button", name="Skip", exact=True).all():
        skip.click()
    visitor.settle()
    main = visitor.page.evaluate(geometry.STRUCK)
    assert not [words for words in main if "steps" not in words]
    sound_charts(visitor)


@pytest.mark.parametrize("scene", ["spirals", "BatchNorm rescues"])
def test_a_phone_shows_the_scene_that_is_chosen(on, scene):
    visitor = on(390, 844).open_ended(link("training", {"scene": scene}))
    pill = visitor.page.locator(".st-key-scene [aria-checked=true]")
    assert 0 <= pill.bounding_box()["x"] <= 390 - pill.bounding_box()["width"]


def test_a_phone_that_opens_a_projectors_link_shows_the_page_of_a_phone(on):
    visitor = settled(on(390, 844), "linear_chain", scene="halves", present="true")
    assert visitor.heading().bounding_box()["width"] > 300
    assert visitor.page.locator(".st-key-scene").is_visible()
    assert visitor.page.evaluate(geometry.SIDEWAYS) <= 0


@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("stem", ["linear_chain", "initializers", "trainable_depth", "training"])
def test_every_line_and_every_word_of_a_chart_can_be_seen(on, stem, light):
    visitor = settled(on(1280, 900, color_scheme=light), stem)
    assert light == "light" or violations(visitor) == []
    page_behind = visitor.page.evaluate(PAGE_BEHIND)
    assert (luminance(channels(page_behind)[0]) < 0.1) == (light == "dark")
    pale = {}
    found = visitor.page.evaluate(COLOURS)
    assert {mark["kind"] for mark in found} == {"text", "line"}
    for mark in found:
        behind = mark["behind"] if channels(mark["behind"])[1] else page_behind
        if mark["opacity"] < (LINE_ALONE if mark["kind"] == "line" else HIDDEN):
            continue
        large = mark["kind"] == "text" and mark["bold"] and mark["size"] >= LARGE
        wanted = DATA_CONTRAST if mark["kind"] == "line" else LARGE_TEXT_CONTRAST if large else TEXT_CONTRAST
        ratio = contrast(mark["colour"], behind, mark["opacity"])
        if ratio < wanted:
            pale[mark["kind"], mark["what"], mark["colour"]] = round(ratio, 2)
    assert not pale


@pytest.mark.parametrize("light", ["light", "dark"])
def test_a_button_that_waits_for_an_answer_can_be_read(on, light):
    visitor = settled(on(color_scheme=light), "initializers", scene="parallel inputs")
    button = visitor.page.get_by_role("button", name="Lock my answer")
    assert button.is_disabled()
    colour = button.locator("p").evaluate("words => getComputedStyle(words).color")
    assert contrast(colour, visitor.page.evaluate(PAGE_BEHIND)) > 1.5


@pytest.mark.parametrize(("stem", "more", "title", "labels"), [
    ("linear_chain", {"factor": "0.9"}, "steps to learn", ["1", "10", "100", "1,000"]),
    ("trainable_depth", {}, "depth L", ["5", "10", "20", "50", "100", "200"]),
    ("initializers", {"scene": "784-512-256-10"}, "E[z²], the signal →", ["0.2", "0.5", "1", "2"]),
    # a signal that holds is level: rounding is not magnified
    ("initializers", {"normalization": "batch", "initializers": "he_normal", "batch": "128"},
     "E[z²], the signal →", ["0.5", "1", "2"]),
])
def test_a_log_axis_names_decades_and_where_these_are_few_2_and_5(on, stem, more, title, labels):
    visitor = settled(on(1280, 900), stem, **more)
    visitor.page.wait_for_function(f"({Y_LABELS})({title!r}).length")
    shown = visitor.page.evaluate(Y_LABELS, title)
    assert sorted(shown, key=lambda label: float(label.replace(",", ""))) == labels
