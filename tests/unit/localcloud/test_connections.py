"""How another process finds the cloud, and the error if none is running."""

import dataclasses
import os
from pathlib import Path

import psutil
import pytest

from localcloud import Connection, HomeError, NotRunningError, connection

HERE = Connection(
    pid=os.getpid(),
    pid_created=psutil.Process().create_time(),
    port=21000,
    endpoint_url="http://127.0.0.1:21000",
    region="us-east-1",
    account_id="000000000000",
    access_key_id="AKIAX",
    secret_access_key="secret",
    stack_name="loupe",
    outputs={"QueueUrl": "http://127.0.0.1:21000/000000000000/q"},
)


def test_a_written_connection_is_read_back_and_private(tmp_path: Path) -> None:
    HERE.write(tmp_path)
    assert connection(tmp_path) == HERE
    assert (tmp_path / "cloud.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("process", [{"pid": 2**22 + 1}, {"pid_created": 1.0}])
def test_a_dead_process_or_a_reused_pid_is_not_a_running_cloud(
    tmp_path: Path, process: dict[str, float]
) -> None:
    dataclasses.replace(HERE, **process).write(tmp_path)  # type: ignore[arg-type]
    with pytest.raises(NotRunningError):
        connection(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"pid": 1}', "\x00" * 10])
def test_a_damaged_file_or_one_of_another_version_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "cloud.json").write_text(text)
    with pytest.raises(
        HomeError, match=r"cloud\.json is damaged, or was written by another version"
    ) as error:
        connection(tmp_path)
    assert "loupe reset" in error.value.hint


def test_the_users_profile_and_endpoint_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "one that does not exist")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example")
    client = HERE.client("sqs")
    assert client.meta.endpoint_url == HERE.endpoint_url
    assert client.meta.config.proxies == {}
