"""With a key of one's own a training's model and volume are encrypted by it, as far as SageMaker takes it."""

from typing import Any

import pytest

from tests.unit.retraining.account import Account
from tests.unit.retraining.planning import job, planned

KEY = "arn:aws:kms:us-east-1:000000000000:key/1234abcd"


def training(account: Account, key: str, instance: str) -> dict[str, Any]:
    return job(planned(account, encryption_key=key, training_instance_type=instance))


@pytest.mark.promise(24)
@pytest.mark.parametrize(("instance", "volume"), [("ml.c5.xlarge", KEY), ("ml.g5.xlarge", None)])
def test_the_request_of_a_training_names_the_key(account: Account, instance: str, volume: str | None) -> None:
    request = training(account, KEY, instance)
    assert request["OutputDataConfig"]["KmsKeyId"] == KEY
    assert request["ResourceConfig"].get("VolumeKmsKeyId") == volume


def test_without_a_key_the_request_of_a_training_names_none(account: Account) -> None:
    assert "Key" not in str(training(account, "", "ml.c5.xlarge")["OutputDataConfig"])
    assert "VolumeKmsKeyId" not in training(account, "", "ml.c5.xlarge")["ResourceConfig"]
