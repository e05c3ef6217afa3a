"""What holds for all tests: how many run at once, and which independent libraries judge our numbers."""

import os
from importlib.util import find_spec

os.environ["KERAS_BACKEND"] = "torch"


def pytest_xdist_auto_num_workers():
    """One more than there are cores: a test in a browser waits for a third of its time."""
    return os.cpu_count() + 1


def pytest_terminal_summary(terminalreporter):
    missing = [name for name in ("torch", "sklearn") if not find_spec(name)]
    terminalreporter.write_line(
        f"independent oracles: no {' and no '.join(missing)}; tests that need them are skipped"
        if missing else "independent oracles: PyTorch and scikit-learn are installed, their tests run")
