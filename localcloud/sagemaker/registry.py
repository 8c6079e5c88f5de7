"""The model registry: groups of model packages, their versions and approvals."""

import threading
import time
from typing import Any

from localcloud.sagemaker.aws_errors import AwsError, invalid
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.store import Record

_GROUP, _PACKAGE = "ModelPackageGroup", "ModelPackage"
# The members that UpdateModelPackage replaces.
_UPDATED = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)


class Registry:
    """Groups and packages.

    A version in a group is named GROUP/VERSION, as its ARN ends; a package without a group has its own name.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._lock = threading.Lock()

    def operations(self) -> dict[str, Operation]:
        """Return the operations by name."""
        return {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": lambda request: self._group(request["ModelPackageGroupName"]),
            "ListModelPackageGroups": lambda request: self._resources.list_page(_GROUP, request),
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self._create_package,
            "DescribeModelPackage": lambda request: self.package(request["ModelPackageName"]),
            "ListModelPackages": self._list_packages,
            "UpdateModelPackage": self._update_package,
            "DeleteModelPackage": lambda request: self._delete_package(request["ModelPackageName"]),
        }

    def package(self, name_or_arn: str) -> Record:
        """Return a package.

        Raises:
            AwsError: ValidationException, if there is none.
        """
        return self._resources.get_by_name_or_arn(_PACKAGE, name_or_arn)

    def _group(self, name_or_arn: str) -> Record:
        return self._resources.get_by_name_or_arn(_GROUP, name_or_arn)

    def _create_group(self, request: dict[str, Any]) -> dict[str, str]:
        return self._resources.create(_GROUP, request, ModelPackageGroupStatus="Completed", CreatedBy={})

    def _delete_group(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            group = self._group(request["ModelPackageGroupName"])
            name = group["ModelPackageGroupName"]
            if self._versions(name):
                arn = group["ModelPackageGroupArn"]
                raise AwsError(
                    "ConflictException",
                    f"Model Package Group {arn} cannot be deleted: it has Model Packages.",
                )
            return self._resources.delete(_GROUP, name)

    def _packages(self) -> list[Record]:
        return self._resources.store.all(_PACKAGE)

    def _versions(self, group: str) -> list[Record]:
        return [package for package in self._packages() if package.get("ModelPackageGroupName") == group]

    def _create_package(self, request: dict[str, Any]) -> dict[str, str]:
        _check(request)
        members = {
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
            "CreatedBy": {},
        }
        if "ModelPackageName" in request:
            return self._resources.create(_PACKAGE, request, **members)
        with self._lock:
            group = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            # The number of a deleted version is not used again.
            version = self._resources.get(_GROUP, group).get("last_version", 0) + 1
            self._resources.store.change(_GROUP, group, last_version=version)
            return self._resources.create(
                _PACKAGE,
                {"ModelApprovalStatus": "PendingManualApproval"}
                | request
                | {"ModelPackageName": f"{group}/{version}", "ModelPackageGroupName": group},
                ModelPackageVersion=version,
                **members,
            )

    def _list_packages(self, request: dict[str, Any]) -> dict[str, Any]:
        if "ModelPackageGroupName" in request:
            packages = self._versions(self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"])
        else:
            package_type = request.get("ModelPackageType", "Unversioned")
            packages = [
                package
                for package in self._packages()
                if package_type == "Both"
                or ("ModelPackageVersion" in package) == (package_type == "Versioned")
            ]
        status = request.get("ModelApprovalStatus")
        matching = [package for package in packages if status in (None, package.get("ModelApprovalStatus"))]
        return self._resources.list_page(_PACKAGE, request, matching)

    def _update_package(self, request: dict[str, Any]) -> dict[str, str]:
        with self._lock:
            package = self.package(request["ModelPackageArn"])
            kept = {
                key: value
                for key, value in package.get("CustomerMetadataProperties", {}).items()
                if key not in request.get("CustomerMetadataPropertiesToRemove", [])
            }
            properties = kept | request.get("CustomerMetadataProperties", {})
            self._resources.store.change(
                _PACKAGE,
                package["ModelPackageName"],
                **{member: request[member] for member in _UPDATED if member in request},
                CustomerMetadataProperties=properties or None,
                LastModifiedTime=time.time(),
                LastModifiedBy={},
            )
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _delete_package(self, name_or_arn: str) -> dict[str, Any]:
        return self._resources.delete(_PACKAGE, self.package(name_or_arn)["ModelPackageName"])


def _check(request: dict[str, Any]) -> None:
    """Check a CreateModelPackage request beyond its shape. Raises AwsError."""
    if ("ModelPackageName" in request) == ("ModelPackageGroupName" in request):
        raise invalid("Either ModelPackageName or ModelPackageGroupName must be specified, not both.")
    if not request.get("InferenceSpecification") and not request.get("SourceUri"):
        raise invalid("A model package needs an InferenceSpecification or a SourceUri.")
    for container in request.get("InferenceSpecification", {}).get("Containers", []):
        if not container.get("Image"):
            raise invalid("Each container of a model package needs an Image.")
