"""Every visitor gets a page: of a hundred at once, beside clients that never read, and of the deepest nets.

    python -m tests.pages.test_crowd [slow clients] [seconds]      beside clients that never read: 20, 60
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import sys
import time

from websockets.exceptions import WebSocketException

from tests.pages.crowd import Hall, connection, exchange, fill, page_request
from tests.server import completed, port_of, serving

EVERY, WITHIN = 4.0, 8.0  # seconds: a visitor comes, and must have got the page


async def ask_and_never_read(port: int, until: float) -> None:
    """Ask for two large pages by turns, with 4 kB of room for the answers, and read none of them."""
    stems = ("published", "trainable_depth")
    requests = itertools.cycle([page_request(stem).SerializeToString() for stem in stems])
    while time.monotonic() < until:
        with contextlib.suppress(OSError, WebSocketException):
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", port))
            small.setblocking(False)
            options = {"sock": small, "max_queue": 1, "ping_interval": None, "close_timeout": 0.1}
            async with connection(port, **options) as asking:
                while time.monotonic() < until:
                    await asyncio.wait_for(asking.send(next(requests)), 1)
                    await asyncio.sleep(0.12)
        await asyncio.sleep(0.1)


async def first_loads_beside(clients: int, seconds: float, port: int) -> list[float | None]:
    """Return the waits of visitors who come every 4 s meanwhile, in seconds; None: no page within 8 s."""
    until, found = time.monotonic() + seconds, []
    slow = [asyncio.create_task(ask_and_never_read(port, until)) for _ in range(clients)]
    while time.monotonic() < until:
        start = time.monotonic()
        try:
            async with asyncio.timeout(WITHIN), connection(port) as visitor:
                found.append(await exchange(visitor, page_request("linear_chain"), Hall(), {}))
        except (OSError, WebSocketException):
            found.append(None)
        await asyncio.sleep(max(0.0, EVERY - (time.monotonic() - start)))
    await asyncio.gather(*slow)
    return found


def test_a_hundred_who_come_within_four_seconds_all_get_their_page():
    with serving() as address:
        hall = completed(fill(port_of(address), "linear_chain", students=100, arrive=4))
    assert not hall.errors
    assert len(hall.first) == 100


def test_beside_clients_that_ask_and_never_read_every_visitor_gets_the_page():
    with serving() as address:
        waits = completed(first_loads_beside(3, 16, port_of(address)))
    assert None not in waits, waits


def test_a_net_whose_computation_takes_long_gets_its_page_and_so_does_the_next():
    async def open_each(port):
        hall = Hall()
        for depth in (200, 201):
            async with asyncio.timeout(60), connection(port) as visitor:
                await exchange(visitor, page_request("initializers", f"depth={depth}&width=256"), hall, {})
        return hall.errors

    with serving() as address:
        assert not completed(open_each(port_of(address)))


if __name__ == "__main__":
    with serving() as app:
        print(completed(first_loads_beside(*map(int, sys.argv[1:3] or (20, 60)), port_of(app))))
