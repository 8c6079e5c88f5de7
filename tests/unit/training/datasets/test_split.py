"""Copies of one original are never in two parts, and a source's own parts are kept where nothing leaks."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.datasets import Dataset, Object, Sample
from training.datasets.checks.candidates import find_candidates
from training.datasets.checks.duplicates import Duplicate, Fingerprints, find_duplicates, groups_of
from training.datasets.checks.likeness import perceptual_hashes, view
from training.datasets.generated.synthetic import draw
from training.datasets.importing import Import, ImportOptions
from training.datasets.snapshots.split import divide, in_parts, leave_out
from training.datasets.storage.uris import ImagesByUri

PARTS = ("train", "validation", "test")
MATCHES = ("bytes", "pixels", "near", "turned", "original")


def sample(name: str, number: int, own: str | None = None, label: str = "dent", **more: object) -> Sample:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Sample(name, digest, 9, 9, (Object(label, (0, 0, 5, 5)),), source_part=own, **more)


def data_set(samples: list[Sample]) -> Dataset:
    files = ImagesByUri({item.name: f"s3://factory/{item.name}" for item in samples})
    return Dataset(files, ("dent", "scratch"), tuple(samples))


@st.composite
def sources(draw):
    """Return samples with any own parts, copies among them, and a previous snapshot of some of them."""
    own = draw(st.lists(st.sampled_from((*PARTS, None)), min_size=1, max_size=14))
    labels = draw(st.lists(st.sampled_from(("dent", "scratch")), min_size=len(own), max_size=len(own)))
    samples = [
        sample(f"{n}.png", n, part, label) for n, (part, label) in enumerate(zip(own, labels, strict=True))
    ]
    index = st.integers(0, len(own) - 1)
    pairs = draw(st.lists(st.tuples(index, index, st.sampled_from(MATCHES)), max_size=12))
    duplicates = [Duplicate(a, b, match, 1.0) for a, b, match in pairs if a != b]
    earlier = draw(
        st.lists(st.tuples(index, st.sampled_from(PARTS)), max_size=6, unique_by=lambda item: item[0])
    )
    before = [replace(samples[n], part=part, source_part=None) for n, part in earlier]
    return samples, duplicates, data_set(before) if before else None


@given(sources())
def test_no_group_of_copies_is_ever_in_two_parts(source):
    samples, duplicates, previous = source
    divided, _ = divide(data_set(samples), duplicates, previous)
    left_out = {item.sample.name for item in leave_out(divided.samples, duplicates)}
    for group in groups_of(len(samples), duplicates):
        staying = [divided.samples[index] for index in group if samples[index].name not in left_out]
        assert len({item.part for item in staying}) == 1


@given(sources(), st.randoms())
def test_the_parts_do_not_depend_on_the_order_of_the_source(source, random):
    samples, duplicates, previous = source
    order = list(range(len(samples)))
    random.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    moved = [replace(item, first=place[item.first], second=place[item.second]) for item in duplicates]
    one, _ = divide(data_set(samples), duplicates, previous)
    other, _ = divide(data_set([samples[index] for index in order]), moved, previous)
    assert {s.name: s.part for s in one.samples} == {s.name: s.part for s in other.samples}


@given(sources())
def test_the_frozen_test_images_stay_and_no_known_class_gains_one(source):
    samples, duplicates, previous = source
    if previous is None:
        return
    divided, _ = divide(data_set(samples), duplicates, previous)
    frozen = {item.sha256 for item in previous.part("test").samples}
    tested = {obj.label for item in previous.part("test").samples for obj in item.objects}
    learned = {item.sha256 for item in previous.samples} - frozen
    test = [item for item in divided.samples if item.part == "test"]
    assert {item.sha256 for item in test} >= frozen
    assert learned.isdisjoint(item.sha256 for item in test)
    copied = {samples[index].name for group in groups_of(len(samples), duplicates) for index in group}
    for item in test:
        assert item.sha256 in frozen or item.name in copied or item.objects[0].label not in tested


def test_the_own_parts_of_a_source_are_kept():
    own = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    divided, division = divide(data_set([sample(f"{n}", n, part) for n, part in enumerate(own)]))
    assert [item.part for item in divided.samples] == own
    assert (division.is_own, division.moved, division.own.refused) == (True, (), "")
    assert division.own.stated == {"train": 6, "validation": 2, "test": 2}


def test_a_leaking_copy_joins_most_of_its_copies_and_the_rest_stays():
    own = ["train"] * 6 + ["test"] * 4
    duplicates = [Duplicate(0, 1, "turned", 0.99), Duplicate(1, 6, "turned", 0.99)]
    divided, division = divide(data_set([sample(f"{n}", n, part) for n, part in enumerate(own)]), duplicates)
    moved = [
        (item.sample.name, item.sample.part, item.why, item.like.name) for item in division.moved if item.like
    ]
    assert moved == [("6", "train", "copy", "0")]
    assert [item.part for item in divided.samples[7:]] == ["test"] * 3


def test_own_parts_that_leak_too_much_are_refused_with_the_reason():
    own = ["train"] * 6 + ["test"] * 3
    duplicates = [Duplicate(n, n + 6, "original", 1.0) for n in range(2)] + [Duplicate(0, 2, "near", 0.9)]
    duplicates.append(Duplicate(1, 3, "near", 0.9))
    divided, division = divide(data_set([sample(f"{n}", n, part) for n, part in enumerate(own)]), duplicates)
    assert not division.is_own
    assert division.own.refused == "2 of the 3 images in its test part are copies of images in other parts"
    for first, second in ((0, 6), (1, 7)):
        assert divided.samples[first].part == divided.samples[second].part


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (["train"] * 4, "the source has a train part only"),
        (["validation", "test"], "the source has no train part"),
    ],
)
def test_parts_of_which_none_can_be_learned_or_tested_are_refused(own, reason):
    samples = [sample(f"{n}", n, part) for n, part in enumerate(own)]
    divided, division = divide(data_set(samples))
    assert division.own.refused == reason
    assert [item.part for item in divided.samples] == [item.belongs_to() for item in samples]


def test_a_train_part_of_good_products_alone_is_refused():
    good = [replace(sample(f"good {n}", n, "train"), objects=()) for n in range(3)]
    _, division = divide(data_set([*good, sample("bad", 9, "test")]))
    assert division.own.refused == "the train part of the source shows no labelled object"


def test_a_train_part_that_is_labelled_good_is_kept_unless_the_hash_is_to_decide():
    good = [replace(sample(f"good {n}", n, "train"), objects=(), tags=("good",)) for n in range(3)]
    source = data_set([*good, sample("bad", 9, "test")])
    divided, division = divide(source)
    assert (division.is_own, divided.samples[3].part) == (True, "test")
    assert not divide(source, by_hash=True)[1].is_own


def test_a_part_that_the_source_lacks_is_drawn_from_its_train_part():
    own = ["train"] * 60 + ["validation"] * 10
    divided, division = divide(data_set([sample(f"{n}", n, part) for n, part in enumerate(own)]))
    assert division.own.drawn == ("test",)
    assert {item.part for item in divided.samples[60:]} == {"validation"}
    test = [item for item in divided.samples if item.part == "test"]
    assert 3 <= len(test) <= 25
    assert {(item.sample.name, item.why) for item in division.moved} == {
        (item.name, "drawn") for item in test
    }


def test_copies_that_a_program_made_are_kept_together_by_one_hash_and_none_is_left_out():
    samples = [sample(f"{n}", n) for n in range(800)]
    duplicates = [Duplicate(n - n % 8, n, "original", 1.0) for n in range(800) if n % 8]
    divided, _ = divide(data_set(samples), duplicates)
    assert leave_out(divided.samples, duplicates) == []
    shares = {part: len(divided.part(part).samples) / 800 for part in PARTS}
    assert shares["train"] == pytest.approx(0.7, abs=0.12)
    assert shares["test"] == pytest.approx(0.2, abs=0.12)


# Pictures


@cache
def steel(index: int) -> Image.Image:
    return draw(71, index, 96, "scratches" if index % 2 else "pitted_surface")[0].convert("L")


CHANGES = {
    "as it is": lambda picture: (picture, "PNG", {}),
    "saved again": lambda picture: (picture, "JPEG", {"quality": 70}),
    "smaller": lambda picture: (picture.resize((72, 72), Image.Resampling.LANCZOS), "PNG", {}),
    "larger": lambda picture: (picture.resize((150, 140), Image.Resampling.BICUBIC), "JPEG", {"quality": 90}),
}


def encoded(picture: Image.Image, number: int, change: str) -> bytes:
    """Return a file of one of the eight views of a picture."""
    turned = Image.fromarray(np.ascontiguousarray(view(np.asarray(picture), number)))
    changed, kind, options = CHANGES[change](turned)
    buffer = io.BytesIO()
    changed.save(buffer, kind, **options)
    return buffer.getvalue()


def groups_among(folder: Path, pictures: list[bytes]) -> tuple[list[list[int]], list[int]]:
    """Return the groups of copies, and the pictures that look like many others."""
    prints, samples, uris = Fingerprints(), [], {}
    for index, data in enumerate(pictures):
        (folder / str(index)).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        prints.add(digest, data)
        uris[str(index)] = (folder / str(index)).as_uri()
        with Image.open(io.BytesIO(data)) as image:
            samples.append(Sample(str(index), digest, *image.size, ()))
    duplicates, fixed_scene = find_duplicates(Dataset(ImagesByUri(uris), (), tuple(samples)), prints)
    return groups_of(len(samples), duplicates), fixed_scene


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7), st.sampled_from(sorted(CHANGES))), min_size=2,
                max_size=10, unique=True))  # fmt: skip
def test_mirrored_turned_and_resized_copies_are_one_group_and_other_pictures_are_not(tmp_path_factory, made):
    pictures = [encoded(steel(original), number, change) for original, number, change in made]
    groups, _ = groups_among(tmp_path_factory.mktemp("copies"), pictures)
    expected = {frozenset(i for i, (o, *_) in enumerate(made) if o == original) for original, *_ in made}
    assert {frozenset(group) for group in groups} == {group for group in expected if len(group) > 1}


@pytest.mark.parametrize("number", range(8))
def test_the_hash_of_a_view_is_that_of_the_turned_picture(number):
    grey = np.asarray(steel(1).resize((64, 64)), np.float32)
    turned = np.ascontiguousarray(view(grey, number))
    assert np.bitwise_count(perceptual_hashes(turned)[0] ^ perceptual_hashes(grey)[number]).sum() <= 2


def test_a_scene_that_all_pictures_show_in_mirror_images_is_a_crowd_and_no_group():
    rng = np.random.default_rng(3)
    scene = np.asarray(steel(1).resize((64, 64)), np.float32)
    pictures = [scene + rng.normal(0, 0.7, scene.shape).astype(np.float32) for _ in range(16)]
    hashes = np.stack([perceptual_hashes(view(p, n % 2)) for n, p in enumerate(pictures)])
    found = find_candidates(hashes)
    assert (found.pairs, found.crowded) == ([], set(range(16)))


def test_many_copies_of_one_picture_among_others_are_one_group(tmp_path):
    pictures = []
    for number in (0, 3):
        turned = Image.fromarray(np.ascontiguousarray(view(np.asarray(steel(0)), number)))
        for quality in range(60, 69):
            buffer = io.BytesIO()
            turned.save(buffer, "JPEG", quality=quality)
            pictures.append(buffer.getvalue())
    # Odd ones are scratches, drawn in a tenth of the time of pits.
    pictures += [encoded(steel(original), 0, "as it is") for original in range(1, 119, 2)]
    assert groups_among(tmp_path, pictures) == ([list(range(18))], [])


def test_a_long_film_is_no_group_because_no_split_could_divide_it(tmp_path):
    wide = np.concatenate([np.asarray(steel(n)) for n in range(4)], axis=1)
    frames = [Image.fromarray(wide[:, start : start + 96]) for start in range(60)]
    groups, fixed_scene = groups_among(tmp_path, [encoded(frame, 0, "as it is") for frame in frames])
    assert len(fixed_scene) > 24
    assert all(len(group) <= 24 for group in groups)


def write_yolo(folder: Path, parts: dict[str, list[tuple[int, int, str]]]) -> Path:
    """Write pictures as Roboflow does: by part, original, view and name."""
    for part, pictures in parts.items():
        for kind in ("images", "labels"):
            (folder / part / kind).mkdir(parents=True)
        for original, number, name in pictures:
            (folder / part / "images" / f"{name}.png").write_bytes(
                encoded(steel(original), number, "as it is")
            )
            (folder / part / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [dent]\n"
    )
    return folder


def test_a_source_that_was_not_imported_has_its_own_parts_and_no_copy_of_roboflow_in_two():
    own = ["train"] * 6 + ["test"] * 4
    names = [f"{n}_png.rf.{n:032x}.png" for n in range(9)] + [f"0_png.rf.{9:032x}.png"]
    source = data_set([sample(name, n, part) for n, (name, part) in enumerate(zip(names, own, strict=True))])
    divided, is_own = in_parts(source)
    assert is_own
    assert divided.samples[9].part == divided.samples[0].part
    assert [item.part for item in divided.samples[6:9]] == ["test"] * 3
    assert divided.snapshot() == source.snapshot()
    without, is_own = in_parts(
        replace(source, samples=tuple(replace(s, source_part=None) for s in source.samples))
    )
    assert not is_own
    assert without.samples[9].part == without.samples[0].part
    assert [item.part for item in without.samples[1:9]] == [item.belongs_to() for item in source.samples[1:9]]


def roboflow(original: int, number: int) -> tuple[int, int, str]:
    return original, number, f"SN{original}_png.rf.{original:016x}{number:016x}"


def test_an_export_of_roboflow_keeps_its_parts_and_its_copies_stay_together(tmp_path):
    source = write_yolo(
        tmp_path / "source",
        {
            "train": [roboflow(original, number) for original in range(6) for number in (0, 3, 5)],
            "valid": [roboflow(original, 0) for original in (6, 7)],
            "test": [roboflow(original, 0) for original in (8, 9)],
        },
    )
    report = Import(ImportOptions(str(source), "default", "")).run()
    document = report.document()
    assert document["parts"] == {"train": 18, "validation": 2, "test": 2}
    assert (document["split"]["by"], document["split"]["refused"], document["split"]["moved"]) == (
        "source",
        None,
        [],
    )
    assert document["left_out"] == []
    assert "parts: those of the source (18 train, 2 validation, 2 test)" in report.text()


def test_a_turned_copy_in_another_part_is_moved_and_the_report_says_why(tmp_path):
    source = write_yolo(
        tmp_path / "source",
        {
            "train": [(original, 0, f"a{original}") for original in range(6)],
            "valid": [(6, 0, "b"), (7, 0, "c")],
            "test": [(8, 0, "d"), (9, 0, "e"), (2, 4, "turned")],
        },
    )
    # Twice in train: there are more copies there.
    shutil.copy(source / "train/images/a2.png", source / "train/images/again.png")
    shutil.copy(source / "train/labels/a2.txt", source / "train/labels/again.txt")
    report = Import(ImportOptions(str(source), "default", "")).run()
    document = report.document()
    assert document["split"]["moved"] == [
        {
            "file": "test/images/turned.png",
            "from": "test",
            "to": "train",
            "why": "copy",
            "like": "train/images/a2.png",
        }
    ]
    text = report.text()
    assert "moved: 1 image to the part of most of their copies" in text
    assert "test/images/turned.png (test to train)\n    copy of train/images/a2.png" in text
    assert "turned-copy" in {problem["kind"] for problem in document["problems"]}


def test_leaking_parts_are_refused_in_words(tmp_path):
    source = write_yolo(
        tmp_path / "source",
        {
            "train": [(original, 0, f"a{original}") for original in range(6)],
            "test": [(original, 5, f"b{original}") for original in range(4)],
        },
    )
    (source / "data.yaml").write_text("train: train/images\ntest: test/images\nnames: [dent]\n")
    report = Import(ImportOptions(str(source), "default", "")).run()
    reason = report.document()["split"]["refused"]
    assert reason in (
        "4 of the 6 images in its train part are copies of images in other parts",
        "4 of the 4 images in its test part are copies of images in other parts",
    )
    assert "parts: by image hash, not those of the source:" in report.text()
    by_original: dict[str, set[str]] = {}
    for item in report.dataset.samples:
        by_original.setdefault(Path(item.name).stem[1:], set()).add(item.belongs_to())
    assert all(len(parts) == 1 for parts in by_original.values())
