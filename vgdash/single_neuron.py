"""One neuron: z = sum of n terms w_i x_i, a = f(z). How large may a weight be?

The weights are independent with mean 0, so the cross terms E[w_i w_j] vanish and

    Var(z) = n Var(w) E[x^2],        E[x^2] = mean^2 + std^2,

for any mean and correlation of the inputs. For one neuron, that is for fixed weights, z varies over the
inputs by std^2 ((1 - rho) sum w_i^2 + rho (sum w_i)^2) around mean * sum w_i. Averaged over neurons, n Var(w)
std^2 lies within a neuron and n Var(w) mean^2 between neurons, the same for every input. Correlation keeps
both averages but makes neurons unequal, so that z is not Gaussian even for large n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS, Activation, any_activation
from vgdash.initializers import BASES, TRUNCATED_STD
from vgdash.params import Params, choice, integer, real
from vgdash.records import Record

WORK = 6_000_000  # weights drawn one by one in a call, about 0.2 s
SWEEP_WORK = 1_600_000  # the same for one point of a sweep
SWEEP_SAMPLES = 10_000
SWEEP_N = (1, 2, 4, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
CHUNK = 1 << 18  # weights in memory at a time, 1 MB
REACH, BINS = 4.5, 61  # the histogram spans +-4.5 predicted std; an odd number puts a bin on 0
FINE = 256  # steps of the numerical law in one bin, and bins in its period, +-19 std


RULES: dict[str, Callable[[int, int], float]] = {  # Var(w) from n inputs and n_out neurons in the layer
    "1": lambda n, n_out: 1.0,  # randn(shape) alone
    "0.01^2": lambda n, n_out: 1e-4,  # Krizhevsky et al. 2012
    "1/n": lambda n, n_out: 1 / n,  # LeCun et al. 1998; called Xavier in the lecture
    "2/n": lambda n, n_out: 2 / n,  # He et al. 2015 (arXiv 1502.01852)
    "2/(n_in+n_out)": lambda n, n_out: 2 / (n + n_out),  # Glorot & Bengio 2010; Xavier in the frameworks
}
_CUT = 2 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))  # 2 phi(2) / P(|g| < 2)
# E[w^4] / Var(w)^2
KURTOSIS = {"normal": 3.0, "uniform": 1.8, "truncated": (3 - 14 * _CUT) / TRUNCATED_STD**4}


@dataclass(frozen=True)
class NeuronParams(Params):
    """One neuron with ``n`` inputs, weights of ``rule`` and ``distribution``, multiplied by ``gamma``.

    Inputs are Gaussian, x_i = mean + std (sqrt(rho) s + sqrt(1 - rho) e_i), with a common part s and own
    parts e_i, so any two have ``correlation`` rho. ``n_out`` counts only in the rule 2/(n_in+n_out).
    ``samples`` pairs of weights and inputs are drawn from ``seed``; one seed gives every rule and gamma the
    same draw.
    """

    n: int = integer(4, 1, 100_000)
    rule: str = choice("1/n", RULES)
    activation: str = any_activation("linear")
    samples: int = integer(20_000, 100, 200_000)
    seed: int = integer(0, 0, 2**31 - 1)
    gamma: float = real(1.0, 0.01, 100)
    n_out: int = integer(4, 1, 100_000)
    distribution: str = choice("normal", KURTOSIS)
    mean: float = real(0.0, -10, 10)
    std: float = real(1.0, 0.01, 10)
    correlation: float = real(0.0, 0, 1)

    @property
    def x2(self) -> float:
        """E[x^2] of one input."""
        return self.mean**2 + self.std**2

    @property
    def weight_variance(self) -> float:
        """Var(w), gamma included."""
        return self.gamma**2 * RULES[self.rule](self.n, self.n_out)


@dataclass(frozen=True, eq=False)
class NeuronVariance(Record):
    """Var(z), E[a^2] and the distribution of z, predicted and measured; errors are one standard error.

    Variances are in the square of z's unit, densities per unit of z; arrays are ``(bins,)`` over the
    histogram.
    """

    params: NeuronParams
    samples: int  # pairs drawn: fewer than p.samples where n uniform or truncated weights cost too much
    predicted: float  # Var(z) = n Var(w) E[x^2], exact
    measured: float  # mean of z^2 over the samples; the mean of z is 0 by symmetry
    stderr: float  # of ``measured``, from the sample's fourth moment: z has heavier tails than a Gaussian
    predicted_a2: float  # E[f(z)^2] under the law of z; see ``a2_exact``
    measured_a2: float
    stderr_a2: float
    gaussian_a2: float  # E[f(z)^2] if z were Gaussian: the limit of many uncorrelated inputs
    a2_exact: bool  # False for bent f and weights that are not normal: a law wrong by O(1/n) stands in
    predicted_within: float  # n Var(w) std^2: variance over inputs for fixed weights, mean over weights
    measured_within: float
    stderr_within: float
    predicted_spread: float  # relative std over neurons of that variance; sqrt(2) rho for large n
    measured_spread: float
    stderr_spread: float
    shared: float  # mean^2/E[x^2], share of Var(z) common to all inputs; their correlation of z
    edges: np.ndarray  # (bins + 1,) of the histogram of z, +-4.5 predicted std
    density: np.ndarray  # measured, all samples counted
    density_stderr: np.ndarray  # expected, from ``predicted_density``: an empty bin has one too
    predicted_density: np.ndarray  # mean over the bin; exact for normal weights, wrong by O(1/n) for others
    gaussian_density: np.ndarray  # N(0, predicted) in the middle of the bin
    outside: float  # share of the samples beyond the edges
    edges_a: np.ndarray  # (bins + 1,) of the histogram of a = f(z): those of z, or what f makes of them
    density_a: np.ndarray  # of a over its edges, without those that are exactly 0
    predicted_density_a: np.ndarray  # the same from the law of z
    zero_a: float  # share of the samples with a = 0
    predicted_zero_a: float

    def frame(self) -> pd.DataFrame:
        """Return a table, one row a bin: z_low, z_high, measured, stderr, predicted, gaussian."""
        return pd.DataFrame({
            "z_low": self.edges[:-1], "z_high": self.edges[1:],
            "measured": self.density, "stderr": self.density_stderr,
            "predicted": self.predicted_density, "gaussian": self.gaussian_density})


@dataclass(frozen=True, eq=False)
class Example(Record):
    """One neuron as it is drawn: ``x`` and ``w``, ``(n,)``, z = w·x and a = f(z)."""

    x: np.ndarray
    w: np.ndarray
    z: float
    a: float


@dataclass(frozen=True, eq=False)
class VarianceSweep(Record):
    """Var(z) against the number of inputs, for every rule. One draw for each n serves all rules."""

    rules: tuple[str, ...]
    n: np.ndarray  # (points,)
    predicted: np.ndarray  # (rules, points) n Var(w) E[x^2]
    measured: np.ndarray  # (rules, points)
    stderr: np.ndarray  # (rules, points) of ``measured``; rough if ``samples`` is below 100
    samples: np.ndarray  # (points,) pairs of weights and inputs drawn

    def frame(self) -> pd.DataFrame:
        """Return a table, one row a rule and n: rule, n, predicted, measured, stderr, samples."""
        points, rules = len(self.n), len(self.rules)
        return pd.DataFrame({
            "rule": np.repeat(self.rules, points), "n": np.tile(self.n, rules),
            "predicted": self.predicted.ravel(), "measured": self.measured.ravel(),
            "stderr": self.stderr.ravel(), "samples": np.tile(self.samples, rules)})


def neuron_variance(p: NeuronParams) -> NeuronVariance:
    """Predict Var(z), E[a^2] and the distribution of z, and measure them on new weights and new inputs.

    For fixed weights z is exactly N(mean A, std^2 ((1 - rho) B + rho A^2)) with A = sum
    w_i and B = sum w_i^2, and for normal weights A and B have known laws: a sample costs the same for any n.
    Other weights are summed one by one, 1 MB at a time, and ``samples`` shrinks so that at most ``WORK`` are
    drawn. Memory stays below 40 MB. Source of the sums: He et al. 2015 (arXiv 1502.01852), section 2.2.
    """
    activation = ACTIVATIONS[p.activation]
    samples = _affordable(p, p.samples, WORK)
    z, within = _sample(p, samples)
    z *= math.sqrt(p.weight_variance)
    within *= p.weight_variance
    predicted, predicted_within = p.n * p.weight_variance * p.x2, p.n * p.weight_variance * p.std**2
    measured, stderr = _mean_and_error(z * z)
    a = activation.f(z)
    measured_a2, stderr_a2 = _mean_and_error(a**2)
    measured_within, stderr_within = _mean_and_error(within)
    unequal, unequal_stderr = _mean_and_error((within / predicted_within - 1) ** 2)
    spread = math.sqrt(unequal)
    law, binned = _law(p)
    root = math.sqrt(predicted)
    edges = np.linspace(-REACH, REACH, BINS + 1) * root
    width, middle = edges[1] - edges[0], (edges[1:] + edges[:-1]) / 2
    counts = np.histogram(z, edges)[0]
    expected = binned * (width / root)  # share of the samples in each bin
    foreseen = activation.f(_law_at(law) * root)
    edges_a = _edges_of_a(activation, edges)
    width_a = edges_a[1] - edges_a[0]
    return NeuronVariance(
        p, samples, predicted, measured, stderr,
        predicted_a2=_second_moment(activation, root, law), measured_a2=measured_a2, stderr_a2=stderr_a2,
        gaussian_a2=activation.second_moment(root),
        a2_exact=activation.homogeneous or p.distribution == "normal",
        predicted_within=predicted_within, measured_within=measured_within, stderr_within=stderr_within,
        predicted_spread=_spread(p), measured_spread=spread, stderr_spread=unequal_stderr / (2 * spread),
        shared=p.mean**2 / p.x2, edges=edges, density=counts / (samples * width),
        density_stderr=np.sqrt(expected * (1 - expected) / samples) / width, predicted_density=binned / root,
        gaussian_density=np.exp(-((middle / root) ** 2) / 2) / (root * math.sqrt(2 * math.pi)),
        outside=float(1 - counts.sum() / samples),
        edges_a=edges_a, density_a=np.histogram(a[a != 0], edges_a)[0] / (samples * width_a),
        predicted_density_a=np.histogram(foreseen, edges_a, weights=law * (foreseen != 0))[0] / width_a,
        zero_a=float((a == 0).mean()), predicted_zero_a=float(law[foreseen == 0].sum()),
    )


def _edges_of_a(activation: Activation, edges: np.ndarray) -> np.ndarray:
    """Return the edges of z where a = f(z) lies within them and fills a quarter; else edges around all f."""
    values = activation.f(np.linspace(edges[0], edges[-1], FINE * BINS + 1))
    low, high = float(values.min()), float(values.max())
    if low >= edges[0] and high <= edges[-1] and high - low > (edges[-1] - edges[0]) / 4:
        return edges
    reach = max((high - low) / 2 * (1 + 1e-9), 1e-6 * abs(high), 1e-12)  # with both ends; f may be constant
    return (low + high) / 2 + np.linspace(-reach, reach, BINS + 1)


def example(p: NeuronParams) -> Example:
    """Draw one neuron of ``p`` and one input, for a picture."""
    rng = np.random.default_rng([p.seed, p.n])
    shared, own = math.sqrt(p.correlation), math.sqrt(1 - p.correlation)
    x = p.mean + p.std * (shared * rng.standard_normal() + own * rng.standard_normal(p.n))
    w = BASES[p.distribution].draw(p.n, 1, rng, np.dtype(np.float64)).ravel() * math.sqrt(p.weight_variance)
    z = float(w @ x)
    return Example(x, w, z, float(ACTIVATIONS[p.activation].f(np.array([z]))[0]))


def variance_against_n(p: NeuronParams) -> VarianceSweep:
    """Predict and measure Var(z) for n from 1 to 100,000 and every rule.

    ``n``, ``rule`` and ``activation`` of ``p`` are ignored. At most 10,000 samples a point; uniform and
    truncated weights take fewer where n is large (``.samples``).
    """
    points = [replace(p, n=n) for n in SWEEP_N]
    samples = [_affordable(point, min(p.samples, SWEEP_SAMPLES), SWEEP_WORK) for point in points]
    squares = (_sample(point, count)[0] ** 2 for point, count in zip(points, samples, strict=True))
    unit, error = np.transpose([_mean_and_error(values) for values in squares])
    variance = np.array([[replace(point, rule=rule).weight_variance for point in points] for rule in RULES])
    return VarianceSweep(tuple(RULES), np.array(SWEEP_N), variance * SWEEP_N * p.x2, variance * unit,
                         variance * error, np.array(samples))


def _affordable(p: NeuronParams, samples: int, work: int) -> int:
    return samples if p.distribution == "normal" else min(samples, work // p.n)


def _sample(p: NeuronParams, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw z of new weights and inputs, and its variance over inputs, ``(samples,)`` both, for Var(w) = 1."""
    # keyed by n too, so that the points of a sweep are independent and one of them is this very sample
    rng = np.random.Generator(np.random.SFC64([p.seed, p.n]))
    total, squares = (_normal_sums if p.distribution == "normal" else _summed)(p, samples, rng)
    within = p.std**2 * ((1 - p.correlation) * squares + p.correlation * total**2)
    z = rng.standard_normal(samples)
    z *= np.sqrt(within)
    z += p.mean * total
    return z, within


