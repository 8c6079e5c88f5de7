"""The figures are pycocotools', also where they are computed faster: with resampling, and for one class."""

from __future__ import annotations

import contextlib
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.datasets import Object, Sample, open_dataset
from training.datasets.generated.synthetic import generate
from training.evaluation.bootstrap import average_precision, interval, mean_over_classes, rate, resample
from training.evaluation.metrics import best_point, map_to_dataset, score, score_in_detail
from training.model.decoding import Detections

SIDE = 200
LABELS = ("crack", "dent", "stain")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A data set to put samples into; nothing here reads its files."""
    folder = tmp_path_factory.mktemp("data")
    generate(folder, 1, seed=1)
    return replace(open_dataset(folder), labels=LABELS, samples=())


def sample(*objects: tuple[str, tuple[float, float, float, float]]) -> Sample:
    return Sample("a.jpg", "0" * 64, SIDE, SIDE, tuple(Object(label, box) for label, box in objects))


def detections(*rows: tuple[int, tuple[float, float, float, float], float]) -> Detections:
    best_first = sorted(rows, key=lambda row: -row[2])
    return Detections(
        np.array([box for _, box, _ in best_first], np.float32).reshape(-1, 4) / SIDE,
        np.array([score for *_, score in best_first], np.float32),
        np.array([label for label, *_ in best_first], np.int64),
    )


# Each strategy is made once: hypothesis takes longer to make one than to draw from it.
FAR, EDGE, SHIFT = st.integers(0, 150), st.integers(2, SIDE), st.one_of(st.none(), st.integers(0, 6))
BOXES = st.tuples(FAR, FAR, EDGE, EDGE).map(
    lambda box: (
        *(float(box[0]), float(box[1])),
        *(float(min(box[0] + box[2], SIDE)), float(min(box[1] + box[3], SIDE))),
    )
)
# How far a detection is from each object; None: it is not found.
OBJECTS = st.lists(st.tuples(st.sampled_from(LABELS), BOXES, SHIFT), max_size=4)
OTHERS = st.lists(st.tuples(st.integers(0, 2), BOXES), max_size=3)
IMAGES = st.lists(st.tuples(OBJECTS, OTHERS), min_size=1, max_size=6)
ORDERS = st.randoms(use_true_random=False)


@st.composite
def scenes(draw):
    """Images with objects, and detections that are near some of them and anywhere else."""
    images = []
    for objects, others in draw(IMAGES):
        rows = [
            (LABELS.index(label), tuple(min(value + shift, SIDE) for value in box))
            for label, box, shift in objects
            if shift is not None
        ]
        images.append((sample(*((label, box) for label, box, _ in objects)), rows + others))
    count = sum(len(rows) for _, rows in images)
    # Different scores: among equal ones pycocotools goes by the order of the images, which resampling changes.
    scores = [round((i + 1) / (count + 1), 3) for i in range(count)]
    draw(ORDERS).shuffle(scores)
    rest = iter(scores)
    return [(image, detections(*((c, box, next(rest)) for c, box in rows))) for image, rows in images]


SCENES = scenes()


def reference(dataset, results) -> COCOeval:
    """pycocotools as its own demo uses it: from COCO JSON, over loadRes and summarize."""
    document = {"info": {}, "images": [], "annotations": [], "categories": []}
    document["categories"] = [{"id": i, "name": label} for i, label in enumerate(dataset.labels, 1)]
    rows = []
    for image, (image_sample, detections) in enumerate(zip(dataset.samples, results, strict=True), 1):
        document["images"].append({"id": image, "width": SIDE, "height": SIDE})
        for labelled in image_sample.objects:
            x1, y1, x2, y2 = labelled.box
            document["annotations"].append(
                {"id": len(document["annotations"]) + 1, "image_id": image, "iscrowd": 0}
                | {"category_id": dataset.labels.index(labelled.label) + 1}
                | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            )
        scaled = (detections.boxes * np.float32(SIDE)).tolist()
        for (x1, y1, x2, y2), value, label in zip(scaled, detections.scores, detections.classes, strict=True):
            rows.append(
                {"image_id": image, "category_id": int(label) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
                | {"score": float(value)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = document
        coco.createIndex()
        coco_eval = COCOeval(coco, coco.loadRes(rows), "bbox")
        coco_eval.evaluate()
        coco_eval.accumulate()
        coco_eval.summarize()
    return coco_eval


def same(ours: float | None, theirs: float) -> bool:
    return (ours or 0.0) == pytest.approx(max(theirs, 0.0), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(SCENES)
def test_every_figure_equals_pycocotools_summary(empty, scene):
    dataset = replace(empty, samples=tuple(image for image, _ in scene))
    results = [result for _, result in scene]
    if not any(len(result.scores) for result in results):
        return  # loadRes itself cannot read an empty list
    stats = reference(dataset, results).stats
    ours = score(dataset, results, LABELS)
    sizes = ours.per_size
    assert same(ours.map, stats[0])
    assert same(ours.map50, stats[1])
    assert same(ours.map75, stats[2])
    for size, ap, ar in (("small", 3, 9), ("medium", 4, 10), ("large", 5, 11)):
        assert same(sizes[size]["map"], stats[ap])
        assert same(sizes[size]["recall"], stats[ar])
    assert [same(ours.recall[name], stats[i]) for name, i in (("ar1", 6), ("ar10", 7), ("ar100", 8))] == [
        True
    ] * 3


@settings(max_examples=60, deadline=None)
@given(SCENES, st.randoms(use_true_random=False))
def test_a_resample_scores_as_pycocotools_on_the_repeated_images(empty, scene, random):
    dataset = replace(empty, samples=tuple(image for image, _ in scene))
    results = [result for _, result in scene]
    drawn = random.choices(range(len(scene)), k=len(scene))
    weights = np.bincount(drawn, minlength=len(scene))[None]
    details = score_in_detail(dataset, map_to_dataset(dataset, results, LABELS))

    once = average_precision(details.matches, np.ones((1, len(scene)), np.int64))
    again = average_precision(details.matches, weights)

    repeated = replace(dataset, samples=tuple(dataset.samples[i] for i in sorted(drawn)))
    on_repeated = score(repeated, [results[i] for i in sorted(drawn)], LABELS)
    for result, expected in ((once, details.scores), (again, on_repeated)):
        mean = mean_over_classes(result)[0]
        assert (0.0 if math.isnan(mean) else mean) == pytest.approx(expected.map, abs=1e-9)
        for column, label in enumerate(LABELS):
            value = mean_over_classes(result[:, column])[0]
            assert (None if math.isnan(value) else value) == pytest.approx(
                expected.per_class[label], abs=1e-9
            )


@settings(max_examples=60, deadline=None)
@given(SCENES)
def test_the_best_point_is_the_best_of_all_thresholds_and_reaches_its_f1(empty, scene):
    dataset = replace(empty, samples=tuple(image for image, _ in scene))
    matches = score_in_detail(
        dataset, map_to_dataset(dataset, [result for _, result in scene], LABELS)
    ).matches
    for match in matches:
        objects = match.objects.sum()

        def f1(threshold, match=match, objects=objects):
            kept = match.scores >= threshold
            return 2 * match.hits[0][kept].sum() / (kept.sum() + objects)

        point = best_point(match)
        if not match.hits[0].any():
            assert point is None
            continue
        assert point["f1"] == pytest.approx(max(f1(s) for s in match.scores), abs=1e-4)
        assert f1(point["score"]) == pytest.approx(point["f1"], abs=1e-4)


def test_the_truth_itself_scores_one_with_an_interval_of_one(empty):
    dataset = replace(empty, samples=tuple(sample(("dent", (i, 10, i + 50, 90))) for i in range(8)))
    results = [detections((1, (i, 10, i + 50, 90), 0.9)) for i in range(8)]
    details = score_in_detail(dataset, map_to_dataset(dataset, results, LABELS))
    assert (details.scores.map, details.scores.map50, details.scores.map75) == (1, 1, 1)
    samples = mean_over_classes(average_precision(details.matches, resample(8)))
    assert interval(details.scores.map, samples) == (1, 1)


def test_a_class_absent_from_the_images_is_none_and_no_figure_is_nan_in_json(empty):
    dataset = replace(empty, samples=(sample(("dent", (10, 10, 90, 90))), sample()))
    scores = score(dataset, [detections((0, (0, 0, 50, 50), 0.5)), detections()], LABELS)
    assert scores.per_class == {"crack": None, "dent": 0, "stain": None}
    assert scores.per_class50["crack"] is None
    assert scores.per_size["small"] == {"map": None, "recall": None, "objects": 0}
    assert scores.operating_points == {}
    json.dumps(scores.summary(), allow_nan=False)


def test_one_class_alone_is_scored(empty):
    dataset = replace(empty, labels=("dent",), samples=(sample(("dent", (10, 10, 90, 90))),))
    scores = score(dataset, [detections((0, (10, 10, 90, 90), 0.5))], ("dent",))
    assert scores.per_class == {"dent": pytest.approx(1)}


@settings(max_examples=50, deadline=None)
@given(SCENES)
def test_the_interval_contains_the_point(empty, scene):
    dataset = replace(empty, samples=tuple(image for image, _ in scene))
    details = score_in_detail(dataset, map_to_dataset(dataset, [result for _, result in scene], LABELS))
    samples = mean_over_classes(average_precision(details.matches, resample(len(scene), 100)))
    low, high = interval(details.scores.map, samples)
    assert 0 <= low <= details.scores.map <= high <= 1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_a_rates_interval_contains_it_and_is_never_a_single_point(pairs):
    flags, among = (np.array(column) for column in zip(*pairs, strict=True))
    share = rate(flags, among, resample(len(pairs), 200))
    if not among.any():
        assert share is None
        return
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1
    if share.count in (0, share.of):
        assert high - low == pytest.approx(1 - 0.025 ** (1 / share.of))


def test_resamples_are_the_same_every_time_and_as_large_as_the_images():
    assert (resample(20, 50) == resample(20, 50)).all()
    assert (resample(20, 50).sum(axis=1) == 20).all()
    assert (resample(20, 50, seed=1) != resample(20, 50)).any()
