"""Weights do not depend on what else is drawn with them, nor on what is still cached."""

import numpy as np
import pytest

from vgdash.initializers import BASES
from vgdash.probe import random_weights
from vgdash.probe.random_weights import draw_layers

WIDTHS = (30, 50, 20)


@pytest.fixture(autouse=True)
def clear_cache():
    random_weights._draw_layer.cache_clear()
    return random_weights._draw_layer.cache_clear


@pytest.mark.parametrize("others", [("normal",), ("normal", "uniform"), tuple(BASES)], ids=str)
@pytest.mark.parametrize("name", BASES)
def test_a_draw_is_the_same_whatever_is_drawn_with_it(name, others, clear_cache):
    alone = draw_layers([name], WIDTHS, 3, [1])[name, 1]
    clear_cache()
    together = draw_layers(sorted({name, *others}, reverse=True), WIDTHS, 3, [0, 1])[name, 1]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
        assert not one.flags.writeable


def test_a_deeper_net_draws_only_the_new_layers(clear_cache):
    first = draw_layers(["normal", "truncated"], WIDTHS, 3, [0])
    second = draw_layers(["normal", "truncated"], (*WIDTHS, 10), 3, [0])
    assert all(one is other for base in second for one, other in zip(first[base], second[base], strict=False))
    clear_cache()
    fresh = draw_layers(["truncated"], (*WIDTHS, 10), 3, [0])
    for one, other in zip(second["truncated", 0], fresh["truncated", 0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_that_would_fill_the_memory_are_not_cached():
    draw_layers(["normal"], (200, 100, 100), 0, [0])
    assert random_weights._draw_layer.cache_info().currsize == 1
