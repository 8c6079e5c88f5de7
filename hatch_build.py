"""What the build of the package adds to pyproject.toml: dependencies, and files that are not in a package."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

# Where localcloud/sources.py looks for the files.
_FILES = "localcloud/_repository"


class DependencyHook(MetadataHookInterface):
    """Takes the dependencies from the groups in pyproject.toml, so that no list stands twice there."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Let the package depend on the group `command`, its extra `train` on `torch`, and `notebook` on `notebook`."""
        groups = tomllib.loads(Path(self.root, "pyproject.toml").read_text())["dependency-groups"]
        metadata["dependencies"] = _requirements(groups, "command")
        metadata["optional-dependencies"] = {
            "train": _requirements(groups, "torch"),
            "notebook": _requirements(groups, "notebook"),
        }


def _requirements(groups: dict[str, list[Any]], name: str) -> list[str]:
    """Return the requirements of a group and of the groups that it includes, each once."""
    found: list[str] = []
    for entry in groups[name]:
        found += [entry] if isinstance(entry, str) else _requirements(groups, entry["include-group"])
    return list(dict.fromkeys(found))


class FilesHook(BuildHookInterface[Any]):
    """Copies files of the repository into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files; an editable install reads them in the repository.

        (tool.hatch.build.targets.wheel.force-include would copy them there too.)
        """
        if version != "editable":
            build_data["force_include"] |= {file: f"{_FILES}/{file}" for file in self.config["files"]}
