"""The pages name files that exist, and the picture of the rooms is drawn from the code as it is."""

import re
from pathlib import Path

import pytest

from docs import rooms

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FOLDERS = (
    "benchmarks", "contract", "docs", "events", "functions", "localcloud", "loupe", "models", "requirements",
    "samples", "statemachine", "tests", "training",
)  # fmt: skip
NAMED = re.compile(rf"[`(]((?:\.\./)?(?:{'|'.join(FOLDERS)})/[\w./-]*)[`)#]")


def test_the_picture_shows_the_rooms_as_they_are() -> None:
    page = rooms.PAGE.read_text()
    assert page == rooms.drawn_into(page), "run: python -m docs.rooms"


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
