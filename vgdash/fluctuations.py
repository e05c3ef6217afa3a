"""Finite width: how far the second moments of one random net scatter around the mean field, to first order in 1/width.

Given the layers before it, every unit of a layer is an independent draw, so each layer adds noise of order 1/width to ln q:

    ReLU: relative variance of the mean of f(z)² over n units is 5/n        (E[f⁴]/E[f²]² - 1 = 5)
    and backwards of f'(z)² g², g Gaussian, 5/n too                         (3 E[f'⁴]/E[f'²]² - 1 = 5)

which is ln ~ N(-β/2, β), β = 5 Σ 1/n of Hanin & Nica 2020 (arXiv 1812.05994), and 2 Σ 1/n for a linear net. Another
activation damps or amplifies the noise of the layers before it by d ln E[f²]/d ln q, and shifts the gradient by d ln E[f'²]/d ln q.
Inputs of one batch share the weights, so their noise is correlated: the mean over a batch scatters less than one input.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from vgdash.activations import Activation
from vgdash.gaussian import COARSE, MASSES, NODES, pair_mean, pair_nodes
from vgdash.maps import two_rays
from vgdash.network import ProbeParams

__all__ = ["Band", "band"]

# Half the nodes leave 1e-6, plenty for a band.
_NODES, _MASSES = NODES[::2], 2 * MASSES[::2]
_LARGEST = 9.0  # |ln q| beyond which f is its own power law to a percent
_DIGITS = 2  # of ln q and of the cosine: layers that agree in these share their integrals, to a percent


@dataclass(frozen=True, eq=False)
class Band:
    """ln of a seed's statistic minus ln of the mean field ~ N(mean, variance); read-only ``(depth,)``, entry l - 1 is layer l."""

    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class _One:
    """Gaussian averages of one input by layer, each ``(depth,)``, z ~ N(0, q). The last three are relative (co)variances."""

    power: np.ndarray  # J = d ln E[f²] / d ln q
    power_bend: np.ndarray  # dJ / d ln q
    slope: np.ndarray  # S = d ln E[f'²] / d ln q
    slope_bend: np.ndarray  # dS / d ln q
    overlap: np.ndarray  # E[z f f']² / (q E[f²] E[f'²])
    spread: np.ndarray  # E[z² f'²] / (q E[f'²])
    ratio: np.ndarray  # q E[f'²] / E[f²]
    forward: np.ndarray  # f² with itself
    backward: np.ndarray  # f'² g² with itself, g ~ N(0, 1)
    across: np.ndarray  # f² with f'² g²


@dataclass(frozen=True, eq=False)
class _Two:
    """Averages over two inputs u, v by layer, each ``(depth,)``, divided by those of one input."""

    value: np.ndarray  # E[f f] / E[f²]
    slope: np.ndarray  # E[f' f'] / E[f'²]
    cubes: np.ndarray  # E[f³ f] / E[f²]²
    forward: np.ndarray  # E[f² f²] / E[f²]²
    backward: np.ndarray  # E[f'² f'²] / E[f'²]²
    across: np.ndarray  # E[f² f'²] / (E[f²] E[f'²])


def band(p: ProbeParams, activation: Activation, log_q: np.ndarray, cosine: np.ndarray, share: np.ndarray) -> tuple[Band, Band]:
    """Bands of ln q and of ln grad2, both means over the batch.

    ``log_q``, ``cosine`` (of two inputs) and ``share`` (of the weights in q, the bias gives the rest) are the mean field's,
    ``(depth,)``. Layer l's noise ε[l] in E[f²] reaches ln q of the layers after it, x[l+1] = share (J[l] x[l] + ε[l]), and through
    it E[f'²] there; noise η[l] in f'² g² reaches the gradient of all layers up to l.
    """
    log_q = np.zeros(p.depth) if two_rays(activation) else np.clip(log_q, -_LARGEST, _LARGEST)  # rays look alike at every scale
    one = _shared(_One, _one_input, activation, p.keep, log_q)
    at_cosine = _shared(_Two, _two_inputs, activation, p.keep, log_q, cosine)
    variance, returned2 = _cosines(p, one, at_cosine, cosine, share)
    aside = np.minimum(np.sqrt(variance), 1 - cosine)
    left, right = (_shared(_Two, _two_inputs, activation, p.keep, log_q, cosine + step) for step in (-aside, aside))
    two = _Two(*((getattr(left, f.name) + getattr(right, f.name)) / 2 for f in fields(_Two)))  # mean over ±, the curvature's part
    forward, backward, across, measured = _noise(p, one, two, cosine**2 + aside**2, returned2, share)

    width = np.array(p.widths, dtype=np.float64)
    # (2, depth), column k: noise ε[k] of what layer k + 1 receives; the input's own comes first
    source = np.concatenate([[[2.0], [0.0]], forward[:, :-1]], axis=1) / width[:-1]
    path = _path(one.power, share)
    x_variance = path**2 @ source[0]
    x_mean = _mean_of_log(one, share, source[0], x_variance)
    q = _both(path**2 @ source.T + (measured / width[1:]).T, p.batch)
    band_q = _band(x_mean - measured[0] / width[1:] / 2, *q)

    inner = slice(0, p.depth - 1)  # layers whose f' the gradient passes, l to L - 1
    reach = _from_the_top((one.slope[:, None] * path)[inner])  # (depth, depth): ε[k] → ln grad2[l]
    cotangent = np.array([2 / width[-1], 0.0])
    own = _from_the_top((backward / width[1:]).T[inner]) + cotangent
    met = np.triu(reach[:, 1:])  # noise ε[k], k ≥ l, comes from the same z as η[k]
    variance = reach**2 @ source.T + 2 * met @ (across / width[1:]).T[inner] + own
    shift = one.slope * x_mean + one.slope_bend * x_variance / 2 - backward[0] / width[1:] / 2
    shift[inner] += _coherence(one, share)[inner] / width[1:-1]
    return band_q, _band(_from_the_top(shift[inner, None])[:, 0] - 1 / width[-1], *_both(variance, p.batch))


