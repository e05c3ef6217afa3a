"""The address, written also where a widget holds a part of it.

Streamlit changes nothing by program that is bound to a widget, and bindings outlive their widgets: those of a page just left, of a run
that was broken off. So what is written here is taken from its widget; one that is drawn afterwards takes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx


def write(said: Mapping[str, list[str]], without: Iterable[str] = ()) -> None:
    """Say ``said``, and nothing of the keys ``without``."""
    without = [key for key in without if key in st.query_params]
    with get_script_run_ctx().session_state.query_params() as known:
        for key in (*said, *without):
            if (binding := known.get_binding_for_param(key)) is not None:
                known.unbind_widget(binding.widget_id)
    st.query_params.update(said)
    for key in without:
        del st.query_params[key]
