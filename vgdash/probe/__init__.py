"""Measure deep networks at initialization: forward signal, backward gradient, statistics by layer."""