def _cosines(p: ProbeParams, one: _One, two: _Two, cosine: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the cosine of two inputs' z by layer, and mean squared cosine of their gradients coming from the layer above.

    Finite width makes even unrelated vectors of n numbers share a squared cosine of 1/n, and the layers add to it. To second
    order in 1/width, yet in a large batch of unrelated inputs it is most of what is left.
    """
    kept, returned = _kept(p, share)
    value = p.keep * two.value
    slope = p.keep * one.ratio * two.slope
    noise = (two.forward - value**2 - 2 * value * (two.cubes - value) + value**2 * (one.forward + two.forward - 1) / 2
             - kept * (slope * (1 - cosine**2)) ** 2)
    variance = np.empty(p.depth)
    variance[0] = share[0] ** 2 / p.widths[0]
    for layer in range(1, p.depth):
        carried = slope[layer - 1] ** 2 * variance[layer - 1] + max(0.0, noise[layer - 1]) / p.widths[layer]
        variance[layer] = share[layer] ** 2 * carried
    back = np.empty(p.depth)
    back[-1] = 1 / p.widths[-1]
    for layer in range(p.depth - 2, -1, -1):
        passed = (p.keep * two.slope[layer + 1]) ** 2
        fresh = max(0.0, two.backward[layer + 1] - returned[layer + 1] * passed) / p.widths[layer + 2]
        back[layer] = back[layer + 1] if layer == p.depth - 2 else passed * back[layer + 1] + fresh
    return variance, np.minimum(1.0, back)


def _kept(p: ProbeParams, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which part of lengths and angles orthogonal weights keep, forward and backward; 0 for independent weights."""
    if p.initializer != "orthogonal":
        return np.zeros(p.depth), np.zeros(p.depth)
    fan_in, fan_out = np.array(p.widths[:-1]), np.array(p.widths[1:])
    return share**2 * np.minimum(1, fan_out / fan_in), np.append(np.minimum(1, fan_out[:-1] / fan_out[1:]), 1.0)


def _noise(p, one: _One, two: _Two, cosine2, returned2, share) -> tuple[np.ndarray, ...]:
    """Relative covariances times the width, each ``(2, depth)``: of one input with itself, and of two inputs.

    For f² with f², f'² g² with f'² g², f² with f'² g², z² with z². What lies along z² and g² is no noise if lengths are kept.
    """
    kept, returned = _kept(p, share)
    lengths = 2 * np.stack([np.ones_like(cosine2), cosine2])
    gradients = 2 * np.stack([np.ones_like(returned2), returned2])
    forward = np.stack([one.forward, two.forward - 1])
    backward = np.stack([one.backward, two.backward * (1 + gradients[1]) - 1])
    across = np.stack([one.across, two.across - 1])
    return (forward - one.power**2 * kept * lengths, backward - one.slope**2 * kept * lengths - returned * gradients,
            across - one.power * one.slope * kept * lengths, lengths * (1 - kept))


def _both(variances: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """The variance of one input, and of the mean over the batch, from columns (one input, two inputs)."""
    one, two = variances.T
    return one, one / batch + (1 - 1 / batch) * two


def _band(mean: np.ndarray, one: np.ndarray, batch: np.ndarray) -> Band:
    # ln of a mean lies above the mean of the ln by half of the variance that averaging removes
    mean = mean + (one - batch) / 2
    batch = np.maximum(batch, 0.0)  # first order in 1/width can fall below 0 where orthogonal weights leave almost no scatter
    mean.flags.writeable = batch.flags.writeable = False
    return Band(mean, batch)


def _path(power: np.ndarray, share: np.ndarray) -> np.ndarray:
    """``(depth, depth)``: what noise ε[k], k = 0 … L - 1, adds to ln q of layer l = 1 … L."""
    path = np.zeros((len(power), len(power)))
    path[0, 0] = share[0]
    for layer in range(1, len(power)):
        path[layer] = path[layer - 1] * power[layer - 1] * share[layer]
        path[layer, layer] = share[layer]
    return path


def _mean_of_log(one: _One, share: np.ndarray, source: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean of x[l], to second order in the noise: ln bends, and so does ln E[f²] as a function of ln q."""
    mean = np.empty(len(share))
    above, spread = 0.0, 0.0
    for layer in range(len(share)):
        if layer:
            power = one.power[layer - 1]
            above = power * mean[layer - 1] + one.power_bend[layer - 1] * variance[layer - 1] / 2
            spread = power**2 * variance[layer - 1]
        noise = source[layer]
        mean[layer] = share[layer] * (above - noise / 2) + share[layer] * (1 - share[layer]) * (spread + noise) / 2
    return mean


def _from_the_top(rows: np.ndarray) -> np.ndarray:
    """Sums over layers l … L - 1 for l = 1 … L: the last one is empty."""
    return np.concatenate([np.cumsum(rows[::-1], axis=0)[::-1], np.zeros((1, rows.shape[1]))])


def _coherence(one: _One, share: np.ndarray) -> np.ndarray:
    """Mean shift, times the width, because W[l+1] that carries the gradient back is the one that made z[l+1].

    Given z = W a, Wᵀ δ has the part a (z·δ)/|a|² along a. With t = E[(z·δ)²]/(width q grad2) this is 1/width of the gradient if
    t = 1, as it is for f made of two rays (z·δ is then the same in all layers), and a shift (t - 1)/width otherwise.
    """
    excess = np.zeros(len(share))  # t - 1; 0 at the last layer, where δ is drawn independently
    for layer in range(len(share) - 2, -1, -1):
        excess[layer] = one.spread[layer] - 1 + share[layer + 1] * one.overlap[layer] * excess[layer + 1]
    return np.append((one.across[:-1] + 1) * share[1:] * excess[1:], 0.0)


def _shared(record, integrals, activation: Activation, keep: float, *columns: np.ndarray):
    """A record of integrals for all layers, computed once for layers that are alike."""
    different, which = np.unique(np.round(np.stack(columns), _DIGITS), axis=1, return_inverse=True)
    return record(*(values[which] for values in integrals(activation, keep, *different)))


def _one_input(activation: Activation, keep: float, log_q: np.ndarray) -> tuple[np.ndarray, ...]:
    s = np.exp(log_q / 2)[:, None]
    f, df = activation.f(s * _NODES) / s, activation.df(s * _NODES)
    squares, slopes = f**2, df**2
    f2, df2 = squares @ _MASSES, slopes @ _MASSES
    power, power_bend = _log_derivatives(squares / f2[:, None])
    slope, slope_bend = _log_derivatives(slopes / df2[:, None])
    return (power, power_bend, slope, slope_bend, ((f * df * _NODES) @ _MASSES) ** 2 / (f2 * df2),
            (slopes * _NODES**2) @ _MASSES / df2, df2 / f2, squares**2 @ _MASSES / f2**2 / keep - 1,
            3 * slopes**2 @ _MASSES / df2**2 / keep - 1, (squares * slopes) @ _MASSES / (f2 * df2) / keep - 1)


def _two_inputs(activation: Activation, keep: float, log_q: np.ndarray, cosine: np.ndarray) -> tuple[np.ndarray, ...]:
    """Dropout draws a mask for each input, so ``keep`` cancels."""
    s = np.exp(log_q / 2)
    u, v, *weights = pair_nodes(cosine, s, COARSE)
    f_u, f_v, df_u, df_v = (g(x) for g in (activation.f, activation.df) for x in (u, v))
    s = s[:, None]
    f2, df2 = activation.f(s * _NODES) ** 2 @ _MASSES, activation.df(s * _NODES) ** 2 @ _MASSES
    values, slopes = f_u * f_v, df_u * df_v
    products = ((values, f2), (slopes, df2), (values * (f_u**2 + f_v**2) / 2, f2**2), (values**2, f2**2), (slopes**2, df2**2),
                (((f_u * df_v) ** 2 + (f_v * df_u) ** 2) / 2, f2 * df2))
    return tuple(pair_mean(product, *weights) / norm for product, norm in products)


def _log_derivatives(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of ln E[h(√q z)] in ln q, from values = h/E[h]; by parts, so that h may have kinks."""
    z2 = _NODES**2
    first = values @ (_MASSES * (z2 - 1) / 2)
    return first, values @ (_MASSES * (z2**2 - 4 * z2 + 1) / 4) - first**2
