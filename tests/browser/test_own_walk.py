"""A walk of one's own: made in the dialog, followed with the keys, opened by one who has only its link."""

import re

from playwright.sync_api import expect

from pages.parts.questions import QUESTIONS
from pages.parts.scenes import SCENE_BY_NAME

LINE = "Remember **last week** <b>and</b> [this](http://evil.example)"
ORDER = [("linear_chain", "0.9"), ("training", "residual, scaled"), ("neuron_variance", "2/n")]


def headline(place):
    scene = SCENE_BY_NAME[place]
    return QUESTIONS[scene.question].text if scene.question else scene.say


def made(visitor):
    """Make the walk of ``ORDER`` by hand, with one line; return its link."""
    visitor.open("linear_chain?scene=1.5")
    visitor.page.get_by_role("button", name=re.compile(r"^1 of \d+")).click()
    visitor.click("Make your own walk", quiet=False)
    dialog = visitor.page.get_by_role("dialog")
    choice = dialog.locator("[data-testid=stMultiSelect] input")
    for place in (ORDER[0], ORDER[2], ORDER[1]):
        choice.fill(SCENE_BY_NAME[place].say)
        visitor.page.get_by_role("option").filter(has_text=SCENE_BY_NAME[place].say).first.click()
        choice.press("Escape")  # closes the list of options
        dialog.get_by_role("textbox", name=SCENE_BY_NAME[place].say).wait_for()
    dialog.get_by_role("button", name="Earlier").nth(2).click()
    visitor.settle()
    field = dialog.get_by_role("textbox").first
    field.fill(LINE)
    field.press("Enter")
    expect(dialog.locator("code")).to_contain_text("last+week")
    address = dialog.locator("code").inner_text()
    dialog.get_by_text("Start this walk").click()
    return address


def follow(visitor):
    """Walk along with the keys, there and back."""
    place = visitor.page.locator("[class*=st-key-scene-list] button").first
    for key, stops in (("n", range(3)), ("p", (1, 0))):
        for i in stops:
            if (key, i) != ("n", 0):
                visitor.page.keyboard.press(key)
            expect(visitor.heading()).to_have_text(headline(ORDER[i]), timeout=20_000)
            expect(place).to_contain_text(f"{i + 1} of 3")
            visitor.settle(quiet=ORDER[i][0] != "training")
            assert visitor.query()["walk"][0].endswith(LINE)
    expect(visitor.page.locator(".st-key-own-line")).to_have_text(LINE)
    assert not visitor.page.locator(".st-key-own-line :is(a, b, strong)").count()


def test_a_walk_is_made_in_the_dialog_and_followed_with_the_keys_by_all_who_have_its_link(visitor, fresh):
    address = made(visitor)
    follow(visitor)
    fresh.open(address.removeprefix(visitor.address))
    follow(fresh)
    fresh.page.get_by_role("button", name=re.compile("^1 of 3")).click()
    fresh.page.get_by_role("button", name=re.compile("^Leave this walk")).click()
    fresh.settle()
    assert "walk" not in fresh.query()
    assert not fresh.page.locator(".st-key-own-line").count()


def test_on_a_phone_the_line_stands_between_the_headline_and_the_scenes(visitor):
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.open("linear_chain?scene=1.2&walk=linear_chain~1.2~Remember")
    parts = [visitor.page.locator(f".st-key-{part}") for part in ("top", "own-line", "scene")]
    tops = [part.bounding_box()["y"] for part in parts]
    assert tops == sorted(tops)
