"""Every page at its defaults, with the packages of requirements.txt alone: python -m tests.smoke"""

import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

from pages.parts.frame import PAGES

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    for stem, name in PAGES:
        page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        if stem != "home":
            page.switch_page(str(ROOT / "pages" / f"{stem}.py"))
        page.run()
        if page.exception or not page.title:
            sys.exit(f"{name} does not work: {[error.message for error in page.exception]}")
        print(f"{name}: {page.title[0].value}")


if __name__ == "__main__":
    main()
