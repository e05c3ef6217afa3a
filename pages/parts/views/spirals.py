"""The film of Home: frames of three nets that learn the spirals, packed for the browser."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import numpy as np
from PIL import Image

from pages.parts import names
from vgdash.training.spirals import LEVELS, NETS, SCALES, shipped

ENDS = (0x00, 0x72, 0xB2), (0xF2, 0xF2, 0xF2), (0xD5, 0x5E, 0x00)  # class 0, undecided, class 1


def film_view() -> dict[str, Any]:
    """Return the nets' names and courses, and all frames as one picture: a column each, rows by net."""
    film = shipped()
    scales, nets, frames, side, _ = film.answers.shape
    sheet = film.answers[:, :, :, ::-1].transpose(0, 1, 3, 2, 4).reshape(scales * nets * side, frames * side)
    picture, packed = Image.fromarray(np.ascontiguousarray(sheet), "P"), io.BytesIO()
    places = np.linspace(0, 2, LEVELS)
    picture.putpalette([round(float(np.interp(x, (0, 1, 2), channel))) for x in places
                        for channel in zip(*ENDS, strict=True)])
    picture.save(packed, "PNG", optimize=True)
    return {
        "names": [names.long(name) for name in NETS], "scales": SCALES, "steps": film.steps.tolist(),
        "side": side,
        "accuracy": np.nan_to_num(film.accuracy).round(3).tolist(), "diverged": film.diverged.tolist(),
        "points": film.points.round(3).tolist(), "labels": film.labels.tolist(),
        "sheet": "data:image/png;base64," + b64encode(packed.getvalue()).decode()}
