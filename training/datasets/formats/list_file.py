"""MXNet's .lst: a line per image, with tabs between its number, its label and its path.

The label of a classification is one number. That of a detection has the floats of a record (`formats.recordio`).

Source: docs.aws.amazon.com/sagemaker/latest/dg/image-classification.html, "Train with the Image Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contract.images import SUFFIXES
from training.datasets.formats.annotations import AnnotatedImage, Annotations, Claim, image_of
from training.datasets.formats.contents import Contents, numbered_lines
from training.datasets.formats.parts import part_of_file, part_of_folders
from training.datasets.formats.recordio import class_names, parse_label
from training.datasets.problems import Problems
from training.datasets.storage.files import Files


def find(contents: Contents, is_asked: bool) -> Claim | None:
    """Return the .lst files with paths of images, unless their images are in .rec files."""
    if contents.with_suffix(".rec"):
        return None
    own = [name for name in contents.with_suffix(".lst") if _is_list(contents.text(name))]
    return Claim(tuple(own)) if own else None


def read(files: Files, claim: Claim, problems: Problems, names: Sequence[str]) -> Annotations:
    """Return the labels of every line."""
    labels = list(names) or class_names(files, claim.files, problems)
    return Annotations(files, _annotated_images(files, claim.files, labels, problems), 0, labels)


def _is_list(text: str) -> bool:
    fields = next((line.split("\t") for line in text.splitlines() if line.strip()), [])
    return len(fields) >= 3 and fields[0].strip().isdigit() and fields[-1].strip().lower().endswith(SUFFIXES)


def _annotated_images(
    files: Files, list_files: tuple[str, ...], labels: list[str] | None, problems: Problems
) -> Iterator[AnnotatedImage]:
    for file in list_files:
        for place, line in numbered_lines(files, file):
            try:
                _, *values, reference = (field.strip() for field in line.rstrip("\n").split("\t"))
                objects, tags = parse_label([float(value) for value in values], labels)
            except (ValueError, IndexError) as error:
                problems.report("bad-annotation", file, f"is not number, label and path: {error}", place)
                continue
            except LookupError as error:
                message = f"class {error} is not among the {len(labels or ())} names"
                problems.report("unknown-class", file, message, place)
                continue
            if image := image_of(files, reference, file, problems, place):
                part = part_of_file(file) or part_of_folders(image)
                yield AnnotatedImage(image, file, objects, normalised=True, tags=tags, source_part=part)