def _normal_sums(p: NeuronParams, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw sum w_i = sqrt(n) g and sum w_i^2 = g^2 + chi-square with n - 1 degrees, for standard normals."""
    g = rng.standard_normal(samples)
    rest = 2 * rng.standard_gamma((p.n - 1) / 2, samples)
    return math.sqrt(p.n) * g, g * g + rest


def _summed(p: NeuronParams, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw weights, ``CHUNK`` of them at a time, and return sum w_i and sum w_i^2."""
    total, squares = np.empty(samples), np.empty(samples)
    ones = np.ones(p.n, np.float32)
    step = max(1, CHUNK // p.n)
    for start in range(0, samples, step):
        part = slice(start, min(start + step, samples))
        weights = BASES[p.distribution].draw(part.stop - start, p.n, rng, np.dtype(np.float32))  # (n, part)
        total[part] = ones @ weights
        weights *= weights
        squares[part] = ones @ weights
    return total, squares


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def _spread(p: NeuronParams) -> float:
    """Return the relative std over weights of the variance over inputs, from the moments of w."""
    kurtosis, rho2 = KURTOSIS[p.distribution], p.correlation**2
    return math.sqrt((1 - rho2) * (kurtosis - 1) / p.n + rho2 * (2 + (kurtosis - 3) / p.n))


def _law(p: NeuronParams) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact law of z/std(z) for normal weights: probabilities on a fine grid, mean density by bin.

    Given the inputs, z is N(0, Var(w) |x|^2), so its characteristic function is E exp(-t^2 Var(w) |x|^2 / 2).
    |x|^2 is the square of a Gaussian along (1, …, 1)/sqrt(n), mean sqrt(n)·mean and variance std^2 (1 - rho +
    n rho), plus std^2 (1 - rho) times a chi-square with n - 1 degrees. One real FFT gives the law.
    """
    bin_width = 2 * REACH / BINS
    points = FINE * FINE
    t = np.arange(points // 2 + 1) * (2 * math.pi / (FINE * bin_width))
    y = t * t / (p.n * p.x2)
    own = p.std**2 * (1 - p.correlation)
    along = own + p.n * p.std**2 * p.correlation
    characteristic = np.exp(-(p.n - 1) / 2 * np.log1p(own * y) - np.log1p(along * y) / 2
                            - p.n * p.mean**2 * y / (2 * (1 + along * y)))
    averaged = np.fft.irfft(characteristic * np.sinc(t * bin_width / (2 * math.pi)), points)
    centres = (np.arange(BINS) - BINS // 2) * FINE
    return np.fft.irfft(characteristic, points), np.maximum(averaged[centres] * (FINE / bin_width), 0)


def _second_moment(activation: Activation, root: float, law: np.ndarray) -> float:
    """Return E[f(z)^2], exactly or over the fine grid of ``_law``, whose second half is the negative one."""
    if activation.homogeneous:
        return root**2 / activation.forward_gain**2
    return float(law @ activation.f(_law_at(law) * root) ** 2)


def _law_at(law: np.ndarray) -> np.ndarray:
    """Return the places of ``law``, in units of std(z)."""
    return np.fft.fftfreq(len(law)) * len(law) * (2 * REACH / BINS / FINE)
