"""Rules that people change in the local cloud: what a preview says is what happens, and nobody overwrites anybody."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loupe.stack.api import ApiError, call
from loupe.stack.inspections import Inspection
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.commands import loupe
from tests.system.test_chain import put

pytestmark = pytest.mark.system
SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "line-1" / "top").glob("*.jpg"))
LINE = "zoned"
EVERYWHERE = [[0, 0], [1, 0], [1, 1], [0, 1]]


@pytest.fixture
def before(target: Target) -> Iterator[dict[str, Any]]:
    """The rules in force, which are in force again afterwards."""
    rules = call(target, "GET", "/rules")
    yield rules
    now = call(target, "GET", "/rules")
    if now["document"] != rules["document"]:
        body = {"document": rules["document"], "number": now["number"]}
        assert call(target, "PUT", "/rules", body=body)["document"] == rules["document"]


def inspect(target: Target, name: str) -> dict[str, Inspection]:
    """Inspect the samples, and return the records by the file."""
    keys = {f"incoming/{LINE}/top/{name}-{path.name}": path for path in SAMPLES}
    records = put(target, {key: path.read_bytes() for key, path in keys.items()})
    return {path.name: records[key] for key, path in keys.items()}


def test_rules_changed_by_the_api_decide_as_their_preview_said_within_the_cache_s_seconds(
    loupe_process: CloudProcess, target: Target, before: dict[str, Any], tmp_path: Path
) -> None:
    first = inspect(target, "first")
    failed = {name for name, record in first.items() if record["verdict"] == "fail"}
    assert failed
    zoned = before["document"] | {"version": "zoned", "zones": {LINE: {"ignored": [EVERYWHERE]}}}

    def preview() -> dict[str, Any]:
        body = {"document": zoned, "last": len(first), "line": LINE}
        answer: dict[str, Any] = call(target, "POST", "/rules/preview", body=body)
        return answer

    # The line becomes known when the stream has delivered its records.
    eventually(lambda: preview()["inspected"] == len(first))
    promised = {identity: move["to"] for move in preview()["moves"] for identity in move["ids"]}
    assert {first[name]["id"] for name in failed} <= promised.keys()

    body = {"document": zoned, "number": before["number"], "comment": "the fixture"}
    changed = call(target, "PUT", "/rules", body=body)
    assert changed["number"] == before["number"] + 1
    time.sleep(float(target.output("RulesCacheSeconds")))
    for name, record in inspect(target, "second").items():
        assert record.get("rules_version") == "zoned" or record["verdict"] == "unreadable"
        earlier = first[name]
        assert record["verdict"] == promised.get(earlier["id"], earlier["verdict"])
        if name in failed:
            assert "ignored" in {reason["code"] for reason in record["reasons"]}

    # A person who has not seen the change overwrites nothing.
    with pytest.raises(ApiError) as refused:
        call(target, "PUT", "/rules", body=body | {"document": zoned | {"version": "other"}})
    assert (refused.value.status, refused.value.code) == (409, "stale_version")
    assert call(target, "GET", "/rules")["version"] == "zoned"

    # The command goes back, and the history knows who did what.
    home = loupe_process.home
    restored = loupe("rules", "restore", str(before["number"]), "-m", "enough", "--json", home=home)
    assert restored.returncode == 0, restored.stderr
    newest, middle = call(target, "GET", "/rules/history")["items"][:2]
    assert (newest["action"], newest["comment"]) == ("rolled_back", "enough")
    assert (middle["action"], middle["comment"]) == ("changed", "the fixture")
    assert newest["by"] == middle["by"] == call(target, "GET", "/session")["user"]["name"]
    assert json.loads(restored.stdout)["version"] == newest["version"] != before["version"]
    assert {**newest["document"], "version": before["version"]} == before["document"]


def test_a_document_of_eight_kib_is_in_force_and_one_byte_more_is_refused(
    target: Target, before: dict[str, Any]
) -> None:
    document = before["document"] | {"version": "", "classes": {f"class-{n}": {} for n in range(600)}}
    size = len(json.dumps(document, separators=(",", ":")))
    while size > 8191:
        document["classes"].popitem()
        size = len(json.dumps(document, separators=(",", ":")))
    fitting = document | {"version": "x" * (8192 - size)}
    changed = call(target, "PUT", "/rules", body={"document": fitting, "number": before["number"]})
    parameter = target.ssm.get_parameter(Name=target.output("RulesParameterName"))["Parameter"]
    assert (parameter["Version"], len(parameter["Value"])) == (changed["number"], 8192)
    more = fitting | {"zones": {}}
    with pytest.raises(ApiError) as refused:
        call(target, "PUT", "/rules", body={"document": more, "number": changed["number"]})
    assert "a parameter holds 8,192" in refused.value.hint
