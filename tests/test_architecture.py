"""Rules of the house: imports go down, pages compute through one door, files are short, docstrings plain."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import vgdash

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "vgdash").rglob("*.py"))
PAGES = sorted((ROOT / "pages").glob("*.py"))
PARTS = sorted((ROOT / "pages" / "parts").rglob("*.py"))
SOURCES = [*PACKAGE, *PAGES, *PARTS, ROOT / "app.py", *sorted((ROOT / "deploy").glob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NARROW = [file for file in TESTS if not {"pages", "browser"} & {*file.relative_to(ROOT).parts}]


def module_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(tree, module, is_package=False):
    """List the full dotted names that a module imports anywhere: ``a.b`` for ``from a import b`` too."""
    here = module.split(".") if is_package else module.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[:len(here) + 1 - node.level] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{stem}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and identifier(node.func) in ("import_module", "__import__"):
            found |= {argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    return found


def identifier(node):
    """Return the name that a node says: ``b`` of ``a.b`` and of ``b``, else nothing."""
    return getattr(node, "attr", getattr(node, "id", ""))


@cache
def all_imports():
    return {module_of(file): imports(tree_of(file), module_of(file), file.name == "__init__.py")
            for file in [*PACKAGE, *PAGES, *PARTS]}


def module_named(name, modules):
    """Return the longest beginning of a dotted name that is a module, or None."""
    parts = name.split(".")
    beginnings = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((beginning for beginning in beginnings if beginning in modules), None)


def graph_of(imported):
    """Map each module to the modules of ours that it imports."""
    return {module: {other for name in names if (other := module_named(name, imported))} - {module}
            for module, names in imported.items()}


@cache
def import_graph():
    return graph_of(all_imports())


def reachable(graph, *starts):
    """List the modules that are imported, directly or through others."""
    found, waiting = set(), list(starts)
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def circles(graph):
    """List the strongly connected components of more than one module."""
    behind = {module: reachable(graph, module) for module in graph}
    return {frozenset(other for other in behind[module] if module in behind[other])
            for module in graph if module in behind[module]}


def within(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


# ---- the finders themselves

def test_imports_are_found_wherever_they_stand():
    source = ("import a.b, c\nfrom d import e\ndef f():\n    from . import g\n    from .h import i\n"
              "    from .. import j\n    importlib.import_module('k.l')\n    __import__('m')\n")
    found = {"a.b", "c", "d.e", "pages.parts.g", "pages.parts.h.i", "pages.j", "k.l", "m"}
    assert imports(ast.parse(source), "pages.parts.x") == found
    assert imports(ast.parse("from . import g"), "vgdash", is_package=True) == {"vgdash.g"}


def test_circles_are_found():
    graph = graph_of({"a": {"b.x"}, "b": {"c"}, "c": {"a.f", "d"}, "d": {"numpy"}, "e": {"f"}, "f": {"e"}})
    assert circles(graph) == {frozenset("abc"), frozenset("ef")}
    assert reachable(graph, "b") == set("abcd")


# ---- imports

RUNTIME = {"numpy", "pandas", "threadpoolctl", "vgdash"} | sys.stdlib_module_names
OPTIONAL = {"vgdash.sweep.__main__": {"distributed"},  # only if a scheduler is given
            # only if such a model is inspected
            "vgdash.models.keras_trace": {"keras"},
            **{f"vgdash.models.torch_{name}": {"torch"}
               for name in ("call", "graph", "links", "loss", "measure", "trace")}}

VOCABULARY = ("params", "activations", "formula", "formula_shape", "initializers", "layers", "number_formats",
              "quadrature", "parallel", "records", "spelling")
LAYER = dict.fromkeys(VOCABULARY, "vocabulary")  # the first level; a folder is a layer of its own name
LAYER |= dict.fromkeys(("linear_chain", "chain_learning", "single_neuron"), "chain and neuron")
BASE = ("vocabulary", "chain and neuron", "probe")
BELOW = {  # the layers that a layer may import, besides itself
    "vocabulary": (), "chain and neuron": BASE[:1], "probe": BASE[:2],
    "theory": BASE, "diagnosis": (*BASE, "theory"),
    "training": ("vocabulary", "probe"), "models": (*BASE, "theory"),
    "__main__": (*BASE, "models"),
    **dict.fromkeys(("codegen", "published", "sweep"), (*BASE, "theory", "diagnosis", "training")),
}


def layer(module):
    room = module.split(".")[1]
    return LAYER.get(room, room)


def test_vgdash_imports_numpy_pandas_threadpoolctl_and_the_standard_library_only():
    assert not {(module, name) for module, names in all_imports().items() if within(module, "vgdash")
                for name in names if name.split(".")[0] not in RUNTIME | OPTIONAL.get(module, set())}


def test_inside_vgdash_imports_only_go_down():
    modules = [module for module in all_imports() if module.startswith("vgdash.")]
    assert not {module for module in modules if layer(module) not in BELOW}, "each belongs to a layer"
    assert not {(module, other) for module in modules for other in import_graph()[module] if other == "vgdash"
                or layer(other) not in (layer(module), *BELOW[layer(module)])}


def test_no_modules_import_each_other_in_a_circle():
    assert not circles(import_graph())


def test_nothing_imports_a_page():
    pages = [module_of(file) for file in PAGES]
    assert not {(module, name) for module in map(module_of, PAGES + PARTS) for name in all_imports()[module]
                if within(name, "app", *pages)}


PURE = [f"pages.parts.{name}" for name in
        ("charts", "views", "training_runs", "text", "series_style", "scenes", "questions")]


def test_these_parts_know_nothing_of_streamlit_not_even_through_what_they_import():
    pure = {*PURE, *(name for name in all_imports() if within(name, *PURE))}
    assert not {(module, other) for module in pure for other in {module, *reachable(import_graph(), module)}
                if any(within(name, "streamlit") for name in all_imports()[other])}


def test_elements_and_controls_import_no_results():
    imported = reachable(import_graph(), "pages.parts.elements", "pages.parts.controls")
    assert "pages.parts.results" not in imported


# ---- the door to computation

DOORS = ["results", "questions", "training_panel", "training_runs", "startup"]  # they may call computations
NO_COMPUTATION = {  # of vgdash, for pages and all other parts
    "parameter sets": {"Params", "ChainParams", "DescentParams", "NeuronParams", "ProbeParams",
                       "CompareParams", "PhaseParams", "TrainParams"},
    "rules": {"Rule", "Choice", "Choices", "Flag", "Integer", "Integers", "Real", "Text", "ParamError"},
    "registries": {"ACTIVATIONS", "FORMATS", "FRAMEWORKS", "INITIALIZERS"},
    "constants": {"MAX_TEXT", "HIGHEST_BIAS", "ROWS"},
    "a record, and the text of a notebook": {"Outcome", "notebook"},
    "spelling": {"count", "layers", "listed", "number", "plain", "rate", "ten_to", "times"},
}
OUTSIDE = [*PAGES, *(file for file in PARTS if file.parent.name == "parts" and file.stem not in DOORS)]


def test_only_the_doors_call_computations():
    allowed = set().union(*NO_COMPUTATION.values())
    for module, file in zip(map(module_of, OUTSIDE), OUTSIDE, strict=True):
        names = {name.rpartition(".")[2] for name in all_imports()[module] if within(name, "vgdash")}
        assert not names - allowed, module
        said = {identifier(node) for node in ast.walk(tree_of(file))} | all_imports()[module]
        views = {name for name in said if name.endswith("_view")}
        assert not views, f"{module}: a view computes: ask results for it"


# ---- names

PUBLIC = [
    "ACTIVATIONS", "DATASETS", "FORMATS", "INITIALIZERS", "MISTAKES", "PUBLISHED",
    "BalanceParams", "ChainParams", "CompareParams", "DescentParams", "NeuronParams", "ParamError",
    "PhaseParams", "ProbeParams", "RateParams", "Report", "SweepParams", "TrainParams", "Watch",
    "assert_healthy", "balance", "c_star", "chi_1", "compare", "critical_sigma_w2", "descent", "diagnose",
    "export", "find_rate", "first_trouble", "fixed_point", "inspect", "jacobian_spectrum", "linear_chain",
    "load", "neuron_variance", "phase_map", "predict", "probe", "q_star", "recommend", "steps_to", "train",
    "trainability", "xi_c", "xi_q",
]


def test_the_public_names_are_these_and_stand_in_one_place():
    assert sorted(vgdash.__all__) == sorted(PUBLIC)
    assert all(hasattr(vgdash, name) for name in PUBLIC)
    listing = [module_of(file) for file in SOURCES
              if "__all__" in {identifier(node) for node in ast.walk(tree_of(file))}]
    assert listing == ["vgdash"]


def public(body):
    """List the public functions and classes of a module or a class."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in body if isinstance(node, kinds) and not node.name.startswith("_")]


