"""Opens a source of labelled images: a folder, a zip, an S3 prefix, or one annotation file."""

from __future__ import annotations

from pathlib import Path

from training.datasets.files import ANNOTATION_SUFFIXES, Files, Folder, Zip
from training.datasets.problems import DatasetError


def open_files(path: Path | str) -> Files:
    """The files of a folder, a zip, an `s3://` prefix, or those beside a single file.

    A folder that holds a single zip and nothing else (a channel of a training job) means that zip.
    Raises DatasetError if there is nothing.
    """
    if str(path).startswith("s3://"):
        from training.datasets import s3  # boto3 takes long to import, and most sources are local

        return s3.open_prefix(str(path))
    path = Path(path)
    if path.is_dir():
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        if len(entries) == 1 and entries[0].suffix.lower() == ".zip":
            return open_files(entries[0])
        return Folder(path)
    if not path.is_file():
        raise DatasetError(path, "no such file or folder")
    if path.suffix.lower() in ANNOTATION_SUFFIXES:
        return Folder(path.parent, path.name)
    return Zip(str(path))
