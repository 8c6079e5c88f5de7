"""A snapshot is immutable, its test set is frozen, and no picture is in two parts."""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.snapshots import Part, part_of
from training.datasets import DatasetError, Object, Sample, open_dataset
from training.datasets.checks.duplicates import Duplicate
from training.datasets.dataset import Dataset
from training.datasets.export import write_recordio
from training.datasets.generated.synthetic import generate
from training.datasets.snapshots.snapshot import is_unchanged, take
from training.datasets.snapshots.split import divide, labels_of, leave_out, take_over_test_images
from training.datasets.snapshots.store import write
from training.datasets.storage.uris import ImagesByUri

PARTS = ("train", "validation", "test")


def snapshot_of(path: Path, out: Path, previous: Path | None = None) -> Path:
    earlier = open_dataset(previous) if previous else None
    dataset, _ = divide(take_over_test_images(open_dataset(path), earlier)[0], previous=earlier)
    return Path(write(take(dataset, [], format="coco", previous=earlier), str(out)))


def hashes(dataset: Dataset, part: str) -> set[str]:
    return {sample.sha256 for sample in dataset.part(part).samples}


def test_a_snapshot_opens_as_the_data_set_that_it_was_taken_from(source, tmp_path):
    raw, path = open_dataset(source), snapshot_of(source, tmp_path / "out")
    again = open_dataset(path)
    assert again.labels == raw.labels
    assert {s.sha256: s.objects for s in again.samples} == {s.sha256: s.objects for s in raw.samples}
    for part in PARTS:
        assert hashes(again, part) == hashes(raw, part)
    for sample in again.samples:
        assert hashlib.sha256(again.read(sample)).hexdigest() == sample.sha256


def test_the_same_content_has_the_same_id_and_other_content_another(source, tmp_path):
    first = snapshot_of(source, tmp_path / "out")
    document = json.loads(first.read_text())
    before = first.read_bytes()
    assert snapshot_of(source, tmp_path / "out") == first
    assert first.read_bytes() == before
    assert first.name == f"{document['id'][:16]}.json"
    assert open_dataset(first).snapshot() == document["id"]

    coco = json.loads((source / "annotations.json").read_text())
    coco["annotations"].pop()
    (source / "annotations.json").write_text(json.dumps(coco))
    assert snapshot_of(source, tmp_path / "out") != first
    assert len(list((tmp_path / "out/snapshots/default").iterdir())) == 2


def test_the_id_of_a_snapshot_is_the_same_in_every_release():
    """Models name the snapshot that they were trained on, so the same content must keep its id."""
    samples = tuple(
        Sample(
            name=f"{name}.png",
            sha256=byte * 32,
            width=200,
            height=100,
            objects=(Object("dent", (10.0, 20.5, 40.0, 60.0)),)[:objects],
            tags=("anomaly",)[:tags],
        )
        for name, byte, objects, tags in [
            (16, "10", 1, 0),
            (192, "c0", 0, 0),
            (193, "c1", 1, 1),
            (255, "ff", 0, 1),
        ]
    )
    files = ImagesByUri({sample.name: f"s3://factory/{sample.name}" for sample in samples})
    dataset, _ = divide(Dataset(files, ("dent", "scratch"), samples))
    duplicates = [Duplicate(0, 3, "near", 0.9), Duplicate(1, 3, "pixels", 1.0)]
    snapshot = take(dataset, duplicates, format="coco")
    assert snapshot.id == "0e25fc3af803e5c4ed3f0be446616f3d8a2bac79359e75ffab1286d035110588"
    digest = hashlib.sha256(snapshot.content()).hexdigest()
    assert digest == "c32ca0b076fd00e95fea294586b38e6b54c8b734081d76653cee84d8f0f76337"


def test_no_image_is_copied(source, tmp_path):
    snapshot_of(source, tmp_path / "out")
    assert [path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()] == [".json"]


@pytest.mark.parametrize("change", ["split", "bbox", "uri", "left_out", "id"])
def test_an_altered_snapshot_is_refused(source, tmp_path, change):
    path = snapshot_of(source, tmp_path / "out")
    document = json.loads(path.read_text())
    if change == "split":
        document["images"][0]["split"] = "test"
        document["images"][1]["split"] = "train"
        document["images"][2]["split"] = "validation"
    elif change == "bbox":
        document["annotations"][0]["bbox"][0] += 1
    elif change == "uri":
        document["images"][0]["uri"] = "file:///etc/hostname"
    elif change == "left_out":
        document["left_out"].append({})
    else:
        document["id"] = "0" * 64
    path.write_text(json.dumps(document, separators=(",", ":")))
    with pytest.raises(DatasetError, match="was altered"):
        open_dataset(path)


