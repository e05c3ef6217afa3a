"""Load the reports that ship with vgdash: of real models, broken and healthy (``datasets/REPORTS.md``)."""

from __future__ import annotations

from pathlib import Path

from vgdash.models.report import Report

FOLDER = Path(__file__).parents[1] / "datasets"
EXAMPLES = {  # name: file and what the model is
    "30 ReLU layers": ("report_relu.json", "30 layers of 64 units with ReLU, as PyTorch draws their weights"),
    "8 tanh layers": ("report_tanh.json", "8 layers of 200 units with tanh and weights from N(0, 1)"),
    "small GPT-2": ("report_gpt.json", "a GPT-2 of 6 blocks and 64 channels, with the weights of its paper"),
}


def example(name: str) -> Report:
    """Return the report of one of ``EXAMPLES``."""
    return Report.load(FOLDER / EXAMPLES[name][0])
