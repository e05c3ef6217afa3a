import streamlit as st

from pages.parts import frame


def page():
    st.title("initializers")
    st.page_link("pages/linear_chain.py", query_params={"factor":"0.5"})
frame.show(page)
