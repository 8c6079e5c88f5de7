"""The page of one model: everything is on it, nothing is outside it, and hostile names are only text."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import tempfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from tests.unit.training.conftest import STARTER
from tests.unit.training.model.anomaly_models import detector_folder
from training.datasets import Object, open_dataset
from training.datasets.generated.synthetic import generate
from training.evaluate import main
from training.evaluation.metrics import ImageDetections
from training.evaluation.outcomes import outcomes
from training.evaluation.reports import page, pictures, plots
from training.model.artefact import file_sha256, pack, read_card, unpack

HOSTILE = '"><script>alert(1)</script>\u202e\x1b[2J$\\frac{'
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Elements(HTMLParser):
    """Every element with its attributes; raises where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """Images whose files and some of whose classes have names that try to inject markup."""
    root = tmp_path_factory.mktemp("data")
    generate(root, 12, seed=79, size=120)
    document = json.loads((root / "annotations.json").read_text())
    for category in document["categories"]:
        if category["name"] in ("crazing", "scratches"):
            category["name"] = f"{category['name']}{HOSTILE}"
    for number, image in enumerate(document["images"]):
        renamed = f"images/{number}<img src=x onerror=alert(1)>.jpg"
        shutil.move(root / image["file_name"], root / renamed)
        image["file_name"] = renamed
    (root / "annotations.json").write_text(json.dumps(document))
    return root


@pytest.fixture(scope="module")
def text(hostile, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("page")
    with tempfile.TemporaryDirectory() as unpacked:
        card = unpack(STARTER, Path(unpacked))
        labels = tuple(f"{label}{HOSTILE}" if label == "crazing" else label for label in card.labels)
        replace(card, name=HOSTILE, labels=labels, operating_points={}).write(Path(unpacked))
        model = pack(Path(unpacked), folder / "model.tar.gz")
    arguments = ["--model", str(model), "--dataset", str(hostile), "--split", "all"]
    assert main([*arguments, "--html", str(folder / "page.html")]) == 0
    return (folder / "page.html").read_text()


def test_hostile_names_are_text_and_nothing_else(text):
    elements = Elements(text).elements
    assert {tag for tag, _ in elements}.isdisjoint({"script", "iframe", "object", "link", "img"})
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;img src=x onerror" in text


def test_the_page_names_the_command_that_makes_it_again(text):
    assert re.search(r"<code>loupe evaluate --model \S+ --dataset ", text)


def test_no_control_character_of_a_name_is_in_the_page(text):
    assert not {character for character in text if character in "\x1b\u202e"}


def test_the_page_needs_nothing_from_outside(text):
    for tag, attributes in Elements(text).elements:
        for name in ("href", "src", "xlink:href", "data", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/jpeg;base64,", "#")), (tag, value)
    assert "@import" not in text
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, never fetched
    assert re.findall(r"url\((?!#)", text) == []


def test_the_page_shows_every_part(text):
    for part in ("mAP [.5:.95]", "Operating points", "Confusion matrix", "Size of the defect", "Facts"):
        assert part in text
    assert text.count('class="plot"') >= 6
    assert "does not know" in text


def test_pictures_are_small_jpegs_and_few(text):
    encoded = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text)
    assert 0 < len(encoded) <= page.MAX_PICTURES
    for picture in encoded:
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
        assert image.format == "JPEG"
        assert max(image.size) <= pictures.EDGE


def test_a_large_picture_is_shrunk_with_its_proportions(tmp_path):
    generate(tmp_path, 1, seed=3)
    (image,) = (tmp_path / "images").iterdir()
    Image.new("RGB", (1600, 400), "grey").save(image)
    dataset = open_dataset(tmp_path)
    encoded = pictures.jpeg(dataset, dataset.samples[0]).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (640, 160)


def test_labels_stay_inside_the_picture(tmp_path):
    generate(tmp_path, 1, seed=3)
    sample = replace(
        open_dataset(tmp_path).samples[0],
        objects=(Object("a", (0, 0, 200, 200)), Object("b", (150, 150, 200, 200))),
    )
    for shape in pictures.truth(sample).shapes:
        assert 0 < shape.text_y < sample.height
        assert shape.text_x == (0 if shape.text == "a" else 200)


def test_an_object_that_was_found_is_named_once_and_a_missed_one_in_the_caption(tmp_path):
    generate(tmp_path, 1, seed=3)
    found_box, missed_box = (10.0, 10.0, 60.0, 60.0), (100.0, 100.0, 160.0, 160.0)
    sample = replace(
        open_dataset(tmp_path).samples[0], objects=(Object("a", found_box), Object("b", missed_box))
    )
    detections = ImageDetections(np.array([found_box], np.float32), np.array([0.9]), np.array([0]))
    drawn = pictures.drawing(sample, detections, outcomes(sample, detections, ("a", "b")), ("a", "b"))
    assert [(shape.css, shape.text) for shape in drawn.shapes] == [
        ("truth", ""), ("missed", "b"), ("right", "a 0.90"),
    ]  # fmt: skip
    assert drawn.captions == ["missed: b"]


@pytest.fixture(scope="module")
def alarmist(tmp_path_factory) -> Path:
    """A small model with the same score for its class, everywhere."""
    folder = detector_folder(tmp_path_factory.mktemp("alarmist"), labels=("patches",))
    model = onnx.load(str(folder / "model.onnx"))
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["sure" if name == "scores" else name for name in names]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.6), "loud"))
    model.graph.node.append(helper.make_node("Mul", ["sure", "zero"], ["silent"]))
    model.graph.node.append(helper.make_node("Add", ["silent", "loud"], ["scores"]))
    card = read_card(folder)
    onnx.save(model, str(folder / "model.onnx"))
    replace(card, onnx_sha256=file_sha256(folder / "model.onnx")).write(folder)
    return pack(folder, folder / "model.tar.gz")


