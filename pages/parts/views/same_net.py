"""The same net on another page: trained on the digits, or measured before training."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pages.parts import names
from vgdash.params import ParamError, Params
from vgdash.probe.params import CompareParams, ProbeParams
from vgdash.training.params import TrainParams

SHARED = ("activation", "initializers", "gamma", "sigma_b2", "normalization", "residual", "keep",
          "norm_scale", "last_scale", "last_bias", "input_scale", "input_mean", "seed")  # of both pages


def trained(p: CompareParams) -> dict[str, str] | str:
    """Return the query of Training for the nets of ``p``, with the digits' inputs and classes.

    Or a sentence that says why it cannot train them.
    """
    if max(p.kernels, default=1) > 1:
        return "Training has dense layers only: it cannot train these convolutions."
    usual = TrainParams().widths
    return _query(_convert(p, TrainParams, (usual[0], *p.widths[1:-1], usual[-1])))


def measured(p: TrainParams) -> dict[str, str] | str:
    """Return the query of Initializers for the nets of ``p``, or say why there is none."""
    return _query(comparison(p))


def comparison(p: TrainParams) -> CompareParams | str:
    """Return the nets of ``p`` as Initializers measures them, or say why it cannot."""
    return _convert(p, CompareParams, p.widths)


def alone(p: ProbeParams) -> dict[str, str]:
    """Return the query of Initializers for the net of ``p`` alone."""
    rest = {f.name: getattr(p, f.name) for f in fields(p) if f.name != "initializer"}
    return _query(CompareParams(initializers=(p.initializer,), **rest))


def _convert(p: Any, kind: type[Params], widths: tuple[int, ...]) -> Any:
    try:
        return kind(**{name: getattr(p, name) for name in SHARED}, widths=widths)
    except ParamError as error:
        page = "Training" if kind is TrainParams else "Initializers"
        rule = f"{names.field(error.field)} must be {error.rule}"
        return f"{page} does not take these nets: {rule}. {error.instead}".strip()


def _query(p: Params | str) -> dict[str, str] | str:
    if isinstance(p, str):
        return p
    usual = type(p)().to_query()
    return {key: ",".join(texts) for key, texts in p.to_query().items() if texts != usual[key]}
