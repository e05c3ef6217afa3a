"""Nothing flickers or jumps: while a slider moves, every chart stays the same element in the same place."""

import pytest

from tests.browser.states import link

MOVES = {"linear_chain": "factor", "neuron_variance": "n", "initializers": "depth", "training": "depth",
         "trainable_depth": "sigma_w2"}
TINY = {"training": {"steps": "20", "depth": "5", "width": "8", "initializers": "he_normal"}}
MARK = """() => { const charts = [...document.querySelectorAll('[data-testid=stVegaLiteChart]')];
  charts.forEach((chart, i) => { chart.__mark = i; chart.querySelector('svg, canvas').__mark = i; });
  return charts.length; }"""
FOUND = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].map(chart => {
  const drawing = chart.querySelector('svg, canvas'), box = chart.getBoundingClientRect();
  const frame = drawing.querySelector(':scope > g'), plot = drawing.querySelector('path.background');
  return {frame: frame && [frame.getAttribute('transform'), plot.getAttribute('d')],
    chart: chart.__mark ?? null, drawing: drawing.__mark ?? null, drawn: drawing.innerHTML,
    place: [box.left, box.top, box.width, box.height].map(Math.round)}; })"""
# all but the cells of the plane, which never change
MARKS = ":is(.mark-symbol, .mark-rule, .mark-text, .mark-rect:not(.st-key-plane *))"
POINTS = f"[data-testid=stVegaLiteChart] {MARKS}.role-mark > *"
STAMP = f"() => {{ for (const mark of document.querySelectorAll('{POINTS}')) mark.__mark = true; }}"
STAMPED = f"() => [...document.querySelectorAll('{POINTS}')].map(mark => mark.__mark === true)"


def watched(visitor):
    """The charts as they stand, each with the mark it was given, its place and what is drawn."""
    return visitor.page.evaluate(FOUND)


@pytest.mark.parametrize(("stem", "key"), MOVES.items())
def test_ten_moves_of_a_slider_rebuild_no_chart_and_move_none(visitor, stem, key):
    visitor.open_ended(link(stem, TINY.get(stem, {})))
    count = visitor.page.evaluate(MARK)
    assert count >= 2
    before = watched(visitor)
    seen = {visitor.shows(key)}
    for k, arrow in enumerate(["ArrowRight"] * 5 + ["Home"] + ["ArrowRight"] * 4):
        visitor.press(key, arrow)
        seen.add(visitor.shows(key))
        after = watched(visitor)
        if k < 5:
            assert [c["frame"] for c in after] == [c["frame"] for c in before], "axes jumped"
    assert len(seen) >= 8, "the slider must have moved to new values"
    assert [c["chart"] for c in after] == list(range(count)), "a chart was replaced"
    assert [c["drawing"] for c in after] == list(range(count)), "a chart was drawn from scratch"
    assert [c["place"] for c in after] == [c["place"] for c in before], "a chart jumped"
    if stem != "training":  # there the run before stays
        assert [c["drawn"] for c in after] != [c["drawn"] for c in before], "the charts must show new values"


@pytest.mark.parametrize(("stem", "key"), [move for move in MOVES.items() if move[0] != "training"])
def test_marks_move_and_are_not_drawn_anew(visitor, stem, key):
    visitor.open(link(stem, {}))
    before = [chart["drawn"] for chart in watched(visitor)]
    visitor.page.evaluate(STAMP)
    visitor.press(key)
    kept = visitor.page.evaluate(STAMPED)
    assert len(kept) > 40
    assert sum(kept) > 0.9 * len(kept), f"{sum(kept)} of {len(kept)}"
    assert [chart["drawn"] for chart in watched(visitor)] != before
