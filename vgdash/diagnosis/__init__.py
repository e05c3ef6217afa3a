"""Compare measured with predicted: what fails first, why, and what to choose instead."""
