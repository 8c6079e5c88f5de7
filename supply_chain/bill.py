"""Writes bills of materials in CycloneDX: `make sbom`.

One document for each thing that is delivered: the Lambda package, each container, the command with the local cloud, and
the dashboard. cyclonedx-py reads the lock files (https://cyclonedx-bom-tool.readthedocs.io/), and `npm sbom` the
dashboard's (https://docs.npmjs.com/cli/commands/npm-sbom). A container's document has its Python packages; what its
base image holds is described by that image's publisher.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from supply_chain.locks import ROOT

BILLS = {
    "functions": ROOT / "functions/requirements.txt",
    "serve": ROOT / "requirements/serve.txt",
    "serve-gpu": ROOT / "requirements/serve-gpu.txt",
    "train": ROOT / "requirements/train.txt",
    "local": ROOT / "requirements/local.txt",
}
DASHBOARD = "dashboard"
_CYCLONEDX = ROOT / ".tools/audit/bin/cyclonedx-py"


def name(part: str) -> str:
    """Return the name of a part's document."""
    return f"{part}.cdx.json"


def write(folder: Path) -> list[Path]:
    """Write all documents.

    Args:
        folder: Where to; it is created.

    Returns:
        The documents.

    Raises:
        subprocess.CalledProcessError: A tool failed; its message is on stderr.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, lock in BILLS.items():
        options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--validate"]
        command = [str(_CYCLONEDX), "requirements", str(lock), *options, "-o", str(folder / name(part))]
        # The tool warns that a list of requirements has no tree.
        subprocess.run(command, check=True, env={"PYTHONWARNINGS": "ignore"})  # noqa: S603  # as above
    command = ["npm", "sbom", "--package-lock-only", "--omit", "dev", "--sbom-format", "cyclonedx"]
    with (folder / name(DASHBOARD)).open("w") as file:
        subprocess.run(command, check=True, cwd=ROOT / "dashboard", stdout=file)  # noqa: S603  # npm of the Makefile
    return [folder / name(part) for part in (*BILLS, DASHBOARD)]


def main() -> None:
    """Write the documents, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "build/sbom")
    for file in write(parser.parse_args().folder):
        sys.stdout.write(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}\n")


if __name__ == "__main__":
    main()
