"""From an empty account to the first verdict: `loupe cloud create`, broken off anywhere and repeated."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from localcloud import DeployError, connection, deploy, stop
from localcloud.sources import REPOSITORY
from loupe.account import cloudformation, creation, sam, settings, stack_step, status, steps
from loupe.account.account import Account
from loupe.account.creation import Outcome
from loupe.account.settings import Wishes
from loupe.account.site import Site
from loupe.stack import detached, endpoint
from loupe.stack.target import Target
from tests.system.account_listing import listing

pytestmark = pytest.mark.system

_READS = ("Describe", "List", "Get", "Head", "BatchGet", "BatchCheck")
NAMES = [step.name for step in steps.STEPS]


class KilledError(BaseException):
    """The process ended here: no handler of errors sees it."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An account that is empty at first: a local cloud into which nothing was deployed."""
    yield from empty_account(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def untouched_home(tmp_path: Path) -> Iterator[Path]:
    """An account that no other test has used: the bucket for deployments is one for all stacks."""
    yield from empty_account(tmp_path)


def empty_account(home: Path) -> Iterator[Path]:
    detached.start(home, None, None, empty=True)
    yield home
    # On a busy machine, the endpoints' programs take long to end.
    stop(home, timeout_s=60)


@pytest.fixture
def without_sam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Package the functions as the local cloud does it, because sam takes half a minute."""

    @contextmanager
    def built(on_line: Callable[[str], None], for_this_machine: bool) -> Iterator[Path]:
        yield REPOSITORY / "template.yaml"

    def change_set(
        account: Account, template: Path, parameters: Mapping[str, str], on_line: Callable[[str], None]
    ) -> str | None:
        assert account.home is not None
        cloud = copy.copy(connection(account.home))
        cloud.stack_name = account.stack
        document = deploy.read_template(template)
        digest = sam.digest()
        sources = deploy._read_sources(document, REPOSITORY)
        url = deploy._upload(cloud, document, sources, digest)
        client, stack = account.client("cloudformation"), cloudformation.describe(account)
        name = f"test-{time.time_ns()}"
        reply: dict[str, Any] = client.create_change_set(
            StackName=account.stack,
            ChangeSetName=name,
            ChangeSetType="UPDATE" if stack and stack.status != "REVIEW_IN_PROGRESS" else "CREATE",
            TemplateURL=url,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        try:
            deploy._wait_for_change_set(client, {"StackName": account.stack, "ChangeSetName": name})
        except DeployError as error:
            if "didn't contain changes" in str(error):
                return None
            raise
        return str(reply["Id"])

    # The tag follows from the files, which somebody may be editing.
    monkeypatch.setattr(settings.images, "tag", lambda kind: "1")
    monkeypatch.setattr(stack_step.sam, "built", built)
    monkeypatch.setattr(stack_step.sam, "change_set", change_set)


def build(
    account: Account,
    update: bool = False,
    on_step: Callable[[str], None] = lambda name: None,
    **parameters: str,
) -> list[Outcome]:
    """Run the steps as the command does, without its checks."""
    names = {step.what: step.name for step in steps.STEPS}

    def on_line(line: str) -> None:
        if line in names:
            on_step(names[line])

    wishes = Wishes(parameters=parameters)
    chosen = settings.settle(account, cloudformation.describe(account), wishes)
    site = Site(account, wishes, chosen, on_line, lambda changes: False)
    return list(creation.run(site, update))


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.step.name: outcome.state for outcome in outcomes}


class Killer:
    """Ends the process after the answer to a change, for each kind of change once in each step."""

    def __init__(self, account: Account) -> None:
        self.step = ""
        self.survived: set[tuple[str, str]] = set()
        account.session.events.register("after-call", self.answered)

    def answered(self, model: Any, **_: Any) -> None:
        change = self.step, f"{model.service_model.service_name} {model.name}"
        if not model.name.startswith(_READS) and change not in self.survived:
            self.survived.add(change)
            raise KilledError(change)

    def enter(self, step: str) -> None:
        self.step = step


def test_a_creation_that_ends_after_any_change_goes_on_when_it_is_repeated(home: Path, without_sam: None):
    account = Account.open("trial", home)
    killer = Killer(account)
    outcomes: list[Outcome] = []
    while not outcomes:
        with suppress(KilledError):
            outcomes = build(account, on_step=killer.enter)
    assert list(states(outcomes)) == NAMES
    # The process was ended after each kind of change, in every step.
    assert {
        "s3 CreateBucket",
        "s3 PutBucketPolicy",
        "ecr CreateRepository",
        "ecr PutImage",
        "cloudformation CreateChangeSet",
        "cloudformation ExecuteChangeSet",
        "sagemaker CreateModel",
        "sagemaker CreateEndpointConfig",
        "sagemaker CreateEndpoint",
        "application-autoscaling RegisterScalableTarget",
        "application-autoscaling PutScalingPolicy",
        "s3 PutObject",
        "cloudfront CreateInvalidation",
    } <= {operation for _, operation in killer.survived}
    # The stack itself has the endpoint's log group.
    assert {step for step, _ in killer.survived} == set(NAMES) - {"logs"}
    found = listing(account.client)
    assert (len(found["models"]), len(found["configurations"]), len(found["endpoints"])) == (1, 1, 1)
    assert found["repositories"] == ["trial/serve-gpu", "trial/train"]
    assert len([name for name in found["objects"] if "/incoming/" in name]) == 1
    killer.survived.clear()
    again = build(account)
    assert states(again) == dict.fromkeys(NAMES, "found")
    assert again[-1].text.startswith("fail: incoming/first-image/")


def test_the_status_says_what_the_stack_is(home: Path, without_sam: None):
    account = Account.open("trial", home)
    document = status.read(account).document
    assert document["stack"].startswith("trial in the local cloud: ")
    assert document["stack"].endswith("_COMPLETE")
    assert document["version"].endswith("has the same")
    assert document["endpoint"].startswith("InService, serves trial-detector-")
    assert document["subscriptions"] == []


def test_an_update_changes_what_is_asked_for_and_keeps_the_model(home: Path, without_sam: None):
    account = Account.open("trial", home)
    before = served(account.target())
    outcomes = build(account, update=True, EndpointMaxInstances="5", OperationsEmail="it@example.com")
    assert states(outcomes) == {
        name: "done" if name in ("stack", "autoscaling") else "found" for name in NAMES if name != "verdict"
    }
    assert served(account.target()) == before
    document = status.read(account).document
    assert document["stack"].endswith("UPDATE_COMPLETE")
    assert [each["address"] for each in document["subscriptions"]] == ["it@example.com"]
    # What is not given keeps its value.
    assert set(states(build(account, update=True)).values()) == {"found"}


def test_another_instance_type_brings_its_image_and_keeps_the_model(home: Path, without_sam: None):
    account = Account.open("trial", home)
    outcomes = build(account, update=True, HostingInstanceType="ml.c6i.xlarge")
    assert states(outcomes)["images"] == states(outcomes)["model"] == "done"
    current = endpoint.describe(account.target())
    assert current is not None
    assert "/trial/serve:" in current.container["Image"]
    assert "InferenceAmiVersion" not in current.config["ProductionVariants"][0]
    assert current.config["ProductionVariants"][0]["InstanceType"] == "ml.c6i.xlarge"
    assert states(build(account, update=True))["autoscaling"] == "found"


def test_the_stack_is_reached_by_its_name_where_the_environment_names_the_local_cloud(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    cloud = connection(home)
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint_url)
    monkeypatch.setenv("AWS_REGION", cloud.region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", cloud.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.secret_access_key)
    target = Target.aws("trial")
    assert target.local_cloud
    assert target.s3.list_objects_v2(Bucket=target.output("DashboardBucketName"))["KeyCount"] > 0
    account = Account.open("trial")
    assert account.local
    assert account.target().outputs == target.outputs
    assert account.client("s3").list_objects_v2(Bucket=account.name("deploy"))["KeyCount"] > 0


def served(target: Target) -> str:
    current = endpoint.describe(target)
    assert current is not None
    return current.model_name


@pytest.mark.slow
def test_the_command_goes_on_after_it_is_killed_in_any_step(untouched_home: Path):
    command = [sys.executable, "-m", "loupe", "cloud", "create", "--stack", "plant", "--local", "--json"]
    command += ["--home", str(untouched_home)]
    done: list[str] = []
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout is not None
            lines = list(until_first_done(process, done))
        if not killed(process):
            break
    assert process.returncode == 0
    # A step that was done is never done again. The endpoint's deployment registers autoscaling itself, and the stack
    # has the endpoint's log group.
    assert done == [name for name in NAMES if name not in ("autoscaling", "logs")]
    assert json.loads(lines[-1])["status"]["endpoint"].startswith("InService")


def until_first_done(process: subprocess.Popen[str], done: list[str]) -> Iterator[str]:
    """Yield the lines of a process, and kill it after the first step that it has done."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        document = json.loads(line)
        if document.get("state") == "done":
            done.append(document["step"])
            process.send_signal(signal.SIGKILL)
            process.wait()
            return


def killed(process: subprocess.Popen[str]) -> bool:
    return process.wait() == -signal.SIGKILL
