"""Forward and backward factor of one layer: can one weight scale serve both directions?

    forward = (fan_in w E[f²] + E[b²])/q     backward = fan_out w E[f'²]     z ~ N(0, q), w = gamma² Var(W)

at the first layer's q, and at the q that deep layers settle at. With normalization q = 1, and both are
divided by the variance that the normalization removes: batch fan_in w Var(f), layer fan_in w E[f²] +
Var(b).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vgdash.activations import ACTIVATIONS, any_activation
from vgdash.initializers import INITIALIZERS, BiasRule, initializer_for
from vgdash.layers import AXES
from vgdash.params import ParamError, Params, choice, integer, real
from vgdash.theory.averages import log_moment, log_slope, mean
from vgdash.theory.fixed_points import fixed_point

LOG_Q_LIMIT = 60.0  # |ln q| that stands for 0 and infinity: f is its own power law there


@dataclass(frozen=True)
class BalanceParams(Params):
    """One layer of ``fan_in`` inputs among layers of its kind; gradients come from ``fan_out`` units."""

    activation: str = any_activation("relu")
    initializer: str = choice("he_normal", INITIALIZERS)
    gamma: float = real(1.0, 0.0, 100.0)
    sigma_b2: float = real(0.0, 0.0, 100.0)
    fan_in: int = integer(256, 1, 4096)
    fan_out: int = integer(256, 1, 4096)
    normalization: str = choice("none", AXES)

    def consistent(self) -> None:
        if no_theory := INITIALIZERS[self.initializer].no_theory:
            raise ParamError("initializer", "a random one", self.initializer,
                             f"{no_theory[0].upper()}{no_theory[1:]}.")
        if self.sigma_w2 == 0:
            raise ParamError("initializer" if self.gamma else "gamma", "one that gives weights other than 0",
                             self.initializer, "Weights of 0 pass nothing on: there is no factor.")

    @property
    def variance(self) -> float:
        """Var(w), with gamma."""
        one = initializer_for(self.initializer, self.activation)
        return self.gamma**2 * one.variance(self.fan_in, self.fan_out)

    @property
    def sigma_w2(self) -> float:
        """fan_in·Var(w)."""
        return self.fan_in * self.variance

    @property
    def bias(self) -> BiasRule:
        """The rule of the biases."""
        return INITIALIZERS[self.initializer].biases(self.sigma_b2)

    @property
    def bias2(self) -> float:
        """E[b²]."""
        return self.bias.square(self.fan_in)


@dataclass(frozen=True)
class Balance:
    """Factors of E[z²] and of the squared gradient a layer, dimensionless; 1 is balance."""

    params: BalanceParams
    q_first: float  # E[z²] of the first layer, from an input of unit second moment
    forward_first: float  # from the first layer to the second
    backward_first: float  # from the second to the first
    q_star: float  # E[z²] of deep layers; 0, inf, or nan if every q stays as it is
    forward: float  # a layer, deep down
    backward: float
    gamma_forward: float  # gamma whose forward factor is 1 at E[z²] = 1 without bias; nan with normalization
    gamma_backward: float  # gamma whose backward factor is 1 there
    reason: str  # in words, why q_star is 0, inf or nan; empty if all is well


def balance(p: BalanceParams) -> Balance:
    """Compute the factors of one layer forward and backward.

    He et al. 2015 (arXiv 1502.01852), Glorot & Bengio 2010; batch normalization, for large batches: Yang et
    al. 2019 (arXiv 1902.08129).
    """
    if p.normalization != "none":
        backward = p.fan_out / p.fan_in * _squared_slope(p, 0.0) / _removed_variance(p)
        return Balance(p, 1.0, 1.0, backward, 1.0, 1.0, backward, math.nan, math.nan, "")
    point = fixed_point(p.activation, p.sigma_w2, p.bias2)
    first = math.log(p.sigma_w2 + p.bias2)
    log_q_star = math.log(point.q_star) if point.q_star else -math.inf
    deep = first if math.isnan(point.q_star) else float(np.clip(log_q_star, -LOG_Q_LIMIT, LOG_Q_LIMIT))
    back = p.fan_out * p.variance
    return Balance(p, math.exp(first), _forward(p, first), back * _squared_slope(p, first),
                   point.q_star, _forward(p, deep), back * _squared_slope(p, deep),
                   p.gamma / math.sqrt(p.sigma_w2 * math.exp(float(log_moment(p.activation, 0.0)))),
                   p.gamma / math.sqrt(back * _squared_slope(p, 0.0)), point.reason)


def _forward(p: BalanceParams, log_q: float) -> float:
    log_bias = math.log(p.bias2) if p.bias2 else -math.inf
    log_next = np.logaddexp(math.log(p.sigma_w2) + log_moment(p.activation, log_q), log_bias)
    return math.exp(float(log_next) - log_q)


def _squared_slope(p: BalanceParams, log_q: float) -> float:
    """E[f'²] at ``log_q``."""
    return math.exp(float(log_slope(p.activation, log_q)))


def _removed_variance(p: BalanceParams) -> float:
    """Variance that normalization divides by, over fan_in·Var(w), at q = 1; biases count in layer only."""
    activation = ACTIVATIONS[p.activation]
    square = float(mean(activation, lambda z: activation.f(z) ** 2))
    if p.normalization == "batch":
        return square - float(mean(activation, activation.f)) ** 2
    return square + p.bias.variance(p.fan_in) / p.sigma_w2
