"""vgdash: vanishing and exploding signals and gradients in deep networks, and weight initialization.

Useful alone, in a notebook: every computation takes one frozen parameter set and returns one record of
arrays.

    from vgdash import ProbeParams, predict, probe
    p = ProbeParams.uniform(50, 256, activation="tanh", initializer="lecun_normal")
    probe(p).q, predict(p).q
"""

from vgdash.activations import ACTIVATIONS
from vgdash.chain_learning import DescentParams, descent
from vgdash.codegen.export import export
from vgdash.diagnosis.balance import BalanceParams, balance
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.first_failure import first_failure as first_trouble
from vgdash.diagnosis.jacobian import jacobian_spectrum
from vgdash.diagnosis.recommendation import recommend
from vgdash.initializers import INITIALIZERS
from vgdash.linear_chain import ChainParams, linear_chain
from vgdash.models.inspect import Watch, assert_healthy, inspect
from vgdash.models.report import Report
from vgdash.number_formats import FORMATS
from vgdash.params import ParamError
from vgdash.probe.params import CompareParams, ProbeParams
from vgdash.probe.probe import compare, probe
from vgdash.published import PUBLISHED
from vgdash.published.mistakes import MISTAKES
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.sweep import SweepParams, trainability
from vgdash.theory.fixed_points import c_star, chi_1, critical_sigma_w2, fixed_point, q_star, xi_c, xi_q
from vgdash.theory.layerwise import predict
from vgdash.theory.phase_diagram import PhaseParams, phase_map
from vgdash.training.data import DATASETS, load
from vgdash.training.lr_finder import RateParams, find_rate
from vgdash.training.snapshots import steps_to
from vgdash.training.trainer import TrainParams, train

__version__ = "1.0.0"

__all__ = [
    "ACTIVATIONS", "DATASETS", "FORMATS", "INITIALIZERS", "MISTAKES", "PUBLISHED",
    "BalanceParams", "ChainParams", "CompareParams", "DescentParams", "NeuronParams", "ParamError",
    "PhaseParams", "ProbeParams", "RateParams", "Report", "SweepParams", "TrainParams", "Watch",
    "assert_healthy", "balance", "c_star", "chi_1", "compare", "critical_sigma_w2", "descent", "diagnose",
    "export", "find_rate", "first_trouble", "fixed_point", "inspect", "jacobian_spectrum", "linear_chain",
    "load", "neuron_variance", "phase_map", "predict", "probe", "q_star", "recommend", "steps_to", "train",
    "trainability", "xi_c", "xi_q",
]
