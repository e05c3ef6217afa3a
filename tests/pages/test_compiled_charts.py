"""The specifications that ship are those that Altair makes, and enough for what pages open with. After a change of a chart:
python -m tests.compile_charts"""

import subprocess
import sys

import pytest

from pages.parts import charts
from pages.parts.charts import once
from tests.compile_charts import made
from tests.opened import ROOT

WITHOUT_ALTAIR = """
import sys
from tests.opened import opened
for page in {pages}:
    opened(page)
    assert "altair" not in sys.modules, page
"""


@pytest.mark.parametrize("call", once.shipped())
def test_what_ships_is_what_altair_makes(call):
    assert made(call) == once.shipped()[call]


def test_no_page_waits_for_altair():
    pages = ["home", "linear_chain", "neuron_variance", "initializers", "trainable_depth", "training"]
    run = subprocess.run([sys.executable, "-c", WITHOUT_ALTAIR.format(pages=pages)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]


def test_what_does_not_ship_is_made_when_it_is_asked_for():
    spec = charts.curves("a title that nobody ships", "y")
    assert spec["layer"]
    assert spec is charts.curves("a title that nobody ships", "y")
