"""What vgdash keeps in memory between two calls, at the most; all numbers in one place. Bytes.

Besides these it keeps tables that belong to the vocabulary (Gaussian averages and the phase plane of each activation), which
no caller can make more of.
"""

from dataclasses import dataclass

__all__ = ["DATA_SETS", "SCRATCH", "VOCABULARY", "WEIGHTS", "Bound"]


@dataclass(frozen=True)
class Bound:
    """Bytes of all that is kept, and of the largest entry."""

    total: float
    largest: float

    @property
    def entries(self) -> int:
        """How many may be kept, however large they are."""
        return int(self.total / self.largest)


WEIGHTS = Bound(48e6, 1e6)  # drawn last (``draws``): a slider that moves the depth draws one layer, not all again; larger ones are not kept
SCRATCH = 200e6  # arrays of the last nets (``scratch``), dropped for larger ones, by a server every 5 s: part of what computing takes
DATA_SETS = Bound(2e6, 60e3)  # loaded last (``data``), beyond the digits: two features and a label of 1,500 points
VOCABULARY = 20e6  # phase planes and Gaussian averages of all activations, and the digits
