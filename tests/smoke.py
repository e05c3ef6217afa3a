"""Every page at its defaults, with the packages of requirements.txt alone: python -m tests.smoke"""

import sys

from pages.parts.shell import PAGES
from tests.opened import opened


def main() -> None:
    for stem, name in PAGES:
        page = opened(stem)
        if not page.title:
            sys.exit(f"{name} has no title")
        print(f"{name}: {page.title[0].value}")


if __name__ == "__main__":
    main()
