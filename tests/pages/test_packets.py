"""What is said in one breath leaves as one packet."""

from __future__ import annotations

import asyncio
from asyncio.selector_events import _SelectorSocketTransport

import uvicorn
from websockets.asyncio.client import connect

from pages.parts import packets

MESSAGES = [bytes([k]) * (k + 1) for k in range(24)] + [b"x" * 100_000]


async def speaker(scope, receive, send) -> None:
    """Says all messages twice, a moment between, and closes with the last word said."""
    await receive()
    await send({"type": "websocket.accept"})
    for _ in range(2):
        await asyncio.sleep(0.1)
        for message in MESSAGES:
            await send({"type": "websocket.send", "bytes": message})
    await send({"type": "websocket.close"})


async def heard() -> list[bytes]:
    server = uvicorn.Server(uvicorn.Config(speaker, port=0, loop="asyncio", log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with connect(f"ws://127.0.0.1:{port}", max_size=None, compression=None) as line:
        messages = [message async for message in line]
    server.should_exit = True
    await serving
    return messages


def test_messages_of_one_breath_leave_as_one_packet_whole_and_in_order(monkeypatch):
    packets.install()
    write, sizes = _SelectorSocketTransport.write, []
    monkeypatch.setattr(_SelectorSocketTransport, "write", lambda self, data: (sizes.append(len(data)), write(self, data))[1])
    assert asyncio.run(heard()) == 2 * MESSAGES
    breath = sum(map(len, MESSAGES))
    assert len([size for size in sizes if size > breath]) == 2, sizes  # with the bytes that frame them, and the close after the last
    assert len([size for size in sizes if size <= breath]) < 6, sizes  # both handshakes, and how they part


class Closing:
    closed = False

    def __init__(self):
        self.said = []

    def is_closing(self):
        return self.closed

    def write(self, data):
        self.said.append(data)

    def close(self):
        self.closed = True


def test_the_last_words_are_said_before_the_line_closes_and_none_after():
    async def parting() -> list[bytes]:
        line = Closing()
        gathered = packets.Gathered(line)
        gathered.write(b"good")
        gathered.write(b"bye")
        gathered.close()
        gathered.write(b"late")
        await asyncio.sleep(0.01)
        return line.said

    assert asyncio.run(parting()) == [b"goodbye"]
