"""Train several networks at once as batched arrays.

A second engine beside ``probe``: the trainer holds all weights and keeps buffers between steps, which makes
it 2 to 6 times as fast as eager PyTorch; the probe draws, measures and forgets one layer at a time.
"""
