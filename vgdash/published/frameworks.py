"""Claims of frameworks and courses: the weights of an initializer, and their effect on one layer."""

from __future__ import annotations

import math

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.published.records import Claim
from vgdash.quadrature import MASSES, NODES
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.theory.layerwise import predict

PYTORCH_AT = "https://docs.pytorch.org/docs/stable/nn.init.html"
KERAS_AT = "https://keras.io/api/layers/initializers/"
FASTAI = "fast.ai course, notebook 02b"
FASTAI_AT = "https://github.com/fastai/course-v3/blob/master/nbs/dl2/02b_initializing.ipynb"
CS231N_SLIDES = "CS231n 2017, lecture 6"
CS231N_SLIDES_AT = "http://cs231n.stanford.edu/slides/2017/cs231n_2017_lecture6.pdf"
GAINS = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
SCALED = {"relu": 1.7139588594436646, "leaky_relu": 1.70590341091156, "elu": 1.2716004848480225,
          "selu": 1.0008515119552612, "gelu": 1.7015043497085571, "silu": 1.7881293296813965,
          "softplus": 1.9203323125839233, "softsign": 2.338853120803833, "tanh": 1.5939117670059204,
          "sigmoid": 4.803835391998291}
DRAWN = (1000, 1000)  # fan_in and fan_out of a drawn matrix: a million entries
LARGEST = 2e-5  # the largest of a million uniform entries is a millionth below the bound; odds of e^-20


def _weights(name: str, fan_in: int, fan_out: int) -> np.ndarray:
    return INITIALIZERS[name].draw(fan_in, fan_out, np.random.default_rng(0)).astype(np.float64)


def _largest(name: str, fan_in: int, fan_out: int) -> float:
    return float(np.abs(_weights(name, fan_in, fan_out)).max())


def _framework_gains():
    return tuple(ACTIVATIONS[name].framework_gain for name in GAINS)


def _rectifier_gains():
    return tuple(ACTIVATIONS[name].forward_gain for name in ("relu", "leaky_relu"))


def _truncated():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    std = math.sqrt(1 - 4 * density / math.erf(math.sqrt(2)))
    weights = _weights("glorot_normal", *DRAWN)
    return std, weights.var() * sum(DRAWN) / 2, np.abs(weights).max() / weights.std()


def _torch_linear():
    q = predict(ProbeParams.uniform(50, 512, "relu", "pytorch_default")).q
    weights, n = _weights("pytorch_default", *DRAWN), DRAWN[0]
    return (weights.var() * n, float(np.abs(weights).max()) * math.sqrt(n), (q[2] - q[1]) / (q[1] - q[0]),
            q[-1])


def _playground():
    weights = _weights("playground_default", *DRAWN)
    return float(np.abs(weights).max()), float(weights.var())


def _standard_deviations():
    """1/√Var(f(z)), z ~ N(0, 1): the factor that makes the output's variance 1."""
    f = {name: ACTIVATIONS[name].f(NODES) for name in SCALED}
    return tuple(1 / math.sqrt(values**2 @ MASSES - (values @ MASSES) ** 2) for values in f.values())


def _glorot_dilemma():
    found = predict(ProbeParams((256, 256, 64), "linear", "glorot_normal"))
    forward, backward = found.q[1] / found.q[0], found.grad2[0] / found.grad2[1]
    return forward, backward, (forward + backward) / 2


def _one_layer():
    found = neuron_variance(NeuronParams(n=512, rule="1", activation="relu"))
    return found.predicted, found.predicted_a2


def _kaiming_layer():
    found = predict(ProbeParams.uniform(1, 512, "relu", "he_normal"))
    return found.a_mean[0], math.sqrt(found.a2[0])


def _he_layer():
    mean, rms = _kaiming_layer()
    return mean, math.sqrt(rms**2 - mean**2)


def _small_tanh():
    return tuple(np.sqrt(predict(ProbeParams.uniform(5, 500, "tanh", "small_normal")).a2))


def _nielsen():
    standard = neuron_variance(NeuronParams(n=501, rule="1")).measured
    scaled = neuron_variance(NeuronParams(n=1000, rule="1/n", std=math.sqrt(0.5))).measured
    return math.sqrt(standard), math.sqrt(scaled + 1)


