"""One line at the end of every run: whether the independent libraries that judge our numbers were there."""

from importlib.util import find_spec


def pytest_terminal_summary(terminalreporter):
    missing = [name for name in ("torch", "sklearn") if not find_spec(name)]
    terminalreporter.write_line(
        f"independent oracles: no {' and no '.join(missing)}; tests that need them are skipped"
        if missing else "independent oracles: PyTorch and scikit-learn are installed, their tests run")
