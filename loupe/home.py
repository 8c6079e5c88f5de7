"""Where files of the command are, unless an option or LOUPE_HOME names another folder."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_config_path, user_state_path


def default_home() -> Path:
    """Return the private folder that contains the local cloud's state."""
    return user_state_path("loupe", appauthor=False)


def config_folder() -> Path:
    """Return the folder for files that outlive every local cloud, because they are about stacks on AWS."""
    return user_config_path("loupe", appauthor=False)
