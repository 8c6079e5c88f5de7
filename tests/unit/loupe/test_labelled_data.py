"""Where `loupe import` puts its snapshot, and which data sets a stack has."""

import argparse
import dataclasses
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from localcloud import Connection, NotRunningError
from loupe.errors import LoupeError
from loupe.stack import exports, labelled_data
from loupe.stack.exports import ExportOptions
from loupe.stack.labelled_data import ImportOptions
from loupe.stack.target import Target
from tests.unit.loupe.conftest import OUTPUTS
from training.export import options_parser as export_parser
from training.imports import options_parser

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


def _snapshot(target: Target, name: str, folder: str = "default/", hours_ago: int = 0, **info: Any) -> None:
    document = {
        "loupe_snapshot": 1,
        "id": name * 16,
        "info": {"format": "coco", **info},
        "categories": [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}],
        "images": [{"id": 1, "split": "train"}, {"id": 2, "split": "train"}, {"id": 3, "split": "test"}],
        "annotations": [{"image_id": 1, "category_id": 1}, {"image_id": 3, "category_id": 1}],
    }
    key = f"labelled/snapshots/{folder}{name}.json"
    target.s3.put_object(Bucket="artefacts", Key=key, Body=json.dumps(document).encode())
    stored = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object("artefacts", key)
    assert stored is not None
    stored.last_modified -= timedelta(hours=hours_ago)


def _options(call: labelled_data.ProgramCall) -> argparse.Namespace:
    """Return the arguments as the import program reads them."""
    return options_parser().parse_args(call.arguments)


def test_with_a_local_cloud_the_snapshot_goes_there(reachable: Target, home: Path):
    call = labelled_data.prepare(ImportOptions("NEU-DET.zip", repair=True), None, home, False)
    options = _options(call)
    assert (options.path, options.repair, options.out) == ("NEU-DET.zip", True, DESTINATION)
    assert (options.dataset, options.previous, options.add_classes) == ("default", None, False)
    assert call.destination == DESTINATION


def test_every_option_reaches_the_import_program():
    options = ImportOptions(
        path="--odd name",
        format="voc",
        check=True,
        repair=True,
        labels="-a,b",
        previous="old.json",
        out="-there",
        dataset="press-2",
        add_classes=True,
        yes=True,
        json=True,
    )
    given = vars(options_parser().parse_args(options.arguments()))
    assert given == dataclasses.asdict(options) | {"next": None}


def test_the_newest_snapshot_there_keeps_its_test_set(reachable: Target, home: Path):
    _snapshot(reachable, "bbbb", hours_ago=1)
    _snapshot(reachable, "aaaa")
    reachable.s3.put_object(Bucket="artefacts", Key="labelled/images/cc.jpg", Body=b"")
    call = labelled_data.prepare(ImportOptions("data"), None, home, False)
    assert _options(call).previous == f"{DESTINATION}/snapshots/default/aaaa.json"


def test_the_snapshot_of_another_data_set_is_not_the_previous_one(reachable: Target, home: Path):
    _snapshot(reachable, "aaaa", folder="press-2/")
    assert _options(labelled_data.prepare(ImportOptions("data"), None, home, False)).previous is None
    other = labelled_data.prepare(ImportOptions("data", dataset="press-2"), None, home, False)
    assert _options(other).previous == f"{DESTINATION}/snapshots/press-2/aaaa.json"


def test_a_snapshot_without_a_data_set_s_folder_belongs_to_the_default_one(reachable: Target, home: Path):
    _snapshot(reachable, "aaaa", folder="")
    call = labelled_data.prepare(ImportOptions("data"), None, home, False)
    assert _options(call).previous == f"{DESTINATION}/snapshots/aaaa.json"


