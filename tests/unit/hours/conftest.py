"""The function on an account in memory."""

from collections.abc import Iterator

import pytest

from handlers import hours
from tests.unit.hours.stage import Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Return an account without an endpoint, and the function with hours in Berlin."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    yield Stage(monkeypatch)
    hours._keeper.cache_clear()
