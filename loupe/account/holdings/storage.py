"""What people would miss: buckets, tables and the user pool. They outlive the stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from loupe.account.holdings.scope import Item, Scope, Work, existing, is_missing, size

# More are not counted: a page of a thousand takes about a fifth of a second.
_MOST_COUNTED = 100_000
# S3's limit for one request: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_BATCH = 1000


class Content(NamedTuple):
    """What is in a bucket, under a prefix.

    Attributes:
        objects: Versions of objects.
        markers: Delete markers.
        bytes: The size of the versions.
        all: Whether everything was counted.
    """

    objects: int
    markers: int
    bytes: int
    all: bool

    @property
    def text(self) -> str:
        """The content in words."""
        if not self.objects and not self.markers:
            return "empty"
        more = "" if self.all else "more than "
        versions = (
            f"{more}{self.objects:,} version{'' if self.objects == 1 else 's'} of objects, {size(self.bytes)}"
        )
        if not self.markers:
            return versions
        return f"{versions}, {self.markers:,} delete marker{'' if self.markers == 1 else 's'}"


def find_buckets(scope: Scope) -> list[Item]:
    """Return the buckets that exist, with what is in them."""
    client = scope.account.client("s3")
    names = scope.names("AWS::S3::Bucket", "ImagesBucketName", "ArtefactsBucketName", "DashboardBucketName")
    return [
        Item("bucket", name, count(client, name).text, data=True)
        for name in names
        if existing(client.head_bucket, Bucket=name)
    ]


def find_tables(scope: Scope) -> list[Item]:
    """Return the tables that exist, with what is in them; DynamoDB counts every six hours."""
    client = scope.account.client("dynamodb")
    outputs = ("InspectionsTableName", "StatisticsTableName", "ReviewsTableName", "HistoryTableName")
    items = []
    for name in scope.names("AWS::DynamoDB::Table", *outputs):
        if found := existing(client.describe_table, TableName=name):
            table = found["Table"]
            number = table.get("ItemCount", 0)
            items_text = f"about {number:,} item{'' if number == 1 else 's'}"
            content = f"{items_text}, {size(table.get('TableSizeBytes', 0))}"
            items.append(Item("table", name, content, data=True))
    return items


def find_user_pools(scope: Scope) -> list[Item]:
    """Return the user pools that exist, with the number of people in them."""
    client = scope.account.client("cognito-idp")
    items = []
    for name in scope.names("AWS::Cognito::UserPool", "UserPoolId"):
        if found := existing(client.describe_user_pool, UserPoolId=name):
            count = found["UserPool"].get("EstimatedNumberOfUsers", 0)
            items.append(Item("user pool", name, f"about {count:,} people", data=True))
    return items


def delete_bucket(work: Work, item: Item) -> None:
    """Empty a bucket and delete it."""
    client = work.account.client("s3")
    empty(work, client, item.name)
    existing(client.delete_bucket, Bucket=item.name)


def delete_table(work: Work, item: Item) -> None:
    """Delete a table, and wait until it is gone."""
    client = work.account.client("dynamodb")
    delay = 1 if work.account.local else 10
    found = existing(client.describe_table, TableName=item.name)
    if found and found["Table"]["TableStatus"] != "DELETING":
        # DynamoDB deletes no table that is still created or changed.
        client.get_waiter("table_exists").wait(TableName=item.name, WaiterConfig={"Delay": delay})
        existing(client.delete_table, TableName=item.name)
    client.get_waiter("table_not_exists").wait(
        TableName=item.name, WaiterConfig={"Delay": delay, "MaxAttempts": 60}
    )


def delete_user_pool(work: Work, item: Item) -> None:
    """Delete a user pool with the people in it."""
    existing(work.account.client("cognito-idp").delete_user_pool, UserPoolId=item.name)


def count(client: Any, bucket: str, prefix: str = "") -> Content:
    """Count what is in a bucket, up to a limit."""
    objects = markers = volume = 0
    for page in _pages(client, bucket, prefix):
        versions = page.get("Versions", [])
        objects += len(versions)
        volume += sum(version["Size"] for version in versions)
        markers += len(page.get("DeleteMarkers", []))
        if objects + markers >= _MOST_COUNTED:
            return Content(objects, markers, volume, all=not page.get("IsTruncated"))
    return Content(objects, markers, volume, all=True)


def empty(work: Work, client: Any, bucket: str, prefix: str = "") -> None:
    """Delete every version, every delete marker and every unfinished upload in a bucket, under a prefix.

    Raises:
        ClientError: S3 refused to delete an object.
    """
    deleted = 0
    for page in _pages(client, bucket, prefix):
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        batch = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if not batch:
            continue
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        for error in answer.get("Errors", []):
            raise ClientError({"Error": error}, "DeleteObjects")
        deleted += len(batch)
        work.tell(f"bucket {bucket}: {deleted:,} versions and markers deleted")
    for upload in _uploads(client, bucket, prefix):
        existing(client.abort_multipart_upload, Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def _pages(client: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": _BATCH}
    )
    yield from _until_missing(pages)


def _uploads(client: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for page in _until_missing(pages):
        yield from page.get("Uploads", [])


def _until_missing(pages: Any) -> Iterator[dict[str, Any]]:
    try:
        yield from pages
    except ClientError as error:
        if not is_missing(error):
            raise
