"""The app under AppTest."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds; a cold import on a busy machine


def opened(stem: str, **query: str) -> AppTest:
    """Open a page as a link with these values does, without an exception."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    if stem != "home":
        page.switch_page(str(ROOT / "pages" / f"{stem}.py"))
    for key, value in query.items():
        page.query_params[key] = value
    return sound(page.run())


def sound(page: AppTest) -> AppTest:
    """Return the page, which shows no exception."""
    assert not page.exception, [error.message for error in page.exception]
    return page


def is_key(key: str, widget_id: str) -> bool:
    """Test if a widget's id, or its whole key, is that of a key: ``factor`` of ``$$ID-4f2a-factor-3``."""
    return re.fullmatch(rf"(\$\$ID-\w+-)?{re.escape(key)}(-\d+(-.*)?)?", widget_id) is not None


def control(page: AppTest, kind: str, key: str) -> Any:
    """Return the widget of that kind and key, whatever its generation."""
    return next(widget for widget in page.get(kind) if is_key(key, widget.key))


def verdict(page: AppTest) -> str:
    """Return the verdict of a page."""
    return next(element.value for element in page.markdown if element.value.startswith("## "))


def plotted(page: AppTest, index: int = 0) -> pd.DataFrame:
    """Return the table behind a chart, as it goes to the browser."""
    return pa.ipc.open_stream(page.get("vega_lite_chart")[index].proto.data.data).read_pandas()
