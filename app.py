"""vgdash: why signals and gradients vanish or explode, and what weight initialization does about it.

``streamlit run app.py`` imports this file as the server starts, and runs it for every visitor.
"""

if __name__ == "__main__":
    from pages.parts import shell

    shell.main()
else:
    import streamlit as st

    from pages.parts import startup

    app = st.App(__file__, lifespan=startup.lifespan)
