"""The account and region that a stack is created in: with your AWS profile, or the local cloud."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound, UnknownRegionError

from localcloud import connection
from loupe.errors import LoupeError
from loupe.stack.target import LOOPBACK, Target, chosen_region

Repository = Literal["serve", "serve-gpu", "train"]
REPOSITORIES: tuple[Repository, ...] = ("serve", "serve-gpu", "train")

_CHECK_CREDENTIALS = (
    "Check the profile: aws sts get-caller-identity (AWS_PROFILE, AWS_REGION, aws sso login)."
)
# What would lead a child process past the credentials that it is given.
_OTHER_CREDENTIALS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


@dataclass(frozen=True)
class Account:
    """An AWS account and region, and the name of the stack in it.

    Attributes:
        session: The credentials and the region.
        endpoint_url: The address of the local cloud, or of what AWS_ENDPOINT_URL names; None for AWS's own.
        stack: The stack's name.
        home: The local cloud's private folder; None unless it was chosen by its folder.
    """

    session: boto3.Session
    endpoint_url: str | None
    stack: str
    home: Path | None = None

    @classmethod
    def open(cls, stack: str, local_home: Path | None = None) -> Account:
        """Return the account of the AWS profile, or the local cloud that runs on a folder. It calls no service.

        Args:
            stack: The stack's name.
            local_home: The local cloud's private folder; None for the AWS profile, which AWS_ENDPOINT_URL may lead to
                a local cloud too.

        Raises:
            LoupeError: There is no such profile.
            NotRunningError: No local cloud runs on that folder.
        """
        if local_home is not None:
            cloud = connection(local_home)
            return cls(cloud.session, cloud.endpoint_url, stack, local_home)
        core = botocore.session.Session()
        try:
            # https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html: variable, then profile.
            endpoint_url = os.environ.get("AWS_ENDPOINT_URL") or core.get_scoped_config().get("endpoint_url")
        except ProfileNotFound as error:
            raise LoupeError(f"there is no such AWS profile: {error}", _CHECK_CREDENTIALS) from error
        if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
            endpoint_url = None
        session = boto3.Session(botocore_session=core, region_name=chosen_region())
        return cls(session, endpoint_url or None, stack)

    @property
    def local(self) -> bool:
        """Whether this is a cloud on this machine, and not AWS."""
        return urlsplit(self.endpoint_url or "").hostname in LOOPBACK

    @property
    def region(self) -> str:
        """The region. Raises LoupeError if none is set."""
        if not self.session.region_name:
            raise LoupeError("no AWS region is set", "Set one: export AWS_REGION=eu-central-1")
        return self.session.region_name

    @cached_property
    def identity(self) -> dict[str, str]:
        """Who calls: the answer of sts:GetCallerIdentity. Raises LoupeError if AWS knows nobody by the credentials."""
        try:
            return self.client("sts").get_caller_identity()  # type: ignore[no-any-return]
        except (BotoCoreError, ClientError) as error:
            raise LoupeError(f"AWS does not accept the credentials: {error}", _CHECK_CREDENTIALS) from error

    @property
    def account_id(self) -> str:
        """The account's twelve digits. Raises LoupeError without valid credentials."""
        return self.identity["Account"]

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, such as aws or aws-us-gov. Raises LoupeError for no known region."""
        try:
            return self.session.get_partition_for_region(self.region)
        except UnknownRegionError as error:
            raise LoupeError(
                f"there is no AWS region {self.region!r}", "Choose another: export AWS_REGION=eu-central-1"
            ) from error

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def client(self, service: str) -> Any:
        """Return a boto3 client of `service`, the same at each call. Raises LoupeError without a region."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=32)
            if service == "s3" and self.endpoint_url:
                # A bucket's name as a host name needs a DNS entry, which the loopback interface does not have.
                config = config.merge(Config(signature_version="s3v4", s3={"addressing_style": "path"}))
            self._clients[service] = self.session.client(  # type: ignore[call-overload]
                service, region_name=self.region, endpoint_url=self.endpoint_url, config=config
            )
        return self._clients[service]

    def name(self, kind: Repository | Literal["deploy"]) -> str:
        """Return the name of a repository of images, or of the bucket with what is deployed.

        >>> account = Account(boto3.Session(region_name="eu-central-1"), None, "loupe")
        >>> account.name("serve")
        'loupe/serve'
        """
        if kind == "deploy":
            # One for all stacks of the account and region; each has a prefix, its name.
            return f"loupe-deploy-{self.account_id}-{self.region}"
        return f"{self.stack}/{kind}"

    def image_uri(self, kind: Repository, tag: str) -> str:
        """Return the address of an image in the account's registry."""
        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{self.account_id}.dkr.ecr.{self.region}.{suffix}/{self.name(kind)}:{tag}"

    def environment(self) -> dict[str, str]:
        """Return the whole environment for a child process that works in this account, such as sam or docker."""
        variables = dict(os.environ)
        variables |= {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        if self.endpoint_url:
            variables["AWS_ENDPOINT_URL"] = self.endpoint_url
        if self.home is None:
            # The profile itself, so that a long child process can renew its credentials.
            return variables
        credentials = self.session.get_credentials()
        if credentials is None:
            raise LoupeError(
                "the local cloud has given no credentials", "Start it again: loupe down, then loupe up"
            )
        for name in _OTHER_CREDENTIALS:
            variables.pop(name, None)
        return variables | {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    def target(self) -> Target:
        """Return the stack itself, through which models are deployed and images uploaded.

        Raises:
            LoupeError: There is no such stack.
        """
        return Target.of(self.session, self.endpoint_url, self.stack)
