"""The labelled data of a run: the last import, merged with the reviewed labels."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from retraining import labelled
from retraining.documents import Documents
from retraining.errors import LabelledDataError
from retraining.snapshots import read
from tests.unit.retraining.snapshots import BOX, label, sha, snapshot

BASE = snapshot()


def put(documents: Documents, *snapshots: dict[str, Any]) -> None:
    for document in snapshots:
        assert documents.write(f"labelled/snapshots/{document['id'][:16]}.json", document)


def put_label(
    documents: Documents, sha256: str, *labelled_objects: tuple[str, tuple[float, float, float, float]]
) -> None:
    assert documents.write(f"labels/{sha256}.json", label(sha256, *labelled_objects))


def test_without_reviewed_labels_the_import_itself_is_used(documents: Documents) -> None:
    put(documents, BASE)
    data = labelled.current(documents, "default", "default")
    assert data.uri == f"s3://artefacts/labelled/snapshots/{BASE['id'][:16]}.json"
    assert data.document == BASE
    assert len(list(documents.listing("labelled/"))) == 1


def test_reviewed_labels_make_a_snapshot_that_is_stored_next_to_the_import(documents: Documents) -> None:
    put(documents, BASE)
    put_label(documents, sha("new"), ("dent", BOX))
    data = labelled.current(documents, "default", "default")
    stored = documents.find(data.uri.removeprefix("s3://artefacts/"))
    assert stored is not None
    assert stored[0] == data.document
    assert data.document["info"]["previous"] == BASE["id"]
    assert sha("new") in data.contents
    assert labelled.current(documents, "default", "default").uri == data.uri


def test_a_merged_snapshot_is_never_the_base_of_the_next(documents: Documents) -> None:
    put(documents, BASE)
    put_label(documents, sha("new"), ("dent", BOX))
    first = labelled.current(documents, "default", "default")
    documents.s3.delete_object(Bucket="artefacts", Key=f"labels/{sha('new')}.json")
    put_label(documents, sha("newer"), ("dent", BOX))
    second = labelled.current(documents, "default", "default")
    assert second.document["info"]["previous"] == BASE["id"]
    assert sha("new") not in second.contents
    assert second.id != first.id


def test_the_latest_import_is_used_not_the_first_by_name(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = sorted((BASE, snapshot(30)), key=lambda document: str(document["id"]), reverse=True)
    put(documents, first, last)
    listed = [
        {
            "Key": f"labelled/snapshots/{document['id'][:16]}.json",
            "LastModified": datetime(2026, 3, day, tzinfo=UTC),
        }
        for day, document in ((2, last), (1, first))
    ]
    monkeypatch.setattr(
        Documents, "listing", lambda _, prefix: iter(listed if prefix == labelled.SNAPSHOTS else [])
    )
    assert labelled.current(documents, "default", "default").id == last["id"]


def test_however_many_snapshots_were_merged_the_last_import_is_found_by_the_newest_of_them(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, BASE)
    for number in range(5):
        put_label(documents, sha(f"new {number}"), ("dent", BOX))
        labelled.current(documents, "default", "default")
    keys = list[str]()
    monkeypatch.setattr(labelled, "read", lambda store, key: (keys.append(key), read(store, key))[1])

    merged = labelled.current(documents, "default", "default")

    assert merged.document["info"]["previous"] == BASE["id"]
    assert len(keys) <= 2


def test_each_data_set_has_its_own_last_import_and_labels_belong_to_the_stack_s_own(
    documents: Documents,
) -> None:
    put(documents, BASE)
    other = snapshot(30)
    documents.write(f"labelled/snapshots/press-2/{other['id'][:16]}.json", other)
    put_label(documents, sha("new"), ("dent", BOX))
    assert labelled.current(documents, "press-2", "default").document == other
    assert labelled.current(documents, "default", "press-2").document == BASE
    merged = labelled.current(documents, "press-2", "press-2")
    assert sha("new") in merged.contents
    assert merged.uri.startswith("s3://artefacts/labelled/snapshots/press-2/")
    assert merged.document["info"]["previous"] == other["id"]


def test_a_data_set_that_does_not_exist_is_named_with_those_that_do(documents: Documents) -> None:
    put(documents, BASE)
    with pytest.raises(LabelledDataError) as caught:
        labelled.current(documents, "press-2", "default")
    assert str(caught.value) == (
        "there is no data set press-2, only default: import images with `loupe import PATH --dataset press-2`"
    )


def test_other_files_next_to_the_labels_are_ignored(documents: Documents) -> None:
    put(documents, BASE)
    documents.s3.put_object(Bucket="artefacts", Key="labels/README.txt", Body=b"by hand")
    assert labelled.current(documents, "default", "default").document == BASE


def test_without_an_import_the_error_says_so(documents: Documents) -> None:
    with pytest.raises(LabelledDataError, match="no labelled data yet: import images with `loupe import"):
        labelled.current(documents, "default", "default")
    put_label(documents, sha("new"), ("dent", BOX))
    with pytest.raises(LabelledDataError, match="no labelled data yet"):
        labelled.current(documents, "default", "default")


NEW = label(sha("new"), ("dent", BOX))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        b"\xff\xfe",
        json.dumps(NEW | {"sha256": "0"}),
        json.dumps(NEW | {"width": 0}),
        json.dumps(NEW | {"image": {"bucket": "images"}}),
        json.dumps(NEW | {"objects": [{"label": "", "box": BOX}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, 3]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, 3, float("nan")]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, float("inf"), 4]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [3, 2, 1, 4]}]}),
        json.dumps(NEW | {"objects": [{"label": "dent", "box": [1, 2, 3, 2]}]}),
    ],
)
def test_an_invalid_label_is_named(documents: Documents, body: str | bytes) -> None:
    put(documents, BASE)
    put_label(documents, sha("good"), ("dent", BOX))
    documents.s3.put_object(Bucket="artefacts", Key="labels/bad.json", Body=body)
    with pytest.raises(LabelledDataError, match=r"s3://artefacts/labels/bad\.json is not a reviewed image"):
        labelled.current(documents, "default", "default")


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "{}", '{"loupe_snapshot":1}', '{"loupe_snapshot":2,"id":"0"}']
)
def test_an_invalid_snapshot_is_named(documents: Documents, body: str) -> None:
    documents.s3.put_object(Bucket="artefacts", Key="labelled/snapshots/0.json", Body=body)
    with pytest.raises(
        LabelledDataError, match=r"s3://artefacts/labelled/snapshots/0\.json (is not a|was altered)"
    ):
        labelled.current(documents, "default", "default")


@pytest.mark.parametrize("member", ["info", "categories", "images", "annotations", "left_out"])
def test_a_snapshot_that_was_altered_is_named(documents: Documents, member: str) -> None:
    damaged = json.loads(json.dumps(BASE))
    if isinstance(damaged[member], list):
        damaged[member].append({})
    else:
        del damaged[member]
    put(documents, damaged)
    with pytest.raises(LabelledDataError, match=f"{BASE['id'][:16]}.json was altered"):
        labelled.current(documents, "default", "default")
