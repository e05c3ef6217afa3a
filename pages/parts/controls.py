"""Widgets that spell a parameter set: limits from its rules, state in the address, and a sentence for what was refused."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.parts import address, bounds, keyboard, scenes, text, told
from pages.parts.scenes import Scene
from vgdash.params import MAX_TEXT, Choice, Flag, Integer, Integers, ParamError, Params, Real, Rule, Text

EMBEDDING = {"embed", "embed_options"}  # Streamlit's own keys
COMMON: dict[str, Rule] = {  # keys that every page has: large type, the state kept as A, the version of a link
    "present": Flag(), "held": Text(MAX_TEXT), "v": Choice(("1",)),
}
NARROW, WIDE = 150, 200  # pixels of a list in a row; sliders share the rest
EXACT = "%.10g"  # Streamlit shows two decimals of a number: 0.125 would stand there as 0.13, 0.001 as 0.00


def _foldable(draw: Callable[..., None]) -> Callable[..., None]:
    """A control that is not drawn while it is folded away."""
    @wraps(draw)
    def drawn(self: Controls, key: str, *label: str, **more: Any) -> None:
        if self.inside is not None:
            self.inside.append(key)
        if self.inside is not None and self.folded:
            self._take(key)
        else:
            self.drawn.append(key)
            told.tell_again(self.page, key)
            draw(self, key, *label, **more)
    return drawn


class Controls:
    """The controls of one page for the parameter set ``kind``; ``beside`` maps further keys to their (rule, default).

    Each widget method takes a key of the parameter set and draws it bound to the address. ``params`` then gives the
    parameter set that these values make; what it refuses, and what ``read_address`` refused, ``notice`` says.
    """

    def __init__(self, page: str, kind: type[Params], beside: Mapping[str, tuple[Rule, Any]] | None = None):
        self.page, self.kind = page, kind
        self.scenes = {scene.name: scene for scene in scenes.of_page(page)}
        self.rules = {**kind.keys(), **{key: rule for key, (rule, _) in (beside or {}).items()},
                      "scene": Choice(tuple(self.scenes)), **COMMON}
        self.defaults = {**_defaults(kind), **{key: value for key, (_, value) in (beside or {}).items()}}
        self.values: dict[str, Any] = {}
        self.drawn: list[str] = []
        self.beside: dict[str, Callable[[Any], tuple[Any, ...]]] = {}  # slider: the values next to one, lower first
        self.folded = False
        self.inside: list[str] | None = None  # the controls behind More, while they are named
        self.before: dict[str, Any] = {}
        self.refused: list[str] = []
        self.misread: list[str] = []

    # ---- the address

    def read_address(self) -> None:
        """Take what a link, or the way back to it, asks for; note what it does not get. Call it in a full run, before the widgets."""
        if "entering" in st.session_state:  # the walk comes from another page, or is about to leave this one
            if st.session_state["entering"][0].page == self.page:
                scene, st.session_state["present"] = st.session_state.pop("entering")
                st.session_state["page"] = self.page
                self.enter(scene)
                address.write({"scene": [scene.name]})  # Streamlit does not say of every widget of a new page what it was set to
            return
        back = getattr(get_script_run_ctx(), "is_history_navigation", False)
        if st.session_state.get("page") == self.page and not back:
            return  # the address only says what has been set on the page
        st.session_state["page"] = self.page
        st.session_state.pop(f"{self.page} drawn", None)
        asked = {key: st.query_params.get_all(key) for key in st.query_params if key not in EMBEDDING}
        refused = [f"This page has no setting named “{text.harmless(key)}”; the link's value was left out."
                   for key in asked if key not in self.rules]
        good: dict[str, Any] = {}
        for key in (key for key in asked if key in self.rules):
            try:
                good[key] = self.rules[key].parse(key, asked[key])
            except ParamError as error:
                refused.append(text.refusal(error))
        st.session_state[f"{self.page} refused"] = (refused[:5], None)
        for key, value in good.items():
            self._offer(key, value)
        if back:
            st.session_state["more"] = False  # it may have been closed on the way; a browser takes no values for what it does not show
        if asked or back:
            self._take_over(good, back)
        said_otherwise = {key: spelled for key, value in good.items() if isinstance(self.rules[key], (Integer, Real))
                          and asked[key] != (spelled := self.rules[key].to_query(value))}
        without = [key for key in asked if key in self.rules and key not in good]
        if "scene" in good and not self.stands(self.scenes[good["scene"]]):  # a scene that was changed is the sender's own state
            st.session_state["scene"] = None
            without.append("scene")
        if said_otherwise or without:
            # Streamlit knows an option by its text, and 1.0 is not the option 1; and some values that it cannot read make it raise
            address.write(said_otherwise, without)
            st.rerun()

    def _take_over(self, good: Mapping[str, Any], back: bool) -> None:
        """Set what a link leaves to its scene, and what stands behind More: Streamlit reads an address for what is bound to it only.

        On the way ``back`` everything is set, so that ``told`` knows.
        """
        if "scene" in good:  # a short link: what it does not say is as the scene has it
            st.session_state["scene"] = good["scene"]
            good = {**self.scenes[good["scene"]].values, **good}
        others = [key for key in self.defaults if key in st.session_state] if back else st.session_state.get(f"{self.page} folded", ())
        for key in (*good, *(key for key in others if key not in good)):
            if key in self.defaults:
                self._set(key, good.get(key, self.defaults[key]))

    def _offer(self, key: str, value: Any) -> None:
        offered = st.session_state.setdefault(f"{self.page} offered", {}).setdefault(key, {})
        offered.pop(value, None)
        offered[value] = None
        if len(offered) > bounds.OFFERED:
            del offered[next(iter(offered))]

    def options(self, key: str, usual: Sequence[Any]) -> list[Any]:
        """The usual options, and any that a link or a preset asked for."""
        extra = st.session_state.get(f"{self.page} offered", {}).get(key, {}).keys() | {self.defaults[key]}
        options = list(usual)
        for value in sorted(v for v in extra if v not in options):
            bisect.insort(options, value)
        return options

    # ---- widgets

    @contextmanager
    def more(self) -> Iterator[None]:
        """Controls behind More, drawn only while it is open. The address holds what does not stand at its default."""
        with st.popover("More", key="more", on_change="rerun", width="content") as opened:
            self.folded, self.inside = not opened.open, []
            yield
            if opened.open:
                keyboard.focus_inside()
        wanted = {key: self._spelled(key) for key in self.inside}
        now = {key: st.query_params.get_all(key) for key in self.inside}
        if wanted != now:
            address.write({key: texts for key, texts in wanted.items() if texts}, [key for key, texts in wanted.items() if not texts])
        st.session_state[f"{self.page} folded"] = tuple(self.inside)
        self.inside = None

    def _spelled(self, key: str) -> list[str]:
        """What the address says of a control behind More: nothing at its default."""
        default = self._held(key, self.defaults[key])
        held = st.session_state.get(key, default)
        if held == default:
            return []
        return [held] if isinstance(self.rules[key], Integers) else self.rules[key].to_query(tuple(held) if isinstance(held, list) else held)

    def _take(self, key: str) -> None:
        """The value of a control that is not drawn now."""
        held = st.session_state.get(key, self._held(key, self.defaults[key]))
        if isinstance(self.rules[key], Integers):
            self._read_typed(key, held)
        else:
            self.values[key] = held

    @property
    def _keep(self) -> dict[str, str]:
        """Who keeps the value of a widget: Streamlit in the address, or the session."""
        return {"bind": "query-params"} if self.inside is None else {"persist_state": "session"}

    @_foldable
    def slider(self, key: str, label: str, step: float = 1, **more) -> None:
        rule = self.rules[key]
        assert isinstance(rule, (Integer, Real))
        real = isinstance(rule, Real)
        self.values[key] = st.slider(label, rule.low, rule.high, self.defaults[key], type(rule.low)(step), EXACT if real else None,
                                     key=key, **self._keep, **more)
        if real:
            self.values[key] = _plain(self.values[key])
        self.beside[key] = lambda value: (_plain(value - step), _plain(value + step)) if real else (value - step, value + step)

    @_foldable
    def steps(self, key: str, label: str, usual: Sequence[Any], **more) -> None:
        """A slider over the usual values of a number, for quantities that span orders of magnitude."""
        options = self.options(key, usual)
        self.values[key] = st.select_slider(label, options, self.defaults[key], key=key, **self._keep,
                                            format_func=lambda value: self.rules[key].to_query(value)[0], **more)
        self.beside[key] = lambda value: tuple(options[min(max(options.index(value) + k, 0), len(options) - 1)] for k in (-1, 1))

    @_foldable
    def select(self, key: str, label: str, **more) -> None:
        rule = self.rules[key]
        assert isinstance(rule, Choice)
        self.values[key] = st.selectbox(label, rule.options, rule.options.index(self.defaults[key]), key=key,
                                        **self._keep, **more)

    @_foldable
    def segments(self, key: str, label: str, **more) -> None:
        self.values[key] = st.segmented_control(label, self.rules[key].options, default=self.defaults[key], required=True,
                                                key=key, **self._keep, **more)

    @_foldable
    def several(self, key: str, label: str, **more) -> None:
        rule = self.rules[key]
        if len(st.session_state.get(key, ())) > rule.at_most:  # no browser sends them, and Streamlit raises
            st.session_state[key] = st.session_state[key][:rule.at_most]
        self.values[key] = st.multiselect(label, rule.options, list(self.defaults[key]), key=key, **self._keep,
                                          max_selections=rule.at_most, **more)

    @_foldable
    def whole(self, key: str, label: str, **more) -> None:
        rule = self.rules[key]
        self.values[key] = st.number_input(label, rule.low, rule.high, self.defaults[key], key=key, **self._keep, **more)

    @_foldable
    def real(self, key: str, label: str, **more) -> None:
        rule = self.rules[key]
        self.values[key] = st.number_input(label, rule.low, rule.high, self.defaults[key], format=EXACT, key=key,
                                           **self._keep, **more)

    @_foldable
    def typed(self, key: str, label: str, example: str) -> None:
        """A text that spells the value as an address does; left empty it does not count."""
        self._read_typed(key, st.text_input(label, key=key, placeholder=example, max_chars=MAX_TEXT, **self._keep))

    def is_typed(self, key: str) -> bool:
        """Whether a text stands in the control of ``key`` that counts, before it is drawn."""
        return bool(self._text(key, st.session_state.get(key, "")))

    def _read_typed(self, key: str, text: str) -> None:
        if text:
            try:
                self.values[key] = self.rules[key].parse(key, [text])
            except ParamError as error:
                self.misread.append(text.refusal(error))

    def remember(self) -> None:
        """Take note of what is set. Call it when all controls are drawn."""
        self.before = told.remember(self.page, self.drawn, st.session_state.get(f"{self.page} folded", ()))

    def next_steps(self) -> Iterator[Params]:
        """What the visitor is about to ask for: one step further on the slider that was moved; on arrival, both ways on the first."""
        moved = [key for key in self.beside if self.before.get(key, self.values[key]) != self.values[key]]
        if len(moved) == 1:
            key, further = moved[0], [bool(self.values[moved[0]] > self.before[moved[0]])]
        elif not self.before and self.beside:
            key, further = next(iter(self.beside)), [False, True]
        else:
            return
        for up in further:
            p, refused = self.kind.parse_lenient({**self.values, key: self.beside[key](self.values[key])[up]})
            if not refused:
                yield p

    # ---- what they make

    def params(self) -> Params:
        """The parameter set of the widgets' values; a value that is refused leaves its field at the default, and is named."""
        p, refused = self.kind.parse_lenient(self.values)
        self.refused = [*self.misread, *(text.refusal(error) for error in refused)]
        return p

    def chosen(self, key: str) -> Any:
        """The value of a key beside the parameter set (its widget may stand further down), or its default for nonsense."""
        try:
            if key not in self.values and key not in st.session_state and key in st.query_params:
                return self.rules[key].parse(key, st.query_params.get_all(key))
            return self.rules[key].check(key, self.values.get(key, st.session_state.get(key, self.defaults[key])))
        except ParamError as error:
            self.refused.append(text.refusal(error))
            return self.defaults[key]

    def notices(self) -> list[str]:
        """One sentence for each value that was refused; what a link asked for is said until something is changed."""
        said, since = st.session_state.get(f"{self.page} refused", ([], None))
        if since is not None and since != self.values:
            said = []
        st.session_state[f"{self.page} refused"] = (said, dict(self.values))
        return list(dict.fromkeys([*said, *self.refused]))

    def spell(self) -> dict[str, list[str]]:
        """Everything that is set on the page, as texts for an address, defaults too."""
        now = {key: st.session_state.get(key, default) for key, default in self.defaults.items()} | self.values
        return {key: texts for key, value in now.items() if (texts := self._text(key, value))}

    def _text(self, key: str, value: Any) -> list[str]:
        """A value as its widget holds it, as texts for an address; none for what was typed and cannot be read."""
        rule = self.rules[key]
        if isinstance(rule, Integers) and isinstance(value, str):
            try:
                value = rule.parse(key, [value])
            except ParamError:
                return []
        return rule.to_query(tuple(value) if isinstance(value, list) else value)

    # ---- scenes

    def enter(self, scene: Scene) -> None:
        """Set every control as the scene has it, the defaults elsewhere. For callbacks."""
        told.forget(self.page)
        for key, value in {**self.defaults, **scene.values}.items():
            if key in st.session_state or key in scene.values:
                self._set(key, value)
        st.session_state["scene"] = scene.name
        st.session_state.pop(f"{self.page} refused", None)

    def stands(self, scene: Scene) -> bool:
        """Whether every control still is as the scene has it."""
        wanted = {key: self._held(key, scene.values.get(key, default)) for key, default in self.defaults.items()}
        return all(st.session_state.get(key, value) == value for key, value in wanted.items())

    def _set(self, key: str, value: Any) -> None:
        self._offer(key, value)
        told.tell(self.page, key, self._held(key, value))

    def _held(self, key: str, value: Any) -> Any:
        """A value as its widget holds it: several options as a list, a sequence of numbers as the text that spells it."""
        if isinstance(self.rules[key], Integers) and value:
            return self.rules[key].to_query(value)[0]
        return list(value) if isinstance(value, tuple) else value


def _plain(value: float) -> float:
    """1.2300000000000002 and 1.23 are one cache key."""
    return float(f"{value:.10g}")


@cache
def _defaults(kind: type[Params]) -> dict[str, Any]:
    """What each widget shows at first; a sequence of numbers is typed, and an empty text stands for the default."""
    usual = kind()
    return {key: "" if isinstance(rule, Integers) else getattr(usual, key) for key, rule in kind.keys().items()}
