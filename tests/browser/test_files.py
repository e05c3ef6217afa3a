"""What is taken home is named after its state: the table and the notebook of one state alike, those of another otherwise."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.states import STATES, link


def names(visitor, stem, state):
    """The names of the files that the page's downloads have in that state."""
    visitor.open(link(stem, state), quiet=stem != "training")
    if stem == "training":
        expect(visitor.page.locator(".st-key-run-bar")).to_contain_text(re.compile(r"steps in .* s\."), timeout=60_000)
        visitor.settle()
    found = []
    for ending in ("csv", "notebook"):
        for button in visitor.page.locator(f"[class*=_{ending}] button").all():
            with visitor.page.expect_download() as download:
                button.click()
            found.append(download.value.suggested_filename)
    return found


@pytest.mark.parametrize("stem", [stem for stem in STATES if stem != "trainable_depth"])  # it has no notebook
def test_table_and_notebook_are_named_after_the_state(visitor, stem):
    one, other = (names(visitor, stem, state) for state in STATES[stem][:2])
    for table, notebook in (one, other):
        assert re.fullmatch(r"[\w.-]+\.csv", table), "no file system minds such a name"
        assert notebook == table.removesuffix(".csv") + ".ipynb"
        assert stem.split("_")[0] in table
    assert one != other
