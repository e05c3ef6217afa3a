"""What the app keeps in memory, and how much it computes at once, at the most; all numbers in one place. Bytes where no unit is said."""

import os

from vgdash import bounds as package
from vgdash.bounds import Bound
from vgdash.parallel import WORKERS
from vgdash.probe.params import MEMORY as PROBE
from vgdash.training.params import KEPT as LARGEST_RUN
from vgdash.training.params import MEMORY as TRAINING

RESULT = 5e6  # of one kind, the last that were computed (``memory.Remembered``)
KINDS = 12  # of results
SPECIFICATIONS = Bound(0.4e6, 8.5e3)  # of charts, by one author (``charts.once``)
AUTHORS = 11  # of them
READ = Bound(5e6, 25e3)  # specifications as Streamlit has read and written them (``thrift``)
THEMES = Bound(64e3, 2e3)  # of a visitor's colours, as Streamlit sends them (``thrift``)
PLANES = Bound(0.3e6, 18e3)  # the cells of a phase plane (``views.plane``)
STANDING = Bound(0.3e6, 9e3)  # what stands on it
RECOMMENDED = Bound(1e6, 4e3)  # what to choose (``views.closer``)
PREDICTED = Bound(1.6e6, 25e3)  # by layer (``views.initializers``)
SMALL_MAPS = Bound(0.1e6, 400)  # that a visitor may compute (``views.measured_map``)
RUNS = 64e6  # training runs and sweeps, with what was made of them (``runs.Store``); runs under way come on top
VIEWS = 12  # looks at one run that are kept
OFFERED = 12  # values beside the usual ones that a slider of one visitor remembers

RUN_SECONDS = float(os.environ.get("VGDASH_RUN_SECONDS", "300"))  # that one run may take here, as estimated before it starts
RUNNING = WORKERS  # training runs at once, one of each visitor
RUNNING_MEMORY = TRAINING  # of all runs under way; the largest that a parameter set may take runs alone
WAITING = 40  # training runs in line; more are refused with a sentence
UNWATCHED = 8.0  # seconds without a look until a run counts as unwatched
SCRIPTS = 2  # of visitors at once; one that computes does not count
COMPUTING = WORKERS  # short computations of pages at once
COMPUTING_LONG = 1  # long ones: each uses all cores by itself, and may take as much memory as a parameter set is allowed
LONG_WORK, LONG_MEMORY = 1e10, 50e6  # operations (a tenth of a second) and bytes from which one is long

# What all of that comes to: kept, and taken for a while by computations
KEPT = (RESULT * KINDS + RUNS + LARGEST_RUN * RUNNING + package.VOCABULARY + SPECIFICATIONS.total * AUTHORS
        + sum(bound.total for bound in (READ, THEMES, PLANES, STANDING, RECOMMENDED, PREDICTED, SMALL_MAPS))
        + sum(bound.total for bound in vars(package).values() if isinstance(bound, Bound)))
WORKING = PROBE * COMPUTING_LONG + LONG_MEMORY * COMPUTING + RUNNING_MEMORY
