"""Writes snapshots to `<out>/snapshots/<data set>/<id>.json`, and uploads the images that a snapshot in S3 needs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from contract.keys import LABELLED, snapshots_of
from training.datasets.dataset import Dataset, Sample
from training.datasets.problems import DatasetError
from training.datasets.snapshots.snapshot import Snapshot
from training.datasets.storage import s3
from training.datasets.storage.files import image_suffix


def folder_of(out: str, dataset: str) -> str:
    """Return the folder or S3 URI that has the snapshots of a data set, without a slash at its end.

    The retraining looks for snapshots in the same place below LABELLED.

    >>> folder_of("s3://factory/labelled/", "press-2")
    's3://factory/labelled/snapshots/press-2'
    """
    folder = snapshots_of(dataset).removeprefix(LABELLED).strip("/")
    return f"{out.rstrip('/')}/{folder}"


def local_images(snapshot: Snapshot) -> list[Sample]:
    """Return the samples whose images are on this machine, each image once."""
    uris = (str(image["uri"]) for image in snapshot.document["images"])
    samples = zip(snapshot.samples, uris, strict=True)
    local = {sample.sha256: sample for sample, uri in samples if uri.startswith("file:")}
    return list(local.values())


def upload_images(
    dataset: Dataset, samples: Sequence[Sample], out: str, on_image: Callable[[], object] = lambda: None
) -> dict[str, str]:
    """Upload images to `<out>/images/<sha256>.<ext>`, except those that are there already.

    After a failure the uploaded images stay; the next try finds them.

    Args:
        dataset: Reads the images.
        samples: The samples to upload.
        out: An S3 URI.
        on_image: Called after each image.

    Returns:
        The URI of each image, by SHA-256.

    Raises:
        DatasetError: An image cannot be read or uploaded.
    """
    folder = f"{out.rstrip('/')}/images/"
    uploaded = {PurePosixPath(uri).stem: uri for uri in s3.list_objects(folder)}

    def upload(sample: Sample) -> tuple[str, str]:
        uri = uploaded.get(sample.sha256)
        if uri is None:
            data = dataset.read(sample)
            uri = f"{folder}{sample.sha256}{image_suffix(data)}"
            s3.write(uri, data)
        return sample.sha256, uri

    uris: dict[str, str] = {}
    with ThreadPoolExecutor(s3.THREADS) as pool:
        try:
            for sha256, uri in pool.map(upload, samples):
                uris[sha256] = uri
                on_image()
        except BaseException:
            # After Ctrl+C nobody wants to wait for the images that are in the queue.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return uris


def write(snapshot: Snapshot, out: str) -> str:
    """Write a snapshot's document in one step: a reader never sees a part of it.

    Args:
        snapshot: What to write.
        out: A folder or an S3 URI.

    Returns:
        The path or URI of the document.

    Raises:
        DatasetError: It cannot be written.
    """
    if out.startswith("s3://"):
        uri = f"{folder_of(out, snapshot.dataset)}/{snapshot.file_name}"
        s3.write(uri, snapshot.content(), "application/json")
        return uri
    path = Path(folder_of(out, snapshot.dataset)) / snapshot.file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(path, snapshot.content())
    except OSError as error:
        raise DatasetError(path, f"cannot be written: {error.strerror}") from error
    return str(path)


def _write_atomically(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
