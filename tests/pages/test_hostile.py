"""Any client may send anything: its own session may show an error, and nobody else notices."""

import math
import urllib.request

import pytest

from pages.parts.shell import PAGES
from tests.pages.test_faults import resident
from tests.pages.wire import Session, state

HUGE = "x" * 100_000
BEYOND = {  # kind of widget: field of the protocol, and values in it that none of our widgets may have
    "slider": ("double_array_value", [[1e300], [math.nan], [-math.inf], [], [1.0, 2.0, 3.0]]),
    "select_slider": ("string_array_value", [["![](http://127.0.0.1:9)"], [], ["1", "2"], [HUGE]]),
    "number_input": ("double_value", [1e300, -1e300, math.nan, math.inf]),
    "selectbox": ("string_value", ["<script>alert(1)</script>", HUGE, "", "9**9**9*z", "(" * 190, "exp(z)"]),
    "multiselect": ("string_array_value", [["nobody"], [], ["he_normal"] * 1000, [HUGE]]),
    "button_group": ("string_array_value", [["nobody"], [], ["a", "b"]]),
    "text_input": ("string_value", ["10x999999999", "4096x257", "0-0", "-1", "nan", "1e9", "<b>784</b>-10",
                                    "9" * 1900, "x", "10--10", HUGE]),
}
ADDRESSES = [
    "factor=1e999", "depth=" + "9" * 1000, "seed=1e400", "scale=", "kind=%00%ff",
    "&&&==&", "%", "a=1" + "&a=1" * 5000, "factor=1&factor=2&factor=zzz", "held=factor%3Dnan%26depth%3D1e99",
    "held=" + "%25" * 3000, "scene=%F0%9F%92%A5", "present=maybe", "v=99", "embed=maybe",
]


def words(page):
    """Return what a visitor reads, apart from times."""
    return [text for text in page.texts if " s" not in text]


@pytest.fixture
def bystander(port):
    """Have somebody look at the page of the chain, who must notice nothing."""
    with Session(port) as bystander:
        before = words(bystander.open("linear_chain", "factor=1.2"))
        yield bystander
        for factor in (1.1, 1.2):
            page = bystander.send(state(bystander.page.widget("factor").id, "double_array_value", [factor]))
            assert not page.exceptions
        assert words(page) == before
        health = urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10)
        assert health.read() == b"ok"


def kind_of(widget):
    kind = {"NumberInput": "number_input", "ButtonGroup": "button_group", "TextInput": "text_input"}.get(
        type(widget).__name__, type(widget).__name__.lower())
    return "select_slider" if kind == "slider" and widget.options else kind


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("stem", [stem for stem, _ in PAGES])
def test_values_beyond_their_bounds_are_left_out_and_the_same_visitor_goes_on(app, visitor, stem):
    visitor.open(stem)
    before = visitor.rest()
    assert not before.warnings
    assert stem == "home" or before.verdict
    taken, tried = resident(app[1]), 0
    for widget_id, widget in before.widgets().items():
        field, values = BEYOND.get(kind_of(widget), ("", ()))
        for kind, value in [(field, value) for value in values]:
            if kind == "double_value" and widget.data_type == widget.INT:
                kind, value = "int_value", 2**62 if value > 0 else -(2**62)
            page = visitor.send(state(widget_id, kind, value))
            assert not page.exceptions, (widget_id, kind, str(value)[:40])
            assert all(len(sentence) < 500 and "<b>" not in sentence for sentence in page.warnings)
            assert page.warnings or kind != "string_value", "what a page may refuse itself is said"
            tried += 1
    assert tried or stem in ("home", "published")
    assert resident(app[1]) - taken < 100e6
    visitor.open(stem)
    assert words(visitor.rest()) == words(before), "a link without values is the page's default again"


@pytest.mark.parametrize("query", ADDRESSES, ids=lambda query: query[:24])
def test_no_address_breaks_a_page(visitor, query):
    page = visitor.open("linear_chain", query)
    assert not page.exceptions
    assert page.widget("factor").min == pytest.approx(0.1), "the page is drawn to its end"
