"""Runs that go on as fast as a test says."""

import threading
import time
from typing import ClassVar

from vgdash.training.trainer import TrainParams, train

SMALL = TrainParams.uniform(2, 8, initializers=("he_normal",), steps=20, snapshots=5)


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


class Slow:
    """A trainer whose snapshots come when the test says so; counts how many were made."""

    made: ClassVar[list] = []
    gate: ClassVar[threading.Event] = threading.Event()

    def __init__(self, p):
        type(self).made.append(p)
        self.params, self.stopped = p, threading.Event()

    def stop(self):
        self.stopped.set()

    def __iter__(self):
        for snapshot in train(self.params):
            while not self.gate.is_set() and not self.stopped.is_set():
                time.sleep(0.005)
            if self.stopped.is_set():
                return
            yield snapshot
