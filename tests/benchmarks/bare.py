"""A bare Streamlit page: one slider, one Altair chart, one number."""

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

c = st.slider("c", 0.1, 2.0, 1.0, 0.01)
layer = np.arange(150)
st.altair_chart(alt.Chart(pd.DataFrame({"layer": layer, "value": c ** layer})).mark_line().encode(
    x="layer", y=alt.Y("value", scale=alt.Scale(type="log"))))
st.metric("factor", f"{c:.2f}")
