"""Share: the link and its QR code give the very same state to a browser that knows nothing."""

from io import BytesIO

import pytest
import segno
from PIL import Image
from playwright.sync_api import expect

from pages.parts import presenter
from pages.parts.scenes import KINDS
from tests.browser.conftest import query_of
from tests.browser.states import STATES, link, texts

TYPED = STATES["initializers"][1]  # widths typed by hand
SHARED = pytest.mark.parametrize(("stem", "state"), [
    ("linear_chain", STATES["linear_chain"][-1]), ("initializers", TYPED)], ids=["linear_chain", "typed"])
BORDER = 3  # modules of white around the code


def opened(visitor):
    """Share, opened."""
    visitor.page.get_by_role("button", name="Share", exact=True).click()
    body = visitor.page.get_by_role("dialog")
    body.locator("img, svg[class*=segno]").first.wait_for()
    visitor.settle()
    return body


def shared(visitor):
    """The link, as text to copy."""
    text = opened(visitor).locator("code").inner_text()
    visitor.page.keyboard.press("Escape")
    visitor.settle()
    return text


def modules(picture, across):
    """The dark modules of a QR code on screen, as rows of 0 and 1; ``across`` with the border."""
    size = picture.width / across
    middles = [(i + 0.5) * size for i in range(across)]
    return [[int(picture.getpixel((int(x), int(y))) < 128) for x in middles] for y in middles]


@SHARED
def test_the_shared_link_is_short_and_gives_the_whole_state_back(visitor, fresh, stem, state):
    visitor.open(link(stem, state))
    address = shared(visitor)
    query, kind = query_of(address), KINDS[stem]
    assert query.pop("v") == [presenter.VERSION]
    p, _ = kind.parse_lenient(texts(state), text=True)
    own = {key: value for key, value in query.items() if key in kind.keys()}  # noqa: SIM118
    assert kind.parse_lenient(own, text=True) == (p, []), address
    controls = visitor.controls()
    assert set(query) <= set(state), "defaults are left out"

    fresh.open(address.removeprefix(visitor.address))
    assert not fresh.notices()
    assert fresh.controls() == controls
    assert fresh.verdict() == visitor.verdict()
    assert fresh.settle().csv() == visitor.settle().csv()


@SHARED
def test_the_qr_code_on_screen_is_that_of_the_link_and_large(visitor, stem, state):
    visitor.open(link(stem, state))
    body = opened(visitor)
    address = body.locator("code").inner_text()
    code = body.locator("img").first
    code.scroll_into_view_if_needed()
    assert code.bounding_box()["width"] >= 400
    expected = [list(row) for row in segno.make(address, error="l").matrix_iter(border=BORDER)]
    picture = Image.open(BytesIO(code.screenshot())).convert("L")
    assert modules(picture, len(expected)) == expected


def test_the_link_holds_the_state_kept_as_a_too(visitor, fresh):
    visitor.open(link("neuron_variance", {"n": "12345", "rule": "2/n"})).click("Keep as A")
    visitor.press("n", "ArrowLeft")
    fresh.open(shared(visitor).removeprefix(visitor.address))
    expect(fresh.page.get_by_role("button", name="Forget A")).to_have_count(1)
    assert fresh.controls() == visitor.controls()
    assert "n=12345&rule=2%2Fn&" in fresh.query()["held"][0]


def test_the_link_of_a_lecturer_opens_in_ordinary_type_and_he_keeps_his(visitor):
    visitor.open(link("linear_chain", {"scene": "halves", "present": "true"}))
    assert set(query_of(shared(visitor))) == {"scene", "v"}
    assert visitor.query()["present"] == ["true"]
