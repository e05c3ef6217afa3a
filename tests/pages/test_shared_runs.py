"""Shared runs through the WebSocket: a hall with one link watches one computation, others wait in line."""

import itertools
import re
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.parts.training_runs import RUNNING
from tests.pages.wire import Session
from tests.server import port_of, serving
from vgdash.training.trainer import TrainParams

HALL, DIFFERENT = 20, 10
SHARED = {"depth": "12", "width": "48", "initializers": "he_normal,zeros,lecun_normal", "steps": "4000",
          "batch": "32"}
HEAVY = {"depth": "4", "width": "640", "initializers": "he_normal,zeros", "optimizer": "adam", "steps": "3",
         "batch": "8"}
PATIENCE = 60.0
SLACK = 60e6  # bytes: sessions of ten visitors, charts, and what the allocator keeps
STEP, DONE = re.compile(r"Step ([\d,]+) of"), re.compile(r"steps in [\d.]+ s\.")
PLACE = re.compile(r"Number (\d+) in line. It starts in about ([\d.]+) s")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Serve the app: its port, its process, and the lines that its runs have left."""
    seen, told = [], tmp_path_factory.mktemp("runs") / "runs"
    told.touch()
    with serving("--", str(told), script="tests/pages/counted_app.py", seen=seen) as address:
        yield port_of(address), seen[0].pid, lambda: told.read_text().split("\n")[:-1]


@pytest.fixture
def counted(server):
    """The same; of the lines those that were not there before."""
    port, pid, lines = server
    before = len(lines())
    return port, pid, lambda: lines()[before:]


def resident(pid, which):
    """Bytes of a process: VmRSS now, VmHWM at most so far, or since 5 was written to ``clear_refs``."""
    return 1024 * int(re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()).group(1))


def plotted_steps(page):
    """The steps of the lines of the first chart, as they go to the browser; none while there is no chart."""
    charts = page.of("vega_lite_chart")
    if not charts:
        return []
    table = pa.ipc.open_stream(charts[0].data.data).read_all().to_pandas()
    return table.x[table.part == "line"].tolist()


def watch(port, state, together, looks):
    """One visitor from the link to the end of the run; ``looks`` receives what each look shows."""
    with Session(port) as visitor:
        together.wait()
        page = visitor.open("training", urllib.parse.urlencode(state))
        until = time.monotonic() + PATIENCE
        while True:
            assert not page.exceptions
            found = [text for text in page.texts if any(one.search(text) for one in (STEP, PLACE, DONE))]
            said = next(iter(found), "")
            looks.append((said, plotted_steps(page)))
            if DONE.search(said):
                return
            assert time.monotonic() < until, f"it did not end, but says {said!r}"
            page = visitor.tick()


def hall(port, states):
    """Everybody at once; what each saw."""
    seen, together = [[] for _ in states], threading.Barrier(len(states))
    with ThreadPoolExecutor(len(states)) as pool:
        for outcome in [pool.submit(watch, port, states[i], together, seen[i]) for i in range(len(states))]:
            outcome.result()
    return seen


def steps_seen(looks):
    return [int(found.group(1).replace(",", "")) for said, _ in looks if (found := STEP.search(said))]


def test_a_hall_with_one_link_watches_one_computation_live_from_its_start(counted):
    port, _, told = counted
    seen = hall(port, [SHARED] * HALL)
    assert told() == ["begins 0", "ends 0"]
    for looks in seen:
        steps = steps_seen(looks)
        assert len(set(steps)) >= 3, f"it was to be seen moving, but only {steps}"
        assert steps == sorted(steps)
        live = [plotted for said, plotted in looks if STEP.search(said) and plotted]
        assert live, "the chart was to be drawn before the run was over"
        assert all(plotted[0] == 0 for plotted in live), "whoever comes later sees it from the start too"
        assert max(looks[-1][1]) == int(SHARED["steps"])


def test_a_forged_message_that_clears_caches_clears_nothing_of_others(counted):
    port, _, told = counted
    with Session(port) as visitor, Session(port) as forger:
        forger.open("linear_chain", "seed=8")
        visitor.open("training", urllib.parse.urlencode({**SHARED, "seed": "7"}))
        forger.open("neuron_variance")
        forger.socket.send(BackMsg(clear_cache=True).SerializeToString())
        assert not forger.send().exceptions
        assert not forger.open("linear_chain", "seed=8").exceptions
        while visitor.page.timers:
            assert not visitor.tick().exceptions
        assert DONE.search(" ".join(visitor.page.texts)), "the run was to go on to its end"
    hall(port, [{**SHARED, "seed": "7"}])
    assert told() == ["chain 8", "begins 7", "ends 7"], "and it was to be kept, as the chain was"


def test_ten_different_runs_wait_in_line_all_finish_and_hold_no_more_memory_than_cores_do(counted):
    port, pid, told = counted
    p = TrainParams.parse_lenient({key: [value] for key, value in HEAVY.items()}, text=True)[0]
    hall(port, [{**HEAVY, "seed": str(DIFFERENT)}])  # what any first run leaves in memory does not count
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before, earlier = resident(pid, "VmRSS"), len(told())
    seen = hall(port, [{**HEAVY, "seed": str(seed)} for seed in range(DIFFERENT)])

    lines = told()[earlier:]
    begun = [line for line in lines if line.startswith("begins")]
    assert sorted(begun) == sorted(f"begins {seed}" for seed in range(DIFFERENT))
    at_once = list(itertools.accumulate(+1 if line.startswith("begins") else -1 for line in lines))
    assert max(at_once) == RUNNING
    assert at_once[-1] == 0

    queue = [[PLACE.search(said) for said, _ in looks if PLACE.search(said)] for looks in seen]
    waited = [[(int(found[1]), float(found[2])) for found in line] for line in queue if line]
    assert len(waited) >= DIFFERENT - RUNNING - 2, "almost everybody was to wait"
    assert max(place for line in waited for place, _ in line) >= DIFFERENT - RUNNING - 2
    for line in waited:
        places, seconds = zip(*line, strict=True)
        assert list(places) == sorted(places, reverse=True), "nobody falls back in the line"
        assert min(seconds) >= 0
    assert all(max(looks[-1][1]) == int(HEAVY["steps"]) for looks in seen)

    bound = p.memory_bytes * RUNNING + p.snapshot_bytes * DIFFERENT + SLACK
    assert p.memory_bytes * DIFFERENT > 1.5 * bound, "ten at once must differ from as many as there are cores"
    assert resident(pid, "VmHWM") - before < bound
