"""The dashboard's site in the local cloud: sign-in, the API's authoriser, pictures, and what it refuses."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud import Connection
from localcloud.home import administrator, one_time
from localcloud.template import parse
from tests.system.cloud_process import CloudProcess, wait_until_saved
from tests.system.site_client import Client, claims, forge, pool_key, signed_in_administrator

pytestmark = pytest.mark.system
REPOSITORY = Path(__file__).parents[2]
PICTURE = b"\xff\xd8\xff a picture"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A local cloud with the real template and functions; no model."""
    process = CloudProcess(tmp_path_factory.mktemp("site"), REPOSITORY)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def cloud(process: CloudProcess) -> Connection:
    return process.connection


@pytest.fixture(scope="module")
def admin(process: CloudProcess) -> Client:
    """The ready-made administrator, signed in."""
    return signed_in_administrator(process)


def session(cloud: Connection, token: str | None, **headers: str) -> int:
    """Return the status of the answer to who asks."""
    return Client(cloud.site_url, token).send("GET", "/api/session", **headers).status


# --- signing in ---


def test_a_one_time_code_signs_the_administrator_in_once(process: CloudProcess):
    client, code = Client(process.connection.site_url), one_time.create(process.home)

    reply = client.send("POST", "/api/session/one-time", {"code": code})
    assert reply.status == 200
    assert reply.json["user"]["name"] == "admin"
    assert "HttpOnly" in reply.headers["set-cookie"]
    assert session(process.connection, reply.json["token"]) == 200

    again = client.send("POST", "/api/session/one-time", {"code": code})
    assert (again.status, again.json["error"]["code"]) == (401, "bad_code")


@pytest.mark.parametrize("code", ["x" * 43, "", "../../cloud.json", "\ud800", None, 7, {"a": 1}])
def test_nothing_else_is_a_code(cloud: Connection, code: Any):
    reply = Client(cloud.site_url).send("POST", "/api/session/one-time", {"code": code})
    assert reply.status in (400, 401)


def test_the_link_also_works_when_the_password_was_changed(process: CloudProcess):
    cloud = process.connection
    cloud.client("cognito-idp").admin_set_user_password(
        UserPoolId=cloud.outputs["UserPoolId"], Username="admin", Password="Another-one-123", Permanent=True
    )
    code = one_time.create(process.home)
    assert Client(cloud.site_url).send("POST", "/api/session/one-time", {"code": code}).status == 200


def test_the_cookie_renews_the_session(admin: Client, process: CloudProcess):
    reply = admin.sign_in(administrator.USER, administrator.password(process.home))
    cookie = reply.headers["set-cookie"].split(";")[0]
    renewed = Client(admin.url).send(
        "POST", "/api/session/refresh", cookie=cookie, x_requested_with="loupe", cookie2="a=b"
    )
    assert renewed.status == 200
    assert renewed.json["user"]["name"] == "admin"


def test_signing_out_ends_the_session(process: CloudProcess):
    client = Client(process.connection.site_url)
    reply = client.sign_in(administrator.USER, administrator.password(process.home))
    sent = {"cookie": reply.headers["set-cookie"].split(";")[0], "x_requested_with": "loupe"}
    assert client.send("DELETE", "/api/session", **sent).status == 204
    assert client.send("POST", "/api/session/refresh", **sent).status == 401


def test_the_administrators_password_is_for_the_owner_only(process: CloudProcess):
    assert (process.home / administrator.FILE_NAME).stat().st_mode & 0o077 == 0


# --- the authoriser ---


def test_a_token_that_the_pool_has_signed_is_accepted(
    cloud: Connection, admin: Client, process: CloudProcess
):
    assert admin.token
    key = pool_key(process.home, cloud.outputs["UserPoolId"])
    assert session(cloud, admin.token) == 200
    assert (
        session(cloud, forge(admin.token, key)) == 200
    )  # so what follows is refused for what is changed in it


