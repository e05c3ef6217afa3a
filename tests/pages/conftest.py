"""What several tests of the pages begin with."""

import threading

import pytest

from tests.pages.slow import Slow
from tests.pages.wire import Session
from tests.server import serving


@pytest.fixture(scope="session")
def port():
    """Of the app, on a server of those tests that leave it as it was."""
    with serving() as address:
        yield int(address.rsplit(":", 1)[1])


@pytest.fixture
def visitor(port):
    """Who has just come to that server."""
    with Session(port) as visitor:
        yield visitor


@pytest.fixture
def slow():
    Slow.made, Slow.gate = [], threading.Event()
    yield Slow
    Slow.gate.set()


@pytest.fixture
def alone():
    """Nothing computes that an earlier test has left: Python crashes where tracemalloc stops while another thread allocates."""
    for thread in threading.enumerate():
        if thread.name.startswith("vgdash-"):
            thread.join(60)
            assert not thread.is_alive(), thread.name
