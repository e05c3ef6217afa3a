"""CONTRIBUTING's promise: an activation, initializer, claim, cause, scene, chart or page is little work.

Each is added in a copy of the repository, at the end of the file of its kind or as a new file.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.opened import ROOT

ADDITIONS = {
    "vgdash/activations.py": '''
def _arctan(z, out):
    return np.arctan(z, out=out)


def _arctan_slope(z, out):
    np.multiply(z, z, out=out)
    out += 1
    return np.reciprocal(out, out=out)


ACTIVATIONS["arctan"] = Activation(
    name="arctan", title="arctan", formula=r"\\arctan z", source="", value=_arctan, slope=_arctan_slope,
    code=("np.arctan(z)", "Arctan()", "arctan", "jnp.arctan(z)", "tf.atan(z)"))
''',
    "vgdash/initializers.py": '''
INITIALIZERS["half_he"] = Initializer(
    name="half_he", title="half of He · 1/(2n)", short="half He", formula=r"\\frac{1}{2 n_{in}}", source="",
    base=BASES["normal"], scale=lambda fan_in, fan_out: math.sqrt(1 / (2 * fan_in)))
''',
    "vgdash/published/chains.py": '''
CHAINS += (Claim(
    key="doubled", claim="Doubled ten times it is 1,024 times as large.", source="arithmetic",
    address="https://example.org", setup="2^10", formula="2^L", theirs=1024, tolerance=0.0, reason="exact",
    compute=lambda: 2.0**10,
    page="linear_chain", state={"factor": 2.0, "depth": 10}),)
''',
    "vgdash/models/causes.py": '''
CAUSES["all_ones"] = Cause("all weights are 1 or -1 at", "exploding")
''',
    "vgdash/models/findings.py": '''

def _ones(trace, known):
    ones = [a for a in trace.layers if a.weight2 == a.weight_largest == 1]
    return finding("all_ones", ones, f"E[w²] is 1 in {count(len(ones), 'layer')}.", redraw(trace, ones))


RULES += (_ones,)
''',
    "pages/parts/scenes.py": '''
SCENES += (Scene("initializers", "arctan", "Half of He, through arctan.", LEFT,
                 {"activation": "arctan", "initializers": ("half_he", "he_normal"), "of": "half_he"}),)
''',
    "pages/parts/charts/steps.py": '''"""A staircase."""

import altair as alt

from pages.parts.charts.spec import Spec, cached_spec, compile_spec


@cached_spec
def staircase() -> Spec:
    """Compile steps from (x, y) to the next row."""
    return compile_spec([alt.Chart().mark_line(interpolate="step").encode(x="x:Q", y="y:Q")], 5)
''',
    "pages/arctan.py": '''"""Arctan. How large is it at the end?"""

import streamlit as st

from pages.parts import shell
from pages.parts.charts.steps import staircase
from vgdash import ProbeParams, probe


def draw() -> None:
    st.title("How large is it at the end?")
    shown = probe(ProbeParams.uniform(5, 8, activation="arctan", initializer="half_he"))
    st.markdown(f"q = {shown.q.mean(axis=0)[-1]:.3f}")
    st.vega_lite_chart({"x": [0, 1], "y": [0, 1]}, staircase())


shell.show(draw)
''',
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a program in a copy of the repository that has all additions."""
    copy = tmp_path_factory.mktemp("contributed")
    for folder in ("vgdash", "pages", ".streamlit"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").mkdir()
    for name in ("app.py", "tests/opened.py"):
        shutil.copy(ROOT / name, copy / name)
    for name, text in ADDITIONS.items():
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def run_program(program):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    return run_program


def test_they_compute(run):
    run('''
import numpy as np
from vgdash import (
    PUBLISHED, ProbeParams, TrainParams, critical_sigma_w2, export, inspect, predict, probe, train)
from vgdash.published.records import check

p = ProbeParams.uniform(30, 200, activation="arctan", initializer="half_he", seeds=8)
np.testing.assert_allclose(np.log(probe(p).q.mean(axis=0)), np.log(predict(p).q), atol=0.5)
assert abs(critical_sigma_w2("arctan", 0.0) - 1) < 1e-6, "the slope at 0 is 1"
*_, last = train(TrainParams.uniform(2, 8, activation="arctan", initializers=("half_he",), steps=20,
                                     snapshots=5))
assert np.isfinite(last.loss).all()
(claim,) = [claim for claim in PUBLISHED if claim.key == "doubled"]
assert check(claim).agrees
assert "np.arctan(z)" in export("half_he", "arctan", "numpy")
signs = np.sign(np.random.default_rng(0).standard_normal((2, 4, 4)))
report = inspect({"0.weight": signs[0], "1.weight": signs[1]})
assert report.findings[-1].cause == "all_ones"
assert "E[w²] is 1 in 2 layers" in str(report)
''')


def test_they_are_on_the_pages(run):
    run('''
from tests.opened import opened

page = opened("initializers", scene="arctan")
assert page.title[0].value == "Half of He, through arctan.", page.title
page = opened("initializers", activation="arctan", initializers="half_he")
assert not page.warning, page.warning
page = opened("arctan")
assert page.title[0].value == "How large is it at the end?"
assert page.get("vega_lite_chart")
opened("training", activation="arctan", initializers="half_he", steps="20")
opened("trainable_depth", activation="arctan")
''')


def test_contributing_names_the_file_of_each():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name in ADDITIONS:
        folder = Path(name).parent.as_posix() + "/"
        assert name in guide or folder in guide, name
