"""The WebSocket protocol of the app without a browser: any client may send any bytes, so the tests do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

from tests.opened import is_key

ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


@dataclass
class Node:
    """An element or a block on the page, and the run that drew it last."""

    run: str
    fragment: str
    drawn: Any  # Element or Block

    @property
    def kind(self) -> str | None:
        """Which block; of an element none."""
        return None if isinstance(self.drawn, Element) else self.drawn.WhichOneof("type") or ""


@dataclass
class Browser:
    """What a browser shows: as Streamlit's own it keeps what is not drawn again, and removes what is old."""

    nodes: dict[tuple[int, ...], Node] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)  # fragments that tick: seconds
    run: str = ""

    def hears(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                self.run = message.metadata.run.script_run_id
                if not message.metadata.run.fragment_ids:
                    self.timers = {}
            case "auto_rerun":
                self.timers[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            case "delta" if not message.delta.HasField("new_transient"):
                self._puts(tuple(message.metadata.delta_path), message.delta)
            case "script_finished" if message.script_finished in ENDS and message.metadata.HasField("run"):
                self._takes_away(message.metadata.run.script_run_id, message.metadata.run.fragment_ids)

    def _puts(self, path: tuple[int, ...], delta: Any) -> None:
        for k in range(2, len(path)):
            assert self.nodes[path[:k]].kind is not None, f"{path} is inside of what is no block"
            self.nodes[path[:k]].run = self.run
        assert path[-1] == 0 or (*path[:-1], path[-1] - 1) in self.nodes, f"there is nothing before {path}"
        node = Node(self.run, delta.fragment_id, getattr(delta, delta.WhichOneof("type")))
        before = self.nodes.get(path)
        if before and before.kind is not None and before.kind != node.kind:
            self._drops(lambda place: place[:len(path)] == path)
        self.nodes[path] = node

    def _takes_away(self, run: str, fragments: Sequence[str]) -> None:
        old = {path for path, node in self.nodes.items() if node.run != run}
        if fragments:
            theirs = {path: node for path, node in self.nodes.items() if node.fragment in fragments}
            drawn = {path for path, node in theirs.items() if node.kind is not None} - old
            old = {path for path in old if any(path[:k] in drawn for k in range(len(path)))}
        self._drops(lambda place: any(place[:k] in old for k in range(1, len(place) + 1)))

    def _drops(self, gone: Callable[[tuple[int, ...]], bool]) -> None:
        self.nodes = {path: node for path, node in self.nodes.items() if not gone(path)}

    def page(self, status: int) -> Page:
        """Return what is shown, in the order of the page."""
        shown = [self.nodes[path] for path in sorted(self.nodes) if self.nodes[path].kind is None]
        elements, fragments = [node.drawn for node in shown], [node.fragment for node in shown]
        return Page(elements, fragments, dict(self.timers), status)


@dataclass
class Page:
    """What the browser shows after a run: elements, the fragment of each, timers, and widgets."""

    elements: list[Element] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    timers: dict[str, float] = field(default_factory=dict)
    status: int = -1

    def of(self, kind: str) -> list[Any]:
        return [getattr(element, kind) for element in self.elements if element.WhichOneof("type") == kind]

    @property
    def exceptions(self) -> list[str]:
        return [error.message for error in self.of("exception")]

    @property
    def warnings(self) -> list[str]:
        return [alert.body for alert in self.of("alert") if alert.format == alert.WARNING]

    @property
    def texts(self) -> list[str]:
        return [markdown.body for markdown in self.of("markdown")]

    @property
    def verdict(self) -> str:
        """The verdict; nothing where a question hides it."""
        return next((text for text in self.texts if text.startswith("## ")), "")

    def _found(self) -> list[tuple[Any, str]]:
        """Return every widget, and its fragment."""
        drawn = [getattr(element, str(element.WhichOneof("type"))) for element in self.elements]
        both = zip(drawn, self.fragments, strict=True)
        return [(widget, fragment) for widget, fragment in both if getattr(widget, "id", "")]

    def widgets(self) -> dict[str, Any]:
        """Return every widget by its id, as the server described it."""
        return {widget.id: widget for widget, _ in self._found()}

    def fragment(self, widget_id: str) -> str:
        """Return the fragment whose widget that is; nothing if it is none's."""
        return next((fragment for widget, fragment in self._found() if widget.id == widget_id), "")

    def has(self, key: str) -> bool:
        return any(is_key(key, name) for name in self.widgets())

    def widget(self, key: str) -> Any:
        """Return the widget with that key, whatever its generation."""
        return next(widget for name, widget in self.widgets().items() if is_key(key, name))


class Session:
    """One visitor. ``open`` runs a page; ``send`` sends widget values as a browser does, or as none."""

    def __init__(self, port: int, again: str = "", cookie: str = ""):
        """``again``: the ``id`` of a session whose connection was lost; the server goes on with that one.

        ``cookie``: what a proxy knows the visitor by.
        """
        subprotocols = ["streamlit", "none", again] if again else ["streamlit"]
        headers = {"Cookie": cookie} if cookie else None
        self.connection = connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=subprotocols,
                                  max_size=None, additional_headers=headers)
        self.id = again
        self.page_hash = self.query = self.name = ""
        self.page, self.browser = Page(), Browser()

    def __enter__(self) -> Self:
        self.socket = self.connection.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 where: TracebackType | None) -> None:
        self.connection.__exit__(kind, error, where)

    def open(self, name: str, query: str = "", states: Sequence[WidgetState] = ()) -> Page:
        self.name, self.query, self.page_hash = name, query, ""
        message = BackMsg()
        message.rerun_script.page_name = name
        message.rerun_script.query_string = query
        message.rerun_script.widget_states.widgets.extend(states)
        return self.exchange(message)

    def message(self, *states: WidgetState, fragment: str | None = None) -> BackMsg:
        """Return what a browser sends: to the fragment of the first widget, or of the page as a whole."""
        message = BackMsg()
        message.rerun_script.page_script_hash = self.page_hash
        message.rerun_script.query_string = self.query
        message.rerun_script.widget_states.widgets.extend(states)
        here = self.page.fragment(states[0].id) if states else ""
        message.rerun_script.fragment_id = here if fragment is None else fragment
        return message

    def send(self, *states: WidgetState, fragment: str | None = None) -> Page:
        """Send widget states; without any, ask for the page as it is."""
        return self.exchange(self.message(*states, fragment=fragment))

    def click(self, key: str) -> Page:
        """Click a button."""
        return self.send(state(self.page.widget(key).id, "trigger_value", True))

    def tick(self) -> Page:
        """Wait for the page's timer, and draw again what it is for; without one, all of the page."""
        time.sleep(next(iter(self.page.timers.values()), 0.0))
        message = self.message(fragment=next(iter(self.page.timers), ""))
        message.rerun_script.is_auto_rerun = True
        return self.exchange(message)

    def rest(self) -> Page:
        """Tick until no run goes on."""
        while self.page.has("stop"):
            self.tick()
        return self.page

    def exchange(self, message: BackMsg) -> Page:
        """Send it, and hear what comes until the script has finished."""
        self.socket.send(message.SerializeToString())
        while True:
            answer = self.hear(timeout=30)
            over = answer.WhichOneof("type") == "script_finished"
            if over and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self.page = self.browser.page(answer.script_finished)
                return self.page

    def hear(self, timeout: float) -> ForwardMsg:
        """The server's next word; the browser shows it."""
        answer = ForwardMsg.FromString(self.socket.recv(timeout=timeout))
        if answer.HasField("new_session"):
            self.id = answer.new_session.initialize.session_id
        elif answer.HasField("navigation"):
            self.page_hash = answer.navigation.page_script_hash
        elif answer.HasField("page_info_changed"):
            self.query = answer.page_info_changed.query_string
        self.browser.hears(answer)
        return answer


def state(widget_id: str, kind: str, value: Any) -> WidgetState:
    """A widget state whose value is of that protocol type, whatever the widget wants."""
    made = WidgetState(id=widget_id)
    if kind.endswith("_array_value"):
        getattr(made, kind).data.extend(value)
        getattr(made, kind).SetInParent()
    else:
        setattr(made, kind, value)
    return made
