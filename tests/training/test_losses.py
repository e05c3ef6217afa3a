"""Squared error, scale of a normalization, ties of an evaluation, and clipping."""

import numpy as np
import pytest

from tests.training.test_engine import (
    ROWS,
    filled,
    follow_pytorch,
    gradient_error,
    layout_of,
    parameters,
    put,
)
from vgdash.training.optimizers import clip_norm


@pytest.mark.parametrize("change", [
    {"squared": True}, {"squared": True, "normalization": "layer", "norm_scale": 0.3},
    {"normalization": "batch", "norm_scale": 2.5}, {"normalization": "layer", "norm_scale": 0.3},
    {"normalization": "layer", "norm_scale": 0.3, "residual": "plain"},
    {"normalization": "batch", "norm_scale": 2.5, "residual": "scaled"}], ids=str)
def test_the_gradient_of_the_squared_error_and_of_a_scaled_normalization_agrees_too(change):
    assert gradient_error(layout_of("tanh", batch=ROWS, **change)) < 1e-6


def test_twenty_steps_of_squared_error_follow_pytorch():
    follow_pytorch(layout_of("tanh", "momentum", batch=10, squared=True), "tanh", "momentum", 20,
                   (0.05, 0.02), 0.02)


def test_evaluation_counts_every_row_once_and_shares_ties():
    p = layout_of(widths=(5, 4, 3), batch=10)
    nets, x, y = filled(p)
    z = np.maximum(x @ nets.weights(1)[0].T + nets.biases(1)[0], 0) @ nets.weights(2)[0].T + nets.biases(2)[0]
    shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss, accuracy = nets.evaluate(nets.train)
    assert loss[0] == pytest.approx(-np.log(shares[np.arange(ROWS), y]).mean(), rel=1e-12)
    assert accuracy[0] == (z.argmax(axis=1) == y).mean()
    put(nets, np.zeros_like(parameters(nets)))
    loss, accuracy = nets.evaluate(nets.train)
    assert loss == pytest.approx(np.log(3), rel=1e-12)
    assert accuracy == pytest.approx(1 / 3, rel=1e-12)


def test_clipping_keeps_the_direction_even_of_gradients_whose_square_overflows():
    g = np.array([[3, 4], [0.3, 0.4], [3e30, 4e30], [0, 0], [3e-30, 4e-30]], np.float32)
    halves = [g[:, :1].copy(), g[:, 1:].copy()]
    clip_norm(halves, 1.0)
    expected = [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8], [0, 0], [3e-30, 4e-30]]
    np.testing.assert_allclose(np.hstack(halves), expected, rtol=3e-6)
