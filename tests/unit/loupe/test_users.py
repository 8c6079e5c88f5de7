"""The people who may use the dashboard, and its upload, on moto's Cognito, S3 and CloudFront."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from moto import mock_aws
from typer.testing import CliRunner, Result

from loupe import cli
from loupe.commands import dashboard as dashboard_command
from loupe.commands import users as users_command
from loupe.errors import LoupeError
from loupe.stack import dashboard, users
from loupe.stack.target import Target
from loupe.stack.users import Group

ADDRESS = "https://d111.cloudfront.net"


@pytest.fixture(scope="module")
def account() -> Iterator[Target]:
    """A stack whose user pool has the template's policy and groups. To make a pool takes moto a second."""
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name="us-east-1")
        cognito = session.client("cognito-idp")
        policy: Any = {
            "PasswordPolicy": {
                "MinimumLength": 12,
                "RequireUppercase": True,
                "RequireLowercase": True,
                "RequireNumbers": True,
                "RequireSymbols": False,
            }
        }
        pool = cognito.create_user_pool(PoolName="press", Policies=policy)["UserPool"]["Id"]
        for group in Group:
            cognito.create_group(UserPoolId=pool, GroupName=group)
        session.client("dynamodb").create_table(
            TableName="history",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("subject", "at_id")
            ],
            KeySchema=[
                {"AttributeName": "subject", "KeyType": "HASH"},
                {"AttributeName": "at_id", "KeyType": "RANGE"},
            ],
        )
        outputs = {"UserPoolId": pool, "DashboardUrl": ADDRESS, "HistoryTableName": "history"}
        yield Target(session, None, outputs)


@pytest.fixture
def stack(account: Target) -> Iterator[Target]:
    """The stack, without any user and history before and after a test."""
    yield account
    pool, table = account.output("UserPoolId"), account.dynamodb.Table("history")
    for user in users.users(account):
        account.cognito.admin_delete_user(UserPoolId=pool, Username=user.name)
    for entry in table.scan()["Items"]:
        table.delete_item(Key={"subject": entry["subject"], "at_id": entry["at_id"]})


