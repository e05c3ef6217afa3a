"""The lecture on a page: scenes to walk through, a question before the answer, links to take along, A beside B, and large type."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import segno
import streamlit as st

from pages.parts import frame, scenes
from pages.parts.controls import Controls
from pages.parts.scenes import Scene
from vgdash.params import Params

VERSION = "1"  # of the links; a later one would read the old meaning from this


def current(page: str) -> Scene | None:
    """The scene that the visitor has opened on this page."""
    name = st.session_state.get("scene")
    return next((scene for scene in scenes.of_page(page) if scene.name == name), None)


# ---- the walk

def walk(page: str, controls: Controls, then: Callable[[], None] | None = None) -> None:
    """The page's scenes as one row of pills, and the way to the scene before and after, on any page (keys P and N)."""
    before, after = scenes.neighbours(page, st.session_state.get("scene"))
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"{page}-presets"):
        for scene, icon, key, word in ((before, ":material/arrow_back:", "p", "previous"), (after, ":material/arrow_forward:", "n", "next")):
            if st.button(" ", key=f"{word}-scene", icon=icon, shortcut=key, help=f"the {word} scene", disabled=scene is None,
                         on_click=_enter if scene is not None and scene.page == page else None, args=(scene, controls, then)) \
                    and scene is not None and scene.page != page:
                st.switch_page(frame.FOLDER / f"{scene.page}.py", query_params={"scene": scene.name})
        st.pills("scene", [scene.name for scene in scenes.of_page(page)], key="scene", bind="query-params",
                 label_visibility="collapsed", on_change=_picked, args=(page, controls, then))


def _picked(page: str, controls: Controls, then: Callable[[], None] | None) -> None:
    if (scene := current(page)) is not None:
        _enter(scene, controls, then)


def _enter(scene: Scene, controls: Controls, then: Callable[[], None] | None) -> None:
    controls.apply({**scene.values, "scene": scene.name})
    if then is not None:
        then()


# ---- predict, lock, reveal

def revealed(page: str, p: Params, place) -> bool:
    """Whether the chart may be shown. If not, asks the scene's question in ``place``; once locked, says there what is true.

    Only the scene as it was written asks; as soon as a viewer changes a value, the chart is theirs.
    """
    scene = current(page)
    if scene is None or scene.question is None or p != scene.params or st.session_state.get("quiet"):
        return True
    key = f"locked {page} {scene.name}"
    question = scene.question
    if key in st.session_state:
        truth = question.answer(p)
        locked = st.session_state[key]
        verdict = "You skipped it" if locked is None else "Yes" if locked == truth else "Not quite"
        place.info(f"{question.text} **{verdict}: {question.options[truth]}.** {question.why(p)}", icon=":material/lightbulb:")
        return True
    with place.container(border=True):
        choice = st.radio(f"**{question.text}**", range(len(question.options)), index=None, key=f"choice {page} {scene.name}",
                          format_func=question.options.__getitem__)
        with st.container(horizontal=True):
            st.button("Lock my answer", type="primary", icon=":material/lock:", disabled=choice is None, on_click=_lock, args=(key, choice))
            st.button("Skip", on_click=_lock, args=(key, None), key="skip")
            st.button("Skip all questions", on_click=_be_quiet, type="tertiary", key="skip-all")
    return False


def _lock(key: str, choice: int | None) -> None:
    st.session_state[key] = choice


def _be_quiet() -> None:
    st.session_state["quiet"] = True


# ---- links

def link(controls: Controls) -> str:
    """The address of this very state: every parameter spelled out, with the version of the spelling."""
    here = urlsplit(st.context.url or "http://localhost:8501/")
    return urlunsplit((here.scheme, here.netloc, here.path, urlencode({**controls.spell(), "v": VERSION}, doseq=True), ""))


def tools(controls: Controls) -> None:
    """Share, present, and hold A, at the right of the title."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall", key="lecture-tools"):
        st.toggle("Present", key="present", bind="query-params", help="larger type, thicker lines, one message a screen")
        with st.popover("Share", icon=":material/qr_code_2:", key="share", on_change="rerun") as shared:
            if shared.open:
                address = link(controls)
                st.markdown("Whoever opens this sees the very same state.")
                st.code(address, language=None, wrap_lines=True)
                st.image(segno.make(address, error="m").svg_inline(scale=8, border=3, light="white"), width=420)


def presenting() -> bool:
    return bool(st.session_state.get("present"))


# ---- A beside B

def hold(controls: Controls) -> None:
    """A button that keeps the state as A, to be drawn beside whatever is set next."""
    if st.session_state.get("held"):
        st.button("Forget A", key="forget", on_click=_keep, args=("",), icon=":material/close:")
    else:
        st.button("Keep as A", key="keep", on_click=_keep, args=(urlencode(controls.spell(), doseq=True),), icon=":material/compare:",
                  help="draws this state beside the next one")


def _keep(state: str) -> None:
    st.session_state["held"] = state


def held(controls: Controls) -> Params | None:
    """The parameter set kept as A, if there is one."""
    state = st.session_state.get("held")
    return controls.kind.tolerant(parse_qs(state), text=True)[0] if state else None
