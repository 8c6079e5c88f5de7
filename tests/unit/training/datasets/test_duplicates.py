"""Duplicates are found when a picture is saved again, and one texture is not taken for another."""

from __future__ import annotations

import hashlib
import io
import os
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from contract.images import upright_size
from training.datasets import Dataset, Sample, read
from training.datasets.checks.candidates import CANDIDATE_BITS
from training.datasets.checks.duplicates import (
    MIN_CORRELATION,
    Fingerprints,
    find_duplicates,
)
from training.datasets.checks.likeness import correlation, detail, perceptual_hashes
from training.datasets.generated.synthetic import draw
from training.datasets.storage.files import Files
from training.model.pixels import decode


class Memory(Files):
    """Files in memory."""

    def __init__(self, images: dict[str, bytes]) -> None:
        self.images_by_name = images
        self.names = tuple(images)

    def read(self, name):
        return self.images_by_name[name]

    def open(self, name):
        return io.BytesIO(self.images_by_name[name])

    def uri(self, name):
        return f"file:///{name}"


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def duplicates(*images: bytes) -> list[tuple[int, int, str]]:
    prints = Fingerprints()
    samples = []
    for index, data in enumerate(images):
        digest = hashlib.sha256(data).hexdigest()
        prints.add(digest, data)
        with Image.open(io.BytesIO(data)) as image:
            samples.append(Sample(str(index), digest, *upright_size(image), ()))
    files = Memory({str(index): data for index, data in enumerate(images)})
    pairs, _ = find_duplicates(Dataset(files, (), tuple(samples)), prints)
    return [(pair.first, pair.second, pair.match) for pair in pairs]


# Of a picture. To draw one takes time in proportion to its area.
SIDE = 120


@cache
def steel(index: int) -> Image.Image:
    return draw(41, index, SIDE, "scratches" if index % 2 else "pitted_surface")[0].convert("L")


def test_the_same_bytes_and_the_same_pixels_are_found_whatever_the_file_format():
    picture = steel(1)
    png, again = encoded(picture, "PNG"), encoded(picture, "PNG", compress_level=1)
    colour = encoded(picture.convert("RGB"), "BMP")
    assert duplicates(png, encoded(steel(2), "PNG"), png, again, colour) == [
        (0, 2, "bytes"),
        (0, 3, "pixels"),
        (0, 4, "pixels"),
    ]


def test_an_image_with_an_exif_orientation_equals_its_upright_copy():
    picture = steel(1).resize((120, 72))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(picture.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    assert duplicates(encoded(picture, "PNG"), turned) == [(0, 1, "pixels")]


CHANGES = {
    "saved at quality 60": lambda picture: encoded(picture, quality=60),
    "half the size": lambda picture: encoded(
        picture.resize((SIDE // 2, SIDE // 2), Image.Resampling.LANCZOS), quality=90
    ),
    "larger": lambda picture: encoded(picture.resize((180, 180), Image.Resampling.BICUBIC), quality=90),
    "brighter": lambda picture: encoded(ImageEnhance.Brightness(picture).enhance(1.08), quality=90),
    "more contrast": lambda picture: encoded(ImageEnhance.Contrast(picture).enhance(1.2), quality=90),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_again_is_a_near_duplicate(change):
    for index in range(4):
        picture = steel(index)
        assert duplicates(encoded(picture, "PNG"), CHANGES[change](picture)) == [(0, 1, "near")]


def test_textures_of_one_kind_are_not_duplicates():
    assert duplicates(*(encoded(steel(index), "PNG") for index in range(24))) == []


def test_two_textures_under_one_lighting_are_not_duplicates():
    """By the hash alone they would be: that is why the detail is compared."""
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
        perceptual_hashes(decode(data, 64).pixels[:, :, 0].astype(np.float32)) for data in pictures
    )
    assert np.bitwise_count(first[0] ^ second[0]).sum() <= CANDIDATE_BITS
    assert duplicates(*pictures) == []


def test_blank_images_of_different_grey_are_not_duplicates():
    assert duplicates(*(encoded(Image.new("L", (50, 50), grey), "PNG") for grey in (0, 90, 200))) == []


def test_pictures_from_a_fixed_camera_are_duplicates_only_if_their_bytes_are_the_same():
    rng = np.random.default_rng(3)
    scene = np.asarray(steel(1), np.int16)
    images = [encoded(Image.fromarray(np.clip(scene + rng.normal(0, 0.7, scene.shape), 0, 255).astype(np.uint8)), "PNG")
              for _ in range(9)]  # fmt: skip
    assert duplicates(*images) == []
    assert [match for *_, match in duplicates(*images, images[3])] == ["bytes"]


def test_a_picture_correlates_with_itself_and_with_a_shifted_copy_but_not_with_another():
    wide = draw(7, 1, 240, "pitted_surface")[0].convert("L")
    first, moved = (encoded(wide.crop((x, x, x + 200, x + 200)), "PNG") for x in (0, 8))
    assert correlation(detail(first), detail(first)) == pytest.approx(1)
    assert correlation(detail(first), detail(moved)) > MIN_CORRELATION
    assert correlation(detail(first), detail(encoded(steel(2), "PNG"))) < 0.5


@pytest.mark.skipif("LOUPE_NEU_DET" not in os.environ, reason="LOUPE_NEU_DET does not name NEU-DET.zip")
def test_neu_det_has_one_image_twice_and_five_spots_photographed_twice():
    prints = Fingerprints()
    whole = read(os.environ["LOUPE_NEU_DET"], examine=prints.add).dataset
    pairs, fixed_scene = find_duplicates(whole, prints)
    stems = [sample.name.split("/")[-1].removesuffix(".jpg") for sample in whole.samples]
    assert fixed_scene == []
    assert {(stems[pair.first], stems[pair.second], pair.match) for pair in pairs} == {
        ("patches_101", "patches_105", "bytes"),
        ("patches_189", "patches_193", "near"),
        ("pitted_surface_171", "pitted_surface_292", "near"),
        ("inclusion_188", "inclusion_210", "near"),
        ("inclusion_125", "inclusion_88", "near"),
        ("inclusion_235", "inclusion_245", "near"),
    }
