"""A beside B: both name what sets them apart, and the link carries both."""

import re

import pytest
from playwright.sync_api import expect

from pages.parts.names import field

# page: a control, and how many charts one side has
PAGES = {"linear_chain": ("factor", 1), "neuron_variance": ("n", 3), "initializers": ("gamma", 2)}
PLACES = """() => {
  const columns = [...document.querySelectorAll('[data-testid=stColumn]')];
  return columns.filter(one => /^[AB]: /.test(one.innerText)).map(one => {
    const charts = [...one.querySelectorAll('[data-testid=stVegaLiteChart] svg')];
    const box = one.getBoundingClientRect();
    const axes = chart => [...chart.querySelectorAll('.role-axis-label text')].map(one => one.textContent);
    const points = chart => [...chart.querySelectorAll('.mark-symbol path, .mark-rect path')]
      .map(mark => mark.getAttribute('transform') ?? mark.getAttribute('d'));
    return {said: one.innerText.split('\\n')[0], left: box.left, top: box.top, right: box.right,
      charts: charts.length, axes: charts.map(chart => axes(chart).sort().join()),
      points: charts.map(chart => points(chart).join())}; }); }"""


def change(visitor, stem):
    """Another value; what it was and what it is."""
    key = PAGES[stem][0]
    if key == "gamma":
        visitor.more()
        before = visitor.control("gamma").locator("input").input_value()
        visitor.type("gamma", "1.25")
        visitor.page.keyboard.press("Escape")
        visitor.settle()
        return before, "1.25"
    before = visitor.shows(key)
    visitor.press(key, times=2)
    return before, visitor.shows(key)


def counted(side):
    """The side with the number of its marks instead of where they are."""
    return {**side, "points": [points.count(")") + points.count("Z") for points in side["points"]]}


def sides(visitor):
    found = visitor.page.evaluate(PLACES)
    assert [one["said"][0] for one in found] == ["A", "B"]
    return found


@pytest.mark.parametrize("stem", PAGES)
def test_a_kept_state_stands_beside_the_next_one_and_the_link_carries_both(visitor, fresh, stem):
    name, charts = PAGES[stem]
    visitor.open(stem)
    visitor.charts().first.wait_for()
    visitor.click("Keep as A")
    same = sides(visitor)
    assert [one["said"][3:] for one in same] == ["the same"] * 2
    places = [[list(map(float, re.findall(r"[\d.]+", points))) for points in one["points"]] for one in same]
    for mine, other in zip(*places, strict=True):  # one that was larger may be a pixel wider
        assert mine == pytest.approx(other, abs=1.1), "one seed, one picture"
        assert len(mine) > 20

    before, after = change(visitor, stem)
    a, b = sides(visitor)
    said = field(name)
    assert (a["said"], b["said"]) == (f"A: {said} {float(before):g}", f"B: {said} {float(after):g}")
    assert a["charts"] == b["charts"] == charts
    assert a["top"] == b["top"]
    assert a["right"] <= b["left"] <= 1280
    assert a["axes"] == b["axes"] != [""] * charts, "one scale for both"
    assert a["points"] != b["points"]

    fresh.open(visitor.page.url.removeprefix(visitor.address))
    assert not fresh.notices()
    assert fresh.verdict() == visitor.verdict()
    there = sides(fresh)
    # what was drawn anew may lie a pixel beside what has moved there
    assert [counted(one) for one in there] == [counted(a), counted(b)]
    assert fresh.controls() == visitor.controls()

    fresh.click("Forget A")
    assert fresh.page.evaluate(PLACES) == []
    assert "held" not in fresh.query()
    expect(fresh.page.get_by_role("button", name="Keep as A", exact=True)).to_be_visible()


def test_histograms_of_both_have_one_scale_in_every_layer(visitor):
    visitor.open("initializers?look=histograms&of=he_normal&held=gamma%3D1.02%26depth%3D10&depth=10&gamma=1.1")
    visitor.charts().nth(1).wait_for()
    first, sliders = sides(visitor), visitor.page.locator(".vega-bind input[type=range]")
    expect(sliders).to_have_count(2)
    assert first[0]["axes"] == first[1]["axes"] != [""]
    assert first[0]["points"] != first[1]["points"]
    for i in range(2):
        sliders.nth(i).focus()
        visitor.page.keyboard.press("End")
    last = sides(visitor)
    assert last[0]["axes"] == last[1]["axes"]
    assert last[0]["points"] not in (last[1]["points"], first[0]["points"])
