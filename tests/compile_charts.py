"""Compile the specifications that ship: python -m tests.compile_charts

Every page and every scene is opened, and every look at nets, on training at a short run; what they ask for is written into
pages/parts/charts/compiled.json.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from pages.parts.charts import once
from pages.parts.frame import PAGES
from pages.parts.scenes import SCENES
from pages.parts.views import initializers, training

ROOT = Path(__file__).resolve().parents[1]
SHORT = {"depth": "3", "width": "8", "steps": "5"}
SECONDS = 3.0  # for a short run


def opened(stem: str, **query: str) -> AppTest:
    """The page as a link with these values opens it."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    if stem != "home":
        page.switch_page(str(ROOT / "pages" / f"{stem}.py"))
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception, [error.message for error in page.exception]
    return page


def asked_for() -> dict[str, dict[str, Any]]:
    """Every specification that pages and scenes open with, compiled anew, by its call."""
    once.shipped.cache_clear()
    path, once.SHIPPED = once.SHIPPED, Path("/nowhere")
    once.asked = found = {}
    try:
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
    finally:
        once.asked, once.SHIPPED = None, path
        once.shipped.cache_clear()
    return json.loads(json.dumps(found))


def main() -> None:
    found = asked_for()
    text = json.dumps(dict(sorted(found.items())), ensure_ascii=False, indent=0, separators=(",", ":"))
    once.SHIPPED.write_text(f"{text}\n", encoding="utf-8")
    print(f"{len(found)} specifications, {once.SHIPPED.stat().st_size / 1e3:.0f} kB: {once.SHIPPED.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
