"""The app is correct on plain Streamlit: no private name of it, no patch, and its state is kept in one place."""

import ast

import pytest

from tests.test_architecture import ROOT, imports, imports_of, module_of, within

FILES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py")), *sorted((ROOT / "deploy").glob("*.py"))]
PUBLIC = ("streamlit.components.v2", "streamlit.testing")  # and ``import streamlit as st``
SERVERS = ("streamlit", "uvicorn", "starlette", "tornado")
STATE, CALLBACKS = "pages.parts.state", ("pages.parts.controls", "pages.parts.presenter", "pages.trainable_depth")


def foreign(names):
    """Return the imported modules that are the inside of a server."""
    inside = {name for name in names if within(name, *SERVERS) and not within(name, *PUBLIC)}
    return inside - {"streamlit", "streamlit.components"}


def root(node):
    """Return the name that a chain of attributes, items and calls begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")


def of_servers(tree):
    """Return the names in a module that stand for something imported from Streamlit or a web server."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {(alias.asname or alias.name).split(".")[0] for node in nodes for alias in node.names
            if within(getattr(node, "module", None) or alias.name, *SERVERS)}


def touched(source):
    """Return private names of other objects that a source text touches, and attributes of servers that it sets."""
    tree, found = ast.parse(source), []
    theirs = of_servers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            private = node.attr.startswith("_") and not node.attr.endswith("__")
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if (private and not own) or (isinstance(node.ctx, (ast.Store, ast.Del)) and root(node) in theirs):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "setattr", "delattr"):
            named = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            if str(named).startswith("_") or (node.func.id != "getattr" and root(node.args[0]) in theirs):
                found.append(ast.unparse(node))
    return found


def state_keys(source):
    """Return how a source text uses the state of a session: the text of each key, or of what else it does."""
    tree, found = ast.parse(source), []
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if getattr(node, "attr", getattr(node, "id", "")) == "session_state":
            above = parents[node]
            read = isinstance(above, ast.Subscript) and isinstance(above.ctx, ast.Load)
            found.append(ast.unparse(above.slice if read else above))
    return found


def test_the_finders_see_what_must_not_be():
    assert foreign(imports("import streamlit.runtime as r\nfrom streamlit import web\nimport uvicorn", "pages.x")) == {
        "streamlit.runtime", "streamlit.web", "uvicorn"}
    source = ("import streamlit as st\nimport uvicorn.config\nfrom streamlit import context\nst._x\nfound()._y\nself._z\n"
              "st.a.b = 1\nuvicorn.config.C = 2\ncontext.d = 3\nself.e = 4\nsetattr(st, 'f', 5)\ngetattr(o, '_g')\n"
              "st.session_state['k'] = 6\nst.session_state.l\nst.session_state[m]\n")
    assert sorted(touched(source)) == sorted([
        "st._x", "found()._y", "st.a.b", "uvicorn.config.C", "context.d", "setattr(st, 'f', 5)", "getattr(o, '_g')"])
    assert state_keys(source) == ["st.session_state['k']", "st.session_state.l", "m"]


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_no_file_touches_the_inside_of_streamlit_or_of_a_web_server(file):
    assert not foreign(imports_of(file))
    assert not touched(file.read_text(encoding="utf-8"))


def test_the_state_of_a_session_is_kept_in_one_place_and_callbacks_read_their_widget_only():
    used = {module_of(file): state_keys(file.read_text(encoding="utf-8")) for file in FILES}
    used = {module: keys for module, keys in used.items() if keys}
    assert set(used) <= {STATE, *CALLBACKS}
    assert [keys for module, keys in used.items() if module == STATE] == [["st.session_state.setdefault"]]
    keys = {key for module in CALLBACKS for key in used.get(module, ())}
    assert keys <= {"widget", "key", "'plane'"}, "the key of a widget, read"
