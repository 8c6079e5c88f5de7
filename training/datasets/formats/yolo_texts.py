"""Which text file belongs to which image of a YOLO data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from training.datasets.storage.names import fold, without_suffix

_IMAGES, _LABELS = "images", "labels"
Key = tuple[str, ...]


def text_by_image(images: Sequence[str], texts: Sequence[str]) -> dict[str, str | None]:
    """Return the text file of each image; None if it has none.

    It is in `labels` instead of `images`, next to the image, or in a folder `labels` there; whatever the case. A text
    that fits nowhere belongs to the only image of its name.
    """
    by_key: dict[Key, list[str]] = defaultdict(list)
    for text in texts:
        by_key[_key(PurePosixPath(text))].append(text)
    paired: dict[str, str | None] = {}
    for image in images:
        found = next((by_key[key] for key in _candidates(image) if key in by_key), None)
        # Of files that differ by case only, the one with exactly this stem.
        paired[image] = max(found, key=lambda text: _is_exact(text, image)) if found else None
    _pair_by_stem(paired, texts)
    return paired


def _key(path: PurePosixPath) -> Key:
    return fold((*path.parts[:-1], path.stem))


def _candidates(image: str) -> Iterator[Key]:
    path = PurePosixPath(image)
    parts = fold((*path.parts[:-1], path.stem))
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == _IMAGES:
            yield (*parts[:index], _LABELS, *parts[index + 1 :])
    yield parts
    yield (*parts[:-1], _LABELS, parts[-1])
    # `a.jpg.txt`
    yield (*parts[:-1], *fold((path.name,)))


def _is_exact(text: str, image: str) -> bool:
    return PurePosixPath(text).stem == PurePosixPath(image).stem


def _pair_by_stem(paired: dict[str, str | None], texts: Sequence[str]) -> None:
    """Pair the texts that are left with the images that are left, where both are the only ones of their name."""
    used = set(paired.values())
    texts_left, images_left = defaultdict(list), defaultdict(list)
    for text in texts:
        if text not in used:
            texts_left[fold((PurePosixPath(text).stem,))].append(text)
    for image in paired:
        images_left[fold((without_suffix(PurePosixPath(image).name),))].append(image)
    for stem, found in texts_left.items():
        images = images_left.get(stem, [])
        if len(found) == 1 and len(images) == 1 and paired[images[0]] is None:
            paired[images[0]] = found[0]
