"""One local cloud and one Chromium for all tests: `make test-browser`."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from docs import browser as program
from tests.browser.factory import Factory, open_factory
from tests.browser.seat import PATIENCE_MS, Seat, Seen

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium with an empty profile."""
    if program.executable() is None:
        pytest.skip(f"there is no Chromium ({program.HINT})")
    with program.chromium() as (_, browser):
        yield browser


@pytest.fixture(scope="session")
def factory(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """A local cloud with the sample images, inspected."""
    factory = open_factory(tmp_path_factory.mktemp("browser"))
    yield factory
    factory.process.stop()


@pytest.fixture(scope="session")
def seen(factory: Factory) -> Seen:
    return Seen(factory.site)


@pytest.fixture
def seat(browser: Browser, factory: Factory, seen: Seen) -> Iterator[Callable[..., Seat]]:
    """Gives a person a browser window: by group, signed in; without one, signed out.

    Afterwards it checks what every page must keep: no error in the console, no dialog, and no other origin.
    """
    seats: list[Seat] = []

    def take(who: str | None = None) -> Seat:
        seats.append(Seat(browser, factory, seen))
        return seats[-1].sign_in(factory.people[who]) if who else seats[-1]

    yield take
    for each in seats:
        each.context.close()
    faults, seen.faults = seen.faults, []
    assert faults == []
