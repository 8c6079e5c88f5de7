"""The program `generate` writes labelled surfaces and the demo's images, and refuses sizes that are too small."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from training.datasets import open_dataset
from training.generate import main


def surfaces(out, *options: object) -> list[str]:
    return ["surfaces", "--out", str(out), "--seed", "7", *(str(option) for option in options)]


def test_surfaces_are_images_with_coco_labels(tmp_path):
    main(surfaces(tmp_path, "--count", 6, "--size", 120))
    dataset = open_dataset(tmp_path, "coco")
    assert {(sample.width, sample.height) for sample in dataset.samples} == {(120, 120)}
    assert len(dataset.samples) == 6
    assert any(sample.objects for sample in dataset.samples)


def test_a_defect_size_keeps_the_defects_of_a_large_image_small(tmp_path):
    main(surfaces(tmp_path, "--count", 4, "--size", 300, "--defect-size", 96))
    boxes = [obj.box for sample in open_dataset(tmp_path).samples for obj in sample.objects]
    assert boxes
    assert all(x2 - x1 <= 96 and y2 - y1 <= 96 for x1, y1, x2, y2 in boxes)


def test_the_same_seed_writes_the_same_files(tmp_path):
    for folder in ("first", "second"):
        main(surfaces(tmp_path / folder, "--count", 2, "--size", 96))
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / folder).rglob("*") if path.is_file()}
        for folder in ("first", "second")
    )
    assert first == second
    assert json.loads(first["annotations.json"])["images"]


def test_samples_are_the_images_of_both_demo_lines(tmp_path):
    main(["samples", "--out", str(tmp_path)])
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg"))
    assert len(paths) == 13
    assert {path.rsplit("/", 1)[0] for path in paths} == {"line-1/top", "line-2/bottom"}
    with Image.open(tmp_path / paths[0]) as image:
        assert image.size == (200, 200)


@pytest.mark.parametrize(
    "sizes",
    [("--size", 95), ("--size", 200, "--defect-size", 95), ("--size", 200, "--defect-size", 201)],
)
def test_sizes_that_are_not_allowed_are_refused_and_nothing_is_written(tmp_path, capsys, sizes):
    with pytest.raises(SystemExit) as exit_info:
        main(surfaces(tmp_path / "out", "--count", 2, *sizes))
    assert exit_info.value.code == 2
    assert "--size and --defect-size must be at least 96" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
