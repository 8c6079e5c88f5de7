"""What a stack is to be: the template's parameters, from samconfig.toml, the options, and the stack itself."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract import instances
from contract.instances import UnsuitableInstanceError
from localcloud.sources import REPOSITORY
from loupe.account import images
from loupe.account.account import Account, Repository
from loupe.account.cloudformation import Stack
from loupe.cost.workload import defaults, template
from loupe.errors import LoupeError

# The file that `sam deploy --config-env` reads too.
CONFIG = REPOSITORY / "samconfig.toml"
DEFAULT_ENVIRONMENT = "default"
_IMAGES: dict[str, str] = {"ServingImageUri": "serving", "TrainingImageUri": "training"}


@dataclass(frozen=True)
class Environment:
    """A section of samconfig.toml.

    Attributes:
        name: Its name, such as dev.
        stack: The stack's name.
        parameters: The template parameters that it sets.
    """

    name: str
    stack: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class Wishes:
    """What the options of the command ask for.

    Attributes:
        environment: The section of samconfig.toml; None for none in particular.
        parameters: Template parameters.
        model: The archive to serve; None for the starter model, or the one that serves.
        builder: Who builds the images; None for the first that can.
        serving_image: An image of the user's own.
        training_image: The same for training.
    """

    environment: Environment | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    model: Path | None = None
    builder: str | None = None
    serving_image: str | None = None
    training_image: str | None = None


@dataclass(frozen=True)
class Settings:
    """What the stack is to be.

    Attributes:
        parameters: The template parameters to deploy with; those that are missing keep their values.
        images: The images to have in the account's repositories: kind, and address.
    """

    parameters: dict[str, str]
    images: dict[Repository, str]

    def value(self, name: str) -> str:
        """Return a parameter, or the template's default."""
        return self.parameters.get(name) or defaults().get(name, "")


def environments(file: Path = CONFIG) -> list[str]:
    """Return the names of the environments in samconfig.toml."""
    return [name for name in _read(file) if name not in ("version", DEFAULT_ENVIRONMENT)]


def environment(name: str, file: Path = CONFIG) -> Environment:
    """Return a section of samconfig.toml, as sam reads it.

    Raises:
        LoupeError: There is no such section, or the file cannot be read.
    """
    document = _read(file)
    if name not in document:
        raise LoupeError(
            f"there is no environment {name!r} in {file}", f"There is {', '.join(environments(file))}."
        )
    section = document[name]
    # `global` holds for all of sam's commands, and the command's own section comes before it.
    settings = section.get("global", {}).get("parameters", {}) | section.get("deploy", {}).get(
        "parameters", {}
    )
    overrides = settings.get("parameter_overrides", [])
    return Environment(name, settings.get("stack_name", "loupe"), parse_overrides(overrides))


def parse_overrides(overrides: str | Sequence[str]) -> dict[str, str]:
    """Return template parameters from NAME=VALUE.

    Raises:
        LoupeError: One of them has no equals sign.

    >>> parse_overrides(["LogRetentionDays=7", "RetrainSchedule=rate(7 days)"])
    {'LogRetentionDays': '7', 'RetrainSchedule': 'rate(7 days)'}
    """
    words = shlex.split(overrides) if isinstance(overrides, str) else overrides
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise LoupeError(f"{word!r} is not NAME=VALUE", "For example: --parameter LogRetentionDays=90")
        found[name] = value.strip('"')
    return found


def settle(account: Account, stack: Stack | None, wishes: Wishes) -> Settings:
    """Return what the stack is to be.

    What the options say comes first, then the environment, then what the stack has, then the template's defaults.

    Raises:
        LoupeError: This is an installed package without what images are made of, and no image is given.
        UnsuitableInstanceError: Our images do not run on the endpoint's instance type.
    """
    known = template()["Parameters"]
    had = {name: value for name, value in (stack.parameters if stack else {}).items() if name in known}
    chosen = had | (wishes.environment.parameters if wishes.environment else {}) | dict(wishes.parameters)
    if "UniquePart" in known:
        # A stack keeps the names that it has, also one of before this parameter.
        chosen["UniquePart"] = had.get("UniquePart") or ("last" if had else "first")
    own: dict[Repository, str] = {}
    kind: Repository | None = None
    instance_type = chosen.get("HostingInstanceType") or defaults()["HostingInstanceType"]
    if serving := _own_image(account, wishes.serving_image, "ServingImageUri", wishes, chosen):
        chosen["ServingImageUri"] = serving
    else:
        kind = instances.instance(instance_type, "endpoint").serving_image
        own[kind] = chosen["ServingImageUri"] = account.image_uri(kind, images.tag(kind))
    if training := _own_image(account, wishes.training_image, "TrainingImageUri", wishes, chosen):
        chosen["TrainingImageUri"] = training
    else:
        own["train"] = chosen["TrainingImageUri"] = account.image_uri("train", images.tag("train"))
    if "InferenceAmiVersion" not in _given(wishes):
        chosen["InferenceAmiVersion"] = _host_image(instance_type, kind, chosen)
    return Settings(chosen, own)


def _given(wishes: Wishes) -> Mapping[str, str]:
    return (wishes.environment.parameters if wishes.environment else {}) | dict(wishes.parameters)


def _own_image(
    account: Account, option: str | None, name: str, wishes: Wishes, chosen: Mapping[str, str]
) -> str | None:
    """Return the user's own image; None if the image is to be built."""
    if option:
        return option
    if given := _given(wishes).get(name):
        return given
    former = chosen.get(name, "")
    # An image of the stack's own repositories is one that was built, and is built anew.
    ours = f".dkr.ecr.{account.region}.amazonaws.com/{account.stack}/"
    return former if former and ours not in former else None


def _host_image(instance_type: str, kind: Repository | None, chosen: Mapping[str, str]) -> str:
    """Return the host's machine image: what our image needs, or what the stack has for the user's own."""
    if kind is None:
        return chosen.get("InferenceAmiVersion", "")
    try:
        return instances.instance(instance_type).host_image or ""
    except UnsuitableInstanceError:
        return chosen.get("InferenceAmiVersion", "")


def problems(parameters: Mapping[str, str]) -> list[str]:
    """Return what is wrong with template parameters, as CloudFormation would say it after the build."""
    known, found = template()["Parameters"], []
    for name, value in parameters.items():
        if name not in known:
            found.append(f"the template has no parameter {name}")
        elif reason := _problem(known[name], value):
            found.append(f"{name}={value}: {reason}")
    return found


def _problem(declared: Mapping[str, Any], value: str) -> str | None:
    if allowed := declared.get("AllowedValues"):
        texts = [str(each) for each in allowed]
        return None if value in texts else f"must be one of {', '.join(texts)}"
    if (pattern := declared.get("AllowedPattern")) and not re.fullmatch(pattern, value):
        return str(declared.get("ConstraintDescription", f"must match {pattern}"))
    if declared.get("Type") != "Number":
        return None
    try:
        number = float(value)
    except ValueError:
        return "must be a number"
    least, most = declared.get("MinValue"), declared.get("MaxValue")
    if (least is not None and number < least) or (most is not None and number > most):
        return f"must be from {least} to {most}"
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LoupeError(
            f"{file} cannot be read: {error}", "Correct it, or take it from the repository."
        ) from error