def read(html: str) -> str:
    """The words of a page."""
    return " ".join(re.sub(r"<style.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def test_a_model_that_fails_everything_does_not_look_as_if_nothing_escaped(alarmist, tmp_path, capsys):
    generate(tmp_path / "data", 8, seed=79, size=96)
    arguments = ["--model", str(alarmist), "--dataset", str(tmp_path / "data"), "--split", "all"]
    assert main([*arguments, "--html", str(tmp_path / "page.html")]) == 0
    captured = capsys.readouterr()
    for text in (read((tmp_path / "page.html").read_text()), captured.out + captured.err):
        words = " ".join(text.split())
        assert re.search(r"fail nearly every good product \((\d+) of \1\)", words)
        assert re.search(r"[Ee]scape rate [^%]*0.0 % .*[Oo]verkill rate [^%]*100.0 %", words)
        assert re.search(r"fails nearly every good image \((\d+) of \1\)", words)
    assert max(map(len, captured.out.splitlines())) <= 80


def test_without_good_images_overkill_is_not_measurable_in_words(alarmist, tmp_path, capsys):
    generate(tmp_path / "data", 8, seed=79, size=96)
    document = json.loads((tmp_path / "data/annotations.json").read_text())
    defective = {annotation["image_id"] for annotation in document["annotations"]}
    for image in document["images"]:
        if image["id"] not in defective:
            (tmp_path / "data" / image["file_name"]).unlink()
    document["images"] = [image for image in document["images"] if image["id"] in defective]
    (tmp_path / "data/annotations.json").write_text(json.dumps(document))
    arguments = ["--model", str(alarmist), "--dataset", str(tmp_path / "data"), "--split", "all"]
    assert main([*arguments, "--html", str(tmp_path / "page.html")]) == 0
    captured = capsys.readouterr()
    assert "overkill rate (good, but fail) not measurable: no good images" in " ".join(captured.out.split())
    assert "Overkill rate – not measurable: no good images" in read((tmp_path / "page.html").read_text())
    assert re.search(
        r"fail (\d+) of \1 images; a model that fails everything would look as good", captured.err
    )


def test_the_same_curve_gives_the_same_bytes():
    curve = [1 - step / 100 for step in range(101)]
    first = plots.precision_recall(curve, (0.5, 0.5), None)
    assert first == plots.precision_recall(curve, (0.5, 0.5), None)
    assert first.startswith("<svg")
    assert "var(--accent)" in first
    assert "metadata" not in first
