"""The identity and the split of a snapshot: a change of either would mix the parts of every data set."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.snapshots import file_name, identity, learning_part_of, part_of

DOCUMENT = {"loupe_snapshot": 1, "images": [{"file_name": "é.jpg", "split": "train"}], "annotations": []}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("first_digits", "part"),
    [
        ("00000000", "train"),
        ("b3333332", "train"),
        ("b3333334", "validation"),
        ("cccccccb", "validation"),
        ("cccccccd", "test"),
        ("ffffffff", "test"),
    ],
)
def test_70_percent_of_the_hashes_train_10_validate_and_20_test(first_digits: str, part: str) -> None:
    assert part_of(first_digits + "0" * 56) == part


@given(st.binary(max_size=32))
def test_with_a_frozen_test_set_only_images_of_the_test_part_move(content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    part = learning_part_of(digest)
    assert part in ("train", "validation")
    assert part == part_of(digest) or part_of(digest) == "test"


def test_the_id_of_a_document_is_the_one_that_older_versions_wrote() -> None:
    assert (
        identity(DOCUMENT)
        == hashlib.sha256(
            '{"annotations":[],"images":[{"file_name":"é.jpg","split":"train"}],"loupe_snapshot":1}'.encode()
        ).hexdigest()
    )


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text())
def test_the_id_depends_neither_on_itself_nor_on_the_order_of_members(
    document: dict[str, object], stored_id: str
) -> None:
    reordered = dict(reversed(document.items()))
    assert identity({**document, "id": stored_id}) == identity({**reordered, "id": None})


def test_the_file_name_is_the_beginning_of_the_id() -> None:
    assert file_name("0123456789abcdef" * 4) == "0123456789abcdef.json"
