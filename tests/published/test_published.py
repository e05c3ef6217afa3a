"""The records of ``vgdash.published``, run as they are run on the page; the running itself is tested too."""

import math
import re
import time
import urllib.parse
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from pages.parts.views.initializers import LOOKS_AT, SPECTRUM
from pages.parts.views.published import KINDS, link
from vgdash.initializers import INITIALIZERS
from vgdash.published import PUBLISHED, SUBJECTS
from vgdash.published.mistakes import MISTAKES, TAPERED
from vgdash.published.records import check

CLAIMS = {claim.key: claim for claim in PUBLISHED}
ROWS = {  # of REFERENCES.md, and the claims that they have become
    1: ("chain-overflow", "chain-zero", "chain-150"), 2: ("he-edge",), 3: ("pytorch-gains",),
    4: ("forward-gains",), 5: ("tanh-five-thirds",), 6: ("tanh-critical-line",), 7: ("tanh-depth-scales",),
    8: ("tanh-power-law",), 9: ("relu-correlations",), 10: ("selu-fixed-point",), 11: ("finite-width-relu",),
    12: ("gaussian-products",), 13: ("batchnorm-gradients",), 14: ("residual-variance",),
    15: ("keras-truncated",), 16: ("pytorch-linear",), 17: ("xavier-for-relu",), 18: ("zero-weights",),
    19: ("gaussian-singular-values", "orthogonal-isometry")}
SECONDS = 10.0  # of one core, for all claims together
ITEMS = [*PUBLISHED, *MISTAKES]


@pytest.fixture(scope="module")
def computed():
    start = time.process_time()
    outcomes = {claim.key: check(claim) for claim in PUBLISHED}
    return outcomes, time.process_time() - start


@pytest.fixture(scope="module")
def curves():
    return {mistake.key: mistake.curves() for mistake in MISTAKES}


def answering(claim, ours):
    return check(replace(claim, compute=lambda: ours))


@pytest.mark.parametrize("key", CLAIMS)
def test_we_agree_with(key, computed):
    outcome, claim = computed[0][key], CLAIMS[key]
    assert outcome.agrees, (claim.claim, claim.values, outcome.ours, claim.bounds, outcome.problem)


def test_all_claims_together_take_less_than_ten_seconds_of_one_core(computed):
    assert computed[1] < SECONDS


@pytest.mark.parametrize("key", CLAIMS)
def test_a_number_just_outside_its_bound_does_not_agree_and_one_just_inside_does(key):
    claim = CLAIMS[key]
    for i, bound in enumerate(claim.bounds):
        for sign in (-1, 1):
            rounding = 4 * math.ulp(abs(claim.values[i]) + bound)
            ours = list(claim.values)
            ours[i] += sign * (bound * 1.01 + rounding)
            assert not answering(claim, tuple(ours)).agrees
            ours[i] = claim.values[i] + sign * max(0.0, bound * 0.99 - rounding)
            assert answering(claim, tuple(ours)).agrees


def test_no_claim_is_so_tolerant_that_half_or_nothing_would_pass():
    # the two logarithms of a random walk, known to 4 standard errors, are the widest
    for claim in PUBLISHED:
        bounds = zip(claim.values, claim.bounds, strict=True)
        assert all(bound < 0.65 * abs(value) for value, bound in bounds if value), claim.key


@pytest.mark.parametrize(("key", "compute", "problem"), [
    ("finite-width-relu", lambda: (math.nan, 1.0), ""), ("finite-width-relu", lambda: (-0.5, math.inf), ""),
    ("chain-zero", lambda: 1 / 0, "The computation broke off: ZeroDivisionError."),
    ("chain-zero", lambda: (25, 150), "2 numbers came out instead of 3.")])
def test_what_is_no_number_breaks_off_or_has_too_few_does_not_agree_and_says_so(key, compute, problem):
    outcome = check(replace(CLAIMS[key], compute=compute))
    assert not outcome.agrees
    assert outcome.problem == problem


