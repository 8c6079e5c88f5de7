"""The images in the bucket, by pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.announcements import StoredVersion
from contract.keys import INCOMING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Marker:
    """Behind which version a listing goes on.

    Attributes:
        key: The key of that version.
        version_id: The version.
    """

    key: str
    version_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """At most 1,000 versions.

    Attributes:
        versions: Without delete markers, which have no content.
        end: Where the next page begins; None if this is the last one.
    """

    versions: list[StoredVersion]
    end: Marker | None


@dataclass(frozen=True)
class Versions:
    """Lists the versions of all images, in the order of their keys.

    The keys have no date in them, so all of them are listed, of whatever age: a thousand in a request.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

    Attributes:
        client: The S3 client. It decodes the keys.
        bucket: The images bucket.
    """

    client: S3Client
    bucket: str

    def pages(self, start: Marker | None = None) -> Iterator[Page]:
        """Yield the pages from the beginning, or from behind a version."""
        while True:
            reply = self._list(start)
            start = (
                Marker(reply["NextKeyMarker"], reply["NextVersionIdMarker"]) if reply["IsTruncated"] else None
            )
            yield Page([self._version(entry) for entry in reply.get("Versions", [])], start)
            if start is None:
                return

    def _list(self, start: Marker | None) -> Any:
        behind: Any = {"KeyMarker": start.key, "VersionIdMarker": start.version_id} if start else {}
        return self.client.list_object_versions(Bucket=self.bucket, Prefix=INCOMING, **behind)

    def _version(self, entry: Any) -> StoredVersion:
        return StoredVersion(
            bucket=self.bucket,
            key=entry["Key"],
            version_id=entry.get("VersionId") or "null",
            stored_at=entry["LastModified"],
            size=entry.get("Size", 0),
            etag=entry.get("ETag", "").strip('"'),
        )
