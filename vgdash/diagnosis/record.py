"""The record of a diagnosis: courses of signal and gradient, inputs, dead nets, and what to say of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vgdash.diagnosis.courses import Course
from vgdash.diagnosis.first_failure import FormatFailure, first_failure
from vgdash.diagnosis.first_loss import FirstLoss, first_loss
from vgdash.diagnosis.nets import DeadNets, leaves_signs
from vgdash.diagnosis.outlook import Outlook
from vgdash.diagnosis.thresholds import FAILS, MOVED
from vgdash.diagnosis.words import Clause, outcome, remarks, troubles
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import Probe
from vgdash.records import Record
from vgdash.theory.layerwise import Prediction
from vgdash.theory.trainable_depth import trainable_depth

LONGEST = 110  # characters of a sentence


@dataclass(frozen=True)
class Direction:
    """Courses of signal or gradient, in theory and in the middle net; None where there is none."""

    predicted: Course | None
    measured: Course | None
    scatter: float  # decades between the mean field and the end of the 2.5 % farthest nets; nan if unknown
    inner: float  # the same without what the units of the last layer add

    @property
    def course(self) -> Course:
        """The course that is believed: theory's, unless the middle net leaves it by 4 standard deviations."""
        theory, nets = self.predicted, self.measured
        if theory is None or nets is None:
            return nets or theory
        if not math.isfinite(nets.total):  # float32 ended, or all nets are dead, which is said by itself
            return theory if nets.total < 0 or theory.total > 0 else nets
        away = abs(nets.total - theory.total)
        agrees = theory.behaviour == nets.behaviour or away <= max(MOVED, 2 * np.nan_to_num(self.scatter))
        return theory if agrees else nets


@dataclass(frozen=True)
class Correlation:
    """Cosine of z between two unrelated inputs, from layer to layer."""

    last: float  # at the last hidden layer, or the only one; nan where every z is 0
    layers: int | None  # number of layers after which the inputs are parallel; None if they never are

    @property
    def parallel(self) -> bool:
        """Test if the net makes unrelated inputs parallel."""
        return self.layers is not None


@dataclass(frozen=True, eq=False)
class Diagnosis(Record):
    """Fate of signal, gradient and inputs in the nets of ``params``, and the sentences about it."""

    params: ProbeParams
    signals: Direction
    gradients: Direction
    correlation: Correlation
    dead_nets: DeadNets
    saturated: float  # largest share of flat units in a layer, but for those that are off
    off: float  # of these, what is off: about a half of functions that are flat on one side, or from 0 on
    nets: Probe  # measured
    theory: Prediction
    outlook: Outlook  # hindrances to training from this start, in decades

    @property
    def signal(self) -> Course:
        """E[z²] from the input to the last layer."""
        return self.signals.course

    @property
    def gradient(self) -> Course:
        """E[δ²] from the last layer to the first."""
        return self.gradients.course

    @cached_property
    def troubles(self) -> tuple[Clause, ...]:
        """The course of signal and gradient, then what is wrong besides."""
        return troubles(self)

    @cached_property
    def outcome(self) -> Clause | None:
        """Expected end of training from this start; None where nothing is wrong."""
        return outcome(self)

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """All that there is to say, the most important first."""
        return *self.troubles, *[self.outcome] * bool(self.outcome), *remarks(self)

    @cached_property
    def first_loss(self) -> FirstLoss | None:
        """Softmax cross-entropy of the last layer before the first step; None if there is one output."""
        return first_loss(self.nets, self.theory)

    @cached_property
    def number_formats(self) -> tuple[FormatFailure, ...]:
        """First layers whose largest entry leaves each format, in the order of ``FORMATS``."""
        return first_failure(self.nets, self.theory).formats

    @property
    def reason(self) -> str:
        """Limits of the theory here in words; empty if all is well."""
        return self.theory.reason

    @cached_property
    def trainable_depth(self) -> float:
        """Layers over which gradients and differences of inputs survive; inf if nothing ends it."""
        return trainable_depth(self.params)

    @property
    def learns(self) -> bool | None:
        """True if SGD is expected to learn from this start, False if not, None if it may or may not."""
        return self._unless_lost(self.outlook.learns)

    @property
    def adam_learns(self) -> bool | None:
        """Return the same for Adam."""
        return self._unless_lost(self.outlook.adam_learns)

    def _unless_lost(self, learns: bool | None) -> bool | None:
        """Return the verdict of theory, which knows neither nets that fade nor how little signs tell."""
        return False if self._lost else None if learns and leaves_signs(self.params) else learns

    @property
    def _lost(self) -> bool:
        """Test if the nets do worse than theory, which the outlook is: most are dead, or they fade.

        Normalized nets were seen to learn all the same: a mean over few gradients is one large one.
        """
        fade = any(way.predicted and way.course is not way.predicted and abs(way.course.total) > FAILS
                   for way in (self.signals, self.gradients))
        return (fade and self.params.normalization == "none") or self.dead_nets.share > 0.5

    @property
    def sentence(self) -> str:
        """The diagnosis in at most 110 characters: the course, the troubles that still fit, the outcome."""
        text = "; ".join(one.text for one in self._said if one.subject != "training")
        outcome = "".join(one.text for one in self._said if one.subject == "training")
        return _sentence(f"{text}. {outcome}" if outcome else text)

    @property
    def details(self) -> tuple[str, ...]:
        """Sentences for what the first one leaves out: the rest of its outcome goes on where it was cut."""
        cut = next((f"{one.text}; " for one in self._said if one.subject == "training"), "")
        left = [one.text.removeprefix(cut) for one in self.clauses if one not in self._said]
        if cut and self.outcome not in self._said:
            left.insert(0, left.pop(left.index(self.outcome.text.removeprefix(cut))))
        return tuple(map(_sentence, left))

    @property
    def besides(self) -> str:
        """Troubles besides the course of signal and gradient, in one line."""
        return "; ".join(one.text for one in self.troubles[1:])

    @cached_property
    def _said(self) -> list[Clause]:
        """Clauses of ``sentence``: the course, what training makes of it, and the troubles that still fit.

        Where SGD learns, troubles come first; elsewhere the outcome does, cut before its semicolon if that
        makes room for the first trouble.
        """
        course, *besides = self.troubles
        outcomes = [self.outcome] if self.outcome else []

        def fit(*said: Clause) -> bool:
            return len("; ".join(one.text for one in said)) < LONGEST

        if outcomes and not self.learns and not fit(course, *outcomes, *besides[:1]):
            short = replace(outcomes[0], text=outcomes[0].text.split(";")[0])
            if fit(course, short, *besides[:1]) or not fit(course, *outcomes):
                outcomes = [short]
        said = [course]
        for clause in (*besides, *outcomes) if self.learns else (*outcomes, *besides):
            if not fit(*said, clause):
                break
            said.append(clause)
        return said


def _sentence(text: str) -> str:
    return f"{text if text.startswith('float') else text[0].upper() + text[1:]}."
