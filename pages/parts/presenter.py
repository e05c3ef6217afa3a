"""The lecture on a page: scenes to walk through, a question before the answer, links to take along, A beside B, and large type."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import segno
import streamlit as st

from pages.parts import address, scenes, shell
from pages.parts.controls import Controls
from pages.parts.keyboard import focus_inside, hear_scenes_keys
from pages.parts.scenes import Scene
from pages.parts.text import escaped
from vgdash.params import MAX_TEXT, Params

SIDE_BY_SIDE = ("linear_chain", "neuron_variance", "initializers")  # pages that can draw A beside B
# For one viewer: text in rem and the labels of charts grow with the root, and only the message and its chart stay.
LARGE = """<style>
html {font-size: 20px;}
[data-testid=stHeader] {display: none;}
.st-key-scene, .st-key-of, .st-key-statistic {display: none !important;}
[data-testid=stMainBlockContainer] {padding: 0.5rem 1.5rem !important;}
[data-testid=stMainBlockContainer] [data-testid=stVerticalBlock] {gap: 0.5rem;}
.st-key-verdict [data-testid=stAlertContainer] {padding: 0.4rem 0.8rem;}
</style>"""
VERSION = "1"  # of the links; a later one would read the old meaning from this


def current(page: str) -> Scene | None:
    """The scene that the visitor has opened on this page."""
    name = st.session_state.get("scene")
    return next((scene for scene in scenes.of_page(page) if scene.name == name), None)


# ---- the walk

def settle(controls: Controls) -> Scene | None:
    """The scene, unless a control has been changed since: then the state is the viewer's own, and so is its address."""
    scene = current(controls.page)
    if scene is not None:
        st.session_state["at"] = (scene.page, scene.name)
        if not controls.stands(scene):
            st.session_state["scene"] = None
            return None
    return scene


def above(controls: Controls) -> tuple[str | None, bool, bool]:
    """What the top of the page shows: the scene, whether a state is kept as A, whether it is for a projector."""
    scene = current(controls.page)
    return scene and scene.name, bool(st.query_params.get("held")), presenting()


def walk(controls: Controls, then: Callable[[], None] | None = None) -> None:
    """The page's scenes as one row of pills."""
    st.pills("scene", list(controls.scenes), key="scene", bind="query-params", label_visibility="collapsed",
             on_change=_picked, args=(controls, then))


def _steps(controls: Controls, then: Callable[[], None] | None) -> None:
    """To the scene before and after, on any page (keys P and N)."""
    at = st.session_state.get("at", (None, None))
    before, after = scenes.neighbours(controls.page, at[1] if at[0] == controls.page else None)
    for scene, icon, key, word in ((before, "back", "p", "previous"), (after, "forward", "n", "next")):
        here = scene is not None and scene.page == controls.page
        st.button("", key=f"{word}-scene", icon=f":material/arrow_{icon}:", shortcut=key, help=f"the {word} scene", type="tertiary",
                  disabled=scene is None, on_click=_enter if here else _leave, args=(scene, controls, then) if here else (scene,))
    hear_scenes_keys()


def _leave(scene: Scene | None) -> None:
    if scene is not None:
        st.session_state["entering"] = scene, presenting()


def depart() -> None:
    """To the page of the scene that the walk has chosen. Before the controls, which would write into the next page's address."""
    if "entering" in st.session_state:
        scene, _ = st.session_state["entering"]
        address.write({}, list(st.query_params))  # Streamlit leaves by program only a page whose widgets hold nothing of it
        st.switch_page(shell.FOLDER / f"{scene.page}.py")


def _picked(controls: Controls, then: Callable[[], None] | None) -> None:
    if (scene := current(controls.page)) is not None:
        _enter(scene, controls, then)


def _enter(scene: Scene, controls: Controls, then: Callable[[], None] | None) -> None:
    controls.enter(scene)
    if then is not None:
        then()


# ---- predict, lock, reveal

def _asking(page: str, p: Params) -> Scene | None:
    """Only the scene as it was written asks; as soon as a viewer changes a value, the chart is theirs."""
    scene = current(page)
    unasked = scene is None or scene.question is None or p != scene.params or st.session_state.get("quiet")
    return None if unasked else scene


def asks(page: str, p: Params) -> bool:
    """Whether a question hides the chart until an answer is locked."""
    scene = _asking(page, p)
    return scene is not None and f"locked {page} {scene.name}" not in st.session_state


