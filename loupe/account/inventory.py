"""Everything in an AWS account that belongs to a stack, asked from the account itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from loupe.account.account import Account
from loupe.account.holdings import deployment, hosting, jobs, logs, storage
from loupe.account.holdings.scope import Item, Scope, existing

_Answer = TypeVar("_Answer")

_FINDERS: tuple[Callable[[Scope], list[Item]], ...] = (
    *(jobs.find_runs, jobs.find_jobs, jobs.find_transforms),
    *(hosting.find_scaling, hosting.find_endpoints, hosting.find_configs),
    *(hosting.find_models, hosting.find_groups, deployment.find_stack, logs.find_groups, logs.find_streams),
    *(deployment.find_builder, deployment.find_repositories, deployment.find_deployment),
    *(storage.find_buckets, storage.find_tables, storage.find_user_pools),
)
# boto3 makes clients in one thread only.
_SERVICES = (
    *("cloudformation", "stepfunctions", "sagemaker", "application-autoscaling", "cloudwatch", "logs", "ecr"),
    *("s3", "dynamodb", "cognito-idp", "kms", "resourcegroupstaggingapi", "sts", "codebuild", "iam"),
)
_DATA_KEY = "DataKey"  # of template.yaml; it outlives the stack as the data do
# What AWS itself ends: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html and
# https://docs.aws.amazon.com/xray/latest/devguide/aws-xray.html
_BY_AWS = (
    "CloudWatch's metrics, which nobody can delete; they expire after 15 months",
    "SageMaker's records of transform jobs that have ended, which nobody can delete and which cost nothing",
    "X-Ray's traces, which expire after 30 days",
    "CloudFormation's record of the deleted stack, which expires after 90 days",
    "the role AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint and the rules "
    "StepFunctionsGetEventsForSageMaker*, which AWS made for the whole account and which cost nothing",
)


@dataclass(frozen=True)
class Inventory:
    """What a stack has.

    Attributes:
        stack: The stack's name.
        known: Whether CloudFormation knows, or knew within 90 days, a stack of that name.
        protected: Whether the stack refuses to be deleted.
        items: What can be deleted.
        remains: What only AWS can delete, and when it does so.
        unseen: What AWS did not answer, so that something may be missing here.
        guarded: Whether its tables, buckets and people refuse to be deleted (the parameter DeletionProtection).
    """

    stack: str
    known: bool
    protected: bool
    items: list[Item]
    remains: list[str]
    unseen: list[str] = field(default_factory=list)
    guarded: bool = False

    def going(self, data: bool) -> list[Item]:
        """Return what `destroy` deletes."""
        return [item for item in self.items if data or not item.data]

    def staying(self, data: bool) -> list[Item]:
        """Return what `destroy` keeps."""
        return [] if data else [item for item in self.items if item.data]


class Asker:
    """Asks the account, and notes what it refuses to say.

    Attributes:
        refused: Why a question was not answered.
    """

    def __init__(self) -> None:
        self.refused: set[str] = set()

    def ask(self, question: Callable[[], _Answer], otherwise: _Answer) -> _Answer:
        """Return the answer; `otherwise` if AWS gives none."""
        try:
            return question()
        except (ClientError, BotoCoreError) as error:
            # Not allowed, or a service that does not exist in this region: what else there is must be shown.
            self.refused.add(str(error))
        return otherwise


def take(account: Account) -> Inventory:
    """Ask the account what belongs to the stack. Nothing is changed."""
    for service in _SERVICES:
        account.client(service)
    asker = Asker()
    scope = Scope.read(account, asker.ask)
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = [pool.submit(asker.ask, lambda find=find: find(scope), []) for find in _FINDERS]
    items = [item for answer in answers for item in answer.result()]
    keys: list[str] = asker.ask(lambda: _keys(scope), [])
    return Inventory(
        account.stack,
        known=bool(scope.incarnations),
        protected=any(each.protected for each in scope.incarnations if each.exists),
        items=items,
        remains=[*keys, *_BY_AWS] if scope.incarnations else [],
        unseen=sorted(asker.refused),
        guarded=any(
            each.parameters.get("DeletionProtection") == "true" for each in scope.incarnations if each.exists
        ),
    )


def _keys(scope: Scope) -> list[str]:
    """Return what happens with the keys that encrypt the alerts, or all data."""
    client = scope.account.client("kms")
    lasting = {one.name for each in scope.incarnations for one in each.resources if one.logical == _DATA_KEY}
    texts = []
    for name in scope.names("AWS::KMS::Key"):
        found: dict[str, Any] | None = existing(client.describe_key, KeyId=name)
        key = found["KeyMetadata"] if found else {}
        if key.get("KeyState") == "PendingDeletion":
            texts.append(f"the KMS key {name}, which AWS deletes on {key['DeletionDate']:%Y-%m-%d}")
        elif key and name in lasting:
            texts.append(
                f"the KMS key {name}, without which nobody can read what stays. When that is gone, too: "
                f"aws kms schedule-key-deletion --key-id {name}"
            )
        elif key:
            texts.append(f"the KMS key {name}, which AWS deletes 7 days after the stack")
    return texts
