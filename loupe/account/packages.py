"""The functions' packages in S3: each content once.

All functions have the same code, and `sam deploy` would pack and upload it for each of them again, which takes two
seconds of a core each. What is in S3 already is left to sam to refer to.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import yaml
from botocore.exceptions import ClientError

from loupe.account.account import Account

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can store
_MODE = 0o644 << 16


def upload(account: Account, template: Path) -> None:
    """Upload the packages of a built template, and let the template name them in S3.

    The same content has the same key and the same bytes, so that a deployment without changes changes no function.

    Args:
        account: Whose deployment bucket they go to.
        template: What `sam build` has written, with the packages beside it.
    """
    document = yaml.safe_load(template.read_text("utf-8"))
    uris: dict[str, str] = {}
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        folder = template.parent / str(properties.get("CodeUri", ""))
        if resource["Type"] != "AWS::Serverless::Function" or not folder.is_dir():
            continue
        digest = _digest(folder)
        if digest not in uris:
            uris[digest] = _put(account, folder, digest)
        properties["CodeUri"] = uris[digest]
    template.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")


def _files(folder: Path) -> list[tuple[str, Path]]:
    return sorted((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*") if file.is_file())


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for name, file in _files(folder):
        found.update(f"{name}\0{file.stat().st_size}\0".encode())
        found.update(file.read_bytes())
    return found.hexdigest()


def _put(account: Account, folder: Path, digest: str) -> str:
    bucket, key = account.name("deploy"), f"{account.stack}/{digest}.zip"
    client = account.client("s3")
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            raise
        client.put_object(Bucket=bucket, Key=key, Body=_packed(folder))
    return f"s3://{bucket}/{key}"


def _packed(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in _files(folder):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.external_attr, entry.compress_type = _MODE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return content.getvalue()
