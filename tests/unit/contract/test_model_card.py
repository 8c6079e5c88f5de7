"""Which model.json is refused, and what the version of a model covers."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import model_card
from contract.model_card import CardError
from contract.scores import ANOMALY
from training.model.anomaly_scale import AnomalyScale
from training.model.artefact import ModelCard
from training.model.decoding import Postprocess
from training.model.scale import Scale
from training.model.tiling import Tiles

CARD: dict[str, Any] = {
    "name": "steel",
    "family": "ssdlite",
    "labels": ["dent", "scratch"],
    "input_size": 256,
    "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    "postprocess": {
        "score_threshold": 0.05,
        "nms_iou": 0.55,
        "candidates": 300,
        "detections": 100,
        "voting": 0.025,
    },
    "onnx_sha256": "ab" * 32,
    "metrics": {"validation": {"map": 0.5}},
    "operating_points": {"dent": {"score": 0.4, "f1": 0.9, "precision": 0.9, "recall": 0.9}},
    "dataset": {"snapshot": "0f" * 32},
    "hyperparameters": {"epochs": 20},
    "git_sha": "unknown",
    "created_at": "2026-01-05T09:30:15+00:00",
    "tiles": {"size": 640, "overlap": 0.2, "max_tiles": 256},
    "scale": {"across": [1.0, 2.0], "down": [1.0, 2.0], "aspect": [0.5, 2.0], "outside": "review"},
    "bit_depth": 12,
    "box_offset": [0.5, -0.5],
    "members": [],
    "golden": [{"picture": "/9j/", "labels": ["dent"]}],
    "version": "whatever it says",
}
ANOMALY_CARD: dict[str, Any] = {
    **{name: value for name, value in CARD.items() if name not in ("tiles", "box_offset", "members")},
    "labels": [ANOMALY],
    "operating_points": {ANOMALY: {"score": 0.5}},
    "anomaly": {
        "threshold": 30.5,
        "spread": 2,
        "region_threshold": 28.0,
        "map_range": [10.0, 50.0],
        "foreign_above": {"distance": 90.0, "mean": 40.0, "median": 35.0},
    },
}
ANOMALY_NUMBERS = [
    *[("anomaly", name) for name in ("threshold", "spread", "region_threshold")],
    *[("anomaly", "map_range", index) for index in (0, 1)],
    *[("anomaly", "foreign_above", name) for name in ANOMALY_CARD["anomaly"]["foreign_above"]],
]
NUMBERS = [
    ("input_size",),
    ("bit_depth",),
    ("box_offset", 0),
    ("normalisation", "mean", 1),
    ("normalisation", "std", 1),
    *[("postprocess", name) for name in CARD["postprocess"]],
    *[("tiles", name) for name in CARD["tiles"]],
    *[("operating_points", "dent", name) for name in CARD["operating_points"]["dent"]],
]
# None means something of its own there.
NULLABLE = [("bit_depth",), ("postprocess", "nms_iou"), ("postprocess", "voting")]
MAY_BE_NEGATIVE = [("box_offset", 0), ("normalisation", "mean", 1)]


def poisoned(path: tuple[Any, ...], value: Any, card: dict[str, Any] = CARD) -> str:
    card = copy.deepcopy(card)
    place: Any = card
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(card)


def test_a_card_with_everything_is_valid() -> None:
    assert model_card.parse(json.dumps(CARD)) == CARD


@pytest.mark.promise(30)
@pytest.mark.parametrize("path", NUMBERS, ids=lambda path: ".".join(map(str, path)))
@given(
    value=st.sampled_from([math.nan, math.inf, -math.inf, "0.5", "", True, [], [0.5], {}, "NaN", None])
    | st.floats(max_value=-1e-9)
    | st.text()
)
def test_a_value_that_is_no_sensible_number_is_refused(path: tuple[Any, ...], value: Any) -> None:
    if (value is None and path in NULLABLE) or (
        path in MAY_BE_NEGATIVE and isinstance(value, float) and abs(value) <= 1000
    ):
        return
    with pytest.raises(CardError) as caught:
        model_card.parse(poisoned(path, value))
    assert ".".join(map(str, path)) in str(caught.value)


def test_the_card_of_an_anomaly_model_is_valid() -> None:
    assert model_card.parse(json.dumps(ANOMALY_CARD)) == ANOMALY_CARD
    assert model_card.parse(poisoned(("anomaly", "foreign_above"), None, ANOMALY_CARD))


@pytest.mark.parametrize("path", ANOMALY_NUMBERS, ids=lambda path: ".".join(map(str, path)))
@given(
    value=st.sampled_from([math.nan, math.inf, -math.inf, 1e300, "0.5", True, [], [0.5], {}, None])
    | st.floats(max_value=-1e-9)
    | st.text()
)
def test_a_distance_that_is_no_number_above_0_is_refused(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(CardError) as caught:
        model_card.parse(poisoned(path, value, ANOMALY_CARD))
    assert ".".join(map(str, path)) in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("anomaly", "threshold"), 0, "threshold must be a number above 0"),
        (("anomaly", "spread"), 0, "spread must be a number above 0"),
        (("anomaly", "treshold"), 1, "treshold is not a known name"),
        (("anomaly", "map_range"), [50, 10], "map_range must rise"),
        (("anomaly", "map_range"), [10, 10], "map_range must rise"),
        (("anomaly", "map_range"), [10], "map_range must be a list of 2 to 2 numbers"),
        (("anomaly", "foreign_above"), {}, "foreign_above must name one of distance, mean, median"),
        (("anomaly", "foreign_above"), {"share": 0.5}, "share is not a known name"),
        (("anomaly",), [], "anomaly must be an object"),
        (("anomaly",), {"threshold": 1}, "anomaly.spread is missing"),
        (("labels",), ["dent"], "labels must be"),
        (("labels",), [ANOMALY, "dent"], "labels must be"),
        (("tiles",), {"size": 640}, "tiles is for detectors"),
        (("box_offset",), [0, 1], "box_offset is for detectors"),
        (("anomaly_model",), {"name": "a", "version": "b"}, "anomaly_model is for detectors"),
    ],
)
def test_a_wrong_value_of_an_anomaly_model_is_refused(
    path: tuple[Any, ...], value: Any, message: str
) -> None:
    card = ANOMALY_CARD | {"operating_points": {}}
    with pytest.raises(CardError, match=message):
        model_card.parse(poisoned(path, value, card))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "anomaly_model must be an object"),
        ({"name": "grey"}, "anomaly_model.version is missing"),
        ({"name": "", "version": "1"}, "anomaly_model.name"),
        ({"name": "grey", "version": 1}, "anomaly_model.version must be a text"),
        ({"name": "grey", "version": "1", "sha": "2"}, "sha is not a known name"),
    ],
)
def test_a_wrong_name_of_the_model_beside_a_detector_is_refused(value: Any, message: str) -> None:
    with pytest.raises(CardError, match=message):
        model_card.parse(poisoned(("anomaly_model",), value))


def test_the_labels_of_an_answer_are_those_of_both_models() -> None:
    beside = {"anomaly_model": {"name": "grey", "version": "1"}}
    assert model_card.answered_labels(CARD) == ("dent", "scratch")
    assert model_card.answered_labels(CARD | beside) == ("dent", "scratch", ANOMALY)
    assert model_card.answered_labels(CARD | beside | {"labels": [ANOMALY]}) == (ANOMALY,)
    assert model_card.answered_labels(ANOMALY_CARD) == (ANOMALY,)
    points = {"operating_points": {ANOMALY: {"score": 0.5}}}
    model_card.check(CARD | beside | points)
    with pytest.raises(CardError, match="'anomaly' is not one of the labels"):
        model_card.check(CARD | points)


@pytest.mark.parametrize("text", ["1e400", "-1e400", "NaN", "Infinity"])
def test_no_infinite_number_is_accepted_anywhere(text: str) -> None:
    valid = json.dumps(CARD)
    for old in ('"map": 0.5', '"epochs": 20', '"score_threshold": 0.05'):
        broken = valid.replace(old, f"{old.split(':')[0]}: {text}")
        assert broken != valid
        with pytest.raises(CardError):
            model_card.parse(broken)


@pytest.mark.parametrize(
    "name", ["name", "family", "labels", "input_size", "normalisation", "postprocess", "onnx_sha256"]
)
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(CardError, match=f"^{name} is missing"):
        model_card.check({field: value for field, value in CARD.items() if field != name})


@pytest.mark.promise(30)
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("threshold",), 0.5, "threshold is not a known name"),
        (("postprocess", "score_treshold"), 0.5, "score_treshold is not a known name"),
        (("postprocess", "score_threshold"), 1, "score_threshold must be a number"),
        (("labels",), [], "labels"),
        (("labels",), "dent", "labels"),
        (("labels",), ["dent", "dent"], "twice"),
        (("labels",), ["dent", 3], "labels.1"),
        (("labels",), ["dent", " "], "labels.1"),
        (("labels",), ["scratch"], "'dent' is not one of the labels"),
        (("onnx_sha256",), "AB" * 32, "SHA-256"),
        (("tiles",), [], "tiles must be an object"),
        (("scale",), 3, "scale must be an object"),
        (("golden",), [{"picture": 1, "labels": ["dent"]}], "picture must be a text"),
        (("members",), {}, "members must be a list"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(CardError, match=message):
        model_card.parse(poisoned(path, value))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 100_000, '{"name": "a", "name": "b"}', b"\xff"]
)
def test_what_is_no_card_at_all_is_refused(text: str | bytes) -> None:
    with pytest.raises(CardError):
        model_card.parse(text)


CHANGES = {
    "labels": ["scratch", "dent"],
    "input_size": 320,
    "normalisation": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.6]},
    "postprocess": CARD["postprocess"] | {"score_threshold": 0.06},
    "onnx_sha256": "cd" * 32,
    "tiles": None,
    "scale": None,
    "bit_depth": 10,
    "box_offset": [0.0, 0.0],
    "anomaly_model": {"name": "grey", "version": "1"},
    "operating_points": {label: {"score": 0.123} for label in CARD["labels"]},
}
# What is in an answer or beside it, and what is kept for people. No program that judges reads these.
WITHOUT_EFFECT = (
    "name",
    "family",
    "metrics",
    "dataset",
    "hyperparameters",
    "git_sha",
    "created_at",
    "members",
)
WITHOUT_EFFECT += ("golden", "version")


@pytest.mark.promise(30)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_changes_answers_gives_another_version(name: str) -> None:
    assert model_card.version(CARD | {name: CHANGES[name]}) != model_card.version(CARD)


@pytest.mark.promise(30)
@pytest.mark.parametrize("name", ANOMALY_CARD["anomaly"])
def test_every_setting_of_an_anomaly_model_is_part_of_its_version(name: str) -> None:
    value = ANOMALY_CARD["anomaly"][name]
    changed = (
        {"distance": 91.0} if name == "foreign_above" else [9.0, 50.0] if name == "map_range" else value + 1
    )
    other = ANOMALY_CARD | {"anomaly": ANOMALY_CARD["anomaly"] | {name: changed}}
    assert model_card.version(other) != model_card.version(ANOMALY_CARD)


@pytest.mark.promise(30)
def test_every_field_of_a_card_changes_the_version_or_is_known_to_change_no_answer() -> None:
    assert {field.name for field in fields(ModelCard)} | {"version"} == {
        *CHANGES,
        *WITHOUT_EFFECT,
        "anomaly",
    }


@pytest.mark.promise(30)
@given(
    st.lists(st.sampled_from(sorted(CHANGES)), unique=True),
    st.lists(st.sampled_from(sorted(CHANGES)), unique=True),
)
def test_two_cards_have_one_version_only_if_they_answer_alike(one: list[str], other: list[str]) -> None:
    versions = [model_card.version(CARD | {name: CHANGES[name] for name in names}) for names in (one, other)]
    assert (versions[0] == versions[1]) == (set(one) == set(other))


@pytest.mark.parametrize("name", [name for name in WITHOUT_EFFECT if name in CARD])
def test_a_change_that_changes_no_answer_leaves_the_version(name: str) -> None:
    assert model_card.version(
        CARD | {name: CARD[name] * 2 if isinstance(CARD[name], str | list) else {}}
    ) == model_card.version(CARD)


def test_a_setting_that_is_written_out_has_the_version_of_its_default() -> None:
    bare = {name: CARD[name] for name in ("name", "labels", "input_size", "normalisation", "onnx_sha256")}
    assert model_card.version(bare | {"postprocess": {}, "tiles": {"size": 640}}) == model_card.version(
        bare
        | {
            "postprocess": model_card.DEFAULTS["postprocess"],
            "tiles": {"size": 640.0, "overlap": 0.2, "max_tiles": 256},
            "scale": None,
            "box_offset": (0, 0.0),
        }
    )


def test_the_defaults_are_those_of_the_program_that_serves() -> None:
    for name, kind in (
        ("postprocess", Postprocess),
        ("tiles", Tiles),
        ("scale", Scale),
        ("anomaly", AnomalyScale),
    ):
        defaults = {field.name: field.default for field in fields(kind)}
        assert {**model_card.DEFAULTS[name]}.items() <= defaults.items()
    assert model_card.DEFAULTS["postprocess"].keys() == {field.name for field in fields(Postprocess)}
