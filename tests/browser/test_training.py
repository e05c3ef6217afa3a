"""A training run as its visitor sees it: it starts, shows where it is, stops, and never blocks the page."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.states import link

SHORT = {"steps": "40", "depth": "3", "width": "8", "initializers": ["he_normal", "zeros"]}
LONG = {"steps": "20000", "depth": "30", "width": "64",
        "initializers": ["he_normal", "zeros", "glorot_normal"],
        "learning_rate": "0.0001"}  # for minutes the loss stays above the end of its axis
STOPPED_WITHIN = 500  # milliseconds from the click to the word on screen
FURTHER = """before => {
  const said = /Step ([\\d,]+) of/.exec(document.querySelector('.st-key-run-bar').innerText);
  return said && +said[1].replace(',', '') > before; }"""
FRAMES = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].map(svg => [
  JSON.stringify(svg.getBoundingClientRect()), svg.querySelector('path.background').getAttribute('d'),
  ...[...svg.querySelectorAll('.mark-text text')].map(t => t.textContent + t.getBoundingClientRect().top)])"""
NOTE_VALUES = """slider => { window.__values = []; new MutationObserver(() => {
  const value = slider.getAttribute('aria-valuetext');
  if (window.__values.at(-1) !== value) window.__values.push(value);
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


def says(visitor, pattern, timeout=30_000):
    expect(visitor.run_bar()).to_contain_text(re.compile(pattern), timeout=timeout)


def steps_done(visitor):
    return int(re.search(r"Step ([\d,]+) of", visitor.run_bar().inner_text()).group(1).replace(",", ""))


def stop(visitor):
    """Leave no run behind; it may end by itself before it is told to."""
    visitor.run_bar().evaluate(
        "bar => [...bar.querySelectorAll('button')].find(one => /Stop/.test(one.innerText))?.click()")
    expect(visitor.run_bar().get_by_role("button", name="Stop")).to_have_count(0)


def goes_on(visitor):
    """A run that was stopped says its step too: a run that goes on can be stopped."""
    visitor.run_bar().get_by_role("button", name="Stop").wait_for()
    says(visitor, r"Step [1-9][\d,]* of 20,000")


@pytest.fixture
def running(visitor):
    """A long run that its link has started."""
    visitor.open(link("training", LONG), quiet=False)
    goes_on(visitor)
    yield visitor
    stop(visitor)


def test_a_plain_visit_shows_a_run_and_run_again_one_that_ends_with_charts_and_a_verdict(visitor):
    visitor.open("")
    visitor.go("Training")
    says(visitor, r"1,500 steps in .* s\.")
    assert visitor.settle().verdict().startswith("Step 1,500:")
    assert visitor.charts().count() >= 2
    visitor.more()
    steps = visitor.slider("steps")
    steps.focus()
    visitor.page.keyboard.press("Home")
    expect(steps).to_have_attribute("aria-valuetext", "50")
    visitor.settle()
    visitor.page.keyboard.press("Escape")
    visitor.run_bar().get_by_role("button", name=re.compile("Run")).click()
    says(visitor, r"50 steps in .* s\.")
    visitor.settle()
    assert visitor.verdict().startswith("Step 50:")
    assert visitor.charts().count() >= 2
    assert "Stop" not in visitor.run_bar().inner_text()


def test_a_link_and_a_scene_start_their_runs_by_themselves(visitor):
    visitor.open(link("training", SHORT), quiet=False)
    says(visitor, r"40 steps in .* s\.")
    assert visitor.settle().verdict().startswith("Step 40:")
    visitor.open("training").enter("gamma, not first", quiet=False)
    says(visitor, r"Step [\d,]+ of|steps in")
    stop(visitor)


def test_progress_and_the_time_left_are_shown_and_the_charts_are_live(running):
    says(running, r"Step [\d,]+ of 20,000, .* left\.")
    before, drawn = steps_done(running), running.charts().first.inner_html()
    frames = running.page.evaluate(FRAMES)
    running.page.wait_for_function(
        "was => document.querySelector('[data-testid=stVegaLiteChart] svg').innerHTML !== was", arg=drawn)
    expect(running.run_bar()).not_to_contain_text(f"Step {before:,} of")
    assert steps_done(running) > before
    assert running.page.evaluate(FRAMES) == frames, "a plot moved, or the names beside it"


def test_stop_stops_within_half_a_second_and_keeps_what_was_computed(running):
    found = [running.page.evaluate(CLICK_TO_STOPPED)]
    while min(found) > STOPPED_WITHIN and len(found) < 3:  # the machine may have been busy
        running.run_bar().get_by_role("button", name="Run").click()
        goes_on(running)
        found.append(running.page.evaluate(CLICK_TO_STOPPED))
    assert min(found) <= STOPPED_WITHIN, found
    running.settle()
    at = re.search(r"Stopped\. Step ([\d,]+) of 20,000", running.run_bar().inner_text()).group(1)
    assert running.verdict().startswith(f"Step {at}:")
    assert running.charts().count() >= 2


def test_the_page_stays_usable_while_it_runs(running):
    before, depth = steps_done(running), running.slider("depth")
    expect(depth).to_have_attribute("aria-valuetext", "30")
    depth.evaluate(NOTE_VALUES)
    running.press("depth", quiet=False)
    expect(depth).to_have_attribute("aria-valuetext", "40")
    running.page.wait_for_url("**depth=40**")
    says(running, "The chart still shows the previous settings")
    again = running.run_bar().get_by_role("button", name=re.compile(r"Run again \(about .*\)"))
    expect(again).to_be_visible()
    says(running, r"Step [\d,]+ of 20,000")
    assert running.page.evaluate("window.__values") == ["40"], "it does not jump back meanwhile"
    running.page.wait_for_function(FURTHER, arg=before)


@pytest.fixture
def colleague(fresh):
    """Another visitor of the same server."""
    yield fresh
    stop(fresh)


def test_who_opens_the_same_link_watches_the_same_run_and_stop_is_for_who_pressed_it(running, colleague):
    at = steps_done(running)
    colleague.open(link("training", LONG), quiet=False)
    goes_on(colleague)
    assert steps_done(colleague) >= at, "a second run would have started from step 0"
    running.page.evaluate(CLICK_TO_STOPPED)
    before = steps_done(colleague)
    colleague.page.wait_for_function(FURTHER, arg=before)
    says(running, "Stopped")
    expect(running.run_bar().get_by_role("button", name=re.compile("^.*Run"))).to_be_visible()
