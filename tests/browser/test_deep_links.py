"""A link to any page, opened first on a fresh server, is worth as much as the way through the front door."""

import pytest

from pages.parts.shell import PAGES
from tests.browser.states import STATES, link
from tests.server import serving

CONTENT = [stem for stem, _ in PAGES if stem != "home"]
MENU = [name for _, name in PAGES]


def frame_of(visitor):
    """What must not depend on the way to a page; only a run has the ``goal`` of its race."""
    return visitor.menu(), visitor.page.title(), visitor.title(), set(visitor.controls()) - {"goal"}


@pytest.mark.parametrize("stem", CONTENT)
def test_a_link_opened_first_on_a_fresh_server_shows_what_the_front_door_and_the_menu_show(on, stem):
    state = STATES.get(stem, [{}])[0]
    with serving() as fresh:
        by_link, through_the_door = on(address=fresh), on(address=fresh)
        linked = frame_of(by_link.open(link(stem, state), quiet=False))
        assert linked[0] == MENU
        assert by_link.page.url.startswith(f"{fresh}/{stem}")
        shown = by_link.controls()
        for key in state.keys() & {"factor", "n", "depth"}:
            assert shown[key] == state[key], "the link's values do not count"

        walked = frame_of(through_the_door.open("", quiet=False).go(dict(PAGES)[stem], quiet=False))
        assert through_the_door.page.url.split("?")[0] == f"{fresh}/{stem}"
    assert linked == walked


def test_an_address_that_is_no_page_leads_home_with_a_word(visitor):
    visitor.page.goto(f"{visitor.address}/no_such_page")
    visitor.page.get_by_role("dialog").get_by_text("does not seem to exist").wait_for()
    assert visitor.menu() == MENU
    assert not visitor.page.locator("[data-testid=stException]").count()