@pytest.mark.parametrize("content", ['{"loupe_snapshot":1', '{"loupe_snapshot":1}', '{"loupe_snapshot":2}'])
def test_a_snapshot_that_is_cut_short_or_of_another_version_is_refused(tmp_path, content):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(DatasetError, match=r"s\.json: is"):
        open_dataset(tmp_path / "s.json")


def test_an_image_that_was_changed_or_deleted_since_the_snapshot_is_named(source, tmp_path):
    dataset = open_dataset(snapshot_of(source, tmp_path / "out"))
    sample, other = dataset.samples[:2]
    Image.new("L", (96, 96)).save(source / sample.name)
    with pytest.raises(DatasetError, match=f"{sample.name}: was altered"):
        dataset.read(sample)
    (source / other.name).unlink()
    with pytest.raises(DatasetError, match=f"{other.name}: cannot be read"):
        dataset.read(other)


def test_images_in_zips_and_records_are_read_in_place(source, tmp_path):
    with zipfile.ZipFile(tmp_path / "odd # & name.zip", "w") as archive:
        for path in source.rglob("*.*"):
            archive.write(path, f"a b#&c/{path.relative_to(source)}")
    records = write_recordio(open_dataset(source), tmp_path / "rec/train.rec")
    with zipfile.ZipFile(tmp_path / "rec.zip", "w") as archive:
        for path in records.parent.iterdir():
            archive.write(path, path.name)
    for container in (tmp_path / "odd # & name.zip", records, tmp_path / "rec.zip"):
        dataset = open_dataset(snapshot_of(container, tmp_path / "out"))
        assert len(dataset.samples) == 40
        for sample in dataset.samples[:5]:
            assert hashlib.sha256(dataset.read(sample)).hexdigest() == sample.sha256


def test_new_images_do_not_change_the_test_set_of_the_previous_snapshot(source, tmp_path):
    first = snapshot_of(source, tmp_path / "out")
    generate(tmp_path / "more", 40, seed=6, size=96)
    coco = json.loads((tmp_path / "more/annotations.json").read_text())
    old = json.loads((source / "annotations.json").read_text())
    for image in old["images"]:
        (tmp_path / "more" / image["file_name"]).write_bytes((source / image["file_name"]).read_bytes())
        coco["images"].append(image | {"id": image["id"] + 1000})
    coco["annotations"] += [
        a | {"id": a["id"] + 9999, "image_id": a["image_id"] + 1000} for a in old["annotations"]
    ]
    (tmp_path / "more/annotations.json").write_text(json.dumps(coco))

    before, after = open_dataset(first), open_dataset(snapshot_of(tmp_path / "more", tmp_path / "out", first))
    assert len(after.samples) == 80
    for part in PARTS:
        assert hashes(before, part) <= hashes(after, part)
    tested = labels_of(before.part("test").samples)
    raw = [s for s in open_dataset(tmp_path / "more").part("test").samples if labels_of([s]) <= tested]
    new = {sample.sha256 for sample in raw} - hashes(before, "test")
    assert new
    assert new <= hashes(after, "train") | hashes(after, "validation")


def test_test_images_that_a_new_source_lacks_are_taken_over_with_their_labels(source, tmp_path):
    first = snapshot_of(source, tmp_path / "out")
    generate(tmp_path / "more", 10, seed=6, size=96)
    before, after = open_dataset(first), open_dataset(snapshot_of(tmp_path / "more", tmp_path / "out", first))
    objects = {s.sha256: s.objects for s in after.part("test").samples}
    assert {s.sha256: s.objects for s in before.part("test").samples}.items() <= objects.items()
    assert all(after.read(sample) for sample in after.samples)
    assert (
        json.loads(Path(tmp_path / "out/snapshots/default").joinpath(first.name).read_text())["id"]
        == before.snapshot_id
    )


def drawn_hash(part: str, number: int) -> str:
    """Return the number-th hash whose image belongs to a part."""
    hashes = (hashlib.sha256(str(n).encode()).hexdigest() for n in itertools.count())
    return next(itertools.islice((h for h in hashes if part_of(h) == part), number, None))


def labelled(sha256: str, *labels: str, part: Part | None = None) -> Sample:
    objects = tuple(Object(label, (0.0, 0.0, 9.0, 9.0)) for label in labels)
    return Sample(f"{sha256[:8]}.png", sha256, 20, 20, objects, part=part)


