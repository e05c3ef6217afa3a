"""Names that people use: every record and every option has one of its own, without an underscore."""

import re

import pytest

from pages.parts import names
from pages.parts.scenes import KINDS
from tests.browser.states import page_of
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.params import Choice, Choices

CHOICES = [(stem, key, rule.options) for stem in KINDS for key, rule in page_of(stem)[1].items()
           if isinstance(rule, (Choice, Choices))]


def people_say(text):
    """Test if a text is one that people say, and not the identifier of a program."""
    return bool(text.strip()) and "_" not in text and "^" not in text


@pytest.mark.parametrize("said", [
    [one.title for one in INITIALIZERS.values()], [one.short for one in INITIALIZERS.values()],
    [one.title for one in ACTIVATIONS.values()]])
def test_every_record_has_a_name_of_its_own(said):
    assert len(set(said)) == len(said)
    assert all(map(people_say, said)), said


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
