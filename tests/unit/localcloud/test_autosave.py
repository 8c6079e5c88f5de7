"""The state is saved so that every next start can go on with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from ministack import app

from localcloud.home.space import Space
from localcloud.ministack.autosave import Autosave


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the services of an emulated MiniStack return as their states."""
    states: dict[str, Any] = {}

    def save_dict() -> dict[str, Any]:
        def state_of(name: str) -> Any:
            value = states[name]
            return value() if callable(value) else value

        return {name: lambda name=name: state_of(name) for name in states}

    monkeypatch.setattr(app, "PERSIST_STATE", True)
    monkeypatch.setattr(app, "_build_persistence_save_dict", save_dict)
    return states


def saved(folder: Path, service: str) -> Any:
    return json.loads((folder / f"{service}.json").read_text())["payload"]


def test_a_stack_is_not_saved_in_the_middle_of_its_update(tmp_path: Path, states: dict[str, Any]) -> None:
    autosave = Autosave(tmp_path, Space(tmp_path))
    states["cloudformation"] = {"stacks": {"loupe": {"StackStatus": "CREATE_COMPLETE"}}}
    autosave.save()
    for unfinished in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
        states["cloudformation"] = {"stacks": {"loupe": {"StackStatus": unfinished}}}
        assert autosave.save()
        assert saved(tmp_path, "cloudformation")["stacks"]["loupe"]["StackStatus"] == "CREATE_COMPLETE"
    for finished in ("UPDATE_COMPLETE", "REVIEW_IN_PROGRESS"):
        states["cloudformation"] = {"stacks": {"loupe": {"StackStatus": finished}}}
        autosave.save()
        assert saved(tmp_path, "cloudformation")["stacks"]["loupe"]["StackStatus"] == finished


def test_the_last_save_is_repeated_while_a_service_changes(tmp_path: Path, states: dict[str, Any]) -> None:
    busy = iter([True, True, False])

    def state() -> dict[str, int]:
        if next(busy):
            raise RuntimeError("dictionary changed size during iteration")
        return {"messages": 7}

    states["sqs"] = state
    autosave = Autosave(tmp_path, Space(tmp_path))
    autosave.start()
    assert not app.PERSIST_STATE, "MiniStack would save again"
    autosave.stop()
    assert saved(tmp_path, "sqs") == {"messages": 7}


def test_a_full_disk_does_not_prevent_the_end(tmp_path: Path, states: dict[str, Any]) -> None:
    def state() -> Any:
        raise OSError(28, "No space left on device")

    states["sqs"] = state
    autosave = Autosave(tmp_path, Space(tmp_path))
    autosave.start()
    autosave.stop()


@pytest.mark.promise(11, 28)
def test_no_record_is_saved_as_alerted_without_the_message_of_its_alert(
    tmp_path: Path, states: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message is sent first, then its record says so. Between any two steps of a save there may be a kill."""
    sent = marked = 0

    def alert(value: str) -> Any:
        def state() -> dict[str, int]:
            nonlocal sent, marked
            known = {"sent": sent, "marked": marked}
            sent, marked = sent + 1, marked + 1
            return {value: known[value]}

        return state

    def check(file: Path, text: bytes) -> None:
        file.write_bytes(text)
        kept = {service: saved(tmp_path, service) for service in ("sqs", "dynamodb") if exists(service)}
        assert kept.get("dynamodb", {}).get("marked", 0) <= kept.get("sqs", {}).get("sent", 0)

    def exists(service: str) -> bool:
        return (tmp_path / f"{service}.json").exists()

    monkeypatch.setattr("localcloud.home.files.replace", check)
    autosave = Autosave(tmp_path, Space(tmp_path))
    for first, second in (("sqs", "dynamodb"), ("dynamodb", "sqs")):
        states.clear()
        values = {"sqs": alert("sent"), "dynamodb": alert("marked")}
        states |= {first: values[first], second: values[second]}
        assert autosave.save()

    def busy() -> Any:
        raise RuntimeError("dictionary changed size during iteration")

    states["sqs"] = busy
    assert not autosave.save()
    states["sqs"] = alert("sent")
    assert autosave.save()
