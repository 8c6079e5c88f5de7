"""Opens the source that a user names: a folder, a zip, an S3 prefix, or one annotation file."""

from __future__ import annotations

from pathlib import Path

from training.datasets.problems import DatasetError
from training.datasets.storage import s3
from training.datasets.storage.archive import Zip
from training.datasets.storage.files import Files
from training.datasets.storage.folder import Folder

# One such file is a source; any other single file is read as a zip.
ANNOTATION_SUFFIXES = (".json", ".manifest", ".jsonl", ".rec", ".yaml", ".yml")


def open_files(source: Path | str) -> Files:
    """Return the files of a source.

    A folder or prefix that contains one zip and nothing else stands for that zip; the channel of a training job
    often does.

    Args:
        source: A folder, a zip, one annotation file, or an `s3://` URI of one of these.

    Returns:
        The files; for an annotation file those next to it, with the file itself as `chosen`.

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
        return Folder(path.parent, path.name)
    return Zip(str(path))


def _open_s3(uri: str) -> Files:
    if uri.lower().endswith(".zip"):
        return Zip(uri, s3.open_object(uri))
    if uri.lower().endswith(ANNOTATION_SUFFIXES):
        folder, _, name = uri.rpartition("/")
        return s3.Bucket(folder, name)
    files = s3.Bucket(uri)
    if len(files.names) == 1 and files.names[0].lower().endswith(".zip"):
        return _open_s3(files.uri(files.names[0]))
    if not files.names:
        raise DatasetError(uri, "contains no object")
    return files
