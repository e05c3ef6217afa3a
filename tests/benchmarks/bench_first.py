"""What the first visitor waits: python -m tests.benchmarks.bench_first [rounds] [seconds after the start]

Each page is opened by its deep link, in a new browser, on a server that has just become healthy (or has stood
for some seconds), until the page's last change; the bare page takes its turn in every round. Medians.
"""

import statistics
import sys
import time
from collections import defaultdict

from playwright.sync_api import Browser, sync_playwright

from pages.parts.shell import PAGES
from tests.benchmarks.bench_pages import BARE
from tests.browser import chromium
from tests.browser.conftest import Visitor
from tests.server import serving

BAR = 1.2


def visit(browser: Browser, stem: str, script: str, wait: float) -> float:
    """Milliseconds from the beginning of the navigation to the page's last change, on a server of its own."""
    size = {"width": 1280, "height": 720}
    with serving(script=script) as address, browser.new_context(viewport=size) as context:
        time.sleep(wait)
        visitor = Visitor(context.new_page(), address).open(stem)
        return visitor.page.evaluate("window.__changed")


def main() -> None:
    given = [float(text) for text in sys.argv[1:3]]
    rounds, wait = (*given, *(5, 0)[len(given):])
    found: dict[str, list[float]] = defaultdict(list)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        for _ in range(int(rounds)):
            found["bare"].append(visit(browser, "", BARE, wait))
            for stem, _ in PAGES:
                found[stem].append(visit(browser, "" if stem == "home" else stem, "app.py", wait))
    floor = statistics.median(found["bare"])
    for name, times in found.items():
        middle = statistics.median(times)
        each = " ".join(f"{ms:.0f}" for ms in times)
        print(f"{name:18}{middle:7.0f} ms, {middle / floor:.2f} of the bare page (wanted: {BAR})   {each}")


if __name__ == "__main__":
    main()
