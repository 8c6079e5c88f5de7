"""Writes snapshots to `<out>/snapshots/<data set>/<id>.json`, and uploads the files that a snapshot in S3 needs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from contract.keys import LABELLED, snapshots_of
from training.datasets.dataset import Dataset, Mask, Sample
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


def local_files(snapshot: Snapshot) -> list[Sample | Mask]:
    """Return the images and masks that are on this machine, each once."""
    local: dict[str, Sample | Mask] = {}
    for sample, entry in zip(snapshot.samples, snapshot.document["images"], strict=True):
        files: list[tuple[Sample | Mask, dict[str, Any]]]
        files = [(sample, entry), *zip(sample.masks, entry.get("masks", ()), strict=True)]
        local |= {file.sha256: file for file, listed in files if str(listed["uri"]).startswith("file:")}
    return list(local.values())


def upload(
    dataset: Dataset,
    files: Sequence[Sample | Mask],
    out: str,
    on_file: Callable[[], object] = lambda: None,
) -> dict[str, str]:
    """Upload images to `<out>/images/<sha256>.<ext>` and masks to `<out>/masks/`, except those that are there already.

    After a failure the uploaded files stay; the next try finds them.

    Args:
        dataset: Reads the files.
        files: The images and masks to upload.
        out: An S3 URI.
        on_file: Called after each file.

    Returns:
        The URI of each file, by SHA-256.

    Raises:
        DatasetError: A file cannot be read or uploaded.
    """
    folders = {_folder(file, out) for file in files}
    uploaded = {PurePosixPath(uri).stem: uri for folder in folders for uri in s3.list_objects(folder)}

    def upload_one(file: Sample | Mask) -> tuple[str, str]:
        uri = uploaded.get(file.sha256)
        if uri is None:
            data = dataset.read(file)
            uri = f"{_folder(file, out)}{file.sha256}{image_suffix(data)}"
            s3.write(uri, data)
        return file.sha256, uri

    uris: dict[str, str] = {}
    with ThreadPoolExecutor(s3.THREADS) as pool:
        try:
            for sha256, uri in pool.map(upload_one, files):
                uris[sha256] = uri
                on_file()
        except BaseException:
            # After Ctrl+C nobody wants to wait for the files that are in the queue.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return uris


def _folder(file: Sample | Mask, out: str) -> str:
    return f"{out.rstrip('/')}/{'masks' if isinstance(file, Mask) else 'images'}/"


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
