"""The lecture on a page: scene walk, questions before answers, links, A beside B, large type."""

from __future__ import annotations

from itertools import groupby
from typing import NoReturn
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import segno
import streamlit as st

from pages.parts import names, own_walk, results, scenes, shell, walks
from pages.parts.controls import Controls, redraw_page
from pages.parts.questions import QUESTIONS
from pages.parts.scenes import Scene
from pages.parts.state import answer_next, answering, session
from pages.parts.text import escaped
from vgdash.params import MAX_TEXT, Params

SIDE_BY_SIDE = ("linear_chain", "neuron_variance", "initializers")  # pages that can draw A beside B
VERSION = "1"  # of the links; later defaults would read the old ones from this
LONGEST = 4  # differences between A and B that are named


def top(controls: Controls, question: str) -> None:
    """Draw the title with the tools beside it, and the page's scenes below.

    The title is the page's question, or that of the scene; once answered, the line that the scene says.
    """
    scene = current(controls)
    title = QUESTIONS[scene.question].text if asks(controls) else scene.say if scene else question
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="top"):
        st.title(title, anchor=False)
        _tools(controls)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="walk"):
            _steps(controls)
    own_walk.line(controls.here.scene, controls.page)
    own_walk.dialog()
    key = _pills_key(controls)
    labels = {scene.name: scene.label for scene in scenes.of_page(controls.page)}
    if not labels:
        return
    with st.container(key="scene"):
        st.pills("scene", list(controls.scenes), default=controls.here.scene, key=key,
                 label_visibility="collapsed", wrap=False, on_change=_pick, args=(controls, key),
                 format_func=labels.__getitem__)


def current(controls: Controls) -> Scene | None:
    """Return the scene that the page shows, if every control still has the scene's value."""
    return next((scene for scene in scenes.of_page(controls.page) if scene.name == controls.here.scene), None)


def presenting() -> bool:
    """Return True if the page is in large type, for a projector."""
    return session().present


# ---- the walk

def _steps(controls: Controls) -> None:
    """Draw the ways to the scene before and after (keys P and N).

    A scene on another page is a link, so that the history gets one entry.
    """
    mine = session()
    place = controls.page, mine.at[1] if mine.at and mine.at[0] == controls.page else None
    before, after = (walks.neighbours(mine.walk, place, mine.stop) if mine.walk else
                     scenes.neighbours(*place))
    for scene, icon, key, word in ((before, "back", "P", "previous"), (after, "forward", "N", "next")):
        icon, words, label = f":material/arrow_{icon}:", f"the {word} scene (key {key})", word.capitalize()
        with st.container(key=f"{word}-scene", width="content"):
            if scene is None or scene.page == controls.page:
                st.button(label, key=f"to-{word}", icon=icon, help=words, type="tertiary",
                          disabled=scene is None, on_click=_enter, args=(controls, scene))
            else:
                st.page_link(shell.path(scene.page), label=label, icon=icon, help=words,
                             query_params=scene_query(scene))
        if word == "previous":
            _scene_list(current(controls))


def _scene_list(here: Scene | None) -> None:
    """Draw the list of the scenes of the walk, by section, behind the number of the present one."""
    own = [stop.scene for stop in session().walk]
    walk = own or scenes.SCENES
    label, words = (f"{walk.index(here) + 1} of {len(walk)}", here.source) if here in walk else (
        "Scenes", f"all {len(walk)} scenes of this walk")
    with st.popover(label, key=f"scene-list-{session().generation}", type="tertiary", help=words,
                    on_change="rerun") as opened:
        if not opened.open:
            return
        own_walk.buttons()
        quiet = session().quiet
        st.button("Ask the questions again" if quiet else "Show scenes without their questions",
                  key="set-quiet", on_click=_set_quiet, args=(not quiet,))
        count = 0
        for section, group in groupby(walk, key=lambda scene: None if own else scene.source):
            st.markdown(f"**{section or 'This walk'}**")
            for scene in group:
                count += 1
                st.page_link(shell.path(scene.page), label=f"{count}. {scene.label}",
                             query_params=scene_query(scene))


def scene_query(scene: Scene) -> dict[str, str | list[str]]:
    """Return the query of a link to a scene, which keeps large type and the own walk."""
    return {"scene": scene.name, **walks.carried()}


@answering
def _enter(controls: Controls, scene: Scene) -> None:
    controls.enter(scene)


def _pills_key(controls: Controls) -> str:
    return f"scene-{session().generation}-{controls.here.scene}"


def _pick(controls: Controls, key: str) -> None:
    """Enter the scene that was picked. The callback of the row of scenes; one that is gone is ignored."""
    controls.refuse_late(key, _pills_key(controls))
    answer_next()
    name = st.session_state[key]
    if name in controls.scenes:
        controls.enter(next(scene for scene in scenes.of_page(controls.page) if scene.name == name))
    else:
        controls.here.scene = None


# ---- predict, lock, reveal

def _asking(controls: Controls) -> Scene | None:
    """Return the scene if it has a question: not after a viewer has changed a value."""
    scene = current(controls)
    return None if scene is None or scene.question is None or session().quiet else scene


