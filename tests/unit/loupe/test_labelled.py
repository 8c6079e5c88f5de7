"""Where `loupe import` leaves its snapshot."""

import os
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import Connection, NotRunningError
from loupe.stack import labelled_data as labelled
from loupe.stack.target import Target
from tests.unit.loupe.conftest import OUTPUTS

PLACE = "s3://artefacts/labelled"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The private folder of a local cloud that runs: this very process."""
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
    """moto's account in the place of that cloud."""
    monkeypatch.setattr(Target, "local", lambda home: stack)
    monkeypatch.setattr(Target, "aws", lambda name: stack)
    return stack


def _snapshot(target: Target, name: str) -> None:
    target.s3.put_object(Bucket="artefacts", Key=f"labelled/snapshots/{name}.json", Body=b"{}")


def test_with_a_local_cloud_the_snapshot_goes_there(reachable: Target, home: Path):
    call = labelled.prepare(["NEU-DET.zip", "--repair"], None, home, False)
    assert call.arguments == ["NEU-DET.zip", "--repair", "--out", PLACE]
    assert call.cloud == PLACE


def test_the_newest_snapshot_there_keeps_its_test_set(reachable: Target, home: Path):
    _snapshot(reachable, "bbbb")
    time.sleep(1.1)  # S3 tells LastModified to the second
    _snapshot(reachable, "aaaa")
    reachable.s3.put_object(Bucket="artefacts", Key="labelled/images/cc.jpg", Body=b"")
    call = labelled.prepare(["data"], None, home, False)
    assert call.arguments[-2:] == ["--previous", f"{PLACE}/snapshots/aaaa.json"]


@pytest.mark.parametrize("given", [["--previous", "old.json"], ["--previous="], ["--prev", "old.json"]])
def test_a_previous_snapshot_that_is_named_stays(reachable: Target, home: Path, given: list[str]):
    _snapshot(reachable, "aaaa")
    assert labelled.prepare(["data", *given], None, home, False).arguments == ["data", *given, "--out", PLACE]


@given(
    st.sampled_from(
        ["--out", "--ou", "--out=x", "--check", "--chec", "--export", "--exp=coco", "-h", "--help", "--he"]
    ),
    st.integers(0, 3),
)
def test_where_the_command_line_says_what_to_do_no_cloud_is_asked(option: str, place: int):
    arguments = ["data", "--format", "voc"]
    arguments.insert(place, option)
    # No cloud and no account is there in this test: to ask for one would raise.
    assert labelled.prepare(arguments, "stack", Path("/none"), True) == labelled.Import(arguments)


def test_without_a_cloud_the_program_decides(tmp_path: Path):
    assert labelled.prepare(["data"], None, tmp_path, False) == labelled.Import(["data"])


def test_a_home_that_was_asked_for_must_run(tmp_path: Path):
    with pytest.raises(NotRunningError):
        labelled.prepare(["data"], None, tmp_path, True)


def test_the_program_sees_the_local_cloud_alone(
    reachable: Target, home: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "the user's")
    environment = labelled.prepare(["data"], None, home, False).environment
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


def test_on_aws_the_ordinary_profile_stays_in_force(reachable: Target, tmp_path: Path):
    call = labelled.prepare(["data"], "press", tmp_path, False)
    assert (call.environment, call.cloud) == (None, PLACE)
