"""Thresholds of the diagnosis: numbers at which its words change, each under its reason.

Sizes are mean squares and in decades, log10 of E[z²] or E[δ²], unless said otherwise.
"""

# A factor 10 of the mean square is a factor 3 of the numbers: a step size absorbs it
MOVED = 1.0
# Layers of unlike width move it here and there: without a rate, less is no direction
FAR = 1.5
# A factor 2.5 in every layer is a rate, though two layers of it are less than MOVED
RATE = 0.4
# The second half of the layers moves by a quarter: they are at their limit
FLAT = 0.1
# Change from L/2 to L over that from L/4 to L/2: 1 for a power of the depth, 2 for a factor a layer; it
# fades below this
FADES = 0.6
# The same ratio, midway between a power of the depth (1) and a factor a layer (2)
DOUBLES = 1.5
# A power of the depth beyond it multiplies by 8 where the depth doubles: not slow
STEEP = 3.0
# Layers among their like from which a power of the depth is one: of fewer, curves that settle look the same
LONG = 10
# Share of the change by which a curve may leave its straight line: above it no factor a layer describes
# it
STRAIGHT = 0.2
# Numbers a thousand times too small or too large: no learning rate serves all layers
LOST = 6.0
# One net in twenty lies farther from the mean than MOVED: it describes no net
SCATTERS = 1.0
# 1 - correlation of unrelated inputs: they are within 8 degrees of each other, and 1 % of the mean square
# tells them apart
PARALLEL = 0.01
# The same: within 26 degrees; a tenth of the mean square tells them apart
NEARLY = 0.1
# Share of saturated units: most of a layer passes no gradient
SATURATED = 0.5
# Squared mean of the inputs beside their variance. ReLU nets with He of 4 and 10 layers lost at most 2 points
# of accuracy with 2 (trained on the digits, tanh nets none), 2 to 4 with 3 to 4, 5 to 20 with 9
OFFSET = 2.0
# Nats above ln K: the loss curve begins with a drop that teaches nothing
FIRST_LOSS = 0.2
# Nats above ln K: the net is sure of wrong answers, and must unlearn them first
MISLEADS = 2.0
# Nats above ln K after the last layer is scaled down: no curve shows them
MENDED = 0.02
# Decades of unevenness: nearly half of what LEARNS allows, so that it is a cause
UNEVEN = 1.5
# Decades of gradient, difference, unevenness and what is hidden, together: below it 19 of 20 nets that
# were trained learned with SGD (datasets/ADVICE.md)
LEARNS = 3.5
# The same as LEARNS: above it 19 of 20 nets did not learn, with momentum or without; from 6 on hardly any
# did in 300 steps, but some in 2,000
FAILS = 8.0
# The same as LEARNS for Adam, which divides by the size of the gradient, so that its decades count
# ADAM_GRADIENT
ADAM = 3.0
# The same as ADAM: above it 19 of 20 nets of the table did not learn
ADAM_FAILS = 12.0
# Weight of the gradient's decades for Adam: fitted to the nets of the table
ADAM_GRADIENT = 0.2
# Decades that the hidden length of inputs costs: circles learned in nets that are as much easier than
# others
LENGTH = 2.0
# Decades of an odd net: it may learn what is odd, and does not learn circles
PARITY = 3.0
