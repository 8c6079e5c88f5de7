"""Folders of classes: the folder of an image is its label, as in good/ and dent/, with or without train/ and test/.

A folder of good products tells that the others are labels. Without one, the folders may as well be lines, days or
products: then the user has to say so (`--format folders`).

Masks may lie in a folder of masks, with or without the folders of the classes in it, or beside their images as
`<name>_mask.png`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from contract.images import SUFFIXES
from contract.tags import is_good
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.formats.masked import with_masks
from training.datasets.formats.masks import load_mask
from training.datasets.formats.parts import part_of_folders, part_of_word
from training.datasets.problems import Problems
from training.datasets.storage.files import Files
from training.datasets.storage.names import is_mask

# Folders that contain images of all classes.
_CONTAINERS = {"images", "image", "imgs", "img", "jpegimages", "data", "raw", "photos", "pictures", "dataset"}
_MASK_ENDS = ("_mask", "-mask", "_gt")


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return a claim if the folders of the images are labels."""
    files = contents.files
    labels = _labels(files)
    if not labels or files.chosen is not None:
        return None
    return Claim((), is_sure=False) if is_asked or any(map(is_good, labels.values())) else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the images with their folder as the label of the whole image."""
    labels = _labels(files)
    masks, without_image = _masks(files, labels)
    for name in without_image:
        problems.report("mask-without-image", name, "is a mask, and none or several images fit it")
    others = {*without_image, *(mask for listed in masks.values() for mask in listed)}
    images = _annotated_images(files, labels, masks, problems)
    return Annotations(files, images, len(labels), other_images=others)


def _labels(files: Files) -> dict[str, str]:
    """Return the label of each image that has one: the folder on the level of the good products."""
    images = {name.lower() for name in files.images}
    folders = {name: _folders(name) for name in files.images if not _is_mask(name, images)}
    levels = Counter(
        level for listed in folders.values() for level, folder in enumerate(listed) if is_good(folder)
    )
    if not levels:
        return {name: listed[-1] for name, listed in folders.items() if listed}
    level = levels.most_common(1)[0][0]
    return {name: listed[level] for name, listed in folders.items() if len(listed) > level}


def _folders(name: str) -> list[str]:
    """Return the folders of an image that can be labels.

    >>> _folders("parts/train/dent/1.jpg"), _folders("good/images/1.jpg"), _folders("train/1.jpg")
    (['parts', 'dent'], ['good'], [])
    """
    folders = PurePosixPath(name).parts[:-1]
    return [folder for folder in folders if folder.lower() not in _CONTAINERS and not part_of_word(folder)]


def _is_mask(name: str, images: set[str]) -> bool:
    """Return whether an image is in a folder of masks, or beside the image that it is the mask of."""
    path = PurePosixPath(name.lower())
    beside = path.with_name(_stem(name))
    return is_mask(name) or (
        _stem(name) != path.stem and any(f"{beside}{suffix}" in images for suffix in SUFFIXES)
    )


def _stem(name: str) -> str:
    """Return the name of an image's file without its suffix, or that of the image that a mask is for.

    >>> _stem("dent/A1_mask.png"), _stem("dent/A1.png")
    ('a1', 'a1')
    """
    stem = PurePosixPath(name.lower()).stem
    return next((stem.removesuffix(end) for end in _MASK_ENDS if stem.endswith(end)), stem)


def _masks(files: Files, labels: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the masks of each image, and the masks that belong to none, or to several."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in labels:
        by_stem[PurePosixPath(name.lower()).stem].append(name)
    images = {name.lower() for name in files.images}
    masks: dict[str, list[str]] = defaultdict(list)
    without_image = []
    for mask in files.images:
        if not _is_mask(mask, images):
            continue
        fits = {name: _fit(mask, name, labels[name]) for name in by_stem[_stem(mask)]}
        best = [name for name, fit in fits.items() if fit == max(fits.values())]
        if len(best) == 1:
            masks[best[0]].append(mask)
        else:
            without_image.append(mask)
    return masks, without_image


def _fit(mask: str, image: str, label: str) -> tuple[int, bool]:
    """Return how well a mask fits an image of the same name: by their folders, then whether it needs a mask."""
    shared = Counter(PurePosixPath(mask.lower()).parts[:-1]) & Counter(
        PurePosixPath(image.lower()).parts[:-1]
    )
    return shared.total(), not is_good(label)


def _annotated_images(
    files: Files, labels: Mapping[str, str], masks: Mapping[str, list[str]], problems: Problems
) -> Iterator[AnnotatedImage]:
    for name, label in labels.items():
        image = AnnotatedImage(name, label, (), tags=(label,), source_part=part_of_folders(name))
        if name in masks:
            loaded = [found for mask in masks[name] if (found := load_mask(files, mask, {}, problems))]
            image = with_masks(image, loaded, problems, None if is_good(label) else label)
            if image.objects:
                problems.tally("shape-box", label, "has masks", len(image.objects))
        yield image
