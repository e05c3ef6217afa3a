"""The app under AppTest."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds; a cold import on a busy machine


def opened(stem: str, **query: str) -> AppTest:
    """The page as a link with these values opens it, without an exception."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    if stem != "home":
        page.switch_page(str(ROOT / "pages" / f"{stem}.py"))
    for key, value in query.items():
        page.query_params[key] = value
    return sound(page.run())


def sound(page: AppTest) -> AppTest:
    """The page, which shows no exception."""
    assert not page.exception, [error.message for error in page.exception]
    return page
