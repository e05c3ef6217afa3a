"""A lecturer's own walk: scenes in an order of one's own, each with a line of plain text; its spelling.

One text a stop: ``linear_chain~1.5~a line of one's own``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from pages.parts.scenes import SCENE_BY_NAME, Scene
from pages.parts.state import session
from vgdash.params import ParamError, Rule

MOST, LINE, LONGEST = 20, 80, 1_500  # scenes; characters of a line; characters of a walk in an address
BETWEEN = "~"  # addresses leave it as it is
USUAL = "Next leads through all scenes instead."


class Stop(NamedTuple):
    """One scene of a walk, and what its lecturer wants to say there."""

    scene: Scene
    line: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Page and name of the scene."""
        return self.scene.page, self.scene.name


Walk = tuple[Stop, ...]


class WalkRule(Rule):
    """A walk: no stops, which is the usual one, or 1 to ``MOST`` different ones."""

    text = f"1 to {MOST} scenes, each once, with lines of at most {LINE} characters"

    def check(self, field, value: Iterable[Stop]) -> Walk:
        walk = tuple(value)
        if len(walk) > MOST:
            raise self.error(field, f"{len(walk)} scenes", USUAL)
        for stop in walk:
            if len(stop.line) > LINE:
                raise self.error(field, stop.line, USUAL)
            if sum(other.place == stop.place for other in walk) > 1:
                raise self.error(field, f"{stop.scene.name} twice", USUAL)
        if (characters := length(walk)) > LONGEST:
            raise ParamError(field, f"at most {LONGEST:,} characters long in an address",
                             f"{characters:,} characters", USUAL)
        return walk

    def parse(self, field, texts: Sequence[str]) -> Walk:
        walk = []
        for text in texts:
            page, _, rest = text.partition(BETWEEN)
            name, _, line = rest.partition(BETWEEN)
            if (page, name) not in SCENE_BY_NAME:
                raise self.error(field, text, USUAL)
            walk.append(Stop(SCENE_BY_NAME[page, name], clean(line)))
        return self.check(field, walk)

    def to_query(self, value: Walk) -> list[str]:
        return [BETWEEN.join((*stop.place, stop.line) if stop.line else stop.place) for stop in value]


RULE = WalkRule()


def clean(line: str) -> str:
    """Return a line of plain text as one line: single spaces, and no characters that are not shown."""
    return " ".join("".join(c if c.isprintable() else " " for c in line).split())


def length(walk: Walk) -> int:
    """Return the number of characters that a walk takes in an address."""
    return len(urlencode({"walk": RULE.to_query(walk)}, doseq=True))


def carried() -> dict[str, list[str]]:
    """Return the query of what goes along from page to page: large type, and the own walk."""
    both = {"present": ["true"] if session().present else [], "walk": RULE.to_query(session().walk)}
    return {key: texts for key, texts in both.items() if texts}


def neighbours(walk: Walk, place: tuple[str, str | None], left: int) -> tuple[Scene | None, Scene | None]:
    """Return the scenes before and after a place, page and name.

    Beside the walk they are the stop that was left, of index ``left`` (-1: none yet), and the next one.
    """
    at = next((i for i, stop in enumerate(walk) if stop.place == place), None)
    before, after = (left, left + 1) if at is None else (at - 1, at + 1)
    return (walk[before].scene if before >= 0 else None,
            walk[after].scene if after < len(walk) else None)
