"""An artefact contains a model and its checksum; it cannot run code or write elsewhere."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from contract import model_card
from contract.scores import ANOMALY
from tests.unit.training.conftest import STARTER
from tests.unit.training.model.anomaly_models import anomaly_folder, both_folder, detector_folder
from training.model.anomaly import AnomalyModel
from training.model.artefact import (
    ANOMALY_CARD,
    ANOMALY_MODEL,
    CARD,
    MODEL,
    ArtefactError,
    ModelCard,
    file_sha256,
    pack,
    read_card,
    unpack,
)
from training.model.decoding import Postprocess, detections
from training.model.graph import Graph
from training.model.models import load
from training.model.onnx_model import AnswerError, OnnxModel


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / MODEL).write_bytes(b"pretend this is ONNX")
    ModelCard(
        name="m",
        family="ssdlite",
        labels=("dent",),
        input_size=128,
        normalisation={"mean": [0.5], "std": [0.5]},
        postprocess=Postprocess(),
        onnx_sha256=file_sha256(source / MODEL),
        operating_points={"dent": {"score": 0.4}},
    ).write(source)
    return source


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def link(kind, target):
    member = tarfile.TarInfo(MODEL)
    member.type, member.linkname = kind, target
    return member


def test_what_is_packed_is_what_is_unpacked(folder, tmp_path):
    card = unpack(pack(folder, tmp_path / "model.tar.gz"), tmp_path / "target")

    assert card == read_card(folder)
    assert card.version.startswith(f"{card.onnx_sha256[:12]}-")
    assert (tmp_path / "target" / MODEL).read_bytes() == b"pretend this is ONNX"


def test_packing_twice_gives_the_same_bytes(folder, tmp_path):
    first, second = pack(folder, tmp_path / "a.tar.gz"), pack(folder, tmp_path / "b.tar.gz")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.promise(23)
@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/model.onnx", "sub/model.onnx", "weights.pkl", "./../x"]
)
def test_any_other_name_is_refused_and_nothing_is_written(tmp_path, name):
    path = archive(tmp_path / "bad.tar.gz", [(tarfile.TarInfo(name), b"x")])
    with pytest.raises(ArtefactError, match="not part of a model artefact"):
        unpack(path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.promise(23)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_special_files_are_refused(tmp_path, kind):
    path = archive(tmp_path / "bad.tar.gz", [(link(kind, "/etc/passwd"), b"")])
    with pytest.raises(ArtefactError, match="not part of a model artefact"):
        unpack(path, tmp_path / "target")


@pytest.mark.promise(23)
def test_an_altered_model_is_refused(folder, tmp_path):
    (folder / MODEL).write_bytes(b"something else")
    with pytest.raises(ArtefactError, match="was altered"):
        unpack(pack(folder, tmp_path / "model.tar.gz"), tmp_path / "target")


@pytest.mark.promise(23)
def test_a_pickle_in_the_place_of_the_model_is_never_loaded(folder, tmp_path):
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self):
            return marker.write_text, ("executed",)

    (folder / MODEL).write_bytes(pickle.dumps(Evil()))
    document = json.loads((folder / CARD).read_text())
    document["onnx_sha256"] = file_sha256(folder / MODEL)
    (folder / CARD).write_text(json.dumps(document))
    target = tmp_path / "target"
    unpack(pack(folder, tmp_path / "model.tar.gz"), target)
    with pytest.raises(ArtefactError, match="cannot load"):
        OnnxModel(target)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"labels": 3}', '{"labels": ["a"], "postprocess": {"x": 1}}']
)
def test_an_invalid_card_is_refused(folder, content):
    (folder / CARD).write_text(content)
    with pytest.raises(ArtefactError):
        read_card(folder)


def test_a_card_from_before_tiles_box_offset_and_members_is_read_with_their_defaults(folder):
    document = json.loads((folder / CARD).read_text())
    for name in ("tiles", "box_offset", "members"):
        del document[name]
    (folder / CARD).write_text(json.dumps(document))

    card = read_card(folder)

    assert (card.tiles, card.box_offset, card.members) == (None, (0.0, 0.0), [])
    assert card.version.startswith(f"{card.onnx_sha256[:12]}-")


def test_the_starter_model_of_an_earlier_version_is_read(tmp_path):
    card = unpack(STARTER, tmp_path)
    assert len(card.labels) == 6
    assert OnnxModel(tmp_path).card.version == card.version


def poisoned_starter(starter_folder, folder, **changes):
    (folder / MODEL).symlink_to(starter_folder / MODEL)
    document = json.loads((starter_folder / CARD).read_text())
    document |= changes
    (folder / CARD).write_text(json.dumps(document))
    return folder


@pytest.mark.promise(30)
@pytest.mark.parametrize(
    "changes",
    [
        {"postprocess": {"score_threshold": float("nan")}},
        {"postprocess": {"score_threshold": float("inf")}},
        {"postprocess": {"nms_iou": -0.1}},
        {"labels": ["one", "two"]},
        {"labels": [f"class {number}" for number in range(7)]},
        {"input_size": 320},
        {"input_size": 256.0},
        {"normalisation": {"mean": [0.5] * 3, "std": [0.0] * 3}},
        {"tiles": {"size": 640, "overlap": float("nan")}},
        {"box_offset": [0, float("nan")]},
        {"operating_points": {"crazing": {"score": float("nan")}}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_model_with_a_poisoned_card_is_not_loaded(starter_folder, tmp_path, changes):
    with pytest.raises(ArtefactError):
        OnnxModel(poisoned_starter(starter_folder, tmp_path, **({"operating_points": {}} | changes)))


@pytest.mark.promise(30)
@pytest.mark.parametrize("scores", [[[0.2, float("nan")]], [[1.5, 0.2]], [[-0.5, 0.2]], [[0.2, 0.2, 0.2]]])
def test_scores_that_judge_nothing_are_an_error_and_not_an_empty_answer(starter, monkeypatch, scores):
    class Session:
        def run(self, *_):
            wide = np.zeros((1, 1, 6), np.float32)
            wide[0, 0, :2] = scores[0][:2]
            given = np.array([scores], np.float32) if len(scores[0]) == 3 else wide
            return np.array([[[0, 0, 1, 1]]], np.float32), given

    monkeypatch.setattr(starter, "_session", Session())
    with pytest.raises(AnswerError):
        starter.detect([np.zeros((256, 256, 3), np.uint8)])


def test_a_box_without_a_place_is_an_error_of_the_model(starter, monkeypatch):
    class Session:
        def run(self, *_):
            return np.full((1, 1, 4), np.nan, np.float32), np.full((1, 1, 6), 0.9, np.float32)

    monkeypatch.setattr(starter, "_session", Session())
    with pytest.raises(AnswerError, match="a box has no place"):
        starter.detect([np.zeros((256, 256, 3), np.uint8)])


def test_a_graph_with_a_name_that_is_no_text_is_refused(starter_folder, monkeypatch):
    class Node:
        @property
        def shape(self):
            return b"\xce".decode()

    monkeypatch.setattr(Graph, "_check_names", lambda self, _: Node().shape)
    with pytest.raises(ArtefactError, match="a name that is no text"):
        OnnxModel(starter_folder)


def test_a_box_without_a_place_is_an_error():
    boxes = np.array([[0, 0, 1, float("nan")]], np.float32)
    with pytest.raises(ValueError, match="no place"):
        detections(boxes, np.array([[0.9]], np.float32), Postprocess())
    assert len(detections(boxes, np.array([[0.01]], np.float32), Postprocess()).scores) == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_archive_is_refused(folder, tmp_path, share):
    path = pack(folder, tmp_path / "model.tar.gz")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ArtefactError):
        unpack(path, tmp_path / "target")


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(ArtefactError, match=r"nowhere\.tar\.gz"):
        unpack(tmp_path / "nowhere.tar.gz", tmp_path / "target")


@pytest.mark.parametrize("damage", ["altered", "no card", "no model"])
def test_an_error_names_the_archive_and_no_temporary_folder(damage, folder, tmp_path):
    model = tmp_path / "model.tar.gz"
    if damage == "altered":
        with (folder / MODEL).open("ab") as file:
            file.write(b"x")
    left = {"altered": (CARD, MODEL), "no card": (MODEL,), "no model": (CARD,)}[damage]
    with tarfile.open(model, "w:gz") as archive:
        for name in left:
            archive.add(folder / name, name)
    with pytest.raises(ArtefactError, match=f"^{model}: ") as caught:
        unpack(model, tmp_path / "temporary")
    assert "temporary" not in str(caught.value)


@pytest.fixture
def detector(tmp_path):
    return detector_folder(tmp_path / "detector")


@pytest.fixture
def both(tmp_path, detector):
    return both_folder(tmp_path / "both", detector, anomaly_folder(tmp_path / "grey"))


def test_an_anomaly_model_is_packed_and_read_like_a_detector(tmp_path):
    folder = anomaly_folder(tmp_path / "grey")
    target = tmp_path / "target"
    card = unpack(pack(folder, tmp_path / "model.tar.gz"), target)
    assert card == read_card(folder)
    assert card.judges_anomalies
    models = load(target, threads=1)
    assert models.detector is None
    assert models.anomaly.card == models.card == card


def test_a_detector_and_the_anomaly_model_beside_it_are_one_artefact(both, tmp_path, detector):
    target = tmp_path / "target"
    card = unpack(pack(both, tmp_path / "model.tar.gz"), target)
    assert {file.name for file in target.iterdir()} == {CARD, MODEL, ANOMALY_CARD, ANOMALY_MODEL}
    models = load(target, threads=1)
    assert models.card == models.detector.card == card
    assert models.anomaly.card == AnomalyModel(tmp_path / "grey").card
    alone = read_card(detector)
    assert card.version != alone.version
    assert card.version[:12] == alone.version[:12]
    assert card.answered_labels == (*alone.labels, "anomaly")


def test_packing_an_anomaly_model_beside_a_detector_twice_gives_the_same_bytes(both, tmp_path):
    first, second = pack(both, tmp_path / "a.tar.gz"), pack(both, tmp_path / "b.tar.gz")
    assert first.read_bytes() == second.read_bytes()


def test_another_anomaly_model_than_the_card_names_is_refused(both, tmp_path):
    other = anomaly_folder(tmp_path / "other", input_size=128)
    for source, target in ((MODEL, ANOMALY_MODEL), (CARD, ANOMALY_CARD)):
        (both / target).write_bytes((other / source).read_bytes())
    with pytest.raises(
        ArtefactError, match=r"model\.json names the anomaly model grey .*, and anomaly\.json is"
    ):
        unpack(pack(both, tmp_path / "model.tar.gz"), tmp_path / "target")


@pytest.mark.promise(30)
def test_an_artefact_that_names_its_anomaly_model_by_an_earlier_version_is_read(both):
    beside = json.loads((both / ANOMALY_CARD).read_text()) | {"operating_points": {ANOMALY: {"score": 0.4}}}
    (both / ANOMALY_CARD).write_text(json.dumps(beside))
    document = json.loads((both / CARD).read_text())
    earlier = {"name": beside["name"], "version": model_card.earlier_version(beside)}
    (both / CARD).write_text(json.dumps(document | {"anomaly_model": earlier}))
    assert read_card(both).version
    (both / CARD).write_text(json.dumps(document | {"anomaly_model": earlier | {"version": "another"}}))
    with pytest.raises(ArtefactError, match="names the anomaly model"):
        read_card(both)


def test_a_card_beside_the_detector_that_is_a_detectors_is_refused(both, detector):
    for source, target in ((MODEL, ANOMALY_MODEL), (CARD, ANOMALY_CARD)):
        (both / target).write_bytes((detector / source).read_bytes())
    with pytest.raises(ArtefactError, match="card of a detector, not of an anomaly model"):
        read_card(both)


@pytest.mark.parametrize("name", [ANOMALY_CARD, ANOMALY_MODEL])
def test_a_missing_half_of_the_anomaly_model_is_named(both, name):
    (both / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        read_card(both)


def test_an_altered_anomaly_model_is_refused(both):
    with (both / ANOMALY_MODEL).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtefactError, match=r"anomaly\.onnx has SHA-256 .* the artefact was altered"):
        read_card(both)


def test_an_anomaly_model_that_no_card_names_is_refused(both, detector):
    (both / CARD).write_bytes((detector / CARD).read_bytes())
    with pytest.raises(ArtefactError, match="belongs to no model"):
        read_card(both)


@pytest.mark.promise(23, 30)
@pytest.mark.parametrize("place", ["graph", "branch", "constant"])
def test_a_model_with_weights_in_another_file_is_refused_since_no_checksum_and_no_version_covers_them(
    tmp_path, place
):
    folder = detector_folder(tmp_path / "model")
    model = onnx.load(str(folder / MODEL))
    outside = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    set_external_data(outside, location="model.json")
    outside.ClearField("raw_data")
    if place == "graph":
        model.graph.initializer.append(outside)
    elif place == "constant":
        model.graph.node.append(helper.make_node("Constant", [], ["w"], value=outside))
    else:
        branch = helper.make_graph([], "branch", [], [], [outside])
        model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch))
    (folder / MODEL).write_bytes(model.SerializeToString())
    replace(read_card_of(folder), onnx_sha256=file_sha256(folder / MODEL)).write(folder)
    with pytest.raises(ArtefactError, match="keeps weights in other files") as caught:
        OnnxModel(folder)
    assert "one file" in caught.value.hint


@pytest.mark.promise(23)
def test_a_model_that_answers_texts_is_refused(tmp_path):
    folder = detector_folder(tmp_path / "model")
    model = onnx.load(str(folder / MODEL))
    texts = helper.make_tensor("texts", TensorProto.STRING, [1, 1, 1], [b"dent"])
    model.graph.initializer.append(texts)
    model.graph.node.append(helper.make_node("Identity", ["texts"], ["words"]))
    del model.graph.output[1]
    model.graph.output.append(helper.make_tensor_value_info("words", TensorProto.STRING, [1, 1, 1]))
    for node in model.graph.node:
        node.output[:] = ["old" if name == "scores" else name for name in node.output]
        node.output[:] = ["scores" if name == "words" else name for name in node.output]
        node.input[:] = ["old" if name == "scores" else name for name in node.input]
    model.graph.output[1].name = "scores"
    (folder / MODEL).write_bytes(model.SerializeToString())
    replace(read_card_of(folder), onnx_sha256=file_sha256(folder / MODEL)).write(folder)
    with pytest.raises(ArtefactError, match=r"answers scores as tensor\(string\)"):
        OnnxModel(folder)


def read_card_of(folder):
    """Return the card of a folder whose model was replaced."""
    document = json.loads((folder / CARD).read_text())
    document["onnx_sha256"] = file_sha256(folder / MODEL)
    (folder / CARD).write_text(json.dumps(document))
    return read_card(folder)
