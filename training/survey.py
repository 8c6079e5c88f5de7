"""Look at the pictures that `loupe learn` is given: python -m training.survey < request.json

The request, on standard input, is a JSON object: `source` (a folder, zip, snapshot or S3 prefix), `name` (of the data
set), `out` (a folder, for the snapshot and for some of the pictures), `format` (null to detect it), `all_good`, and
`sample` (how many good pictures, and how many defective ones, are copied to be inspected).

The answer is a JSON object: `problem` and `hint` (sentences; if they are there, nothing else), or `format`, `snapshot`
(its path), `id`, `good`, `defective`, `boxed` and `masked` (numbers of pictures), `classes` (of boxes), `copies` (left
out), `unreadable` (left out), `first_unreadable`, `sizes` (of pictures, with their number), `test` (numbers of `good`
and `defective` ones that are kept aside), and `pictures` (each with `file`, `station` and `defective`).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from contract.text import plain, system_error
from training.datasets.checks.audit import objects_per_class
from training.datasets.dataset import Dataset, Sample
from training.datasets.surveying import Survey, survey
from training.job.errors import TrainingError

_PICTURES = "pictures"
_SIZES_SHOWN = 3


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request.

    Raises:
        TrainingError: Nothing can be learned from the source.
        OSError: `out` cannot be written.
    """
    found = survey(request["source"], request["format"], all_good=request["all_good"])
    out = Path(request["out"])
    out.mkdir(parents=True, exist_ok=True)
    snapshot = found.write(out, request["name"])
    return {
        **_counts(found),
        "format": found.format,
        "snapshot": snapshot,
        "id": json.loads(Path(snapshot).read_bytes())["id"],
        "pictures": _copy(found.dataset, request["source"], out / _PICTURES, request["sample"]),
    }


def _counts(found: Survey) -> dict[str, Any]:
    samples = found.dataset.samples
    test = [sample for sample in samples if sample.belongs_to() == "test"]
    sizes = Counter((sample.width, sample.height) for sample in samples)
    broken = [problem for problem in found.problems if problem.severity == "error"]
    return {
        "good": _good(samples),
        "defective": len(samples) - _good(samples),
        "boxed": sum(bool(sample.objects and not sample.masks) for sample in samples),
        "masked": sum(bool(sample.masks) for sample in samples),
        "classes": {label: row["all"] for label, row in objects_per_class(found.dataset).items()},
        "copies": found.copies,
        "unreadable": len({problem.file for problem in broken}),
        "first_unreadable": str(broken[0].error()) if broken else None,
        "sizes": [[*size, count] for size, count in sizes.most_common(_SIZES_SHOWN)],
        "test": {"good": _good(test), "defective": len(test) - _good(test)},
    }


def _good(samples: Iterable[Sample]) -> int:
    return sum(sample.is_good for sample in samples)


def _copy(dataset: Dataset, source: str, folder: Path, number: int) -> list[dict[str, Any]]:
    """Copy some of the pictures into a folder of its own, because a zip and a bucket cannot be uploaded from."""
    shutil.rmtree(folder, ignore_errors=True)
    samples = dataset.samples
    chosen = [
        *_some([sample for sample in samples if sample.is_good], number),
        *_some([sample for sample in samples if sample.is_defective], number),
    ]
    copies = []
    for sample in chosen:
        station = _station(sample.name, source)
        file = _free(folder / station / PurePosixPath(sample.name).name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(dataset.read(sample))
        copies.append({"file": str(file), "station": station, "defective": sample.is_defective})
    return copies


def _some(samples: Sequence[Sample], number: int) -> list[Sample]:
    """Return so many of the samples, evenly chosen; those that nothing was learned from first."""
    ordered = sorted(samples, key=lambda sample: sample.name)
    kept = [sample for sample in ordered if sample.belongs_to() == "test"]
    others = [sample for sample in ordered if sample.belongs_to() != "test"]
    return [*_evenly(kept, number), *_evenly(others, number - len(kept))]


def _evenly(samples: Sequence[Sample], number: int) -> list[Sample]:
    number = min(max(number, 0), len(samples))
    return [samples[index * len(samples) // number] for index in range(number)]


def _station(name: str, source: str) -> str:
    """Return the name of the folder that an image is in, as `loupe drop` takes it for the station."""
    folder = PurePosixPath(name.replace("\\", "/")).parent.name or PurePosixPath(Path(source).stem).name
    return plain(folder).strip() or _PICTURES


def _free(file: Path) -> Path:
    """Return a name that no other picture has: two folders of the same name may have files of the same name."""
    number, free = 2, file
    while free.exists():
        free, number = file.with_name(f"{file.stem}-{number}{file.suffix}"), number + 1
    return free


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    try:
        answer = ask(request)
    except TrainingError as error:
        answer = {"problem": str(error), "hint": error.hint}
    except OSError as error:
        answer = {"problem": system_error(error), "hint": ""}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
