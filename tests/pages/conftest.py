"""What several tests of the pages begin with."""

import threading

import pytest

from tests.pages.slow import Slow


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
