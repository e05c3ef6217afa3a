"""Compile the specifications that ship: python -m tests.compile_charts

Every page and every scene is opened, and every look at nets, on training at a short run; what they ask for is made anew and written
into pages/parts/charts/compiled.json, a line each.
"""

from __future__ import annotations

import ast
import json
import time
from typing import Any

from pages.parts import charts
from pages.parts.charts import once
from pages.parts.scenes import SCENES
from pages.parts.shell import PAGES
from pages.parts.views import initializers, training
from tests.opened import ROOT, opened

SHORT = {"depth": "3", "width": "8", "steps": "5"}
SECONDS = 3.0  # for a short run


def asked_for() -> set[str]:
    """The calls of every specification that pages and scenes open with."""
    once.asked = found = set()
    for stem, _ in PAGES:
        opened(stem)
    for scene in SCENES:
        if scene.page != "training":  # its scenes start their runs, which look alike
            opened(scene.page, scene=scene.name)
    for look in initializers.LOOKS_AT:
        opened("initializers", look=look)
    for look in training.LOOKS_AT:
        page = opened("training", look=look, dataset="spirals" if look == training.DECISION else "digits", **SHORT)
        time.sleep(SECONDS)
        page.run()
    once.asked = None
    return found


def made(call: str) -> dict[str, Any]:
    """The specification of a call, as Altair makes it now and JSON keeps it."""
    name, arguments = call.split("(", 1)
    return json.loads(json.dumps(getattr(charts, name).__wrapped__(*ast.literal_eval(f"({arguments}"))))


def main() -> None:
    lines = [f"{json.dumps(call, ensure_ascii=False)}:{json.dumps(made(call), ensure_ascii=False, separators=(',', ':'))}"
             for call in sorted(asked_for())]
    once.SHIPPED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(lines)} specifications, {once.SHIPPED.stat().st_size / 1e3:.0f} kB: {once.SHIPPED.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
