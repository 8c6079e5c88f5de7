"""What batch transform asks the container, and what images it sends."""

from __future__ import annotations

import asyncio
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.serving.serving_support import Brightness, ask, call, png, running
from training.serving.batch_transform import execution_parameters
from training.serving.settings import SettingError, Settings

MB = 1024 * 1024
IN_A_JOB = {"SAGEMAKER_BATCH": "true"}


def test_the_container_says_how_images_are_sent_best():
    async def parameters():
        async with running(Brightness(), Settings(workers=3, max_body_bytes=100 * MB)) as app:
            return await call(app, path="/execution-parameters", method="GET")

    answer = asyncio.run(parameters())
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.document == {
        "MaxConcurrentTransforms": 3,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": 33,
    }


@pytest.mark.parametrize("workers", [1, 3, 17, 97])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("payload", [None, 1, 6, 40, 100, 0])
def test_requests_at_once_and_their_size_are_together_what_sagemaker_allows(workers, batch, payload):
    environment = {} if payload is None else {"SAGEMAKER_MAX_PAYLOAD_IN_MB": str(payload)}
    answer = execution_parameters(environment, workers, batch, 100 * MB)
    assert answer["MaxConcurrentTransforms"] >= 1
    assert answer["MaxConcurrentTransforms"] * answer["MaxPayloadInMB"] <= 100
    # What a job takes that says nothing.
    assert answer["MaxPayloadInMB"] >= 6 if payload is None else answer["MaxPayloadInMB"] == payload


def test_what_the_job_has_fixed_stays():
    environment = {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "10"}
    answer = execution_parameters(environment, 3, 1, 100 * MB)
    assert (answer["MaxConcurrentTransforms"], answer["MaxPayloadInMB"]) == (10, 10)


def test_a_container_takes_no_more_than_it_is_set_to():
    assert execution_parameters({}, 2, 1, 6 * MB)["MaxPayloadInMB"] == 6


def test_a_transform_job_may_send_larger_images_and_more_at_once_than_an_endpoint_takes():
    endpoint, job = Settings.read(gpu=False, environment={}), Settings.read(gpu=False, environment=IN_A_JOB)
    assert (endpoint.max_body_bytes, job.max_body_bytes) == (6 * MB, 100 * MB)
    many = IN_A_JOB | {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "99"}
    assert Settings.read(gpu=False, environment=many).waiting == 99
    chosen = IN_A_JOB | {"LOUPE_MAX_BODY_BYTES": "1000"}
    assert Settings.read(gpu=False, environment=chosen).max_body_bytes == 1000


def test_an_image_that_cannot_be_read_is_answered_where_a_refusal_would_fail_the_job():
    good, bad, empty = png(200), b"no image", b""
    answers = ask(Brightness(), good, bad, empty, settings=Settings(answer_unreadable=1))
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert "detections" in answers[0].document
    assert [answer.code for answer in answers[1:]] == ["unsupported_format", "empty_image"]
    (large,) = ask(Brightness(), b"x" * 11, settings=Settings(answer_unreadable=1, max_body_bytes=10))
    assert (large.status, large.code) == (200, "body_too_large")


@pytest.mark.parametrize(
    ("options", "status"), [({"content_type": "text/csv"}, 415), ({"accept": "text/csv"}, 406)]
)
def test_a_request_that_is_wrong_itself_is_refused_all_the_same(options, status):
    (answer,) = ask(Brightness(), png(1), settings=Settings(answer_unreadable=1), **options)
    assert answer.status == status


def test_an_image_without_a_content_type_is_told_by_its_bytes():
    (answer,) = ask(Brightness(), png(1), content_type="")
    assert answer.status == 200


def test_without_a_bit_depth_in_the_request_that_of_the_settings_holds():
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40), 200 << 4, np.uint16)).save(buffer, "PNG")
    (answer,) = ask(Brightness(), buffer.getvalue(), settings=Settings(bit_depth=12))
    assert answer.document["quality"]["exposure"] == pytest.approx(200 / 255, abs=0.01)
    (other,) = ask(
        Brightness(), buffer.getvalue(), settings=Settings(bit_depth=12), attributes="bit-depth=16"
    )
    assert other.document["quality"]["exposure"] < 0.1


@pytest.mark.parametrize("value", ["7", "17", "1"])
def test_a_bit_depth_that_no_camera_has_is_not_a_setting(value):
    with pytest.raises(SettingError, match="LOUPE_BIT_DEPTH"):
        Settings.read(gpu=False, environment={"LOUPE_BIT_DEPTH": value})


def test_a_reference_without_a_version_is_to_the_newest(moto_s3):
    moto_s3.create_bucket(Bucket="folder")
    moto_s3.put_object(Bucket="folder", Key="part.png", Body=png(100))
    line = json.dumps({"part": 7, "s3": {"bucket": "folder", "key": "part.png"}}).encode()
    (answer,) = ask(Brightness(), line, content_type="application/json")
    assert answer.document["detections"][0]["score"] == pytest.approx(100 / 255, abs=0.01)
