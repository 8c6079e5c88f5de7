"""Checks of what only an AWS account has: credentials, instances, quotas, images in ECR, people, the public page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError

from contract.instances import UnsuitableInstanceError, instance
from localcloud.site import files
from localcloud.sources import REPOSITORY
from loupe.account import manifests
from loupe.account import quotas as account_quotas
from loupe.account.account import Account
from loupe.account.settings import Settings
from loupe.doctor.examination import Check, Finding, ok, problem, warning
from loupe.doctor.patient import Patient
from loupe.errors import LoupeError
from loupe.stack import endpoint as stack_endpoint
from loupe.stack import scaling
from loupe.stack.users import users

# AWS refuses signatures whose time differs by more than five minutes.
# https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
_MOST_SKEW, _SOME_SKEW = timedelta(minutes=5), timedelta(minutes=1)
_CERTIFICATE_DAYS = 30
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR = re.compile(
    r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.[\w.]+/(?P<repository>[^:@]+):(?P<tag>[\w.-]+)$"
)
_IMAGES = ("ServingImageUri", "TrainingImageUri")


def credentials(patient: Patient) -> Iterator[Finding]:
    """AWS knows who calls."""
    yield ok(f"{patient.account.identity['Arn']}, region {patient.account.region}")


def clock(patient: Patient) -> Iterator[Finding]:
    """This machine's clock is right; AWS refuses calls that are minutes off."""
    yield clock_finding(patient.account)


def clock_finding(account: Account) -> Finding:
    """Return how far this machine's clock is from AWS's."""
    headers = account.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
    if "date" not in headers:
        return ok("AWS did not tell its time")
    skew = abs(datetime.now(UTC) - parsedate_to_datetime(headers["date"]))
    text = f"this machine's clock is {skew.total_seconds():.0f} seconds off"
    if skew > _MOST_SKEW:
        return problem(f"{text}, and AWS refuses calls", "timedatectl set-ntp true")
    return (
        warning(text, "timedatectl set-ntp true")
        if skew > _SOME_SKEW
        else ok("this machine's clock is right")
    )


def instances(patient: Patient) -> Iterator[Finding]:
    """The endpoint's instance type, container image and host image belong together, now and after a retraining."""
    found, parameters = stack_endpoint.describe(patient.target), patient.parameters
    names = ("HostingInstanceType", "InferenceAmiVersion", "ServingImageUri")
    values = {"the stack's parameters": tuple(parameters.get(name, "") for name in names)}
    if found:
        variant = found.config["ProductionVariants"][0]
        image = str(found.container.get("Image", ""))
        values["the endpoint"] = (
            variant.get("InstanceType", ""),
            variant.get("InferenceAmiVersion", ""),
            image,
        )
    wrong = False
    for place, (instance_type, host_image, image) in values.items():
        if text := _mismatch(instance_type, host_image, image):
            wrong = True
            yield problem(f"{place}: {text}", patient.update)
    if not wrong:
        yield ok(f"{parameters.get('HostingInstanceType', 'the instance type')} suits its images")


def _mismatch(instance_type: str, host_image: str, image: str) -> str | None:
    """Return what does not belong together; None if all does, or if it cannot be told."""
    if not instance_type:
        return None
    try:
        needed = instance(instance_type, "endpoint")
    except UnsuitableInstanceError as error:
        return str(error)
    match = _ECR.match(image)
    target = match["repository"].rpartition("/")[2] if match else ""
    if target in ("serve", "serve-gpu") and target != needed.serving_image:
        return f"{instance_type} needs the image {needed.serving_image}, not {image}"
    if match and needed.host_image and host_image != needed.host_image:
        return (
            f"{instance_type} needs the host image {needed.host_image}, not {host_image or 'the default one'}"
        )
    return None


def autoscaling(patient: Patient) -> Iterator[Finding]:
    """The endpoint grows with the number of images, if it may."""
    found, wanted = stack_endpoint.describe(patient.target), scaling.wanted(patient.target)
    if found is None or wanted is None or found.status != "InService":
        yield ok("there is nothing to scale now")
        return
    variant = str(found.config["ProductionVariants"][0]["VariantName"])
    registered = scaling.registered(patient.target, variant)
    if registered == wanted:
        yield ok(f"{wanted.least} to {wanted.most} instances")
    elif registered is None:
        yield problem(
            f"nothing is registered, so the endpoint stays at its size instead of {wanted.least} to {wanted.most}",
            patient.update,
        )
    else:
        yield warning(
            f"{registered.least} to {registered.most} instances are registered, and the stack says "
            f"{wanted.least} to {wanted.most}",
            patient.update,
        )


def quotas(patient: Patient) -> Iterator[Finding]:
    """The account's quotas are enough for the next swap, in which both models run, and for the functions."""
    found = account_quotas.check(patient.account, Settings(patient.parameters, {}))
    for each in found:
        yield (problem if each.level == "error" else warning)(each.message, each.hint)
    if not found:
        yield ok("enough for the endpoint, its swaps, a retraining, and the functions")


