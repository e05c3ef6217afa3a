"""Models that people have: measure one, layer by layer, and name the causes of what is wrong.

``records`` holds the neutral report. ``torch_trace``, ``keras_trace`` and ``weights`` fill it from a PyTorch
module, a Keras model, and weights alone. ``findings`` judges it, ``fixes`` writes the code of each fix.
"""
