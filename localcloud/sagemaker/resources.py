"""What all named resources of the API have in common: records, ARNs, tags, pages, and errors about names."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.aws_errors import AwsError, in_use, invalid
from localcloud.sagemaker.store import Record, Store

Operation = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Kind:
    """How the API treats one kind of resource.

    Attributes:
        arn_segment: The kind's part of an ARN.
        list_member: The member of a List answer with the resources.
        not_found: The message about an unknown name, with {arn} and {name}.
        name_taken: The message about a name that is taken, with {arn}.
        newest_first: Whether a List answer is in descending order by default.
        sort_by: What a List answer is sorted by, by default.
    """

    arn_segment: str
    list_member: str
    not_found: str
    name_taken: str
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
    "TransformJob": Kind(
        "transform-job",
        "TransformJobSummaries",
        "Could not find requested job with name: {name}",
        "Job name must be unique within an AWS account and region, "
        "and a job with this name already exists ({arn})",
        newest_first=True,
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
_JOBS = ("TrainingJob", "ProcessingJob", "TransformJob", "HyperParameterTuningJob")
_PAGE_SIZE = 10


class Resources:
    """The records of every kind, and their tags.

    Attributes:
        store: Where the records are; the tags are in it by ARN.
        region: The region in ARNs.
        account: The account in ARNs.
    """

    def __init__(self, store: Store, region: str, account: str) -> None:
        self.store, self.region, self.account = store, region, account

    def operations(self) -> dict[str, Operation]:
        """Return the operations on tags, by name."""
        return {"AddTags": self._add_tags, "ListTags": self._list_tags, "DeleteTags": self._delete_tags}

    def arn(self, kind: str, name: str) -> str:
        """Return an ARN; SageMaker writes names in lower case in its ARNs, and IAM compares those."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{KINDS[kind].arn_segment}/{name.lower()}"

    def get(self, kind: str, name: str) -> Record:
        """Return the record of that name.

        Raises:
            AwsError: ValidationException, if there is none.
        """
        record = self.store.get(kind, name)
        if record is None:
            raise invalid(KINDS[kind].not_found.format(arn=self.arn(kind, name), name=name))
        return record

    def get_by_name_or_arn(self, kind: str, name_or_arn: str) -> Record:
        """Return the record, where the API takes a name or an ARN.

        Raises:
            AwsError: ValidationException, if there is none.
        """
        if not name_or_arn.startswith("arn:"):
            return self.get(kind, name_or_arn)
        for record in self.store.all(kind):
            if record[f"{kind}Arn"] == name_or_arn:
                return record
        raise invalid(KINDS[kind].not_found.format(arn=name_or_arn, name=name_or_arn))

    def check_name_free(self, kind: str, name: str) -> None:
        """Check that a name is not taken.

        Raises:
            AwsError: ResourceInUse for a job, otherwise ValidationException, if it is.
        """
        if self.store.get(kind, name) is not None:
            raise self._name_taken(kind, name)

    def create(self, kind: str, request: dict[str, Any], **members: Any) -> dict[str, str]:
        """Create a record.

        Args:
            kind: The kind of resource.
            request: The parameters of the Create operation, which become members of the record.
            **members: Further members of the record.

        Returns:
            The answer of the Create operation: the ARN.

        Raises:
            AwsError: ResourceInUse for a job, otherwise ValidationException, if the name is taken.
        """
        name = request[f"{kind}Name"]
        arn = self.arn(kind, name)
        now = time.time()
        record = {
            **{key: value for key, value in request.items() if key != "Tags"},
            f"{kind}Arn": arn,
            "CreationTime": now,
            "LastModifiedTime": now,
            **members,
        }
        if not self.store.add(kind, name, record):
            raise self._name_taken(kind, name)
        if request.get("Tags"):
            self.store.put("Tags", arn, {tag["Key"]: tag["Value"] for tag in request["Tags"]})
        return {f"{kind}Arn": arn}

    def delete(self, kind: str, name: str) -> dict[str, Any]:
        """Delete a record and its tags.

        Returns:
            The answer of the Delete operation, which is empty.

        Raises:
            AwsError: ValidationException, if there is no such record.
        """
        record = self.get(kind, name)
        self.store.delete(kind, name)
        self.store.delete("Tags", record[f"{kind}Arn"])
        return {}

    def list_page(
        self, kind: str, request: dict[str, Any], records: Iterable[Record] | None = None
    ) -> dict[str, Any]:
        """Return one page of a List operation: filtered by name, status and times, sorted as requested.

        Args:
            kind: The kind of resource.
            request: The parameters of the List operation.
            records: The records to list instead of all of that kind.
        """
        sort_by = str(request.get("SortBy", KINDS[kind].sort_by))
        member = {"Name": f"{kind}Name", "Status": f"{kind}Status"}.get(sort_by, sort_by)
        order = request.get("SortOrder", "Descending" if KINDS[kind].newest_first else "Ascending")
        matching = [
            record
            for record in (self.store.all(kind) if records is None else records)
            if request.get("NameContains", "").lower() in record[f"{kind}Name"].lower()
            and request.get("StatusEquals") in (None, record.get(f"{kind}Status"))
            and _is_within_times(record, request)
        ]
        # Records without that member come last, as on AWS.
        ordered = sorted(
            (record for record in matching if member in record),
            key=lambda record: record[member],
            reverse=order == "Descending",
        )
        ordered += [record for record in matching if member not in record]
        start = int(request.get("NextToken", "0"))
        end = start + request.get("MaxResults", _PAGE_SIZE)
        answer: dict[str, Any] = {KINDS[kind].list_member: ordered[start:end]}
        return answer | ({"NextToken": str(end)} if end < len(ordered) else {})

    def _name_taken(self, kind: str, name: str) -> AwsError:
        message = KINDS[kind].name_taken.format(arn=self.arn(kind, name))
        return in_use(message) if kind in _JOBS else invalid(message)

    def _tags(self, arn: str) -> dict[str, str]:
        """Return the tags of a resource, by key. Raises AwsError if there is no such resource."""
        if not any(record[f"{kind}Arn"] == arn for kind in KINDS for record in self.store.all(kind)):
            raise AwsError("ResourceNotFound", f"Could not find resource {arn}.")
        return self.store.get("Tags", arn) or {}

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["ResourceArn"]
        tags = self._tags(arn) | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        self.store.put("Tags", arn, tags)
        return {"Tags": _as_list(tags)}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": _as_list(self._tags(request["ResourceArn"]))}

    def _delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["ResourceArn"]
        kept = {key: value for key, value in self._tags(arn).items() if key not in request["TagKeys"]}
        self.store.put("Tags", arn, kept)
        return {}


def _as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _is_within_times(record: Record, request: dict[str, Any]) -> bool:
    return all(
        record[member] > request.get(f"{member}After", 0)
        and record[member] < request.get(f"{member}Before", float("inf"))
        for member in ("CreationTime", "LastModifiedTime")
    )
