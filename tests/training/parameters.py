"""Weights and biases of all nets of a trainer."""

import numpy as np


def weights_of(trainer, layer):
    """Weights of a layer (from 1) now, a copy ``(initializers, columns, fan_out, fan_in)``."""
    return joined(trainer, [nets.weights(layer) for nets in trainer.groups])


def biases_of(trainer, layer):
    """Biases of a layer (from 1) now, a copy ``(initializers, columns, fan_out)``."""
    return joined(trainer, [nets.biases(layer) for nets in trainer.groups])


def joined(trainer, groups):
    every = np.concatenate(groups)
    return every.reshape(len(trainer.params.initializers), trainer.params.copies, *every.shape[1:])
