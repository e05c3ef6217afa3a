"""axe-core finds nothing to object to in what the pages draw, in light and in dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from pages.parts.shell import PAGES


@pytest.mark.parametrize(("stem", "scheme"), [
    *((stem, "light") for stem, _ in PAGES), ("initializers", "dark"), ("training", "dark")])
def test_axe_finds_no_violation(on, stem, scheme):
    page = on(color_scheme=scheme).open({"home": "", "training": "training?steps=40"}.get(stem, stem)).page
    page.locator("[data-testid=stVegaLiteChart] :is(svg, canvas)").first.wait_for()
    found = Axe().run(page, context={"include": [["[data-testid=stMain]"]]}).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found] == []