def answer(page: str, p: Params) -> str:
    """What is true, and how the locked answer compares; nothing where nothing was asked."""
    scene = _asking(page, p)
    if scene is None:
        return ""
    question, locked = scene.question, st.session_state[f"locked {page} {scene.name}"]
    truth = question.answer(p)
    verdict = "You skipped it" if locked is None else "Yes" if locked == truth else "Not quite"
    asked = "" if presenting() else f"{question.text} "  # a projector has room for the chart and the answer
    return f"{asked}**{verdict}: {question.options[truth]}.** {question.why(p)}"


def ask(page: str, place) -> None:
    """The question of the scene, in ``place``."""
    scene = current(page)
    question, key = scene.question, f"locked {page} {scene.name}"
    with place.container(border=True):
        choice = st.radio(f"**{question.text}**", range(len(question.options)), index=None, key=f"choice {page} {scene.name}",
                          format_func=question.options.__getitem__)
        with st.container(horizontal=True):
            st.button("Lock my answer", type="primary", icon=":material/lock:", disabled=choice is None, on_click=_lock, args=(key, choice))
            st.button("Skip", on_click=_lock, args=(key, None), key="skip")
            st.button("Skip all questions", on_click=_be_quiet, type="tertiary", key="skip-all")


def _lock(key: str, choice: int | None) -> None:
    st.session_state[key] = choice


def _be_quiet() -> None:
    st.session_state["quiet"] = True


# ---- links

def link(controls: Controls) -> str:
    """The address of this very state: every parameter spelled out, with the version of the spelling."""
    here = urlsplit(st.context.url or "http://localhost:8501/")
    state = {**controls.spell(), **({"held": kept} if (kept := st.query_params.get("held")) else {}), "v": VERSION}
    return urlunsplit((here.scheme, here.netloc, here.path, urlencode(state, doseq=True), ""))


def tools(controls: Controls, then: Callable[[], None] | None) -> None:
    """The walk, keep as A, share, present, at the right of the title."""
    _steps(controls, then)
    kept = st.query_params.get("held")
    if controls.page in SIDE_BY_SIDE:
        st.button("Forget A" if kept else "Keep as A", key="keep-a", type="tertiary",
                  icon=":material/close:" if kept else ":material/compare:", help="draws this state beside the next one",
                  on_click=_forget if kept else _keep, args=(controls,))
    with st.popover("Share", icon=":material/qr_code_2:", key="share", type="tertiary", on_change="rerun", width="content") as shared:
        if shared.open:
            address = link(controls)
            st.markdown("Whoever opens this sees the very same state.")
            st.code(address, language=None, wrap_lines=True)
            try:
                st.image(segno.make(address, error="l").svg_inline(scale=8, border=3, light="white"), width=460)
            except segno.DataOverflowError:  # 2,953 characters; only a link made by hand
                st.caption("This link is too long for a QR code: copy the text.")
            focus_inside()
    st.toggle("Present", key="present", bind="query-params", width="content")
    if presenting():  # only now is it known of a link that has just been opened
        st.html(LARGE)


def presenting() -> bool:
    """Whether this viewer is on a projector."""
    return bool(st.session_state.get("present"))


# ---- A beside B

def _keep(controls: Controls) -> None:
    st.query_params["held"] = urlencode(controls.spell(), doseq=True)


def _forget(controls: Controls) -> None:
    st.query_params.pop("held", None)


def held(controls: Controls) -> Params | None:
    """The parameter set kept as A, if there is one."""
    state = st.query_params.get("held") if controls.page in SIDE_BY_SIDE else None
    return controls.kind.parse_lenient(parse_qs(state[:MAX_TEXT]), text=True)[0] if state else None


def difference(p: Params, other: Params) -> str:
    """What sets ``p`` apart, in words."""
    mine, theirs = _in_short(p), _in_short(other)
    apart = [f"{key.replace('_', ' ')} {escaped(', '.join(mine[key])[:40])}" for key in mine if mine[key] != theirs.get(key)]
    return "; ".join(apart[:4]) or "the same"


def _in_short(p: Params) -> dict[str, list[str]]:
    """Every value as text; layers that are all as wide by depth and width, as the sliders say them."""
    spelled = p.to_query()
    if len(set(getattr(p, "widths", ()))) == 1:
        del spelled["widths"]
        return {"depth": [str(p.depth)], "width": [str(p.width)], **spelled}
    return spelled
