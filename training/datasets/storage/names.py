r"""Finds the file that a name in a label file means.

Label files name images as the machine did on which they were written: with its slashes, its folders, its case and its
Unicode form, as a URL, or without a suffix. The file that shares the longest end of the path counts:

    Names(["images/line 1/Zürich.JPG"]).find("C:\\labels\\line%201\\zürich")

Several files that fit equally well are all returned. It is then for the caller to say so.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from contract.images import SUFFIXES

# Label Studio puts it before the name of each file that is uploaded to it.
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# They belong to the system that made them, and show nothing that is not elsewhere.
_SYSTEM_FOLDERS = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
# Pixels with labels; their names are those of the images.
_MASK_FOLDERS = {"segmentationclass", "segmentationobject", "masks", "mask", "ground_truth", "groundtruth"}
_MASK_FOLDERS |= {
    "ground-truth",
    "mask-images",
    "mask_images",
    "train-masks",
    "test-masks",
    "train_masks",
    "test_masks",
}
_PREVIEW_FOLDERS = {"thumbnails", "thumbs", "thumbnail"}
# Other suffixes of pictures that label files give, although the pictures were converted since.
_PICTURE_SUFFIXES = {*SUFFIXES, ".gif", ".jfif", ".heic", ".heif", ".avif", ".jp2", ".dng", ".raw"}

# Tried for names whose bytes are no UTF-8, in this order.
_CODE_PAGES = ("cp437", "cp1252", "cp850", "gb18030", "cp932", "cp949", "big5", "cp1251", "cp866")

Parts = tuple[str, ...]


class Names:
    """An index of the files' names, for one search for each name in a label file."""

    def __init__(self, names: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None) -> None:
        """Index names.

        Args:
            names: The files' names, with "/" between their parts.
            aliases: Other spellings of some names, as in a zip whose code page is not known.
        """
        self._by_file_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._spellings: dict[str, list[Parts]] = {}
        for name in names:
            spelled = [name, *((aliases or {}).get(name, ()))]
            self._spellings[name] = [fold(parts_of(spelling)) for spelling in spelled]
            for last in dict.fromkeys(parts[-1] for parts in self._spellings[name] if parts):
                self._by_file_name[last].append(name)
                self._by_stem[without_suffix(last)].append(name)

    def find(self, reference: str, near: str = "", hint: str = "") -> list[str]:
        """Return the files that a reference may mean.

        Args:
            reference: A path or URL whose last part is the file's name, with or without a suffix.
            near: The label file. Of several files that fit equally, those nearer to it count.
            hint: The name of a folder. Of several files that fit equally, those in such a folder count.

        Returns:
            One name is a match. Several names match equally well. An empty list means that there is no such file.
        """
        readings = list(_readings(reference))
        for by_stem in (False, True):
            for parts in readings:
                folded = fold(parts)
                key = without_suffix(folded[-1]) if by_stem else folded[-1]
                found = (self._by_stem if by_stem else self._by_file_name).get(key)
                if found:
                    return self._best(found, parts, folded, near, hint)
        return []

    def _best(self, names: list[str], parts: Parts, folded: Parts, near: str, hint: str) -> list[str]:
        """Return the names that fit best: by the end of the path, by the place, then by the exact spelling."""
        if len(names) == 1:
            return names
        here = PurePosixPath(near).parts[:-1]

        def fit(name: str) -> tuple[int, bool, bool, bool, bool, int, bool]:
            own = PurePosixPath(name).parts
            tail = max(_common_tail(folded, spelling) for spelling in self._spellings[name])
            return (
                tail,
                not is_mask(name),
                own[-1:] == parts[-1:],
                own == (*here, *parts),
                hint != "" and hint.casefold() in (part.casefold() for part in own[:-1]),
                common_length(here, own[:-1]),
                own[-len(parts) :] == parts,
            )

        fits = {name: fit(name) for name in names}
        best = max(fits.values())
        return [name for name in names if fits[name] == best]