def forgeries(token: str, home: Path, cloud: Connection) -> dict[str, str | None]:
    """Return tokens that must be refused, by what is wrong with them."""
    pool, now = cloud.outputs["UserPoolId"], int(time.time())
    key = pool_key(home, pool)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header, body, signature = token.split(".")
    middle = len(signature) // 2  # the last characters also hold bits that mean nothing
    other = "A" if signature[middle] != "A" else "B"
    return {
        "missing": None,
        "empty": "",
        "no token": "x.y.z",
        "expired": forge(token, key, exp=now - 1),
        "of the future": forge(token, key, nbf=now + 600),
        "another signature": f"{header}.{body}.{signature[:middle]}{other}{signature[middle + 1 :]}",
        "no signature": f"{header}.{body}.",
        "more groups": forge(token, None, **{"cognito:groups": ["admin"], "username": "eve"}),
        "alg none": forge(token, None, {"alg": "none"}).rpartition(".")[0] + ".",
        "alg HS256": forge(token, None, {"alg": "HS256"}),
        "a stranger's key": forge(token, stranger),
        "an unknown key": forge(token, stranger, {"kid": "x"}),
        "another audience": forge(token, key, client_id="another"),
        "no audience": forge(token, key, client_id=None),
        "another issuer": forge(token, key, iss=claims(token)["iss"] + "x"),
        "identity token": forge(token, key, token_use="id", aud=claims(token)["client_id"]),
        "refresh token": forge(token, key, token_use="refresh"),
    }


@pytest.mark.promise(32)
def test_every_other_token_is_refused(cloud: Connection, admin: Client, process: CloudProcess):
    assert admin.token
    answered = {
        wrong: session(cloud, token) for wrong, token in forgeries(admin.token, process.home, cloud).items()
    }
    assert answered == dict.fromkeys(answered, 401)


@pytest.mark.promise(32)
def test_the_identity_and_refresh_tokens_of_a_session_are_refused(cloud: Connection, process: CloudProcess):
    result = cloud.client("cognito-idp").initiate_auth(
        ClientId=cloud.outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "admin", "PASSWORD": administrator.password(process.home)},
    )["AuthenticationResult"]
    assert session(cloud, result["AccessToken"]) == 200
    assert session(cloud, result["IdToken"]) == 401
    assert session(cloud, result["RefreshToken"]) == 401


@pytest.mark.promise(32)
def test_a_token_of_another_client_or_pool_is_refused(cloud: Connection):
    cognito = cloud.client("cognito-idp")
    other_pool = cognito.create_user_pool(PoolName="other")["UserPool"]["Id"]
    try:
        for pool in (cloud.outputs["UserPoolId"], other_pool):
            client = cognito.create_user_pool_client(
                UserPoolId=pool, ClientName="other", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
            )["UserPoolClient"]["ClientId"]
            cognito.admin_create_user(UserPoolId=pool, Username="mallory", MessageAction="SUPPRESS")
            cognito.admin_set_user_password(
                UserPoolId=pool, Username="mallory", Password="Sufficient-1234", Permanent=True
            )
            token = cognito.initiate_auth(
                ClientId=client,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": "mallory", "PASSWORD": "Sufficient-1234"},
            )["AuthenticationResult"]["AccessToken"]
            assert session(cloud, token) == 401
    finally:
        cognito.delete_user_pool(UserPoolId=other_pool)


