"""The app in a real browser: a server of its own, and pages that know when they have settled."""

from __future__ import annotations

import os
import re
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    TimeoutError,
    expect,
    sync_playwright,
)

from tests.browser import chromium, states
from tests.server import serving

SETTLED = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  return app && app.getAttribute('data-test-connection-state') === 'CONNECTED'
    && app.getAttribute('data-test-script-state') === 'notRunning'
    && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]')
    && !document.querySelector('[data-testid=stSkeleton]');
}"""
OTHER_TITLE = """before => {
  const h = document.querySelector('[data-testid=stMain] h1');
  return h && h.innerText.trim() !== before; }"""
# milliseconds without a change until a page counts as still; a slider waits 200 before it sends
QUIET, STEADY = 350, 120
WATCH = """window.__acted = window.__changed = window.__more = window.__sent = window.__answered = 0;
for (const act of ['click', 'keydown', 'input', 'popstate'])
  window.addEventListener(act, () => { window.__acted = performance.now(); }, {capture: true});
new MutationObserver(changes => {
  window.__changed = performance.now();
  // a run's ticks mark every element as stale and as fresh again
  const inMore = change => change.type !== 'attributes'
    && change.target.closest && change.target.closest('[data-testid=stPopoverBody]');
  if (changes.some(inMore)) window.__more = window.__changed;
}).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
const Plain = window.WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', () => { window.__answered = performance.now(); });
  }
  send(data) { window.__sent = performance.now(); super.send(data); }
};"""
# the server is silent about a tick of a fragment that is gone
ANSWERED = f"""quiet => ({SETTLED})()
  && (window.__answered >= window.__sent || performance.now() - window.__sent > 3000)
  && performance.now() - window.__acted > quiet"""
STILL = f"""quiet => ({ANSWERED})(quiet)
  && performance.now() - Math.max(window.__changed, window.__answered) > quiet"""
WHERE = """() => ({...document.querySelector('[data-testid=stApp]')?.dataset, now: performance.now(),
  sent: window.__sent, answered: window.__answered, changed: window.__changed})"""
MORE_STILL = f"""quiet => ({SETTLED})() && document.querySelector('[data-testid=stPopoverBody] input')
  && performance.now() - window.__more > quiet"""
# Everything that must be one state, in one moment. A control's key is its name and a number, factor-0.
SHOWN = """() => {
  const text = query => document.querySelector(query)?.innerText.trim() ?? '';
  const value = box => {
    const range = box.querySelector('input[type=range]'), field = box.querySelector('input');
    const radio = box.querySelector('[role=radio][aria-checked=true]');
    if (range) return range.getAttribute('aria-valuetext');
    if (box.querySelector('[data-testid=stMultiSelectTagsContainer]'))
      return [...box.querySelectorAll('.react-aria-ComboBox [data-tag]')]
        .map(tag => tag.getAttribute('aria-label')).join(',');
    if (field?.type === 'checkbox') return String(field.checked);
    return radio ? radio.innerText.trim() : field && field.value;
  };
  const end = axis => { // from two labels: its description for readers may be that of an earlier chart
    const labels = [...axis.querySelectorAll('.role-axis-label text')].slice(1);
    if (labels.length < 2) return null;
    const [one, other] = [labels[0], labels.at(-1)].map(label => [
      +label.textContent.replace(',', ''), +/[\\d.]+/.exec(label.getAttribute('transform'))[0]]);
    const frame = axis.parentElement.parentElement.querySelector(':scope > path.background');
    const width = +/h([\\d.]+)/.exec(frame.getAttribute('d'))[1];
    return Math.round(one[0] + (width - one[1]) / (other[1] - one[1]) * (other[0] - one[0]));
  };
  const controls = [...document.querySelectorAll('[data-testid=stElementContainer]')].flatMap(box => {
    const key = [...box.classList].map(name => /^st-key-(\\w+)-\\d+$/.exec(name)).find(found => found)?.[1];
    const shown = key && value(box);
    return shown === null || shown === undefined ? [] : [[key, shown]];
  });
  return {
    address: location.pathname + location.search, headline: text('[data-testid=stMain] h1'),
    verdict: text('.st-key-verdict h2'), bar: text('.st-key-run-bar'),
    question: text('.st-key-asked [role=radiogroup]'),
    pills: [...document.querySelectorAll('.st-key-scene [role=radio][aria-checked=true]')]
      .map(pill => pill.innerText.trim()),
    controls: Object.fromEntries(controls),
    deepest: [...document.querySelectorAll(
      `[data-testid=stVegaLiteChart] [aria-label^="X-axis titled 'layer'"]`)].map(end),
  };
}"""


def query_of(url: str) -> dict[str, list[str]]:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query, keep_blank_values=True)


class Visitor:
    """One browser tab, and what a person would do in it."""

    def __init__(self, page: Page, address: str):
        self.page, self.address = page, address
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)
        page.add_init_script(WATCH)

    def _hear(self, message: ConsoleMessage) -> None:
        url = urllib.parse.urlsplit(message.location.get("url", ""))
        ours = f"{url.scheme}://{url.netloc}" == self.address
        # a deep link makes Streamlit's client look for its endpoints one level down first
        if message.type == "error" and ours and "/_stcore/" not in url.path:
            self.errors.append(f"{message.text} {message.location.get('url')}")

    # ---- going places

    def open(self, path: str, quiet: bool = True) -> Visitor:
        self.page.goto(f"{self.address}/{path.lstrip('/')}")
        return self.settle(quiet)

    def open_ended(self, path: str) -> Visitor:
        """Open a page; if its link starts a run, wait until that is over."""
        runs = path.lstrip("/").startswith("training?")
        self.open(path, quiet=not runs)
        if runs:
            over = self.run_bar().get_by_text(re.compile(r"steps in .* s\."))
            over.wait_for(timeout=60_000)
        return self.settle()

    def settle(self, quiet: bool = True, milliseconds: int = QUIET) -> Visitor:
        """Wait for the script's end and, where nothing runs by itself (``quiet``), that nothing changes."""
        try:
            still = STILL if quiet else ANSWERED
            self.page.wait_for_function(still, arg=milliseconds, timeout=60_000, polling=25)
        except TimeoutError:
            pytest.fail(f"{self.page.url} did not settle: {self.page.evaluate(WHERE)}, {self.errors}")
        self.sound()
        return self

    def sound(self) -> None:
        """No traceback on the page, no error of the app in the console."""
        broken = self.page.locator("[data-testid=stException]")
        assert not broken.count(), broken.all_inner_texts()
        assert not self.errors, self.errors

    # ---- what it shows

    def menu(self) -> list[str]:
        self.page.get_by_test_id("stTopNavLink").first.wait_for()
        return [t.strip() for t in self.page.locator("[data-testid=stTopNavLink]").all_inner_texts()]

    def heading(self) -> Locator:
        return self.page.locator("[data-testid=stMain] h1")

    def charts(self) -> Locator:
        return self.page.locator("[data-testid=stVegaLiteChart] svg")

    def run_bar(self) -> Locator:
        return self.page.locator(".st-key-run-bar")

    def title(self) -> str:
        return self.heading().inner_text().strip()

    def main(self) -> str:
        return self.page.locator("[data-testid=stMain]").inner_text()

    def verdict(self) -> str:
        return self.page.locator(".st-key-verdict h2").inner_text().strip()

    def notices(self) -> list[str]:
        """The boxes that say what was left out of the address."""
        return self.page.locator("[data-testid=stAlertContentWarning]").all_inner_texts()

    def query(self) -> dict[str, list[str]]:
        """What the address holds."""
        return query_of(self.page.url)

    def control(self, key: str) -> Locator:
        """The widget of that control; its number grows whenever the server sets values."""
        return self.page.locator(f'[class*="st-key-{key}-"]').first

    def slider(self, key: str) -> Locator:
        return self.control(key).locator("input[type=range]").first

    def shows(self, key: str) -> str:
        """What the slider of that control shows."""
        return self.slider(key).get_attribute("aria-valuetext")

    def state(self, more: bool = True) -> dict[str, Any]:
        """What is shown in one moment; with ``more``, the controls behind More too."""
        button = self.page.get_by_role("button", name="More", exact=True)
        opens = more and button.count() > 0 and not self.page.get_by_test_id("stPopoverBody").count()
        if opens:
            self.more()
        shown = self.page.evaluate(SHOWN)
        if opens:
            self.page.keyboard.press("Escape")
            self.page.get_by_test_id("stPopoverBody").wait_for(state="hidden")
        return shown

    def controls(self) -> dict[str, str]:
        """What every control shows, as text; several choices are joined by commas."""
        return self.state()["controls"]

    def agree(self, more: bool = True) -> dict[str, Any]:
        """Test that headline, pill, controls, verdict, chart and address are one state, and return it.

        The chart may follow a little later: the browser draws it after the script has ended.
        """
        end = time.monotonic() + 3
        while True:
            shown = self.state(more)
            found = states.contradictions(shown)
            if not found or time.monotonic() > end:
                break
            self.page.wait_for_timeout(50)
        assert found == [], shown
        return shown

    def more(self) -> Locator:
        """What is behind More, opened."""
        self.page.get_by_role("button", name="More", exact=True).click()
        self.page.wait_for_function(MORE_STILL, arg=QUIET, timeout=60_000, polling=25)
        return self.page.get_by_test_id("stPopoverBody")

    def csv(self) -> str:
        """The table behind the chart, as the download gives it."""
        with self.page.expect_download() as download:
            self.keep().locator("[class*=_csv] button").click()
        return Path(download.value.path()).read_text()

    def keep(self) -> Locator:
        """The drawer with what can be taken home, open."""
        drawer = self.page.locator("[class*=_keep]").first
        if not drawer.locator("[class*=_csv] button").count():
            drawer.locator("summary").click()
            drawer.locator("[class*=_csv] button").wait_for()
            drawer.get_by_role("button", name="SVG of").first.wait_for()
            self.settle(quiet=False)
        return drawer

    # ---- doing things

    def press(self, key: str, arrow: str = "ArrowRight", times: int = 1, quiet: bool = True) -> Visitor:
        """Arrow keys on the slider of that control."""
        self.slider(key).focus()
        for _ in range(times):
            self.page.keyboard.press(arrow)
        return self.settle(quiet)

    def type(self, key: str, text: str, quiet: bool = True) -> Visitor:
        """Type into the field of that control."""
        field = self.control(key).locator("input")
        field.fill(text)
        field.press("Enter")
        return self.settle(quiet)

    def click(self, name: str, quiet: bool = True) -> Visitor:
        self.page.get_by_role("button", name=name, exact=True).first.click()
        return self.settle(quiet)

    def enter(self, scene: str, quiet: bool = True) -> Visitor:
        """Choose the scene with that name from the row of pills."""
        self.page.get_by_test_id("stMain").get_by_role("radio", name=scene, exact=True).first.click()
        return self.settle(quiet)

    def walk(self, key: str, say: str, quiet: bool = True) -> Visitor:
        """Press N or P, which leads to the scene that says so."""
        self.page.keyboard.press(key)
        expect(self.heading()).to_have_text(say, timeout=20_000)
        return self.settle(quiet, STEADY)

    def go(self, entry: str, quiet: bool = True) -> Visitor:
        """Another page, through the menu."""
        before = self.title()
        self.page.get_by_test_id("stTopNavLink").filter(has_text=entry).first.click()
        self.page.wait_for_function(OTHER_TITLE, arg=before)
        return self.settle(quiet)


