"""What vgdash keeps in memory between two calls, at the most; all numbers in one place. Bytes.

Besides these it keeps tables that belong to the vocabulary (quadrature nodes, moments and the phase plane of each activation), which
no caller can make more of.
"""

__all__ = ["DATA_SETS", "LANDMARKS", "LARGEST_DATA_SET", "LARGEST_LANDMARKS", "LARGEST_WEIGHTS", "VOCABULARY", "WEIGHTS"]

WEIGHTS = 48e6  # weights drawn last (``draws``): a slider that moves the depth draws one layer, not all of them again
LARGEST_WEIGHTS = 1e6  # a matrix larger than this is not kept
DATA_SETS = 2e6  # data sets loaded last (``data``), beyond the digits themselves
LARGEST_DATA_SET = 60e3  # two features and a label of 1,500 points; of the digits two arrays of labels
LANDMARKS = 2e6  # initializers on the plane (``phases``)
LARGEST_LANDMARKS = 30e3  # of one activation, fan-in and gamma
VOCABULARY = 4e6  # phase planes, moments and quadrature nodes of all activations, and the digits
