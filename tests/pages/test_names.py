"""Names that people use: every record and every option has one of its own, without an underscore."""

import re
from contextlib import nullcontext

import pytest
import streamlit as st

from pages.parts import elements, names, training_panel
from pages.parts.scenes import KINDS, SCENES
from pages.parts.training_runs import Store
from pages.parts.views.initializers import LOOKS_AT
from pages.parts.views.training import LOOKS_AT as TRAINING_LOOKS
from pages.parts.views.your_network import EXAMPLES
from tests.browser.states import page_of
from tests.opened import opened, sound
from tests.pages.said import said
from tests.pages.slow import wait_for
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.params import Choice, Choices

CHOICES = [(stem, key, rule.options) for stem in KINDS for key, rule in page_of(stem)[1].items()
           if isinstance(rule, (Choice, Choices))]


def people_say(text):
    """Test if a text is one that people say, and not the identifier of a program."""
    return bool(text.strip()) and "_" not in text and "^" not in text


@pytest.mark.parametrize("shown", [
    [one.title for one in INITIALIZERS.values()], [one.short for one in INITIALIZERS.values()],
    [one.title for one in ACTIVATIONS.values()]])
def test_every_record_has_a_name_of_its_own(shown):
    assert len(set(shown)) == len(shown)
    assert all(map(people_say, shown)), shown


def test_a_short_name_begins_the_long_one_or_ends_it():
    for one in INITIALIZERS.values():
        spoken = re.sub("[,·/]", " ", one.title).split()
        assert one.short.split()[0].rstrip(",") in {word.rstrip(",") for word in spoken} | {"N(0"}, one.title


@pytest.mark.parametrize(("stem", "key", "options"), CHOICES, ids=[f"{s}-{k}" for s, k, _ in CHOICES])
def test_every_option_of_every_control_is_shown_by_a_name_of_its_own(stem, key, options):
    shown = [names.value(key, option) for option in options]
    assert len(set(shown)) == len(options)
    assert all(map(people_say, shown)), shown


def test_a_formula_is_its_own_name():
    assert names.value("activation", "z*sigmoid(1.702*z)") == "z*sigmoid(1.702*z)"
    assert ACTIVATIONS["sin(30*z)"].said == "`sin(30*z)`"


# ---- no page shows an identifier

# people write ReLU, Adam, JAX
LIKE_CODE = "relu|elu|selu|gelu|silu|mish|sgd|adam|lsuv|siren|pytorch|keras|jax|numpy|tensorflow|grad2|dw2|a2"
IDENTIFIER = re.compile(rf"[^\W_]+(_\w+)+|(?<![\w.])({LIKE_CODE})(?![\w(.])")
STATES = [("home", {}), *((stem, {}) for stem in dict.fromkeys([*KINDS, "your_network"])),
          *(("your_network", {"example": example}) for example in EXAMPLES),
          *(("initializers", state) for state in (
    *({"look": look} for look in LOOKS_AT),
    {"widths": "784-512-256-10", "activation": "gelu", "normalization": "batch"},
    {"initializers": "zeros,identity,pytorch_default,keras_default", "activation": "leaky_relu",
     "residual": "plain", "keep": "0.9", "depth": "8", "width": "32"},
    {"initializers": "small_normal,he_uniform", "of": "small_normal", "activation": "sin(30*z)"},
    {"held": "gamma=1.5&activation=silu", "rescale": "lsuv"},
    {"seeds": "99", "initializers": "he_normal,me"})),
    ("linear_chain", {"kind": "gaussian", "scale": "linear"}),
    ("linear_chain", {"kind": "diagonal", "scale": "steps"}),
    ("linear_chain", {"scale": "learning"}),
    ("neuron_variance", {"rule": "2/(n_in+n_out)", "activation": "selu"}),
    ("neuron_variance", {"held": "rule=0.01^2", "rule": "1"}),
    ("trainable_depth", {"activation": "relu", "sigma_w2": "2"}),
    ("trainable_depth", {"sigma_w2": "0.333333", "sigma_b2": "0.00130208", "activation": "leaky_relu"}),
    *((scene.page, {"scene": scene.name}) for scene in SCENES
      if scene.page == "initializers" and scene.question)]
FIELDS = ("selectbox", "multiselect", "slider", "select_slider", "number_input", "text_input")
RUN = {"steps": "20", "depth": "3", "width": "8", "initializers": "he_normal,small_normal,pytorch_default",
       "dataset": "spirals", "optimizer": "adam"}


@pytest.fixture
def open_drawers(monkeypatch):
    """Let every drawer of a page stand open."""
    def drawer(label, key, icon):
        return nullcontext(st.expander(label, icon=icon) is not None)
    monkeypatch.setattr(elements, "drawer", drawer)


def identifiers(page):
    found = ((kind, text, IDENTIFIER.search(text)) for kind, text in said(page))
    return sorted({(kind, name[0], text[:90]) for kind, text, name in found if name})


@pytest.mark.usefixtures("open_drawers")
@pytest.mark.parametrize(("stem", "state"), STATES, ids=lambda part: str(part)[:60])
def test_no_page_shows_an_identifier_or_a_field_without_a_label(monkeypatch, stem, state):
    monkeypatch.setattr(training_panel, "start_when_ready", lambda: None)
    page = opened(stem, **state)
    assert sum(1 for _ in said(page)) > 40
    assert identifiers(page) == []
    fields = [field for kind in FIELDS for field in page.get(kind)]
    assert stem in ("home", "published") or len(fields) > 1
    assert not [field for field in fields if not field.label.strip() or field.proto.label_visibility.value]


@pytest.mark.usefixtures("open_drawers")
@pytest.mark.parametrize("look", TRAINING_LOOKS)
def test_no_look_at_a_run_shows_an_identifier(monkeypatch, look):
    store = Store()
    monkeypatch.setattr(training_panel, "STORE", store)
    page = opened("training", **RUN, look=look)
    wait_for(lambda: all(run.over for run in store._runs.values()), 60)
    page = sound(page.run())
    assert "20 steps" in " ".join(text for _, text in said(page))
    assert identifiers(page) == []


def test_the_walk_finds_identifiers_where_they_are():
    for text in ("he_normal", "the relu", "E[a_mean]", "sgd at 0.1", "n_in·Var(w)", "σ_w² = 2", "x grad2"):
        assert IDENTIFIER.search(text), text
    for text in ("He · 2/n", "ReLU", "σw² = 2", "keras.io", "JAX", "Keras and PyTorch", "batch size"):
        assert not IDENTIFIER.search(text), text