def test_a_wrong_initializer_is_found_by_the_claims_that_depend_on_it_and_by_no_other(monkeypatch):
    wrong = replace(INITIALIZERS["he_normal"], scale=INITIALIZERS["lecun_normal"].scale)
    monkeypatch.setitem(INITIALIZERS, "he_normal", wrong)
    depend = {"he-edge", "vgg-model-b", "xavier-for-relu", "kaiming-layer", "cs231n-he-relu",
              "finite-width-relu"}
    others = {"chain-zero", "tanh-critical-line", "pytorch-linear", "orthogonal-isometry"}
    assert {key for key in depend | others if not check(CLAIMS[key]).agrees} == depend


def test_every_row_of_the_references_is_a_claim_and_at_least_ten_more_are():
    named = {key for keys in ROWS.values() for key in keys}
    assert set(ROWS) == set(range(1, 20))
    assert named <= set(CLAIMS)
    assert len(set(CLAIMS) - named) >= 10


def test_keys_are_different_and_every_claim_has_one_subject():
    keys = [item.key for item in ITEMS]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)
    assert [claim for claims in SUBJECTS.values() for claim in claims] == list(PUBLISHED)


@pytest.mark.parametrize("item", [item for item in ITEMS if item.source], ids=lambda item: item.key)
def test_the_address_of_the_source_is_well_formed(item):
    parts = urllib.parse.urlsplit(item.address)
    assert parts.scheme in ("http", "https")
    assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", parts.netloc)
    assert not set(item.address) & set(" ()<>|`\\")
    assert parts.path.strip("/") or parts.netloc == "d2l.ai"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.key)
def test_the_page_that_shows_it_takes_every_value_of_its_state(item):
    kind = KINDS[item.page]
    assert set(item.state) <= set(kind.keys())
    made, refused = kind.parse_lenient(item.state)
    assert not refused
    for key, value in item.state.items():
        assert getattr(made, key) == kind.keys()[key].check(key, value)
    path, _, query = link(item).partition("?")
    assert path == item.page
    asked = urllib.parse.parse_qs(query)
    look = asked.pop("look", [""])
    assert kind.parse_lenient(asked, text=True) == (made, [])
    assert look == [getattr(item, "look", "")]
    assert look[0] in ("", *LOOKS_AT)
    assert (look[0] == SPECTRUM) == ("singular value" in item.setup and item.page == "initializers")


# ---- mistakes

def test_tanh_does_not_settle_at_a_quarter(curves):
    q, right = 1.0, 10 ** curves["tanh-settles"].right[-1]
    for _ in range(49):
        q = integrate.quad(lambda z, q=q: math.tanh(math.sqrt(q) * z) ** 2 * stats.norm.pdf(z), -12, 12)[0]
    assert 10 ** curves["tanh-settles"].wrong[-1] == 0.25
    assert right == pytest.approx(q, rel=1e-6)
    # a power law; the next term of the expansion
    assert right * 2 * 50 == pytest.approx(1, abs=math.log(50) / 50)


FACTOR = math.pi / (math.pi - 1)


@pytest.mark.parametrize(("key", "at", "wrong", "right"), [
    ("mean-slope", 0, 2.0**-15, 2**-7.5),  # 15 factors between 16 layers: 1/2 by the mistake, 1/√2 in truth
    ("mean-slope-he", 0, 2**-7.5, 1),
    ("order-of-the-product", -1, 1.5**19, 0.5**19),
    ("normal-beats-uniform", -1, 3.0**-12, 1),  # a third of the variance, and a fair one
    ("two-xaviers", -1, 1, math.prod(2 * n / (n + m) for n, m in pairwise(TAPERED))),
    ("std-gain", -1, 2 * FACTOR, 2 * FACTOR**20)])
def test_a_mistake_and_the_truth_end_where_closed_forms_say(key, at, wrong, right, curves):
    assert 10 ** curves[key].wrong[at] == pytest.approx(wrong)
    assert 10 ** curves[key].right[at] == pytest.approx(right)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.key)
def test_nets_drawn_now_follow_the_right_curve(mistake, curves):
    found = curves[mistake.key]
    measured, right, wrong = (curve[..., mistake.at] for curve in (found.measured, found.right, found.wrong))
    error = measured.std(ddof=1) / math.sqrt(len(measured))
    assert abs(measured.mean() - right) < 5 * error
    assert abs(measured.mean() - wrong) > 5 * error
    assert np.isfinite(found.measured).all()
