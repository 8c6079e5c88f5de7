"""Whatever a camera names its files, and a model its classes, is text: in mails, on phones, and in spreadsheets."""

from __future__ import annotations

import csv
import io
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.spreadsheets import csv_text
from inspection.messages import attributes, describe, sms, subject, text
from tests.unit.inspection.test_alert_messages import LINK, record

pytestmark = pytest.mark.promise(31)
AWKWARD = [
    "\n",
    "\r\n",
    "\x1b[2J",
    "\u2028",
    "\u202e",
    "=",
    "@",
    "+",
    "-",
    '"',
    ",",
    ";",
    "\t",
    "\0",
    "<b>",
    "%0a",
    "\x85",
]
texts = st.lists(
    st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6
).map("".join)
records = st.builds(
    lambda line, station, serial, label, model, rules: record(
        line=line,
        station=station,
        serial=serial,
        rules_version=rules,
        model={"name": model, "version": model},
        reasons=[dict(record()["reasons"][0], label=label, message=f"defect: {label}")],
        detections=[dict(record()["detections"][0], label=label)],
        image=f"s3://images/incoming/{line}/{station}/{serial}.jpg",
    ),
    *[texts] * 6,
)


def shown(found: dict[str, Any]) -> list[str]:
    """What people read of an alert."""
    document = describe(found, LINK)
    parts = [text(document), subject(document), sms(document)]
    return parts + [each["StringValue"] for each in attributes(document).values()]


@settings(max_examples=60, deadline=None)
@given(records)
def test_no_name_forges_a_line_or_a_control_character_in_an_alert(hostile: dict[str, Any]) -> None:
    body, *others = shown(hostile)
    assert body.count("\n") == shown(record())[0].count("\n")
    assert len(body.splitlines()) == len(shown(record())[0].splitlines())
    for part in others:
        assert len(part.splitlines()) <= 1
    for part in [body.replace("\n", ""), *others]:
        assert not [
            sign for sign in part if unicodedata.category(sign) == "Cc" or sign in "\u202a\u202b\u202d\u202e"
        ]


@settings(max_examples=60, deadline=None)
@given(st.lists(records, min_size=1, max_size=3))
def test_no_name_makes_a_formula_or_a_further_row_of_a_spreadsheet(hostile: list[dict[str, Any]]) -> None:
    table = csv_text(hostile)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == len(hostile)
    assert table.count("\n") == len(hostile) + 1
    for row in rows:
        assert not [cell for cell in row.values() if cell.lstrip().startswith(("=", "+", "-", "@"))]
        assert not [sign for cell in row.values() for sign in cell if unicodedata.category(sign) == "Cc"]