FRAMEWORKS: tuple[Claim, ...] = (
    Claim(
        key="pytorch-gains",
        claim="PyTorch lists these gains.",
        source="PyTorch documentation, gains", address=PYTORCH_AT,
        setup="linear, sigmoid, tanh, ReLU, leaky ReLU (slope 0.01), SELU",
        formula="the gain of each activation",
        theirs=(1, 1, 5 / 3, math.sqrt(2), math.sqrt(2 / (1 + 0.01**2)), 3 / 4),
        tolerance=1e-15, reason="exact, up to float64",
        compute=_framework_gains, page="initializers",
        state={"activation": "leaky_relu", "initializers": ("lecun_normal", "he_normal")},
    ),
    Claim(
        key="rectifier-gains",
        claim="The gains of ReLU and leaky ReLU follow from keeping the mean square.",
        source="He et al. 2015, eq. 10 and 15", address="https://arxiv.org/abs/1502.01852",
        setup="1/√E[f²] by quadrature: ReLU; leaky ReLU with slope a = 0.01",
        formula="½(1 + a²)·n·Var(w) = 1", theirs=(math.sqrt(2), math.sqrt(2 / (1 + 0.01**2))),
        tolerance=1e-9, reason="quadrature",
        compute=_rectifier_gains, page="neuron_variance",
        state={"activation": "relu", "rule": "2/n", "n": 1000},
    ),
    Claim(
        key="pytorch-kaiming-uniform",
        claim="Uniform He weights lie within ±√(6/nᵢₙ).",
        source="PyTorch documentation, Kaiming uniform", address=PYTORCH_AT,
        setup="fan-in 512: the largest of a million weights",
        formula="√(6/((1 + a²)·nᵢₙ)), a = 0", theirs=math.sqrt(6 / 512),
        tolerance=LARGEST, reason="the largest of a million draws falls short of the bound by a millionth",
        compute=lambda: _largest("he_uniform", 512, 2000), page="initializers",
        state={"initializers": ("he_normal", "he_uniform")},
    ),
    Claim(
        key="keras-glorot-uniform",
        claim="Uniform Glorot weights, the default of Keras, lie within ±√(6/(nᵢₙ + nₒᵤₜ)).",
        source="Keras, GlorotUniform", address=KERAS_AT,
        setup="fan-in 300, fan-out 3000: the largest of 900,000 weights",
        formula="√(6/(nᵢₙ + nₒᵤₜ))", theirs=math.sqrt(6 / 3300),
        tolerance=LARGEST, reason="the largest of a million draws falls short of the bound by a millionth",
        compute=lambda: _largest("glorot_uniform", 300, 3000), page="initializers",
        state={"initializers": ("glorot_normal", "glorot_uniform"), "activation": "tanh"},
    ),
    Claim(
        key="keras-truncated",
        claim="Glorot normal cuts the normal distribution at ±2, and corrects the variance for that.",
        source="Keras, VarianceScaling", address=KERAS_AT,
        setup=("std of a standard normal cut at ±2; Var(w)·(nᵢₙ + nₒᵤₜ)/2 of a million draws; "
               "largest of them in standard deviations"),
        formula="stddev = √(scale/n) / 0.87962566103423978",
        theirs=(0.87962566103423978, 1, 2 / 0.87962566103423978),
        tolerance=(1e-15, 0.004, 0.003), reason="exact; 4 standard errors, and rare entries at the cut",
        compute=_truncated, page="initializers", state={"initializers": ("lecun_normal", "glorot_normal")},
    ),
    Claim(
        key="pytorch-linear",
        claim=("PyTorch's default for nn.Linear has a third of LeCun's variance. In a ReLU net each layer "
               "leaves a sixth of the signal, until only the biases are left."),
        source="PyTorch, torch.nn.Linear",
        address="https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",
        setup=("a million weights: n·Var(w), √n·largest; E[z²] of 512 ReLU units (derived): how fast it "
               "settles, and where"),
        formula="U(-1/√n, 1/√n): 1/(3n); ½·⅓; 1/(3n)/(1 - 1/6)", theirs=(1 / 3, 1, 1 / 6, 7.8125e-4),
        tolerance=(0.004, LARGEST, 1e-12, 1e-12),
        reason="4 standard errors; the largest of a million; exact",
        compute=_torch_linear, page="initializers", state={"initializers": ("pytorch_default", "he_normal")},
    ),
    Claim(
        key="playground-weights",
        claim="TensorFlow Playground draws every weight from -½ to ½, whatever the width.",
        source="TensorFlow Playground, nn.ts",
        address="https://github.com/tensorflow/playground/blob/master/src/nn.ts",
        setup="a million weights: the largest, the variance",
        formula="Math.random() - 0.5", theirs=(0.5, 1 / 12),
        tolerance=(LARGEST, 0.004), reason="the largest of a million; 4 standard errors",
        compute=_playground, page="initializers",
        state={"initializers": ("playground_default",), "activation": "tanh", "width": 8, "depth": 6},
    ),
    Claim(
        key="scaled-activations",
        claim="These factors give an activation's output the variance 1.",
        source="NFNets, as listed in timm",
        address="https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/nfnet.py",
        setup=", ".join(ACTIVATIONS[name].title for name in SCALED),
        formula="γ = 1/√Var(f(z)), z ~ N(0, 1)", theirs=tuple(SCALED.values()),
        tolerance=0.005,
        reason="theirs are drawn: variances of 256 numbers (0.2 % high), 1024 times (4 standard errors)",
        compute=_standard_deviations, page="neuron_variance",
        state={"activation": "relu", "rule": "1/n", "n": 1000},
    ),
    Claim(
        key="glorot-dilemma",
        claim="One variance cannot keep both directions. Glorot keeps their mean.",
        source="Dive into Deep Learning, Numerical stability",
        address="https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html",
        setup="256 → 64 units, σ² = 2/(256 + 64): factor forward, factor backward, their mean",
        formula="½(nᵢₙ + nₒᵤₜ)·σ² = 1", theirs=(1.6, 0.4, 1),
        tolerance=1e-12, reason="exact, up to float64",
        compute=_glorot_dilemma, page="initializers",
        state={"activation": "linear", "initializers": ("glorot_normal",), "widths": (256, 256, 64)},
    ),
    Claim(
        key="standard-normal-layer",
        claim="A layer of 512 standard normal weights multiplies the variance by 512. ReLU halves that.",
        source=FASTAI, address=FASTAI_AT,
        setup="E[z²], then E[ReLU(z)²]. Theirs is the mean of 100 draws",
        formula="n·E[x²]; ½ of it", theirs=(513.9999124145507, 252.03490020751954),
        tolerance=(0.036, 0.048), reason="4 standard errors of theirs: √(4/512)/10 and √(7/512)/10",
        compute=_one_layer, page="neuron_variance", state={"n": 512, "rule": "1", "activation": "relu"},
    ),
    Claim(
        key="kaiming-layer",
        claim="With √(2/512) the next layer receives a root mean square of 1 again, but not a mean of 0.",
        source=FASTAI, address=FASTAI_AT,
        setup="mean and root mean square of ReLU(W x). Theirs is from 100 draws",
        formula="1/√π; 1", theirs=(0.5609873819351197, 0.9949513308564638),
        tolerance=(0.03, 0.024), reason="4 standard errors of theirs, half of those of E[a²]",
        compute=_kaiming_layer, page="neuron_variance", state={"n": 512, "rule": "2/n", "activation": "relu"},
    ),
    Claim(
        key="cs231n-small-tanh",
        claim="With weights of 0.01, ten tanh layers of 500 units bring all activations to zero.",
        source=CS231N_SLIDES, address=CS231N_SLIDES_AT,
        setup="std of a after layers 1 to 5, predicted. Theirs is from 1,000 inputs",
        formula="a[l] ≈ 0.01·√500·a[l-1]", theirs=(0.213081, 0.047551, 0.010630, 0.002378, 0.000532),
        tolerance=(0.008, 0.012, 0.016, 0.02, 0.024),
        reason="4 times the finite-width spread of theirs, 0.2 to 0.6 %",
        compute=_small_tanh, page="initializers",
        state={"activation": "tanh", "initializers": ("small_normal",), "depth": 10, "width": 500},
    ),
    Claim(
        key="cs231n-he-relu",
        claim="With He the first ReLU layer has this mean and this spread.",
        source=CS231N_SLIDES, address=CS231N_SLIDES_AT,
        setup="500 units: mean and std of a in layer 1, predicted. Theirs is from 1,000 inputs",
        formula="1/√π; √(1 - 1/π)", theirs=(0.562488, 0.825232),
        tolerance=(0.012, 0.012), reason="4 standard errors over 500 units",
        compute=_he_layer, page="initializers",
        state={"initializers": ("he_normal",), "depth": 10, "width": 500},
    ),
    Claim(
        key="nielsen-neuron",
        claim="A neuron with 1,000 inputs, half of them on, saturates unless √1000 divides its weights.",
        source="Nielsen, Neural networks and deep learning, chapter 3",
        address="http://neuralnetworksanddeeplearning.com/chap3.html",
        setup="std of z in 20,000 draws: standard normal weights and bias; weights N(0, 1/n), bias N(0, 1)",
        formula="√(500 + 1); √(½ + 1)", theirs=(22.4, 1.22),
        tolerance=0.025, reason="4 standard errors of a std of 20,000 draws, and their last digit",
        compute=_nielsen, page="neuron_variance", state={"n": 501, "rule": "1"},
    ),
)
