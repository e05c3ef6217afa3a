"""What vgdash keeps in memory between two calls, at the most; all numbers in one place. Bytes.

Besides these it keeps tables that belong to the vocabulary (quadrature nodes, moments and the phase plane of
each activation), which no caller can make more of.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """Bytes of all that is kept, and of the largest entry."""

    total: float
    largest: float

    @property
    def entries(self) -> int:
        """How many may be kept, however large they are."""
        return int(self.total / self.largest)


DATA_SETS = Bound(2e6, 60e3)  # loaded last (``data``), beyond the digits: two features and a label of 1,500 points
LANDMARKS = Bound(2e6, 30e3)  # initializers on the plane (``phases``), of one activation, fan-in and gamma
SINGLE_WINDOWS = Bound(2.2e6, 8.5e3)  # averages of f, f², f'² over one Gaussian (``tabulated``)
PAIR_WINDOWS = Bound(6e6, 47e3)  # the same of f(u) f(v)
PAIR_BLOCKS = Bound(1.7e6, 3.3e3)  # what these are put together from
VOCABULARY = 4e6  # phase planes, moments and quadrature nodes of all activations, and the digits
