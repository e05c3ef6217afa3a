"""Home. One chart to drag, and the questions as cards."""

import streamlit as st

from pages.parts import charts, shell
from vgdash.number_formats import FORMATS

DEPTH = 150
CARDS = (
    ("linear_chain", "Multiply by W a hundred times: what is left?",
     "One factor per layer. 1.5 explodes, 0.5 vanishes, and 0.9 only takes longer.", {"scene": "0.9"}),
    ("neuron_variance", "How large may a weight be?",
     "A neuron adds n terms. The more it adds, the smaller each weight must be.", {"scene": "n = 4"}),
    ("initializers", "Does the signal survive fifty layers? And the way back?",
     "Compare initializers forward and backward, layer by layer, theory over measurement.", {}),
    ("training", "Who learns, who stands still, who blows up?",
     "Thirty layers, real handwritten digits, several initializers side by side, live.", {}),
)


def draw() -> None:
    st.title("Why deep networks go silent, or explode", anchor=False)
    st.markdown("Each layer multiplies what passes through it, forwards and backwards. Do that 150 times "
                "and only one factor is safe: **1**. Choosing the first weights well is how a network starts "
                "near it. **Drag c and see.**")
    half, single = FORMATS["float16"], FORMATS["float32"]
    limits = (("float16 overflows", half.log10_largest),
              ("float16 reaches zero", half.log10_smallest_subnormal),
              ("float32 reaches zero", single.log10_smallest_subnormal))
    st.vega_lite_chart(charts.draggable_chain(DEPTH, limits), key="drag", width="stretch",
                       alt="Size of the activations (solid) and of the gradients (dashed) by layer, "
                           "for a factor c that you drag")
    for pair in (CARDS[:2], CARDS[2:]):
        for column, (stem, question, line, state) in zip(st.columns(2), pair, strict=True):
            with column.container(border=True, height="stretch"):
                st.markdown(f"**{question}**  \n{line}")
                st.page_link(shell.path(stem), label="Open", icon=":material/arrow_forward:",
                             query_params=state)


shell.show(draw)
