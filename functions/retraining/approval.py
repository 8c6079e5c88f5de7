"""Asks a person: a notice with a link to the report, and the token by which the answer comes."""

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

_LINK_SECONDS = 12 * 3600  # a function's credentials end before longer links would


@dataclass(frozen=True)
class Approval:
    """`loupe approve` and `loupe reject` read the token, which is worth nothing without states:SendTask*."""

    documents: Documents
    s3: S3Client
    sns: SNSClient
    topic_arn: str

    def ask(self, question: Mapping[str, Any]) -> None:
        """question: `token`, `run`, `package` (its ARN), `winner` (the candidate) and `reasons`."""
        run, version = question["run"], str(question["package"]).rpartition("/")[2]
        self.documents.write(
            f"{APPROVALS}{run}.json",
            {
                "token": question["token"],
                "run": run,
                "version": version,
                "requested_at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        link = self.s3.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.documents.bucket,
                "Key": f"{REPORTS}{run}/{question['winner']}/evaluation.html",
            },
            ExpiresIn=_LINK_SECONDS,
        )
        lines = [
            f"Version {version} ({question['winner']}) passed the gate and waits for approval.",
            *(f"  + {reason}" for reason in question["reasons"]),
            "",
            f"Its evaluation (the link lasts hours; the report stays in the bucket):\n{link}",
            "",
            f"To let it go live: loupe approve {version}",
            f"To keep the champion: loupe reject {version} --reason '...'",
        ]
        self.sns.publish(
            TopicArn=self.topic_arn,
            Subject=f"Loupe: approve model version {version}?",
            Message="\n".join(lines),
        )
