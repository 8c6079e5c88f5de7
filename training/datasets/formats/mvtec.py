"""MVTec AD, and data sets in its layout: good products to train on, defects by folder, and a mask for each.

    bottle/train/good/000.png
    bottle/test/broken_small/000.png
    bottle/ground_truth/broken_small/000_mask.png

Each connected area of a mask becomes a box with the name of the folder.

Source: www.mvtec.com/company/research/datasets/mvtec-ad.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from contract.tags import is_good
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents
from training.datasets.formats.masked import with_masks
from training.datasets.formats.masks import load_mask
from training.datasets.formats.parts import part_of_word
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_MASKS = "ground_truth"
_IMAGES = "test"
# "good", "train" and the file; "ground_truth", the defect and the file.
_DEPTH = 3


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return a claim if masks in ground_truth/ belong to images in test/."""
    files = contents.files
    masks = _masks_by_image(files)
    has_images = any(_mask_key(name) in masks for name in files.images)
    return Claim((), is_sure=False) if masks and has_images and files.chosen is None else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every image: its folder, and the areas of its mask."""
    masks = _masks_by_image(files)
    other = {mask for listed in masks.values() for mask in listed}
    images = [name for name in files.images if name not in other and len(PurePosixPath(name).parts) >= _DEPTH]
    pictured = {_mask_key(name) for name in images}
    for key, listed in masks.items():
        if key not in pictured:
            problems.report("mask-without-image", listed[0], "is a mask, and its image is not there")
    return Annotations(
        files, _annotated_images(files, images, masks, problems), len(images), other_images=other
    )


def _masks_by_image(files: Files) -> dict[tuple[str, ...], list[str]]:
    """Return the masks of each image, by the parts of its path without `test` and suffix."""
    masks: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in files.images:
        parts = PurePosixPath(name).parts
        folders = [part.lower() for part in parts[:-1]]
        if _MASKS in folders and len(parts) - folders.index(_MASKS) >= _DEPTH:
            index = folders.index(_MASKS)
            stem = PurePosixPath(name).stem.removesuffix("_mask")
            # MVTec LOCO has a folder of masks for each image.
            last = parts[index + 2] if len(parts) - index > _DEPTH else stem
            masks[(*parts[:index], parts[index + 1], last)].append(name)
    return masks


def _mask_key(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    folders = [part.lower() for part in path.parts[:-1]]
    if _IMAGES not in folders:
        return ()
    index = len(folders) - 1 - folders[::-1].index(_IMAGES)
    return (*path.parts[:index], *path.parts[index + 1 : -1], path.stem)


def _annotated_images(
    files: Files, images: list[str], masks: dict[tuple[str, ...], list[str]], problems: Problems
) -> Iterator[AnnotatedImage]:
    for name in images:
        path = PurePosixPath(name)
        label = path.parts[-2]
        # Its folder says "good", so the folder cannot name what its mask shows.
        shown = None if is_good(label) else label
        names = masks.get(_mask_key(name), ())
        loaded = [found for mask in names if (found := load_mask(files, mask, {}, problems))]
        image = AnnotatedImage(
            name, str(path.parent), (), tags=(label,), source_part=part_of_word(path.parts[-3])
        )
        image = with_masks(image, loaded, problems, shown)
        if image.objects:
            problems.tally("shape-box", image.annotation_file, "has masks", len(image.objects))
        # Each box has the folder's name as its label.
        yield replace(image, tags=()) if image.objects and shown else image
