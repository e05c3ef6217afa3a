"""Claims measured on nets drawn now: finite width, normalization, skip connections, Jacobians, training."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from vgdash.diagnosis.jacobian import jacobian_spectrum
from vgdash.layers import Tape, forward
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import probe
from vgdash.probe.propagation import build
from vgdash.probe.random_weights import draw_layers
from vgdash.published.records import Claim
from vgdash.training.trainer import TrainParams, train

PENNINGTON = "Pennington et al. 2017"
PENNINGTON_AT = "https://arxiv.org/abs/1711.04735"
CS231N = "CS231n notes, part 3"
CS231N_AT = "https://cs231n.github.io/neural-networks-3/"
DEPTH, WIDTH, DRAWS = 10, 50, 250
BETA = 5 * DEPTH / WIDTH
RELU_GAIN = math.exp(1.2 / (max(WIDTH, 6) - 2.4))  # over √2
NORMALIZED = ProbeParams.uniform(12, 256, "relu", "he_normal", batch=128, seeds=2, normalization="batch")
SCALED = ProbeParams.uniform(101, 128, "relu", "he_normal", batch=8, seeds=8, residual="scaled")
PLAIN = ProbeParams.uniform(21, 256, "relu", "he_normal", batch=8, seeds=8, residual="plain")
LINEAR = ProbeParams.uniform(3, 256, "linear", "lecun_normal", seeds=4)
RECTIFIED = ProbeParams.uniform(4, 128, "relu", "he_normal", seeds=8)
RATES = (0.001, 0.01, 0.1)
LEARNER = {"depth": 5, "width": 64, "initializers": ("he_normal",), "steps": 300, "snapshots": 12}


def _growth(gamma: float) -> np.ndarray:
    """ln |a[L]|²/|x|² of ``DRAWS`` ReLU nets with He weights times ``gamma``, ``(DRAWS, inputs)``."""
    p = ProbeParams.uniform(DEPTH, WIDTH, "relu", "he_normal", gamma=gamma, batch=4)
    tape = Tape(p.widths, p.batch)
    logs = np.empty((DRAWS, p.batch))
    for (_, draw), drawn in draw_layers(("normal",), p.widths, p.seed, range(DRAWS)).items():
        net, x, _ = build(p, draw, drawn)
        for _layer in forward(net, x, tape):
            pass
        logs[draw] = np.log(np.vecdot(tape.a[-1], tape.a[-1]) / np.vecdot(x, x))
    return logs


def _finite_width():
    logs = _growth(1.0)
    return logs.mean(), logs.var()


def _random_walk():
    return _growth(RELU_GAIN).mean() / DEPTH


def _batch_normalized():
    back = probe(NORMALIZED).grad2.mean(axis=0)
    return (back[1] / back[-3]) ** (1 / (NORMALIZED.depth - 4))


def _residual():
    plain, scaled = (probe(p).q.mean(axis=0) for p in (PLAIN, SCALED))
    return math.log2(plain[-1] / plain[0]) / (PLAIN.depth - 1), scaled[-1] / scaled[0]


def _zero_weights():
    first, *_, last = train(TrainParams.uniform(5, 32, initializers=("zeros",), steps=100, snapshots=4))
    return first.loss.item(), last.loss.item(), float(last.dw2.max())


def _small_weights():
    p = TrainParams.uniform(5, 32, initializers=("small_normal",), steps=1, snapshots=1)
    return next(train(p)).loss.item()


def _update_ratio():
    runs = [list(train(TrainParams.uniform(learning_rate=rate, **LEARNER))) for rate in RATES]
    best = min(runs, key=lambda run: run[-1].loss.item())
    return float(np.median([snapshot.update_ratio for snapshot in best[1:]]))


def _orthogonal():
    s = 10 ** jacobian_spectrum(ProbeParams.uniform(50, 64, "linear", "orthogonal", seeds=1)).log10_s
    return s.min(), s.max()


def _gaussian():
    spectrum = jacobian_spectrum(LINEAR)
    return spectrum.variance.mean(), (100 ** spectrum.log10_s[..., 0]).mean()


def _rectified():
    return jacobian_spectrum(RECTIFIED).variance.mean()


def _scale_invariance():
    p = ProbeParams.uniform(3, 128, "relu", "he_normal", normalization="batch", seeds=1)
    one, ten = probe(p), probe(replace(p, gamma=10.0))
    return float((ten.q / one.q)[0, 1]), float((ten.dw2 / one.dw2)[0, 1])


def _unit_variance():
    q = probe(ProbeParams.uniform(20, 128, "tanh", "orthogonal", rescale="lsuv", seeds=1)).q
    return float(q.min()), float(q.max())


def _zero_branches():
    found = probe(ProbeParams.uniform(50, 64, "relu", "he_normal", residual="zero", seeds=1))
    return float(found.q[0, -1] / found.q[0, 0]), float(found.grad2[0, 0] / found.grad2[0, -1])


NETS: tuple[Claim, ...] = (
    Claim(
        key="finite-width-relu",
        claim="He keeps the mean of the squared norm. Single nets drift below it, and apart from each other.",
        source="Hanin & Nica 2018, corollary 3", address="https://arxiv.org/abs/1812.05994",
        setup=f"ReLU, He, L = {DEPTH}, n = {WIDTH}, {DRAWS} nets: mean and variance of ln |a[L]|²/|x|²",
        formula="N(-β/2, β), β = 5 Σ 1/n", theirs=(-BETA / 2, BETA),
        tolerance=(4 * math.sqrt(BETA / DRAWS), 4 * BETA * math.sqrt(2 / DRAWS)), absolute=True,
        reason="4 standard errors",
        compute=_finite_width, page="initializers",
        state={"initializers": ("he_normal",), "depth": DEPTH, "width": WIDTH, "seeds": 32},
    ),
    Claim(
        key="random-walk-relu",
        claim="A gain a little above √2 keeps the typical ReLU net from drifting to smaller norms.",
        source="Sussillo & Abbott 2014", address="https://arxiv.org/abs/1412.6558",
        setup=f"N = {WIDTH}, L = {DEPTH}, {DRAWS} nets: drift of ln |a|² a layer (-0.05 with √2)",
        formula="g = √2·exp(1.2/(max(N, 6) - 2.4))", theirs=0.0,
        tolerance=4 * math.sqrt(BETA / DRAWS) / DEPTH, absolute=True, reason="4 standard errors",
        compute=_random_walk, page="initializers",
        state={"initializers": ("he_normal",), "gamma": round(RELU_GAIN, 4), "depth": DEPTH, "width": WIDTH,
               "seeds": 32},
    ),
    Claim(
        key="batchnorm-gradients",
        claim="Batch normalization with ReLU makes gradients explode.",
        source="Yang et al. 2019", address="https://arxiv.org/abs/1902.08129",
        setup="12 layers of 256, batch 128, 2 nets: factor of the squared gradient a layer",
        formula="π/(π - 1)", theirs=math.pi / (math.pi - 1),
        tolerance=0.022, reason="4 standard errors of two nets (0.5 % each), and 2/width",
        compute=_batch_normalized, page="initializers",
        state={"initializers": ("he_normal",), "normalization": "batch", "depth": 30, "width": 256,
               "batch": 128},
    ),
    Claim(
        key="residual-variance",
        claim=("Plain skip connections double the variance in every layer. Branches scaled by 1/√L keep all "
               "growth below a factor e."),
        source="De & Smith 2020", address="https://arxiv.org/abs/2002.10444",
        setup=("ReLU, He, 8 nets: log₂ of the growth a plain branch, 20 of them, width 256; growth over "
               "100 scaled branches, width 128"),
        formula="2^l; (1 + 1/L)^L", theirs=(1, 1.01**100),
        tolerance=(0.04, 0.14), reason="4 standard errors: nets scatter by 2.5 % and by 10 %",
        compute=_residual, page="initializers",
        state={"initializers": ("he_normal",), "residual": "scaled", "depth": 101, "width": 128},
    ),
    Claim(
        key="rezero",
        claim="If the branches start at zero, signal and gradient stay exactly as they are.",
        source="ReZero, Bachlechner et al. 2020", address="https://arxiv.org/abs/2003.04887",
        setup="50 layers: E[z²] of the last over the first, squared gradient of the first over the last",
        formula="z[l] = z[l-1] + 0·F", theirs=(1, 1),
        tolerance=1e-6, reason="float32",
        compute=_zero_branches, page="initializers",
        state={"initializers": ("he_normal",), "residual": "zero"},
    ),
    Claim(
        key="batchnorm-scale",
        claim="With batch normalization larger weights change no signal, and get smaller gradients.",
        source="Ioffe & Szegedy 2015, section 3.3", address="https://arxiv.org/abs/1502.03167",
        setup="weights times 10: ratio of E[z²], ratio of E[(∂C/∂W)²]",
        formula="BN(aWu) = BN(Wu); ∂/∂(aW) = (1/a) ∂/∂W", theirs=(1, 0.01),
        tolerance=1e-4, reason="the 10⁻⁵ that is added to the variance",
        compute=_scale_invariance, page="initializers",
        state={"initializers": ("he_normal",), "normalization": "batch", "gamma": 10.0, "depth": 10},
    ),
    Claim(
        key="lsuv",
        claim="Rescaling layer by layer gives every output the variance 1, for any activation.",
        source="Mishkin & Matas 2016", address="https://arxiv.org/abs/1511.06422",
        setup="orthogonal weights, tanh, 20 layers: smallest and largest E[z²]",
        formula="W ← W/std(W a)", theirs=(1, 1),
        tolerance=0.002, reason="E[z²] has the square of the mean in it, some 1/(batch·width)",
        compute=_unit_variance, page="initializers",
        state={"activation": "tanh", "initializers": ("orthogonal",), "rescale": "lsuv", "depth": 20},
    ),
    Claim(
        key="orthogonal-isometry",
        claim="Orthogonal weights make a linear net a rotation: every singular value is 1.",
        source=PENNINGTON, address=PENNINGTON_AT,
        setup="50 layers of 64: smallest and largest singular value of the input-output Jacobian",
        formula="JᵀJ = 1", theirs=(1, 1),
        tolerance=5e-6, reason="weights are float32",
        compute=_orthogonal, page="initializers",
        state={"activation": "linear", "initializers": ("orthogonal",), "width": 64}, look="singular values",
    ),
    Claim(
        key="gaussian-singular-values",
        claim="With Gaussian weights of the same size the singular values of a linear net spread with depth.",
        source=PENNINGTON, address=PENNINGTON_AT,
        setup=(f"linear, L = {LINEAR.depth}, n = {LINEAR.width}, {LINEAR.seeds} nets: variance and maximum "
               "of the squared singular values"),
        formula="L; (L + 1)^(L+1)/L^L",
        theirs=(LINEAR.depth, (LINEAR.depth + 1) ** (LINEAR.depth + 1) / LINEAR.depth**LINEAR.depth),
        tolerance=(0.04, 0.12),
        reason="finite width: the largest lies n^(-2/3) below the edge, 5 % here, and scatters by 4 %",
        compute=_gaussian, page="initializers",
        state={"activation": "linear", "initializers": ("lecun_normal", "orthogonal"), "depth": LINEAR.depth,
               "width": LINEAR.width},
        look="singular values",
    ),
    Claim(
        key="relu-singular-values",
        claim="ReLU shuts half of the units. That spreads the singular values even further.",
        source=PENNINGTON, address=PENNINGTON_AT,
        setup=(f"He, L = {RECTIFIED.depth}, n = {RECTIFIED.width}, {RECTIFIED.seeds} nets: variance of the "
               "squared singular values over their mean squared. There is no gate after the last layer"),
        formula="L/p with p = ½, less 1/p - 1 of the last gate: 2L - 1", theirs=2 * RECTIFIED.depth - 1,
        tolerance=0.1, reason="4 standard errors: nets scatter by 6 %, and finite width",
        compute=_rectified, page="initializers",
        state={"initializers": ("he_normal", "orthogonal"), "depth": 4, "width": 128}, look="singular values",
    ),
    Claim(
        key="zero-weights",
        claim="If all weights are zero, only the output bias gets a gradient, so the net only guesses.",
        source="CS231n notes, part 2", address="https://cs231n.github.io/neural-networks-2/",
        setup=("digits, 5 layers: loss at the start, after 100 steps, and the largest squared gradient of "
               "a weight"),
        formula="ln 10", theirs=(math.log(10), math.log(10), 0),
        tolerance=(1e-6, 0.01, 0), absolute=True,
        reason="float32. The output bias learns that digits are not equally frequent", derived=True,
        compute=_zero_weights, page="training",
        state={"initializers": ("zeros",), "depth": 5, "width": 32, "steps": 300},
    ),
    Claim(
        key="chance-loss",
        claim="With small weights and ten classes the loss starts at 2.302.",
        source=CS231N, address=CS231N_AT,
        setup="digits, weights of 0.01: cross-entropy before the first step",
        formula="-ln 0.1", theirs=2.302,
        tolerance=0.001, absolute=True, reason="they cut digits off",
        compute=_small_weights, page="training",
        state={"initializers": ("small_normal",), "depth": 5, "width": 32, "steps": 300},
    ),
    Claim(
        key="update-ratio",
        claim="When learning goes well, a step changes a weight by about a thousandth.",
        source=CS231N, address=CS231N_AT,
        setup=(f"digits, He, 5 layers of 64, the best of η = {', '.join(map(str, RATES))}: median of log₁₀ "
               "|Δw|/|w|"),
        formula="10⁻³", theirs=-3.0,
        tolerance=1.0, absolute=True, reason="a rough heuristic, as they say themselves: its power of ten",
        compute=_update_ratio, page="training",
        state={"initializers": ("he_normal",), "depth": 5, "width": 64, "steps": 300, "learning_rate": 0.1},
    ),
)
