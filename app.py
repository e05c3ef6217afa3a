"""vgdash: why signals and gradients vanish or explode, and what weight initialization does about it.

``streamlit run app.py`` imports this file as the server starts, and runs it for every visitor.
"""

import streamlit as st

if st.runtime.exists():
    from pages.parts import shell as frame

    frame.main()
else:
    from pages.parts import startup as warm

    app = st.App(__file__, lifespan=warm.starting)
