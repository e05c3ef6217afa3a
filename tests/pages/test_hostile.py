"""Any client may send anything: no page shows a traceback, the server stays well, and the next visitor notices nothing."""

import math
import urllib.request

import pytest
from websockets.sync.client import connect

from pages.parts.shell import PAGES
from tests.pages.wire import Session, state
from tests.server import serving

STEMS = [stem for stem, _ in PAGES]
VALUES = [
    ("double_array_value", [1e300]), ("double_array_value", [math.nan]), ("double_array_value", [-math.inf]), ("double_array_value", []),
    ("double_array_value", [1.0, 2.0, 3.0]), ("double_value", math.nan), ("double_value", math.inf), ("double_value", -1e300),
    ("int_value", 2**62), ("bool_value", True), ("string_value", "<script>alert(1)</script>"), ("string_value", "x" * 100_000),
    ("string_value", "10x999999999"), ("string_array_value", ["![](http://127.0.0.1:9)"]), ("string_array_value", []),
    ("string_array_value", ["he_normal"] * 1000), ("bytes_value", b"\x00\xff"), ("json_value", '{"a":'), ("json_value", "[" * 10_000),
    ("trigger_value", True),
]


@pytest.fixture(scope="module")
def address():
    with serving() as address:
        yield address


@pytest.fixture
def port(address):
    return int(address.rsplit(":", 1)[1])


def healthy(address):
    return urllib.request.urlopen(f"{address}/_stcore/health", timeout=10).read() == b"ok"


def words(page):
    """What a visitor reads, apart from times."""
    return [text for text in page.texts if " s" not in text]


@pytest.mark.parametrize("stem", STEMS)
def test_no_value_of_any_widget_breaks_a_page(address, port, stem):
    with Session(port) as visitor:
        before = visitor.open(stem)
        assert not before.exceptions
        widgets, here = before.widgets(), visitor.page_hash
        for widget in widgets:
            for kind, value in VALUES:
                page = visitor.send(state(widget, kind, value))
                assert not page.exceptions, (widget, kind, str(value)[:40])
                if visitor.page_hash != here:  # the walk led to another page
                    visitor.open(stem)
    assert widgets or stem == "home"
    assert healthy(address)
    with Session(port) as next_one:
        assert words(next_one.open(stem)) == words(before), "the next visitor must notice nothing"


@pytest.mark.parametrize("stem", [stem for stem in STEMS if stem not in ("home", "published")])
def test_after_all_that_the_same_visitor_can_go_on(port, stem):
    with Session(port) as visitor:
        page = visitor.open(stem)
        key = next(key for key in ("factor", "n", "sigma_w2", "depth") if page.has(key))
        slider = page.widget(key)
        for kind, value in VALUES:
            visitor.send(state(slider.id, kind, value))
        lowest = state(slider.id, *(("string_array_value", slider.options[:1]) if slider.options else ("double_array_value", [slider.min])))
        page = visitor.send(lowest)
        assert not page.exceptions
        with Session(port) as other:
            other.open(stem)
            assert words(page) == words(other.send(lowest)), "a value that is allowed counts again"


def test_a_fresh_session_that_starts_with_nonsense_gets_the_page(port):
    for kind, value in VALUES:
        with Session(port) as visitor:
            known = visitor.open("linear_chain").widget("factor").id
        with Session(port) as visitor:
            sent = [state(name, kind, value) for name in (known, "$$ID-0-nobody", "", "x" * 500, "factor")]
            page = visitor.open("linear_chain", states=sent)
            assert not page.exceptions, (kind, str(value)[:40])
            assert any("×1.50 a layer" in text for text in page.texts)


def test_unknown_pages_scripts_and_fragments_are_survived(address, port):
    with Session(port) as visitor:
        visitor.open("linear_chain")
        for name in ("no_such_page", "../app", "linear_chain/../../x", "\x00", "x" * 10_000):
            assert not visitor.open(name).exceptions
        visitor.page_hash = "f" * 32
        assert not visitor.send(fragment="").exceptions
        assert any("×1.50 a layer" in text for text in visitor.open("linear_chain").texts)
    for fragment in ("0" * 32, "../../etc/passwd", "x" * 10_000):  # Streamlit may leave those without an answer
        with Session(port) as visitor:
            visitor.open("linear_chain")
            visitor.socket.send(visitor.message(fragment=fragment).SerializeToString())
            assert not visitor.open("linear_chain").exceptions
    assert healthy(address)


ADDRESSES = ["factor=1e999", "depth=" + "9" * 1000, "seed=1e400", "seed=nan", "x1=-inf", "scale=", "kind=%00%ff", "&&&==&", "%",
             "a=1" + "&a=1" * 5000, "factor=1&factor=2&factor=zzz", "held=factor%3Dnan%26depth%3D1e99", "held=" + "%25" * 3000,
             "scene=%F0%9F%92%A5", "present=maybe", "v=99", "embed=maybe", "learning_rate=NaN",
             "x2=0x10", "depth=1_0", "depth=%D9%A3", "factor=+1.5", "seed=-0"]


@pytest.mark.parametrize("query", ADDRESSES, ids=lambda query: query[:24])
def test_no_address_breaks_a_page(port, query):
    with Session(port) as visitor:
        page = visitor.open("linear_chain", query)
        assert not page.exceptions
        assert page.widget("factor").min == pytest.approx(0.1), "the page is drawn to its end"


def test_bytes_that_are_no_message_end_that_connection_at_most(address, port):
    for data in (b"", b"\xff" * 100, b"\x00" * 100_000, "text"):
        with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]) as socket:
            socket.send(data)
    assert healthy(address)
    with Session(port) as visitor:
        assert not visitor.open("linear_chain").exceptions


@pytest.mark.parametrize("name", ["x" * 500, "factor", "", "$$ID-0-nobody", "__streamlit"])
def test_a_value_for_a_name_that_no_server_gives_is_not_looked_for(port, name):
    with Session(port) as visitor:
        visitor.open("trainable_depth")
        for kind, value in VALUES:
            assert not visitor.send(state(name, kind, value)).exceptions, (name[:20], kind)
