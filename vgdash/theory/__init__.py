"""Predict what deep networks do at initialization: mean-field theory and finite width."""
