"""The keyboard in a popover."""

import streamlit as st

# Streamlit hangs an open popover on the end of the page: Tab would pass everything else first, and scroll the popover out of sight
INTO_POPOVER = """<script>{
  const body = [...document.querySelectorAll('[data-testid=stPopoverBody]')].at(-1);
  if (body && !body.contains(document.activeElement)) { body.tabIndex = -1; body.focus({preventScroll: true}); }
}</script>"""


def focus_inside() -> None:
    """Lead the keyboard into the popover that has just opened. Call it inside, only while it is open."""
    st.html(INTO_POPOVER, unsafe_allow_javascript=True)
