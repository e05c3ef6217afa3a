"""How fast a page answers, against the platform: run ``python tests/benchmarks/bench_pages.py``.

Key press -> page settled, on values that are new to the server, against a bare page and Streamlit's defaults.
CPU: what the server's process spends on a rerun whose results are remembered, driven through its WebSocket.
"""

import contextlib
import itertools
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.conftest import Visitor
from tests.browser.states import link
from tests.pages.wire import Session, state
from tests.server import port_of, serving

ROUNDS, RERUNS = 6, 200
QUIET = ("--browser.gatherUsageStats", "false")  # nothing leaves this machine
AGAINST_BARE, CPU_BAR = 1.0, 15.0  # ratio, milliseconds
BARE = "tests/benchmarks/bare.py"
KEYS = {  # page: its first slider, and what makes a round's values new
    "linear_chain": ("factor", lambda k: {"x1": str(k + 2)}),
    "neuron_variance": ("n", lambda k: {"seed": str(k + 1)}),
    "initializers": ("depth", lambda k: {"seed": str(k + 1)}),
    "training": ("depth", lambda k: {}),
    "trainable_depth": ("sigma_w2", lambda k: {"gamma": f"{1 + (k + 1) / 1000:g}"}),
}
# Right, right: two new values; back to the start, which is remembered; left: a new one again.
STEPS = (("ArrowRight", True), ("ArrowRight", True),
         ("ArrowLeft", False), ("ArrowLeft", False), ("ArrowLeft", True))


def presses(visitor: Visitor, slider: str) -> list[float]:
    """Milliseconds from a key that brings a new value to the last change before 350 ms without one."""
    visitor.page.locator(slider).first.focus()
    times = []
    for arrow, new in STEPS:
        visitor.page.keyboard.press(arrow)
        visitor.settle()
        if new:
            times.append(visitor.page.evaluate("window.__changed - window.__acted"))
    return times


def latencies(app: str, bare: str) -> dict[str, list[float]]:
    """Key press to settled page for every page and the bare one, in turns."""
    found: dict[str, list[float]] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium.executable(), args=chromium.ARGUMENTS)
        for k in range(ROUNDS):
            turns = [("bare page", bare, "", "input[type=range]"),
                     *((stem, app, link(stem, fresh(k)), f"[class*=st-key-{key}-] input[type=range]")
                       for stem, (key, fresh) in KEYS.items())]
            for name, address, path, slider in turns:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                times = presses(Visitor(page, address).open(path, quiet=name != "training"), slider)
                if k:  # the first round warms up
                    found.setdefault(name, []).extend(times)
                page.close()
        browser.close()
    return found


def cpu_seconds(process: subprocess.Popen) -> float:
    """What the process has used so far, of the user's and of the system's time."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_reruns(address: str, process: subprocess.Popen) -> dict[str, float]:
    """Milliseconds of server CPU for one rerun with remembered results, by page."""
    found = {}
    for stem, (key, _) in KEYS.items():
        with Session(port_of(address)) as visitor:
            slider = visitor.open(stem).widget(key)
            if slider.options:
                at = int(slider.default[0])
                values = [state(slider.id, "string_array_value", [slider.options[i]])
                          for i in (at - 1, at, at + 1)]
            else:
                values = [state(slider.id, "double_array_value", [slider.default[0] + i * slider.step])
                          for i in (-1, 0, 1)]
            for value in values * 4:
                visitor.send(value)
            before = cpu_seconds(process)
            for value in itertools.islice(itertools.cycle(values), RERUNS):
                visitor.send(value)
            found[stem] = 1e3 * (cpu_seconds(process) - before) / RERUNS
    return found


def main() -> None:
    with contextlib.ExitStack() as stack:
        processes: list[subprocess.Popen] = []
        app = stack.enter_context(serving(seen=processes))
        bare = stack.enter_context(serving(*QUIET, script="bare.py", folder=Path(__file__).parent))
        found = {name: statistics.median(times) for name, times in latencies(app, bare).items()}
        for name, median in found.items():
            ratio = median / found["bare page"]
            print(f"{name:20} {median:5.0f} ms, {ratio:.2f} of the bare page (wanted: {AGAINST_BARE})")
        for name, milliseconds in cpu_of_reruns(app, processes[0]).items():
            print(f"{name:20} {milliseconds:5.1f} ms of CPU for a remembered rerun (wanted: {CPU_BAR:.0f})")


if __name__ == "__main__":
    main()
