"""vgdash: why signals and gradients vanish or explode in deep networks, and what weight initialization does about it.

Useful alone, in a notebook: every computation takes one frozen parameter set and returns one record of arrays.

    from vgdash import ProbeParams, predict, probe
    p = ProbeParams.uniform(50, 256, activation="tanh", initializer="lecun_normal")
    probe(p).q, predict(p).q
"""

from vgdash.activations import ACTIVATIONS
from vgdash.balance import BalanceParams, balance
from vgdash.chain import ChainParams, linear_chain
from vgdash.data import DATASETS, load
from vgdash.descent import DescentParams, descent
from vgdash.export import export
from vgdash.initializers import INITIALIZERS
from vgdash.jacobian import jacobian_spectrum
from vgdash.meanfield import c_star, chi_1, critical_sigma_w2, fixed_point, q_star, xi_c, xi_q
from vgdash.network import CompareParams, ProbeParams, compare, probe
from vgdash.neuron import NeuronParams, neuron_variance
from vgdash.params import ParamError
from vgdash.phases import PhaseParams, phase_map
from vgdash.precision import FORMATS
from vgdash.prediction import predict
from vgdash.published import MISTAKES, PUBLISHED
from vgdash.rate_finder import RateParams, find_rate
from vgdash.recommendation import recommend
from vgdash.snapshots import steps_to
from vgdash.sweep import SweepParams, trainability
from vgdash.training import TrainParams, train
from vgdash.trouble import first_trouble

__all__ = [
    "ACTIVATIONS", "DATASETS", "FORMATS", "INITIALIZERS", "MISTAKES", "PUBLISHED",
    "BalanceParams", "ChainParams", "CompareParams", "DescentParams", "NeuronParams", "ParamError", "PhaseParams", "ProbeParams",
    "RateParams", "SweepParams", "TrainParams",
    "balance", "c_star", "chi_1", "compare", "critical_sigma_w2", "descent", "export", "find_rate", "first_trouble", "fixed_point",
    "jacobian_spectrum", "linear_chain", "load", "neuron_variance", "phase_map", "predict", "probe", "q_star", "recommend", "steps_to",
    "train",
    "trainability", "xi_c", "xi_q",
]
