"""The role of the function that counts allows the calls that it makes, and no more."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from localcloud.template import parse
from tests.unit.tracking.stage import START, TABLES, Stage, mixed, record

TEMPLATE = Path(__file__).parents[3] / "template.yaml"


def allowed(table: str) -> set[str]:
    """Return the actions on a table that the role allows."""
    template: dict[str, Any] = parse(TEMPLATE.read_text())
    (policy,) = template["Resources"]["TrackRole"]["Properties"]["Policies"]
    actions: set[str] = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        if statement["Resource"] == {"Fn::GetAtt": [TABLES[table], "Arn"]}:
            listed = statement["Action"]
            actions |= {listed} if isinstance(listed, str) else set(listed)
    return {action.removeprefix("dynamodb:") for action in actions}


def test_the_role_of_track_allows_exactly_its_calls(stage: Stage) -> None:
    stage.deliver(*mixed(20))
    for hours in (0, 1):
        at = START + timedelta(hours=hours)
        stage.deliver(record("B", "review", version_id="null", at=at))
    for table in TABLES:
        used = {action for action, name in stage.used if name == table}
        assert used == allowed(table)
