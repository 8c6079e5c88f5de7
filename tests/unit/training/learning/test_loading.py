"""Each epoch shows the images in another order and appearance, and a seed decides which."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from training.datasets import DatasetError, open_dataset  # noqa: E402
from training.datasets.generated.synthetic import generate  # noqa: E402
from training.learning import loading  # noqa: E402
from training.learning.loading import Loader  # noqa: E402

SIZE = 96


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loading")
    generate(folder, 6, seed=5, size=SIZE)
    return open_dataset(folder)


@pytest.fixture
def loader(dataset):
    return Loader(dataset, dataset.labels, SIZE, seed=3, augment=True)


def example(loader, epoch, index=0):
    loader.batches(epoch, 2, 0)
    return loader[index]


def test_an_image_looks_different_in_every_epoch(loader):
    images = [example(loader, epoch)[0] for epoch in range(1, 5)]
    for number, image in enumerate(images):
        assert not any(torch.equal(image, other) for other in images[:number])


def test_an_image_looks_the_same_whenever_an_epoch_is_repeated(loader):
    (image, target), (again, target_again) = example(loader, 2), example(loader, 2)
    assert torch.equal(image, again)
    assert torch.equal(target.boxes, target_again.boxes)


def test_another_seed_changes_the_appearance(dataset, loader):
    other = Loader(dataset, dataset.labels, SIZE, seed=4, augment=True)
    assert not torch.equal(example(loader, 1)[0], example(other, 1)[0])


def test_every_epoch_has_another_order(dataset):
    loader = Loader(dataset, dataset.labels, SIZE, seed=3, augment=False)
    orders = [torch.cat([images for images, _ in loader.batches(epoch, 2, 0)]) for epoch in (1, 2)]
    assert not torch.equal(*orders)
    assert torch.equal(*(order.sum((1, 2, 3)).sort().values for order in orders))


@pytest.mark.parametrize(("mosaic", "examples"), [(0.0, 1), (1.0, 4)])
def test_the_share_of_mosaics_decides_how_many_images_an_example_is_made_of(
    dataset, monkeypatch, mosaic, examples
):
    counts = []

    class Recorder:
        def __init__(self, size):
            pass

        def __call__(self, examples):
            counts.append(len(examples))
            return examples[0]

    monkeypatch.setattr(loading, "Augmentation", Recorder)
    loader = Loader(dataset, dataset.labels, SIZE, seed=0, augment=True)
    list(loader.batches(1, 2, 0, mosaic))
    assert counts == [examples] * len(dataset.samples)


def test_without_augmentation_an_example_is_the_image_itself(dataset):
    loader = Loader(dataset, dataset.labels, SIZE, seed=3, augment=False)
    assert torch.equal(example(loader, 1)[0], loader.pixels(0))


def test_images_beyond_the_cache_are_decoded_each_time(dataset, loader, monkeypatch):
    monkeypatch.setattr(loading, "CACHE_BYTES", 0)
    uncached = Loader(dataset, dataset.labels, SIZE, seed=3, augment=True)
    assert torch.equal(uncached.pixels(2), loader.pixels(2))


def test_16_bit_images_of_a_known_depth_are_learned_as_bright_as_they_are(tmp_path):
    generate(tmp_path, 1, seed=5, size=SIZE)
    (file,) = (tmp_path / "images").iterdir()
    with Image.open(file) as image:
        levels = np.asarray(image.convert("L")).astype(np.uint16)
    # The content decides the format, not the name.
    Image.fromarray(levels << 4).save(file, "PNG")
    dataset = open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"12 of its 16 bits.*bit_depth=12"):
        Loader(dataset, dataset.labels, SIZE, 3, augment=False)
    loader = Loader(dataset, dataset.labels, SIZE, 3, bit_depth=12, augment=False)
    assert np.array_equal(loader.pixels(0)[..., 0].numpy(), levels)
