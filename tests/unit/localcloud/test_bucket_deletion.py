"""A stack's deletion spares a bucket that is not empty."""

import pytest
from ministack.core.responses import request_scope
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from localcloud.ministack import bucket_deletion


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack's CloudFormation without buckets, changed as in the local cloud."""
    handlers = dict(provisioners._RESOURCE_HANDLERS)
    monkeypatch.setattr(provisioners, "_RESOURCE_HANDLERS", handlers)
    for store in (s3._buckets, s3._object_versions, s3._bucket_versioning):
        monkeypatch.setattr(store, "_data", type(store._data)())
    bucket_deletion.apply()


@pytest.mark.parametrize("what", ["objects", "versions"])
def test_a_bucket_with_something_in_it_is_kept(what: str) -> None:
    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    with request_scope("000000000000", "us-east-1"):
        properties = {"BucketName": "full", "VersioningConfiguration": {"Status": "Enabled"}}
        name, _ = handler["create"]("Bucket", properties, "stack")
        if what == "objects":
            s3._buckets[name]["objects"]["key"] = {"body": b""}
        else:
            s3._object_versions[name, "key"] = [{"version_id": "1", "is_delete_marker": True}]
        with pytest.raises(ValueError, match=r"not empty\. You must delete all versions in the bucket"):
            handler["delete"](name, properties)
        assert name in s3._buckets
        s3._buckets[name]["objects"].clear()
        s3._object_versions.clear()
        handler["delete"](name, properties)
        assert name not in s3._buckets
