"""Trainability: which depths train at which sigma_w2, measured cell by cell and set against 6 xi_c.

    trainability(SweepParams(depths=(5, 10, 20, 40)), out="map.csv").frame()
    python -m vgdash.sweep --depths 5-10-20-40 --out map.csv

``grid`` holds what a sweep is, ``run`` trains it, ``__main__`` is the program.
"""

from vgdash.sweep.grid import Cell, SweepParams, Trainability, read, train_cell
from vgdash.sweep.run import cells, shipped, trainability

__all__ = ["Cell", "SweepParams", "Trainability", "cells", "read", "shipped", "train_cell", "trainability"]
