"""The links to pictures and reports: they open in every region, through CloudFront, and on a laptop."""

from urllib.parse import parse_qs, urlsplit

import pytest

from inspection import clients


@pytest.fixture(autouse=True)
def _on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def link() -> str:
    target = {"Bucket": "press-images-01234567", "Key": "incoming/line-1/press/a b.jpg", "VersionId": "1"}
    return clients.s3().generate_presigned_url("get_object", Params=target)


@pytest.mark.parametrize(
    "region", ["us-east-1", "eu-central-1", "eu-south-2", "il-central-1", "ap-southeast-7"]
)
def test_a_link_names_the_bucket_by_its_regional_host_and_is_signed_for_the_region(
    region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The global host redirects or refuses; CloudFront asks the regional one (RegionalDomainName)."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    parts = urlsplit(link())
    assert parts.netloc == f"press-images-01234567.s3.{region}.amazonaws.com"
    assert parts.path == "/incoming/line-1/press/a%20b.jpg"
    assert parse_qs(parts.query)["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert f"/{region}/s3/aws4_request" in parse_qs(parts.query)["X-Amz-Credential"][0]


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_link_of_the_local_cloud_names_its_only_host(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv(variable, "http://localhost:4566")
    parts = urlsplit(link())
    assert (parts.netloc, parts.path.split("/")[1]) == ("localhost:4566", "press-images-01234567")
