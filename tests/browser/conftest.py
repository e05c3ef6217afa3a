"""The app in a real browser: a server on a free port of 127.0.0.1, and pages that know when they have settled."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import chromium

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETTLED = """() => { const app = document.querySelector('[data-testid=stApp]');
  return app && app.getAttribute('data-test-connection-state') === 'CONNECTED' && app.getAttribute('data-test-script-state') === 'notRunning'
    && document.querySelector('[data-testid=stMain] [data-testid=stElementContainer]') && !document.querySelector('[data-testid=stSkeleton]'); }"""


@contextlib.contextmanager
def serving(*options: str):
    """The app on a fresh server; yields its address."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1",
               "--server.headless", "true", "--server.fileWatcherType", "none", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
                break
            assert process.poll() is None, "the server stopped while starting"
            time.sleep(0.1)
        else:
            raise AssertionError("the app did not become healthy in 60 s")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


class Visitor:
    """One browser tab, and what a person would do in it."""

    def __init__(self, page: Page, address: str):
        self.page, self.address = page, address
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, path: str) -> Visitor:
        self.page.goto(f"{self.address}/{path}")
        return self.settle()

    def settle(self) -> Visitor:
        for _ in range(2):
            self.page.wait_for_function(SETTLED, timeout=60_000)
            self.page.wait_for_timeout(350)
        assert not self.page.locator("[data-testid=stException]").count(), self.page.locator("[data-testid=stException]").all_inner_texts()
        assert not self.errors
        return self

    def menu(self) -> list[str]:
        return [t.strip() for t in self.page.locator("[data-testid=stTopNavLink]").all_inner_texts()]

    def main(self) -> str:
        return self.page.locator("[data-testid=stMain]").inner_text()

    def verdict(self) -> str:
        return self.page.locator(".st-key-verdict").inner_text()

    def press(self, key: str, arrow: str = "ArrowRight", times: int = 1) -> Visitor:
        """Arrow keys on the slider with that widget key."""
        self.page.locator(f".st-key-{key} input[type=range], .st-key-{key} [role=slider]").first.focus()
        for _ in range(times):
            self.page.keyboard.press(arrow)
        self.page.wait_for_timeout(300)
        return self.settle()

    def click(self, name: str) -> Visitor:
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.page.wait_for_timeout(300)
        return self.settle()


@pytest.fixture(scope="session")
def browser() -> Browser:
    with sync_playwright() as play:
        yield play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)


@pytest.fixture(scope="session")
def address() -> str:
    with serving() as address:
        yield address


@pytest.fixture
def visitor(browser, address):
    """A tab of 1280x720 on the server that all tests share."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    yield Visitor(page, address)
    page.close()
