"""Where snapshots go: `<out>/snapshots/<id>.json`, and for S3 the images that are not there yet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from training.datasets.dataset import Dataset, Sample
from training.datasets.formats.recordio import suffix_of
from training.datasets.problems import DatasetError
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
    from training.datasets import s3

    folder = f"{out.rstrip('/')}/images/"
    bucket, _ = s3.split(folder)
    there = {PurePosixPath(key).stem: f"s3://{bucket}/{key}" for key in s3.listing(folder)}

    def upload(sample: Sample) -> tuple[str, str]:
        uri = there.get(sample.sha256)
        if uri is None:
            data = dataset.read(sample)
            uri = f"{folder}{sample.sha256}{suffix_of(data)}"
            s3.write(uri, data)
        on_image()
        return sample.sha256, uri

    with ThreadPoolExecutor(s3.THREADS) as pool:
        return dict(pool.map(upload, samples))


def write(snapshot: Snapshot, out: str) -> str:
    """Writes the document in one step; returns its path or URI. Raises DatasetError."""
    if out.startswith("s3://"):
        from training.datasets import s3

        uri = f"{out.rstrip('/')}/snapshots/{snapshot.file_name}"
        s3.write(uri, snapshot.content(), "application/json")
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
