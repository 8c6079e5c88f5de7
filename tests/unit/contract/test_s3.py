"""S3 URIs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.s3 import join, split


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{2,20}", fullmatch=True), st.text())
def test_any_bucket_and_key_survive_the_round_trip(bucket: str, key: str) -> None:
    assert split(join(bucket, key)) == (bucket, key)


@pytest.mark.parametrize(
    "text", ["", "bucket/key", "s3://", "s3:///key", "https://bucket/key", "S3://bucket/key"]
)
def test_a_text_that_is_not_an_s3_uri_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/key"):
        split(text)
