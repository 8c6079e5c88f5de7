"""The configuration file of the SageMaker Python SDK, versions 2 and 3, for a stack.

Both versions ask STS at an address that is fixed in their code, and AWS's address alone, for the default bucket and for
the role, unless this file says them. Its keys:
https://sagemaker.readthedocs.io/en/stable/overview.html#configuring-and-using-defaults-with-the-sagemaker-python-sdk
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from contract.keys import SDK
from contract.text import system_error
from loupe.errors import LoupeError
from loupe.stack.target import Target

_HEAD = "# Written by `loupe env`, for the SageMaker Python SDK. The next `loupe env` replaces it.\n"


def document(target: Target) -> dict[str, Any]:
    """Return the defaults of the SDK for a stack."""
    role: dict[str, Any] = {"RoleArn": target.output("TrainingRoleArn")}
    key = target.outputs.get("EncryptionKeyArn")
    # Otherwise SageMaker would encrypt a model with AWS's key for S3, whatever the bucket's key is.
    encrypted = {"OutputDataConfig": {"KmsKeyId": key}} if key else {}
    session = {
        "DefaultS3Bucket": target.output("ArtefactsBucketName"),
        "DefaultS3ObjectKeyPrefix": SDK.rstrip("/"),
    }
    return {
        "SchemaVersion": "1.0",
        "SageMaker": {
            "PythonSDK": {"Modules": {"Session": session, "TelemetryOptOut": True}},
            "TrainingJob": role | encrypted,
            "ProcessingJob": role,
            "Model": {"ExecutionRoleArn": target.output("SageMakerRoleArn")},
        },
    }


def write(target: Target, folder: Path) -> Path:
    """Write the file, readable by its owner only, in one step.

    Args:
        target: The stack.
        folder: The folder for it, which is made if there is none.

    Returns:
        The file's path. Another stack, region or account has another file.

    Raises:
        LoupeError: It cannot be written.
    """
    # It takes longer to import than all the rest.
    import yaml

    account = target.output("TrainingRoleArn").split(":")[4]
    file = folder / f"sagemaker-{account}-{target.session.region_name}-{target.name}.yaml"
    temporary = folder / f".{file.name}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as content:
            content.write(_HEAD + yaml.dump(document(target), Dumper=_dumper(), sort_keys=False))
        temporary.replace(file)
    except OSError as error:
        raise LoupeError(
            f"the SageMaker SDK's configuration cannot be written: {system_error(error)}",
            "Make the folder writable for you, or choose another: --home FOLDER",
        ) from error
    return file


def _dumper() -> Any:
    """Return a writer that repeats what occurs twice, instead of referring to it: people read the file, too."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Dumper
