"""A thousand messages that no browser sends: the server lives, and other visitors are answered as ever.

``VGDASH_FUZZ_SEED=7 VGDASH_FUZZ_MESSAGES=20000`` tries others; a failure prints the seed.
"""

import contextlib
import math
import os
import random
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from pages.parts.scenes import KINDS
from pages.parts.shell import PAGES
from tests.pages.test_faults import resident
from tests.pages.test_hostile import words
from tests.pages.wire import Session, state
from tests.server import port_of, serving

SEED = int(os.environ.get("VGDASH_FUZZ_SEED", "20261122"))
MESSAGES = int(os.environ.get("VGDASH_FUZZ_MESSAGES", "1000"))
PATIENCE, AT_THE_LATEST = 5.0, 20.0  # seconds of nine in ten answers to others, and of all
MEMORY = 900e6  # bytes of the server: 200 MB of Python, what is kept, and the largest computations at once
AHEAD = 30  # messages that a hostile client does not wait for

TEXTS = ["", "\x00", "<script>alert(1)</script>", "![x](http://127.0.0.1:9/x)", "he_normal", "relu", "look",
         "2", "784-512x3-10", "10x999999999", "x" * 20_000, "nan", "1e999", "true", "٣", "😀" * 50,
         "../../etc/passwd", "{}", "[" * 500]
NUMBERS = [0.0, -0.0, 1.0, 0.5, 2.0, 50.0, 256.0, 1e4, -1.0, 1e300, -1e300, 5e-324, 2.0**53 + 2,
           math.nan, math.inf, -math.inf]
WHOLE = [0, 1, 2, -1, 50, 256, 2**31, 2**53 + 1, 2**62, -2**62]
JSON = ['{"a":', "[" * 5_000, "null", '{"selection": {"picked": [{"sigma_w2": 1e999}]}}', "3"]


