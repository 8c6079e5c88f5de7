"""Where snapshots go: `<out>/snapshots/<id>.json`, and for S3 the images that are not there yet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from training.datasets.dataset import Dataset, Sample
from training.datasets.problems import DatasetError
from training.datasets.recordio import suffix_of
from training.datasets.snapshot import Snapshot


def local_images(snapshot: Snapshot) -> list[Sample]:
    """The samples whose images lie on this machine, each image once."""
    uris = (str(image["uri"]) for image in snapshot.document["images"])
    local = {s.sha256: s for s, uri in zip(snapshot.samples, uris, strict=True) if uri.startswith("file:")}
    return list(local.values())


def upload_images(
    dataset: Dataset, samples: Sequence[Sample], out: str, on_image: Callable[[], object] = lambda: None
) -> dict[str, str]:
    """Puts images under `<out>/images/<sha256>.<ext>`, unless they are there. Returns SHA-256 → URI.

    Raises DatasetError; what was uploaded by then stays, and is found by the next try.
    """
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    from training.datasets import s3

    folder = f"{out.rstrip('/')}/images/"
    bucket, prefix = s3.split(folder)
    there = {PurePosixPath(key).stem: key for key in s3.listing(folder)}

    def upload(sample: Sample) -> tuple[str, str]:
        key = there.get(sample.sha256)
        if key is None:
            data = dataset.read(sample)
            key = f"{prefix}{sample.sha256}{suffix_of(data)}"
            try:
                s3.client().put_object(Bucket=bucket, Key=key, Body=data)
            except (ClientError, BotoCoreError, HTTPClientError) as error:
                raise DatasetError(f"s3://{bucket}/{key}", f"cannot be written: {error}") from error
        on_image()
        return sample.sha256, f"s3://{bucket}/{key}"

    with ThreadPoolExecutor(s3.THREADS) as pool:
        return dict(pool.map(upload, samples))


def write(snapshot: Snapshot, out: str) -> str:
    """Writes the document in one step; returns its path or URI. Raises DatasetError."""
    if out.startswith("s3://"):
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        from training.datasets import s3

        uri = f"{out.rstrip('/')}/snapshots/{snapshot.file_name}"
        bucket, key = s3.split(uri)
        try:
            s3.client().put_object(
                Bucket=bucket, Key=key, Body=snapshot.content(), ContentType="application/json"
            )
        except (ClientError, BotoCoreError, HTTPClientError) as error:
            raise DatasetError(uri, f"cannot be written: {error}") from error
        return uri
    path = Path(out) / "snapshots" / snapshot.file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            try:
                file.write(snapshot.content())
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o644)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise DatasetError(path, f"cannot be written: {error.strerror}") from error
    return str(path)