@pytest.fixture(scope="session")
def browser() -> Browser:
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)


@pytest.fixture(scope="session")
def address() -> str:
    # a run may take as long as a busy machine needs: what is too long for a visitor is tested elsewhere
    with serving(env={**os.environ, "VGDASH_RUN_SECONDS": "3600"}) as address:
        yield address


@pytest.fixture(scope="module")
def profile(browser: Browser, address: str) -> BrowserContext:
    """What a module's tabs share but for their cookies; one stays open, so that scripts are compiled once."""
    with browser.new_context() as shared:
        shared.new_page().goto(f"{address}/linear_chain")
        yield shared


@pytest.fixture
def on(profile: BrowserContext, address: str) -> Callable[..., Visitor]:
    """Open tabs that have never been here, with a window of that size and light; close them afterwards."""
    tabs: list[Page] = []
    profile.clear_cookies()

    def visitor(width: int = 1280, height: int = 720, address: str = address, **media: str) -> Visitor:
        tabs.append(profile.new_page())
        tabs[-1].set_viewport_size({"width": width, "height": height})
        tabs[-1].emulate_media(**media)
        return Visitor(tabs[-1], address)
    yield visitor
    for one in tabs:
        one.close()


@pytest.fixture
def visitor(on: Callable[..., Visitor]) -> Visitor:
    return on()


@pytest.fixture
def fresh(on: Callable[..., Visitor]) -> Visitor:
    """A second visitor, or one who is to come first."""
    return on()
