"""What several tests of the pages begin with."""

import threading

import pytest

from tests.pages.slow import Slow


@pytest.fixture
def slow():
    Slow.made, Slow.gate = [], threading.Event()
    yield Slow
    Slow.gate.set()
