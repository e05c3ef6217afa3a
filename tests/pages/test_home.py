"""Home: what it is in two lines, three doors, a card for every page, a path that knows what has been seen."""

from importlib import import_module
from unittest import mock

import pytest

from pages.parts import shell
from pages.parts.scenes import SCENE_BY_NAME, SCENES
from tests.opened import ROOT, opened, sound

with mock.patch.object(shell, "show"):
    PATH = import_module("pages.home").PATH


@pytest.fixture(scope="module")
def home():
    return opened("home")


def links(page):
    """Page, query and label of every link."""
    return [(link.proto.page, link.proto.query_string, link.proto.label) for link in page.get("page_link")]


def test_the_first_two_lines_say_what_it_is(home):
    assert home.title[0].value.startswith("vgdash")
    first = home.title[0].value + home.markdown[0].value
    assert all(words in first.lower() for words in ("vanishing gradients", "weight initialization"))


def test_every_page_has_its_card_and_every_link_leads_to_a_page_and_a_scene(home):
    found = links(home)
    pages = {name: title for name, title in shell.PAGES if name != "home"}
    assert {label for *_, label in found} >= {f"Open {title}" for title in pages.values()}
    assert {page for page, *_ in found} == set(pages)
    asked = {(page, query.removeprefix("scene=").replace("+", " ").replace("%20", " "))
             for page, query, _ in found if "scene=" in query}
    assert asked <= set(SCENE_BY_NAME)
    assert (SCENES[0].page, SCENES[0].name) in asked


def test_large_type_comes_with_its_link_and_goes_on_to_the_scenes(home):
    def style(page):
        return [element for element in page.get("html") if element.proto.body == shell.LARGE]

    large = opened("home", present="true")
    assert not style(home)
    assert style(large)
    assert all("present=true" in query for _, query, _ in links(large) if "scene=" in query)
    switched = sound(large.toggle[0].set_value(False).run())
    assert not style(switched)
    assert not style(opened("home", present="perhaps"))


def test_what_has_been_seen_is_ticked(home):
    page, name, words = PATH[1]
    assert [label for *_, label in links(home) if words in label] == [words]
    visited = opened(page, scene=name)
    visited.query_params.clear()
    visited.switch_page(str(ROOT / "pages" / "home.py"))
    seen = [label for *_, label in links(sound(visited.run())) if "(seen)" in label]
    assert seen == [f"{words} (seen)"]
