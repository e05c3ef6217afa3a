"""Your network in the browser: a file is opened, a click opens a layer, and names from outside stay text."""

import pytest
from playwright.sync_api import expect

from tests.pages.test_your_network import NAME, RELU, renamed
from vgdash.models.report import LARGEST_FILE

FIELD = "input[type=file]"
CELLS = ".st-key-strip .mark-rect path"
OUTSIDE = "() => document.querySelectorAll('[data-testid=stMain] :is(a[href*=evil], img)').length"


@pytest.fixture
def report(tmp_path):
    file = tmp_path / "run.json"
    renamed(RELU, NAME).save(file)
    return file


def test_a_file_is_opened_and_a_click_on_a_layer_shows_its_numbers_and_its_fix(visitor, report):
    page, asked = visitor.page, []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url) if "evil" in request.url else None)
    visitor.open("your_network")
    before = visitor.verdict()
    page.locator(FIELD).set_input_files(report)
    page.get_by_role("button", name="Close my file").wait_for()
    visitor.settle()
    assert "evil.example" in visitor.verdict()
    assert visitor.query() == {}
    strip = page.locator(CELLS)
    expect(strip).to_have_count(61)  # two for each layer, and the frame
    strip.nth(2 * 11).click(position={"x": 5, "y": 5})
    page.get_by_text("Layer 12 of 30").wait_for()
    visitor.settle()
    assert visitor.query() == {"layer": ["12"]}
    expect(page.get_by_text("Weights are too small at this layer and 28 others.")).to_be_visible()
    assert page.locator("[data-testid=stCode]").first.inner_text().startswith("import torch")
    strip.nth(2 * 12).hover(position={"x": 5, "y": 5})
    page.locator("#vg-tooltip-element.visible").get_by_text("signal vanishing").wait_for()
    assert page.evaluate(OUTSIDE) == 0
    assert not asked
    visitor.press("layer")
    page.get_by_text("Layer 13 of 30").wait_for()
    page.get_by_role("button", name="Close my file").click()
    page.locator("[class*=st-key-example-]").wait_for()
    assert visitor.settle().verdict() == before


def test_a_file_that_is_too_large_is_not_even_sent_and_one_that_is_none_gives_a_sentence(visitor, tmp_path):
    visitor.open("your_network")
    file = tmp_path / "run.json"
    file.write_bytes(b" " * (LARGEST_FILE + 1))
    visitor.page.locator(FIELD).set_input_files(file)
    visitor.page.get_by_text("at most 1 MB are read").wait_for()
    file.write_bytes(b"<b>")
    visitor.page.locator(FIELD).set_input_files(file)
    visitor.page.get_by_test_id("stAlertContentWarning").wait_for()
    assert len(visitor.settle().notices()) == 1
    assert "report must be JSON text" in visitor.notices()[0]
    assert not visitor.page.get_by_text("are read").count()
