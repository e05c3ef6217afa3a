"""The wheel: vgdash alone with NumPy, pandas and threadpoolctl; data, types and command line are inside."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.metadata import files, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import vgdash
from vgdash.codegen.notebook import notebook

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN = """
import importlib.util, json, sys
import numpy as np
from vgdash import ChainParams, ProbeParams, inspect, load, predict, probe
assert not [name for name in ("streamlit", "torch", "pages", "distributed") if importlib.util.find_spec(name)]
p = ProbeParams.uniform(5, 16, batch=8)
probe(p), predict(p), load("digits", 0)
weights = {f"{i}.weight": np.random.default_rng(i).normal(0, 0.07, (64, 64)) for i in range(30)}
print(inspect(weights).sentence)
for cell in json.load(open("notebook.ipynb"))["cells"]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "code" and not source.startswith("%"):
        exec(source)
print(len(table))
"""


def closure(*names):
    """List distributions and all that they need here."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name.lower() not in found:
            found.add(name.lower())
            needed = map(Requirement, requires(name) or [])
            waiting += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "vgdash", source / "vgdash", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, source],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_vgdash_alone_with_its_data_and_types(wheel):
    names = set(ZipFile(wheel).namelist())
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "vgdash").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= names
    assert {name.split("/")[0] for name in names - ours} == {f"vgdash-{vgdash.__version__}.dist-info"}
    assert "vgdash/py.typed" in ours


def test_what_the_package_and_the_app_need_stands_in_both_files_alike():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["app"]} == {
        line for line in lines if line
    }
    assert {Requirement(line).name for line in PROJECT["dependencies"]} == {
        "numpy",
        "pandas",
        "threadpoolctl",
    }
    assert set(PROJECT["optional-dependencies"]) == {"torch", "keras", "dask", "app"}


def test_it_runs_where_nothing_else_is_installed(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    site = next((tmp_path / "env").glob("lib/*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel],
        check=True,
        capture_output=True,
    )
    for name in closure("numpy", "pandas", "threadpoolctl", "altair"):  # altair draws the notebook's chart
        for top in {path.parts[0] for path in files(name) if path.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(sysconfig.get_path("purelib")) / top)
    (tmp_path / "notebook.ipynb").write_text(
        notebook(vgdash.ProbeParams.uniform(3, 9, batch=8)), encoding="utf-8"
    )
    python, environment = tmp_path / "env/bin/python", {"PATH": "/usr/bin:/bin"}

    def run(*arguments):
        return subprocess.run(
            [python, "-W", "ignore", *arguments],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
            timeout=60,
        )

    found = run("-c", RUN)
    assert found.stdout.splitlines() == ["Weights are too small at layer 0 (and 28 more).", "6"], found.stderr
    header = {"w": {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    (tmp_path / "m.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    found = run("-m", "vgdash", "inspect", "m.safetensors")
    assert (found.returncode, found.stdout[:7]) == (0, "Healthy"), found.stderr
