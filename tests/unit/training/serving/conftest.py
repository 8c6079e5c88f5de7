"""What the tests of the endpoint share."""

from __future__ import annotations

import pytest

from tests.unit.training.model.anomaly_models import anomaly_folder
from training.model.models import Models, load


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """An anomaly model, to which grey is good, and no detector."""
    return load(anomaly_folder(tmp_path_factory.mktemp("alone")), threads=1)
