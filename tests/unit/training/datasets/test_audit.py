"""The audit finds what a person would want to know, names the file, and takes no texture for another."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from contract.images import upright_size
from training.datasets import Dataset, Object, Sample, read
from training.datasets.audit import SAME_BOX_IOU, audit, objects_per_class, same_boxes
from training.datasets.duplicates import (
    CANDIDATE_BITS,
    LIKENESS,
    Duplicate,
    Fingerprints,
    correlation,
    detail,
    find,
    perceptual_hash,
)
from training.datasets.files import Files
from training.datasets.generated.synthetic import draw
from training.datasets.repair import repair
from training.model.pixels import decode


class Memory(Files):
    """Files that are held in memory."""

    def __init__(self, images: dict[str, bytes]) -> None:
        self.images_by_name = images
        self.names = tuple(images)

    def read(self, name):
        return self.images_by_name[name]

    def open(self, name):
        return io.BytesIO(self.images_by_name[name])

    def uri(self, name):
        return f"file:///{name}"


def sample(name: str = "a.png", *objects: Object, sha256: str | None = None, part=None) -> Sample:
    return Sample(name, sha256 or f"{abs(hash(name)):064x}"[:64], 100, 100, objects, part=part)


def dataset(*samples: Sample) -> Dataset:
    labels = dict.fromkeys(each.label for s in samples for each in s.objects)
    return Dataset(Memory({}), tuple(labels), samples)


def problems(kind: str, *samples: Sample, **options: object) -> list[tuple[str, str]]:
    found = audit(dataset(*samples), options.pop("duplicates", ()), **options)
    return [(each.file, each.place) for each in found if each.kind == kind]


DENT, SCRATCH = Object("dent", (10, 10, 50, 50)), Object("scratch", (10, 10, 50, 50))


def test_two_boxes_of_one_label_in_one_place_are_duplicates_and_of_two_labels_a_conflict():
    near = Object("dent", (10, 10, 50, 50.5))
    apart = Object("dent", (10, 10, 50, 56))
    one = sample("a.png", DENT, apart, near, SCRATCH)
    assert problems("duplicate-box", one) == [("a.png", "boxes 1 and 3")]
    assert problems("conflicting-boxes", one) == [("a.png", "boxes 1 and 4"), ("a.png", "boxes 3 and 4")]


BOXES = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@given(st.lists(st.one_of(BOXES, st.just((5.0, 5.0, 45.0, 45.0))), max_size=12))
def test_boxes_in_one_place_are_found_as_comparing_all_pairs_does(boxes):
    found = set(same_boxes(sample("a", *(Object("dent", box) for box in boxes))))
    areas = np.zeros((len(boxes), 100, 100), bool)
    for area, (x1, y1, x2, y2) in zip(areas, np.array(boxes, int).reshape(-1, 4), strict=True):
        area[y1:y2, x1:x2] = True
    assert found == {
        (i, j)
        for j in range(len(boxes))
        for i in range(j)
        if (areas[i] & areas[j]).sum() / (areas[i] | areas[j]).sum() > SAME_BOX_IOU
    }


def test_labels_that_differ_by_case_or_space_are_told_with_the_rare_spelling():
    samples = [sample(f"{i}.png", DENT) for i in range(3)]
    samples += [sample("upper.png", Object("Dent", DENT.box)), sample("space.png", Object("dent ", DENT.box))]
    assert sorted(problems("label-case", *samples)) == [
        ("space.png", "label 'dent '"),
        ("upper.png", "label 'Dent'"),
    ]


def test_unknown_labels_are_errors_only_against_a_list():
    one = sample("a.png", DENT, SCRATCH)
    assert problems("unknown-label", one) == []
    assert problems("unknown-label", one, known_labels=["dent", "hole"]) == [("a.png", "label 'scratch'")]


def test_one_class_imbalance_and_unlabelled_images_are_told():
    many = [sample(f"{i}.png", DENT) for i in range(11)]
    assert problems("one-class", *many) == [("0.png", "")]
    assert problems("one-class", *many, sample("s.png", SCRATCH)) == []
    assert problems("imbalance", *many, sample("s.png", SCRATCH)) == [("s.png", "label 'scratch'")]
    assert problems("imbalance", *many[:10], sample("s.png", SCRATCH)) == []
    assert problems("unlabelled-image", sample("good.png"), *many) == [("good.png", "")]


def test_objects_are_counted_by_class_and_part():
    whole = dataset(sample("a", DENT, DENT, part="train"), sample("b", DENT, SCRATCH, part="test"))
    assert objects_per_class(whole) == {
        "dent": {"all": 3, "train": 2, "validation": 0, "test": 1},
        "scratch": {"all": 1, "train": 0, "validation": 0, "test": 1},
    }


def test_duplicates_across_the_split_name_the_image_of_the_lower_part():
    pair = sample("test.png", DENT, part="test"), sample("train.png", DENT, part="train")
    assert problems("duplicate-across-split", *pair, duplicates=[Duplicate(0, 1, "near", 0.9)]) == [
        ("train.png", "")
    ]


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def duplicates(*images: bytes) -> list[tuple[int, int, str]]:
    prints = Fingerprints()
    samples = []
    for index, data in enumerate(images):
        digest = hashlib.sha256(data).hexdigest()
        prints.examine(digest, data)
        with Image.open(io.BytesIO(data)) as image:
            samples.append(Sample(str(index), digest, *upright_size(image), ()))
    files = Memory({str(index): data for index, data in enumerate(images)})
    return [(d.first, d.second, d.how) for d in find(Dataset(files, (), tuple(samples)), prints)[0]]


def steel(index: int) -> Image.Image:
    return draw(41, index, 200, "scratches" if index % 2 else "pitted_surface")[0].convert("L")


def test_the_same_bytes_and_the_same_pixels_are_found_whatever_the_file_format():
    picture = steel(1)
    png, again = encoded(picture, "PNG"), encoded(picture, "PNG", compress_level=1)
    colour = encoded(picture.convert("RGB"), "BMP")
    assert duplicates(png, encoded(steel(2), "PNG"), png, again, colour) == [
        (0, 2, "bytes"),
        (0, 3, "pixels"),
        (0, 4, "pixels"),
    ]


def test_an_image_that_exif_turns_equals_its_upright_copy():
    picture = steel(1).resize((200, 120))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(picture.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    assert duplicates(encoded(picture, "PNG"), turned) == [(0, 1, "pixels")]


CHANGES = {
    "saved at quality 60": lambda picture: encoded(picture, quality=60),
    "half the size": lambda picture: encoded(
        picture.resize((100, 100), Image.Resampling.LANCZOS), quality=90
    ),
    "larger": lambda picture: encoded(picture.resize((300, 300), Image.Resampling.BICUBIC), quality=90),
    "brighter": lambda picture: encoded(ImageEnhance.Brightness(picture).enhance(1.08), quality=90),
    "more contrast": lambda picture: encoded(ImageEnhance.Contrast(picture).enhance(1.2), quality=90),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_again_is_a_near_duplicate(change):
    for index in range(4):
        picture = steel(index)
        assert duplicates(encoded(picture, "PNG"), CHANGES[change](picture)) == [(0, 1, "near")]


def test_textures_of_one_kind_are_no_duplicates():
    assert duplicates(*(encoded(steel(index), "PNG") for index in range(24))) == []


def test_one_lighting_over_two_textures_makes_no_duplicate():
    """The hash alone would take them for one: that is why the detail is compared."""
    rng = np.random.default_rng(8)
    lighting = Image.fromarray(rng.integers(40, 215, (9, 9), dtype=np.uint8)).resize(
        (200, 200), Image.Resampling.BICUBIC
    )
    pictures = []
    for _ in range(2):
        grain = np.asarray(Image.fromarray(rng.normal(0, 24, (66, 66)).astype(np.float32)).resize((200, 200)))
        pictures.append(
            encoded(Image.fromarray(np.clip(np.asarray(lighting) + grain, 0, 255).astype(np.uint8)), "PNG")
        )
    first, second = (
        perceptual_hash(decode(data, 64).pixels[:, :, 0].astype(np.float32)) for data in pictures
    )
    assert np.bitwise_count(first ^ second).sum() <= CANDIDATE_BITS
    assert duplicates(*pictures) == []


def test_blank_images_of_different_grey_are_no_duplicates():
    assert duplicates(*(encoded(Image.new("L", (50, 50), grey), "PNG") for grey in (0, 90, 200))) == []


def test_pictures_from_a_fixed_camera_are_told_and_not_taken_for_duplicates():
    rng = np.random.default_rng(3)
    scene = np.asarray(steel(1), np.int16)
    images = [encoded(Image.fromarray(np.clip(scene + rng.normal(0, 0.7, scene.shape), 0, 255).astype(np.uint8)), "PNG")
              for _ in range(9)]  # fmt: skip
    assert duplicates(*images) == []
    assert [how for *_, how in duplicates(*images, images[3])] == ["bytes"]


def test_correlation_is_one_with_itself_shifted_and_small_with_another():
    wide = draw(7, 1, 240, "pitted_surface")[0].convert("L")
    first, moved = (encoded(wide.crop((x, x, x + 200, x + 200)), "PNG") for x in (0, 8))
    assert correlation(detail(first), detail(first)) == pytest.approx(1)
    assert correlation(detail(first), detail(moved)) > LIKENESS
    assert correlation(detail(first), detail(encoded(steel(2), "PNG"))) < 0.5


def test_repairs_are_made_counted_and_listed():
    one = sample("a.png", DENT, Object("Dent", (10, 10, 50, 50.5)), SCRATCH)
    copy, other = replace(one, name="copy.png"), replace(sample("b.png", DENT), sha256=one.sha256)
    whole = dataset(one, copy, other)
    fixed, made = repair(whole, [Duplicate(0, 1, "bytes", 1.0), Duplicate(0, 2, "bytes", 1.0)], [])
    assert fixed.labels == ("dent", "scratch")
    assert [(s.name, [o.label for o in s.objects]) for s in fixed.samples] == [
        ("a.png", ["dent", "scratch"]),
        ("b.png", ["dent"]),  # labelled otherwise: a person decides
    ]
    assert [(each.kind, each.file) for each in made] == [
        ("label-case", "a.png"),
        ("label-case", "copy.png"),
        ("duplicate-box", "a.png"),
        ("duplicate-box", "copy.png"),
        ("duplicate-image", "copy.png"),
    ]


def test_a_repair_never_takes_a_duplicate_out_of_the_test_part():
    pair = sample("train.png", DENT, part="train"), sample("test.png", DENT, part="test")
    for order in (pair, pair[::-1]):
        fixed, _ = repair(dataset(*order), [Duplicate(0, 1, "pixels", 1.0)], [])
        assert [each.name for each in fixed.samples] == ["test.png"]


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET does not name NEU-DET.zip")
def test_neu_det_has_one_image_twice_and_five_spots_photographed_twice():
    prints = Fingerprints()
    whole = read(os.environ["LOUPE_NEU_DET"], examine=prints.examine).dataset
    found, crowded = find(whole, prints)
    stem = {index: each.name.split("/")[-1].removesuffix(".jpg") for index, each in enumerate(whole.samples)}
    assert crowded == []
    assert {(stem[each.first], stem[each.second], each.how) for each in found} == {
        ("patches_101", "patches_105", "bytes"),
        ("patches_189", "patches_193", "near"),
        ("pitted_surface_171", "pitted_surface_292", "near"),
        ("inclusion_188", "inclusion_210", "near"),
        ("inclusion_125", "inclusion_88", "near"),
        ("inclusion_235", "inclusion_245", "near"),
    }


def test_duplicate_images_are_told_apart_by_their_labels_and_a_fixed_scene_once():
    pair = sample("a.png", DENT), sample("b.png", DENT)
    twice = [Duplicate(0, 1, "bytes", 1.0)]
    assert problems("duplicate-image", *pair, duplicates=twice) == [("b.png", "")]
    assert problems("duplicate-image-other-labels", *pair, duplicates=twice) == []
    other = sample("a.png", DENT), sample("b.png", SCRATCH)
    assert problems("duplicate-image-other-labels", *other, duplicates=twice) == [("b.png", "")]
    assert problems("fixed-scene", *pair, crowded=[0, 1]) == [("a.png", "")]
