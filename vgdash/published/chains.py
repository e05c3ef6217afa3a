"""Claims about multiplying again and again: number formats, the linear chain, products of random matrices."""

from __future__ import annotations

import math

import numpy as np

from vgdash.linear_chain import ChainParams, before_output, linear_chain, typical_factor
from vgdash.number_formats import FORMATS, round_to
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import probe
from vgdash.published.records import Claim

LECTURE = "deeplearning.ai, Vanishing and exploding gradients (C2W1L10)"
LECTURE_AT = "https://www.coursera.org/learn/deep-neural-network"
PRODUCTS = {"kind": "gaussian", "depth": 100, "width": 4, "sigma2": 4.0, "seeds": 200}
WALK_WIDTH, WALK_DEPTH, WALKS = 32, 10, 195  # as many chains as ``ChainParams`` allows
WALK_BETA = 2 * WALK_DEPTH / WALK_WIDTH
WALK = {"kind": "gaussian", "width": WALK_WIDTH, "depth": WALK_DEPTH, "sigma2": 1.0, "seeds": WALKS}


def _overflows():
    breaks = linear_chain(ChainParams(factor=1.5)).continued
    return tuple(breaks[name].overflow for name in ("float16", "float32", "float64"))


def _zeros():
    breaks = linear_chain(ChainParams(factor=0.5)).continued
    return tuple(breaks[name].zero for name in ("float16", "float32", "float64"))


def _after_150():
    chains = (before_output(ChainParams(factor=factor, depth=151)) for factor in (1.5, 0.5))
    return tuple(10 ** chain.log10_activation[-1] for chain in chains)


def _products():
    found, ln10, depth = linear_chain(ChainParams(**PRODUCTS)), math.log(10), PRODUCTS["depth"]
    return (found.log10_factor * ln10, found.log10_factor_measured * ln10,
            found.log10_factor * depth, found.log10_factor_rms * depth)


def _random_walk():
    chains = (linear_chain(ChainParams(**WALK, seed=seed)) for seed in range(2))
    sizes = np.concatenate([chain.log10_activation_seeds for chain in chains])
    logs = 2 * math.log(10) * (sizes[:, -1] - sizes[:, 0])
    return logs.mean(), logs.var(ddof=1)


def _half_precision():
    half = FORMATS["float16"]
    step = max(k for k in range(30) if round_to(1 + 2.0**-k, half.name) > 1)
    smallest, largest = math.log2(half.smallest_normal), math.floor(math.log2(half.largest))
    return float(round_to(1 + 0.0001, half.name)), smallest, largest, -step


def _overflowing_layer():
    return probe(ProbeParams.uniform(32, 512, "linear", "standard_normal", batch=2, seeds=1)).overflow


