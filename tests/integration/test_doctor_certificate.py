"""What the doctor says about the certificate of the dashboard's own domain, on moto, which reads certificates."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from moto import mock_aws

from loupe.account.account import Account
from loupe.doctor import aws
from loupe.doctor.examination import Result, examine
from loupe.doctor.patient import Patient
from loupe.stack.target import Target


def imported(days: int) -> str:
    """Return the ARN of a certificate that is valid for some days more."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loupe.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    acm = boto3.client("acm", region_name="us-east-1")
    arn: str = acm.import_certificate(Certificate=certificate.public_bytes(pem), PrivateKey=private)[
        "CertificateArn"
    ]
    return arn


@pytest.mark.parametrize(("days", "result"), [(10, Result.PROBLEM), (300, Result.OK)])
@mock_aws
def test_a_certificate_that_expires_soon_is_named(days: int, result: Result) -> None:
    session = boto3.Session(region_name="eu-central-1")
    parameters = {"DashboardCertificateArn": imported(days)}
    account = Account(session, None, "loupe")
    patient = Patient(account, Target(session, None, {}, "loupe"), "", {}, parameters, [])
    (finding,) = examine([aws.certificate], patient)
    assert finding.result is result
    expected = "expires on" if result is Result.PROBLEM else "valid until"
    assert expected in finding.text
