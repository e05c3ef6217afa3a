"""The same net on another page: trained on the digits, or measured before training."""

from __future__ import annotations

from typing import Any

from vgdash.params import ParamError, Params
from vgdash.probe.params import CompareParams
from vgdash.training.params import TrainParams

SHARED = ("activation", "initializers", "gamma", "sigma_b2", "normalization", "residual", "keep",
          "norm_scale", "last_scale", "last_bias", "seed")  # fields that both pages have


def trained(p: CompareParams) -> dict[str, str] | str:
    """Return the query of Training for the nets of ``p``, with the digits' inputs and classes.

    Or a sentence that says why it cannot train them.
    """
    if max(p.kernels, default=1) > 1:
        return "Training has dense layers only: it cannot train these convolutions."
    usual = TrainParams().widths
    return _query(p, TrainParams, widths=(usual[0], *p.widths[1:-1], usual[-1]))


def measured(p: TrainParams) -> dict[str, str] | str:
    """Return the query of Initializers for the nets of ``p``, or say why there is none."""
    return _query(p, CompareParams, widths=p.widths)


def _query(p: Any, kind: type[Params], **more: Any) -> dict[str, str] | str:
    try:
        found = kind(**{name: getattr(p, name) for name in SHARED}, **more)
    except ParamError as error:
        page = "Training" if kind is TrainParams else "Initializers"
        field = error.field.replace("_", " ")
        return f"{page} does not take these nets: {field} must be {error.rule}. {error.instead}".strip()
    usual = kind().to_query()
    return {key: ",".join(texts) for key, texts in found.to_query().items() if texts != usual[key]}
