"""vgdash: why signals and gradients vanish or explode in deep networks, and what weight initialization does about it.

Useful alone, in a notebook: every computation takes one frozen parameter set and returns one record of arrays.

    from vgdash import ProbeParams, predict, probe
    p = ProbeParams.uniform(50, 256, activation="tanh", initializer="lecun_normal")
    probe(p).q, predict(p).q
"""

from vgdash.activations import ACTIVATIONS
from vgdash.chain import ChainParams, linear_chain
from vgdash.data import DATASETS, load
from vgdash.descent import DescentParams, descent
from vgdash.initializers import INITIALIZERS
from vgdash.meanfield import c_star, chi_1, critical_sigma_w2, fixed_point, q_star, xi_c, xi_q
from vgdash.network import CompareParams, ProbeParams, compare, probe
from vgdash.neuron import NeuronParams, neuron_variance
from vgdash.params import ParamError
from vgdash.precision import FORMATS
from vgdash.prediction import predict
from vgdash.training import TrainParams, train

__all__ = [
    "ACTIVATIONS", "DATASETS", "FORMATS", "INITIALIZERS",
    "ChainParams", "CompareParams", "DescentParams", "NeuronParams", "ParamError", "ProbeParams", "TrainParams",
    "c_star", "chi_1", "compare", "critical_sigma_w2", "descent", "fixed_point", "linear_chain", "load", "neuron_variance",
    "predict", "probe", "q_star", "train", "xi_c", "xi_q",
]
