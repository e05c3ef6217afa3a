"""Result records: frozen dataclasses whose arrays are read-only, so that results can be cached and shared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def freeze(values: np.ndarray) -> np.ndarray:
    """Make an array read-only."""
    values.flags.writeable = False
    return values


@dataclass(frozen=True, eq=False)
class Record:
    """Base of every result; makes its array fields read-only."""

    def __post_init__(self):
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                freeze(value)