@pytest.mark.promise(32)
def test_a_user_without_a_group_is_known_and_may_nothing(cloud: Connection):
    pool, cognito = cloud.outputs["UserPoolId"], cloud.client("cognito-idp")
    cognito.admin_create_user(UserPoolId=pool, Username="nobody", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(
        UserPoolId=pool, Username="nobody", Password="Sufficient-1234", Permanent=True
    )
    client = Client(cloud.site_url)
    assert client.sign_in("nobody", "Sufficient-1234").status == 200
    assert client.send("GET", "/api/session").json == {"user": {"name": "nobody", "groups": []}}
    assert client.send("GET", "/api/places").status == 403


def test_wrong_credentials_are_refused_alike(cloud: Connection):
    client = Client(cloud.site_url)
    wrong, unknown = client.sign_in("admin", "no"), client.sign_in("who", "no")
    assert (wrong.status, unknown.status) == (401, 401)
    assert wrong.body == unknown.body


def test_the_cloud_itself_takes_nothing_but_a_sign_in_without_a_signature(cloud: Connection):
    target = "AWSCognitoIdentityProviderService."
    client, sign_in = Client(cloud.endpoint_url), {"x_amz_target": f"{target}InitiateAuth"}
    body = {"ClientId": cloud.outputs["UserPoolClientId"], "AuthFlow": "USER_PASSWORD_AUTH"}
    body["AuthParameters"] = {"USERNAME": "admin", "PASSWORD": "wrong"}
    assert b"NotAuthorizedException" in client.send("POST", "/", body, **sign_in).body
    bucket = cloud.outputs["ImagesBucketName"]
    refused = {
        "an operation of administrators": client.send("POST", "/", {}, x_amz_target=f"{target}ListUserPools"),
        "an object": client.send("PUT", f"/{bucket}/incoming/x", b"x", **sign_in),
        "a function": client.send("GET", "/2015-03-31/functions", **sign_in),
        "another page": client.send("POST", "/", body, origin="http://evil.example", **sign_in),
    }
    assert {case: reply.status for case, reply in refused.items()} == dict.fromkeys(refused, 403)


# --- pictures ---


@pytest.fixture(scope="module")
def link(cloud: Connection) -> str:
    """The path and query of a presigned link to a picture."""
    s3, bucket = cloud.client("s3"), cloud.outputs["ImagesBucketName"]
    key = "incoming/line 1/top/Größe #1.jpg"
    s3.put_object(Bucket=bucket, Key=key, Body=PICTURE, ContentType="text/html")
    url: str = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    return url.removeprefix(cloud.endpoint_url)


@pytest.mark.promise(31)
def test_a_presigned_picture_is_read_and_nothing_in_it_runs(cloud: Connection, link: str):
    reply = Client(cloud.site_url).send(
        "GET", link, cookie="loupe_refresh=secret", sec_fetch_site="same-origin"
    )
    assert (reply.status, reply.body) == (200, PICTURE)
    assert reply.headers.get_all("content-security-policy") == ["default-src 'none'; sandbox"]
    assert reply.headers.get_all("x-content-type-options") == ["nosniff"]
    assert Client(cloud.site_url).send("HEAD", link).status == 403  # the method is signed, too
    assert Client(cloud.site_url).send("GET", link, range="bytes=0-1").body == PICTURE[:2]


@pytest.mark.promise(32)
def test_only_the_signed_request_reads_it(cloud: Connection, link: str):
    client, path = Client(cloud.site_url), link.partition("?")[0]
    refused = {
        "unsigned": ("GET", path),
        "another signature": ("GET", link[:-4] + "0000"),
        "another key": ("GET", link.replace("line%201", "line%202")),
        "written": ("PUT", link),
        "deleted": ("DELETE", link),
        "the list of keys": ("GET", f"/{cloud.outputs['ImagesBucketName']}?list-type=2&X-Amz-Signature=0"),
        "models": ("GET", f"/{cloud.outputs['ArtefactsBucketName']}/models/x?X-Amz-Signature=0"),
    }
    answered = {case: client.send(*request).status for case, request in refused.items()}
    assert answered == dict.fromkeys(refused, 403)


def test_other_buckets_are_not_there(cloud: Connection):
    s3, bucket = cloud.client("s3"), cloud.outputs["DashboardBucketName"]
    s3.put_object(Bucket=bucket, Key="incoming/x", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "incoming/x"})
    assert Client(cloud.site_url).send("GET", url.removeprefix(cloud.endpoint_url)).status == 404


# --- what is refused, and how ---


def test_another_host_name_is_refused(cloud: Connection):
    for path in ("/", "/api/session"):
        assert Client(cloud.site_url).send("GET", path, host="evil.example").status == 403
    assert (
        Client(cloud.site_url).send("GET", "/api/session", host=f"localhost:{cloud.site_port}").status == 401
    )


@pytest.mark.promise(32)
@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}],
    ids=str,
)
def test_another_page_changes_nothing(cloud: Connection, admin: Client, headers: dict[str, str]):
    assert admin.send("DELETE", "/api/session", x_requested_with="loupe", **headers).status == 403
    assert admin.send("POST", "/api/session/one-time", {"code": "x"}, **headers).status == 403


def test_a_body_that_an_http_api_would_not_take_is_refused(cloud: Connection):
    reply = Client(cloud.site_url).send("POST", "/api/session", b"x" * (10 * 1024 * 1024 + 1))
    assert (reply.status, reply.json["error"]["code"]) == (413, "too_large")


def test_unknown_addresses_are_404(cloud: Connection, admin: Client):
    assert admin.send("GET", "/api/nothing").status == 404
    assert admin.send("GET", "/nothing").status == 404
    assert admin.send("GET", "/%2e%2e/%2e%2e/pyproject.toml").status == 404


def test_a_failing_api_is_counted_for_the_alarm(process: CloudProcess, cloud: Connection, admin: Client):
    functions, name = cloud.client("lambda"), cloud.outputs["ApiFunctionName"]
    handler = functions.get_function_configuration(FunctionName=name)["Handler"]
    functions.update_function_configuration(FunctionName=name, Handler="handlers.nothing.handler")
    try:
        assert admin.send("GET", "/api/session").status >= 500
    finally:
        # The description is only in the state with the right handler, which a kill must not lose.
        functions.update_function_configuration(
            FunctionName=name, Handler=handler, Description="Answers again."
        )
        wait_until_saved(process.home, "Answers again.", "lambda")
    metrics = cloud.client("cloudwatch").list_metrics(Namespace="AWS/ApiGateway", MetricName="5xx")["Metrics"]
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = [alarm["Dimensions"] for alarm in alarms if alarm["MetricName"] == "5xx"]
    assert [metric["Dimensions"] for metric in metrics] == watched
    assert admin.send("GET", "/api/session").status == 200


