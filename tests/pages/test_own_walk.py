"""A walk of one's own: its spelling and its limits, what a page makes of it, and that its lines stay text."""

import itertools
from urllib.parse import parse_qs, urlsplit

import pytest

from pages.parts import walks
from pages.parts.scenes import SCENE_BY_NAME, SCENES
from pages.parts.walks import BETWEEN, LINE, LONGEST, MOST, RULE, Stop
from tests.opened import opened, sound
from vgdash.params import ParamError

THREE = ["linear_chain~0.9~Remember last week", "neuron_variance~2/n", "linear_chain~1.2~and back"]
HOSTILE = "**bold** [x](http://evil.example) <img src=x onerror=alert(1)> $x^2$ :red[y] `z`"


def said(page):
    return [text.value for text in page.text]


def shown(page):
    """Label of the list of scenes: the place in the walk."""
    return next(block.proto.popover.label for block in page.get("popover")
                if block.proto.popover.label != "More")


def spelled(*scenes, line=""):
    return RULE.to_query([Stop(scene, line) for scene in scenes])


@pytest.mark.parametrize("texts", [THREE, ["training~spirals"], spelled(*SCENES[:20])])
def test_a_walk_is_what_its_address_spells(texts):
    walk = RULE.parse("walk", texts)
    assert RULE.to_query(walk) == texts
    assert [stop.place for stop in walk] == [tuple(text.split(BETWEEN)[:2]) for text in texts]


def test_no_name_holds_the_sign_between_the_parts():
    assert not [place for place in SCENE_BY_NAME if BETWEEN in "".join(place)]


@pytest.mark.parametrize(("texts", "rule", "received"), [
    (["nonsense"], "1 to 20 scenes", "nonsense"), ([""], "1 to 20 scenes", ""),
    (["linear_chain~no such scene"], "1 to 20 scenes", "no such scene"),
    (["training~0.9"], "1 to 20 scenes", "training~0.9"),
    (["linear_chain~0.9", "linear_chain~0.9~again"], "each once", "0.9 twice"),
    ([f"linear_chain~0.9~{'x' * (LINE + 1)}"], f"at most {LINE} characters", "xxx"),
    (spelled(*SCENES[:MOST + 1]), "1 to 20 scenes", "21 scenes"),
    (spelled(*SCENES[:4], line="é" * LINE), f"at most {LONGEST:,} characters", "2,0")])
def test_a_walk_beyond_the_limits_is_refused_with_the_rule_and_what_happens_instead(texts, rule, received):
    with pytest.raises(ParamError, match="Next leads through all scenes") as refused:
        RULE.parse("walk", texts)
    assert rule in str(refused.value)
    assert received in str(refused.value)


def test_a_walk_that_is_taken_fits_a_qr_code_and_the_address():
    longest = [Stop(scene, "x" * 45) for scene in SCENES[:MOST]]
    assert LONGEST - 200 < walks.length(RULE.check("walk", longest)) <= LONGEST


@pytest.mark.parametrize(("typed", "line"), [
    ("  two   spaces ", "two spaces"), ("a\nb\tc", "a b c"), ("a\u202eb\u200bc\x00", "a b c"),
    ("Grüße 你好", "Grüße 你好")])
def test_a_line_is_one_line_of_characters_that_are_seen(typed, line):
    assert walks.clean(typed) == line
    assert RULE.parse("walk", [f"linear_chain~0.9~{typed}"])[0].line == line


def test_the_neighbours_are_those_of_the_walk_and_beside_it_those_of_the_stop_that_was_left():
    walk = RULE.parse("walk", THREE)
    scenes = [None, *(stop.scene for stop in walk), None]
    for i, stop in enumerate(walk):
        assert walks.neighbours(walk, stop.place, -1) == (scenes[i], scenes[i + 2])
    for left in (-1, 0, 1, 2):
        assert walks.neighbours(walk, ("linear_chain", "1.5"), left) == (scenes[left + 1], scenes[left + 2])
        assert walks.neighbours(walk, ("training", None), left) == (scenes[left + 1], scenes[left + 2])


def test_a_page_counts_along_the_walk_and_shows_its_line_until_the_walk_is_left():
    page = opened("linear_chain", scene="0.9", walk=THREE)
    assert said(page) == ["Remember last week"]
    assert shown(page) == "1 of 3"
    assert not page.warning
    links = [link.proto for link in page.get("page_link")]
    assert [(link.label, parse_qs(link.query_string)) for link in links] == [
        ("Next", {"scene": ["2/n"], "walk": THREE})]


def test_the_line_of_a_stranger_stays_plain_text():
    page = opened("linear_chain", scene="0.9", walk=[f"linear_chain~0.9~{HOSTILE}"])
    assert said(page) == [HOSTILE]
    others = [*page.markdown, *page.caption, *page.title, *page.warning, *page.info]
    assert not [one.value for one in others if "evil" in one.value]


@pytest.mark.parametrize("walk", [
    ["nonsense"], ["linear_chain~0.9", "<b>x</b>~y"], ["linear_chain~0.9"] * 40])
def test_nonsense_in_the_address_gives_a_sentence_and_the_usual_walk(walk):
    page = opened("linear_chain", scene="0.9", walk=walk)
    (warning,) = page.warning
    assert "walk must be 1 to 20 scenes" in warning.value
    assert "Next leads through all scenes instead." in warning.value
    assert "<b>" not in warning.value
    assert shown(page) == f"5 of {len(SCENES)}"
    assert not said(page)


def test_the_way_along_goes_with_every_link_and_with_share():
    page = opened("initializers", scene="ReLU", walk=["initializers~ReLU", "training~spirals~two arms"])
    for link in page.get("page_link"):
        assert parse_qs(link.proto.query_string)["walk"] == ["initializers~ReLU", "training~spirals~two arms"]
    page = sound(page.button(key="share").click().run())
    shared = next(code.value for code in page.code if "v=1" in code.value)
    assert parse_qs(urlsplit(shared).query)["walk"] == ["initializers~ReLU", "training~spirals~two arms"]


def test_every_stop_of_a_walk_leads_to_the_next_one():
    walk = RULE.parse("walk", THREE)
    for stop, after in itertools.pairwise(walk):
        page = opened(stop.scene.page, scene=stop.scene.name, walk=THREE)
        label = f"{walk.index(stop) + 1} of 3"
        assert shown(page) == label
        if stop.scene.page == after.scene.page:
            page = sound(page.button(key="to-next").click().run())
            assert shown(page) == f"{walk.index(after) + 1} of 3"
