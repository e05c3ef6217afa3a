"""Of what a run has drawn, a browser is told what is new to it.

A fragment draws all of its elements anew, and most of them are as they were. Streamlit sends them all, between a message that a run
has begun and one that it is over, and for each of the two the browser renders every element of the page, also those outside of the
fragment. So where a run has drawn the same kinds of elements in the same places, so that nothing is left over that a browser would
have to take away, it hears of those alone that have changed, and only that the run is over.

Large messages go first: a browser renders what it has as soon as nothing more waits, and while it takes in a large one the rest arrive.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

Place = tuple[int, ...]
# Ends of a run of which the browser takes away what it has left over.
TAKEN_AWAY = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Drawn(NamedTuple):
    """What stands in one place of the page, as hashes: of hundreds of visitors it is to be small."""

    fragment: int
    kind: int  # element or block, which, and whose state in the browser it has
    content: int


@dataclass
class Screen:
    """What one visitor's browser shows, as far as it has been told by runs that came to their end."""

    line: Any = None  # to the browser; over a new one nothing is known
    shown: dict[Place, Drawn] = field(default_factory=dict)
    begun: dict[Place, Drawn] | None = None  # of a run that is not over
    of_fragment: bool = False  # a browser whose last run was of a fragment asks for a run when its line was lost

    def news(self, line: Any, messages: list[ForwardMsg]) -> list[ForwardMsg]:
        """What of these messages has to be sent over the line, in this order."""
        if line is not self.line:
            self.line, self.shown, self.begun, self.of_fragment = line, {}, None, False
        told = self._changed(messages) if self.begun is None and _one_run_of_a_fragment(messages) else messages
        for message in told:
            self._hears(message)
        return told

    def _changed(self, messages: list[ForwardMsg]) -> list[ForwardMsg]:
        first, *rest, last = messages
        deltas = [message for message in rest if message.HasField("delta")]
        drawn = {_place(message): _drawn(message) for message in deltas}
        known = self._of(first.metadata.run.fragment_ids)
        same = {place: at.kind for place, at in drawn.items()} == {place: self.shown[place].kind for place in known}
        if not self.of_fragment or not same or len(drawn) < len(deltas):
            return messages
        last.metadata.ClearField("run")  # that of which run it is the end would have it look for what is left over
        news = [message for message in deltas if not message.hash or message.delta.new_element.has_one_shot_effect
                or drawn[_place(message)] != self.shown[_place(message)]]
        return [*(message for message in rest if not message.HasField("delta")), *sorted(news, key=ForwardMsg.ByteSize, reverse=True), last]

    def _hears(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                fragments = message.metadata.run.fragment_ids
                gone = self._of(fragments) if fragments else self.shown
                self.shown = {place: at for place, at in self.shown.items() if place not in gone}
                self.begun, self.of_fragment = {}, bool(fragments)
            case "delta":
                (self.shown if self.begun is None else self.begun)[_place(message)] = _drawn(message)
            case "script_finished" if self.begun is not None:
                if message.script_finished in TAKEN_AWAY and message.metadata.HasField("run"):
                    self.shown |= self.begun
                self.begun = None

    def _of(self, fragments: Collection[str]) -> set[Place]:
        """Where these fragments, and those inside of them, have drawn."""
        known = set(map(hash, fragments))
        own = {place for place, at in self.shown.items() if at.fragment in known}
        return {place for place in self.shown if any(place[:k] in own for k in range(1, len(place) + 1))}


def _one_run_of_a_fragment(messages: list[ForwardMsg]) -> bool:
    """Whether they are the whole of one, from its beginning to its good end, and nothing else."""
    kinds = [message.WhichOneof("type") for message in messages]
    return (kinds[:1] == ["new_session"] and kinds.count("new_session") == kinds.count("script_finished") == 1
            and kinds[-1] == "script_finished" and messages[-1].script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
            and not any(message.delta.HasField("new_transient") for message in messages if message.HasField("delta")))


def _place(message: ForwardMsg) -> Place:
    return tuple(message.metadata.delta_path)


def _drawn(message: ForwardMsg) -> Drawn:
    delta = message.delta
    kind = delta.WhichOneof("type")
    what = getattr(delta, kind)
    which = "" if kind == "new_transient" else what.WhichOneof("type") or ""
    state = getattr(what, "id", "") or (getattr(getattr(what, which), "id", "") if which else "")
    return Drawn(hash(delta.fragment_id), hash((kind, which, state)), hash(message.hash))
