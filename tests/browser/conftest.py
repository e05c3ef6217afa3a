"""The app in a real browser: a server on a free port of 127.0.0.1, and pages that know when they have settled."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, TimeoutError, sync_playwright

from tests.browser import chromium
from tests.server import serving

SETTLED = """() => {
  const app = document.querySelector('[data-testid=stApp]');
  return app && app.getAttribute('data-test-connection-state') === 'CONNECTED'
    && app.getAttribute('data-test-script-state') === 'notRunning'
    && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]')
    && !document.querySelector('[data-testid=stSkeleton]');
}"""
OTHER_TITLE = "before => { const h = document.querySelector('[data-testid=stMain] h1'); return h && h.innerText.trim() !== before; }"
QUIET = 350  # milliseconds without a change until a page counts as still; a slider waits 200 before it sends
WATCH = """window.__acted = window.__changed = window.__more = window.__sent = window.__answered = 0;
for (const act of ['click', 'keydown', 'input', 'popstate'])
  window.addEventListener(act, () => { window.__acted = performance.now(); }, {capture: true});
new MutationObserver(changes => {
  window.__changed = performance.now();
  const inMore = change => change.type !== 'attributes' // a run's ticks mark every element as stale and as fresh again
    && change.target.closest && change.target.closest('[data-testid=stPopoverBody]');
  if (changes.some(inMore)) window.__more = window.__changed;
}).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
const Plain = window.WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) { super(...given); this.addEventListener('message', () => { window.__answered = performance.now(); }); }
  send(data) { window.__sent = performance.now(); super.send(data); }
};"""
ANSWERED = f"({SETTLED})() && window.__answered >= window.__sent && performance.now() - window.__acted > {QUIET}"
STILL = f"() => {ANSWERED} && performance.now() - Math.max(window.__changed, window.__answered) > {QUIET}"
WHERE = """() => ({now: performance.now(), sent: window.__sent, answered: window.__answered, changed: window.__changed,
  script: document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state'),
  connection: document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-connection-state'),
  skeletons: document.querySelectorAll('[data-testid=stSkeleton]').length})"""
MORE_STILL = f"""() => ({SETTLED})() && document.querySelector('[data-testid=stPopoverBody] input')
  && performance.now() - window.__more > {QUIET}"""
CONTROLS = """() => Object.fromEntries([...document.querySelectorAll('[data-testid=stElementContainer][class*=st-key-]')].map(box => {
  const key = [...box.classList].find(name => name.startsWith('st-key-')).slice(7);
  const range = box.querySelector('input[type=range]'), tags = box.querySelector('[data-testid=stMultiSelectTagsContainer]');
  const radio = box.querySelector('[role=radio][aria-checked=true]'), field = box.querySelector('input');
  if (range) return [key, range.getAttribute('aria-valuetext')];
  if (tags) return [key, [...box.querySelectorAll('.react-aria-ComboBox [data-tag]')].map(tag => tag.getAttribute('aria-label')).join(',')];
  if (radio) return [key, radio.innerText.trim()];
  return [key, field && field.value];
}).filter(([key, value]) => value !== null && value !== undefined))"""


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
        ours = urllib.parse.urlsplit(message.location.get("url", ""))
        # a deep link makes Streamlit's own client look for its endpoints one level down first, and find them after
        if message.type == "error" and f"{ours.scheme}://{ours.netloc}" == self.address and "/_stcore/" not in ours.path:
            self.errors.append(f"{message.text} {message.location.get('url')}")

    # ---- going places

    def open(self, path: str, quiet: bool = True) -> Visitor:
        self.page.goto(f"{self.address}/{path.lstrip('/')}")
        return self.settle(quiet)

    def settle(self, quiet: bool = True) -> Visitor:
        """Wait until the script has ended and, where nothing runs by itself (``quiet``), the page no longer changes."""
        try:
            self.page.wait_for_function(STILL if quiet else f"() => {ANSWERED}", timeout=60_000, polling=25)
        except TimeoutError:
            pytest.fail(f"{self.page.url} did not settle: {self.page.evaluate(WHERE)}, {self.errors}")
        self.sound()
        return self

    def sound(self) -> None:
        """No traceback on the page, no error of the app in the console."""
        assert not self.page.locator("[data-testid=stException]").count(), self.page.locator("[data-testid=stException]").all_inner_texts()
        assert not self.errors, self.errors

    # ---- what it shows

    def menu(self) -> list[str]:
        self.page.get_by_test_id("stTopNavLink").first.wait_for()
        return [t.strip() for t in self.page.locator("[data-testid=stTopNavLink]").all_inner_texts()]

    def title(self) -> str:
        return self.page.locator("[data-testid=stMain] h1").inner_text().strip()

    def main(self) -> str:
        return self.page.locator("[data-testid=stMain]").inner_text()

    def verdict(self) -> str:
        return self.page.locator(".st-key-verdict h2").inner_text().strip()

    def notices(self) -> list[str]:
        """The boxes that say what was left out of the address."""
        return [t.strip() for t in self.page.locator("[data-testid=stAlertContentWarning]").all_inner_texts()]

    def query(self) -> dict[str, list[str]]:
        """What the address holds."""
        return query_of(self.page.url)

    def shows(self, key: str) -> str:
        """What the slider with that key shows."""
        return self.page.locator(f".st-key-{key} input[type=range]").first.get_attribute("aria-valuetext")

    def controls(self) -> dict[str, str]:
        """What every control shows, those behind More too: widget key -> text; several choices are joined by commas."""
        more = self.page.get_by_role("button", name="More", exact=True)
        if more.count():
            more.click()
            self.page.wait_for_function(MORE_STILL, timeout=60_000, polling=25)
        shown = self.page.evaluate(CONTROLS)
        if more.count():
            self.page.keyboard.press("Escape")
            self.page.get_by_test_id("stPopoverBody").wait_for(state="hidden")
        return shown

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
        """Arrow keys on the slider with that widget key."""
        self.page.locator(f".st-key-{key} input[type=range]").first.focus()
        for _ in range(times):
            self.page.keyboard.press(arrow)
        return self.settle(quiet)

    def click(self, name: str, quiet: bool = True) -> Visitor:
        self.page.get_by_role("button", name=name, exact=True).first.click()
        return self.settle(quiet)

    def enter(self, scene: str, quiet: bool = True) -> Visitor:
        """Choose the scene with that name from the row of pills."""
        self.page.get_by_test_id("stMain").get_by_role("radio", name=scene, exact=True).first.click()
        return self.settle(quiet)

    def go(self, entry: str) -> Visitor:
        """Another page, through the menu."""
        before = self.title()
        self.page.get_by_test_id("stTopNavLink").filter(has_text=entry).first.click()
        self.page.wait_for_function(OTHER_TITLE, arg=before)
        return self.settle()


@pytest.fixture(scope="session")
def browser() -> Browser:
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)


@pytest.fixture(scope="session")
def address() -> str:
    # a run may take as long as a busy machine needs: what is too long for a visitor is tested elsewhere
    with serving(env={**os.environ, "VGDASH_RUN_SECONDS": "3600"}) as address:
        yield address


@pytest.fixture
def visitor(browser, address):
    """A tab of 1280x720 on the server that all tests share."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    yield Visitor(page, address)
    page.close()


@pytest.fixture
def fresh(browser, address):
    """A tab of a browser that has never been here."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    yield Visitor(context.new_page(), address)
    context.close()
