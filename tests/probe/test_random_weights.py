"""Weights do not depend on what else is drawn with them, nor on what is still kept from before."""

import numpy as np
import pytest

from vgdash.initializers import BASES
from vgdash.probe import random_weights
from vgdash.probe.random_weights import layers_of

WIDTHS = (30, 50, 20)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    def forget():
        monkeypatch.setattr(random_weights, "_kept", random_weights._Kept())

    forget()
    return forget


@pytest.mark.parametrize("others", [("normal",), ("normal", "uniform"), tuple(BASES)], ids=str)
@pytest.mark.parametrize("name", BASES)
def test_a_draw_is_the_same_whatever_is_drawn_with_it(name, others, nothing_kept):
    alone = layers_of([name], WIDTHS, 3, [1])[name, 1]
    nothing_kept()
    together = layers_of(sorted({name, *others}, reverse=True), WIDTHS, 3, [0, 1])[name, 1]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
        assert not one.flags.writeable


def test_what_is_kept_is_what_would_be_drawn_and_is_not_drawn_again(nothing_kept):
    first = layers_of(["normal"], WIDTHS, 3, [0])
    second = layers_of(["normal", "truncated"], (*WIDTHS, 10), 3, [0])
    assert all(one is other for one, other in zip(first["normal", 0], second["normal", 0], strict=False))
    nothing_kept()
    fresh = layers_of(["truncated"], (*WIDTHS, 10), 3, [0])
    for one, other in zip(second["truncated", 0], fresh["truncated", 0], strict=True):
        np.testing.assert_array_equal(one, other)
