"""Batches come from other processes whatever the size of the shared memory."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.datasets import open_dataset  # noqa: E402
from training.datasets.generated.synthetic import generate  # noqa: E402
from training.learning import loading  # noqa: E402
from training.learning.loading import Loader  # noqa: E402
from training.learning.progress import Readable  # noqa: E402
from training.learning.supply import Piped, shared_memory_needed  # noqa: E402

SIZE = 96


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("supply")
    generate(folder, 6, seed=5, size=SIZE)
    return open_dataset(folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_piped_batches_are_those_of_the_shared_memory(dataset, monkeypatch, workers):
    def batches():
        return Loader(dataset, dataset.labels, SIZE, seed=3, augment=True).batches(1, 2, workers, mosaic=0.5)

    shared = list(batches())
    monkeypatch.setattr(loading, "shared_memory_free", lambda: -1)
    piped = batches()
    assert isinstance(piped, Piped)
    assert len(piped) == len(shared) == 3
    for (images, targets), (expected, expected_targets) in zip(piped, shared, strict=True):
        assert torch.equal(images, expected)
        for target, other in zip(targets, expected_targets, strict=True):
            assert torch.equal(target.boxes, other.boxes)
            assert torch.equal(target.classes, other.classes)


def test_nothing_is_in_shared_memory_where_batches_come_by_a_pipe(dataset, monkeypatch):
    """A tensor in shared memory says so in the process that receives it."""
    loader = Loader(dataset, dataset.labels, SIZE, seed=3, augment=False)
    shared, _ = next(iter(loader.batches(1, 2, 1)))
    assert shared.is_shared()
    monkeypatch.setattr(loading, "shared_memory_free", lambda: -1)
    images, targets = next(iter(loader.batches(1, 2, 1)))
    assert not images.is_shared()
    assert not any(target.boxes.is_shared() or target.classes.is_shared() for target in targets)
    assert not loader.pixels(0).is_shared()  # nor are the decoded images


def test_dockers_64_mb_are_too_little_for_large_batches_and_enough_for_small_ones():
    docker = 64 * 2**20
    assert shared_memory_needed(batch_size=16, size=640, workers=4) > docker
    assert shared_memory_needed(batch_size=4, size=256, workers=2) < docker


def test_a_person_reads_why_batches_come_by_a_pipe(capsys):
    Readable().event("piped", {"needed_mib": 480, "free_mib": 64})
    assert (
        "the shared memory has 64 MiB free, and batches on their way take 480 MiB" in capsys.readouterr().out
    )
