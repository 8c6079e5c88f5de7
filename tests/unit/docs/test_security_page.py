"""docs/security.md tells the truth: its proofs exist and are marked with the promises that it names."""

import re

import pytest

from localcloud.sources import REPOSITORY
from tests.unit.test_template import TEMPLATE

TEXT = (REPOSITORY / "docs/security.md").read_text()
# A line of the threat model: the promises that a boundary keeps, and the files that prove them.
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "`tests/" in line and "*" in line]


def promises_in(file: str) -> set[int]:
    """Return the promises that a test file is marked with."""
    text = (REPOSITORY / file).read_text()
    marked = {
        int(number) for found in re.findall(r"promise\(([\d, ]+)\)", text) for number in found.split(",")
    }
    table = re.search(r"^PROMISES = \{(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return marked | {int(number) for number in re.findall(r": (\d+),", table[1] if table else "")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_boundary_names_promises_that_its_tests_prove(row: str) -> None:
    named = {int(number) for number in re.findall(r"\*(\d+)\*", row)}
    files = re.findall(r"`(tests/[\w/]+\.py)`", row)
    assert named
    assert files
    assert not [file for file in files if not (REPOSITORY / file).is_file()]
    proved = set().union(*(promises_in(file) for file in files))
    assert named <= proved, f"not marked: {named - proved}"


def test_there_is_a_row_for_each_boundary() -> None:
    assert len(ROWS) == 9


def test_each_parameter_on_the_page_is_one_of_the_template_with_this_default() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+(?:Days|Key|Protection|Email))(?:=[^`]*)?`", TEXT))
    assert named >= {"EncryptionKey", "DeletionProtection", "ImageRetentionDays", "LogRetentionDays"}
    assert named - {"DataKey"} <= TEMPLATE["Parameters"].keys()
    for name, days in re.findall(r"`(\w+Days)`[^|]*\| (\d+) days", TEXT):
        assert TEMPLATE["Parameters"][name]["Default"] == int(days), name


def test_a_key_that_is_given_needs_the_last_three_statements_of_the_stacks_own() -> None:
    statements = TEMPLATE["Resources"]["DataKey"]["Properties"]["KeyPolicy"]["Statement"]
    assert "last three statements of `DataKey`" in TEXT
    assert [one["Sid"] for one in statements[-3:]] == [
        "ImagesBucketAnnounces",
        "AlarmsPublish",
        "LogsAreWritten",
    ]


def test_the_images_have_no_user_as_sagemaker_wants_it() -> None:
    image = (REPOSITORY / "training/Dockerfile").read_text()
    assert not re.search(r"^USER\b", image, re.MULTILINE)
    assert "the images have no `USER`" in TEXT
