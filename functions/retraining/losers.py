"""Models that lost: marked by a tag, and deleted later by the bucket's lifecycle rule.

A run stores a model for each candidate and for each training of a tuning job, and at most one of them is registered.
The rule of template.yaml deletes what has the tag; nothing else does. A version of the registry is never marked,
whatever became of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from contract.keys import MODELS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from retraining.documents import Documents

TAG = "loupe:lost"


def mark(documents: Documents, s3: S3Client, run: str, kept: Iterable[str]) -> list[str]:
    """Mark what a run has stored, except what is kept; take the mark from what is.

    A run whose inputs are those of an earlier one has the same name and the same models, and another of them may win.

    Args:
        documents: The artefacts bucket.
        s3: The S3 client.
        run: The run's name.
        kept: The URIs of the artefacts that stay.

    Returns:
        The keys that are marked.
    """
    staying = set(kept)
    marked = []
    for item in documents.listing(f"{MODELS}{run}/"):
        key = item["Key"]
        if documents.uri(key) in staying:
            s3.delete_object_tagging(Bucket=documents.bucket, Key=key)
        else:
            s3.put_object_tagging(
                Bucket=documents.bucket, Key=key, Tagging={"TagSet": [{"Key": TAG, "Value": "true"}]}
            )
            marked.append(key)
    return marked
