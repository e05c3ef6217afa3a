"""A slow line: a TCP proxy in front of a server, which passes everything on a little later, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterator

CHUNK = 65_536  # bytes


@contextlib.contextmanager
def slow_line(port: int, delay: float) -> Iterator[str]:
    """Open a line to a port of this machine, ``delay`` seconds each way; yield the address of its end."""
    opened: queue.Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_carry(reader, to_server, delay), _carry(from_server, writer, delay))
        except (OSError, asyncio.CancelledError):
            return
        finally:
            writer.close()
            to_server.close()

    async def serve() -> None:
        closed = asyncio.Event()
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        opened.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), closed))
        await closed.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="slow line", daemon=True)
    thread.start()
    end, loop, closed = opened.get()
    try:
        yield f"http://127.0.0.1:{end}"
    finally:
        loop.call_soon_threadsafe(closed.set)
        thread.join()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write what is read, ``delay`` seconds later and in order, until there is no more."""
    loop, under_way = asyncio.get_running_loop(), asyncio.Queue()

    async def deliver() -> None:
        data = b"first"
        while data:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            writer.write(data)
            await writer.drain()
        writer.close()

    async def collect() -> None:
        data = b"first"
        while data:
            data = await reader.read(CHUNK)
            under_way.put_nowait((loop.time() + delay, data))

    await asyncio.gather(deliver(), collect())
