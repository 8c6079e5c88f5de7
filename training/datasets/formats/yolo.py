"""YOLO: one text file per image, one object per line: class, then centre, width and height in 0..1.

The class names are `names` in data.yaml, or the lines of classes.txt or obj.names; those nearest to the text file
count. A line with three or more points is a polygon, which becomes the box around it. An image without a text file is
a good product, if it belongs to the data set (`formats.yolo_images`).

Source: docs.ultralytics.com/datasets/detect and /segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from training.datasets.dataset import Object
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim
from training.datasets.formats.contents import Contents, decode
from training.datasets.formats.yolo_images import Parts, members
from training.datasets.formats.yolo_lines import Line, is_label_text, parse
from training.datasets.formats.yolo_names import NAME_LISTS, Names, name_files, names_by_folder
from training.datasets.formats.yolo_texts import text_by_image
from training.datasets.problems import Problems
from training.datasets.storage.files import Files

_SUFFIX = ".txt"
_NOT_LABELS = {*NAME_LISTS, "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "labelmap.txt"}


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the files with class names: data.yaml or classes.txt; without one, texts that look like labels."""
    names = name_files(contents)
    if contents.files.chosen is not None:
        return Claim(tuple(names)) if names else None
    has_texts = _has_label_texts(contents)
    has_yaml = any(not PurePosixPath(name).name.lower().endswith((".txt", ".names")) for name in names)
    if names or has_texts:
        # Other tools write classes.txt beside labels of another format, too.
        return Claim(tuple(names), is_sure=has_texts or has_yaml)
    return None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every image: those in the text file that belongs to it."""
    known = names_by_folder(files, claim.files, problems)
    labels = list(dict.fromkeys(label for found in known.values() for label in found.labels))
    if not claim.files:
        known = {"": Names(tuple(names))}
        labels = list(names)
        if not names:
            problems.report(
                "no-class-names", "*.txt", "have no classes.txt: the class numbers are used as names"
            )
    texts = [name for name in files.names if _may_be_labels(name)]
    paired = text_by_image(files.images, texts)
    parts = members(files, claim.files, paired, problems)
    paired = {image: text for image, text in paired.items() if image in parts}
    # A file that does not look like labels may still be one, if it has the name of an image.
    for text in sorted(set(texts) - set(paired.values())):
        if is_label_text(decode(files.peek(text, 1000))):
            problems.report("missing-image", text, "has no image of the same name")
    if paired and not any(paired.values()):
        message = "has no text file with labels of any image"
        problems.report("nothing-labelled", claim.files[0] if claim.files else "*.txt", message)
    images = _annotated_images(files, paired, parts, known, problems)
    return Annotations(files, images, len(paired), labels if claim.files or names else None)


def _may_be_labels(name: str) -> bool:
    return name.lower().endswith(_SUFFIX) and PurePosixPath(name).name.lower() not in _NOT_LABELS


def _has_label_texts(contents: Contents) -> bool:
    texts = [name for name in contents.with_suffix(_SUFFIX) if _may_be_labels(name)]
    paired = set(text_by_image(contents.files.images, texts).values())
    return any(is_label_text(contents.text(text)) for text in texts if text in paired)


def _annotated_images(
    files: Files,
    paired: dict[str, str | None],
    parts: Parts,
    known: dict[str, Names],
    problems: Problems,
) -> Iterator[AnnotatedImage]:
    for image, text in paired.items():
        if text is None:
            yield AnnotatedImage(image, image, (), source_part=parts[image])
            continue
        names = _nearest(known, text)
        objects: list[Object] = []
        lines = [(n, line) for n, line in enumerate(decode(files.read(text)).splitlines(), 1) if line.strip()]
        for number, line in lines:
            obj = _object(parse(line, names), line, names, text, f"line {number}", problems)
            objects += [obj] if obj else []
        yield AnnotatedImage(
            image,
            text,
            tuple(objects),
            normalised=True,
            source_part=parts[image],
            lost=len(lines) - len(objects),
        )


def _nearest(known: dict[str, Names], text: str) -> Names:
    """Return the class names for a text file: those of the nearest folder that contains it, or else the first."""
    for folder in PurePosixPath(text).parents:
        key = "" if folder.as_posix() == "." else folder.as_posix()
        if key in known:
            return known[key]
    # Beside labels/, as in export/classes.txt and export/labels/, a folder above has them. Or they are elsewhere.
    return next(iter(known.values()), Names(()))


def _object(
    line: Line | str, raw: str, names: Names, text: str, place: str, problems: Problems
) -> Object | None:
    if isinstance(line, str):
        problems.report("bad-annotation", text, f"{line}: {raw.strip()!r}", place)
        return None
    if line.extra:
        folder = PurePosixPath(text).parent.as_posix()
        problems.tally("extra-columns", folder, f"has text files with {line.extra}")
    if line.is_polygon:
        problems.tally("shape-box", PurePosixPath(text).parent.as_posix(), "has text files with polygons")
    if names.labels and not 0 <= line.number < len(names.labels):
        message = f"class {line.number} is not among the {len(names.labels)} names"
        problems.report("unknown-class", text, message, place)
        return None
    label = names.labels[line.number] if names.labels else str(line.number)
    return Object(label, line.box)