def test_no_function_of_vgdash_is_used_by_tests_alone():
    imported = set().union(*all_imports().values())
    for file in PACKAGE:
        tree, module = tree_of(file), module_of(file)
        names = {node.name for node in public(tree.body)} - {identifier(node) for node in ast.walk(tree)}
        assert not {f"{module}.{name}" for name in names - set(PUBLIC)} - imported


def test_no_drawer_for_odds_and_ends():
    drawers = ("utils", "util", "helpers", "misc", "common")
    assert not [file for file in SOURCES if file.stem in drawers or file.parent.name in drawers]


# ---- docstrings and sizes

RIDDLE = re.compile(r"(What|Whether|Where|How|Who|Whoever|When)\b")


def undocumented(tree):
    """List the public functions and classes without a docstring of their own."""
    return [node.name for node in public(tree.body) if not ast.get_docstring(node)]


def test_the_docstring_that_a_dataclass_gives_itself_does_not_count():
    source = "@dataclass\nclass A: x: int\ndef b(): 'said'\nC = 1\ndef _d(): pass\n"
    assert undocumented(ast.parse(source)) == ["A"]


def test_every_module_and_every_public_name_of_vgdash_has_a_docstring():
    for file in PACKAGE:
        assert ast.get_docstring(tree_of(file)), file
        assert not undocumented(tree_of(file)), file


def test_a_docstring_begins_with_a_verb_or_a_noun():
    for file in SOURCES:
        tree = tree_of(file)
        named = public(tree.body)
        methods = [method for one in named if isinstance(one, ast.ClassDef) for method in public(one.body)]
        texts = [ast.get_docstring(node) or "" for node in (tree, *named, *methods)]
        assert not [text.splitlines()[0] for text in texts if RIDDLE.match(text)], file


def lines_of(file):
    return file.read_text(encoding="utf-8").splitlines()


def test_a_file_holds_one_idea():
    assert not [file for file in SOURCES + TESTS if len(lines_of(file)) > (160 if file in PAGES else 350)]


def test_no_line_is_wider_than_110_characters():
    assert not [(file, line) for file in SOURCES + NARROW for line in lines_of(file) if len(line) > 110]
