"""The squared error and the scale of a normalization: gradients, and trajectories against PyTorch."""

import pytest

from tests.training.test_engine import ROWS, follow_pytorch, gradient_error, layout_of


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
