"""The question to a person: a notice with a link to the evaluation, and the token for the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contract.keys import APPROVALS, REPORTS
from retraining.documents import Documents

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

_LINK_SECONDS = 12 * 3600  # a link ends earlier if the function's credentials do


@dataclass(frozen=True)
class Approval:
    """Asks whether a candidate may go live.

    `loupe approve` and `loupe reject` read the token. It is of no use without the permission states:SendTask*.

    Attributes:
        documents: The artefacts bucket.
        s3: Signs the link.
        sns: Publishes the notice.
        topic_arn: The topic for operators.
    """

    documents: Documents
    s3: S3Client
    sns: SNSClient
    topic_arn: str

    def ask(self, question: Mapping[str, Any]) -> None:
        """Store the task token, then publish the notice.

        Args:
            question: `token`, `run`, `package` (its ARN), `winner` (the candidate's id) and `reasons`.
        """
        run, version = question["run"], str(question["package"]).rpartition("/")[2]
        self.documents.write(
            f"{APPROVALS}{run}.json",
            {
                "token": question["token"],
                "run": run,
                "version": version,
                "requested_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "evaluation": self.documents.uri(_evaluation_page(question)),
            },
        )
        self.sns.publish(
            TopicArn=self.topic_arn,
            Subject=f"Loupe: approve model version {version}?",
            Message=self._message(question, version),
        )

    def _message(self, question: Mapping[str, Any], version: str) -> str:
        winner, key = question["winner"], _evaluation_page(question)
        link = self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.documents.bucket, "Key": key}, ExpiresIn=_LINK_SECONDS
        )
        lines = [
            f"Version {version} ({winner}) passed the gate and waits for approval.",
            *(f"  + {reason}" for reason in question["reasons"]),
            "",
            f"Its evaluation is {self.documents.uri(key)}",
            f"The same as a link, which is valid for hours:\n{link}",
            "",
            f"To let it go live: loupe approve {version}",
            f"To keep the champion: loupe reject {version} --reason '...'",
            "For a stack on AWS, add --stack NAME.",
        ]
        return "\n".join(lines)


def _evaluation_page(question: Mapping[str, Any]) -> str:
    return f"{REPORTS}{question['run']}/{question['winner']}/evaluation.html"
