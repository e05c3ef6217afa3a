"""Claims that are measured on nets drawn now: finite width, normalization, skip connections, Jacobians, training."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from vgdash.jacobian import jacobian_spectrum
from vgdash.layers import Tape, forward
from vgdash.network import ProbeParams, build, probe
from vgdash.published.records import Claim
from vgdash.training import TrainParams, train

__all__ = ["NETS"]

HANIN_NICA_AT = "https://arxiv.org/abs/1812.05994"
PENNINGTON = "Pennington, Schoenholz & Ganguli 2017, Resurrecting the sigmoid"
PENNINGTON_AT = "https://arxiv.org/abs/1711.04735"
DE_SMITH = "De & Smith 2020, Batch normalization biases residual blocks"
DE_SMITH_AT = "https://arxiv.org/abs/2002.10444"
CS231N = "CS231n notes, Neural networks part 3"
CS231N_AT = "https://cs231n.github.io/neural-networks-3/"
DEPTH, WIDTH, DRAWS = 10, 50, 250
BETA = 5 * DEPTH / WIDTH
RELU_GAIN = math.exp(1.2 / (max(WIDTH, 6) - 2.4))  # over √2
NORMALIZED = ProbeParams.uniform(12, 256, "relu", "he_normal", batch=128, seeds=2, normalization="batch")
SCALED = ProbeParams.uniform(101, 128, "relu", "he_normal", batch=8, seeds=8, residual="scaled")
PLAIN = ProbeParams.uniform(21, 128, "relu", "he_normal", batch=8, seeds=8, residual="plain")
LINEAR = ProbeParams.uniform(4, 128, "linear", "lecun_normal", seeds=4)
RECTIFIED = ProbeParams.uniform(4, 128, "relu", "he_normal", seeds=8)
RATES = (0.001, 0.01, 0.1)
LEARNER = {"depth": 5, "width": 64, "initializers": ("he_normal",), "steps": 300, "snapshots": 12}


@cache
def _growth(gamma: float) -> np.ndarray:
    """ln |a[L]|²/|x|² of ``DRAWS`` ReLU nets with He weights times ``gamma``, for each net the mean over its four inputs."""
    p = ProbeParams.uniform(DEPTH, WIDTH, "relu", "he_normal", gamma=gamma, batch=4)
    tape = Tape(p.widths, p.batch)
    logs = np.empty((DRAWS, p.batch))
    for draw in range(DRAWS):
        net, x, _ = build(p, draw)
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
    return next(train(TrainParams.uniform(5, 32, initializers=("small_normal",), steps=1, snapshots=1))).loss.item()


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
    one, ten = (probe(ProbeParams.uniform(3, 128, "relu", "he_normal", normalization="batch", seeds=1, gamma=gamma)) for gamma in (1.0, 10.0))
    return float((ten.q / one.q)[0, 1]), float((ten.dw2 / one.dw2)[0, 1])


def _unit_variance():
    q = probe(ProbeParams.uniform(20, 128, "tanh", "orthogonal", rescale="lsuv", seeds=1)).q
    return float(q.min()), float(q.max())


def _zero_branches():
    found = probe(ProbeParams.uniform(50, 64, "relu", "he_normal", residual="zero", seeds=1))
    return float(found.q[0, -1] / found.q[0, 0]), float(found.grad2[0, 0] / found.grad2[0, -1])


NETS: tuple[Claim, ...] = (
    Claim("finite-width-relu", "He keeps the mean of the squared norm; its logarithm walks downhill and spreads.",
          "Hanin & Nica 2018, Products of many large random matrices, Corollary 3", HANIN_NICA_AT,
          f"ReLU, He, L = {DEPTH}, n = {WIDTH}, {DRAWS} nets: mean and variance of ln |a[L]|²/|x|²", "N(-β/2, β), β = 5 Σ 1/n", (-BETA / 2, BETA),
          (4 * math.sqrt(BETA / DRAWS), 4 * BETA * math.sqrt(2 / DRAWS)), "4 standard errors", _finite_width,
          "initializers", {"initializers": ("he_normal",), "depth": DEPTH, "width": WIDTH, "seeds": 32}, absolute=True),
    Claim("random-walk-relu", "A gain a little above √2 keeps the log of the norm of a ReLU net from drifting.",
          "Sussillo & Abbott 2014, Random walk initialization", "https://arxiv.org/abs/1412.6558",
          f"N = {WIDTH}, L = {DEPTH}, {DRAWS} nets: drift of ln |a|² a layer (-0.05 with √2)", "g = √2·exp(1.2/(max(N, 6) - 2.4))", 0.0,
          4 * math.sqrt(BETA / DRAWS) / DEPTH, "4 standard errors", _random_walk,
          "initializers", {"initializers": ("he_normal",), "gamma": round(RELU_GAIN, 4), "depth": DEPTH, "width": WIDTH, "seeds": 32}, absolute=True),
    Claim("batchnorm-gradients", "Batch normalization with ReLU makes gradients explode.",
          "Yang et al. 2019, A mean field theory of batch normalization", "https://arxiv.org/abs/1902.08129",
          "12 layers of 256, batch 128, 2 nets: factor of the squared gradient a layer", "π/(π - 1)", math.pi / (math.pi - 1), 0.025,
          "4 standard errors over 8 layers (√(5/256/8/2) each), and 2/width", _batch_normalized,
          "initializers", {"initializers": ("he_normal",), "normalization": "batch", "depth": 30}),
    Claim("residual-variance", "Skip connections without normalization double the variance; branches scaled by 1/√L stop at e.",
          DE_SMITH, DE_SMITH_AT, "ReLU, He, width 128, 8 nets: log₂ of the growth a plain branch; growth over 100 scaled branches",
          "2^l; (1 + 1/L)^L", (1, 1.01**100), (0.04, 0.35), "4 standard errors: β = 5 Σ 1/n shared over 8 nets", _residual,
          "initializers", {"initializers": ("he_normal",), "residual": "scaled", "depth": 101, "width": 128}),
    Claim("rezero", "Branches that start at zero leave signal and gradient exactly as they are.",
          "Bachlechner et al. 2020, ReZero is all you need", "https://arxiv.org/abs/2003.04887",
          "50 layers: E[z²] of the last over the first, squared gradient of the first over the last", "z[l] = z[l-1] + 0·F", (1, 1), 1e-6,
          "float32", _zero_branches, "initializers", {"initializers": ("he_normal",), "residual": "zero"}),
    Claim("batchnorm-scale", "Under batch normalization larger weights change nothing forward, and get smaller gradients.",
          "Ioffe & Szegedy 2015, Batch normalization, section 3.3", "https://arxiv.org/abs/1502.03167",
          "weights times 10: ratio of E[z²], ratio of E[(∂C/∂W)²]", "BN(aWu) = BN(Wu); ∂/∂(aW) = (1/a) ∂/∂W", (1, 0.01), 1e-4,
          "the 10⁻⁵ that is added to the variance", _scale_invariance,
          "initializers", {"initializers": ("he_normal",), "normalization": "batch", "gamma": 10.0, "depth": 10}),
    Claim("lsuv", "Layer by layer the output can be given the variance 1, whatever the activation.",
          "Mishkin & Matas 2016, All you need is a good init", "https://arxiv.org/abs/1511.06422",
          "orthogonal weights, tanh, 20 layers: smallest and largest E[z²]", "W ← W/std(W a)", (1, 1), 0.002,
          "E[z²] has the square of the mean in it, some 1/(batch·width)", _unit_variance,
          "initializers", {"activation": "tanh", "initializers": ("orthogonal",), "rescale": "lsuv", "depth": 20}),
    Claim("orthogonal-isometry", "Orthogonal weights make a linear net a rotation: every singular value is 1.",
          PENNINGTON, PENNINGTON_AT, "50 layers of 64: smallest and largest singular value of the input-output Jacobian", "JᵀJ = 1", (1, 1), 5e-6,
          "weights are float32", _orthogonal, "initializers", {"activation": "linear", "initializers": ("orthogonal",), "width": 64}),
    Claim("gaussian-singular-values", "Gaussian weights of the same size do not: singular values spread with depth.",
          PENNINGTON, PENNINGTON_AT, f"linear, L = {LINEAR.depth}, n = {LINEAR.width}, {LINEAR.seeds} nets: variance and maximum of the squared singular values",
          "L; (L + 1)^(L+1)/L^L", (4, 5**5 / 4**4), (0.15, 0.1), "finite width: the edge of the spectrum is n^(-2/3) wide, 4 % here", _gaussian,
          "initializers", {"activation": "linear", "initializers": ("lecun_normal", "orthogonal"), "depth": 4, "width": 128}),
    Claim("relu-singular-values", "ReLU cannot be a rotation: half of its gates are shut, and that adds to the spread.",
          PENNINGTON, PENNINGTON_AT, f"He, L = {RECTIFIED.depth}, n = {RECTIFIED.width}, {RECTIFIED.seeds} nets: variance of the squared singular values over"
          " their mean squared; no gate after the last layer", "L/p with p = ½, less 1/p - 1 of the last gate: 2L - 1", 2 * RECTIFIED.depth - 1, 0.2,
          "finite width and 8 nets", _rectified, "initializers", {"initializers": ("he_normal", "orthogonal"), "depth": 4, "width": 128}),
    Claim("zero-weights", "With weights of zero nothing but the output bias has a gradient, so the loss stays at guessing.",
          "CS231n notes, Neural networks part 2: all zero initialization", "https://cs231n.github.io/neural-networks-2/",
          "digits, 5 layers: loss at the start, after 100 steps, and the largest squared gradient of a weight", "ln 10",
          (math.log(10), math.log(10), 0), (1e-6, 0.01, 0), "float32; the output bias learns that digits are not equally frequent", _zero_weights,
          "training", {"initializers": ("zeros",), "depth": 5, "width": 32, "steps": 300}, absolute=True, derived=True),
    Claim("chance-loss", "Small weights and ten classes: the loss starts at 2.302.",
          CS231N, CS231N_AT, "digits, weights of 0.01: cross-entropy before the first step", "-ln 0.1", 2.302, 0.001, "they cut digits off", _small_weights,
          "training", {"initializers": ("small_normal",), "depth": 5, "width": 32, "steps": 300}, absolute=True),
    Claim("update-ratio", "Where learning goes well, an update is about a thousandth of the weight.",
          CS231N, CS231N_AT, f"digits, He, 5 layers of 64, the best of η = {', '.join(map(str, RATES))}: median of log₁₀ |Δw|/|w|", "10⁻³", -3.0, 1.0,
          "a rough heuristic, as they say themselves: its power of ten", _update_ratio,
          "training", {"initializers": ("he_normal",), "depth": 5, "width": 64, "steps": 300, "learning_rate": 0.1}, absolute=True),
)
