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
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import Page, sync_playwright

from tests.browser import chromium
from tests.browser.conftest import SETTLED, Visitor
from tests.browser.states import link
from tests.pages.wire import Session, state
from tests.server import port_of, serving

BARE = '''
import streamlit as st, altair as alt, pandas as pd, numpy as np
c = st.slider("c", 0.1, 2.0, 1.0, 0.01)
layer = np.arange(150)
st.altair_chart(alt.Chart(pd.DataFrame({"layer": layer, "value": c ** layer})).mark_line().encode(
    x="layer", y=alt.Y("value", scale=alt.Scale(type="log"))))
st.metric("factor", f"{c:.2f}")
'''
ROUNDS, RERUNS = 6, 200
QUIET = ("--browser.gatherUsageStats", "false")  # nothing leaves this machine
AGAINST_BARE, CPU_BAR = 1.0, 15.0  # ratio, milliseconds
KEYS = {  # page: its first slider, and what makes a round's values new
    "linear_chain": ("factor", lambda k: {"x1": str(k + 2)}),
    "neuron_variance": ("n", lambda k: {"seed": str(k + 1)}),
    "initializers": ("depth", lambda k: {"seed": str(k + 1)}),
    "training": ("depth", lambda k: {}),
    "trainable_depth": ("sigma_w2", lambda k: {"gamma": f"{1 + (k + 1) / 1000:g}"}),
}
WATCH = """() => { window.__last = 0; new MutationObserver(() => { window.__last = performance.now(); })
  .observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true}); }"""
ARM = """() => { window.__last = 0; window.__t0 = Infinity; document.addEventListener('keydown',
  () => { window.__t0 = performance.now(); }, {once: true, capture: true}); }"""
STILL = f"() => window.__last > window.__t0 && performance.now() - window.__last > 250 && ({SETTLED})()"
# Right, right: two new values; back to the start, which is remembered; left: a new one again.
STEPS = (("ArrowRight", True), ("ArrowRight", True),
         ("ArrowLeft", False), ("ArrowLeft", False), ("ArrowLeft", True))


def presses(page: Page, slider: str) -> list[float]:
    """Milliseconds from a key that brings a new value to the last change before 250 ms without one."""
    page.locator(slider).first.focus()
    page.evaluate(WATCH)
    times = []
    for arrow, new in STEPS:
        page.evaluate(ARM)
        page.keyboard.press(arrow)
        page.wait_for_function(STILL, polling=20, timeout=30_000)
        if new:
            times.append(page.evaluate("() => window.__last - window.__t0"))
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
                Visitor(page, address).open(path, quiet=name != "training")
                times = presses(page, slider)
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
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "bare.py").write_text(BARE)
        processes: list[subprocess.Popen] = []
        app = stack.enter_context(serving(seen=processes))
        bare = stack.enter_context(serving(*QUIET, script="bare.py", folder=folder))
        found = {name: statistics.median(times) for name, times in latencies(app, bare).items()}
        for name, median in found.items():
            ratio = median / found["bare page"]
            print(f"{name:20} {median:5.0f} ms, {ratio:.2f} of the bare page (wanted: {AGAINST_BARE})")
        for name, milliseconds in cpu_of_reruns(app, processes[0]).items():
            print(f"{name:20} {milliseconds:5.1f} ms of CPU for a remembered rerun (wanted: {CPU_BAR:.0f})")


if __name__ == "__main__":
    main()
