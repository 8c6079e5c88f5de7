"""Applies every change to MiniStack, once, at the start of the local cloud."""

from typing import Any

from ministack.services import s3

from localcloud.ministack import (
    bucket_deletion,
    bucket_tags,
    callers,
    container_registry,
    function_roles,
    functions,
    http_api,
    parameters,
    queries,
    state_machine_roles,
    step_functions,
    stopped_executions,
    streams,
    taken_names,
    terminal_errors,
)
from localcloud.ministack.observability import Observability


def apply(observability: Observability, secret: bytes) -> None:
    """Patch MiniStack in this process.

    Args:
        observability: What logs and measures the functions' invocations.
        secret: What the functions' credentials are derived from.

    Raises:
        IncompatibleMiniStackError: If MiniStack's worker for functions reports errors in an unknown way.
    """
    callers.apply()
    function_roles.apply()
    functions.apply(secret)
    streams.apply()
    queries.apply()
    stopped_executions.apply()
    step_functions.apply()
    state_machine_roles.apply()
    terminal_errors.apply()
    container_registry.apply()
    taken_names.apply()
    parameters.apply()
    http_api.apply()
    _keep_object_versions_on_disk()
    bucket_tags.apply()
    bucket_deletion.apply()
    observability.apply()


def _keep_object_versions_on_disk() -> None:
    """Keep the bodies of objects' versions on disk only.

    MiniStack drops the body of an object from memory once it is on disk, but keeps the body of its version.
    """
    persist = s3._persist_object

    def persist_and_forget(bucket: str, key: str, stored: Any) -> None:
        persist(bucket, key, stored)
        if not isinstance(stored, dict) or stored.get("body") is not None:
            return  # not written to disk
        for version in s3._object_versions.get((bucket, key)) or []:
            is_current = version.get("version_id") == stored.get("version_id")
            if version.get("data") is not None and (
                is_current or s3._version_file_exists(bucket, key, version["version_id"])
            ):
                version["data"] = None

    s3._persist_object = persist_and_forget
