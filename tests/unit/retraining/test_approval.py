"""The question to a person: the token, the link to the report, and the answers."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from inspection import clients
from retraining.approval import Approval
from retraining.documents import Documents
from tests.unit.retraining.runs import RUN

TOPIC = "arn:aws:sns:eu-central-1:123456789012:press-operations"
QUESTION: dict[str, Any] = {
    "token": "AQCYAAAAKgAAAAMAAAAAAAAAAe1",
    "run": RUN,
    "package": "arn:aws:sagemaker:eu-central-1:123456789012:model-package/press/4",
    "winner": "ssdlite-tuned",
    "reasons": ["ssdlite-tuned: mAP 0.600, the champion's 0.500", "ssdlite-tuned: no class is worse"],
}


class Topic:
    """Keeps what was published, and the token that the bucket contained at that moment."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.published: list[dict[str, str]] = []
        self.stored: Any = None

    def publish(self, **request: str) -> None:
        self.published.append(request)
        self.stored = self._documents.find(f"retraining/approvals/{RUN}.json")


@pytest.fixture
def topic(documents: Documents) -> Topic:
    topic = Topic(documents)
    sns: Any = topic
    Approval(documents, clients.s3(), sns, TOPIC).ask(QUESTION)
    return topic


def test_the_token_is_stored_before_the_notice_is_published(topic: Topic) -> None:
    stored = topic.stored[0]
    requested_at = datetime.fromisoformat(stored.pop("requested_at"))
    evaluation = f"s3://artefacts/reports/{RUN}/ssdlite-tuned/evaluation.html"
    assert stored == {"token": QUESTION["token"], "run": RUN, "version": "4", "evaluation": evaluation}
    assert abs((datetime.now(UTC) - requested_at).total_seconds()) < 60


def test_the_notice_names_the_version_the_reasons_and_both_answers(topic: Topic) -> None:
    (notice,) = topic.published
    assert notice["TopicArn"] == TOPIC
    assert notice["Subject"] == "Loupe: approve model version 4?"
    message = notice["Message"]
    assert "Version 4 (ssdlite-tuned) passed the gate" in message
    assert all(f"  + {reason}" in message for reason in QUESTION["reasons"])
    assert f"s3://artefacts/reports/{RUN}/ssdlite-tuned/evaluation.html" in message
    assert "loupe approve 4" in message
    assert "loupe reject 4 --reason '...'" in message


def test_no_notice_contains_the_token(topic: Topic) -> None:
    assert QUESTION["token"] not in str(topic.published)


def test_the_link_to_the_report_has_a_signature_of_version_4_and_is_valid_for_hours(topic: Topic) -> None:
    (link,) = [line for line in topic.published[0]["Message"].splitlines() if line.startswith("https://")]
    parts = urlsplit(link)
    query = parse_qs(parts.query)
    assert parts.path.endswith(f"/reports/{RUN}/ssdlite-tuned/evaluation.html")
    assert "artefacts" in parts.netloc + parts.path
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == [str(12 * 3600)]


def test_a_later_question_of_the_same_run_replaces_the_earlier_one(
    topic: Topic, documents: Documents
) -> None:
    """The task of the earlier question has ended: there is never more than one at a time."""
    sns: Any = topic
    Approval(documents, clients.s3(), sns, TOPIC).ask(QUESTION | {"token": "another"})
    assert topic.stored[0]["token"] == "another"
