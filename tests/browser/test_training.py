"""A training run as its visitor sees it: it starts, shows where it is, stops at once, and never blocks the page."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor
from tests.browser.states import link

SHORT = {"steps": "40", "depth": "3", "width": "8", "initializers": ["he_normal", "zeros"]}
LONG = {"steps": "20000", "depth": "30", "width": "64", "initializers": ["he_normal", "zeros", "glorot_normal"]}
STOPPED_WITHIN = 500  # milliseconds from the click to the word on screen
FURTHER = """before => { const said = /Step ([\\d,]+) of/.exec(document.querySelector('.st-key-run-bar').innerText);
  return said && +said[1].replace(',', '') > before; }"""
NOTE_VALUES = """slider => { window.__values = []; new MutationObserver(() => {
  const value = slider.getAttribute('aria-valuetext'); if (window.__values.at(-1) !== value) window.__values.push(value);
}).observe(slider, {attributes: true, attributeFilter: ['aria-valuetext']}); }"""
CLICK_TO_STOPPED = """() => new Promise((resolve, reject) => {
  const start = performance.now(), bar = () => document.querySelector('.st-key-run-bar');
  const watch = new MutationObserver(() => {
    if (/Stopped/.test(bar().innerText)) { watch.disconnect(); resolve(performance.now() - start); }
  });
  watch.observe(document.body, {subtree: true, childList: true, characterData: true});
  setTimeout(() => reject(new Error('not stopped: ' + bar().innerText)), 10000);
  [...bar().querySelectorAll('button')].find(button => /Stop/.test(button.innerText)).click();
})"""


def bar(visitor):
    return visitor.page.locator(".st-key-run-bar")


def says(visitor, pattern, timeout=30_000):
    expect(bar(visitor)).to_contain_text(re.compile(pattern), timeout=timeout)


def steps_done(visitor):
    return int(re.search(r"Step ([\d,]+) of", bar(visitor).inner_text()).group(1).replace(",", ""))


def stop(visitor):
    """Leave no run behind for the next test; it may end by itself before it is told to."""
    bar(visitor).evaluate("bar => [...bar.querySelectorAll('button')].find(button => /Stop/.test(button.innerText))?.click()")
    expect(bar(visitor).get_by_role("button", name="Stop")).to_have_count(0)


def goes_on(visitor):
    """A run that was stopped says its step too: a run that goes on can be stopped."""
    bar(visitor).get_by_role("button", name="Stop").wait_for()
    says(visitor, r"Step [1-9][\d,]* of 20,000")


@pytest.fixture
def running(visitor):
    """A long run that its link has started."""
    visitor.open(link("training", LONG), quiet=False)
    goes_on(visitor)
    yield visitor
    stop(visitor)


def test_a_plain_visit_starts_nothing_and_names_the_time_a_run_takes(visitor):
    visitor.open("training")
    expect(bar(visitor).get_by_role("button")).to_have_text(re.compile(r"Run \(about .* s\)"))
    assert "press Run" in visitor.verdict()
    assert not visitor.page.locator("[data-testid=stVegaLiteChart]").count()


def test_run_starts_a_run_that_ends_with_charts_and_a_verdict(visitor):
    visitor.open("training")
    visitor.more()
    steps = visitor.slider("steps")
    steps.focus()
    visitor.page.keyboard.press("Home")
    expect(steps).to_have_attribute("aria-valuetext", "50")
    visitor.settle()
    visitor.page.keyboard.press("Escape")
    bar(visitor).get_by_role("button", name=re.compile("Run")).click()
    says(visitor, r"50 steps in .* s\.")
    visitor.settle()
    assert visitor.verdict().startswith("Step 50:")
    assert visitor.page.locator("[data-testid=stVegaLiteChart] svg").count() >= 2
    assert "Stop" not in bar(visitor).inner_text()


def test_a_link_starts_its_run_by_itself(visitor):
    visitor.open(link("training", SHORT), quiet=False)
    says(visitor, r"40 steps in .* s\.")
    assert visitor.settle().verdict().startswith("Step 40:")


def test_a_scene_starts_its_run_by_itself(visitor):
    visitor.open("training").enter("sigmoid", quiet=False)
    says(visitor, r"Step [\d,]+ of|steps in")
    stop(visitor)


def test_progress_and_the_time_left_are_shown_and_the_charts_are_live(running):
    says(running, r"Step [\d,]+ of 20,000, .* left\.")
    before, drawn = steps_done(running), running.page.locator("[data-testid=stVegaLiteChart] svg").first.inner_html()
    running.page.wait_for_function("before => document.querySelector('[data-testid=stVegaLiteChart] svg').innerHTML !== before", arg=drawn)
    expect(bar(running)).not_to_contain_text(f"Step {before:,} of")
    assert steps_done(running) > before


def test_stop_stops_within_half_a_second_and_keeps_what_was_computed(running):
    milliseconds = running.page.evaluate(CLICK_TO_STOPPED)
    if milliseconds > STOPPED_WITHIN:  # the machine may have been busy with something else
        bar(running).get_by_role("button", name="Run").click()
        goes_on(running)
        milliseconds = running.page.evaluate(CLICK_TO_STOPPED)
    assert milliseconds <= STOPPED_WITHIN
    running.settle()
    at = re.search(r"Stopped\. Step ([\d,]+) of 20,000", bar(running).inner_text()).group(1)
    assert running.verdict().startswith(f"Step {at}:")
    assert running.page.locator("[data-testid=stVegaLiteChart] svg").count() >= 2


def test_a_changed_setting_marks_the_run_as_the_one_before_and_offers_another(running):
    running.press("learning_rate", quiet=False)
    says(running, "You changed the settings: this is still the run before")
    expect(bar(running).get_by_role("button", name=re.compile(r"Run again \(about .*\)"))).to_be_visible()
    says(running, r"Step [\d,]+ of 20,000")


def test_the_page_stays_usable_while_it_runs(running):
    before, depth = steps_done(running), running.slider("depth")
    expect(depth).to_have_attribute("aria-valuetext", "30")
    depth.evaluate(NOTE_VALUES)
    running.press("depth", quiet=False)
    expect(depth).to_have_attribute("aria-valuetext", "40")
    running.page.wait_for_url("**depth=40**")
    says(running, "You changed the settings")
    assert running.page.evaluate("window.__values") == ["40"], "it goes there and does not jump back meanwhile"
    running.press("depth", "ArrowLeft", quiet=False)
    expect(bar(running)).not_to_contain_text("You changed the settings")
    running.page.wait_for_function(FURTHER, arg=before)


@pytest.fixture
def colleague(browser, address):
    """Another visitor of the same server."""
    page = browser.new_page()
    other = Visitor(page, address)
    yield other
    stop(other)
    page.close()


def test_who_opens_the_same_link_watches_the_same_run(running, colleague):
    at = steps_done(running)
    colleague.open(link("training", LONG), quiet=False)
    says(colleague, r"Step [1-9][\d,]* of 20,000")
    assert steps_done(colleague) >= at, "a second run would have started from step 0"


def test_stop_is_for_the_one_who_pressed_it_and_the_run_goes_on_for_others(running, colleague):
    colleague.open(link("training", LONG), quiet=False)
    says(colleague, r"Step [1-9][\d,]* of 20,000")
    running.page.evaluate(CLICK_TO_STOPPED)
    before = steps_done(colleague)
    colleague.page.wait_for_function(FURTHER, arg=before)
    says(running, "Stopped")
    expect(bar(running).get_by_role("button", name=re.compile("^.*Run"))).to_be_visible()