def data_set(*samples: Sample) -> Dataset:
    files = ImagesByUri({sample.name: f"s3://factory/{sample.name}" for sample in samples})
    return Dataset(files, tuple(sorted(labels_of(samples))), samples)


def test_a_new_image_joins_the_frozen_test_set_only_if_it_shows_a_class_without_test_images():
    old_test, learned = drawn_hash("test", 0), drawn_hash("test", 1)
    known, new_class, elsewhere = drawn_hash("test", 2), drawn_hash("test", 3), drawn_hash("train", 0)
    previous = data_set(
        labelled(old_test, "dent", part="test"), labelled(learned, "dent", "scratch", part="train")
    )
    source = data_set(
        labelled(learned, "scratch"),
        labelled(known, "dent"),
        labelled(new_class, "dent", "scratch"),
        labelled(elsewhere, "scratch"),
    )
    source, taken_over = take_over_test_images(source, previous)
    dataset, division = divide(source, previous=previous)
    assert hashes(dataset, "test") == {old_test, new_class}
    assert (division.frozen, [s.sha256 for s in taken_over], division.joined) == (1, [old_test], 1)


def test_a_snapshot_is_unchanged_only_if_images_labels_and_parts_are_the_previous_ones():
    dataset, _ = divide(data_set(*(labelled(drawn_hash("train", n), "dent") for n in range(3))))
    snapshot = take(dataset, [], format="coco")
    samples = dataset.samples
    assert is_unchanged(snapshot, dataset)
    assert is_unchanged(snapshot, replace(dataset, samples=samples[::-1]))
    for other in (
        replace(dataset, labels=("scratch",)),
        replace(dataset, samples=samples[1:]),
        replace(dataset, samples=(replace(samples[0], part="test"), *samples[1:])),
        replace(dataset, samples=(replace(samples[0], objects=()), *samples[1:])),
        replace(dataset, samples=(replace(samples[0], tags=("anomaly",)), *samples[1:])),
        replace(dataset, files=ImagesByUri({sample.name: f"s3://other/{sample.name}" for sample in samples})),
    ):
        assert not is_unchanged(snapshot, other)


def test_a_snapshot_goes_to_the_folder_of_its_data_set_and_records_the_name(source, tmp_path):
    dataset, _ = divide(open_dataset(source))
    snapshot = take(dataset, [], format="coco", name="press-2")
    path = Path(write(snapshot, str(tmp_path)))
    assert path == tmp_path / "snapshots/press-2" / snapshot.file_name
    assert json.loads(path.read_text())["info"]["dataset"] == "press-2"
    assert snapshot.id != take(dataset, [], format="coco").id


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12), st.data())
def test_no_duplicate_crosses_the_split_and_no_test_image_is_ever_left_out(parts, data):
    samples = [
        Sample(str(i), f"{i:064x}", 1, 1, (Object("dent", (0, 0, 1, 1)),), part=p)
        for i, p in enumerate(parts)
    ]
    index = st.integers(0, len(parts) - 1)
    pairs = data.draw(st.lists(st.tuples(index, index).filter(lambda pair: pair[0] != pair[1]), max_size=15))
    left_out = leave_out(samples, [Duplicate(a, b, "near", 0.9) for a, b in pairs])
    dropped = {item.sample.name for item in left_out}
    for a, b in pairs:
        assert parts[a] == parts[b] or {str(a), str(b)} & dropped
    for item in left_out:
        assert PARTS.index(item.sample.belongs_to()) < PARTS.index(item.instead.belongs_to())
        assert item.instead.name not in dropped


def test_what_is_left_out_is_listed_with_the_reason(source):
    dataset, _ = divide(open_dataset(source))
    train = next(i for i, s in enumerate(dataset.samples) if s.belongs_to() == "train")
    test = next(i for i, s in enumerate(dataset.samples) if s.belongs_to() == "test")
    document = take(dataset, [Duplicate(train, test, "near", 0.93)], format="coco").document
    assert len(document["images"]) == 39
    assert document["left_out"] == [
        {
            "file_name": dataset.samples[train].name,
            "sha256": dataset.samples[train].sha256,
            "split": "train",
            "reason": "nearly the same picture as an image in test",
            "instead": dataset.samples[test].name,
        }
    ]


def test_a_folder_with_one_snapshot_stands_for_it(source, tmp_path):
    path = snapshot_of(source, tmp_path / "out")
    assert open_dataset(path.parent).snapshot() == open_dataset(path).snapshot()
