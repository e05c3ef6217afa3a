"""What the server says to a visitor in one breath leaves as one packet.

An answer is two dozen messages, each of which uvicorn writes at once: the browser hears the first, renders the whole page for it, and
again for those that came meanwhile. So what is written to a visitor's line is gathered until the loop has done what was ready.
"""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import Any

from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol


class Gathered:
    """A transport that writes at the loop's next round what was written to it in this one."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._leave)
        self._parts.append(data)

    def close(self) -> None:
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        gathered, self._parts = b"".join(self._parts), []
        if gathered and not self._transport.is_closing():
            self._transport.write(gathered)


def install() -> None:
    """Have all lines of this server gather, from the next that is opened."""
    made = AutoWebSocketsProtocol.connection_made
    if hasattr(made, "__wrapped__"):
        return

    @wraps(made)
    def gathering(self: Any, transport: asyncio.Transport) -> None:
        made(self, Gathered(transport))

    AutoWebSocketsProtocol.connection_made = gathering
