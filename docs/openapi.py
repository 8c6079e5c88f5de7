"""Describes the HTTP API in docs/openapi.json, from its routes: python -m docs.openapi"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("openapi.json")


def text() -> str:
    """Return what the file should hold."""
    # The functions' packages are not installed.
    sys.path.insert(0, str(FILE.parents[1] / "functions"))
    from api.app import app
    from api.openapi import describe

    return json.dumps(describe(app), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file. With --check, only say whether it is current, by the exit status."""
    current = text()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(current, encoding="utf-8")
    elif not FILE.is_file() or FILE.read_text(encoding="utf-8") != current:
        sys.exit("docs/openapi.json is not current: make openapi")


if __name__ == "__main__":
    main()
