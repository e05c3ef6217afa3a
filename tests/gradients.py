"""Gradients of ``layers.backward`` against finite differences, in float64, entry by entry."""

from dataclasses import replace

import numpy as np

from vgdash.layers import Tape, backward, forward
from vgdash.probe.propagation import build

BIAS_VARIANCE = 0.01  # where sigma_b2 is 0: without any bias a dead example sits on ReLU's kink
STEPS = (1e-5, 1e-6, 1e-7)  # about the cube root of float64's precision; smaller if a kink is in between


def gradient_errors(p):
    """Relative errors ``(2, depth)`` of ∂C/∂W[l] and of ∂C/∂b[l], in the first net of ``p``.

    C = Σ cotangent·z[L] is differentiated by central differences; errors are |difference - gradient| over
    |gradient|, or, where batch normalization removes a bias and its gradient is 0, over |∂C/∂u|.
    """
    net, x, cotangent = net_in_float64(p)
    tape = Tape(p.widths, p.batch, np.float64)
    outputs(net, x, tape)
    exact = [(step.inner.T @ step.a, step.inner.sum(axis=0), np.linalg.norm(step.inner))
             for step in backward(net, cotangent, tape)]
    errors = np.empty((2, p.depth))
    for index, (weights, biases, size) in enumerate(reversed(exact)):
        cases = ((net.weights[index], weights, 0.0), (net.biases[index], biases, size))
        for row, (array, gradient, least) in enumerate(cases):
            estimate = np.empty_like(array)
            for at in np.ndindex(array.shape):
                estimate[at] = difference(net, x, cotangent, tape, array, at)
            error = np.linalg.norm(estimate - gradient)
            errors[row, index] = error and error / max(np.linalg.norm(gradient), least)
    return errors


def net_in_float64(p):
    """Net with its scales multiplied into its weights, its input and cotangent."""
    net, x, cotangent = build(p if p.sigma_b2 else replace(p, sigma_b2=BIAS_VARIANCE), 0)
    if net.rescale:
        outputs(net, x, Tape(p.widths, p.batch))
        net.rescale = False
    net.weights = [scale * weights.astype(float)
                   for scale, weights in zip(net.scales, net.weights, strict=True)]
    net.scales = [1.0] * p.depth
    net.biases = [biases.astype(float) for biases in net.biases]
    return net, x.astype(float), cotangent.astype(float)


def outputs(net, x, tape):
    """The last z, and for each layer and kink the side of it that every z is on."""
    sides = []
    for step in forward(net, x, tape):
        sides += [step.z > kink for kink in net.activation.kinks]
        last = step.z
    return last.copy(), sides


def difference(net, x, cotangent, tape, array, at):
    """∂C/∂array[at] by a central difference that crosses no kink."""
    value = array[at]
    for step in STEPS:
        array[at] = value + step
        above, sides_above = outputs(net, x, tape)
        array[at] = value - step
        below, sides_below = outputs(net, x, tape)
        array[at] = value
        if all(np.array_equal(one, other) for one, other in zip(sides_above, sides_below, strict=True)):
            break
    return (cotangent * (above - below)).sum() / (2 * step)
