"""Where the local cloud's state is, unless an option or LOUPE_HOME names another folder."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_state_path


def default_home() -> Path:
    """Return the private folder that contains the local cloud's state."""
    return user_state_path("loupe", appauthor=False)