class Nonsense:
    """Messages from a seeded source: mostly like a browser's, with something wrong."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self):
        pick = self.random.choice
        some = self.random.randrange(4)
        return pick([
            ("double_array_value", [pick(NUMBERS) for _ in range(some)]), ("double_value", pick(NUMBERS)),
            ("int_array_value", [pick(WHOLE) for _ in range(some)]), ("int_value", pick(WHOLE)),
            ("string_array_value", [pick(TEXTS) for _ in range(some)]), ("string_value", pick(TEXTS)),
            ("bool_value", pick([True, False])), ("bytes_value", self.random.randbytes(20)),
            ("json_value", pick(JSON)), ("trigger_value", True), ("string_trigger_value", pick(TEXTS)),
        ])

    def state(self, widgets):
        """Return a value for a widget of the page, or for none; every other time of the right type."""
        pick = self.random.choice
        name = pick([*widgets, "", "$$ID-0-nobody", "x" * 500]) if widgets else pick(["", "$$ID-0-nobody"])
        options = list(getattr(widgets.get(name), "options", ()))
        made = WidgetState(id=name)
        kind, value = self.value()
        if options and self.random.random() < 0.5:
            kind, value = "string_array_value", [str(pick(options)) for _ in range(pick([1, 2]))]
        elif hasattr(widgets.get(name), "min") and self.random.random() < 0.5:
            kind, value = "double_array_value", [self.random.uniform(widgets[name].min, widgets[name].max)]
        if isinstance(value, (list, tuple)):
            return state(name, kind, value)
        if kind == "string_trigger_value":
            made.string_trigger_value.data = value
            return made
        return state(name, kind, value)

    def query(self):
        pick = self.random.choice
        kind = pick([kind for kind in KINDS.values() if kind.rules()])
        beside = ["look", "of", "statistic", "goal", "held", "scene", "present", "v", "embed", "nobody"]
        keys = [*kind.keys(), *beside]
        values = [*TEXTS, *map(str, NUMBERS), *map(str, WHOLE)]
        return "&".join(f"{pick(keys)}={quote(pick(values)[:200])}" for _ in range(self.random.randrange(5)))

    def message(self, client):
        """Bytes to send for a client that knows what the server has told it."""
        pick, chance = self.random.choice, self.random.random()
        if chance < 0.02:
            return pick([b"", b"\xff" * 50, self.random.randbytes(300), "a text frame", b"\x00" * 50_000])
        message = BackMsg()
        if chance < 0.07:
            fields = BackMsg.DESCRIPTOR.oneofs[0].fields  # clear_cache is one of them
            field = pick([field for field in fields if field.name != "rerun_script"])
            with contextlib.suppress(TypeError, ValueError):
                if field.message_type is None:
                    setattr(message, field.name, True)
                else:
                    getattr(message, field.name).SetInParent()
            return message.SerializeToString()
        rerun = message.rerun_script
        known = list(client.fragments) or [""]
        rerun.fragment_id = pick([pick(known), pick(known), pick(known), "", "0" * 32, "../x", "x" * 5_000])
        rerun.page_script_hash = pick([*[client.page_hash] * 3, "", "f" * 32, "x" * 5_000])
        if chance < 0.2:
            rerun.page_name = pick([*(stem for stem, _ in PAGES), "no_page", "../app", "\x00"])
            rerun.page_script_hash = rerun.fragment_id = ""
        rerun.query_string = pick(["", self.query(), "&" * 100, "%" * 100])
        rerun.is_auto_rerun, rerun.is_history_navigation = chance > 0.9, 0.85 < chance < 0.9
        states = [self.state(client.widgets) for _ in range(self.random.randrange(5))]
        rerun.widget_states.widgets.extend(states)
        return message.SerializeToString()


class Client:
    """A connection that reads whatever comes, and remembers what it may use.

    A value of a wrong type breaks its session for good, and then the client comes anew.
    """

    def __init__(self, port, stem):
        self.port, self.answered = port, 0
        self.first = BackMsg()
        self.first.rerun_script.page_name = stem
        self.connect()

    def connect(self):
        self.page_hash, self.widgets, self.fragments, self.broken = "", {}, {}, 0
        self.connection = connect(f"ws://127.0.0.1:{self.port}/_stcore/stream", subprotocols=["streamlit"],
                                  max_size=None, close_timeout=2)
        self.socket = self.connection.__enter__()
        self.reader = threading.Thread(target=self.read, args=(self.socket,), daemon=True)
        self.reader.start()
        self.socket.send(self.first.SerializeToString())

    def read(self, socket):
        with contextlib.suppress(ConnectionClosed):
            while True:
                answer = ForwardMsg.FromString(socket.recv())
                kind = answer.WhichOneof("type")
                self.answered += kind == "script_finished"
                if kind == "navigation":
                    self.page_hash = answer.navigation.page_script_hash
                elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                    element = answer.delta.new_element
                    self.broken += element.WhichOneof("type") == "exception"
                    widget = getattr(element, str(element.WhichOneof("type")), None)
                    if getattr(widget, "id", ""):
                        self.widgets[widget.id] = widget
                    if answer.delta.fragment_id:
                        self.fragments[answer.delta.fragment_id] = True

    def send(self, data):
        try:
            if self.broken > 1:
                self.close()
                self.connect()
            self.socket.send(data)
        except ConnectionClosed:
            self.close()
            self.connect()

    def close(self):
        self.connection.__exit__(None, None, None)
        self.reader.join(10)
        assert not self.reader.is_alive()


def answer_times(port, over):
    """Change a slider until ``over`` is set; return the seconds until each change was answered."""
    with Session(port) as visitor:
        factor = visitor.open("linear_chain").widget("factor").id
        times = []
        while not over.is_set():
            value = 0.5 + len(times) % 7 / 10
            start = time.monotonic()
            page = visitor.send(state(factor, "double_array_value", [value]))
            times.append(time.monotonic() - start)
            assert not page.exceptions
            assert f"×{value:.2f} a layer" in page.verdict, "the answer must be to what was asked"
            time.sleep(0.1)
    return times


def opened(port):
    """Return what each page says to a new visitor."""
    with Session(port) as visitor:
        pages = []
        for stem, _ in PAGES:
            visitor.open(stem)
            pages.append(visitor.rest())
        assert not any(page.exceptions for page in pages)
        return [words(page) for page in pages]


def test_a_thousand_hostile_messages_leave_the_server_well_and_others_are_answered():
    processes, over, most = [], threading.Event(), 0.0
    with serving(seen=processes) as address, ThreadPoolExecutor(1) as pool:
        port, nonsense = port_of(address), Nonsense(SEED)
        other = pool.submit(answer_times, port, over)
        before = opened(port)
        clients = [Client(port, stem) for stem, _ in PAGES]
        try:
            for sent in range(MESSAGES):
                client = clients[sent % len(clients)]
                answered = client.answered
                client.send(nonsense.message(client))
                if sent // len(clients) % AHEAD == AHEAD - 1:
                    wait = time.monotonic() + 0.3
                    while client.answered == answered and time.monotonic() < wait:
                        time.sleep(0.005)
                if sent % 50 == 0:
                    most = max(most, resident(processes[0]))
                assert processes[0].poll() is None, f"the server ended; seed {SEED}, message {sent}"
        finally:
            over.set()
            for client in clients:
                client.close()
        times = sorted(other.result(60))
        assert urllib.request.urlopen(f"{address}/_stcore/health", timeout=10).read() == b"ok"
        assert opened(port) == before, "the next visitor sees the pages as ever"
        answers = [client.answered for client in clients]
        said = (f"seed {SEED}: {answers} answers to {MESSAGES} hostile messages; {most / 1e6:.0f} MB; "
                f"others: median {times[len(times) // 2]:.3f} s, slowest {times[-1]:.2f} s of {len(times)}")
        assert all(answers), said
        assert times[int(0.9 * (len(times) - 1))] < PATIENCE, said
        assert times[-1] < AT_THE_LATEST, said
        assert most < MEMORY, said
