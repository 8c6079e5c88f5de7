"""Opens the source that a user names: a folder, a zip, an S3 prefix, or one annotation file."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from contract.images import SUFFIXES
from training.datasets.problems import DatasetError
from training.datasets.storage import s3
from training.datasets.storage.archive import Zip
from training.datasets.storage.files import Files
from training.datasets.storage.folder import Folder

# One such file is a source; any other single file must be a zip.
_LABEL_SUFFIXES = (".json", ".manifest", ".jsonl", ".ndjson", ".rec", ".xml", ".csv", ".tsv", ".lst")
ANNOTATION_SUFFIXES = (*_LABEL_SUFFIXES, ".yaml", ".yml", ".names", ".data", ".txt")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
# The images are in a folder beside that of the labels: annotations/a.json and images/, or raw/ and
# job/manifests/output/output.manifest.
_LEVELS_UP = 3
# They contain their images, or give their addresses in S3.
_COMPLETE = (".rec",)
_COMPLETE_IN_S3 = (".rec", ".manifest", ".jsonl")
# How a snapshot begins. Above it may be a whole disk, which nobody must search.
_SNAPSHOT = b'{"loupe_snapshot"'


def open_files(source: Path | str) -> Files:
    """Return the files of a source.

    A folder or prefix that contains one zip and nothing else stands for that zip; the channel of a training job
    often does.

    Args:
        source: A folder, a zip, one annotation file, or an `s3://` URI of one of these.

    Returns:
        The files; for an annotation file those around it, with the file itself as `chosen`.

    Raises:
        DatasetError: There is nothing at `source`, or it cannot be read.
    """
    return _open_s3(str(source)) if str(source).startswith("s3://") else _open_local(Path(source))


def _open_local(path: Path) -> Files:
    if path.is_dir():
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        if len(entries) == 1 and entries[0].suffix.lower() == ".zip":
            return _open_local(entries[0])
        return Folder(path)
    if not path.is_file():
        raise DatasetError(path, "no such file or folder")
    if path.suffix.lower() in ANNOTATION_SUFFIXES:
        return _around(path)
    if path.suffix.lower() in SUFFIXES:
        raise DatasetError(path, "is one image: name the folder, zip or file that contains the labels")
    if path.suffix.lower() in ARCHIVE_SUFFIXES and not zipfile.is_zipfile(path):
        raise DatasetError(path, "is not a readable zip: unpack it, and name the folder")
    return Zip(str(path))


def _around(path: Path) -> Files:
    """Return the files of the annotation file's folder, or of the nearest folder above it that has images."""
    files: Files = Folder(path.parent, path.name)
    if path.suffix.lower() in _COMPLETE or files.peek(path.name, len(_SNAPSHOT)) == _SNAPSHOT:
        return files
    folder = path.absolute().parent
    for _ in range(_LEVELS_UP):
        if files.images or folder.parent in (folder, Path.home()):
            break
        folder = folder.parent
        above = Folder(folder, path.absolute().relative_to(folder).as_posix())
        if above.images:
            return above
    return files


def _open_s3(uri: str) -> Files:
    if uri.lower().endswith(".zip"):
        return Zip(uri, s3.open_object(uri))
    if uri.lower().endswith(ANNOTATION_SUFFIXES):
        return _around_object(uri)
    files = s3.Bucket(uri)
    if len(files.names) == 1 and files.names[0].lower().endswith(".zip"):
        return _open_s3(files.uri(files.names[0]))
    if not files.names:
        raise DatasetError(uri, "contains no object")
    return files


def _around_object(uri: str) -> Files:
    folder, _, name = uri.rpartition("/")
    files = s3.Bucket(folder, name)
    if uri.lower().endswith(_COMPLETE_IN_S3) or files.images:
        return files
    parent, _, last = folder.rpartition("/")
    # Above it is the bucket itself.
    if len(PurePosixPath(parent).parts) <= len(PurePosixPath("s3://bucket").parts):
        return files
    above = s3.Bucket(parent, f"{last}/{name}")
    return above if above.images else files