# --- across restarts: these come last, and end the cloud ---


def test_users_sessions_and_addresses_survive_a_kill(process: CloudProcess, admin: Client):
    cloud = process.connection
    pool, cognito = cloud.outputs["UserPoolId"], cloud.client("cognito-idp")
    cognito.admin_create_user(UserPoolId=pool, Username="maria", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(
        UserPoolId=pool, Username="maria", Password="Sufficient-1234", Permanent=True
    )
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="maria", GroupName="reviewer")
    maria = Client(cloud.site_url)
    cookie = maria.sign_in("maria", "Sufficient-1234").headers["set-cookie"].split(";")[0]
    # What is made later is saved with or after the session.
    cognito.admin_create_user(UserPoolId=pool, Username="later", MessageAction="SUPPRESS")
    wait_until_saved(process.home, "later", "cognito")
    process.kill()

    restarted = CloudProcess(process.home, REPOSITORY)
    try:
        assert restarted.connection.site_url == cloud.site_url
        assert session(restarted.connection, admin.token) == 200
        assert session(restarted.connection, maria.token) == 200
        renewed = maria.send("POST", "/api/session/refresh", cookie=cookie, x_requested_with="loupe")
        assert renewed.json["user"]["groups"] == ["viewer", "operator", "reviewer"]
        assert maria.sign_in("maria", "Sufficient-1234").status == 200
    finally:
        assert restarted.stop() == 0


NEW_TYPES = ("AWS::Cognito::", "AWS::ApiGatewayV2::", "AWS::CloudFront::")
NEW_NAMES = ("Track", "Api", "Statistics", "Reviews", "History", "DashboardBucket")


def earlier_version(folder: Path) -> Path:
    """Return a folder with the template as it was before the people's side."""
    template = parse((REPOSITORY / "template.yaml").read_text())
    removed = {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith(NEW_TYPES) or name.startswith(NEW_NAMES)
    }
    assert len(removed) > 30
    for section in ("Resources", "Outputs"):
        template[section] = {
            name: value
            for name, value in template[section].items()
            if name not in removed
            and not any(f'"{one}"' in json.dumps(value) for one in removed)
            and "Distribution" not in json.dumps(value)
        } | (
            {"DeadLetterQueuesPolicy": queues}
            if (queues := template[section].get("DeadLetterQueuesPolicy"))
            else {}
        )
    policy = template["Resources"]["DeadLetterQueuesPolicy"]["Properties"]
    policy["Queues"] = [queue for queue in policy["Queues"] if queue["Ref"] not in removed]
    table = template["Resources"]["InspectionsTable"]["Properties"]
    table["GlobalSecondaryIndexes"] = [
        index for index in table["GlobalSecondaryIndexes"] if index["IndexName"] not in ("by_serial", "by_id")
    ]
    table["AttributeDefinitions"] = [
        entry for entry in table["AttributeDefinitions"] if entry["AttributeName"] not in ("serial", "id")
    ]
    folder.mkdir()
    (folder / "template.yaml").write_text(json.dumps(template))
    for name in ("functions", "statemachine"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@pytest.mark.slow
def test_a_home_of_an_earlier_version_is_updated_and_keeps_its_records(tmp_path: Path):
    home = tmp_path / "home"
    process = CloudProcess(home, earlier_version(tmp_path / "earlier"))
    before = process.connection
    assert "UserPoolId" not in before.outputs
    record = {
        "image": {"S": "s3://b/k"},
        "version_id": {"S": "1"},
        "id": {"S": "abc"},
        "serial": {"S": "SN1"},
    }
    table = before.outputs["InspectionsTableName"]
    before.client("dynamodb").put_item(TableName=table, Item=record | {"time_id": {"S": "2026#abc"}})
    process.stop()
    # A connection of that version knows no site.
    file = home / "cloud.json"
    stored = json.loads(file.read_text())
    del stored["site_port"]
    file.write_text(json.dumps(stored))

    process = CloudProcess(home, REPOSITORY)
    try:
        cloud = process.connection
        assert cloud.outputs["InspectionsTableName"] == table
        found = cloud.client("dynamodb").query(
            TableName=table,
            IndexName="by_id",
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": {"S": "abc"}},
        )
        assert found["Count"] == 1
        client = Client(cloud.site_url)
        assert client.sign_in("admin", administrator.password(home)).status == 200
    finally:
        process.stop()
