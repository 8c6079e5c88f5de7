"""The model registry: groups of model packages, their versions and approvals."""

import threading
import time
from typing import Any

from localcloud.sagemaker.errors import AwsError, invalid
from localcloud.sagemaker.resources import Operation, Resources
from localcloud.sagemaker.store import Record

_GROUP, _PACKAGE = "ModelPackageGroup", "ModelPackage"


class Registry:
    """A version is named GROUP/VERSION, as its ARN ends; a package without a group has a name of its own."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._lock = threading.Lock()

    def operations(self) -> dict[str, Operation]:
        """By name."""
        return {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": lambda request: self._group(request["ModelPackageGroupName"]),
            "ListModelPackageGroups": lambda request: self._resources.page(_GROUP, request),
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self._create_package,
            "DescribeModelPackage": lambda request: self.package(request["ModelPackageName"]),
            "ListModelPackages": self._list_packages,
            "UpdateModelPackage": self._update_package,
            "DeleteModelPackage": lambda request: self._delete_package(request["ModelPackageName"]),
        }

    def package(self, name: str) -> Record:
        """A package by its ARN or name. Raises AwsError without one."""
        return self._resources.named(_PACKAGE, name)

    def _group(self, name: str) -> Record:
        return self._resources.named(_GROUP, name)

    def _create_group(self, request: dict[str, Any]) -> dict[str, str]:
        return self._resources.add(_GROUP, request, ModelPackageGroupStatus="Completed", CreatedBy={})

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
            return self._resources.remove(_GROUP, name)

    def _versions(self, group: str) -> list[Record]:
        return [each for each in self._packages() if each.get("ModelPackageGroupName") == group]

    def _packages(self) -> list[Record]:
        return self._resources.store.all(_PACKAGE)

    def _create_package(self, request: dict[str, Any]) -> dict[str, str]:
        if ("ModelPackageName" in request) == ("ModelPackageGroupName" in request):
            raise invalid("Either ModelPackageName or ModelPackageGroupName must be specified, not both.")
        if not request.get("InferenceSpecification") and not request.get("SourceUri"):
            raise invalid("A model package needs an InferenceSpecification or a SourceUri.")
        for container in request.get("InferenceSpecification", {}).get("Containers", []):
            if not container.get("Image"):
                raise invalid("Each container of a model package needs an Image.")
        own = {
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CreatedBy": {},
        }
        if "ModelPackageName" in request:
            return self._resources.add(_PACKAGE, request, **own)
        with self._lock:
            group = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            # A deleted version's number is not given again.
            version = self._resources.found(_GROUP, group).get("last_version", 0) + 1
            self._resources.store.change(_GROUP, group, last_version=version)
            name = f"{group}/{version}"
            return self._resources.add(
                _PACKAGE,
                {"ModelApprovalStatus": "PendingManualApproval"}
                | request
                | {"ModelPackageName": name, "ModelPackageGroupName": group},
                ModelPackageVersion=version,
                **own,
            )

    def _list_packages(self, request: dict[str, Any]) -> dict[str, Any]:
        packages = self._packages()
        if "ModelPackageGroupName" in request:
            packages = self._versions(self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"])
        else:
            wanted = request.get("ModelPackageType", "Unversioned")
            packages = [
                each
                for each in packages
                if wanted == "Both" or ("ModelPackageVersion" in each) == (wanted == "Versioned")
            ]
        status = request.get("ModelApprovalStatus")
        found = [each for each in packages if status in (None, each.get("ModelApprovalStatus"))]
        return self._resources.page(_PACKAGE, request, found)

    def _update_package(self, request: dict[str, Any]) -> dict[str, str]:
        with self._lock:
            package = self.package(request["ModelPackageArn"])
            kept = {
                key: value
                for key, value in package.get("CustomerMetadataProperties", {}).items()
                if key not in request.get("CustomerMetadataPropertiesToRemove", [])
            }
            properties = kept | request.get("CustomerMetadataProperties", {})
            plain = (
                "ModelApprovalStatus",
                "ApprovalDescription",
                "InferenceSpecification",
                "SourceUri",
                "ModelCard",
                "ModelLifeCycle",
                "ModelPackageRegistrationType",
            )
            self._resources.store.change(
                _PACKAGE,
                package["ModelPackageName"],
                **{member: request[member] for member in plain if member in request},
                CustomerMetadataProperties=properties or None,
                LastModifiedTime=time.time(),
                LastModifiedBy={},
            )
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _delete_package(self, name: str) -> dict[str, Any]:
        return self._resources.remove(_PACKAGE, self.package(name)["ModelPackageName"])