def is_hidden(name: str) -> bool:
    """Return whether a file belongs to the operating system that packed it, and is not data.

    >>> [is_hidden(name) for name in ("__MACOSX/a.jpg", "images/.DS_Store", "images/._a.jpg", "images/a.jpg")]
    [True, True, True, False]
    """
    parts = PurePosixPath(name).parts
    if any(part.startswith(".") and part != ".." for part in parts):
        return True
    folded = [part.casefold() for part in parts]
    return folded[-1] in _SYSTEM_FILES or not _SYSTEM_FOLDERS.isdisjoint(folded)


def is_preview(name: str) -> bool:
    """Return whether an image is in a folder of thumbnails.

    >>> is_preview("a/thumbnails/1.jpg"), is_preview("a/1.jpg")
    (True, False)
    """
    return any(part.casefold() in _PREVIEW_FOLDERS for part in PurePosixPath(name).parts[:-1])


def is_mask(name: str) -> bool:
    """Return whether an image is in a folder of masks.

    >>> is_mask("SegmentationClass/a.png"), is_mask("JPEGImages/a.jpg")
    (True, False)
    """
    return any(part.casefold() in _MASK_FOLDERS for part in PurePosixPath(name).parts[:-1])


@lru_cache(4096)
def parts_of(path: str) -> Parts:
    r"""Return the parts of a path, without "." and with ".." resolved.

    >>> parts_of("C:\\a\\.\\b/../c.jpg")
    ('C:', 'a', 'c.jpg')
    """
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def fold(parts: Parts) -> Parts:
    """Return parts without what file systems treat differently: case, and how accents are composed."""
    return tuple(
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold()) for part in parts
    )


def without_suffix(name: str) -> str:
    """Return a file name without the suffix of a picture.

    >>> without_suffix("SN1_png.rf.12.jpg"), without_suffix("SN1_png.rf.12")
    ('SN1_png.rf.12', 'SN1_png.rf.12')
    """
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in _PICTURE_SUFFIXES else name


def common_length(a: Iterable[str], b: Iterable[str]) -> int:
    """Return how many items two sequences share from their beginning.

    >>> common_length("rail", "rain")
    3
    """
    length = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        length += 1
    return length


def has_other_suffix(reference: str, name: str) -> bool:
    """Return whether a reference names a picture by another suffix than the file has.

    >>> has_other_suffix("a.png", "x/a.jpg"), has_other_suffix("a", "a.jpg"), has_other_suffix("a.JPG", "a.jpg")
    (True, False, False)
    """
    wanted, found = (PurePosixPath(text.strip()).suffix.lower() for text in (reference, name))
    return wanted in _PICTURE_SUFFIXES and wanted != found


def decodings(raw: bytes) -> list[str]:
    r"""Return what the bytes of a name can mean: UTF-8, or else each code page in which they are letters.

    >>> decodings("é".encode()), decodings(b"\x82")[0]
    (['é'], 'é')
    """
    found: dict[str, None] = {}
    for encoding in ("utf-8", *_CODE_PAGES):
        try:
            found[raw.decode(encoding)] = None
        except UnicodeDecodeError:
            continue
        # Nothing else looks like UTF-8 by chance.
        if encoding == "utf-8":
            break
    return list(found)


def _common_tail(a: Parts, b: Parts) -> int:
    return common_length(reversed(a), reversed(b))


def _readings(reference: str) -> Iterable[Parts]:
    """Yield what a reference can mean: as it is, then as a URL, then without the prefix of an upload."""
    reference = reference.strip()
    texts = [reference]
    if _URL.match(reference) or "?" in reference:
        url = urlsplit(reference)
        # Label Studio's local files: /data/local-files/?d=folder/a.jpg
        texts += [*parse_qs(url.query).get("d", ()), f"{url.netloc}/{url.path}"]
    texts += [unquote(text) for text in texts if "%" in text]
    readings = [parts for text in dict.fromkeys(texts) if (parts := parts_of(text))]
    stripped = [(*parts[:-1], _UPLOAD_PREFIX.sub("", parts[-1])) for parts in readings]
    return dict.fromkeys([*readings, *stripped])
