"""The app, which leaves a line for each training run and each chain computed: ``begins 3`` is of seed 3.

    streamlit run tests/pages/counted_app.py -- FILE
"""

import sys
from pathlib import Path

from pages.parts import shell, training_runs
from pages.parts.views import linear_chain

if not hasattr(training_runs.Trainer, "told"):
    compute_chain = linear_chain.chain_view

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

    def counted(p, *rest):
        tell("chain", p)
        return compute_chain(p, *rest)

    training_runs.Trainer, linear_chain.chain_view = Counted, counted

shell.main()
