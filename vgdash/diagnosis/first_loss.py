"""First loss: the softmax cross-entropy of a net that knows nothing, against ln K for K classes.

Given its input, the K numbers of the last layer are independent, z ~ N(0, q), and no label is likelier than
another. So the loss is E[ln Σ e^z], which is ln K for q = 0 and about ln K + (1 - 1/K) q/2 for small q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vgdash.diagnosis.nets import seen_by_softmax
from vgdash.diagnosis.thresholds import MENDED
from vgdash.probe.probe import Probe
from vgdash.theory.layerwise import Prediction

NODES, MASSES = np.polynomial.hermite_e.hermegauss(7)  # of ln q, which scatters by finite width
STEP, LOWEST, HIGHEST = 0.5, -27.0, 6.0  # of u: the trapezoid rule errs by e^(-π²/STEP)
SHARP, REACH = 0.5, 9.0  # steps of √q·z; z to both sides
LARGEST = 400.0  # q from which the loss is nearly the largest of the K numbers, and grows like √q: to 0.3 %


@dataclass(frozen=True)
class FirstLoss:
    """Cross-entropy before the first step, in nats, if the last layer is followed by a softmax."""

    classes: int  # K
    guess: float  # ln K: every class is equally likely
    expected: float  # in theory; from the measured E[z²] where there is none
    measured: float  # from the measured E[z²] of each net; nan if they overflowed
    scale: float  # of the last layer's weights, at most 1, that brings the loss close to ln K
    mended: float  # the loss with this scale

    @property
    def excess(self) -> float:
        """Nats above ln K."""
        return self.expected - self.guess


def first_loss(seen: Probe, theory: Prediction) -> FirstLoss | None:
    """Return the first loss of the nets of a probe and its prediction; None if there is one output only."""
    classes = theory.params.widths[-1]
    if classes < 2:
        return None
    seen, theory = seen_by_softmax(seen, theory)
    q = seen.q[:, -1]
    measured = math.nan
    if np.isfinite(q).all():
        measured = float(np.mean([cross_entropy(one, classes) for one in q]))
    expected, log_q = measured, float(np.log(q.mean())) if q.mean() > 0 else -math.inf
    if not math.isnan(theory.log10_q[-1]):
        log_q = theory.log10_q[-1] * math.log(10)
        expected = _expected(theory, log_q, classes)
    weight = 2 * MENDED / (1 - 1 / classes)  # q that costs MENDED nats
    log_scale = min(0.0, (math.log(weight) - log_q) / 2)
    mended = cross_entropy(math.exp(min(2 * log_scale + log_q, 600.0)), classes)
    return FirstLoss(classes, math.log(classes), expected, measured, math.exp(log_scale), mended)


def _expected(theory: Prediction, log_q: float, classes: int) -> float:
    """Average over the scatter of ln q from input to input and from net to net, where it is known.

    That over the K outputs, 2/K, is left out: ``cross_entropy`` averages over it.
    """
    band = theory.band_q
    one = float(band.one[-1])
    if not (one >= 0 and math.isfinite(log_q)):
        return cross_entropy(math.exp(min(log_q, 600.0)), classes)
    variance = max(one - 2 / classes, 0.0)
    mean = float(band.mean[-1] + band.variance[-1] / 2) - variance / 2  # E[q] stays
    values = [cross_entropy(math.exp(min(log_q + mean + math.sqrt(variance) * node, 600.0)), classes)
              for node in NODES]
    return float(MASSES @ values / MASSES.sum())


def cross_entropy(q: float, classes: int) -> float:
    """Return E[ln Σ e^z] of ``classes`` independent z ~ N(0, q).

    As ∫ (e^(-e^u) - M(e^u)^K) du with M(t) = E[e^(-t e^z)]: ln S = ∫ (e^(-e^u) - e^(-S e^u)) du.
    """
    if q > LARGEST:
        return math.sqrt(q / LARGEST) * cross_entropy(LARGEST, classes)
    deviation = math.sqrt(q)
    # S ranges from e^(-REACH √q), where all K numbers are far below 0, to K e^(REACH √q)
    u = np.arange(LOWEST - math.log(classes) - REACH * deviation, HIGHEST + REACH * deviation, STEP)
    z = np.arange(-REACH, REACH, SHARP / max(deviation, 1.0))
    weights = np.exp(-z * z / 2)
    weights /= weights.sum()
    missing = -np.expm1(-np.exp(np.minimum(u[:, None] + deviation * z, 700.0))) @ weights  # 1 - M
    powers = np.exp(classes * np.log1p(-np.minimum(missing, 1 - 1e-16)))
    return float(((np.exp(-np.exp(u)) - powers) * STEP).sum())
