"""What holds for all tests: what is imported stays, and which independent libraries judge our numbers."""

import gc
import os
import sys
from importlib.util import find_spec

os.environ["KERAS_BACKEND"] = "torch"


def pytest_collection_finish():
    """Take what is imported out of garbage collection, which Streamlit does after each run of a page."""
    gc.freeze()
    if torch := sys.modules.get("torch"):  # one core for each of the tests that run at once
        torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter):
    missing = [name for name in ("torch", "sklearn") if not find_spec(name)]
    terminalreporter.write_line(
        f"independent oracles: no {' and no '.join(missing)}; tests that need them are skipped"
        if missing else "independent oracles: PyTorch and scikit-learn are installed, their tests run")
