"""How a transform job packs records into requests, and what it takes of JSON records."""

from typing import Any

import pytest

from localcloud.sagemaker.transform.filters import FilterError, filtered, output, parse, select
from localcloud.sagemaker.transform.objects import ObjectError, batches
from localcloud.sagemaker.transform.requests import Settings

RECORD = {"id": 7, "tags": ["a", "b", "c", "d"], "place": {"line": 1, "station": 2}}


def settings(strategy: str, payload_mb: int = 6) -> Settings:
    return Settings(1, payload_mb, strategy, 600, 3)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", RECORD),
        ("$.id", 7),
        ("$['place']['line']", 1),
        ("$.place.*", [1, 2]),
        ("$['id','tags']", {"id": 7, "tags": ["a", "b", "c", "d"]}),
        ("$.place.['line','station']", {"line": 1, "station": 2}),
        ("$.tags[0]", "a"),
        ("$.tags[-1]", "d"),
        ("$.tags[0,2]", ["a", "c"]),
        # With their last element: "$[1:4] specifies the second through fifth columns".
        ("$.tags[1:2]", ["b", "c"]),
        ("$.tags[:1]", ["a", "b"]),
        ("$.tags[2:]", ["c", "d"]),
        ("$.tags[-2:-1]", ["c", "d"]),
    ],
)
def test_a_path_selects_a_part_of_a_record(path: str, found: Any) -> None:
    assert select(path, RECORD) == found


@pytest.mark.parametrize("path", ["id", "$..id", "$[?(@.id)]", "$.tags[]", "$['id',0]", "$x", "$.tags[1"])
def test_a_path_that_sagemaker_does_not_know_is_refused(path: str) -> None:
    with pytest.raises(FilterError):
        parse(path)


@pytest.mark.parametrize("path", ["$.none", "$.tags[9]", "$.id.x", "$[0]", "$.place[0,1]", "$.id.*"])
def test_a_record_without_the_part_is_an_error(path: str) -> None:
    with pytest.raises(FilterError, match="the record has no"):
        select(path, RECORD)


def test_a_record_that_is_no_object_is_joined_beside_its_answer() -> None:
    processing = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "Input"}
    assert output(processing, b"[1, 2]", b'"fine"') == b'{"SageMakerInput":[1,2],"SageMakerOutput":"fine"}'
    assert output(processing, b'{"a": 1}', b"[0.5]") == b'{"a":1,"SageMakerOutput":[0.5]}'
    with pytest.raises(FilterError, match="not JSON"):
        output(processing, b'{"a": 1}', b"\x89PNG")
    assert filtered("$", b"\x89PNG") == b"\x89PNG"


def test_an_object_that_is_not_split_is_one_record() -> None:
    assert batches(b"a\nb\n", "None", settings("SINGLE_RECORD")) == [[b"a\nb\n"]]
    assert batches(b"", "None", settings("MULTI_RECORD")) == [[b""]]


def test_lines_go_one_by_one_or_as_many_as_fit() -> None:
    content = b"a" * 600_000 + b"\r\n" + b"b" * 600_000 + b"\n\n" + b"c\n"
    assert [len(batch) for batch in batches(content, "Line", settings("SINGLE_RECORD", 1))] == [1, 1, 1]
    assert [list(map(len, batch)) for batch in batches(content, "Line", settings("MULTI_RECORD", 1))] == [
        [600_000],
        [600_000, 1],
    ]
    assert [len(batch) for batch in batches(content, "Line", settings("MULTI_RECORD", 0))] == [3]


def test_a_line_larger_than_a_request_may_be_is_an_error() -> None:
    with pytest.raises(ObjectError, match="1,048,577 bytes"):
        batches(b"small\n" + b"x" * (1024 * 1024 + 1), "Line", settings("MULTI_RECORD", 1))


@pytest.mark.parametrize("answer", [None, b"", b"no JSON", b"[]", b'{"MaxConcurrentTransforms": "many"}'])
def test_without_an_answer_of_the_container_the_settings_are_the_defaults(answer: bytes | None) -> None:
    assert Settings.of({}, answer) == Settings(1, 6, "MULTI_RECORD", 600, 3)


def test_what_the_request_says_goes_before_what_the_container_says() -> None:
    answer = b'{"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 25}'
    assert Settings.of({}, answer) == Settings(4, 25, "SINGLE_RECORD", 600, 3)
    # 0 means that it is not set.
    assert Settings.of({"MaxConcurrentTransforms": 0}, answer).concurrent == 4
    request = {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 0,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 9, "InvocationsMaxRetries": 0},
    }
    assert Settings.of(request, answer) == Settings(2, 0, "MULTI_RECORD", 9, 0)
