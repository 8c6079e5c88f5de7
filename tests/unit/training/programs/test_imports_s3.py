"""`loupe import` from and to S3: images are uploaded once, and a snapshot is written only after its images."""

from __future__ import annotations

import os
import re
import shutil
import signal

import pytest
from botocore.exceptions import ClientError

from tests.unit.training.programs.imports_support import document, run
from training.datasets import open_dataset
from training.datasets.export import write_recordio
from training.datasets.storage import s3


def keys(client) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket="factory").get("Contents", [])]


def test_images_are_uploaded_under_their_hash_and_the_snapshot_refers_to_them(capsys, source, bucket):
    report = document(capsys, source, "--out", "s3://factory/data")
    local = open_dataset(source)
    expected = {f"data/images/{sample.sha256}.jpg" for sample in local.samples}
    assert set(keys(bucket)) == expected | {f"data/snapshots/default/{report['snapshot'][:16]}.json"}
    shutil.rmtree(source)
    dataset = open_dataset(report["written_to"])
    assert {s.sha256 for s in dataset.samples} == {s.sha256 for s in local.samples}
    assert len(dataset.read(dataset.samples[0])) > 0


def test_images_that_are_in_s3_already_are_not_uploaded_again(capsys, source, bucket, monkeypatch):
    document(capsys, source, "--out", "s3://factory/data")
    put, uploaded = s3.client().put_object, []
    monkeypatch.setattr(
        s3.client(), "put_object", lambda **request: (uploaded.append(request["Key"]), put(**request))
    )
    document(capsys, source, "--out", "s3://factory/data")
    assert [key.split("/")[1] for key in uploaded] == ["snapshots"]


def test_images_in_s3_are_referred_to_in_place(capsys, source, bucket):
    for path in source.rglob("*.*"):
        bucket.upload_file(str(path), "factory", f"raw/{path.relative_to(source).as_posix()}")
    report = document(capsys, "s3://factory/raw", "--out", "s3://factory/data")
    assert [key for key in keys(bucket) if not key.startswith("raw/")] == [
        f"data/snapshots/default/{report['snapshot'][:16]}.json"
    ]
    dataset = open_dataset(report["written_to"])
    assert all(
        dataset.files.uri(sample.name).startswith("s3://factory/raw/images/") for sample in dataset.samples
    )


def test_a_test_set_of_records_is_taken_over_and_uploaded_as_images(capsys, drawn, source, bucket, tmp_path):
    records = write_recordio(open_dataset(source), tmp_path / "rec/train.rec")
    first = document(capsys, records, "--out", tmp_path / "out")
    arguments = (drawn / "more", "--previous", first["written_to"])
    second = document(capsys, *arguments, "--out", "s3://factory/data")
    frozen = {sample.sha256 for sample in open_dataset(source).part("test").samples}
    assert frozen <= {s.sha256 for s in open_dataset(second["written_to"]).part("test").samples}
    assert {f"data/images/{digest}.jpg" for digest in frozen} < set(keys(bucket))


def test_an_upload_that_fails_leaves_no_snapshot_and_the_next_try_continues(
    capsys, source, bucket, monkeypatch
):
    put, tried = s3.client().put_object, []

    def failing(**request):
        tried.append(request["Key"])
        if len(tried) > 10:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "PutObject")
        return put(**request)

    monkeypatch.setattr(s3.client(), "put_object", failing)
    status, _, err = run(capsys, source, "--out", "s3://factory/data")
    assert (status, "cannot be written" in err, "SlowDown" in err) == (1, True, True)
    assert len(keys(bucket)) == 10
    assert not any("snapshots" in key for key in keys(bucket))
    monkeypatch.setattr(s3.client(), "put_object", put)
    report = document(capsys, source, "--out", "s3://factory/data")
    assert len(open_dataset(report["written_to"]).samples) == 30


def test_a_stop_during_the_upload_says_what_is_done_and_the_same_command_goes_on(
    capsys, source, bucket, monkeypatch
):
    put, tried = s3.client().put_object, []

    def stopping(**request):
        tried.append(request["Key"])
        if len(tried) == 10:
            os.kill(os.getpid(), signal.SIGINT)
        return put(**request)

    monkeypatch.setattr(s3.client(), "put_object", stopping)
    monkeypatch.setattr(s3, "THREADS", 2)
    status, _, err = run(capsys, source, "--out", "s3://factory/data")
    assert status == 130
    stopped = re.fullmatch(
        r"loupe: stopped after (\d+) of 30 images were uploaded; no snapshot was written\n"
        r"       Run the same command again: images that are uploaded already are skipped\.\n",
        err,
    )
    assert stopped
    done = len(keys(bucket))
    # The two threads end the upload that they have begun.
    assert int(stopped[1]) <= done <= 13
    assert not any("snapshots" in key for key in keys(bucket))
    tried.clear()
    monkeypatch.setattr(
        s3.client(), "put_object", lambda **request: (tried.append(request["Key"]), put(**request))
    )
    report = document(capsys, source, "--out", "s3://factory/data")
    assert len(open_dataset(report["written_to"]).samples) == 30
    assert len(tried) == 30 - done + 1


@pytest.mark.parametrize("kind", ["zip", "rec", "rec in a zip"])
def test_a_snapshot_of_a_zip_or_rec_file_in_s3_reads_its_images_from_there(
    capsys, source, bucket, tmp_path, kind
):
    write_recordio(open_dataset(source), tmp_path / "rec/train.rec")
    folder = source if kind == "zip" else tmp_path / "rec"
    if kind == "rec":
        for path in folder.iterdir():
            bucket.upload_file(str(path), "factory", f"raw/{path.name}")
        uri = "s3://factory/raw/train.rec"
    else:
        shutil.make_archive(str(tmp_path / "data"), "zip", folder)
        bucket.upload_file(str(tmp_path / "data.zip"), "factory", "raw/data.zip")
        uri = "s3://factory/raw/data.zip"
    report = document(capsys, uri, "--out", "s3://factory/data")
    assert not any(key.startswith("data/images") for key in keys(bucket))
    dataset, local = open_dataset(report["written_to"]), open_dataset(source)
    contents = {sample.sha256: local.read(sample) for sample in local.samples}
    assert {s.sha256: dataset.read(s) for s in dataset.samples} == contents


def test_a_snapshot_that_s3_refuses_is_an_error(capsys, source, bucket, monkeypatch):
    put = s3.client().put_object

    def refusing(**request):
        if "snapshots" in request["Key"]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")
        return put(**request)

    monkeypatch.setattr(s3.client(), "put_object", refusing)
    status, _, err = run(capsys, source, "--out", "s3://factory/data")
    assert (status, "AccessDenied" in err) == (1, True)
