"""Home. Three nets that learn, one chart to drag, three doors, and a card for every page."""

from contextlib import suppress

import streamlit as st

from pages.parts import charts, elements, results, shell, walks
from pages.parts.controls import COMMON
from pages.parts.presenter import present_switch, presenting, scene_query
from pages.parts.scenes import SCENE_BY_NAME, SCENES, Scene
from pages.parts.state import session, take_answering
from vgdash.number_formats import FORMATS
from vgdash.params import ParamError

DEPTH = 150
PATH = (  # of ten minutes: a scene, and what it shows
    ("linear_chain", "0.5", "One factor in every layer: 0.5 vanishes"),
    ("linear_chain", "gradients too", "The gradient vanishes the same way"),
    ("neuron_variance", "ReLU halves", "One neuron: how large may a weight be?"),
    ("initializers", "ReLU", "50 layers: which rule survives?"),
    ("training", "only He learns", "30 layers learn to read digits, or do not"),
)
CARDS = (
    ("linear_chain", "Multiply by W a hundred times: what is left?",
     "1.5 explodes, 0.5 vanishes. 0.9 vanishes too, only more slowly."),
    ("neuron_variance", "How large may a weight be?",
     "A neuron adds n terms. The more it adds, the smaller each weight must be."),
    ("initializers", "Do signal and gradient survive a deep net?",
     "Compare initializers layer by layer: theory as lines, measurement as points."),
    ("training", "Who learns, who stands still, who blows up?",
     "Train several nets side by side, live, on handwritten digits."),
    ("trainable_depth", "How deep can it go?",
     "A map shows for every activation where deep nets train."),
    ("your_network", "Which layer is at fault, and why?",
     "Open a report of your own model. See every layer beside theory, and the code that mends it."),
    ("published", "Do we agree with the literature?",
     "We compute published numbers again, and correct mistakes that circulate."),
)
IN_A_ROW = 4
OWN_NET = {"widths": "784-256x10-10", "initializers": ["pytorch_default", "he_normal"],
           "of": "pytorch_default"}


def draw() -> None:
    for key in () if take_answering() else ("present", "walk"):  # the switch below answers for itself
        with suppress(ParamError):
            if key in st.query_params:
                setattr(session(), key, COMMON[key].parse(key, st.query_params.get_all(key)))
    st.title("vgdash: why gradients vanish or explode, and how the first weights decide it", anchor=False)
    st.markdown("**Vanishing gradients** keep a deep net from learning. Each layer multiplies the signal, "
                "and the gradient on its way back. Good **weight initialization** starts every layer with a "
                "factor close to 1.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("**Three nets of 16 layers learn two spirals.** Only their first weights differ.")
        elements.film(results.film())
    with right:
        st.markdown(f"**One factor c in every layer.** Drag c: what is left after {DEPTH} layers?")
        _chain()
    _doors()
    st.markdown("## All pages", anchors=False)
    for first in range(0, len(CARDS), IN_A_ROW):
        cards = CARDS[first:first + IN_A_ROW]
        for column, (stem, question, line) in zip(st.columns(IN_A_ROW), cards, strict=False):
            with column.container(border=True, height="stretch"):
                st.markdown(f"**{question}**  \n{line}")
                st.page_link(shell.path(stem), label=f"Open {dict(shell.PAGES)[stem]}",
                             icon=":material/arrow_forward:")


def _chain() -> None:
    half, single = FORMATS["float16"], FORMATS["float32"]
    limits = (("float16 overflows", half.log10_largest),
              ("smallest float16", half.log10_smallest_subnormal),
              ("smallest float32", single.log10_smallest_subnormal))
    spec = charts.draggable_chain(DEPTH, limits, 225)
    st.vega_lite_chart(charts.enlarge(spec) if presenting() else spec, key="drag", width="stretch",
                       alt="Size of the activations (solid) and of the gradients (dashed) by layer, "
                           "for a factor c that you drag")


def _doors() -> None:
    teach, learn, fix = st.columns(3)
    with teach.container(border=True, height="stretch"):
        st.markdown(f"**I teach**  \nA walk of {len(SCENES)} scenes, with questions for the room. "
                    "Key N goes on, key P goes back.")
        with st.container(key="next-scene"):  # the key N finds its link here
            first = session().walk[0].scene if session().walk else SCENES[0]
            _scene(first, "Start the walk", ":material/arrow_forward:")
        present_switch()
    with learn.container(border=True, height="stretch", gap="xxsmall"):
        st.markdown("**I learn**  \nTen minutes, five steps. What you have seen is ticked.")
        for page, name, words in PATH:
            done = (page, name) in session().seen
            icon = ":material/check_circle:" if done else ":material/radio_button_unchecked:"
            _scene(SCENE_BY_NAME[page, name], f"{words} (seen)" if done else words, icon)
    with fix.container(border=True, height="stretch"):
        st.markdown("**My net does not train**  \nOpen a report of your model, or type the widths of its "
                    "layers. See where the signal and the gradient die. Copy the code that mends it.")
        st.page_link(shell.path("your_network"), label="Open my model", icon=":material/arrow_forward:",
                     query_params=walks.carried())
        st.page_link(shell.path("initializers"), label="Type its widths", icon=":material/arrow_forward:",
                     query_params={**OWN_NET, **walks.carried()})


def _scene(scene: Scene, label: str, icon: str) -> None:
    st.page_link(shell.path(scene.page), label=label, icon=icon, query_params=scene_query(scene))


shell.show(draw)
