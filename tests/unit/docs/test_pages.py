"""The pages name files that exist, and the picture of the rooms is drawn from the code as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, ROOT

FOLDERS = (
    "benchmarks", "contract", "docs", "events", "functions", "localcloud", "loupe", "models", "notebooks",
    "requirements", "samples", "statemachine", "tests", "training",
)  # fmt: skip
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
NAMED = re.compile(rf"[`(]((?:\.\./)?(?:{'|'.join(FOLDERS)})/[\w./-]*)[`)#]")


def test_the_picture_shows_the_rooms_as_they_are() -> None:
    # As a person runs it: the functions are not on the path there.
    check = [sys.executable, "-m", "docs.rooms", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\nrun: python -m docs.rooms"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are called in links."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    names = [name.removeprefix("../") for name in NAMED.findall(page.read_text())]
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_pattern_finds_what_pages_name() -> None:
    assert NAMED.findall("see `training/train.py` and [x](../training/a.json), `loupe/views/`") == [
        "training/train.py", "../training/a.json", "loupe/views/",
    ]  # fmt: skip