def test_without_a_name_the_stack_s_own_data_set_is_used(
    reachable: Target, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(reachable.outputs, "DatasetName", "press-2")
    assert _options(labelled_data.prepare(ImportOptions("data"), None, home, False)).dataset == "press-2"


@pytest.mark.parametrize("previous", ["old.json", ""])
def test_a_given_previous_snapshot_is_kept(reachable: Target, home: Path, previous: str):
    _snapshot(reachable, "aaaa")
    call = labelled_data.prepare(ImportOptions("data", previous=previous), None, home, False)
    assert _options(call).previous == (previous or None)


@pytest.mark.parametrize("name", ["Press", "press_2", "-p", "a" * 41, "", "ü", "a/b", "p\n"])
def test_a_name_that_is_not_valid_for_a_data_set_is_refused(tmp_path: Path, name: str):
    with pytest.raises(LoupeError, match="is not a name for a data set") as caught:
        labelled_data.prepare(ImportOptions("data", dataset=name), None, tmp_path, False)
    assert "lower-case letters, digits and hyphens, at most 40 characters" in caught.value.hint


@pytest.mark.parametrize("options", [ImportOptions("data", out="x"), ImportOptions("data", check=True)])
def test_an_option_for_another_place_needs_no_cloud(options: ImportOptions):
    # This test has neither a cloud nor an account: opening one would raise.
    call = labelled_data.prepare(options, "stack", Path("/none"), True)
    assert (call.arguments, call.destination) == (options.arguments(), None)


def test_without_a_cloud_the_snapshot_stays_here_and_the_next_step_is_to_start_one(tmp_path: Path):
    options = _options(labelled_data.prepare(ImportOptions("data"), None, tmp_path, False))
    assert (options.out, options.next.split(",")[0]) == (None, "loupe up")


def test_the_next_command_names_data_set_and_stack_or_home_only_if_they_were_given(
    reachable: Target, home: Path, tmp_path: Path
):
    def next_command(stack: str | None = None, named_home: bool = False, dataset: str | None = None) -> str:
        call = labelled_data.prepare(ImportOptions("data", dataset=dataset), stack, home, named_home)
        return str(_options(call).next)

    assert next_command() == "loupe retrain --wait"
    assert next_command(stack="press") == "loupe retrain --wait --stack press"
    assert next_command(named_home=True) == f"loupe retrain --wait --home {home}"
    assert next_command(stack="press", dataset="b") == "loupe retrain --wait --dataset b --stack press"


def test_a_required_home_must_have_a_running_cloud(tmp_path: Path):
    with pytest.raises(NotRunningError):
        labelled_data.prepare(ImportOptions("data"), None, tmp_path, True)


def test_the_data_sets_of_a_stack_are_listed_with_their_last_import(stack: Target):
    _snapshot(stack, "old1", folder="", hours_ago=3)
    _snapshot(stack, "bbbb", folder="press-2/", hours_ago=2)
    _snapshot(stack, "aaaa", folder="press-2/", hours_ago=1)
    _snapshot(stack, "cccc", folder="press-2/", format="merged")
    stack.s3.put_object(Bucket="artefacts", Key="labelled/snapshots/Odd/x.json", Body=b"{}")
    default, press = labelled_data.datasets(stack)
    assert (default.name, default.snapshot, default.is_retrained) == ("default", "old1" * 16, True)
    assert press.document() == {
        "name": "press-2",
        "images": 3,
        "classes": {"dent": 2, "scratch": 0},
        "parts": {"train": 2, "validation": 0, "test": 1},
        "snapshot": "aaaa" * 16,
        "uri": f"{DESTINATION}/snapshots/press-2/aaaa.json",
        "imported_at": press.imported_at.isoformat(timespec="seconds"),
        "is_retrained": False,
    }
    assert press.imported_at > default.imported_at


def test_a_stack_without_an_import_has_no_data_sets(stack: Target):
    assert labelled_data.datasets(stack) == []


def test_the_program_sees_no_aws_settings_but_the_local_clouds(
    reachable: Target, home: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "the user's")
    environment = labelled_data.prepare(ImportOptions("data"), None, home, False).environment
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
    call = labelled_data.prepare(ImportOptions("data"), "press", tmp_path, False)
    assert (call.environment, call.destination) == (dict(os.environ), DESTINATION)


def _export(snapshot: str, stack: str | None = None, home: Path = Path("/none")) -> labelled_data.ProgramCall:
    return exports.prepare(ExportOptions(snapshot, Path("-out"), "yolo", json=True), stack, home)


def test_an_export_of_a_data_set_s_name_takes_its_newest_snapshot_in_the_cloud(reachable: Target, home: Path):
    _snapshot(reachable, "aaaa", folder="press-2/")
    call = _export("press-2", home=home)
    given = export_parser().parse_args(call.arguments)
    assert given.snapshot == f"{DESTINATION}/snapshots/press-2/aaaa.json"
    assert (given.out, given.format, given.json) == (Path("-out"), "yolo", True)
    assert call.environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert _export("press-2", "press").environment == dict(os.environ)


def test_an_export_of_a_data_set_that_does_not_exist_names_those_that_do(reachable: Target, home: Path):
    _snapshot(reachable, "aaaa", folder="press-2/")
    with pytest.raises(LoupeError, match="no data set 'press-3'") as caught:
        _export("press-3", home=home)
    assert "press-2" in caught.value.hint


def test_an_export_without_a_cloud_needs_a_path_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LoupeError, match="no such file or folder, and no cloud runs"):
        _export("press-2", home=tmp_path)
    (tmp_path / "press-2").mkdir()
    call = _export("press-2", home=tmp_path)
    assert export_parser().parse_args(call.arguments).snapshot == "press-2"
    assert call.environment == dict(os.environ)


def test_an_export_of_a_uri_is_read_from_the_local_cloud_if_the_bucket_is_there(
    reachable: Target, home: Path
):
    inside = _export(f"{DESTINATION}/snapshots/default", home=home)
    assert inside.environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert _export("s3://elsewhere/data", home=home).environment == dict(os.environ)
    assert _export(DESTINATION, "press", home).environment == dict(os.environ)
