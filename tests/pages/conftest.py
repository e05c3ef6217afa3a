"""What several tests of the pages begin with."""

import threading

import pytest

from tests.pages.slow import Slow
from tests.pages.wire import Session
from tests.server import port_of, serving


@pytest.fixture(scope="session")
def app():
    """Serve the app to those tests that leave it as it was: its port and its process."""
    seen = []
    with serving(seen=seen) as address:
        yield port_of(address), seen[0]


@pytest.fixture(scope="session")
def port(app):
    """Return the port of that server."""
    return app[0]


@pytest.fixture
def visitor(port):
    """Connect one who has just come to that server."""
    with Session(port) as visitor:
        yield visitor


@pytest.fixture
def slow():
    Slow.made, Slow.gate = [], threading.Event()
    yield Slow
    Slow.gate.set()
