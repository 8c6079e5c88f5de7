"""Where `loupe import` puts its snapshot."""

import os
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import Connection, NotRunningError
from loupe.stack import labelled_data
from loupe.stack.target import Target
from tests.unit.loupe.conftest import OUTPUTS

DESTINATION = "s3://artefacts/labelled"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The private folder of a running local cloud, whose process is this one."""
    Connection(
        pid=os.getpid(),
        pid_created=psutil.Process().create_time(),
        port=4566,
        endpoint_url="http://127.0.0.1:4566",
        region="us-east-1",
        account_id="000000000000",
        access_key_id="LKIA",
        secret_access_key="secret",
        stack_name="loupe",
        outputs=OUTPUTS,
    ).write(tmp_path)
    return tmp_path


@pytest.fixture
def reachable(stack: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    """moto's account in place of that cloud."""
    monkeypatch.setattr(Target, "local", lambda home: stack)
    monkeypatch.setattr(Target, "aws", lambda name: stack)
    return stack


def _snapshot(target: Target, name: str) -> None:
    target.s3.put_object(Bucket="artefacts", Key=f"labelled/snapshots/{name}.json", Body=b"{}")


def test_with_a_local_cloud_the_snapshot_goes_there(reachable: Target, home: Path):
    call = labelled_data.prepare(["NEU-DET.zip", "--repair"], None, home, False)
    assert call.arguments == ["NEU-DET.zip", "--repair", "--out", DESTINATION]
    assert call.destination == DESTINATION


def test_the_newest_snapshot_there_keeps_its_test_set(reachable: Target, home: Path):
    _snapshot(reachable, "bbbb")
    # S3 gives LastModified in whole seconds.
    time.sleep(1.1)
    _snapshot(reachable, "aaaa")
    reachable.s3.put_object(Bucket="artefacts", Key="labelled/images/cc.jpg", Body=b"")
    call = labelled_data.prepare(["data"], None, home, False)
    assert call.arguments[-2:] == ["--previous", f"{DESTINATION}/snapshots/aaaa.json"]


@pytest.mark.parametrize("options", [["--previous", "old.json"], ["--previous="], ["--prev", "old.json"]])
def test_a_given_previous_snapshot_is_kept(reachable: Target, home: Path, options: list[str]):
    _snapshot(reachable, "aaaa")
    assert labelled_data.prepare(["data", *options], None, home, False).arguments == [
        "data",
        *options,
        "--out",
        DESTINATION,
    ]


@given(
    st.sampled_from(
        ["--out", "--ou", "--out=x", "--check", "--chec", "--export", "--exp=coco", "-h", "--help", "--he"]
    ),
    st.integers(0, 3),
)
def test_an_option_for_another_place_needs_no_cloud(option: str, position: int):
    arguments = ["data", "--format", "voc"]
    arguments.insert(position, option)
    # This test has neither a cloud nor an account: opening one would raise.
    assert labelled_data.prepare(arguments, "stack", Path("/none"), True) == labelled_data.ImportCall(
        arguments
    )


def test_without_a_cloud_the_arguments_stay_as_they_are(tmp_path: Path):
    assert labelled_data.prepare(["data"], None, tmp_path, False) == labelled_data.ImportCall(["data"])


def test_a_required_home_must_have_a_running_cloud(tmp_path: Path):
    with pytest.raises(NotRunningError):
        labelled_data.prepare(["data"], None, tmp_path, True)


def test_the_program_sees_no_aws_settings_but_the_local_clouds(
    reachable: Target, home: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "the user's")
    environment = labelled_data.prepare(["data"], None, home, False).environment
    assert environment is not None
    assert {name: value for name, value in environment.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ACCESS_KEY_ID": "LKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    assert environment["PATH"] == os.environ["PATH"]


def test_on_aws_the_users_profile_is_used(reachable: Target, tmp_path: Path):
    call = labelled_data.prepare(["data"], "press", tmp_path, False)
    assert (call.environment, call.destination) == (None, DESTINATION)
