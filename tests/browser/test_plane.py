"""The plane of the Trainable depth page: what is clicked opens, and the chart is not built again."""

import re

import pytest

from vgdash.initializers import INITIALIZERS
from vgdash.theory.phase_diagram import COLUMNS, ROWS

PLANE = ".st-key-plane"
SVG = "[...document.querySelectorAll('.st-key-plane svg')].find(one => one.querySelector('.mark-rect'))"
# of the plane, from its lower left corner
PLACE = f"""([x, y]) => {{
  const box = {SVG}.querySelector('.background').getBoundingClientRect();
  return [box.left + x * box.width, box.bottom - y * box.height]; }}"""
LABEL = """name => {
  const all = [...document.querySelectorAll('.st-key-plane .mark-text text')];
  const box = all.filter(one => one.textContent === name).at(-1).getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2]; }"""
SAME = "() => window.__plane === document.querySelector('.st-key-plane .marks')"


@pytest.fixture
def plane(visitor):
    visitor.open("trainable_depth")
    visitor.page.locator(f"{PLANE} .mark-rect").first.wait_for()
    visitor.page.evaluate("() => { window.__plane = document.querySelector('.st-key-plane .marks'); }")
    return visitor


def click(visitor, place):
    before = visitor.verdict()
    visitor.page.mouse.click(*place)
    visitor.page.wait_for_function(
        "before => document.querySelector('.st-key-verdict').innerText.trim() !== before", arg=before)
    return visitor.settle()


def named(visitor, name):
    """Where the number stands that the line below the plane gives an initializer."""
    number = re.search(rf"(\d+)\s{name}", visitor.main()).group(1)
    return visitor.page.evaluate(LABEL, number)


def at(visitor, sigma_w2, sigma_b2):
    """Where a point is on the screen; tanh's plane reaches to 4.05 and 0.5."""
    return visitor.page.evaluate(PLACE, [sigma_w2 / 4.05, sigma_b2 / 0.5])


def test_cells_fill_the_plane_and_leave_no_gap(plane):
    cells, whole = plane.page.evaluate(f"""() => {{
      const svg = {SVG}, cells = [...svg.querySelectorAll('.mark-rect.role-mark path')];
      const box = one => {{
        const b = one.getBoundingClientRect();
        return [b.left, b.right, b.top, b.bottom]; }};
      return [cells.map(box), box(svg.querySelector('.background'))]; }}""")
    assert len(cells) == ROWS * COLUMNS
    for first, last in ((0, 1), (2, 3)):  # across, then up
        starts, ends = (sorted({round(cell[side], 1) for cell in cells}) for side in (first, last))
        assert (starts[0], ends[-1]) == pytest.approx((whole[first], whole[last]), abs=1.1)
        assert all(end >= start for end, start in zip(ends[:-1], starts[1:], strict=True))


def test_a_click_on_the_plane_opens_that_point_also_again_and_address_and_sliders_follow(plane):
    place = at(plane, 3.0, 0.3)
    click(plane, place)
    assert plane.verdict().startswith("With σw² = 3 and σb² = 0.3, ")
    assert plane.query() == {"sigma_w2": ["3"], "sigma_b2": ["0.3"]}
    assert (plane.controls()["sigma_w2"], plane.controls()["sigma_b2"]) == ("3", "0.3")
    assert plane.page.evaluate(SAME), "the chart was built again"
    plane.press("sigma_w2")
    assert plane.query()["sigma_w2"] == ["3.1"]
    click(plane, place)
    assert plane.query()["sigma_w2"] == ["3"]


def test_a_click_on_an_initializers_number_opens_where_it_really_is(plane):
    click(plane, named(plane, "Playground default"))
    assert plane.verdict().startswith("With σw² = 21.33 and σb² = 0.01, ")
    assert plane.query() == {"sigma_w2": ["21.3333"], "sigma_b2": ["0.01"]}


def test_the_plane_does_not_move_when_the_ring_stands_at_its_edge(plane):
    corner = plane.page.evaluate(PLACE, [1, 1])
    click(plane, named(plane, r"N\(0, 1\)"))
    assert plane.page.evaluate(PLACE, [1, 1]) == pytest.approx(corner, abs=1)


def test_the_links_open_the_other_pages_at_the_point(plane):
    click(plane, at(plane, 2.5, 0.2))
    plane.open(plane.page.get_by_role("link", name="compare initializers").get_attribute("href"))
    shown = plane.controls()
    wanted = {"activation": "tanh", "initializers": INITIALIZERS["lecun_normal"].title, "gamma": "1.58114",
              "sigma_b2": "0.2"}
    assert {key: shown[key] for key in wanted} == wanted
