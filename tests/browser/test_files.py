"""What is taken home is named after its state."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import TimeoutError

from tests.browser.states import STATES, link

PNG = b"\x89PNG\r\n\x1a\n"


def taken(visitor, button):
    """Name and content of what the button gives."""
    try:
        with visitor.page.expect_download(timeout=8_000) as download:
            button.click()
    except TimeoutError:  # a click while the drawer is still being drawn is lost
        with visitor.page.expect_download() as download:
            button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def files(visitor, stem, state):
    """The files that the page's downloads give in that state: name -> content."""
    visitor.open(link(stem, state))
    drawer = visitor.keep()
    notebook = drawer.locator("[class*=_notebook] button")
    pictures = [drawer.get_by_role("button", name=kind).first for kind in ("PNG of", "SVG of")]
    buttons = [drawer.locator("[class*=_csv] button"), *notebook.all(), *pictures]
    return dict(taken(visitor, button) for button in buttons)


@pytest.mark.parametrize("stem", ["linear_chain", "trainable_depth"])  # with a notebook, and without one
def test_table_notebook_and_pictures_are_named_after_the_state(visitor, stem):
    one, other = (files(visitor, stem, state) for state in STATES[stem][:2])
    for found in (one, other):
        assert all(re.fullmatch(r"[\w.-]+\.(csv|ipynb|png|svg)", name) for name in found)
        assert len({name.rsplit(".", 1)[0].removesuffix("-1") for name in found}) == 1
        assert len(found) == (3 if stem == "trainable_depth" else 4)
        assert stem.split("_")[0] in next(iter(found))
        png, svg = (next(found[name] for name in found if name.endswith(kind)) for kind in ("png", "svg"))
        assert png.startswith(PNG)
        assert len(png) > 5000
        assert len(list(ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path"))) > 5
    assert not set(one) & set(other)
