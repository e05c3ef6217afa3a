"""vgdash: why signals and gradients vanish or explode, and what weight initialization does about it."""

from pages.parts import frame

frame.main()
