"""A slow line: a TCP proxy in front of a server, which passes everything on a little later, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

CHUNK = 65_536  # bytes


@contextlib.contextmanager
def slow_line(port: int, delay: float) -> Iterator[str]:
    """Open a line to a port of this machine with ``delay`` seconds each way; yield the address of its other end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slow line", daemon=True)
    thread.start()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_carry(reader, to_server, delay), _carry(from_server, writer, delay))

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(accept, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write what is read, ``delay`` seconds later and in order, until there is no more."""
    loop, under_way = asyncio.get_running_loop(), asyncio.Queue()

    async def deliver() -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    delivery = asyncio.create_task(deliver())
    data = b"first"
    while data:
        try:
            data = await reader.read(CHUNK)
        except OSError:
            data = b""
        under_way.put_nowait((loop.time() + delay, data))
    await delivery
