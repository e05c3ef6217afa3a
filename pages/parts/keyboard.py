"""What the keyboard needs beyond Streamlit: a way into a popover, and the scenes' keys wherever the focus is."""

import streamlit as st

# Streamlit hangs an open popover on the end of the page: Tab would pass everything else first, and scroll the popover out of sight
INTO_POPOVER = """<script>{
  const body = [...document.querySelectorAll('[data-testid=stPopoverBody]')].at(-1);
  if (body && !body.contains(document.activeElement)) { body.tabIndex = -1; body.focus({preventScroll: true}); }
}</script>"""
# Streamlit's keys say nothing in any input, also where no letter can be typed: on the slider that has just been moved, the switch to
# present, the answer that has just been chosen
SCENES_KEYS = """<script>{
  const press = event => {
    const way = {n: 'next', p: 'previous'}[event.key];
    const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
    if (way && plain && event.target.matches?.('input:is([type=range], [type=checkbox], [type=radio])'))
      document.querySelector(`.st-key-${way}-scene button`)?.click();
  };
  if (!window.hearsScenesKeys) { window.hearsScenesKeys = true; window.addEventListener('keydown', press); }
}</script>"""


def focus_inside() -> None:
    """Lead the keyboard into the popover that has just opened. Call it inside, only while it is open."""
    st.html(INTO_POPOVER, unsafe_allow_javascript=True)


def hear_scenes_keys() -> None:
    """Have N and P lead through the scenes also from a slider, a switch or an answer."""
    st.html(SCENES_KEYS, unsafe_allow_javascript=True)