def images(patient: Patient) -> Iterator[Finding]:
    """The container images are in ECR, and of the kind that SageMaker takes."""
    uris = [uri for name in _IMAGES if (uri := patient.parameters.get(name))]
    wrong = [text for uri in uris if (text := _wrong_image(patient.account, uri))]
    for text in wrong:
        yield problem(text, patient.update)
    if not wrong:
        yield ok("those in the account's ECR are of the kind that SageMaker takes" if uris else "none is set")


def _wrong_image(account: Account, uri: str) -> str | None:
    """Return why SageMaker would refuse an image; None if it takes it, or if it is not the account's own."""
    match = _ECR.match(uri)
    if match is None or match["account"] != account.account_id:
        return None
    if match["region"] != account.region:
        return f"{uri} is in another region than the stack"
    try:
        manifests.check(account, match["repository"], match["tag"])
    except LoupeError as error:
        return str(error)
    return None


def subscriptions(patient: Patient) -> Iterator[Finding]:
    """Somebody receives the alarms, and every e-mail address is confirmed."""
    for output, what, option in (
        ("OperationsTopicArn", "alarms", "--operations-email"),
        ("DefectsTopicArn", "alerts about defects", "--alert-email"),
    ):
        pages = patient.target.sns.get_paginator("list_subscriptions_by_topic")
        found = [
            each
            for page in pages.paginate(TopicArn=patient.target.output(output))
            for each in page["Subscriptions"]
        ]
        pending = [each["Endpoint"] for each in found if each["SubscriptionArn"] == "PendingConfirmation"]
        for address in pending:
            yield warning(
                f"{address} has not confirmed to receive {what}",
                "The person opens the e-mail of AWS Notifications and follows its link.",
            )
        if not found and what == "alarms":
            yield warning(f"nobody receives the {what}", f"{patient.update} {option} ADDRESS")
        elif not pending:
            yield ok(f"{what}: {len(found)} subscription{'' if len(found) == 1 else 's'}")


def people(patient: Patient) -> Iterator[Finding]:
    """Somebody may open the dashboard."""
    found = users(patient.target)
    if found:
        yield ok(f"{len(found)} may open the dashboard")
    else:
        yield warning("nobody may open the dashboard", f"loupe users add NAME --group admin{patient.options}")


def page(patient: Patient) -> Iterator[Finding]:
    """The dashboard's page is published, and is the one of this version."""
    publish = f"loupe dashboard publish{patient.options}"
    built = files.folder(REPOSITORY) / "index.html"
    try:
        published = patient.target.s3.get_object(
            Bucket=patient.target.output("DashboardBucketName"), Key="index.html"
        )["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        yield problem("the dashboard's page is not published", publish)
        return
    if built.is_file() and built.read_bytes() != published:
        yield warning("the published page is of another version than this one", publish)
    else:
        yield ok("published, in this version")


def picture_links(patient: Patient) -> Iterator[Finding]:
    """Links to pictures are signed for the region in which the buckets are."""
    wrong = False
    for output in ("ImagesBucketName", "ArtefactsBucketName"):
        bucket = patient.target.output(output)
        # Empty means us-east-1: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        region = patient.target.s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
        if region != patient.account.region:
            wrong = True
            yield problem(
                f"{bucket} is in {region}, and links are signed for {patient.account.region}",
                f"AWS_REGION={region} loupe doctor{patient.options}",
            )
    if not wrong:
        yield ok(f"the buckets are in {patient.account.region}, as the links say")


def certificate(patient: Patient) -> Iterator[Finding]:
    """The certificate of the dashboard's own domain is valid, and stays so."""
    arn = patient.parameters.get("DashboardCertificateArn")
    if not arn:
        yield ok("the dashboard has CloudFront's own")
        return
    # CloudFront takes certificates from there only.
    client = patient.account.session.client(
        "acm", region_name="us-east-1", endpoint_url=patient.account.endpoint_url
    )
    found = client.describe_certificate(CertificateArn=arn)["Certificate"]
    look = f"aws acm describe-certificate --region us-east-1 --certificate-arn {arn}"
    ends = found.get("NotAfter")
    if found["Status"] != "ISSUED":
        yield problem(f"the certificate is {found['Status']}", look)
    elif ends and ends - datetime.now(UTC) < timedelta(days=_CERTIFICATE_DAYS):
        yield problem(f"the certificate expires on {ends:%Y-%m-%d}", look)
    else:
        yield ok(f"valid until {ends:%Y-%m-%d}" if ends else "valid")


CHECKS: tuple[Check[Patient], ...] = (
    *(credentials, clock, instances, autoscaling, quotas, images, subscriptions, people, page),
    *(picture_links, certificate),
)
