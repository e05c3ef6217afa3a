"""The keyboard alone drives everything; the focus is always seen, never trapped."""

import re

import pytest
from playwright.sync_api import expect

from pages.parts.questions import QUESTIONS, reveal
from pages.parts.scenes import KINDS, of_page
from pages.parts.shell import PAGES
from tests.browser.states import headline, link

MOST = 250  # stops of the Tab key on a page
# The element in focus, and whether the one before looked any different while it had the focus.
FOCUS = """async () => {
  const styles = ['outlineStyle', 'outlineWidth', 'outlineColor', 'boxShadow', 'borderColor',
    'backgroundColor', 'color'];
  const look = one => styles.map(name => getComputedStyle(one)[name]).join();
  const frames = one => one && !one.matches('[data-testid=stElementContainer], main')
    ? [one, ...frames(one.parentElement)] : [];
  const around = one =>
    [one, ...frames(one.parentElement).slice(0, 6), ...one.querySelectorAll('*')].slice(0, 30);
  const looks = one => around(one).map(look).join(';');
  const faded = one => {
    let seen = 1;
    for (; one; one = one.parentElement) seen *= +getComputedStyle(one).opacity;
    return seen < 0.5;
  };
  await new Promise(requestAnimationFrame);
  const moving = document.getAnimations().filter(one => one instanceof CSSTransition);
  await Promise.all(moving.map(one => one.finished.catch(() => 0)));
  const host = document.activeElement === document.body ? null : document.activeElement;
  const e = host?.shadowRoot?.activeElement ?? host;
  // its frame stays lit while the focus is inside
  const home = one => (one?.getRootNode().host ?? one)?.closest('[data-testid=stElementContainer]') ?? one;
  const before = (window.__focused ?? []).filter(was => was.e.isConnected);
  const left = before.filter(was => home(was.e) !== home(e));
  const unseen = left.filter(was => looks(was.e) === was.looks).map(was => was.name)[0] ?? null;
  window.__focused = before.filter(was => was.e !== e && home(was.e) === home(e));
  if (!e) return {unseen, name: null, key: null, place: 'nowhere'};
  const name = (e.getAttribute('aria-label') || e.innerText || e.value || e.tagName).trim().slice(0, 60);
  const keys = [...(host.closest('[class*=st-key-]')?.classList ?? [])];
  const key = keys.find(one => one.startsWith('st-key-'))?.slice(7).replace(/-\\d+$/, '') ?? null;
  const box = e.getBoundingClientRect();
  const inside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0
    && box.top < innerHeight && box.left < innerWidth;
  e.__order ??= window.__order = (window.__order ?? 0) + 1;
  window.__focused.push({e, name, looks: looks(e)});
  return {unseen, name, key, order: e.__order, kind: e.type || e.tagName,
    place: !inside ? 'off screen' : faded(e) && e.tagName !== 'INPUT' ? 'faded' : 'seen',
    menu: !!e.closest('[data-testid=stTopNavLink]')};
}"""


class Keys:
    """A visitor without a mouse. Every stop of the Tab key must be seen."""

    def __init__(self, visitor):
        self.visitor, self.page = visitor, visitor.page

    def focus(self):
        found = self.page.evaluate(FOCUS)
        assert found["unseen"] is None, f"nobody sees that {found['unseen']!r} has the focus"
        assert found["place"] in ("seen", "nowhere"), found
        return found

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def act(self, *keys):
        self.press(*keys)
        self.visitor.settle()

    def tab_to(self, wanted, tab="Tab"):
        """Press Tab until an element is reached of which ``wanted`` is true."""
        passed = []
        for _ in range(MOST):
            self.press(tab)
            found = self.focus()
            if found["name"] is not None and wanted(found):
                return found
            passed.append(found["name"])
        pytest.fail(f"{MOST} times {tab} did not reach it, but {passed}")

    def to_menu(self, entry):
        """Another page, through the menu."""
        before = self.visitor.title()
        self.tab_to(lambda one: one["menu"] and one["name"] == entry)
        self.press("Enter")
        expect(self.visitor.heading()).not_to_have_text(before)
        self.visitor.settle()

    def to_key(self, key, **more):
        return self.tab_to(lambda one: {**one, "key": key, **more} == one)

    def open(self, key):
        """Tab to a popover's button and open it."""
        self.to_key(key, kind="submit")
        self.press("Enter")
        self.page.get_by_test_id("stPopoverBody").wait_for()
        self.visitor.settle()

    def close(self, key):
        """Escape closes what is open, and the focus goes back to its button."""
        self.press("Escape")
        self.page.get_by_test_id("stPopoverBody").wait_for(state="hidden")
        assert self.focus()["key"] == key


