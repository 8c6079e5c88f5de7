"""Checks of the stack in the local cloud that only a laptop needs."""

from __future__ import annotations

from collections.abc import Iterator

from localcloud import connection, deploy
from localcloud.sources import REPOSITORY
from loupe.doctor.examination import Check, Finding, ok, warning
from loupe.doctor.patient import Patient


def deployment(patient: Patient) -> Iterator[Finding]:
    """What runs is what this checkout, or this installation, contains."""
    if patient.account.home is None:
        return
    if deploy.is_current(connection(patient.account.home), REPOSITORY):
        yield ok(f"the template and the functions of {REPOSITORY}")
    else:
        yield warning(
            f"the template and the functions in {REPOSITORY} have changed since the local cloud was started",
            "loupe down, then loupe up --detach",
        )


CHECKS: tuple[Check[Patient], ...] = (deployment,)
