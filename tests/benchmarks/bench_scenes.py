"""A lecture as a walk: python -m tests.benchmarks.bench_scenes [rounds] [seconds after the start]

A server that has stood for a while, a browser that has been there, and the key N from the first scene to the last: milliseconds from the
key to the page's last change. Where a run starts by itself the page never stops changing: there, until its title says the scene's line
and the server has nothing more to say of it. Once with the questions, which hide the charts, and once with all questions skipped.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict

from playwright.sync_api import sync_playwright

from pages.parts.scenes import SCENES, of_page
from tests.browser import chromium
from tests.browser.conftest import Visitor
from tests.server import serving

BAR = 300  # milliseconds
OPENED = """say => new Promise(done => {
  const look = () => {
    const title = document.querySelector('[data-testid=stMain] h1'), app = document.querySelector('[data-testid=stApp]');
    const here = title && title.innerText.trim() === say && app.getAttribute('data-test-script-state') === 'notRunning';
    here ? done(performance.now() - window.__acted) : requestAnimationFrame(look);
  };
  look();
})"""


def opened(visitor: Visitor, scene) -> float:
    """Milliseconds from the key N until the scene is open."""
    visitor.page.keyboard.press("n")
    first = visitor.page.evaluate(OPENED, scene.say)
    if scene.page == "training":
        return first
    visitor.settle()
    return visitor.page.evaluate("window.__changed - window.__acted")


def walk(visitor: Visitor, skip: bool) -> list[float]:
    """The walk from the first scene to the last, which the second one begins."""
    visitor.open(f"{SCENES[0].page}?scene={SCENES[0].name.replace(' ', '+')}")
    if skip:
        visitor.click("Skip all questions")
    times = []
    for scene in SCENES[1:]:
        times.append(opened(visitor, scene))
    return times


def main() -> None:
    given = [float(text) for text in sys.argv[1:3]]
    rounds, wait = (*given, *(3, 40)[len(given):])
    found: dict[bool, dict[str, list[float]]] = {skip: defaultdict(list) for skip in (False, True)}
    with serving() as address, sync_playwright() as play:
        time.sleep(wait)
        browser = play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        for _ in range(int(rounds)):
            for skip, times in found.items():
                with browser.new_context(viewport={"width": 1280, "height": 720}) as context:
                    visitor = Visitor(context.new_page(), address)
                    for scene, ms in zip(SCENES[1:], walk(visitor, skip), strict=True):
                        times[f"{scene.page} {scene.name}"].append(ms)
    assert len(SCENES) == sum(len(of_page(page)) for page in {scene.page for scene in SCENES})
    for skip, times in found.items():
        middle = {name: statistics.median(values) for name, values in times.items()}
        within = sum(ms <= BAR for ms in middle.values())
        print(f"{'all questions skipped' if skip else 'with the questions'}: {within} of {len(middle)} within {BAR} ms,"
              f" median {statistics.median(middle.values()):.0f}, slowest {max(middle.values()):.0f}")
        for name, values in times.items():
            print(f"  {middle[name]:6.0f}  {name:50}" + " ".join(f"{ms:.0f}" for ms in values))


if __name__ == "__main__":
    main()