CHAINS: tuple[Claim, ...] = (
    Claim(
        key="chain-overflow",
        claim="With c = 1.5 a linear chain explodes. float16, float32 and float64 overflow at these layers.",
        source=LECTURE, address=LECTURE_AT,
        setup=("a[l] = 1.5·a[l-1] from 1, rounded after each layer. First infinite layer in float16, "
               "float32, float64"),
        formula="1.5^l > the largest number", theirs=(28, 219, 1751),
        tolerance=0.0, reason="layers are counted, not measured", derived=True,
        compute=_overflows, page="linear_chain", state={"factor": 1.5, "depth": 1000},
    ),
    Claim(
        key="chain-zero",
        claim=("With c = 0.5 a linear chain vanishes. float16, float32 and float64 hold only zeros from "
               "these layers on."),
        source=LECTURE, address=LECTURE_AT,
        setup=("a[l] = 0.5·a[l-1] from 1, rounded after each layer. First zero layer in float16, float32, "
               "float64"),
        formula="0.5^l ≤ half of the smallest number", theirs=(25, 150, 1075),
        tolerance=0.0, reason="layers are counted, not measured", derived=True,
        compute=_zeros, page="linear_chain", state={"factor": 0.5, "depth": 1000},
    ),
    Claim(
        key="chain-150",
        claim="After 150 layers 1.5 has become astronomically large, and 0.5 almost nothing.",
        source=LECTURE, address=LECTURE_AT,
        setup="150 factors, L = 151 with the output layer: c = 1.5, then c = 0.5",
        formula="c^(L-1)", theirs=(2.59e26, 7.0e-46),
        tolerance=(0.002, 0.007), reason="half of the last digit given", derived=True,
        compute=_after_150, page="linear_chain", state={"factor": 1.5, "depth": 151},
    ),
    Claim(
        key="gaussian-products",
        claim=("A product of 100 Gaussian 4x4 matrices explodes. Its root mean square is far above its "
               "typical size."),
        source="Dive into Deep Learning, Numerical stability",
        address="https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html",
        setup=("entries N(0, 1); growth of ln|a| a layer, exact and measured in 200 products; log₁₀ of the "
               "typical and of the rms size"),
        formula="λ = (ln 2 + ψ(2))/2, rms √4 a layer", theirs=(0.55797, 0.55797, 24, 30),
        tolerance=(5e-6, 4 * math.sqrt((math.pi**2 / 6 - 1) / 4 / 100 / 200), 0.5, 0.5), absolute=True,
        reason="last digit; 4 standard errors (ψ'(2)/4 is the variance a layer); powers of ten", derived=True,
        compute=_products, page="linear_chain", state=PRODUCTS,
    ),
    Claim(
        key="random-walk-linear",
        claim="A gain of e^(1/2N) keeps the typical linear net from drifting to smaller norms.",
        source="Sussillo & Abbott 2014", address="https://arxiv.org/abs/1412.6558",
        setup="N = 32, weights N(0, g²/N): typical growth a layer",
        formula="g = e^(1/(2N)) → ×1", theirs=1.0,
        tolerance=1 / 32**2, reason="theirs is to first order in 1/N",
        compute=lambda: typical_factor(math.exp(1 / 32), 32), page="linear_chain",
        state={"kind": "gaussian", "width": 32, "sigma2": math.exp(1 / 32), "depth": 100, "seeds": 10},
    ),
    Claim(
        key="finite-width-linear",
        claim="In a net of finite width the log of the norm does a random walk, downwards on average.",
        source="Hanin & Nica 2018, theorem 1 with p = 1", address="https://arxiv.org/abs/1812.05994",
        setup=(f"linear, L = {WALK_DEPTH}, n = {WALK_WIDTH}, {2 * WALKS} chains: mean and variance of ln "
               "|a[L]|²/|x|²"),
        formula="N(-β/2, β), β = 2 Σ 1/n", theirs=(-WALK_BETA / 2, WALK_BETA),
        tolerance=(4 * math.sqrt(WALK_BETA / (2 * WALKS)) + 1 / WALK_WIDTH,
                   4 * WALK_BETA * math.sqrt(2 / (2 * WALKS)) + 1 / WALK_WIDTH),
        absolute=True, reason="4 standard errors, and 1/n for the next order",
        compute=_random_walk, page="linear_chain", state=WALK,
    ),
    Claim(
        key="half-precision",
        claim="In half precision 1 + 0.0001 is 1. A step that small changes no weight.",
        source="fastai documentation, Mixed precision", address="https://docs.fast.ai/callback.fp16.html",
        setup="float16: 1 + 0.0001; smallest and largest exponent of 2; exponent of the step above 1",
        formula="5 bits of exponent, 10 of fraction", theirs=(1, -14, 15, -10),
        tolerance=0.0, reason="a number format is exact",
        compute=_half_precision, page="linear_chain", state={"factor": 0.5, "depth": 30},
    ),
    Claim(
        key="standard-normal-overflow",
        claim="With standard normal weights, 512 wide, about 30 multiplications leave no finite number.",
        source="fast.ai course, notebook 02b",
        address="https://github.com/fastai/course-v3/blob/master/nbs/dl2/02b_initializing.ipynb",
        setup=("x ← W x in float32. The multiplication that gives the first number that is not finite "
               "(their loop counts from 0 and stops at 28)"),
        formula="√512 a layer", theirs=29,
        tolerance=1.0, absolute=True,
        reason="one draw of the largest of 512 numbers. They use one matrix again and again",
        compute=_overflowing_layer, page="initializers",
        state={"activation": "linear", "initializers": ("standard_normal",), "depth": 32, "width": 512,
               "batch": 2, "seeds": 1},
    ),
)
