"""The figure that decides between two starts of which the same is said."""

from __future__ import annotations

from vgdash.diagnosis.outlook import Outlook

FIGURES = {"scale": "the size of the signal", "gradient": "the gradient",
           "difference": "the lost difference between inputs", "unevenness": "the stretching of directions",
           "hidden": "what normalization hides", "hiding": "what W = I hides"}


def deciding(present: Outlook, chosen: Outlook, names: tuple[str, str], hiding: tuple[float, float]) -> str:
    """Say which figure of ``chosen`` is better by most, with both values: factors of ten, as in difficulty.

    ``names`` of both starts, and the decades that they pay for ``hiding`` inputs.
    """
    pairs = zip((present, chosen), hiding, strict=True)
    before, after = ({**one._asdict(), "hiding": paid} for one, paid in pairs)
    best = max(FIGURES, key=lambda name: before[name] - after[name])
    for digits in (1, 2, 3):  # enough to tell them apart
        values = [f"{one[best]:.{digits}f}" for one in (before, after)]
        if values[0] != values[1]:
            break
    ours, theirs = values
    return (f"What decides is {FIGURES[best]}: {ours} factors of ten in the way with {names[0]}, "
            f"{theirs} with {names[1]}.")
