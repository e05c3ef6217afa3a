"""Every page at its defaults, with the packages of requirements.txt alone: python tests/smoke.py"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from streamlit.testing.v1 import AppTest  # noqa: E402

from pages.parts.frame import PAGES  # noqa: E402


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
