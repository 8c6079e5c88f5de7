"""`loupe review` against the real API on moto: the list, decisions, rates and the export."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from contract.inspections import Verdict
from handlers import api
from inspection.records import Record
from inspection.rules import Reason
from loupe import cli
from loupe.commands import review as review_command
from loupe.errors import LoupeError
from loupe.stack import api as stack_api
from loupe.stack.target import Target
from tests.api_support import call
from tests.inspection_support import Context, detection, jpeg
from tests.integration.api_cloud import ApiCloud, start

DOUBT = Reason("doubtful", "possible defect: scratch 0.41", "scratch", 0.41, 0.5, "major", 0)
ARN = "arn:aws:sts::123456789012:assumed-role/Engineer/maria"


class Functions:
    """Lambda's client: it runs the API's function here."""

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        assert FunctionName == "press-api"
        reply = api.handler(json.loads(Payload), Context())  # type: ignore[arg-type]
        return {"Payload": io.BytesIO(json.dumps(reply).encode())}


@pytest.fixture(scope="module")
def _cloud() -> Iterator[ApiCloud]:
    with pytest.MonkeyPatch.context() as patch:
        yield from start(patch)


@pytest.fixture
def cloud(_cloud: ApiCloud) -> ApiCloud:
    _cloud.empty()
    return _cloud


@pytest.fixture
def target(cloud: ApiCloud) -> Target:
    session = boto3.Session("testing", "testing", region_name="eu-central-1")
    target = Target(session, None, {"ApiFunctionName": "press-api"})
    target.__dict__.update(functions=Functions(), identity=ARN)
    return target


@pytest.fixture
def run(target: Target, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(review_command, "open_target", lambda stack, home: target)

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli.app, ["review", *words])

    return run


def doubtful(cloud: ApiCloud, serial: str = "SN1", shade: int = 128) -> Record:
    key = f"incoming/line-1/top/{serial}.jpg"
    found = detection("scratch", 0.41, (10, 20, 60, 80))
    return cloud.add(key, Verdict.REVIEW, DOUBT, data=jpeg(shade=shade), detections=(found,))


def test_the_list_says_what_waits_why_and_what_to_do(cloud: ApiCloud, run: Any) -> None:
    assert "Nothing waits" in run().stdout
    record = doubtful(cloud)

    shown = run()

    assert shown.exit_code == 0
    assert record["id"] in shown.stdout
    assert "0.41" in shown.stdout
    assert "1 image waiting." in shown.stdout
    assert "loupe review decide ID" in shown.stdout
    document = json.loads(run("--json").stdout)
    assert (document["waiting"], document["reviews"][0]["serial"]) == (1, "SN1")


def test_a_decision_with_a_box_is_written_under_the_name_of_the_aws_identity(
    cloud: ApiCloud, run: Any
) -> None:
    record = doubtful(cloud)

    done = run("decide", record["id"], "fail", "--label", "dent", "--box", "1,2,30,40", "-m", "deep")

    assert done.exit_code == 0, done.output
    assert "SN1 of line-1: fail with 1 defect." in done.stdout
    assert "The next training learns from it." in done.stdout
    shown = call("GET", f"/inspections/{record['id']}", "viewer").body
    assert shown["review"]["by"] == "maria"
    assert shown["queue"]["decisions"][0]["objects"] == [{"label": "dent", "box": [1, 2, 30, 40]}]
    assert "fail by maria" in run("--state", "decided").stdout


def test_the_frames_of_the_model_can_be_confirmed(cloud: ApiCloud, run: Any) -> None:
    record = doubtful(cloud)

    document = json.loads(run("decide", record["id"], "fail", "--found", "--json").stdout)

    assert document["decisions"][0]["objects"] == [{"label": "scratch", "box": [10, 20, 60, 80]}]
    assert document["label"]


def test_an_unmarked_bad_part_says_which_models_learn_from_it(cloud: ApiCloud, run: Any) -> None:
    record = doubtful(cloud)

    done = run("decide", record["id"], "fail")

    assert "training of an anomaly model learns from it; a detector needs a box." in done.stdout


def test_an_unusable_picture_says_that_nothing_is_learned_from_it(cloud: ApiCloud, run: Any) -> None:
    record = doubtful(cloud)

    assert "so nothing is learned from it." in run("decide", record["id"], "unusable").stdout


def test_a_bad_part_without_a_box_is_left_out_of_the_export_and_told(
    cloud: ApiCloud, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, verdict in enumerate(("fail", "pass", "fail")):
        run("decide", doubtful(cloud, f"SN{number}", shade=100 + number)["id"], verdict)
    asked = stack_api.page
    monkeypatch.setattr(
        stack_api, "page", lambda target, path, query: asked(target, path, {**query, "limit": 1})
    )

    done = run("export", str(tmp_path / "labels.json"))

    assert "1 image, 0 objects." in done.stdout.replace("\n", "")
    assert "Left out: 2 images that show a defect without a box." in done.stdout
    document = json.loads((tmp_path / "labels.json").read_text())
    assert (len(document["images"]), [item["id"] for item in document["left_out"]]) == (1, [1, 2])


def test_a_second_opinion_is_shown_as_a_disagreement(cloud: ApiCloud, run: Any) -> None:
    record = doubtful(cloud)
    path = f"/reviews/{record['id']}"
    call("POST", f"{path}/claim", "reviewer", name="bob")
    call("POST", f"{path}/decision", "reviewer", name="bob", body={"version": 1, "verdict": "pass"})

    done = run("decide", record["id"], "fail", "--found")

    assert "Another person has decided otherwise" in done.stdout
    assert "pass by bob; fail by maria" in run("--state", "disagreement").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fail", "--label", "dent"), "1 label and 0 boxes"),
        (("fail", "--label", "dent", "--box", "1,2,3"), "1,2,3 is not a box"),
        (("pass", "--found"), "a picture that is pass shows no defect"),
        (("fail", "--label", "dent", "--box", "1,2,3000,40"), "The decision is not valid"),
        (("fail", "--found"), "the model has framed no defect in this picture"),
    ],
)
def test_what_cannot_be_decided_is_an_error_and_leaves_no_claim(
    cloud: ApiCloud, run: Any, words: tuple[str, ...], message: str
) -> None:
    dark = Reason("bad_picture", "too dark")
    record = cloud.add("incoming/line-1/top/SN1.jpg", Verdict.REVIEW, dark, data=jpeg())

    failed = run("decide", record["id"], *words)

    assert isinstance(failed.exception, LoupeError)
    assert message in str(failed.exception)
    (review,) = call("GET", "/reviews", "viewer").body["items"]
    assert review["claim"] is None


def test_what_another_person_works_on_is_refused_with_the_name(cloud: ApiCloud, run: Any) -> None:
    record = doubtful(cloud)
    call("POST", f"/reviews/{record['id']}/claim", "reviewer", name="bob")

    failed = run("decide", record["id"], "pass")

    assert "bob is working on this image until" in str(failed.exception)


def test_options_in_front_of_a_command_are_refused_and_not_dropped(run: Any) -> None:
    failed = run("--stack", "press", "decide", "0" * 32, "pass")

    assert "options of `loupe review decide` stand behind it" in str(failed.exception)


def test_the_rates_are_shown_with_their_intervals_or_the_reason(cloud: ApiCloud, run: Any) -> None:
    record = doubtful(cloud)
    cloud.add("incoming/line-1/top/SN9.jpg", Verdict.PASS, data=jpeg())
    assert "Nobody has decided about a passed image yet." in run("rates").stdout
    run("decide", record["id"], "fail", "--found")
    assert "1 image decided; people disagree about 0 images." in run("rates").stdout
    assert json.loads(run("rates", "--json").stdout)["decided"] == 1


def test_all_labels_are_exported_as_one_coco_file(
    cloud: ApiCloud, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, label in enumerate(("dent", "scratch", "dent")):
        record = doubtful(cloud, f"SN{number}", shade=100 + number)
        run("decide", record["id"], "fail", "--label", label, "--box", "1,2,30,40")
    asked = stack_api.page
    monkeypatch.setattr(
        stack_api, "page", lambda target, path, query: asked(target, path, {**query, "limit": 1})
    )

    done = run("export", str(tmp_path / "labels.json"))

    assert f"{tmp_path / 'labels.json'}: 3 images, 3 objects." in done.stdout.replace("\n", "")
    document = json.loads((tmp_path / "labels.json").read_text())
    names = {category["id"]: category["name"] for category in document["categories"]}
    found = sorted(names[annotation["category_id"]] for annotation in document["annotations"])
    assert found == ["dent", "dent", "scratch"]
    assert len({image["id"] for image in document["images"]}) == 3
    assert {item["image_id"] for item in document["annotations"]} == {1, 2, 3}
    assert isinstance(run("export", str(tmp_path / "labels.json")).exception, LoupeError)
