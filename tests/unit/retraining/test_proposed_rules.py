"""A winner's operating points: staged for its own answers, put into force, or withdrawn; nobody's change is lost."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from inspection.rules import Rules
from retraining.documents import Documents
from retraining.rules import NOT_WANTED, ProposedRules
from tests.unit.retraining.evaluations import evaluation, proposal

PARAMETER, RUN, VERSION = "/press/rules", "0123456789ab", "0123456789ab-abcdef"
REPORT = f"s3://artefacts/reports/{RUN}/ssdlite/evaluation.json"
MODEL, CHAMPION = "0123456789ab", "cccccccccccc"
BEFORE: dict[str, Any] = {
    "version": "2026-03-02",
    "default": {"fail_score": 0.5, "review_score": 0.3, "severity": "major"},
    "classes": {"dent": {"severity": "critical", "smallest_area": 40}, "rust": {"fail_score": 0.9}},
    "lines": {"line-2": {"dent": {"fail_score": 0.8}, "default": {"allowed_count": 1}}},
    "picture": {"least_sharpness": 12.5},
}
PROPOSED = {"fail_score": 0.42, "review_score": 0.17}


class Store:
    """The parameter, and what changes it."""

    def __init__(self, documents: Documents) -> None:
        self.ssm = boto3.client("ssm")
        self.documents = documents
        self.rules = ProposedRules(documents, self.ssm, PARAMETER, wanted=True, cache_seconds=30)

    def put(self, document: Any) -> int:
        text = document if isinstance(document, str) else json.dumps(document)
        return self.ssm.put_parameter(Name=PARAMETER, Value=text, Type="String", Overwrite=True)["Version"]

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"])
        return document

    @property
    def versions(self) -> int:
        return self.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Version"]

    def propose(self, **changes: Any) -> None:
        folder = f"reports/{RUN}/ssdlite"
        points = {"dent": {}, "scratch": {}}
        report = evaluation(operating_points=points, **changes)
        self.documents.write(f"{folder}/evaluation.json", report)
        self.documents.write(f"{folder}/rules.json", proposal())

    def stage(self) -> dict[str, Any]:
        return self.rules.stage(VERSION, REPORT)

    def apply(self) -> dict[str, Any]:
        return self.rules.apply(RUN, VERSION, REPORT)

    def scores(self, label: str, model: str, line: str = "line-1") -> tuple[float, float]:
        rule = Rules.model_validate(self.document).for_model(model).rule(line, label)
        return rule.fail_score, rule.review_score

    @contextmanager
    def meanwhile(self, act: Callable[[], Any]) -> Iterator[None]:
        """Let a person act between the reading and the first write."""
        pending = [act]

        def interfere(**_: Any) -> None:
            if pending:
                pending.pop()()

        client = self.ssm.meta.events
        client.register("before-call.ssm.PutParameter", interfere)
        try:
            yield
        finally:
            client.unregister("before-call.ssm.PutParameter", interfere)


@pytest.fixture
def store(documents: Documents) -> Iterator[Store]:
    store = Store(documents)
    store.put(BEFORE)
    store.propose()
    yield store
    store.ssm.delete_parameter(Name=PARAMETER)


def test_staged_scores_apply_to_the_answers_of_the_new_model_alone(store: Store) -> None:
    assert store.stage() == {"pause": 30}
    assert store.scores("dent", MODEL) == (0.42, 0.17)
    assert store.scores("dent", CHAMPION) == (0.5, 0.3)
    assert store.document["version"] == BEFORE["version"]
    assert Rules.model_validate(store.document).for_model(MODEL).version == VERSION


def test_applied_scores_change_nothing_else(store: Store) -> None:
    store.stage()
    result = store.apply()
    assert store.document == BEFORE | {
        "version": VERSION,
        "classes": {
            **BEFORE["classes"],
            "dent": {**BEFORE["classes"]["dent"], **PROPOSED},
            "scratch": PROPOSED,
        },
    }
    assert (result["applied"], result["reason"]) == (True, None)
    assert (result["before"]["version"], result["after"]["version"]) == (BEFORE["version"], VERSION)
    assert result["after"]["parameter_version"] == store.versions


def test_what_applied_before_and_after_is_stored_beside_the_report(store: Store) -> None:
    store.stage()
    result = store.apply()
    stored = {
        moment: store.documents.find(f"reports/{RUN}/rules-{moment}.json") for moment in ("before", "after")
    }
    assert [found[0] for found in stored.values() if found] == [BEFORE, store.document]
    assert result["before"]["uri"] == f"s3://artefacts/reports/{RUN}/rules-before.json"


def test_the_report_names_a_score_that_a_line_keeps_and_a_class_without_scores(store: Store) -> None:
    store.documents.write(
        f"reports/{RUN}/ssdlite/evaluation.json", evaluation(operating_points={"dent": {}, "hole": {}})
    )
    notes = store.apply()["notes"]
    assert "line-2 keeps its own fail_score 0.8 for dent" in notes
    assert "no operating point could be measured for hole: the scores in force stay" in notes
    assert "the test images do not have the class rust: its rule stays" in notes
    assert store.scores("dent", MODEL, "line-2") == (0.8, 0.17)


def test_the_same_call_again_changes_nothing(store: Store) -> None:
    store.stage()
    store.stage()
    assert store.versions == 2
    first = store.apply()
    assert store.apply() == first
    assert store.versions == 3


def test_a_repeated_call_does_not_undo_what_a_person_changed_since(store: Store) -> None:
    store.apply()
    changed = {**store.document, "version": "mine", "classes": {"dent": {"fail_score": 0.9}}}
    store.put(changed)
    assert store.apply()["after"]["version"] == VERSION
    assert store.document == changed


@pytest.mark.parametrize("action", [Store.stage, Store.apply])
def test_a_change_between_reading_and_writing_is_not_lost(store: Store, action: Any) -> None:
    mine = {**BEFORE, "version": "mine", "picture": {"least_sharpness": 99}}
    with store.meanwhile(lambda: store.put(mine)):
        action(store)
    assert store.document["picture"] == {"least_sharpness": 99}
    assert store.scores("dent", MODEL) == (0.42, 0.17)


def test_the_change_of_a_person_is_what_the_report_calls_before(store: Store) -> None:
    with store.meanwhile(lambda: store.put({**BEFORE, "version": "mine"})):
        result = store.apply()
    assert result["before"]["version"] == "mine"


def test_withdrawn_scores_leave_the_rules_of_before(store: Store) -> None:
    store.stage()
    store.rules.withdraw(VERSION)
    assert store.document == BEFORE
    store.rules.withdraw(VERSION)
    assert store.versions == 3


def test_only_the_own_candidate_is_withdrawn_and_nothing_that_is_in_force(store: Store) -> None:
    store.stage()
    staged = store.document
    store.rules.withdraw("another")
    assert store.document == staged
    store.apply()
    applied = store.document
    store.rules.withdraw(VERSION)
    assert store.document == applied


def test_a_stack_that_does_not_want_it_keeps_its_rules(store: Store) -> None:
    unwanted = ProposedRules(store.documents, store.ssm, PARAMETER, wanted=False, cache_seconds=30)
    assert unwanted.stage(VERSION, REPORT) == {"pause": 0}
    result = unwanted.apply(RUN, VERSION, REPORT)
    assert (result["applied"], result["reason"]) == (False, NOT_WANTED)
    assert result["before"]["version"] == result["after"]["version"] == BEFORE["version"]
    assert store.versions == 1


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (None, "there is no document"),
        ({"version": "1", "classes": {}}, "no class has a fail_score"),
        (
            {"version": "1", "classes": {"dent": {"fail_score": 7}}},
            "classes.dent.fail_score: must be at most 1",
        ),
        ([], "not a JSON object"),
    ],
)
def test_without_a_valid_proposal_the_rules_stay_and_the_reason_is_given(
    store: Store, rules: Any, reason: str
) -> None:
    key = f"reports/{RUN}/ssdlite/rules.json"
    if rules is None:
        store.documents.s3.delete_object(Bucket="artefacts", Key=key)
    else:
        store.documents.write(key, rules)
    assert store.stage() == {"pause": 0}
    result = store.apply()
    assert not result["applied"]
    assert reason in result["reason"]
    assert store.document == BEFORE


@pytest.mark.parametrize("text", ["{", "[]", '{"version": "1", "clases": {}}'])
def test_rules_in_force_that_are_not_valid_are_left_to_the_person_who_wrote_them(
    store: Store, text: str
) -> None:
    store.put(text)
    assert store.stage() == {"pause": 0}
    result = store.apply()
    store.rules.withdraw(VERSION)
    assert not result["applied"]
    assert result["before"]["uri"] is None
    assert store.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"] == text


@pytest.mark.parametrize(
    ("line", "proposed", "there", "elsewhere", "note"),
    [
        (
            {"dent": {"review_score": 0.45}},
            (0.42, 0.17),
            (0.45, 0.45),
            (0.45, 0.17),
            "dent fails from 0.45 instead of 0.42",
        ),
        (
            {"default": {"fail_score": 0.31}},
            (0.42, 0.35),
            (0.31, 0.31),
            (0.42, 0.31),
            "dent goes to review from 0.31 instead of 0.35",
        ),
    ],
    ids=["review score", "fail score"],
)
def test_a_line_s_score_that_contradicts_a_new_one_never_lets_more_pass(
    store: Store, line: Any, proposed: Any, there: Any, elsewhere: Any, note: str
) -> None:
    store.put(BEFORE | {"lines": {"line-2": line}})
    store.documents.write(f"reports/{RUN}/ssdlite/rules.json", proposal(*proposed))
    store.stage()
    assert (store.scores("dent", MODEL, "line-2"), store.scores("dent", MODEL)) == (there, elsewhere)
    result = store.apply()
    assert any(text.startswith(note) for text in result["notes"])
    assert (store.scores("dent", MODEL, "line-2"), store.scores("dent", MODEL)) == (there, elsewhere)
