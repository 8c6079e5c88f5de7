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
