"""Names of files: one for each state, and none that a file system minds."""

import re

import pytest

from pages.parts.scenes import SCENES
from pages.parts.words import LONGEST_NAME, file_name
from vgdash.network import CompareParams


def test_every_state_of_the_lecture_has_a_file_name_of_its_own():
    states = {(scene.page, scene.params) for scene in SCENES}
    names = [file_name(page, p) for page, p in states]
    assert len(set(names)) == len(states) > 40
    assert all(re.fullmatch(r"[\w.-]+", name) and len(name) <= LONGEST_NAME for name in names), names


@pytest.mark.parametrize("widths", [(784, 512, 10), tuple(range(2, 150))])
def test_values_behind_more_count_however_long_the_others_are(widths):
    names = {file_name("initializers", CompareParams(widths=widths, gamma=gamma)) for gamma in (1.0, 1.1, 1.2)}
    assert len(names) == 3
    assert max(map(len, names)) <= LONGEST_NAME


def test_a_default_needs_no_words():
    assert file_name("initializers", CompareParams()) == "initializers"
