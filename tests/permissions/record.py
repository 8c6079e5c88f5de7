"""Renews tests/permissions/recorded.json from what local clouds recorded of their roles (`make record-permissions`).

A run of a part of the tests adds what it used; what the template does not allow any more is taken out. With --check
nothing is written: it fails if a role was refused something, or used what is not in the file yet.
"""

import argparse
import sys
from pathlib import Path

from tests.permissions import grants

RECORDED = Path(__file__).with_name("recorded.json")


def main() -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that LOUPE_LOCAL_CALLS named")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    used, known = grants.used(options.folder), grants.read(RECORDED)
    if not used:
        sys.exit(f"Nothing was recorded in {options.folder}.")
    problems = [f"refused: {call}" for call in sorted(grants.denied(options.folder))]
    if options.check:
        problems += [f"not in {RECORDED.name}: {grant}" for grant in sorted(used - known)]
    else:
        grants.write(RECORDED, used | known & set(grants.granted().values()))
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
