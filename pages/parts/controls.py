"""The controls of a page: widgets, address and parameter set, three forms of one state.

The state is ``PageState.values``. Widgets are drawn from it and write into it, ``read_address`` and
``write_address`` translate between it and the address, ``params`` makes the parameter set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st

from pages.parts import names, scenes, shell, text, walks
from pages.parts.scenes import Scene
from pages.parts.state import PageState, answer_next, session, take_answering
from vgdash.params import MAX_TEXT, Choice, Choices, Flag, Integers, ParamError, Params, Real, Rule, Text

COMMON: dict[str, Rule] = {  # of every page: large type, own walk, the state kept as A, version of a link
    "present": Flag(), "walk": walks.RULE, "held": Text(MAX_TEXT), "v": Choice(("1",)),
}
NARROW, WIDE = 150, 200  # pixels of a select box in a row; sliders share the rest
EXACT = "%.10g"  # Streamlit shows two decimals of a number: 0.125 would stand there as 0.13, 0.001 as 0.00
UNDER_WAY = 3.0  # seconds in which an answer reaches its browser, over a slow line too
REFUSALS = 5  # sentences about one address at most


@dataclass(frozen=True)
class Address:
    """State that an address names: the controls that are not at their default, and the keys of every page."""

    values: dict[str, Any]
    scene: str | None
    kept: str
    present: bool
    walk: walks.Walk


class Controls:
    """The controls of one page for the parameter set ``kind``.

    ``beside`` maps further keys to their (rule, default). A change draws ``fragments`` again, or the page if
    other controls depend on the key (``linked``). A scene stays when a key ``within`` it changes. ``then`` is
    called when a scene or a link has been entered.
    """

    def __init__(self, page: str, kind: type[Params], beside: Mapping[str, tuple[Rule, Any]] | None = None,
                 linked: Sequence[str] = (), fragments: Sequence[str] = ("results",),
                 then: Callable[[], None] = lambda: None, within: Sequence[str] = ()):
        self.page, self.kind, self.linked, self.fragments, self.then = page, kind, linked, fragments, then
        self.within = within
        self.hurried = False  # an earlier answer may still change the address of this page, just opened
        own, usual, beside = kind.keys(), kind(), beside or {}
        self.rules = {**own, **{key: rule for key, (rule, _) in beside.items()}}
        self.defaults = {key: None if isinstance(rule, Integers) else getattr(usual, key)
                         for key, rule in own.items()}
        self.defaults |= {key: value for key, (_, value) in beside.items()}
        self.scenes = {scene.name: self._differing(scene.values) for scene in scenes.of_page(page)}
        self.brought = {scene.name: urlencode(self._spelled(self._differing(scene.beside)), doseq=True)
                        for scene in scenes.of_page(page) if scene.beside}
        self.readable = {**self.rules, **COMMON, "scene": Choice(tuple(self.scenes))}

    @property
    def here(self) -> PageState:
        """State of this page in the session whose script runs."""
        return session().of(self.page)

    def value(self, key: str) -> Any:
        """Return the value of a control; None of an empty text field."""
        return self.here.values.get(key, self.defaults[key])

    def _differing(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check values and return those that are not at their default."""
        checked = {key: self.rules[key].check(key, value) for key, value in values.items()}
        return {key: value for key, value in checked.items() if value != self.defaults[key]}

    # ---- the parameter set

    def params(self) -> tuple[Params, list[str]]:
        """Return the parameter set of all values, and a sentence for each value that was refused."""
        p, refused = self.kind.parse_lenient(self.here.values)
        said = [*self.here.refused, *self.here.misread.values(), *map(text.refusal, refused)]
        return p, list(dict.fromkeys(said))

    def next_params(self) -> Iterator[Params]:
        """Yield the parameter set one step further on the slider moved last: the likely next request."""
        if self.here.moved is not None:
            key, value = self.here.moved
            p, refused = self.kind.parse_lenient({**self.here.values, key: value})
            if not refused:
                yield p

    # ---- the address

    def read_address(self) -> None:
        """Take over the state that the address names. Call it once in a full run, before the widgets.

        An address that names the current state changes nothing. A run that answers a widget does not read it,
        and a page opened from the menu, without a query, keeps its last state.
        """
        mine, here = session(), self.here
        arrived, mine.page = mine.page != self.page, self.page
        answers = take_answering() and not arrived
        query = _query()
        if not answers and (query or not arrived):
            address, refused = self._meaning(query)
            if refused or address != self._current():
                self._show(address, refused)
                if query:
                    self.then()
        if here.scene is not None:
            mine.enter(self.page, here.scene)
        self.hurried = arrived and time.monotonic() - mine.sent_at < UNDER_WAY
        self.write_address(again=not arrived)

    def write_address(self, again: bool = False) -> None:
        """Set the address to the state of the page, unless it already names it.

        ``again``: tell the browser in any case. An answer that was under way may have changed its address.
        Not on a page just opened, which the browser may still have under the path of the page before.
        """
        wrong = self.is_misnamed()
        if wrong or again:
            st.query_params.from_dict(self.query() if wrong else _query())
            session().sent_at = time.monotonic()

    def is_misnamed(self) -> bool:
        """Test if the address names another state than the page has."""
        address, refused = self._meaning(_query())
        return bool(refused) or address != self._current()

    def query(self) -> dict[str, list[str]]:
        """Return the shortest query that names this state: the scene, or the values not at their default."""
        here = self.here
        moved = {key: value for key, value in here.values.items() if key in self.within or not here.scene}
        state = {**({"scene": [here.scene]} if here.scene else {}), **self._spelled(moved)}
        own_kept = here.kept == self.brought.get(here.scene, "")
        return {**state, **({} if own_kept else {"held": [here.kept]}), **walks.carried()}

    def full_query(self) -> dict[str, list[str]]:
        """Return every value of the page as texts, defaults too: a link that survives new defaults."""
        values = self.defaults | self.here.values
        return self._spelled({key: value for key, value in values.items() if value is not None})

    def _spelled(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        return {key: self.rules[key].to_query(value) for key, value in values.items()}

    def _current(self) -> Address:
        return Address(self.here.values, self.here.scene, self.here.kept, session().present,
                       session().walk)

    def _meaning(self, query: Mapping[str, list[str]]) -> tuple[Address, list[str]]:
        """Return the state that a query names, and a sentence for each part of it that was left out.

        A link to a scene may set some of its values: the others are those of the scene, but if one differs,
        the state is not that scene.
        """
        good, refused = {}, []
        for key, texts in query.items():
            if key not in self.readable:
                refused.append(f"This page has no setting named “{text.harmless(key)}”. "
                               "The link's value was left out.")
                continue
            try:
                if sum(map(len, texts)) > MAX_TEXT:
                    raise ParamError(key, f"at most {MAX_TEXT:,} characters", "".join(texts))
                good[key] = self.readable[key].parse(key, texts)
            except ParamError as error:
                refused.append(text.refusal(error))
        common = {key: good.pop(key) for key in ("scene", *COMMON) if key in good}
        scene = common.get("scene")
        as_written = self.scenes.get(scene, {})
        values = self._differing({**as_written, **good})
        scene = scene if self._is_scene(scene, values) else None
        return Address(values, scene, common.get("held", self.brought.get(scene, "")),
                       common.get("present", False), common.get("walk", ())), refused[:REFUSALS]

    def _is_scene(self, scene: str | None, values: Mapping[str, Any]) -> bool:
        """Test if values are those of a scene, but for keys that change within it."""
        both = ({key: value for key, value in found.items() if key not in self.within}
                for found in (values, self.scenes.get(scene, {})))
        return scene is not None and next(both) == next(both)

    def _show(self, address: Address, refused: Sequence[str] = ()) -> None:
        here, mine = self.here, session()
        here.values, here.scene, here.kept = dict(address.values), address.scene, address.kept
        here.entered, here.refused, here.misread, here.moved = dict(address.values), list(refused), {}, None
        mine.present = address.present
        mine.walk, mine.stop = address.walk, mine.stop if address.walk == mine.walk else -1
        mine.generation += 1

    # ---- changes

    def enter(self, scene: Scene) -> None:
        """Set every control to the scene's value, and A to what it brings along. For callbacks."""
        own = "" if self.here.kept == self.brought.get(self.here.scene) else self.here.kept
        self._show(replace(self._current(), values=self.scenes[scene.name], scene=scene.name,
                           kept=self.brought.get(scene.name, own)))
        session().enter(self.page, scene.name)
        self.then()

    def set(self, values: Mapping[str, Any]) -> NoReturn:
        """Set some controls, and draw the page again. For callbacks."""
        here, changed = self.here, self._differing({**self.here.values, **values})
        scene = here.scene if self._is_scene(here.scene, changed) else None
        self._show(replace(self._current(), values=changed, scene=scene))
        redraw_page()

    def _changed(self, key: str, widget: str, beside: Callable[[Any, bool], Any] | None = None) -> None:
        """Take over a widget's value and draw again what depends on it. The callback of every control.

        Streamlit calls it for a widget that is gone too, if a late message holds its value.
        """
        self.refuse_late(widget, self._name(key))
        here, rule, before = self.here, self.rules[key], self.value(key)
        value, misread = st.session_state[widget], here.misread.pop(key, None)
        try:
            typed = isinstance(rule, Integers)
            value = (rule.parse(key, [value]) if value else None) if typed else rule.check(key, _plain(value))
        except ParamError as error:
            here.misread[key] = text.refusal(error)
            value = self.defaults[key]
        if value == before and misread == here.misread.get(key):
            return  # a widget of a run that was stopped counts as changed
        here.values.pop(key, None)
        if value != self.defaults[key]:
            here.values[key] = value
        here.refused = []
        here.moved = (key, beside(value, value > before)) if beside else None
        left = here.scene
        if not self._is_scene(left, here.values):
            here.scene = None
        if left != here.scene or key in self.linked:  # the scene's headline goes, or other controls change
            redraw_page()
        st.rerun(list(self.fragments))

    def refuse_late(self, widget: str, present: str) -> None:
        """End a callback whose message was sent before the last page or state had arrived, and show that.

        Streamlit runs the page that a message was sent from, calls back for each of its widgets, and may have
        dropped their values.
        """
        if self.page != session().page:
            st.switch_page(shell.path(session().page))
        if widget != present or widget not in st.session_state:
            redraw_page()

    # ---- widgets

    def _name(self, key: str) -> str:
        """Return the key of the widget that is drawn for a control."""
        return f"{key}-{session().generation}"

    def _widget(self, key: str, more: Mapping[str, Any],
                beside: Callable[[Any, bool], Any] | None = None) -> dict[str, Any]:
        """Return the options that all widgets have; ``more`` are those of this one."""
        name = self._name(key)
        return {"help": names.HELP.get(key), **more, "key": name, "on_change": self._changed,
                "args": (key, name, beside)}

    @staticmethod
    def _shown(key: str) -> Callable[[Any], str]:
        return lambda choice: names.value(key, choice)

    def options(self, key: str, usual: Sequence[Any]) -> list[Any]:
        """Return the usual options, the default, the value that a link has set, and the present one."""
        default = self.defaults[key]
        return sorted({*usual, default, self.here.entered.get(key, default), self.value(key)})

    def slider(self, key: str, label: str, step: float = 1, **more: Any) -> None:
        """Draw a slider over all values of a number."""
        rule = self.rules[key]
        st.slider(label, rule.low, rule.high, self.value(key), type(rule.low)(step),
                  EXACT if isinstance(rule, Real) else None,
                  **self._widget(key, more, lambda value, up: _plain(value + step if up else value - step)))

    def steps(self, key: str, label: str, usual: Sequence[Any], **more: Any) -> None:
        """Draw a slider over the usual values of a number, for quantities that span orders of magnitude."""
        options = self.options(key, usual)

        def beside(value: Any, up: bool) -> Any:
            return options[min(max(options.index(value) + (1 if up else -1), 0), len(options) - 1)]
        st.select_slider(label, options, self.value(key), **self._widget(key, more, beside),
                         format_func=lambda value: self.rules[key].to_query(value)[0])

    def place(self, key: str, label: str, last: int, shown: int) -> None:
        """Draw a slider from 1 to ``last`` that stands at ``shown``, whichever value means that."""
        st.slider(label, 1, last, shown, **self._widget(key, {}))

    def select(self, key: str, label: str, among: Sequence[str] = (), **more: Any) -> None:
        """Draw a select box of all options; where the rule takes other text too, one can type it.

        ``among``: the only ones that act now. The last of them stands for a value that does not.
        """
        rule, value = self.rules[key], self.value(key)
        options = among or (rule.options if value in rule.options else (*rule.options, value))
        value = value if value in options else options[-1]
        st.selectbox(label, options, options.index(value), self._shown(key), accept_new_options=rule.open,
                     **self._widget(key, more))

    def segments(self, key: str, label: str, **more: Any) -> None:
        """Draw all options side by side, to choose one."""
        st.segmented_control(label, self.rules[key].options, default=self.value(key), required=True,
                             format_func=self._shown(key), **self._widget(key, more))

    def several(self, key: str, label: str, **more: Any) -> None:
        """Draw a select box of all options, to choose several."""
        rule: Choices = self.rules[key]
        st.multiselect(label, rule.options, list(self.value(key)), format_func=self._shown(key),
                       max_selections=rule.at_most, **self._widget(key, more))

    def number(self, key: str, label: str, **more: Any) -> None:
        """Draw a field for a number."""
        rule = self.rules[key]
        st.number_input(label, rule.low, rule.high, self.value(key),
                        format=EXACT if isinstance(rule, Real) else None, **self._widget(key, more))

    def typed(self, key: str, label: str, example: str) -> None:
        """Draw a text field for a value, written as in an address; empty, it does not count."""
        value = self.value(key)
        st.text_input(label, "" if value is None else self.rules[key].to_query(value)[0], placeholder=example,
                      max_chars=MAX_TEXT, **self._widget(key, {}))


def redraw_page() -> NoReturn:
    """End a callback and draw the whole page, without reading its address: it may be an old one."""
    answer_next()
    st.rerun()


def _query() -> dict[str, list[str]]:
    return {key: st.query_params.get_all(key) for key in st.query_params}


def _plain(value: Any) -> Any:
    """Round the noise of the last digits away: 1.2300000000000002 and 1.23 are one cache key."""
    return float(f"{value:.10g}") if isinstance(value, float) else value
