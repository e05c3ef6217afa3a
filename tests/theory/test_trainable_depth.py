"""Trainable depths against closed forms, fixed points, and depths that are known to train."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vgdash.activations import ACTIVATIONS
from vgdash.probe.params import ProbeParams
from vgdash.theory.averages import correlation_series, log_moment, log_slope, map_correlation
from vgdash.theory.fixed_points import fixed_point, safe_log
from vgdash.theory.trainable_depth import FAINT, FIERCE, MEMORY, STARTS, trainable_depth, trainable_depths

uniform = ProbeParams.uniform


def depth_at(activation, sigma_w2, sigma_b2=0.0):
    return float(trainable_depths(activation, np.array([sigma_w2]), np.array([sigma_b2]))[0])


@pytest.mark.parametrize("activation", ["gelu", "silu", "mish"])
def test_smooth_functions_with_he_weights_train_to_21_layers_at_least(activation):
    # PyTorch: 21 layers x 100, plain SGD, digits: GELU .95 to .97, SiLU .95 to .97
    assert depth_at(activation, 2.0) >= 21
    assert depth_at(activation, 2.0) > 2 * 6 * fixed_point(activation, 2.0, 0.0).xi_c  # the limit q -> 0
    assert trainable_depth(uniform(50, 100, activation, "he_normal")) == depth_at(activation, 2.0)


def test_near_its_fixed_point_it_is_six_depth_scales():
    for activation, w, b in (("tanh", 1.3, 0.05), ("tanh", 2.5, 0.05), ("sigmoid", 12.0, 0.1)):
        scale = fixed_point(activation, w, b).xi_c
        assert depth_at(activation, w, b) == pytest.approx(6 * scale, abs=max(2.0, 0.15 * 6 * scale))


def test_a_linear_net_loses_its_gradient_by_arithmetic_and_forgets_nothing():
    for w in (0.5, 0.9, 0.99, 0.999, 1.05):
        lost = FAINT if w < 1 else FIERCE
        assert depth_at("linear", w) == pytest.approx(1 + lost / abs(math.log(w)), rel=0.01)
    assert depth_at("linear", 1.0) == math.inf


def test_relu_at_its_edge_keeps_gradients_and_forgets_by_a_power():
    c, layer = 0.0, 1
    while 1 - c > math.exp(-MEMORY):
        layer += 1
        c = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi  # Cho & Saul 2009
    assert depth_at("relu", 2.0) == pytest.approx(layer, abs=1)
    assert depth_at("relu", 1.0) == pytest.approx(1 + FAINT / math.log(2), abs=0.1)


def test_nothing_ends_tanh_at_the_origin_of_its_edge_nor_branches_that_are_shut():
    assert depth_at("tanh", 1.0) == math.inf  # c stays, and gradients fall like 1/depth
    assert trainable_depth(uniform(20, 32, "relu", "he_normal", residual="zero")) == math.inf
    assert trainable_depth(uniform(20, 32, "relu", "zeros")) < 1
    assert math.isnan(trainable_depth(uniform(20, 32, "relu", "identity")))


@pytest.mark.parametrize(("activation", "sigma_w2", "sigma_b2"), [
    ("selu", 0.5625, 0.0), ("tanh", 1.8, 0.05), ("tanh", 1.7, 0.05), ("elu", 1.0, 0.0)])
def test_depths_beyond_the_layers_that_are_followed_are_those_of_all_layers(activation, sigma_w2, sigma_b2):
    log_w, log_b = (safe_log(value) for value in (sigma_w2, sigma_b2))
    log_q, gradient = np.logaddexp(log_w, log_b), 0.0
    c = (sigma_w2 * STARTS + sigma_b2) / (sigma_w2 + sigma_b2)
    record = ACTIVATIONS[activation]
    limit, layer = fixed_point(activation, sigma_w2, sigma_b2).c_star, 1
    limit = 1.0 if math.isnan(limit) else limit
    far = np.abs(STARTS - limit).max() * math.exp(-MEMORY)
    while -FAINT < gradient < FIERCE and np.abs(c - limit).max() > far:
        gradient += log_w + log_slope(activation, log_q)
        signal, series = log_w + log_moment(activation, log_q), correlation_series(record, log_q)
        log_q = np.logaddexp(signal, log_b)
        c = 1 + np.exp(signal - log_q) * (map_correlation(series, c) - 1)
        layer += 1
    assert layer > 256
    assert depth_at(activation, sigma_w2, sigma_b2) == pytest.approx(layer, rel=0.15)
    assert depth_at("linear", 0.99) == pytest.approx(1147, rel=0.01)  # an exponential exactly


def test_a_net_has_the_depth_of_its_middle_layer_with_its_biases():
    p = uniform(50, 512, "relu", "pytorch_default")
    assert trainable_depth(p) == pytest.approx(depth_at("relu", 1 / 3, 1 / 1536), rel=1e-6)
    uneven = ProbeParams((784, 256, 256, 256, 10), "tanh", "he_normal")
    assert trainable_depth(uneven) == pytest.approx(depth_at("tanh", 2.0), rel=1e-6)
    assert trainable_depth(replace(uneven, last_scale=0.0)) == trainable_depth(uneven)
