"""What goes wrong is said in a sentence, the server goes on, and the address brings everything back."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pages.parts import training_panel
from pages.parts.names import field
from pages.parts.shell import PAGES
from pages.parts.training_runs import Store
from tests.pages.slow import SMALL, wait_for
from tests.pages.wire import Session
from tests.server import ROOT, port_of, serving
from vgdash.training.trainer import Trainer

LONG = "steps=20000&depth=10&width=64&seeds=1&snapshots=400"


# ---- a run

class Dies(Trainer):
    """A trainer that ends its thread after two snapshots."""

    how: BaseException = SystemExit("out")

    def __iter__(self):
        for count, snapshot in enumerate(super().__iter__()):
            if count == 2:
                raise self.how
            yield snapshot


def goes_well(store):
    again = store.ask(SMALL, "visitor")
    wait_for(lambda: store.look(SMALL, "visitor").over)
    assert again.state == "finished"


@pytest.mark.parametrize(
    "how",
    [SystemExit("out"), KeyboardInterrupt(), GeneratorExit(), MemoryError("full"), ValueError("<b>no</b>")],
    ids=lambda how: type(how).__name__)
def test_whatever_ends_the_thread_of_a_run_is_said_and_frees_its_place(how, monkeypatch):
    monkeypatch.setattr(Dies, "how", how)
    store = Store(running=1, make=Dies)
    run = store.ask(SMALL, "visitor")
    wait_for(lambda: run.over)
    assert (run.state, len(run.snapshots)) == ("failed", 2)
    said = training_panel.progress(run, SMALL)
    assert type(how).__name__ in said
    assert said.endswith("Change a setting or run it again.")
    assert "<b>" not in said
    store.make = Trainer
    goes_well(store)


def test_a_worker_thread_inside_a_run_that_dies_ends_the_run_with_its_name(monkeypatch):
    from vgdash.training.engine import Nets
    monkeypatch.setattr(Nets, "run", lambda *_, **__: sys.exit("gone"))
    store = Store(running=1)
    run = store.ask(SMALL, "visitor")
    wait_for(lambda: run.over)
    assert (run.state, run.error) == ("failed", "SystemExit: gone")


def test_a_machine_without_another_thread_fails_the_run_and_not_the_page(monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")
    store = Store(running=1)
    monkeypatch.setattr(threading.Thread, "start", start)
    run = store.ask(SMALL, "visitor")
    assert (run.state, run.error) == ("failed", "can't start new thread")
    monkeypatch.undo()
    goes_well(store)


def test_one_visitor_has_one_run_at_a_time_and_leaves_a_place_to_others(slow):
    store = Store(running=2, make=slow)
    greedy = [store.ask(replace(SMALL, seed=seed), "greedy") for seed in range(5)]
    modest = store.ask(replace(SMALL, seed=9), "modest")
    assert [run.state for run in greedy] == ["running"] + ["waiting"] * 4
    assert modest.state == "running"


def test_runs_begin_only_while_all_of_them_fit_into_memory(slow):
    store = Store(running=4, make=slow, memory=2.5 * SMALL.memory_bytes)
    runs = [store.ask(replace(SMALL, seed=seed), f"visitor {seed}") for seed in range(4)]
    assert [run.state for run in runs] == ["running"] * 2 + ["waiting"] * 2
    alone = Store(running=4, make=slow, memory=0.5 * SMALL.memory_bytes)
    assert alone.ask(SMALL, "visitor").state == "running", "one that is larger than the bound runs alone"
    assert alone.ask(replace(SMALL, seed=1), "other").state == "waiting"


def test_a_connection_lost_for_a_while_leaves_the_run_alone_and_for_longer_says_so(slow):
    store = Store(running=1, make=slow, unwatched=0.4)
    run = store.ask(SMALL, "student")
    time.sleep(0.2)  # a short loss: nobody looks
    assert store.look(SMALL, "student").state == "running"
    time.sleep(0.5)  # a long one; somebody else looks at something else
    assert store.ask(replace(SMALL, seed=1), "other").state == "running", "its place is free"
    assert store.look(SMALL, "student").state == "stopped"
    said = training_panel.progress(run, SMALL)
    assert "Stopped, since nobody was watching any more. Step 0 of 20." in said


def test_watchers_who_are_gone_are_forgotten_while_others_watch(slow):
    store = Store(running=1, make=slow, unwatched=0.02)
    run = store.ask(SMALL, "gone")
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        store.look(SMALL, "here")
        time.sleep(0.005)
    assert run.state == "running"
    assert set(run.watchers) == {"here"}


def test_nothing_asks_the_clock_on_the_wall():
    asks = re.compile(r"time\.time\(|datetime\.now|utcnow|from time import|date\.today")
    files = [*(ROOT / "vgdash").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
    assert [str(file) for file in files if asks.search(file.read_text(encoding="utf-8"))] == []


# ---- the server, and the way to it

def steps_done(page):
    found = re.search(r"Step ([\d,]+) of", " ".join(page.texts))
    return int(found[1].replace(",", "")) if found else 0


def test_who_comes_back_with_the_same_session_finds_the_run_going_on(port):
    with Session(port) as visitor:
        visitor.open("training", LONG)
        wait_for(lambda: steps_done(visitor.tick()) > 0)
        before, known = steps_done(visitor.tick()), visitor.id
        here, address = visitor.page_hash, visitor.query
    time.sleep(1)
    with Session(port, again=known) as visitor:
        visitor.page_hash, visitor.query = here, address
        page = visitor.send()
        assert visitor.id == known, "the server knows the session again"
        assert not page.exceptions
        assert steps_done(page) > before
        assert page.has("stop")
        visitor.click("stop")


def test_what_ticks_draws_no_widget_and_the_run_s_end_ends_the_timer(visitor):
    """A browser sends the values of all its widgets with each tick: one drawn there would take old ones."""
    page = visitor.open("training", "steps=8000&depth=10&width=32&seeds=1&initializers=he_normal&seed=77")
    (ticking,) = page.timers
    assert page.has("stop")
    while page.timers:
        assert not page.exceptions
        assert not [widget for widget in page.widgets() if page.fragment(widget) == ticking]
        page = visitor.tick()
    assert any("8,000 steps in" in text for text in page.texts)
    assert not page.has("stop")


def bound_by_permissions():
    """What a command begins with so that permissions count, for root too."""
    if os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-dac_override"]
    tried = shutil.which("setpriv") and subprocess.run([*command, "true"], capture_output=True, check=False)
    if not tried or tried.returncode:
        pytest.skip("root writes everywhere, and there is no setpriv that could stop it")
    return command


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """Serve a copy of the app on a disk that cannot be written: its port, the folder, and what was there."""
    disk = tmp_path_factory.mktemp("disk")
    for name in (".streamlit", "pages", "vgdash"):
        shutil.copytree(ROOT / name, disk / name)
    shutil.copy2(ROOT / "app.py", disk)
    (disk / "home").mkdir()
    folders = [disk, *(path for path in disk.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = sorted(disk.rglob("*"))
    home = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(disk / "home"))
    try:
        with serving(folder=disk, before=bound_by_permissions(), env={**os.environ, **home}) as address:
            yield port_of(address), disk, before
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_with_a_disk_that_cannot_be_written_every_page_works(read_only):
    port, disk, before = read_only
    with Session(port) as visitor:
        for stem, _ in PAGES:
            page = visitor.open(stem, "steps=20&depth=3" if stem == "training" else "")
            assert not page.exceptions, stem
            assert page.texts, stem
        wait_for(lambda: "20 steps in" in " ".join(visitor.open("training", "steps=20&depth=3").texts))
    assert sorted(disk.rglob("*")) == before, "and nothing was written"


# ---- memory

TOO_LARGE = [
    ("initializers", "depth=256&width=4096", "widths"), ("initializers", "widths=4096x257", "widths"),
    ("initializers", "depth=100&width=256&batch=256&seeds=32", "seeds"),
    ("training", "depth=256&width=1024", "widths"), ("training", "steps=20000&depth=40&width=256", "steps"),
    ("linear_chain", "kind=gaussian&depth=1000&width=32&seeds=200", "seeds"),
]


def resident(process):
    """Bytes of memory that a process has now."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux says what a process holds")
def test_a_parameter_set_that_needs_too_much_is_refused_in_one_sentence_and_nothing_is_taken_for_it():
    processes = []
    with serving(seen=processes) as address:  # of its own: other tests' runs would count
        port = port_of(address)
        for stem in dict.fromkeys(stem for stem, *_ in TOO_LARGE):
            with Session(port) as visitor:
                visitor.open(stem)
                visitor.rest()
        before = resident(processes[0])
        for stem, query, named in TOO_LARGE:
            with Session(port) as visitor:
                page = visitor.open(stem, query)
                assert not page.exceptions
                said = [sentence.startswith(field(named)) and "left out" in sentence
                        for sentence in page.warnings]
                assert any(said), (query, page.warnings)
        assert resident(processes[0]) - before < 300e6, "what is left of each set is the page's default"
        wait_for(lambda: resident(processes[0]) - before < 100e6)  # runs that nobody watches end


def test_a_net_too_large_for_sixteen_rates_at_once_is_said_on_the_page(visitor):
    page = visitor.open("training", "depth=100&width=128&steps=50&look=learning+rates")
    assert not page.exceptions
    assert any("too large to try many learning rates at once" in alert.body for alert in page.of("alert"))
