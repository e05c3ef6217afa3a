"""The app is correct on plain Streamlit: no private name, no patch, and its state in one place."""

import ast

from tests.test_architecture import PACKAGE, SOURCES, identifier, imports, module_of, tree_of, within

FILES = [file for file in SOURCES if file not in PACKAGE]
PUBLIC = ("streamlit.components.v2", "streamlit.testing")  # and ``import streamlit as st``
SERVERS = ("streamlit", "uvicorn", "starlette", "tornado")
STATE = "pages.parts.state"
CALLBACKS = {"pages.parts.controls", "pages.parts.own_walk", "pages.parts.presenter",
             "pages.parts.elements"}


def foreign(tree):
    """Return the modules that a module imports from the inside of Streamlit or of a web server."""
    names = {name for name in imports(tree, "pages.x") if within(name, *SERVERS)}
    return {name for name in names if name != "streamlit" and not within(name, *PUBLIC)}


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


def touched(tree):
    """Return private names of other objects that a module touches, and attributes of servers that it sets."""
    theirs, found = of_servers(tree), []
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


def state_keys(tree):
    """Return how a module uses the state of a session: each key that it reads, or what else it does."""
    found = []
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if identifier(node) == "session_state":
            above = parents[node]
            if isinstance(above, ast.Subscript) and isinstance(above.ctx, ast.Load):
                above = above.slice
            elif isinstance(above, ast.Compare) and isinstance(above.ops[0], (ast.In, ast.NotIn)):
                above = above.left
            elif isinstance(above, ast.Attribute) and above.attr == "get":
                above = parents[above].args[0]
            found.append(ast.unparse(above))
    return found


def test_the_finders_see_what_must_not_be():
    source = ("import streamlit as st\nimport uvicorn.config\nimport streamlit.runtime as r\n"
              "from streamlit import context\nfrom streamlit.components import v2\n"
              "st._x\nfound()._y\nself._z\nst.a.b = 1\nuvicorn.config.C = 2\ncontext.d = 3\nself.e = 4\n"
              "setattr(st, 'f', 5)\ngetattr(o, '_g')\n"
              "st.session_state['k'] = 6\nst.session_state.l\nst.session_state[m]\n"
              "st.session_state.get(n, 0)\no in st.session_state\n")
    tree = ast.parse(source)
    assert foreign(tree) == {"streamlit.runtime", "streamlit.context", "uvicorn.config"}
    assert sorted(touched(tree)) == sorted([
        "st._x", "found()._y", "st.a.b", "uvicorn.config.C", "context.d", "setattr(st, 'f', 5)",
        "getattr(o, '_g')"])
    assert sorted(state_keys(tree)) == ["m", "n", "o", "st.session_state.l", "st.session_state['k']"]


def test_no_file_touches_the_inside_of_streamlit_or_of_a_web_server():
    found = {module_of(file): [*foreign(tree_of(file)), *touched(tree_of(file))] for file in FILES}
    assert len(found) > 30
    assert not {module: names for module, names in found.items() if names}


def test_the_state_of_a_session_is_kept_in_one_place_and_callbacks_read_their_widget_only():
    used = {module_of(file): keys for file in FILES if (keys := state_keys(tree_of(file)))}
    assert used.pop(STATE) == ["st.session_state.setdefault"]
    assert used.keys() <= CALLBACKS
    assert {key for keys in used.values() for key in keys} <= {"widget", "key"}
