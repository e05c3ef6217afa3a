"""Names that people use: for values of controls, series of charts, columns of tables; and help for controls.

Addresses, keys and code keep identifiers. Initializers and activations carry their names themselves.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS

TITLES = {name: one.title for name, one in INITIALIZERS.items()}
STATISTICS = {"saturated": "saturated units", "dead": "dead units", "a_mean": "mean of a"}
VALUES: dict[str, dict[str, str]] = {  # by the key of a control
    "initializers": TITLES, "weights": TITLES, "of": {name: one.short for name, one in INITIALIZERS.items()},
    "rule": {"1": "1", "0.01^2": "0.01²", "1/n": "1/n · LeCun (the lecture's Xavier)", "2/n": "2/n · He",
             "2/(n_in+n_out)": "2/(nᵢₙ+nₒᵤₜ) · Glorot/Xavier"},
    "kind": {"scaled identity": "c · I (scaled identity)", "diagonal": "diag(c, c₂)", "gaussian": "random"},
    "look": {"a_mean": "mean of a"},
    "statistic": {**STATISTICS, "grad2": "size of the gradient", "gradient_ratio": "gradient : weight",
                  "update_ratio": "update : weight", "drift": "distance from the start"},
    "optimizer": {"sgd": "SGD", "momentum": "SGD with momentum", "adam": "Adam"},
    "normalization": {"batch": "BatchNorm", "layer": "LayerNorm"},
    "residual": {"plain": "x + f(x)", "scaled": "x + f(x)/√L", "zero": "x + f(x), f starts at 0"},
    "rescale": {"lsuv": "LSUV"},
    "dataset": {"digits": "handwritten digits", "spirals": "two spirals", "circles": "two circles",
                "moons": "two moons", "gaussians": "four Gaussian clouds", "wave": "a wave (numbers)"},
    "loss": {"auto": "the usual one", "cross_entropy": "cross-entropy", "squared_error": "squared error"},
    "framework": {"pytorch": "PyTorch", "keras": "Keras", "jax": "JAX", "numpy": "NumPy",
                  "tensorflow": "TensorFlow"},
}
SERIES = {"0.01^2": "0.01²", "1/n": "LeCun 1/n", "2/n": "He 2/n", "2/(n_in+n_out)": "Glorot"}
FIELDS = {  # what sentences call a parameter, where its key alone would not do
    "sigma_w2": "σw²", "sigma_b2": "σb²", "sigma2": "σ²", "gamma": "γ", "fan_in": "fan-in", "n_out": "nₒᵤₜ",
    "factor": "factor c", "factor2": "factor c₂", "x1": "x₁", "x2": "x₂", "keep": "share that dropout keeps",
    "residual": "skip connections", "batch": "batch size", "seeds": "number of random nets",
    "norm_scale": "scale of the normalization", "last_scale": "factor of the last layer",
    "last_bias": "biases of the last layer", "input_scale": "factor of the inputs",
    "input_mean": "mean of the inputs", "label_noise": "share of wrong labels", "clip": "largest gradient",
    "kernels": "sides of convolutions", "rescale": "rescaling",
}
COLUMNS = {
    **STATISTICS, "q": "E[z²]", "a2": "E[a²]", "correlation": "correlation of two inputs", "grad2": "E[δ²]",
    "dw2": "E[(∂C/∂W)²]", "largest": "largest |z|", "largest_gradient": "largest |δ|",
    "log10_size": "log₁₀ size", "log10_low": "log₁₀ size, 10 % below", "log10_high": "log₁₀ size, 10 % above",
    "log10_theory": "log₁₀ size, theory", "z_low": "z from", "z_high": "z to", "stderr": "standard error",
    "gaussian": "Gaussian limit", "sigma_w2": "σw²", "sigma_b2": "σb²", "q_star": "q*", "chi_1": "χ₁",
    "c_star": "c*", "xi_c": "ξc", "trainable_depth": "trains to, layers", "bound": "may differ by",
    "held_out": "accuracy on new examples", "diverged": "blew up at step",
    "gradient_ratio": "gradient : weight", "update_ratio": "update : weight",
    "drift": "distance from the start",
}
HELP = {  # by the key of a control: a few words on what it does, or on the term that names it
    "activation": "Choose one, or type a formula over z, such as `z*sigmoid(1.702*z)`, `leaky_relu(5)` or "
                  "`sin(30*z)`.",
    "initializers": "The rules that draw the first weights. n counts the inputs of a neuron (*fan-in*), nₒᵤₜ "
                    "the neurons in its layer (*fan-out*). “Xavier” names two of the rules.",
    "rule": "The variance of each weight. n counts the inputs of a neuron, nₒᵤₜ the neurons in its layer. "
            "“Xavier” names two of the rules.",
    "distribution": "truncated: normal, but never more than two standard deviations from 0.",
    "gamma": "A factor on all weights. It multiplies their variance by γ².",
    "fan_in": "*Fan-in*: how many inputs each neuron adds up.",
    "sigma_w2": "The variance of a weight, times the n inputs of its neuron. Small, the net is *ordered*: "
                "all inputs become alike, and gradients vanish. Large, it is *chaotic*: like inputs part, "
                "and gradients explode. Between the two lies the *edge of chaos*.",
    "sigma_b2": "The variance of the biases.",
    "batch": "How many examples go through the net together.",
    "seeds": "All are drawn by the same rule. They show how much one differs from the next.",
    "seed": "The same seed draws the same random numbers again.",
    "samples": "Each has its own random weights and inputs. The more there are, the smaller is the *standard "
               "error*: how far the measured value usually lies from the true one.",
    "normalization": "BatchNorm gives each unit mean 0 and variance 1 over the batch. LayerNorm does it over "
                     "the units of a layer.",
    "residual": "A skip connection adds the input x of a layer to its output f(x).",
    "keep": "Dropout sets all other units to 0, at random.",
    "rescale": "LSUV (*layer-sequential unit variance*, Mishkin & Matas 2016) scales the weights, layer by "
               "layer, until a batch has variance 1 there.",
    "kernels": "A convolution of 3 × 3 weights has side 3.",
    "optimizer": "SGD subtracts η times the gradient. Momentum and Adam also remember earlier gradients.",
    "learning_rate": "A step subtracts η times the gradient.",
    "clip": "A longer gradient is shortened to this length.",
    "label_noise": "So many training examples get a wrong class.",
    "goal": "New examples are *held out*: no net trains on them.",
    "statistic": "*Dead* units give 0 for every input. *Saturated* ones lie where the activation is so flat "
                 "that hardly any gradient passes.",
}


def value(key: str, choice: Any) -> str:
    """Name a value of a control, as its options show it; a formula is its own name."""
    if key == "activation":
        return ACTIVATIONS[choice].title
    return VALUES.get(key, {}).get(choice, str(choice))


def long(name: str) -> str:
    """Name an initializer by itself, in a heading or a table: its rule and its formula."""
    return INITIALIZERS[name].title


def short(name: str) -> str:
    """Name an initializer or another series in a sentence, at the end of its line and in its tooltip."""
    return INITIALIZERS[name].short if name in INITIALIZERS else SERIES.get(name, name)


def field(key: str) -> str:
    """Name a parameter in a sentence."""
    return FIELDS.get(key, key.replace("_", " "))


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns, initializers and rules have the names that people use."""
    named = {column: table[column].map(lambda name: TITLES.get(name, VALUES["rule"].get(name, name)))
             for column in ("initializer", "name", "rule") if column in table}
    return table.assign(**named).rename(columns=COLUMNS)
