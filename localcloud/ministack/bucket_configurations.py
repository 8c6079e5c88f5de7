"""Buckets have the lifecycle rules and the encryption of their template, and clients' rules keep their prefix.

MiniStack's CloudFormation leaves both properties out. A rule of the older form, whose prefix is beside the filter,
would be read as one for the whole bucket. Nothing expires on a laptop; but whoever reads a bucket's rules reads what
the template or a client has set.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from ministack.services import s3
from ministack.services.cloudformation import provisioners

_NAMESPACE = {"s3": s3.S3_NS}
# CloudFormation's property of a rule -> where S3 has it. Properties of the same element are parts of it:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html
_ELEMENTS = {
    "ExpirationInDays": ("Expiration", "Days"),
    "ExpirationDate": ("Expiration", "Date"),
    "ExpiredObjectDeleteMarker": ("Expiration", "ExpiredObjectDeleteMarker"),
    "NoncurrentVersionExpirationInDays": ("NoncurrentVersionExpiration", "NoncurrentDays"),
}
_STRUCTURES = ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
_TRANSITIONS = {
    "Transition": {"TransitionInDays": "Days", "TransitionDate": "Date", "StorageClass": "StorageClass"},
    "NoncurrentVersionTransition": {
        "TransitionInDays": "NoncurrentDays",
        "NewerNoncurrentVersions": "NewerNoncurrentVersions",
        "StorageClass": "StorageClass",
    },
}
_SIZES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")


def apply() -> None:
    """Patch MiniStack's table of the properties of a bucket, and how it takes a client's rules."""
    put = _with_filters(s3._put_bucket_lifecycle)
    s3._put_bucket_lifecycle = put
    provisioners._S3_BUCKET_CONFIGURATIONS += (
        ("LifecycleConfiguration", lifecycle, _or_fail(put), s3._delete_bucket_lifecycle),
        ("BucketEncryption", encryption, _or_fail(s3._put_bucket_encryption), s3._delete_bucket_encryption),
    )


def lifecycle(configuration: Mapping[str, Any]) -> bytes:
    """Return a template's LifecycleConfiguration as the body of PutBucketLifecycleConfiguration."""
    root = Element("LifecycleConfiguration", xmlns=s3.S3_NS)
    for rule in configuration.get("Rules") or []:
        element = SubElement(root, "Rule")
        SubElement(element, "ID").text = str(rule.get("Id") or uuid.uuid4())
        SubElement(element, "Status").text = str(rule.get("Status"))
        _add_filter(element, rule)
        _add_actions(element, rule)
    return bytes(tostring(root, encoding="utf-8"))


def encryption(configuration: Mapping[str, Any]) -> bytes:
    """Return a template's BucketEncryption as the body of PutBucketEncryption."""
    root = Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for rule in configuration.get("ServerSideEncryptionConfiguration") or []:
        element = SubElement(root, "Rule")
        _add_members(
            SubElement(element, "ApplyServerSideEncryptionByDefault"),
            rule.get("ServerSideEncryptionByDefault") or {},
            {"SSEAlgorithm": "SSEAlgorithm", "KMSMasterKeyID": "KMSMasterKeyID"},
        )
        _add_members(element, rule, {"BucketKeyEnabled": "BucketKeyEnabled"})
    return bytes(tostring(root, encoding="utf-8"))


def _add_filter(rule: Element, properties: Mapping[str, Any]) -> None:
    conditions = list(_conditions(properties))
    parent = SubElement(rule, "Filter")
    if len(conditions) > 1:
        parent = SubElement(parent, "And")
    if not conditions:
        SubElement(parent, "Prefix").text = ""
    for name, value in conditions:
        element = SubElement(parent, name)
        if name == "Tag":
            _add_members(element, value, {"Key": "Key", "Value": "Value"})
        else:
            element.text = str(value)


def _conditions(properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if properties.get("Prefix") is not None:
        yield "Prefix", properties["Prefix"]
    for tag in properties.get("TagFilters") or []:
        yield "Tag", tag
    for size in _SIZES:
        if properties.get(size) is not None:
            yield size, properties[size]


def _add_actions(rule: Element, properties: Mapping[str, Any]) -> None:
    for name, members in _TRANSITIONS.items():
        one = [properties[name]] if properties.get(name) else []
        for transition in [*(properties.get(f"{name}s") or []), *one]:
            _add_members(SubElement(rule, name), transition, members)
    for name, (parent, member) in _ELEMENTS.items():
        if properties.get(name) is not None:
            found = rule.find(parent)
            _add_members(SubElement(rule, parent) if found is None else found, properties, {name: member})
    for name in _STRUCTURES:
        if structure := properties.get(name):
            _add_members(SubElement(rule, name), structure, {member: member for member in structure})


def _add_members(parent: Element, values: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Add an element for each value that is there; `names` maps a key of the values to the element's name."""
    for key, name in names.items():
        if (value := values.get(key)) is not None:
            SubElement(parent, name).text = str(value).lower() if isinstance(value, bool) else str(value)


def _with_filters(put: Callable[[str, bytes], Any]) -> Callable[[str, bytes], Any]:
    """Return PutBucketLifecycleConfiguration that also takes the older form of a rule, and names one without an ID.

    S3 does both: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
    """

    def put_with_filters(name: str, body: bytes) -> Any:
        try:
            root = fromstring(body)
        except (ParseError, DefusedXmlException, ValueError):
            return s3._error("MalformedXML", s3._MALFORMED_XML, 400)
        rules = root.findall("s3:Rule", _NAMESPACE) or root.findall("Rule")
        for rule in rules:
            _complete(rule)
        return put(name, tostring(root, encoding="utf-8"))

    return put_with_filters


def _complete(rule: Element) -> None:
    namespace = rule.tag.removesuffix("Rule")
    prefix = rule.find(f"{namespace}Prefix")
    if prefix is not None and rule.find(f"{namespace}Filter") is None:
        rule.remove(prefix)
        SubElement(rule, f"{namespace}Filter").append(prefix)
    if not rule.findtext(f"{namespace}ID"):
        SubElement(rule, f"{namespace}ID").text = str(uuid.uuid4())


def _or_fail(put: Callable[[str, bytes], Any]) -> Callable[[str, bytes], None]:
    """Return a function that fails the stack if S3 refuses a property."""

    def put_or_fail(name: str, body: bytes) -> None:
        status, _, answer = put(name, body)
        if status >= 400:
            raise ValueError(
                f"AWS::S3::Bucket {name}: S3 refuses a property: {answer.decode(errors='replace')}"
            )

    return put_or_fail
