"""Models that people have: measure one, layer by layer, and name the causes of what is wrong.

``inspect`` is the door. ``torch_trace``, ``keras_trace`` and ``weights`` fill the neutral ``records`` from a
PyTorch module, a Keras model, and weights alone. ``findings`` judges them by its rules, each of which finds
one of ``causes``; ``fixes`` writes the code that mends it.
"""