@pytest.fixture
def run(stack: Target, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on the stack."""
    for module in (users_command, dashboard_command):
        monkeypatch.setattr(module, "open_target", lambda name, home: stack)

    def run(*words: str) -> Result:
        return CliRunner().invoke(cli.app, [*words, "--stack", "press"])

    return run


# --- users ---


def test_a_new_user_gets_a_temporary_password_and_the_group(stack: Target):
    password = users.add(stack, "maria", Group.REVIEWER, "maria@example.com")

    (user,) = users.users(stack)
    assert (user.name, user.groups, user.email) == ("maria", ["reviewer"], "maria@example.com")
    assert user.state == "FORCE_CHANGE_PASSWORD"
    assert len(password) >= 12


def test_no_two_passwords_are_alike_and_each_satisfies_the_pools_policy(stack: Target):
    passwords = {users.add(stack, f"user{number}", Group.VIEWER) for number in range(10)}
    assert len(passwords) == 10
    for password in passwords:
        assert any(map(str.isupper, password))
        assert any(map(str.islower, password))
        assert any(map(str.isdigit, password))


def test_a_user_is_added_once(stack: Target):
    users.add(stack, "maria", Group.VIEWER)
    with pytest.raises(LoupeError, match="there is a user maria already") as refused:
        users.add(stack, "maria", Group.ADMIN)
    assert "loupe users group maria" in refused.value.hint
    assert users.users(stack)[0].groups == ["viewer"]


@pytest.mark.parametrize("name", ["", "maria weber", "maria\n", "a\u200b", "x" * 129])
def test_a_name_that_cognito_does_not_accept_is_refused(stack_without_account: Target, name: str):
    with pytest.raises(LoupeError, match="no spaces"):
        users.add(stack_without_account, name, Group.VIEWER)


@pytest.mark.parametrize("email", ["", "maria", "maria@", "a b@example.com", "a@b@example.com"])
def test_an_address_that_is_none_is_refused(stack_without_account: Target, email: str):
    with pytest.raises(LoupeError, match="no e-mail address"):
        users.add(stack_without_account, "maria", Group.VIEWER, email)


@pytest.mark.parametrize("name", ["maria", "maria@example.com", "Jürgen", "王", "o'neill_2"])
def test_other_names_are_accepted(stack: Target, name: str):
    users.add(stack, name, Group.VIEWER)
    assert [user.name for user in users.users(stack)] == [name]


def test_a_user_is_in_one_group_after_a_move(stack: Target):
    users.add(stack, "maria", Group.ADMIN)
    users.move(stack, "maria", Group.VIEWER)
    assert users.users(stack)[0].groups == ["viewer"]
    users.move(stack, "maria", Group.VIEWER)
    assert users.users(stack)[0].groups == ["viewer"]


def test_a_lost_password_is_replaced(stack: Target):
    first = users.add(stack, "maria", Group.VIEWER)
    stack.cognito.admin_set_user_password(
        UserPoolId=stack.output("UserPoolId"), Username="maria", Password="Chosen-by-her-1", Permanent=True
    )
    assert users.users(stack)[0].state == "CONFIRMED"
    assert users.reset_password(stack, "maria") != first
    assert users.users(stack)[0].state == "FORCE_CHANGE_PASSWORD"


def test_a_removed_user_is_gone(stack: Target):
    users.add(stack, "maria", Group.VIEWER)
    users.remove(stack, "maria")
    assert users.users(stack) == []


def test_the_history_says_who_changed_a_user(stack: Target):
    password = users.add(stack, "maria", Group.VIEWER)
    users.move(stack, "maria", Group.ADMIN)
    password += users.reset_password(stack, "maria")
    users.remove(stack, "maria")

    entries = stack.dynamodb.Table("history").query(KeyConditionExpression=Key("subject").eq("user#maria"))[
        "Items"
    ]
    changes = [(entry["action"], entry.get("old"), entry.get("new")) for entry in entries]
    assert changes == [
        ("added", None, "viewer"),
        ("moved", "viewer", "admin"),
        ("password_reset", None, None),
        ("removed", None, None),
    ]
    assert {entry["by"] for entry in entries} == {stack.identity.rpartition("/")[2]}
    assert not any(password[:16] in str(entry) or password[16:] in str(entry) for entry in entries)


def test_an_unknown_user_is_named(stack: Target):
    for change in (
        lambda: users.remove(stack, "nobody"),
        lambda: users.reset_password(stack, "nobody"),
        lambda: users.move(stack, "nobody", Group.ADMIN),
    ):
        with pytest.raises(LoupeError, match="there is no user nobody"):
            change()


def test_more_users_than_a_page_of_cognitos_lists_are_listed(stack: Target):
    for number in range(65):
        users.add(stack, f"user{number:02}", Group.OPERATOR)
    found = users.users(stack)
    assert [user.name for user in found] == [f"user{number:02}" for number in range(65)]
    assert all(user.groups == ["operator"] for user in found)


def test_the_commands_show_the_password_once_and_what_comes_next(run: Any, stack: Target):
    added = run("users", "add", "maria", "--group", "reviewer")
    assert added.exit_code == 0
    (line,) = [line for line in added.stdout.splitlines() if "Temporary password" in line]
    password = line.split()[-1]
    assert ADDRESS in added.stdout

    listed = run("users", "list")
    assert "maria" in listed.stdout
    assert "reviewer" in listed.stdout
    assert password not in listed.stdout


def test_the_commands_have_json(run: Any):
    added = json.loads(run("users", "add", "maria", "--group", "admin", "--json").stdout)
    assert added.keys() == {"user", "temporary_password", "dashboard"}
    (listed,) = json.loads(run("users", "list", "--json").stdout)
    assert (listed["name"], listed["groups"]) == ("maria", ["admin"])
    assert json.loads(run("users", "group", "maria", "viewer", "--json").stdout)["group"] == "viewer"
    assert json.loads(run("users", "password", "maria", "--json").stdout)["user"] == "maria"
    assert json.loads(run("users", "remove", "maria", "--json").stdout) == {"removed": "maria"}


def test_a_group_that_there_is_not_is_a_wrong_command_line(run: Any):
    assert run("users", "add", "maria", "--group", "owner").exit_code == 2


# --- the page ---


@pytest.fixture
def site(stack: Target) -> Iterator[Target]:
    """The stack, with a bucket and a distribution for the page."""
    stack.s3.create_bucket(Bucket="page")
    distribution = stack.cloudfront.create_distribution(
        DistributionConfig={
            "CallerReference": str(uuid.uuid4()),
            "Comment": "",
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "page",
                        "DomainName": "page.s3.amazonaws.com",
                        "S3OriginConfig": {"OriginAccessIdentity": ""},
                    }
                ],
            },
            "DefaultCacheBehavior": {"TargetOriginId": "page", "ViewerProtocolPolicy": "https-only"},
        }
    )["Distribution"]["Id"]
    yield replace(
        stack, outputs=stack.outputs | {"DashboardBucketName": "page", "DistributionId": distribution}
    )
    for entry in stack.s3.list_objects_v2(Bucket="page").get("Contents", []):
        stack.s3.delete_object(Bucket="page", Key=entry["Key"])
    stack.s3.delete_bucket(Bucket="page")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "favicon.svg", "assets/index-1a2b.js", "assets/zeta-1a2b.css"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_the_page_is_published_with_its_types_and_the_start_last(site: Target, page: Path):
    sent: list[str] = []
    assert dashboard.publish(site, sent.append, page) == sent
    assert sent[-1] == "index.html"

    stored = {name: site.s3.head_object(Bucket="page", Key=name) for name in sent}
    types = {name: (one["ContentType"], one["CacheControl"]) for name, one in stored.items()}
    kept = "public, max-age=31536000, immutable"
    assert types == {
        "assets/index-1a2b.js": ("text/javascript; charset=utf-8", kept),
        "assets/zeta-1a2b.css": ("text/css; charset=utf-8", kept),
        "favicon.svg": ("image/svg+xml", "no-cache"),
        "index.html": ("text/html; charset=utf-8", "no-cache"),
    }
    invalidations = site.cloudfront.list_invalidations(DistributionId=site.output("DistributionId"))
    assert invalidations["InvalidationList"]["Quantity"] == 1


def test_files_of_a_former_page_stay_for_those_who_have_it_open(site: Target, page: Path):
    dashboard.publish(site, lambda name: None, page)
    (page / "assets" / "index-1a2b.js").rename(page / "assets" / "index-3c4d.js")
    dashboard.publish(site, lambda name: None, page)
    keys = {entry["Key"] for entry in site.s3.list_objects_v2(Bucket="page")["Contents"]}
    assert {"assets/index-1a2b.js", "assets/index-3c4d.js"} <= keys


def test_a_page_that_is_not_built_is_not_published(site: Target, tmp_path: Path):
    with pytest.raises(LoupeError, match="no built page") as refused:
        dashboard.publish(site, lambda name: None, tmp_path)
    assert "make dashboard" in refused.value.hint
    assert "Contents" not in site.s3.list_objects_v2(Bucket="page")


def test_the_dashboard_on_aws_is_opened_at_its_address(run: Any, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr(dashboard_command.webbrowser, "open", lambda link: bool(opened.append(link)) or True)
    assert run("dashboard", "--print").stdout.strip() == ADDRESS
    assert opened == []
    assert run("dashboard").stdout.strip() == ADDRESS
    assert opened == [ADDRESS]


def test_publishing_needs_a_stack_on_aws():
    done = CliRunner().invoke(cli.app, ["dashboard", "publish"])
    assert isinstance(done.exception, LoupeError)
    assert "--stack NAME" in done.exception.hint
