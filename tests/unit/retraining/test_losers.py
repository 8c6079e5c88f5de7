"""Models that lost get a mark, by which the bucket's lifecycle rule deletes them; registered ones never do."""

from typing import Any

from retraining import losers
from retraining.documents import Documents
from tests.unit.retraining.template import TEMPLATE

RUN = "0123456789ab"


def store(documents: Documents, *names: str) -> list[str]:
    keys = [f"models/{RUN}/{name}/output/model.tar.gz" for name in names]
    for key in keys:
        documents.write(key, {})
    return keys


def marked(documents: Documents, key: str) -> bool:
    tags = documents.s3.get_object_tagging(Bucket=documents.bucket, Key=key)["TagSet"]
    return {"Key": "loupe:lost", "Value": "true"} in tags


def test_every_model_of_a_run_but_the_kept_ones_is_marked(documents: Documents) -> None:
    loser, winner, child = store(documents, "loser", "winner", "hpo-001-abc")
    (other,) = (f"models/other/{name}" for name in ("model.tar.gz",))
    documents.write(other, {})
    losers.mark(documents, documents.s3, RUN, {documents.uri(winner), "s3://elsewhere/model.tar.gz"})
    assert [marked(documents, key) for key in (loser, winner, child, other)] == [True, False, True, False]


def test_a_model_that_lost_once_and_is_registered_now_loses_its_mark(documents: Documents) -> None:
    first, second = store(documents, "first", "second")
    losers.mark(documents, documents.s3, RUN, {documents.uri(first)})
    losers.mark(documents, documents.s3, RUN, {documents.uri(first), documents.uri(second)})
    assert not marked(documents, second)


def test_the_bucket_deletes_marked_models_only() -> None:
    rules: list[dict[str, Any]] = TEMPLATE["Resources"]["ArtefactsBucket"]["Properties"][
        "LifecycleConfiguration"
    ]["Rules"]
    of_models = [rule for rule in rules if str(rule.get("Prefix", "")).startswith("models")]
    assert [rule["TagFilters"] for rule in of_models] == [[{"Key": losers.TAG, "Value": "true"}]]
    assert [rule["Id"] for rule in rules if "ExpirationInDays" in rule and "Prefix" not in rule] == []
