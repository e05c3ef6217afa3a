"""What holds for all tests: one core for each of those that run at once, and which libraries judge us."""

import gc
import os
import sys
from importlib.util import find_spec

import pytest
from threadpoolctl import threadpool_limits

os.environ["KERAS_BACKEND"] = "torch"


def pytest_collection_finish():
    """Take what is imported out of garbage collection, which Streamlit does after each run of a page."""
    gc.freeze()
    threadpool_limits(1, "blas")  # in this process: servers and programs that tests start have all cores
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture
def two_blas_threads():
    """BLAS with two threads, as users have it."""
    with threadpool_limits(2, "blas"):
        yield


def pytest_terminal_summary(terminalreporter):
    missing = [name for name in ("torch", "sklearn") if not find_spec(name)]
    terminalreporter.write_line(
        f"independent oracles: no {' and no '.join(missing)}; tests that need them are skipped"
        if missing else "independent oracles: PyTorch and scikit-learn are installed, their tests run")
