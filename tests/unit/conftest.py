"""Unit tests run without a network: a socket that is opened fails the test."""

import hypothesis
import pytest
from pytest_socket import disable_socket

# Two workers share two cores: how long an example takes, or drawing it, says nothing of the code. Half of hypothesis'
# own number of examples: the tests together must take minutes, and a property that needs more says so itself.
hypothesis.settings.register_profile(
    "loupe", max_examples=50, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("loupe")


@pytest.fixture(autouse=True)
def _no_sockets() -> None:
    disable_socket(allow_unix_socket=True)  # asyncio needs a socket pair
