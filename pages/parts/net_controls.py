"""Controls that show only where they act: scale of the normalization, last layer, inputs; labels and loss."""

from __future__ import annotations

from collections.abc import Sequence

from pages.parts.controls import Controls


def width_controls(controls: Controls, label: str, usual: Sequence[int], example: str) -> None:
    """Draw the one width of all layers, unless own widths are typed, and the field to type them."""
    if controls.value("widths") is None:
        controls.steps("width", label, usual)
    controls.typed("widths", "or your own widths, input first", example)


def net_controls(controls: Controls, norm_reaches_last: bool) -> None:
    """Draw the controls that act on the present net, and those that have been changed before.

    ``norm_reaches_last``: normalization is in the last layer too, where its scale and bias would vanish.
    """
    normal = controls.value("normalization") != "none"
    scaled = normal and norm_reaches_last
    rescaled = "rescale" in controls.rules and controls.value("rescale") != "none"
    for key, label, acts in (
            ("norm_scale", "scale of the normalization (of the branches, if there are any)", normal),
            ("last_scale", "last layer: multiplies its weights", not (scaled or rescaled)),
            ("last_bias", "last layer: all its biases (0: as the others)", not scaled),
            ("input_scale", "inputs: multiplied by", True),
            ("input_mean", "inputs: then added", True)):
        if acts or key in controls.here.values:
            controls.number(key, label)


def class_controls(controls: Controls) -> None:
    """Draw wrong labels and the loss where the data have classes; numbers leave no choice."""
    classes, changed = controls.value("dataset") != "wave", controls.here.values
    if classes or "label_noise" in changed:
        controls.slider("label_noise", "wrong labels, share", 0.05)
    if classes or "loss" in changed:
        controls.select("loss", "loss")
