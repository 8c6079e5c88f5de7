"""Links to pictures. The query of a link opens it, for an hour, whoever has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from contract.s3 import UNVERSIONED, split

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LINK_SECONDS = 3600
# What a browser may take an object for, whatever its uploader has said that it is.
_UNKNOWN_TYPE = "application/octet-stream"


class PictureLinks(TypedDict):
    """The links of an inspection.

    Attributes:
        picture: Its image; once somebody has looked at it, its view, if a browser does not show the image itself.
        annotated: The picture with what counts framed.
        thumbnail: A small picture.
    """

    picture: str
    annotated: str | None
    thumbnail: str | None


@dataclass(frozen=True)
class Links:
    """Signs links.

    Attributes:
        s3: Signs, without a request.
        artefacts_bucket: Where annotated pictures and thumbnails are.
    """

    s3: S3Client
    artefacts_bucket: str

    def of(self, record: Mapping[str, Any]) -> PictureLinks:
        """Return the links of an inspection record."""
        bucket, key = split(record["image"])
        image_format = record.get("image_format")
        parameters = {
            "Bucket": bucket,
            "Key": key,
            "ResponseContentType": f"image/{str(image_format).lower()}" if image_format else _UNKNOWN_TYPE,
        }
        if record["version_id"] != UNVERSIONED:
            parameters["VersionId"] = record["version_id"]
        return {
            "picture": self.artefact(record.get("view_key")) or self._sign(parameters),
            "annotated": self.artefact(record.get("picture")),
            "thumbnail": self.artefact(record.get("thumbnail")),
        }

    def artefact(self, key: str | None) -> str | None:
        """Return the link to an object of the artefacts bucket; None if there is none."""
        return self._sign({"Bucket": self.artefacts_bucket, "Key": key}) if key else None

    def object(self, bucket: str, key: str) -> str:
        """Return the link to an object of either bucket."""
        return self._sign({"Bucket": bucket, "Key": key})

    def _sign(self, parameters: dict[str, str]) -> str:
        return self.s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LINK_SECONDS)
