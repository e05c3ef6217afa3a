"""vgdash: why signals and gradients vanish or explode in deep networks, and what weight initialization does about it."""
