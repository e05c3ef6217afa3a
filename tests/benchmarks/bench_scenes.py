"""Scenes: python -m tests.benchmarks.bench_scenes [rounds] [seconds after the start]

Milliseconds from a click on a scene's name, page by page, or from the key N, through all scenes, to the
page's last change; where a run starts by itself, until title and server have got there. With the questions,
which hide the charts, and with all questions skipped.
"""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from urllib.parse import quote_plus

from playwright.sync_api import sync_playwright

from pages.parts.scenes import SCENES, Scene, of_page
from tests.browser import chromium
from tests.browser.conftest import Visitor
from tests.browser.states import headline
from tests.server import serving

BAR = 300  # milliseconds
Times = dict[Scene, float]
OPENED = """says => new Promise(done => {
  const look = () => {
    const title = document.querySelector('[data-testid=stMain] h1');
    const state = document.querySelector('[data-testid=stApp]').getAttribute('data-test-script-state');
    const here = title && says.includes(title.innerText.trim()) && state === 'notRunning';
    here ? done(performance.now() - window.__acted) : requestAnimationFrame(look);
  };
  look();
})"""


def opened(visitor: Visitor, scene: Scene, act: Callable[[], None]) -> float:
    """Milliseconds until the scene is open."""
    act()
    first = visitor.page.evaluate(OPENED, [headline(scene), scene.say])
    if scene.page == "training":
        return first
    visitor.settle()
    return visitor.page.evaluate("window.__changed - window.__acted")


def begin(visitor: Visitor, scene: Scene, skip: bool) -> None:
    address = scene.page if of_page(scene.page) == [scene] else f"{scene.page}?scene={quote_plus(scene.name)}"
    visitor.open(address, quiet=scene.page != "training")
    if skip and (button := visitor.page.get_by_role("button", name="Skip all questions")).count():
        button.click()
        visitor.settle(quiet=scene.page != "training")


def by_key(visitor: Visitor, skip: bool) -> Times:
    begin(visitor, SCENES[0], skip)
    return {scene: opened(visitor, scene, lambda: visitor.page.keyboard.press("n")) for scene in SCENES[1:]}


def by_click(visitor: Visitor, skip: bool) -> Times:
    """The last scene of each page is where it begins, and the page itself where there is only one."""
    times: Times = {}
    for page in dict.fromkeys(scene.page for scene in SCENES):
        scenes = of_page(page)
        begin(visitor, scenes[-1], skip)
        for scene in scenes:
            main = visitor.page.get_by_test_id("stMain")
            name = main.get_by_role("radio", name=scene.name, exact=True).first
            times[scene] = opened(visitor, scene, name.click)
    return times


def main() -> None:
    given = [float(text) for text in sys.argv[1:3]]
    rounds, wait = (*given, *(3, 40)[len(given):])
    walks = [(way, skip) for way in (by_click, by_key) for skip in (False, True)]
    found: list[dict[Scene, list[float]]] = [defaultdict(list) for _ in walks]
    with serving() as address, sync_playwright() as play:
        time.sleep(wait)
        browser = play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        for _ in range(int(rounds)):
            for (way, skip), times in zip(walks, found, strict=True):
                with browser.new_context(viewport={"width": 1280, "height": 720}) as context:
                    for scene, ms in way(Visitor(context.new_page(), address), skip).items():
                        times[scene].append(ms)
    for (way, skip), times in zip(walks, found, strict=True):
        middle = {scene: statistics.median(values) for scene, values in times.items()}
        within = sum(ms <= BAR for ms in middle.values())
        walk = way.__name__.replace("_", " ") + (", all questions skipped" if skip else "")
        print(f"{walk}: {within} of {len(middle)} within {BAR} ms, "
              f"median {statistics.median(middle.values()):.0f}, slowest {max(middle.values()):.0f}")
        for scene, ms in middle.items():
            if ms > BAR:
                print(f"  {ms:6.0f}  {scene.page} {scene.name}")


if __name__ == "__main__":
    main()
