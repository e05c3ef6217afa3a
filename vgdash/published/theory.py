"""Claims of mean-field theory: sizes, correlations and gradients in a wide random network."""

from __future__ import annotations

import math

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.published.records import Claim
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.averages import log_slope
from vgdash.theory.fixed_points import critical_sigma_w2, fixed_point
from vgdash.theory.layerwise import predict

HE_AT = "https://arxiv.org/abs/1502.01852"
POOLE = "Poole et al. 2016 and Schoenholz et al. 2017"
SCHOENHOLZ_AT = "https://arxiv.org/abs/1611.01232"
SELU_AT = "https://arxiv.org/abs/1706.02515"
LAST_DIGIT = "half of the last digit given"
VGG_B = (64, 128, 256, 512)  # filters of 3x3 in model B of the VGG paper


def _mean(values: np.ndarray) -> float:
    """E over z ~ N(0, 1) of ``values`` at ``NODES``."""
    return float(values @ MASSES)


def _he_edge():
    factors = 2 * np.exp(log_slope("relu", np.log([1e-6, 1.0, 1e6])))
    return *map(float, factors), 512 * INITIALIZERS["he_normal"].variance(512, 512)


def _forward_gains():
    names = ("relu", "tanh", "silu", "elu", "sigmoid", "selu")
    return tuple(ACTIVATIONS[name].forward_gain for name in names)


def _tanh_gain():
    found = fixed_point("tanh", (5 / 3) ** 2, 0.0)
    return found.q_star, found.chi_1


def _depth_scales():
    found = [fixed_point("tanh", sigma_w2, 0.05) for sigma_w2 in (1.5, 2.0, 2.5)]
    return *(point.xi_c for point in found), *(point.c_star for point in found[1:])


def _tanh_power_law():
    q = predict(ProbeParams.uniform(256, 256, "tanh", "lecun_normal")).q
    return q[-1] * 2 * 256, 1 / q[-1] - 1 / q[-2]


def _relu_correlations():
    correlation = predict(ProbeParams.uniform(51, 256, "relu", "he_normal")).correlation
    return tuple(correlation[[1, 2, 5, 10, 50]])


def _selu():
    f = ACTIVATIONS["selu"].f
    scale = float(f(1.0))
    at = f(NODES)
    return scale, float(-f(-40.0)) / scale, _mean(at), _mean(at**2), fixed_point("selu", 1.0, 0.0).chi_1


def _selu_map():
    mean = _mean(ACTIVATIONS["selu"].df(NODES) * NODES) / 2  # d/dν E[f(√ν z)] at ν = 1
    variance = math.exp(-1 / fixed_point("selu", 1.0, 0.0).xi_q)
    return mean, variance, math.hypot(mean, variance)


def _xavier_for_relu():
    def last(depth, initializer):
        return predict(ProbeParams.uniform(depth, 256, "relu", initializer)).q[-1]

    return tuple(math.log2(last(depth, "lecun_normal") / last(depth, "he_normal")) / 2 for depth in (22, 30))


def _vgg():
    stds = [math.sqrt(INITIALIZERS["he_normal"].variance(9 * filters, 9 * filters)) for filters in VGG_B]
    layers = (1, 2, 2, 4)  # conv10 to conv2: one of 64, two of 128, two of 256, four of 512
    small = math.sqrt(INITIALIZERS["small_normal"].variance(1, 1))
    return *stds, math.prod((std / small) ** count for std, count in zip(stds, layers, strict=True))


def _tanh(sigma_w2: float, sigma_b2: float) -> dict:
    return {"activation": "tanh", "sigma_w2": sigma_w2, "sigma_b2": sigma_b2}


