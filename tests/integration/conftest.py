"""The handlers of inspection, on moto."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handlers import alert, inspect, patience
from tests.inspection_support import jpeg
from tests.integration.api_cloud import ApiCloud, start
from tests.integration.moto_cloud import DEFECT, REGION, Cloud, hook, make
from tests.integration.reconcile_stage import Stage
from tests.integration.reconcile_stage import start as start_stage


@pytest.fixture(scope="session", autouse=True)
def _no_patience() -> Iterator[None]:
    """Do not wait before a failed batch comes again: the tests deliver it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "sleep", lambda seconds: None)
        yield


@pytest.fixture(scope="module")
def _cloud() -> Iterator[Cloud]:
    credentials = {
        "AWS_ACCESS_KEY_ID": "AKIACANARYCREDENTIAL",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-of-the-function",
        "AWS_DEFAULT_REGION": REGION,
        "POWERTOOLS_SERVICE_NAME": "loupe",
        "POWERTOOLS_METRICS_NAMESPACE": "Loupe",
    }
    # moto would read the endpoint's images as text, so moto_cloud answers instead.
    core = {"mock_credentials": False, "passthrough": {"urls": [r"https://(api|runtime)\.sagemaker\."]}}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in credentials.items():
            patch.setenv(name, value)
        boto3.setup_default_session()
        with mock_aws(config={"core": core}):
            cloud = make(patch)
            hook(cloud)
            inspect._inspector.cache_clear()
            alert._alerts.cache_clear()
            yield cloud
    inspect._inspector.cache_clear()
    alert._alerts.cache_clear()
    boto3.setup_default_session()


@pytest.fixture
def cloud(_cloud: Cloud) -> Cloud:
    _cloud.reset()
    return _cloud


@pytest.fixture
def defect(cloud: Cloud) -> dict[str, Any]:
    """Return the announcement of an image with a defect."""
    return cloud.put("incoming/line-1/top/SN1.jpg", jpeg(shade=DEFECT))


@pytest.fixture(scope="module")
def _api_cloud() -> Iterator[ApiCloud]:
    with pytest.MonkeyPatch.context() as patch:
        yield from start(patch)


@pytest.fixture
def api_cloud(_api_cloud: ApiCloud) -> ApiCloud:
    """What the API works on, without any record."""
    _api_cloud.reset()
    return _api_cloud


@pytest.fixture(scope="module")
def _stage(_cloud: Cloud) -> Iterator[Stage]:
    yield from start_stage(_cloud)


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    _stage.reset()
    return _stage