def asks(controls: Controls) -> bool:
    """Return True if a question hides the results until an answer is locked."""
    scene = _asking(controls)
    return scene is not None and (scene.page, scene.name) not in session().locked


def answer(controls: Controls) -> str:
    """Return the truth and how the locked answer compares, or nothing where nothing was asked."""
    scene = _asking(controls)
    if scene is None or asks(controls):
        return ""
    question, locked = QUESTIONS[scene.question], session().locked[scene.page, scene.name]
    truth = results.reveal(scene.question, scene.params)
    verdict = "The answer" if locked is None else "Right" if locked == truth.index else "Not quite"
    asked = "" if presenting() else f"{question.text} "  # a projector has room for the chart and the answer
    return f"{asked}**{verdict}: {question.options[truth.index]}.** {truth.why}"


def ask(controls: Controls) -> None:
    """Draw the answers to the scene's question, which is the title of the page."""
    scene = current(controls)
    question, at = QUESTIONS[scene.question], (scene.page, scene.name)
    with st.container(border=True, key="asked"):
        choice = st.radio(question.text, range(len(question.options)), index=None, key=f"choice-{scene.name}",
                          format_func=question.options.__getitem__, label_visibility="collapsed")
        with st.container(horizontal=True):
            st.button("Lock my answer", type="primary", icon=":material/lock:", disabled=choice is None,
                      on_click=_lock, args=(at, choice), key="lock")
            st.button("Skip", on_click=_lock, args=(at, None), key="skip")
            st.button("Skip all questions", on_click=_set_quiet, args=(True,), type="tertiary",
                      key="skip-all")


def _lock(at: tuple[str, str], choice: int | None) -> NoReturn:
    """Lock an answer to the question of a scene, and draw the page with its message and its chart."""
    session().locked[at] = choice
    redraw_page()


def _set_quiet(quiet: bool) -> NoReturn:
    session().quiet = quiet
    redraw_page()


# ---- links, projector

def link(controls: Controls) -> str:
    """Return the shortest address of this very state, with the version of its spelling and its defaults.

    Large type is not part of it: who opens the link has a screen of their own.
    """
    here = urlsplit(st.context.url or "http://localhost:8501/")
    state = {**controls.query(), "v": VERSION}
    state.pop("present", None)
    return urlunsplit((here.scheme, here.netloc, here.path, urlencode(state, doseq=True), ""))


def _tools(controls: Controls) -> None:
    """Draw Keep as A, Share and Present."""
    kept = controls.here.kept
    if controls.page in SIDE_BY_SIDE:
        state = "" if kept else urlencode(controls.full_query(), doseq=True)
        st.button("Forget A" if kept else "Keep as A", key="keep-a", type="tertiary",
                  icon=":material/close:" if kept else ":material/compare:",
                  help="Show one view again." if kept else
                  "Keep this view. Then change something: both views stand side by side.",
                  on_click=_keep, args=(controls, state))
    if st.button("Share", icon=":material/qr_code_2:", key="share", type="tertiary",
                 help="Link and QR code of this view", on_click=answering(lambda: None)):
        _share(controls)
    present_switch()


def present_switch() -> None:
    """Draw the switch for large type, and the large type."""
    key = _present_key()
    st.toggle("Present", presenting(), key=key, on_change=_set_present, args=(key,), width="content")
    if presenting():
        st.html(shell.LARGE)


def _set_present(key: str) -> None:
    """Turn large type on or off. The callback of its switch; a switch that is gone is ignored."""
    if key == _present_key():
        session().present = st.session_state.get(key, session().present)
    redraw_page()


def _present_key() -> str:
    return f"present-{session().generation}"


@answering
def _keep(controls: Controls, state: str) -> None:
    controls.here.kept = state


@st.dialog("Share", width="medium")
def _share(controls: Controls) -> None:
    address = link(controls)
    st.markdown("Scan the code, or copy the link. It opens exactly this view.")
    try:
        st.image(segno.make(address, error="l").svg_inline(scale=8, border=3, light="white"), width=400)
    except segno.DataOverflowError:  # 2,953 characters; only a link made by hand
        st.caption("This link is too long for a QR code. Copy the text instead.")
    st.code(address, language=None, wrap_lines=True)


# ---- A beside B

def kept(controls: Controls) -> Params | None:
    """Return the parameter set kept as A, if there is one."""
    state = controls.here.kept if controls.page in SIDE_BY_SIDE else ""
    return controls.kind.parse_lenient(parse_qs(state[:MAX_TEXT]), text=True)[0] if state else None


def difference(p: Params, other: Params) -> str:
    """List the values of ``p`` that ``other`` does not have, in words."""
    mine, theirs = _in_short(p), _in_short(other)
    differing = [f"{names.field(key)} {escaped(', '.join(names.value(key, one) for one in mine[key])[:40])}"
                 for key in mine if mine[key] != theirs.get(key)]
    return "; ".join(differing[:LONGEST]) or "the same"


def _in_short(p: Params) -> dict[str, list[str]]:
    """Return every value as text; equal widths as depth and width, like the sliders."""
    spelled = p.to_query()
    if len(set(getattr(p, "widths", ()))) == 1:
        del spelled["widths"]
        return {"depth": [str(p.depth)], "width": [str(p.width)], **spelled}
    return spelled
