"""States of the pages that are far from the defaults, as the keys and texts of an address; shared by the browser tests."""

from __future__ import annotations

import urllib.parse

State = dict[str, str | list[str]]

STATES: dict[str, list[State]] = {
    "linear_chain": [
        {"factor": "0.37", "depth": "9", "scale": "linear", "learning_rate": "0.02"},
        {"kind": "gaussian", "depth": "100", "width": "5", "sigma2": "3.7", "seeds": "7", "seed": "12345"},
        {"kind": "diagonal", "factor": "1.21", "factor2": "0.55", "x1": "-2", "x2": "0.125"},
    ],
    "neuron_variance": [
        {"n": "12345", "rule": "2/n", "activation": "relu"},
        {"n": "77", "n_out": "17", "rule": "2/(n_in+n_out)", "activation": "tanh", "gamma": "1.3", "distribution": "uniform",
         "samples": "777", "seed": "9"},
        {"mean": "1.5", "std": "0.015", "correlation": "0.35"},
    ],
    "initializers": [
        {"depth": "17", "width": "33", "initializers": ["zeros", "he_uniform", "orthogonal"], "activation": "gelu",
         "look": "dead", "of": "zeros"},
        {"widths": "100-50x3-10", "gamma": "1.25", "batch": "10", "seeds": "5", "sigma_b2": "0.001", "seed": "4"},
        {"depth": "12", "width": "20", "normalization": "layer", "keep": "0.9", "initializers": ["pytorch_default"]},
    ],
    "training": [
        {"steps": "20", "depth": "3", "width": "7", "initializers": ["zeros", "he_normal"], "learning_rate": "0.07", "batch": "17",
         "activation": "tanh", "of": "zeros"},
        {"steps": "30", "depth": "2", "width": "8", "initializers": ["orthogonal"], "dataset": "spirals", "optimizer": "adam",
         "clip": "0.5", "label_noise": "0.1", "seeds": "2", "seed": "3", "gamma": "0.125"},
    ],
    "trainable_depth": [
        {"activation": "gelu", "sigma_w2": "1.7654", "sigma_b2": "0.0123", "fan_in": "100", "depth": "31", "gamma": "1.05"},
        {"activation": "relu", "sigma_w2": "2", "sigma_b2": "0", "fan_in": "77"},
    ],
}


def link(stem: str, state: State) -> str:
    return f"{stem}?{urllib.parse.urlencode(state, doseq=True)}"


def texts(state: State) -> dict[str, list[str]]:
    """The state as an address is read."""
    return {key: value if isinstance(value, list) else [value] for key, value in state.items()}
