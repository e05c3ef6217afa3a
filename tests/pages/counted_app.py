"""The app, whose training runs leave a line each when they begin and when they end: ``begins 3`` is the run of seed 3.

    streamlit run tests/pages/counted_app.py -- FILE
"""

import sys
from pathlib import Path

from pages.parts import shell, training_runs

if not hasattr(training_runs.Trainer, "told"):
    def tell(what, p, where=Path(sys.argv[1])):
        with where.open("a") as lines:
            lines.write(f"{what} {p.seed}\n")

    class Counted(training_runs.Trainer):
        told = tell

        def __iter__(self):
            tell("begins", self.params)
            try:
                yield from super().__iter__()
            finally:
                tell("ends", self.params)

    training_runs.Trainer = Counted

shell.main()
