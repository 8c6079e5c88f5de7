"""Compares what is locked with the published advisories: `make audit`.

pip-audit asks the index about each Python package (https://github.com/pypa/pip-audit), and `npm audit` asks npm's
about the dashboard's (https://docs.npmjs.com/cli/commands/npm-audit). pip-audit ends with success also if it has found
no package and knows nothing. So this program reads the answers, and ends with

- 0: every package was looked up, and none has an advisory;
- 1: a package has an advisory;
- 3: the advisories, or some of them, could not be reached, so that nothing is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supply_chain.locks import LOCKS, ROOT, pins

CLEAN, VULNERABLE, UNREACHABLE = 0, 1, 3
_PIP_AUDIT = ROOT / ".tools/audit/bin/pip-audit"
_TIMEOUT_S = 1200


@dataclass(frozen=True)
class Audit:
    """What was learned about the packages of one kind.

    Attributes:
        kind: "Python" or "npm".
        packages: How many packages there are.
        advisories: One line for each advisory.
        unknown: Why nothing is known about some of them; empty if all were looked up.
    """

    kind: str
    packages: int
    advisories: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def status(self) -> int:
        """The exit status."""
        if self.advisories:
            return VULNERABLE
        return UNREACHABLE if self.unknown else CLEAN

    def lines(self) -> list[str]:
        """Return what a person reads."""
        said = [f"{self.kind}: {self.packages} packages, {len(self.advisories)} advisories"]
        if self.unknown:
            said = [f"{self.kind}: NOT AUDITED, the advisories could not be reached: {self.unknown}"]
        return [*said, *(f"  {line}" for line in self.advisories)]


def rounds(locked: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return lists of exact requirements in which no package stands twice, as pip-audit wants them.

    Args:
        locked: Each package and version. The locks of different programs may have different versions of a package.
    """
    lists: list[dict[str, str]] = []
    for name, version in sorted(set(locked)):
        place = next((chosen for chosen in lists if name not in chosen), None)
        if place is None:
            lists.append(place := {})
        place[name] = f"{name}=={version}"
    return [list(chosen.values()) for chosen in lists]


def python_audit(answers: Iterable[tuple[int, str, str]]) -> Audit:
    """Return what pip-audit has found.

    Args:
        answers: Of each call, how many packages it was asked about, what it printed, and its errors.
    """
    count, advisories, unknown = 0, [], []
    for asked, printed, errors in answers:
        count += asked
        try:
            found = json.loads(printed)["dependencies"]
        except (ValueError, KeyError):
            unknown.append((errors.strip().splitlines() or ["pip-audit said nothing"])[-1])
            continue
        skipped = [one["name"] for one in found if "skip_reason" in one]
        if skipped or len(found) < asked:
            unknown.append(
                f"{asked - len(found) + len(skipped)} of {asked} packages were not found in the index"
            )
        advisories += [
            f"{one['name']} {one['version']}: {problem['id']}, {_fixed(problem['fix_versions'])}"
            for one in found
            for problem in one.get("vulns", [])
        ]
    return Audit("Python", count, tuple(advisories), "; ".join(dict.fromkeys(unknown)))


def npm_audit(packages: int, printed: str) -> Audit:
    """Return what `npm audit --json` has found.

    Args:
        packages: How many packages there are.
        printed: What it printed.
    """
    try:
        answer: Mapping[str, Any] = json.loads(printed)
    except ValueError:
        return Audit("npm", packages, unknown="npm printed no JSON")
    if "vulnerabilities" not in answer:
        return Audit(
            "npm", packages, unknown=str(answer.get("message") or answer.get("error") or "no reason given")
        )
    found = answer["vulnerabilities"].values()
    advisories = [f"{one['name']} {one['range']}: {one['severity']}" for one in found]
    return Audit("npm", packages, tuple(advisories))


def _fixed(versions: list[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "no version mends it yet"


def _ask_pip_audit(requirements: list[str]) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(requirements))
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        printed, errors = _run([str(_PIP_AUDIT), *options, "--requirement", str(file)], ROOT)
    return len(requirements), printed, errors


def _run(command: list[str], folder: Path) -> tuple[str, str]:
    try:
        done = subprocess.run(  # noqa: S603  # the programs of this repository's own tools
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return done.stdout, done.stderr


def main() -> None:
    """Audit everything that is locked, and end with the worst status."""
    locked = [(pin.name, pin.version) for file in LOCKS for pin in pins(file.read_text())]
    dashboard = ROOT / "dashboard"
    npm_packages = len(json.loads((dashboard / "package-lock.json").read_text())["packages"]) - 1
    audits = [
        python_audit(_ask_pip_audit(requirements) for requirements in rounds(locked)),
        npm_audit(npm_packages, _run(["npm", "audit", "--package-lock-only", "--json"], dashboard)[0]),
    ]
    for line in (line for audit in audits for line in audit.lines()):
        sys.stdout.write(line + "\n")
    statuses = {audit.status for audit in audits}
    sys.exit(VULNERABLE if VULNERABLE in statuses else max(statuses))


if __name__ == "__main__":
    main()
