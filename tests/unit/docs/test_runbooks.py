"""Each alarm of the template has a runbook, its description leads there, and each runbook is complete."""

from __future__ import annotations

import re
from typing import Any

import pytest

from localcloud.sources import REPOSITORY
from tests.stack_template import stack_template

RUNBOOKS = (REPOSITORY / "docs" / "runbooks.md").read_text()
RESOURCES: dict[str, Any] = stack_template()["Resources"]
ALARMS = sorted(name for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm")
PARTS = ("**It means:**", "**First look:**", "**Mend:**", "**Mended:**")


def section(alarm: str) -> str:
    found = re.search(rf"^## {alarm}\n(.*?)(?=^## |\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL)
    assert found, f"{alarm} has no runbook in docs/runbooks.md"
    return found[1]


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarm_leads_to_its_runbook(alarm: str) -> None:
    description = RESOURCES[alarm]["Properties"]["AlarmDescription"]
    assert description.endswith(f"Runbook in docs/runbooks.md#{alarm.lower()}")
    # CloudWatch takes at most 1,024 characters, and people read it in an e-mail.
    assert len(description) < 250
    assert f"[{alarm}](#{alarm.lower()})" in RUNBOOKS


@pytest.mark.parametrize("alarm", ALARMS)
def test_a_runbook_says_what_it_means_where_to_look_what_mends_it_and_how_that_is_seen(alarm: str) -> None:
    text = section(alarm)
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    # That a command exists and takes these options, test_commands.py checks.
    look, mended = text[places[1] : places[2]], text[places[3] :]
    assert "```sh\nloupe " in look
    assert "```sh\nloupe " in mended


def test_each_runbook_is_of_an_alarm() -> None:
    assert sorted(re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)) == ALARMS
