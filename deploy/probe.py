"""Open the app's first page through its WebSocket; exit with 0 if it is drawn: python -m deploy.probe 8080

``/_stcore/health`` is answered by the web server, also when no page is computed any more. This needs the
whole way: connection, session, script, and the loop that sends messages. Needs only ``websockets``, which
Streamlit installs; the few bytes of Streamlit's messages that matter are written out here (``BackMsg.proto``,
``ForwardMsg.proto``), so that nothing of its inside is imported.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

TIMEOUT = 10.0  # seconds; with 300 students at once a page takes less
RERUN_SCRIPT = b"Z\x00"  # BackMsg: field 11, rerun_script, an empty ClientState: the first page
SCRIPT_FINISHED = 6  # field of ForwardMsg
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types


def field_numbers(message: bytes) -> set[int]:
    """Return the numbers of the fields that a protobuf message holds, without its parts' own."""
    found, at = set(), 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        number, wire_type = divmod(varint(), 8)
        found.add(number)
        if wire_type == VARINT:
            varint()
        else:
            size = varint() if wire_type == BYTES else {FIXED64: 8, FIXED32: 4}[wire_type]
            at += size
    return found


async def page_served(port: int, timeout: float = TIMEOUT) -> bool:
    """Return True if the server on this machine's port draws its first page within ``timeout`` seconds."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    options = {"subprotocols": ["streamlit"], "max_size": None, "close_timeout": 1, "proxy": None}
    try:
        async with asyncio.timeout(timeout), connect(address, **options) as socket:
            await socket.send(RERUN_SCRIPT)
            async for message in socket:
                if SCRIPT_FINISHED in field_numbers(message):
                    return True
    except (OSError, WebSocketException):  # TimeoutError is an OSError
        pass
    return False


if __name__ == "__main__":
    sys.exit(not asyncio.run(page_served(int(sys.argv[1]))))
