"""A lecture hall without browsers: python -m tests.benchmarks.bench_load [students] [changes each] [seconds between]

Students open a page through its WebSocket and keep changing its first slider: among three values, as in a lecture, and to a new
value each time. A bare Streamlit page (one slider, one Altair chart, our settings) goes first, in the same run: the floor. Prints
first loads and changes as medians, 95th percentiles and maxima in milliseconds, errors, and the server's memory.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.benchmarks.bench_pages import BARE, KEYS
from tests.server import serving

LECTURE = (0.25, 0.5, 0.75)  # of the slider
PATIENCE = 60  # seconds


class Hall:
    """What all students of one page have seen."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.changes: list[float] = []
        self.errors: list[str] = []

    def line(self, name: str) -> str:
        def told(times: list[float]) -> str:
            if not times:
                return "none"
            ordered = sorted(times)
            return f"{1e3 * statistics.median(times):5.0f} {1e3 * ordered[int(0.95 * (len(times) - 1))]:6.0f} {1e3 * ordered[-1]:6.0f}"
        return f"{name:34} first {told(self.first)}   change {told(self.changes)}   errors {len(self.errors)} {self.errors[:1] or ''}"


async def until_finished(socket, hall: Hall, sliders: dict) -> None:
    while True:
        message = ForwardMsg()
        message.ParseFromString(await asyncio.wait_for(socket.recv(), PATIENCE))
        if message.WhichOneof("type") == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            if element.WhichOneof("type") == "slider":
                sliders[element.slider.id] = (element.slider, message.delta.fragment_id)
            elif element.WhichOneof("type") == "exception":
                hall.errors.append(element.exception.message)
        if message.WhichOneof("type") == "script_finished":
            return


async def student(port: int, stem: str, key: str, changes: int, between: float, lecture: bool, arrive: float, hall: Hall) -> None:
    await asyncio.sleep(random.random() * arrive)
    sliders: dict = {}
    try:
        start = time.perf_counter()
        cookie = {"Cookie": f"vgdash={uuid.uuid4().hex}"}  # by which a proxy tells students apart
        async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None,
                                      open_timeout=PATIENCE, additional_headers=cookie) as socket:
            hello = BackMsg()
            hello.rerun_script.page_name = stem
            await socket.send(hello.SerializeToString())
            await until_finished(socket, hall, sliders)
            hall.first.append(time.perf_counter() - start)
            for _ in range(changes):
                await asyncio.sleep(random.expovariate(1 / between))
                slider, fragment = next(found for name, found in sliders.items() if name.endswith(key))
                share = random.choice(LECTURE) if lecture else random.random()
                change = BackMsg()
                change.rerun_script.page_name, change.rerun_script.fragment_id = stem, fragment
                state = change.rerun_script.widget_states.widgets.add(id=slider.id)
                if slider.options:
                    state.string_array_value.data.append(slider.options[int(share * (len(slider.options) - 1))])
                else:
                    state.double_array_value.data.append(slider.min + round((slider.max - slider.min) * share / slider.step) * slider.step)
                start = time.perf_counter()
                await socket.send(change.SerializeToString())
                await until_finished(socket, hall, sliders)
                hall.changes.append(time.perf_counter() - start)
    except Exception as error:  # a lost visitor is a figure of this benchmark
        hall.errors.append(f"{type(error).__name__}: {error}")


async def fill(port: int, stem: str, key: str, students: int, changes: int, between: float, lecture: bool, arrive: float) -> Hall:
    hall = Hall()
    await asyncio.gather(*(student(port, stem, key, changes, between, lecture, arrive, hall) for _ in range(students)))
    return hall


def megabytes(process: subprocess.Popen) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1e3


def main() -> None:
    given = [float(text) for text in sys.argv[1:4]]
    students, changes, between = (*given, *(100, 10, 2)[len(given):])
    students, changes = int(students), int(changes)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bare.py").write_text(BARE)
        with serving(script=str(Path(folder) / "bare.py")) as bare:
            found = asyncio.run(fill(int(bare.rsplit(":", 1)[1]), "", "", students, changes, between, True, 2 * between))
            print(found.line("bare page, our settings"), flush=True)
    processes: list[subprocess.Popen] = []
    with serving(seen=processes) as app:
        port = int(app.rsplit(":", 1)[1])
        for stem, (key, _) in KEYS.items():
            for lecture in (True, False):
                found = asyncio.run(fill(port, stem, f"-{key}", students, changes, between, lecture, 2 * between))
                print(found.line(f"{stem}, {'lecture' if lecture else 'new values'}"), f"  {megabytes(processes[0]):.0f} MB", flush=True)
        found = asyncio.run(fill(port, "linear_chain", "-factor", 3 * students, 2, between, True, 10))
        print(found.line(f"{3 * students} open one link within 10 s"), f"  {megabytes(processes[0]):.0f} MB", flush=True)


if __name__ == "__main__":
    main()
