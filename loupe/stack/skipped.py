"""Files beside the products' pictures that are no products: what a computer, a camera or a label tool leaves there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from contract.images import SUFFIXES

# A GIF cannot be inspected. It is uploaded all the same, and its record gives the reason.
IMAGE_SUFFIXES = frozenset({*SUFFIXES, ".gif"})
_HIDDEN = "hidden file"
_THUMBNAIL = "thumbnail"
# Of macOS, Synology, QNAP, GNOME, Windows, Picasa and digital cameras.
_PREVIEW_FOLDERS = frozenset(
    {".thumbnails", ".thumbs", "thumbnails", "thumbnail", "thumbs", "@eadir", ".@__thumb", ".picasaoriginals"}
)
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "$recycle.bin", "#recycle", "@recycle", "system volume information", "lost+found"}
)
_PREVIEW_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db"})
_SUFFIXES_BY_KIND = {
    _THUMBNAIL: (".thm",),
    "sidecar file": (
        *(".json", ".jsonl", ".xml", ".txt", ".csv", ".tsv", ".yaml", ".yml", ".manifest"),
        *(".xmp", ".aae", ".md", ".ini", ".log", ".md5", ".sha256"),
    ),
    "archive": (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
    "picture of a format that cannot be inspected": (
        *(
            ".heic",
            ".heif",
            ".hif",
            ".avif",
            ".jp2",
            ".j2k",
            ".jpx",
            ".jxl",
            ".jxr",
            ".svg",
            ".psd",
            ".exr",
            ".ico",
        ),
        *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".pgm", ".ppm", ".pnm"),
    ),
    "video": (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"),
}
_KINDS = {suffix: kind for kind, suffixes in _SUFFIXES_BY_KIND.items() for suffix in suffixes}


@dataclass(frozen=True, slots=True)
class Skipped:
    """How many files were skipped.

    Attributes:
        counts: By kind and suffix.
    """

    counts: Counter[tuple[str, str]]

    @property
    def total(self) -> int:
        """How many in all."""
        return self.counts.total()

    def by_kind(self) -> dict[str, int]:
        """Return the number of files of each kind, the most frequent kind first."""
        kinds: Counter[str] = Counter()
        for (kind, _), count in self.counts.items():
            kinds[kind] += count
        return dict(kinds.most_common())

    def sentence(self) -> str:
        """Return the kinds and their suffixes for people; empty if no file was skipped.

        >>> Skipped(Counter({("sidecar file", ".json"): 2, ("hidden file", ".jpg"): 1})).sentence()
        '2 sidecar files (.json), 1 hidden file'
        """
        return ", ".join(self._phrase(kind, count) for kind, count in self.by_kind().items())

    def _phrase(self, kind: str, count: int) -> str:
        first, *rest = kind.split(" ")
        if kind in (_HIDDEN, "sidecar file", "other file"):
            first, rest = kind, []
        words = " ".join([first if count == 1 else f"{first}s", *rest])
        suffixes = sorted({suffix for other, suffix in self.counts if other == kind and suffix})
        shown = f" ({', '.join(suffixes)})" if suffixes and kind not in (_HIDDEN, _THUMBNAIL) else ""
        return f"{count} {words}{shown}"


def kind_of(path: PurePosixPath, below: PurePosixPath) -> str | None:
    """Return what kind of file it is that is no product; None for a picture of a product.

    Args:
        path: Of the file, as it was given.
        below: The part of `path` that a person did not choose by name. A chosen folder may be hidden.

    >>> kind_of(PurePosixPath("line-1/top/._SN2.jpg"), PurePosixPath("._SN2.jpg"))
    'hidden file'
    >>> kind_of(PurePosixPath(".photos/top/SN2.JPG"), PurePosixPath("SN2.JPG"))
    """
    folders = {part.casefold() for part in path.parts[:-1]}
    name, suffix = path.name.casefold(), path.suffix.lower()
    if name in _PREVIEW_FILES or folders & _PREVIEW_FOLDERS:
        return _THUMBNAIL
    hidden = any(part.startswith(".") and part not in (".", "..") for part in below.parts)
    if hidden or name.startswith("._") or folders & _SYSTEM_FOLDERS:
        return _HIDDEN
    if suffix in IMAGE_SUFFIXES:
        return None
    return _KINDS.get(suffix, "other file")
