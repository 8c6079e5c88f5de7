"""Labels that come of decisions: one document for each image, and a copy of the picture that stays.

The images bucket deletes its objects after some time, and a label is worth nothing without its picture. The copy lies
where `loupe import` puts its images, under the hash of its bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contract.keys import LABELLED, LABELS
from contract.s3 import UNVERSIONED, join, split

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopyObjectRequestTypeDef, GetObjectRequestTypeDef

IMAGES = f"{LABELLED}/images/"
_CHUNK_BYTES = 1 << 20
_READERS = 16  # threads that read labels
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "404", "405"})  # 405: a delete marker
_REPLACED = frozenset({"PreconditionFailed", "412"})
# As `loupe import` names them.
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}
_CONTENT_TYPES = {kind: f"image/{kind.lower()}" for kind in _SUFFIXES}


class NoLabelError(Exception):
    """A decision leaves no label, because of the picture. The message says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """The copy of a picture.

    Attributes:
        bucket: The artefacts bucket.
        key: Its key.
        version_id: Its version.
        sha256: Of its bytes.
    """

    bucket: str
    key: str
    version_id: str
    sha256: str


@dataclass(frozen=True)
class Labels:
    """The labels in the artefacts bucket.

    Attributes:
        s3: The S3 client.
        bucket: The artefacts bucket.
    """

    s3: S3Client
    bucket: str

    def keep(self, record: Mapping[str, Any]) -> KeptPicture:
        """Copy the picture of an inspection to where it stays.

        Args:
            record: The inspection record.

        Raises:
            NoLabelError: The picture cannot be learned from, or is not there any more.
        """
        if record["version_id"] != UNVERSIONED and (earlier := self._kept(record["id"])):
            return earlier
        kind = record.get("image_format")
        if kind not in _SUFFIXES or "detections" not in record:
            raise NoLabelError("The model could not read this picture, so it cannot learn from it.")
        bucket, key = split(record["image"])
        version = record["version_id"]
        source: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
        if version != UNVERSIONED:
            source["VersionId"] = version
        try:
            sha256, etag = self._hash(source)
            target = f"{IMAGES}{sha256}{_SUFFIXES[kind]}"
            copy: CopyObjectRequestTypeDef = {
                "Bucket": self.bucket,
                "Key": target,
                "CopySource": source,
                "CopySourceIfMatch": etag,
                "MetadataDirective": "REPLACE",
                "TaggingDirective": "REPLACE",
                "ContentType": _CONTENT_TYPES[kind],
            }
            copied = self.s3.copy_object(**copy)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                raise NoLabelError("The picture was deleted, so there is nothing to learn from.") from error
            if code in _REPLACED:
                raise NoLabelError("The picture was replaced by another one meanwhile.") from error
            raise
        return KeptPicture(self.bucket, target, copied.get("VersionId", UNVERSIONED), sha256)

    def write(
        self,
        record: Mapping[str, Any],
        picture: KeptPicture,
        objects: Sequence[Mapping[str, Any]],
        by: str,
        at: str,
        tags: Sequence[str] = (),
    ) -> str:
        """Write the label of an image, in place of an earlier one. The retraining reads it (retraining/labelled.py).

        Args:
            record: The inspection record.
            picture: The copy of the picture.
            objects: What is in it, as `{"label", "box"}`; none for a good part.
            by: Who decided.
            at: When.
            tags: Labels of the whole image: that of a bad part whose defect has no box.

        Returns:
            The label's URI.
        """
        document = {
            "image": {"bucket": picture.bucket, "key": picture.key, "version_id": picture.version_id},
            "sha256": picture.sha256,
            "width": int(record["image_width"]),
            "height": int(record["image_height"]),
            "objects": [{"label": item["label"], "box": list(item["box"])} for item in objects],
            **({"tags": list(tags)} if tags else {}),
            "by": by,
            "at": at,
            "source": record["image"],
        }
        key = _key(record["id"])
        self.s3.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
            ContentType="application/json",
        )
        return join(self.bucket, key)

    def withdraw(self, inspection_id: str) -> None:
        """Delete the label of an image, if it has one."""
        self.s3.delete_object(Bucket=self.bucket, Key=_key(inspection_id))

    def page(self, limit: int, after: str | None = None) -> tuple[list[dict[str, Any]], str | None]:
        """Return label documents in the order of their keys, and the key after which more follow.

        Args:
            limit: The most that are returned, at most 1000.
            after: Only those behind this key.
        """
        listed = self.s3.list_objects_v2(
            Bucket=self.bucket, Prefix=LABELS, MaxKeys=limit, StartAfter=after or LABELS
        )
        keys = [item["Key"] for item in listed.get("Contents", []) if item["Key"].endswith(".json")]
        with ThreadPoolExecutor(_READERS) as pool:
            documents = [document for document in pool.map(self._find, keys) if document]
        return documents, listed["Contents"][-1]["Key"] if listed["IsTruncated"] else None

    def _kept(self, inspection_id: str) -> KeptPicture | None:
        """Return the copy that an earlier label of an image version names."""
        label = self._find(_key(inspection_id))
        return KeptPicture(**label["image"], sha256=label["sha256"]) if label else None

    def _find(self, key: str) -> dict[str, Any] | None:
        """Return a label document; None if it was withdrawn."""
        try:
            reply = self.s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise
        document: dict[str, Any] = json.loads(reply["Body"].read())
        return document

    def _hash(self, source: GetObjectRequestTypeDef) -> tuple[str, str]:
        """Return SHA-256 and ETag of an object version, without holding it in memory."""
        reply, sha256 = self.s3.get_object(**source), hashlib.sha256()
        with closing(reply["Body"]) as body:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                sha256.update(chunk)
        return sha256.hexdigest(), reply["ETag"]


def _key(inspection_id: str) -> str:
    return f"{LABELS}{inspection_id}.json"
