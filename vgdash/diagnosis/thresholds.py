"""Thresholds of the diagnosis: every number at which a word changes, with its reason, in one table.

Sizes are mean squares and in decades, log10 of E[z²] or E[δ²], unless said otherwise.
"""

from __future__ import annotations


class Threshold(float):
    """A number at which a word changes, and the ``reason`` for it."""

    reason: str

    def __new__(cls, value: float, reason: str):
        made = super().__new__(cls, value)
        made.reason = reason
        return made


MOVED = Threshold(1.0, "A factor 10 of the mean square is a factor 3 of the numbers: a step size absorbs it.")
FAR = Threshold(1.5, "Layers of unlike width move it here and there: without a rate, less is no direction.")
RATE = Threshold(0.4, "A factor 2.5 in every layer is a rate, though two layers of it are less than MOVED.")
FLAT = Threshold(0.1, "The second half of the layers moves by a quarter: they are at their limit.")
FADES = Threshold(0.6, "Change from L/2 to L over that from L/4 to L/2: 1 for a power of the depth, 2 for a "
                       "factor a layer; it fades below this.")
DOUBLES = Threshold(1.5, "The same ratio, midway between a power of the depth (1) and a factor a layer (2).")
STEEP = Threshold(3.0, "A power of the depth beyond it multiplies by 8 where the depth doubles: not slow.")
STRAIGHT = Threshold(0.2, "Share of the change by which a curve may leave its straight line: above it no "
                          "factor a layer describes it.")
LOST = Threshold(6.0, "Numbers a thousand times too small or too large: no learning rate serves all layers.")
SCATTERS = Threshold(1.0, "One net in twenty lies farther from the mean than MOVED: it describes no net.")
PARALLEL = Threshold(0.01, "1 - correlation of unrelated inputs: they are within 8 degrees of each other, "
                           "and 1 % of the mean square tells them apart.")
NEARLY = Threshold(0.1, "The same: within 26 degrees; a tenth of the mean square tells them apart.")
SATURATED = Threshold(0.5, "Share of saturated units: most of a layer passes no gradient.")
FIRST_LOSS = Threshold(0.2, "Nats above ln K: the loss curve begins with a drop that teaches nothing.")
MISLEADS = Threshold(2.0, "Nats above ln K: the net is sure of wrong answers, and must unlearn them first.")
MENDED = Threshold(0.02, "Nats above ln K after the last layer is scaled down: no curve shows them.")
UNEVEN = Threshold(1.5, "Decades of unevenness: nearly half of what LEARNS allows, so that it is a cause.")
LEARNS = Threshold(3.5, "Decades of gradient, difference, unevenness and what is hidden, together: below it "
                       "19 of 20 nets that were trained learned with SGD (datasets/ADVICE.md).")
FAILS = Threshold(8.0, "The same as LEARNS: above it 19 of 20 nets did not learn, with momentum or without; "
                       "from 6 on hardly any did in 300 steps, but some in 2,000.")
ADAM = Threshold(3.0, "The same as LEARNS for Adam, which divides by the size of the gradient, so that its "
                      "decades count ADAM_GRADIENT.")
ADAM_FAILS = Threshold(12.0, "The same as ADAM: above it 19 of 20 nets of the table did not learn.")
ADAM_GRADIENT = Threshold(0.2, "Weight of the gradient's decades for Adam: fitted to the nets of the table.")
LENGTH = Threshold(2.0, "Decades that the hidden length of inputs costs: circles learned in nets that are as "
                        "much easier than others.")
PARITY = Threshold(3.0, "Decades of an odd net: it may learn what is odd, and does not learn circles.")

THRESHOLDS = {name: value for name, value in globals().items() if isinstance(value, Threshold)}
