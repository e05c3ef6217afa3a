"""The house holds: who may import whom, how long a file may be, and that every public name says what it is."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "vgdash").rglob("*.py"))
PAGES = sorted((ROOT / "pages").glob("*.py"))
PARTS = sorted((ROOT / "pages" / "parts").rglob("*.py"))
RUNTIME = {"numpy", "pandas", "threadpoolctl", "vgdash"} | sys.stdlib_module_names


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source, module, is_package=False):
    """Full dotted names of everything that a source text imports, wherever it stands: ``a.b`` for ``from a import b`` too."""
    here = module.split(".") if is_package else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[:len(here) + 1 - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{stem}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            found |= {argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    return found


def imports_of(file):
    return imports(file.read_text(encoding="utf-8"), module_of(file), file.name == "__init__.py")


def within(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def undocumented(source):
    """Public functions and classes (no underscore) that have no docstring of their own."""
    return [node.name for node in ast.parse(source).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
            and not node.name.startswith("_") and not ast.get_docstring(node)]


def lines(file):
    return len(file.read_text(encoding="utf-8").splitlines())


def test_the_import_finder_sees_every_way_to_import():
    source = ("import a.b, c\nfrom d import e\ndef f():\n    from . import g\n    from .h import i\n    from .. import j\n"
              "    importlib.import_module('k.l')\n    __import__('m')\n")
    assert imports(source, "pages.parts.x") == {"a.b", "c", "d.e", "pages.parts.g", "pages.parts.h.i", "pages.j", "k.l", "m"}
    assert imports("from . import g", "vgdash", is_package=True) == {"vgdash.g"}


def test_the_docstring_finder_is_not_fooled_by_the_docstring_a_dataclass_gives_itself():
    assert undocumented("@dataclass\nclass A: x: int\ndef b(): 'said'\nC = 1\ndef _d(): pass\n") == ["A"]


def test_there_is_something_to_check():
    assert {"params", "activations", "initializers", "single_neuron", "data"} <= {file.stem for file in PACKAGE}
    assert PAGES
    assert PARTS


OPTIONAL = {"vgdash.sweep.__main__": {"distributed"}}  # only where a scheduler is asked for


@pytest.mark.parametrize("file", PACKAGE, ids=module_of)
def test_vgdash_imports_numpy_pandas_threadpoolctl_and_the_standard_library_only(file):
    assert not {name for name in imports_of(file) if name.split(".")[0] not in RUNTIME | OPTIONAL.get(module_of(file), set())}


@pytest.mark.parametrize("file", PAGES, ids=module_of)
def test_no_page_imports_another(file):
    assert not {name for name in imports_of(file) if within(name, "pages") and not within(name, "pages.parts")}
    assert not {name for name in imports_of(file) if within(name, "app")}


@pytest.mark.parametrize("file", PARTS, ids=module_of)
def test_what_pages_share_imports_no_page(file):
    assert not {name for name in imports_of(file) if within(name, "app") or (within(name, "pages") and not within(name, "pages.parts"))}


PURE = ("pages.parts.charts", "pages.parts.views", "pages.parts.text", "pages.parts.series_style")


def test_charts_and_views_know_nothing_of_streamlit_not_even_through_what_they_import():
    parts = {module_of(file): file for file in PARTS}
    waiting, seen = [name for name in parts if within(name, *PURE)], set()
    assert waiting
    while waiting:
        module = waiting.pop()
        seen.add(module)
        names = imports_of(parts[module])
        assert not {name for name in names if within(name, "streamlit")}, module
        waiting += [part for part in parts if part not in seen and part != "pages.parts" and any(within(name, part) for name in names)]


@pytest.mark.parametrize("file", PACKAGE, ids=module_of)
def test_every_public_name_has_a_docstring_and_every_module_too(file):
    source = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source))
    assert not undocumented(source)


@pytest.mark.parametrize(("file", "longest"), [*((file, 350) for file in PACKAGE), *((file, 160) for file in PAGES)],
                         ids=lambda value: module_of(value) if isinstance(value, Path) else str(value))
def test_a_file_holds_one_idea(file, longest):
    assert lines(file) <= longest


def test_no_drawer_for_odds_and_ends():
    assert not [file for file in PACKAGE + PAGES + PARTS if file.stem in ("utils", "util", "helpers", "misc", "common")]
