"""Rules for the people's side of template.yaml: who gets in, and what the one origin serves how."""

from typing import Any

import pytest

from localcloud.site import headers
from tests.unit.test_template import TEMPLATE, logical_id, resolved, resources

RESOURCES = TEMPLATE["Resources"]
OPEN = {
    "POST /api/session",
    "POST /api/session/password",
    "POST /api/session/refresh",
    "DELETE /api/session",
}
DISTRIBUTION = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
BEHAVIOURS = {behaviour["PathPattern"]: behaviour for behaviour in DISTRIBUTION["CacheBehaviors"]}
ORIGINS = {origin["Id"]: origin for origin in DISTRIBUTION["Origins"]}
OBJECTS = {
    "/incoming/*": "images",
    "/annotated/*": "artefacts",
    "/thumbnails/*": "artefacts",
    "/labelled/*": "artefacts",
    "/reports/*": "artefacts",
}


# --- users ---


def test_nobody_signs_up_and_passwords_are_long():
    pool = RESOURCES["UserPool"]["Properties"]
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12
    # Nobody takes an account over by an e-mail address that somebody has entered.
    assert pool["AccountRecoverySetting"] == {"RecoveryMechanisms": [{"Name": "admin_only", "Priority": 1}]}
    pool = RESOURCES["UserPool"]
    assert (pool["DeletionPolicy"], pool["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_the_pages_client_has_no_secret_and_tells_nothing_about_users():
    client = RESOURCES["UserPoolClient"]["Properties"]
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True
    assert set(client["ExplicitAuthFlows"]) == {"ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
    assert (client["AccessTokenValidity"], client["TokenValidityUnits"]["AccessToken"]) == (1, "hours")
    assert (client["RefreshTokenValidity"], client["TokenValidityUnits"]["RefreshToken"]) == (30, "days")


def test_there_are_four_groups():
    groups = {group["GroupName"] for group in resources(TEMPLATE, "AWS::Cognito::UserPoolGroup").values()}
    assert groups == {"viewer", "operator", "reviewer", "admin"}


# --- the API ---


def test_every_route_needs_a_token_but_those_of_a_session():
    routes = resources(TEMPLATE, "AWS::ApiGatewayV2::Route").values()
    kinds = {route["RouteKey"]: route["AuthorizationType"] for route in routes}
    assert kinds == dict.fromkeys(OPEN, "NONE") | {"ANY /api/{proxy+}": "JWT"}
    (guarded,) = [route for route in routes if route["AuthorizationType"] == "JWT"]
    assert logical_id(guarded["AuthorizerId"]) == "ApiAuthorizer"


def test_the_authoriser_accepts_this_pool_and_this_client_only():
    token = RESOURCES["ApiAuthorizer"]["Properties"]["JwtConfiguration"]
    assert "${UserPool}" in token["Issuer"]["Fn::Sub"]
    assert [logical_id(audience) for audience in token["Audience"]] == ["UserPoolClient"]


def test_who_guesses_passwords_is_slowed_down():
    settings = RESOURCES["ApiStage"]["Properties"]
    assert settings["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 100
    for route in ("POST /api/session", "POST /api/session/password"):
        assert settings["RouteSettings"][route]["ThrottlingRateLimit"] <= 5
    # The settings of a route can be made only after the route.
    routes = {name for name, one in RESOURCES.items() if one["Type"] == "AWS::ApiGatewayV2::Route"}
    assert set(RESOURCES["ApiStage"]["DependsOn"]) == routes


@pytest.mark.promise(26)
def test_the_access_log_holds_no_token():
    written = RESOURCES["ApiStage"]["Properties"]["AccessLogSettings"]["Format"]
    assert "claims.username" in written
    for secret in ("authorization", "cookie", "queryString"):
        assert secret.lower() not in written.lower()


def test_the_function_answers_before_the_gateway_gives_up():
    timeout = RESOURCES["ApiFunction"]["Properties"]["Timeout"]
    assert timeout * 1000 < RESOURCES["ApiIntegration"]["Properties"]["TimeoutInMillis"] <= 30_000


def test_only_this_api_invokes_the_function():
    permission = RESOURCES["ApiPermission"]["Properties"]
    assert logical_id(permission["FunctionName"]) == "ApiFunction"
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${Api}/*/*/api/*")


# --- one origin ---


def test_only_the_page_is_read_by_the_distribution_itself():
    assert logical_id(ORIGINS["page"]["OriginAccessControlId"]) == "DashboardAccess"
    for name in ("images", "artefacts"):
        assert "OriginAccessControlId" not in ORIGINS[name]
    policies = resources(TEMPLATE, "AWS::S3::BucketPolicy")
    allowed = {
        name
        for name, policy in policies.items()
        for statement in resolved(policy["PolicyDocument"]["Statement"])
        if statement["Effect"] == "Allow"
    }
    assert allowed == {"DashboardBucketPolicy"}
    (grant,) = [
        statement
        for statement in policies["DashboardBucketPolicy"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert grant["Action"] == "s3:GetObject"
    assert "${Distribution}" in grant["Condition"]["StringEquals"]["AWS:SourceArn"]["Fn::Sub"]


@pytest.mark.parametrize("path", OBJECTS)
def test_a_presigned_link_reaches_s3_as_it_was_signed(path: str):
    behaviour = BEHAVIOURS[path]
    assert behaviour["TargetOriginId"] == OBJECTS[path]
    assert behaviour["AllowedMethods"] == ["GET", "HEAD"]
    assert cache_key(behaviour)["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
    forwarded = RESOURCES[logical_id(behaviour["OriginRequestPolicyId"])]["Properties"][
        "OriginRequestPolicyConfig"
    ]
    # The whole query string, which is the signature, and not the viewer's Host, which is not the one that is signed.
    assert forwarded["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
    assert forwarded["HeadersConfig"] == {"HeaderBehavior": "none"}
    assert forwarded["CookiesConfig"] == {"CookieBehavior": "none"}


def test_the_distribution_asks_the_bucket_by_the_host_that_links_name():
    """tests/unit/inspection/test_presigned_links.py checks the links."""
    for name, bucket in (("images", "ImagesBucket"), ("artefacts", "ArtefactsBucket")):
        assert ORIGINS[name]["DomainName"] == {"Fn::GetAtt": [bucket, "RegionalDomainName"]}


def cache_key(behaviour: dict[str, Any]) -> dict[str, Any]:
    """Return what tells a behaviour's requests apart; nothing that it answers is kept."""
    policy = RESOURCES[logical_id(behaviour["CachePolicyId"])]["Properties"]["CachePolicyConfig"]
    assert (policy["MinTTL"], policy["DefaultTTL"]) == (0, 0)
    # With 0 CloudFront would take the path alone for the key.
    assert policy["MaxTTL"] == 1
    key: dict[str, Any] = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    return key


def test_nobody_gets_the_answer_to_somebody_elses_request_of_the_same_moment():
    key = cache_key(BEHAVIOURS["/api/*"])
    assert key["HeadersConfig"] == {"HeaderBehavior": "whitelist", "Headers": ["Authorization"]}
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}


def test_an_error_is_not_kept_as_everybodys_answer():
    kept = {error["ErrorCode"]: error["ErrorCachingMinTTL"] for error in DISTRIBUTION["CustomErrorResponses"]}
    assert {404, 500, 502, 503, 504} <= kept.keys()
    assert set(kept.values()) == {0}
    # A page instead of the error would be the API's answer, too.
    assert all(
        error.keys() == {"ErrorCode", "ErrorCachingMinTTL"} for error in DISTRIBUTION["CustomErrorResponses"]
    )


def test_the_apis_host_stays():
    api = BEHAVIOURS["/api/*"]
    assert api["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"  # AllViewerExceptHostHeader
    assert set(api["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}


def test_nothing_is_served_over_plain_http():
    assert DISTRIBUTION["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    assert {behaviour["ViewerProtocolPolicy"] for behaviour in BEHAVIOURS.values()} == {"https-only"}
    assert ORIGINS["api"]["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"


def protection(behaviour: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a behaviour's answers, as the site on the laptop names them."""
    policy = RESOURCES[logical_id(behaviour["ResponseHeadersPolicyId"])]["Properties"]
    security = policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    assert all(header["Override"] is True for header in security.values())
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31536000
    return {
        "x-content-type-options": "nosniff",
        "referrer-policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "x-frame-options": security["FrameOptions"]["FrameOption"],
        "content-security-policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
    }


def test_aws_and_the_laptop_protect_page_and_data_alike():
    assert protection(DISTRIBUTION["DefaultCacheBehavior"]) == headers.PAGE
    for path, behaviour in BEHAVIOURS.items():
        assert protection(behaviour) == (headers.REPORT if path == "/reports/*" else headers.DATA), path


def test_no_page_runs_what_is_not_its_own():
    policy = headers.PAGE["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    for sandboxed in (headers.DATA, headers.REPORT):
        assert sandboxed["content-security-policy"].endswith("; sandbox")
        assert "script" not in sandboxed["content-security-policy"]


# --- the stream ---


def test_records_are_counted_when_they_are_new_and_when_a_later_image_replaces_them():
    mapping = RESOURCES["TrackFunction"]["Properties"]["Events"]["Records"]["Properties"]
    assert logical_id(mapping["Stream"]) == "InspectionsTable"
    # A heat map lies beside a record, and is none: it has no verdict.
    assert [pattern["Pattern"] for pattern in mapping["FilterCriteria"]["Filters"]] == [
        '{"eventName":["INSERT"],"dynamodb":{"NewImage":{"verdict":{"S":["pass","fail","review","unreadable"]}}}}',
        '{"eventName":["MODIFY"],"dynamodb":{"Keys":{"version_id":{"S":["null"]}}}}',
    ]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert logical_id(mapping["DestinationConfig"]["OnFailure"]["Destination"]) == "TrackFailureQueue"
