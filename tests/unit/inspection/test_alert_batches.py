"""The alerts of a batch of the table's stream."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from inspection.alerts import Alerts

PATIENCE_S = 60


def change(number: int, size: int = 1000, verdict: str = "fail") -> tuple[str, dict[str, Any]]:
    return str(number), {"id": str(number), "image": str(number), "version_id": "v", "verdict": verdict} | {
        "image_bytes": size
    }


@pytest.fixture
def alerts() -> Alerts:
    return Alerts(*cast("tuple[Any, ...]", (None,) * 9))


def test_small_images_are_read_side_by_side_and_large_ones_alone(
    alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, running, most_large = threading.Barrier(2), set[str](), 0
    lock = threading.Lock()

    def process(self: Alerts, image: str, version_id: str) -> bool:
        nonlocal most_large
        with lock:
            running.add(image)
            if int(image) >= 10:
                most_large = max(most_large, len(running))
        if int(image) < 2:
            together.wait(PATIENCE_S)
        with lock:
            running.remove(image)
        return True

    monkeypatch.setattr(Alerts, "process", process)
    large = [change(number, 40 << 20) for number in range(10, 14)]
    assert alerts.process_batch([*large, change(0), change(1)]) == []
    assert most_large == 1


def test_one_alert_that_fails_keeps_no_other_back(alerts: Alerts, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def process(self: Alerts, image: str, version_id: str) -> bool:
        if image in ("3", "11"):
            raise RuntimeError("SNS is down")
        done.append(image)
        return True

    monkeypatch.setattr(Alerts, "process", process)
    batch = [change(number) for number in range(6)] + [change(number, 40 << 20) for number in (10, 11, 12)]
    assert sorted(alerts.process_batch(batch)) == ["11", "3"]
    assert sorted(done, key=int) == ["0", "1", "2", "4", "5", "10", "12"]


def test_what_is_not_due_is_left_alone(alerts: Alerts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alerts, "process", lambda *arguments: pytest.fail("called"))
    alerted = change(1)
    alerted[1]["alert"] = {"id": "1"}
    assert alerts.process_batch([alerted, change(2, verdict="pass"), change(3, verdict="unreadable")]) == []
