"""Whether the dashboard's page is published as it is in this installation."""

from __future__ import annotations

import hashlib

from localcloud.site import files
from localcloud.sources import REPOSITORY
from loupe.stack.target import Target


def published(target: Target) -> bool:
    """Return whether the dashboard's bucket has every file of the page, with the same content."""
    folder = files.folder(REPOSITORY)
    pages = target.s3.get_paginator("list_objects_v2").paginate(Bucket=target.output("DashboardBucketName"))
    # Without KMS, the tag of an object that was uploaded at once is its MD5:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    there = {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}
    own = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return bool(own) and all(
        there.get(name) == hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        for name, file in own.items()
    )
