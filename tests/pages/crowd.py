"""Many students at once, without browsers: what each of them sees, and how long it takes."""

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

LECTURE = (0.25, 0.5, 0.75)  # of the slider: the values that everybody chooses among
PATIENCE = 60  # seconds


@dataclass
class Hall:
    """First loads and changes of all students in seconds, and what went wrong."""

    first: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """Return medians, 95th percentiles and maxima in milliseconds."""
        def milliseconds(times: list[float]) -> str:
            ordered = sorted(times)
            at = [int(share * (len(times) - 1)) for share in (0.5, 0.95, 1.0)] if times else []
            return " ".join(f"{1e3 * ordered[k]:6.0f}" for k in at) or "none"
        return (f"{name:34} first {milliseconds(self.first)}   change {milliseconds(self.changes)}"
                f"   errors {len(self.errors)} {self.errors[:1] or ''}")


def connection(port: int, **options: Any) -> connect:
    """Return a new visitor's connection, with the cookie by which a proxy tells visitors apart."""
    return connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None,
                   additional_headers={"Cookie": f"vgdash={uuid.uuid4().hex}"}, **options)


def page_request(stem: str, query: str = "") -> BackMsg:
    message = BackMsg()
    message.rerun_script.page_name, message.rerun_script.query_string = stem, query
    return message


async def exchange(socket: ClientConnection, message: BackMsg, hall: Hall, sliders: dict) -> float:
    """Send a message and read until the script has finished; return the seconds that it took."""
    start = time.perf_counter()
    await socket.send(message.SerializeToString())
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = ForwardMsg.FromString(await socket.recv())
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                element = answer.delta.new_element
                if element.WhichOneof("type") == "slider":
                    sliders[element.slider.id] = (element.slider, answer.delta.fragment_id)
                elif element.WhichOneof("type") == "exception":
                    hall.errors.append(element.exception.message)
            if kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return time.perf_counter() - start


def moved(stem: str, slider: Any, fragment: str, share: float) -> BackMsg:
    """Return the message of a slider that is set to this share of its way."""
    message = page_request(stem)
    message.rerun_script.fragment_id = fragment
    state = message.rerun_script.widget_states.widgets.add(id=slider.id)
    if slider.options:
        state.string_array_value.data.append(slider.options[int(share * (len(slider.options) - 1))])
    else:
        steps = round((slider.max - slider.min) * share / slider.step)
        state.double_array_value.data.append(slider.min + steps * slider.step)
    return message


async def fill(port: int, stem: str, key: str = "", students: int = 100, changes: int = 0,
               between: float = 1.0, lecture: bool = True, arrive: float = 4.0) -> Hall:
    """Let students arrive within ``arrive`` seconds, open the page, and change its slider ``key``.

    They change it every ``between`` seconds on average, among three values in a lecture, else to any value.
    """
    named = re.compile(rf"-{key}(-\d+)?$" if key else "")
    hall = Hall()

    async def student() -> None:
        await asyncio.sleep(random.random() * arrive)
        sliders: dict = {}
        try:
            start = time.perf_counter()
            async with connection(port) as socket:
                await exchange(socket, page_request(stem), hall, sliders)
                hall.first.append(time.perf_counter() - start)
                for _ in range(changes):
                    await asyncio.sleep(random.expovariate(1 / between))
                    slider, fragment = next(found for name, found in sliders.items() if named.search(name))
                    share = random.choice(LECTURE) if lecture else random.random()
                    change = moved(stem, slider, fragment, share)
                    hall.changes.append(await exchange(socket, change, hall, sliders))
        except Exception as error:  # a lost student is a figure, not the end
            hall.errors.append(f"{type(error).__name__}: {error}")

    await asyncio.gather(*(student() for _ in range(students)))
    return hall
