"""The page of published claims: what stands there is what the records say, also where one of them breaks."""

import json
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from pages.parts import results
from pages.parts.text import escaped
from pages.parts.views import published as views
from tests.opened import opened as opened_app
from tests.opened import plotted, sound, verdict
from vgdash.published import PUBLISHED, SUBJECTS
from vgdash.published.mistakes import MISTAKES, Curves

BROKEN = "chain-zero"

opened = partial(opened_app, "published")


def claims(page):
    return next(element.value for element in page.markdown if views.HEADER in element.value)


@pytest.fixture
def quick(monkeypatch):
    """Have claims agree at once; return those computed. Nothing is remembered before or after."""
    asked = []

    def answer(claim):
        asked.append(claim.key)
        return claim.theirs

    for claim in PUBLISHED:
        monkeypatch.setitem(views.CLAIMS, claim.key, replace(claim, compute=partial(answer, claim)))
    for mistake in MISTAKES:
        flat = Curves.of(np.full(3, 0.25), np.ones(3), np.ones((2, 3)))
        monkeypatch.setitem(views.CORRECTED, mistake.key, replace(mistake, curves=lambda flat=flat: flat))
    results.claim.forget()
    results.mistake.forget()
    monkeypatch.setattr(results, "RECOMPUTING", 1e9)
    results._recomputed["at"] = -1e9
    yield asked
    results.claim.forget()
    results.mistake.forget()


def broken():
    raise RuntimeError("secret detail")


def test_every_claim_stands_under_its_subject_with_its_source_and_its_link(quick):
    page = opened(depth="3")
    assert [warning.value for warning in page.warning] == [
        "This page has no setting named “depth”. The link's value was left out."]
    count = len(PUBLISHED)
    assert verdict(page) == f"## {count} of {count} published claims agree with our numbers."
    for subject, members in SUBJECTS.items():
        section = claims(page).split(f"**{subject}**")[1].split("\n\n**")[0]
        assert section.count("✓\u00a0agrees") == len(members)
        for claim in members:
            assert f"]({claim.address})" in section
            assert f"[show]({views.link(claim)})" in section
    rows = [line for line in claims(page).splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {8}, "as many cells as the header has"


def test_every_mistake_is_a_card_with_both_curves_and_the_measured_points(quick, monkeypatch):
    for mistake in MISTAKES:
        monkeypatch.setitem(views.CORRECTED, mistake.key, replace(mistake, curves=cache(mistake.curves)))
    page = opened()
    charts = page.get("vega_lite_chart")[1:]  # the first is that of the claims
    assert len(charts) == len(MISTAKES)
    for i, (mistake, chart) in enumerate(zip(MISTAKES, charts, strict=True), 1):
        drawn, direct = plotted(page, i), views.CORRECTED[mistake.key].curves()
        for series, curve in (("mistaken", direct.wrong), ("right", direct.right)):
            line = drawn[(drawn["part"] == "line") & (drawn["series"] == series)]
            np.testing.assert_allclose(line["y"], curve)
        points = drawn[drawn["part"] == "point"]
        np.testing.assert_allclose(points["y"], direct.measured.mean(axis=0)[points["x"].astype(int) - 1])
        assert any(escaped(mistake.why) in element.value for element in page.markdown)
        assert mistake.quantity in json.dumps(json.loads(chart.proto.spec), ensure_ascii=False)


def test_a_claim_and_a_mistake_that_break_off_say_so_beside_all_others(monkeypatch, quick):
    monkeypatch.setitem(views.CLAIMS, BROKEN, replace(views.CLAIMS[BROKEN], compute=broken))
    monkeypatch.setitem(views.CORRECTED, MISTAKES[0].key, replace(MISTAKES[0], curves=broken))
    page = opened()
    assert len(page.get("vega_lite_chart")) == 1 + len(MISTAKES) - 1, "one of the claims, one a mistake"
    others = [element.value for element in page.markdown if element.value != claims(page)]
    assert any("The computation broke off." in text for text in others)
    assert not any("secret" in element.value for element in page.markdown)
    count = len(PUBLISHED)
    assert verdict(page) == (f"## {count - 1} of {count} published claims agree with our numbers. "
                             f"These differ: {BROKEN}.")
    text = claims(page)
    assert text.count("✗\u00a0differs") == 1
    assert text.count("✓\u00a0agrees") == count - 1
    assert "The computation broke off: RuntimeError." in text


def test_many_claims_that_differ_are_counted_and_the_first_are_named(monkeypatch, quick):
    for claim in PUBLISHED[:8]:
        monkeypatch.setitem(views.CLAIMS, claim.key, replace(claim, compute=lambda: -1.0))
    named, count = ", ".join(claim.key for claim in PUBLISHED[:5]), len(PUBLISHED)
    assert verdict(opened()) == (f"## {count - 8} of {count} published claims agree with our numbers. "
                                 f"These differ: {named} and 3 more.")


def test_claims_are_computed_once_for_all_and_again_when_asked_but_not_at_every_click_in_a_hall(quick):
    page = opened()
    opened()
    assert sorted(quick) == sorted(views.CLAIMS)
    for _ in range(3):
        sound(page.button(key="recompute").click().run())
        page = opened()
    assert sorted(quick) == sorted([*views.CLAIMS] * 2)


def test_the_table_has_a_row_for_each_number_and_says_which_agree(quick):
    outcomes = {claim.key: results.claim(claim.key) for claim in PUBLISHED}
    table = views.frame(outcomes)
    assert len(table) == sum(len(claim.values) for claim in PUBLISHED)
    assert table["agrees"].all()
    key = PUBLISHED[0].key
    outcomes[key] = replace(outcomes[key], ours=(), agrees=False, problem="The computation broke off.")
    broken = views.frame(outcomes)
    assert not broken.loc[broken["key"] == key, "agrees"].any()
    assert broken.loc[broken["key"] == key, "ours"].isna().all()


def test_a_number_lies_in_the_band_of_the_chart_if_and_only_if_it_agrees(monkeypatch, quick):
    for key, other in (("chain-zero", lambda value: value + 2), (PUBLISHED[-1].key, lambda value: value * 5)):
        theirs = views.CLAIMS[key].values
        monkeypatch.setitem(views.CLAIMS, key, replace(views.CLAIMS[key], compute=lambda theirs=theirs,
                                                       other=other: tuple(map(other, theirs))))
    results.claim.forget()
    page = opened()
    points = plotted(page).query("part == 'point'").sort_values("x")
    differ = [abs(ours - theirs) > bound for key in views.CLAIMS for ours, theirs, bound in zip(
        results.claim(key).ours, views.CLAIMS[key].values, views.CLAIMS[key].bounds, strict=True)]
    assert 0 < sum(differ) < len(differ)
    assert list(points.y.abs() > 1) == differ
