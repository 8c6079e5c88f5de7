"""Writes what `loupe cost` prints into docs/cost.md: python -m docs.cost"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("cost.md")
_SHOWN = re.compile(r"(```\n\$ loupe ([^\n]+)\n).*?(```)", re.S)


def main() -> None:
    """Run each command of the page anew."""
    PAGE.write_text(
        _SHOWN.sub(lambda shown: shown[1] + printed(shown[2]) + shown[3], PAGE.read_text("utf-8")), "utf-8"
    )


def printed(command: str) -> str:
    """Return what a command prints into a pipe, without spaces at the ends of lines."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(  # noqa: S603 - the page's own commands
        [sys.executable, "-m", "loupe", *command.split()],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip() + "\n"


if __name__ == "__main__":
    main()
