"""The app, in which each view of a training run takes half a second: a tick is overtaken by the next scene.

    streamlit run tests/pages/slow_view_app.py
"""

import time

from pages.parts import shell, training_panel

if not hasattr(training_panel.view, "slow"):
    view = training_panel.view

    def slowly(*arguments):
        time.sleep(0.5)
        return view(*arguments)

    slowly.slow = True
    training_panel.view = slowly

shell.main()