THEORY: tuple[Claim, ...] = (
    Claim(
        key="he-edge",
        claim=("A ReLU layer multiplies the squared gradient by σw²/2, whatever the size of the signal. He "
               "makes that 1."),
        source="He et al. 2015, eq. 10 and 14", address=HE_AT,
        setup="σw² = 2, σb² = 0: factor a layer at q = 10⁻⁶, 1 and 10⁶; then n·Var(w) of He",
        formula="χ₁ = σw² E[f'²] = σw²/2", theirs=(1, 1, 1, 2),
        tolerance=1e-12, reason="exact, up to float64",
        compute=_he_edge, page="trainable_depth",
        state={"activation": "relu", "sigma_w2": 2.0, "sigma_b2": 0.0},
    ),
    Claim(
        key="forward-gains",
        claim="The gain that keeps E[z²] = 1 is one over the root mean square of f.",
        source="He et al. 2015, the same argument for any f", address=HE_AT,
        setup="quadrature at q = 1: ReLU, tanh, SiLU, ELU, sigmoid, SELU",
        formula="1/√E[f(z)²]", theirs=(1.41421, 1.59254, 1.67653, 1.24520, 1.84623, 1),
        tolerance=6e-6, absolute=True, reason=LAST_DIGIT, derived=True,
        compute=_forward_gains, page="neuron_variance",
        state={"activation": "silu", "rule": "1/n", "n": 1000},
    ),
    Claim(
        key="tanh-five-thirds",
        claim="With PyTorch's gain of 5/3 a deep tanh net is chaotic: gradients grow.",
        source="PyTorch, the gain for tanh", address="https://docs.pytorch.org/docs/stable/nn.init.html",
        setup="σw² = 25/9, σb² = 0: q* and the factor of a squared gradient a layer",
        formula="q = σw² E[tanh²(√q z)]", theirs=(1.17848, 1.2098),
        tolerance=(5e-6, 5e-5), absolute=True, reason=LAST_DIGIT, derived=True,
        compute=_tanh_gain, page="trainable_depth", state=_tanh(2.77778, 0.0),
    ),
    Claim(
        key="tanh-critical-line",
        claim="The line χ₁ = 1 divides order from chaos in tanh nets.",
        source=POOLE, address=SCHOENHOLZ_AT,
        setup="σw² on the line at σb² = 0, 0.05 and 0.1",
        formula="χ₁ = σw² E[f'(√q* z)²] = 1", theirs=(1, 1.76095, 1.9861),
        tolerance=(1e-9, 5e-6, 5e-5), absolute=True, reason=LAST_DIGIT, derived=True,
        compute=lambda: tuple(critical_sigma_w2("tanh", sigma_b2) for sigma_b2 in (0.0, 0.05, 0.1)),
        page="trainable_depth", state=_tanh(1.76095, 0.05),
    ),
    Claim(
        key="tanh-depth-scales",
        claim="Two inputs stay different for about ξc layers. Nets train up to about 6 ξc layers.",
        source=POOLE, address=SCHOENHOLZ_AT,
        setup="tanh, σb² = 0.05: ξc at σw² = 1.5, 2.0, 2.5; c* at 2.0 and 2.5",
        formula="ξc = -1/ln χ at the fixed point c*", theirs=(15.79, 25.2, 11.8, 0.744, 0.447),
        tolerance=(0.005, 0.05, 0.05, 5e-4, 5e-4), absolute=True, reason=LAST_DIGIT, derived=True,
        compute=_depth_scales, page="trainable_depth", state=_tanh(2.5, 0.05),
    ),
    Claim(
        key="tanh-power-law",
        claim="A tanh net with σw² = 1 loses its signal slowly, like 1/depth.",
        source="Schoenholz et al. 2017, at the critical point", address=SCHOENHOLZ_AT,
        setup="σw² = 1, σb² = 0, l = 256: q[l]·2l; growth of 1/q a layer",
        formula="q' ≈ q - 2q², hence q ≈ 1/(2l)", theirs=(1, 2),
        tolerance=(0.02, 0.01), reason="the next terms: ln(l)/l and (5/3) q", derived=True,
        compute=_tanh_power_law, page="initializers",
        state={"activation": "tanh", "initializers": ("lecun_normal",), "depth": 256},
    ),
    Claim(
        key="relu-correlations",
        claim="He keeps the sizes right, but all inputs end up pointing the same way.",
        source="Cho & Saul 2009",
        address=("https://papers.neurips.cc/paper_files/paper/2009/hash/"
                 "5751ec3e9a4feab575962e78e006250d-Abstract.html"),
        setup="cosine of two inputs after 1, 2, 5, 10, 50 ReLU layers, from 0",
        formula="c' = (√(1-c²) + (π - arccos c)·c)/π", theirs=(0.31831, 0.49373, 0.73595, 0.87154, 0.98786),
        tolerance=6e-6, absolute=True, reason=LAST_DIGIT, derived=True,
        compute=_relu_correlations, page="trainable_depth",
        state={"activation": "relu", "sigma_w2": 2.0, "sigma_b2": 0.0, "depth": 60},
    ),
    Claim(
        key="selu-fixed-point",
        claim="SELU keeps mean 0 and variance 1. Its gradients still grow a little.",
        source="Klambauer et al. 2017", address=SELU_AT,
        setup="λ, α; E[f], E[f²] at z ~ N(0, 1); factor of a squared gradient",
        formula="E[f] = 0, E[f²] = 1, χ₁ = E[f'²]",
        theirs=(1.0507009873554805, 1.6732632423543772, 0, 1, 1.0716),
        tolerance=(1e-15, 1e-15, 1e-9, 1e-9, 5e-5), absolute=True,
        reason="their digits. The last number is derived",
        compute=_selu, page="trainable_depth", state={"activation": "selu", "sigma_w2": 1.0, "sigma_b2": 0.0},
    ),
    Claim(
        key="selu-contraction",
        claim="A SELU layer brings mean and variance closer to (0, 1).",
        source="Klambauer et al. 2017, eq. 6", address=SELU_AT,
        setup="Jacobian of (mean, variance) at (0, 1): ∂mean/∂variance, ∂variance/∂variance, spectral norm",
        formula="J = (0, 0.088834; 0, 0.782648)", theirs=(0.088834, 0.782648, 0.7877),
        tolerance=(1e-6, 1e-6, 1e-4), absolute=True, reason="one unit of the last digit: they cut digits off",
        compute=_selu_map, page="initializers",
        state={"activation": "selu", "initializers": ("lecun_normal",)},
    ),
    Claim(
        key="xavier-for-relu",
        claim="With Xavier instead of He a ReLU net loses half of its variance in every layer.",
        source="He et al. 2015, section 2.2", address=HE_AT,
        setup="log₂ of the ratio of standard deviations after 22 and after 30 layers",
        formula="(1/√2)^L", theirs=(-11, -15),
        tolerance=1e-12, reason="exact, up to float64",
        compute=_xavier_for_relu, page="initializers",
        state={"initializers": ("lecun_normal", "he_normal"), "depth": 30},
    ),
    Claim(
        key="vgg-model-b",
        claim="With weights of 0.01 the gradient of a VGG net arrives 17,000 times too small.",
        source="He et al. 2015, section 2.2", address=HE_AT,
        setup="3x3 filters, 64, 128, 256, 512 of them: std of each; the factor lost from conv10 to conv2",
        formula="std = √(2/(9d)); Π std/0.01", theirs=(0.059, 0.042, 0.029, 0.021, 1.7e4),
        tolerance=(0.01, 0.012, 0.018, 0.024, 0.03), reason=LAST_DIGIT,
        compute=_vgg, page="initializers",
        state={"initializers": ("small_normal", "he_normal"), "depth": 10, "width": 512},
    ),
)
