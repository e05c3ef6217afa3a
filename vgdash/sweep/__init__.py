"""Trainability: depths that train at each sigma_w2, measured cell by cell and compared with 6 xi_c.

    trainability(SweepParams(depths=(5, 10, 20, 40)), out="map.csv").frame()
    python -m vgdash.sweep --depths 5-10-20-40 --out map.csv
"""

from vgdash.sweep.csv_file import read as read
from vgdash.sweep.grid import Cell as Cell
from vgdash.sweep.grid import SweepParams as SweepParams
from vgdash.sweep.grid import Trainability as Trainability
from vgdash.sweep.grid import train_cell as train_cell
from vgdash.sweep.run import cells as cells
from vgdash.sweep.run import shipped as shipped
from vgdash.sweep.run import trainability as trainability