@pytest.fixture
def keys(visitor):
    return Keys(visitor)


def test_a_lecture_from_home_to_a_revealed_answer_and_the_shared_link_by_keyboard(keys, visitor):
    visitor.open("")
    keys.to_menu("Linear chain")
    assert visitor.page.url.endswith("/linear_chain")

    keys.to_key("factor", kind="range")
    keys.act("ArrowRight", "ArrowRight", "ArrowUp")
    assert visitor.query() == {"factor": ["1.53"]}

    keys.open("more")
    keys.tab_to(lambda one: one["key"] == "kind" and one["kind"] != "button")  # after its help
    keys.press("ArrowDown")
    visitor.page.get_by_role("listbox").wait_for()
    keys.act("Enter")  # the list opens at the next one
    assert visitor.query()["kind"] == ["diagonal"]
    keys.close("more")
    keys.to_key("factor2", kind="range")
    keys.act("ArrowLeft")
    assert visitor.query()["factor2"] != [str(KINDS["linear_chain"]().factor2)]

    scene = of_page("linear_chain")[0]
    visitor.walk("n", headline(scene))
    assert not visitor.charts().count(), "the question hides the chart"
    truth = reveal(scene.question, scene.params).index
    keys.tab_to(lambda one: (one["key"] or "").startswith("choice"))
    keys.act("Space", *["ArrowDown"] * truth)
    keys.tab_to(lambda one: one["name"].endswith("Lock my answer"))
    keys.press("Enter")
    said = f"Right: {QUESTIONS[scene.question].options[truth]}."
    expect(visitor.page.locator(".st-key-verdict")).to_contain_text(said)
    expect(visitor.heading()).to_have_text(scene.say)
    visitor.settle()
    assert visitor.charts().count() >= 2

    keys.to_key("share")
    keys.press("Enter")
    dialog = visitor.page.get_by_role("dialog")
    dialog.locator("code").wait_for()
    visitor.settle()
    expect(dialog.locator("code")).to_contain_text("scene=1.5&")
    keys.press("Escape")
    dialog.wait_for(state="hidden")
    assert keys.focus()["key"] == "share"


def test_the_scenes_keys_are_heard_from_every_control_but_not_where_one_types(keys, visitor):
    first, second, third = of_page("linear_chain")[:3]
    visitor.open("linear_chain")
    keys.to_key("factor", kind="range")
    keys.act("ArrowRight")
    visitor.walk("n", headline(first))
    keys.tab_to(lambda one: (one["key"] or "").startswith("choice"))
    keys.act("Space")
    visitor.walk("n", headline(second))
    keys.to_key("present")
    keys.act("Space")
    visitor.walk("n", headline(third))
    visitor.walk("p", headline(second))
    keys.open("more")
    keys.tab_to(lambda one: one["key"] == "x1" and one["kind"] == "number")
    keys.act("n", "p")
    assert visitor.title() == headline(second)


def test_a_training_run_is_started_and_stopped_by_keyboard(keys, visitor):
    bar = visitor.run_bar()
    visitor.open_ended(link("training", {"steps": "20", "depth": "20", "width": "64", "seed": "8"}))
    keys.open("more")
    keys.to_key("steps", kind="range")
    keys.act("End")
    assert visitor.query()["steps"] == ["10000"]
    keys.close("more")
    keys.to_key("start-run")
    keys.press("Space")
    expect(bar).to_contain_text(re.compile(r"Step [1-9][\d,]* of 10,000"), timeout=30_000)
    visitor.charts().first.wait_for()  # until they stand, what has the focus moves
    keys.to_key("stop")
    keys.press("Enter")
    expect(bar).to_contain_text(re.compile(r"Stopped\. Step [\d,]+ of 10,000"))
    visitor.settle()
    keys.to_key("start-run")


@pytest.mark.parametrize("tab", ["Tab", "Shift+Tab"])
@pytest.mark.parametrize("stem", ["", "initializers"])
def test_tab_passes_every_element_once_is_seen_at_each_and_comes_out_again(keys, visitor, stem, tab):
    visitor.open(stem)
    passed = []
    for _ in range(MOST):
        keys.press(tab)
        found = keys.focus()
        if found["name"] is None:
            break
        passed.append(found)
    else:
        pytest.fail(f"still inside after {MOST} stops: {passed[-3:]}")
    orders = [one["order"] for one in passed]
    assert len(set(orders)) == len(orders), "an element came twice"
    assert sum(one["menu"] for one in passed) == len(PAGES)
