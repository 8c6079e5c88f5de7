"""Finds the files of the repository that the command works with: in a checkout, or in the installed package.

Python finds the packages of the repository by itself. The installed package contains the other files in a folder of
its own (tool.hatch in pyproject.toml).

Attributes:
    REPOSITORY: The folder that contains template.yaml, functions/, statemachine/, samples/ and models/.
    PACKAGES: The folder that contains contract/ and training/.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_INSTALLED = _HERE / "_repository"

PACKAGES = _HERE.parent
REPOSITORY = _INSTALLED if _INSTALLED.is_dir() else PACKAGES
