"""A walk of one's own on the page: the line under the headline, and the dialog that makes the walk."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from pages.parts import shell, walks
from pages.parts.controls import redraw_page
from pages.parts.scenes import SCENES, Scene
from pages.parts.state import session
from pages.parts.walks import LINE, LONGEST, MOST, Stop, Walk, carried

INTRODUCTION = (f"Choose up to {MOST} scenes, in the order in which you show them. You may add a line of "
                "your own: it stands under the headline. One link opens the walk, for you and your students.")


def line(scene_name: str | None, page: str) -> None:
    """Draw the line of one's own of a scene, as plain text; if any stop has one, its room is there on all."""
    walk = session().walk
    if any(stop.line for stop in walk):
        with st.container(key="own-line"):
            st.text(next((stop.line for stop in walk if stop.place == (page, scene_name)), "") or " ")


def buttons() -> None:
    """Draw the ways into a walk of one's own and out of it."""
    walk = session().walk
    st.button("Change this walk" if walk else "Make your own walk", key="make-walk", icon=":material/edit:",
              on_click=_open)
    if walk:
        st.button(f"Leave this walk: all {len(SCENES)} scenes", key="leave-walk", on_click=_leave)


def _open() -> None:
    mine = session()
    mine.draft, mine.making = mine.walk or mine.draft, True
    mine.generation += 1  # another list of scenes, closed, takes the place of the open one
    redraw_page()


def _leave() -> None:
    session().walk, session().stop = (), -1
    redraw_page()


def dialog() -> None:
    """Open the dialog, if its button was pressed."""
    if session().making:
        session().making = False
        _make()


@st.dialog("A walk of your own", width="large")
def _make() -> None:
    """Choose scenes, order them, add lines; the draft outlives the dialog."""
    mine = session()
    st.markdown(INTRODUCTION)
    key, options = f"own-scenes-{mine.edition}", [_option(stop.scene) for stop in mine.draft]
    st.multiselect("scenes, in your order", list(OPTIONS), options, key=key, max_selections=MOST,
                   format_func=_name, placeholder="choose a scene", select_all=False,
                   on_change=_choose, args=(key,))
    stops = []
    for i, (stop, option) in enumerate(zip(mine.draft, options, strict=True)):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
            typed = st.text_input(f"{i + 1}. {_name(option)}", stop.line, max_chars=LINE,
                                  key=f"own-line-{option}", placeholder="a line of your own, or nothing")
            for step, arrow, word in ((-1, "upward", "Earlier"), (1, "downward", "Later")):
                st.button(word, key=f"{word}-{option}", icon=f":material/arrow_{arrow}:", type="tertiary",
                          on_click=_move, args=(option, step), disabled=not 0 <= i + step < len(options))
        stops.append(Stop(stop.scene, walks.clean(typed)))
    mine.draft = walk = tuple(stops)
    if walk:
        _offer(walk)


def _option(scene: Scene) -> str:
    return walks.RULE.to_query([Stop(scene)])[0]


OPTIONS = {_option(scene): scene for scene in SCENES}


def _name(option: str) -> str:
    return f"{OPTIONS[option].label}: {OPTIONS[option].say}"


def _choose(key: str) -> None:
    """Take over the choice of scenes; those that stay keep their lines. The callback of the choice."""
    lines = {_option(stop.scene): stop.line for stop in session().draft}
    chosen = [option for option in st.session_state.get(key, lines) if option in OPTIONS]
    session().draft = tuple(Stop(OPTIONS[option], lines.get(option, "")) for option in chosen)


def _move(option: str, step: int) -> None:
    """Move a scene in the order, if it is still there. For callbacks."""
    order = list(session().draft)
    options = [_option(stop.scene) for stop in order]
    if option not in options or not 0 <= options.index(option) + step < len(order):
        return
    i = options.index(option)
    order[i], order[i + step] = order[i + step], order[i]
    session().draft = tuple(order)
    session().edition += 1


def _offer(walk: Walk) -> None:
    """Draw the link of a walk and the way into it, or say by how much it is too long for a link."""
    if (over := walks.length(walk) - LONGEST) > 0:
        st.warning(f"This walk is {over:,} characters too long for a link. Shorten lines, or drop a scene.",
                   icon=":material/info:")
        return
    first, query = walk[0].scene, {"scene": walk[0].scene.name, "walk": walks.RULE.to_query(walk)}
    st.page_link(shell.path(first.page), label="Start this walk", icon=":material/arrow_forward:",
                 query_params={**carried(), **query})
    st.markdown("Or copy its link. **Share** shows its QR code once it is started.")
    here = urlsplit(st.context.url or "http://localhost:8501/")
    path = f"{here.path.rpartition('/')[0]}/{first.page}"
    st.code(urlunsplit((here.scheme, here.netloc, path, urlencode(query, doseq=True), "")), language=None,
            wrap_lines=True)
