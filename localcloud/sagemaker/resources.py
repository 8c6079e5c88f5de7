"""What all named things of the API have in common: ARNs, tags, pages, and how a wrong name is refused."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.errors import AwsError, in_use, invalid
from localcloud.sagemaker.store import Record, Store

Operation = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """How AWS speaks of one kind of thing.

    segment: its part of an ARN. listed: the member of a List answer. missing, taken: the errors' words,
    with {arn} and {name}. newest_first: the default order of a List answer.
    """

    segment: str
    listed: str
    missing: str
    taken: str
    newest_first: bool = False
    sort_by: str = "CreationTime"


KINDS = {
    "Model": Kind(
        "model",
        "Models",
        'Could not find model "{arn}".',
        'Cannot create already existing model "{arn}".',
        newest_first=True,
    ),
    "EndpointConfig": Kind(
        "endpoint-config",
        "EndpointConfigs",
        'Could not find endpoint configuration "{arn}".',
        'Cannot create already existing endpoint configuration "{arn}".',
        newest_first=True,
    ),
    "Endpoint": Kind(
        "endpoint",
        "Endpoints",
        'Could not find endpoint "{arn}".',
        'Cannot create already existing endpoint "{arn}".',
        newest_first=True,
    ),
    "TrainingJob": Kind(
        "training-job",
        "TrainingJobSummaries",
        "Requested resource not found.",
        "Training job names must be unique within an AWS account and region, "
        "and a training job with this name already exists ({arn})",
    ),
    "ProcessingJob": Kind(
        "processing-job",
        "ProcessingJobSummaries",
        "Could not find requested job with name: {name}",
        "Job name must be unique within an AWS account and region, "
        "and a job with this name already exists ({arn})",
    ),
    "HyperParameterTuningJob": Kind(
        "hyper-parameter-tuning-job",
        "HyperParameterTuningJobSummaries",
        "Could not find requested job with name: {name}",
        "Tuning job names must be unique within an AWS account and region, "
        "and a tuning job with this name already exists ({arn})",
        sort_by="Name",
    ),
    "ModelPackageGroup": Kind(
        "model-package-group",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroup {arn} does not exist.",
        "Model Package Group already exists: {arn}",
    ),
    "ModelPackage": Kind(
        "model-package",
        "ModelPackageSummaryList",
        "ModelPackage {arn} does not exist.",
        "Model Package already exists: {arn}",
    ),
}
_JOBS = ("TrainingJob", "ProcessingJob", "HyperParameterTuningJob")


class Resources:
    """The records of every kind, in `store`; their tags lie beside them by ARN."""

    def __init__(self, store: Store, region: str, account: str) -> None:
        self.store, self.region, self.account = store, region, account

    def operations(self) -> dict[str, Operation]:
        """AddTags, ListTags, DeleteTags."""
        return {"AddTags": self._add_tags, "ListTags": self._list_tags, "DeleteTags": self._delete_tags}

    def arn(self, kind: str, name: str) -> str:
        """SageMaker writes names in lower case in its ARNs, and IAM compares those."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{KINDS[kind].segment}/{name.lower()}"

    def found(self, kind: str, name: str) -> Record:
        """The record. Raises AwsError (ValidationException) without one."""
        record = self.store.get(kind, name)
        if record is None:
            raise invalid(KINDS[kind].missing.format(arn=self.arn(kind, name), name=name))
        return record

    def named(self, kind: str, name_or_arn: str) -> Record:
        """The record, where the API takes a name or an ARN. Raises AwsError without one."""
        if not name_or_arn.startswith("arn:"):
            return self.found(kind, name_or_arn)
        for record in self.store.all(kind):
            if record[f"{kind}Arn"] == name_or_arn:
                return record
        raise invalid(KINDS[kind].missing.format(arn=name_or_arn, name=name_or_arn))

    def free(self, kind: str, name: str) -> None:
        """Raises AwsError if the name is taken."""
        if self.store.get(kind, name) is not None:
            raise self._taken(kind, name)

    def add(self, kind: str, request: dict[str, Any], **members: Any) -> dict[str, str]:
        """Keep what `request` creates; the answer is its ARN. Raises AwsError if the name is taken."""
        name = request[f"{kind}Name"]
        arn = members.get(f"{kind}Arn") or self.arn(kind, name)
        now = time.time()
        record = {
            **{key: value for key, value in request.items() if key != "Tags"},
            f"{kind}Arn": arn,
            "CreationTime": now,
            "LastModifiedTime": now,
            **members,
        }
        if not self.store.add(kind, name, record):
            raise self._taken(kind, name)
        if request.get("Tags"):
            self.store.put("Tags", arn, {tag["Key"]: tag["Value"] for tag in request["Tags"]})
        return {f"{kind}Arn": arn}

    def remove(self, kind: str, name: str) -> dict[str, Any]:
        """Forget a record and its tags. Raises AwsError without one."""
        record = self.found(kind, name)
        self.store.delete(kind, name)
        self.store.delete("Tags", record[f"{kind}Arn"])
        return {}

    def page(
        self, kind: str, request: dict[str, Any], records: Iterable[Record] | None = None
    ) -> dict[str, Any]:
        """One page of a List operation: filtered by name, status and times, sorted as asked."""
        about = KINDS[kind]
        asked = str(request.get("SortBy", about.sort_by))
        by = {"Name": f"{kind}Name", "Status": f"{kind}Status"}.get(asked, asked)
        order = request.get("SortOrder", "Descending" if about.newest_first else "Ascending")
        found = [
            record
            for record in (self.store.all(kind) if records is None else records)
            if request.get("NameContains", "").lower() in record[f"{kind}Name"].lower()
            and request.get("StatusEquals") in (None, record.get(f"{kind}Status"))
            and _within(record, request)
        ]
        # Those without the wanted member come last, as on AWS.
        having = [record for record in found if by in record]
        having.sort(key=lambda record: record[by], reverse=order == "Descending")
        found = having + [record for record in found if by not in record]
        start = int(request.get("NextToken", "0"))
        end = start + request.get("MaxResults", 10)
        answer: dict[str, Any] = {about.listed: found[start:end]}
        return answer | ({"NextToken": str(end)} if end < len(found) else {})

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a thing, by key."""
        return self.store.get("Tags", arn) or {}

    def _taken(self, kind: str, name: str) -> AwsError:
        words = KINDS[kind].taken.format(arn=self.arn(kind, name), name=name)
        return in_use(words) if kind in _JOBS else invalid(words)

    def _exists(self, arn: str) -> None:
        if not any(record[f"{kind}Arn"] == arn for kind in KINDS for record in self.store.all(kind)):
            raise AwsError("ResourceNotFound", f"Could not find resource {arn}.")

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["ResourceArn"]
        self._exists(arn)
        tags = self.tags(arn) | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        self.store.put("Tags", arn, tags)
        return {"Tags": _listed(tags)}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        self._exists(request["ResourceArn"])
        return {"Tags": _listed(self.tags(request["ResourceArn"]))}

    def _delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["ResourceArn"]
        self._exists(arn)
        kept = {key: value for key, value in self.tags(arn).items() if key not in request["TagKeys"]}
        self.store.put("Tags", arn, kept)
        return {}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _within(record: Record, request: dict[str, Any]) -> bool:
    return all(
        record[member] > request.get(f"{member}After", 0)
        and record[member] < request.get(f"{member}Before", float("inf"))
        for member in ("CreationTime", "LastModifiedTime")
    )
