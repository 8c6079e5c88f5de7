"""Every command of docs/runbooks.md on the local cloud, in the order of the page, and alarms that faults turn on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from localcloud.sources import REPOSITORY
from loupe import cli
from loupe.stack.alarms import alarms
from loupe.stack.target import Target
from tests.system.cloud_process import CloudProcess, eventually
from tests.system.test_chain import loupe

pytestmark = [pytest.mark.system, pytest.mark.nightly]
PAGE = (REPOSITORY / "docs" / "runbooks.md").read_text()
COMMANDS = list(
    dict.fromkeys(
        line.partition(" #")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
        for line in block.splitlines()
    )
)
# They name what only the reader knows, or need a version, a run or labels that a new cloud does not have: they must
# say so, and what to do. `doctor` has found something if anything is wrong on this machine.
_MAY_REFUSE = (
    *(
        "loupe dlq drop 1f2e3d4c",
        "loupe replay --resume 1f2e3d4c",
        "loupe rules restore 3",
        "loupe approve 4",
    ),
    *("loupe rollback", "loupe retrain", "loupe doctor"),
    # Nothing was trained.
    *("loupe logs training --since 1d", "loupe logs training processing --errors --since 1d"),
)
_LEFT_OUT = ("loupe retrain",)  # minutes; tests/system/test_retrain.py


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) > 40
    assert set(_MAY_REFUSE) <= set(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in _LEFT_OUT])
def test_a_command_of_a_runbook_does_what_it_says(
    loupe_process: CloudProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.setenv("LOUPE_HOME", str(loupe_process.home))
    status = cli.run(shlex.split(command)[1:])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if command not in _MAY_REFUSE:
        assert status == 0, said.err
        assert said.out or said.err
    elif status and command != "loupe doctor":
        # What is wrong, and what to do next.
        assert re.match(r"loupe: .+\n {7}.+", said.err), said.err


def is_on(target: Target, name: str) -> bool:
    return any(alarm.name == name and alarm.state == "ALARM" for alarm in alarms(target))


def test_what_was_put_aside_turns_an_alarm_on_and_its_runbook_turns_it_off(
    loupe_process: CloudProcess, target: Target, tried: Callable[..., None]
) -> None:
    for output, alarm, queue in (
        ("DeadLetterQueueUrl", "DeadLetterAlarm", "images"),
        ("AlertFailureQueueUrl", "AlertFailureAlarm", "alerts"),
        ("TrackFailureQueueUrl", "TrackFailureAlarm", "counts"),
    ):
        target.sqs.send_message(QueueUrl=target.output(output), MessageBody="what nobody understands")
        eventually(lambda alarm=alarm: is_on(target, alarm), timeout_s=180)
        shown = loupe("dlq", "--queue", queue, home=loupe_process.home).stdout
        assert f"{queue}: 1" in shown
        assert (
            loupe("dlq", "drop", "--all", "--queue", queue, "--yes", home=loupe_process.home).returncode == 0
        )
        eventually(lambda alarm=alarm: not is_on(target, alarm), timeout_s=300)
    tried(faults=3)


def test_a_foreign_message_turns_the_alarm_on_and_the_log_shows_it(
    loupe_process: CloudProcess, target: Target, tried: Callable[..., None]
) -> None:
    target.sqs.send_message(QueueUrl=target.output("QueueUrl"), MessageBody=f"hello {datetime.now(UTC)}")
    eventually(lambda: is_on(target, "UnknownMessagesAlarm"), timeout_s=180)
    log = loupe("logs", "inspect", "--errors", "--since", "1h", home=loupe_process.home).stdout
    assert "the message is not JSON: hello" in log
    assert loupe("reconcile", "--since", "1d", home=loupe_process.home).returncode == 0
    eventually(lambda: not is_on(target, "UnknownMessagesAlarm"), timeout_s=300)
    tried(faults=1)
