"""`loupe env`: what other clients are told, and that shells and botocore take it as it is meant."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.utils import get_environ_proxies
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from loupe import cli
from loupe.errors import (
    CredentialsError,
    LoupeError,
    NoStackError,
    OldStackError,
    RegionError,
    StackError,
    UnreachableError,
)
from loupe.stack import client_environment, unreadable
from loupe.stack.target import Target
from loupe.views import environment
from loupe.views.environment import Shell
from tests.stack_template import stack_template

ROLE = "arn:aws:iam::000000000000:role/loupe-TrainingRole-1"
OUTPUTS = {
    "ImagesBucketName": "images",
    "ArtefactsBucketName": "artefacts",
    "TrainingRoleArn": ROLE,
    "SageMakerRoleArn": "arn:aws:iam::000000000000:role/loupe-SageMakerRole-1",
    "TrainingInstanceType": "ml.g5.xlarge",
    "HostingInstanceType": "ml.g5.xlarge",
    "EvaluationInstanceType": "ml.c5.2xlarge",
    "ModelPackageGroupName": "group",
    "EndpointName": "loupe-detector",
    "InspectionsTableName": "inspections",
    "TrainingImageUri": "loupe/train:local",
    "ServingImageUri": "loupe/serve:local",
}
ADDRESS = "http://127.0.0.1:4566"
HOSTILE = [
    "plain",
    "",
    "two  words",
    "it's",
    '"$(touch pwned)" `id` $HOME \\ \\\\ \\\' !! * ~ #no ; & | \u2018x\u2019',
    "C:\\Users\\Zoë\\",
]


def local(**outputs: str) -> Target:
    session = boto3.Session("AKIALOCAL", "local-secret", region_name="us-east-1")
    return Target(session, ADDRESS, OUTPUTS | outputs, "loupe")


def on_aws(**outputs: str) -> Target:
    session = boto3.Session("AKIAOWN", "own-secret", "own-token", region_name="eu-central-1")
    return Target(session, None, OUTPUTS | outputs, "press")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without any AWS."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "LOUPE_", "SAGEMAKER_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_client_gets_address_credentials_and_names_of_the_local_cloud(tmp_path: Path):
    found = client_environment.variables(local(), tmp_path, {})
    assert found["AWS_ENDPOINT_URL"] == ADDRESS
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]) == ("AKIALOCAL", "local-secret")
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"
    assert (found["LOUPE_TRAINING_ROLE_ARN"], found["LOUPE_TRAINING_IMAGE"]) == (ROLE, "loupe/train:local")
    assert all(isinstance(value, str) for value in found.values())


def test_a_stack_with_a_gpu_names_the_host_image_that_its_endpoints_need(tmp_path: Path):
    ami = "al2-ami-sagemaker-inference-gpu-3-1"
    found = client_environment.variables(on_aws(InferenceAmiVersion=ami), tmp_path, {})
    assert found["LOUPE_INFERENCE_AMI_VERSION"] == ami
    # Empty where a stack has none: another stack's value must not stay in force.
    assert client_environment.variables(on_aws(), tmp_path, {})["LOUPE_INFERENCE_AMI_VERSION"] == ""


def test_the_template_has_every_output_that_the_variables_are_read_from():
    outputs = stack_template()["Outputs"]
    assert [name for name in OUTPUTS if name not in outputs] == []
    role = outputs["TrainingRoleArn"]["Value"]["Fn::GetAtt"]
    assert role in ("TrainingRole.Arn", ["TrainingRole", "Arn"])


def test_on_aws_no_credential_is_among_the_variables(tmp_path: Path):
    found = client_environment.variables(on_aws(), tmp_path, {})
    assert not {name for name in found if "KEY" in name or "TOKEN" in name or name == "AWS_ENDPOINT_URL"}
    everything = json.dumps(found) + Path(found["SAGEMAKER_USER_CONFIG_OVERRIDE"]).read_text()
    assert not [part for part in ("AKIAOWN", "own-secret", "own-token") if part in everything]


def test_the_sdks_configuration_names_bucket_prefix_and_roles_and_ends_telemetry(tmp_path: Path):
    file = Path(client_environment.variables(local(), tmp_path / "new", {})["SAGEMAKER_USER_CONFIG_OVERRIDE"])
    defaults = yaml.safe_load(file.read_text())["SageMaker"]
    assert defaults["PythonSDK"]["Modules"] == {
        "Session": {"DefaultS3Bucket": "artefacts", "DefaultS3ObjectKeyPrefix": "sagemaker"},
        "TelemetryOptOut": True,
    }
    assert defaults["TrainingJob"] == defaults["ProcessingJob"] == {"RoleArn": ROLE}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_with_a_key_of_ones_own_the_sdks_models_are_encrypted_by_it(tmp_path: Path):
    target = on_aws(EncryptionKeyArn="arn:aws:kms:eu-central-1:111122223333:key/1")
    file = Path(client_environment.variables(target, tmp_path, {})["SAGEMAKER_USER_CONFIG_OVERRIDE"])
    defaults = yaml.safe_load(file.read_text())["SageMaker"]
    assert defaults["TrainingJob"]["OutputDataConfig"] == {"KmsKeyId": target.outputs["EncryptionKeyArn"]}
    assert defaults["ProcessingJob"].keys() == {"RoleArn"}


def test_the_configurations_of_two_stacks_do_not_replace_each_other(tmp_path: Path):
    other = replace(on_aws(TrainingRoleArn="arn:aws:iam::111122223333:role/x"), name="press")
    files = {
        client_environment.variables(target, tmp_path, {})["SAGEMAKER_USER_CONFIG_OVERRIDE"]
        for target in (local(), on_aws(), other, replace(local(), name="second"))
    }
    assert len(files) == 4


def test_a_file_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LoupeError, match="cannot be written") as raised:
        client_environment.variables(local(), tmp_path / "file", {})
    assert "--home" in raised.value.hint


@pytest.mark.parametrize(("target", "hint"), [(local(), "loupe up"), (on_aws(), "loupe cloud update")])
def test_a_stack_without_the_training_role_is_told_to_be_brought_up_to_date(
    target: Target, hint: str, tmp_path: Path
):
    old = replace(target, outputs={name: text for name, text in OUTPUTS.items() if name != "TrainingRoleArn"})
    with pytest.raises(OldStackError, match="no output TrainingRoleArn") as raised:
        client_environment.variables(old, tmp_path, {})
    assert hint in raised.value.hint
    assert not list(tmp_path.iterdir())


def test_what_a_session_of_aws_left_behind_does_not_lead_a_client_away(
    clean: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "profiles").write_text(
        "[default]\nignore_configured_endpoint_urls = true\nregion = eu-west-3\n"
        "endpoint_url = https://profile.example\n"
    )
    left = {
        "AWS_CONFIG_FILE": str(tmp_path / "profiles"),
        "AWS_ACCESS_KEY_ID": "AKIAOWN",
        "AWS_SECRET_ACCESS_KEY": "own-secret",
        "AWS_SESSION_TOKEN": "own-token",
        "AWS_ENDPOINT_URL_S3": "https://s3.example",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "HTTP_PROXY": "http://proxy.example:3128",
        "NO_PROXY": "intranet.example",
    }
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    for name, value in client_environment.variables(local(), tmp_path).items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    credentials = session.get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key, credentials.token or None) == (
        "AKIALOCAL",
        "local-secret",
        None,
    )
    assert {session.client(name).meta.endpoint_url for name in ("s3", "sts", "sagemaker-runtime")} == {
        ADDRESS
    }
    assert session.region_name == "us-east-1"
    assert get_environ_proxies(f"{ADDRESS}/") == {}
    assert get_environ_proxies("http://elsewhere.example/")
    assert "intranet.example" in os.environ["NO_PROXY"]


_SHOW = "import json, os; print(json.dumps({n: v for n, v in os.environ.items() if n.startswith('VALUE_')}))"


def _set_by(shell: str, evaluate: str, script: str) -> dict[str, str]:
    """Return the variables VALUE_... of a program that a shell starts after it has evaluated a script."""
    done = subprocess.run(
        [shell, "-c", f'{evaluate}; "$PYTHON" -c "$SHOW"'],
        env=os.environ | {"SCRIPT": script, "SHOW": _SHOW, "PYTHON": sys.executable, "VALUE_LEFT": "left"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("shell", [shell for shell in ("sh", "bash", "zsh", "ksh") if shutil.which(shell)])
def test_a_posix_shell_takes_every_value_as_it_is(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    variables = {f"VALUE_{number}": value for number, value in enumerate(HOSTILE)}
    script = environment.script(Shell.SH, variables, unset=["VALUE_LEFT"], notes=["it's a note; touch pwned"])
    assert _set_by(shell, 'eval "$SCRIPT"', script) == variables
    assert not list(tmp_path.iterdir())


def test_a_shell_sets_all_when_somebody_forgets_the_quotes_of_eval():
    """The shell then makes one line of all, in which a comment would hide what follows it."""
    variables = {"VALUE_1": "one", "VALUE_2": "it's two"}
    script = environment.script(Shell.SH, variables, unset=["VALUE_LEFT"], notes=["a note"])
    assert _set_by("sh", "eval $SCRIPT", script) == variables


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_takes_every_value_as_it_is():
    variables = {f"VALUE_{number}": value for number, value in enumerate(HOSTILE)}
    script = environment.script(Shell.FISH, variables, unset=["VALUE_LEFT"], notes=["it's a note"])
    assert _set_by("fish", "echo -n $SCRIPT | source", script) == variables


def _read_by_fish(line: str) -> str:
    """Return the value in an assignment: in fish's single quotes only \\\\ and \\' are escapes."""
    quoted = line.removeprefix("set -gx VALUE ").removesuffix(";")
    assert quoted[0] == quoted[-1] == "'"
    value, rest = "", iter(quoted[1:-1])
    for letter in rest:
        assert letter != "'"
        value += next(rest) if letter == "\\" else letter
    return value


def _read_by_powershell(line: str) -> str:
    """Return the value in an assignment: in PowerShell's verbatim strings a doubled quote of any form is one."""
    quoted = line.removeprefix("$env:VALUE = ").removesuffix(";")
    assert quoted[0] == quoted[-1] == "'"
    value, rest = "", iter(quoted[1:-1])
    for letter in rest:
        if letter in "'\u2018\u2019\u201a\u201b":
            assert next(rest) in "'\u2018\u2019\u201a\u201b"
        value += letter
    return value


@given(
    value=st.text(
        st.characters(exclude_categories=("C", "Z"), include_characters=" '\\\u2019\"$`;#"), max_size=20
    )
)
@settings(max_examples=60, deadline=None)
def test_fish_and_powershell_read_back_any_value(value: str):
    for shell, read in ((Shell.FISH, _read_by_fish), (Shell.POWERSHELL, _read_by_powershell)):
        (line,) = environment.script(shell, {"VALUE": value}).splitlines()
        assert read(line) == value


@pytest.mark.parametrize("value", ["a\nb", "\x1b]0;title\x07", "a\u202eb", "a\rb"])
def test_a_value_with_control_characters_is_refused(value: str):
    with pytest.raises(LoupeError, match="VALUE has control characters"):
        environment.script(Shell.SH, {"VALUE": value})


def describes(**outputs: str) -> Any:
    """Deploy a stack in moto's account that has these outputs."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    return boto3.client("cloudformation").create_stack(StackName="press", TemplateBody=json.dumps(template))


@pytest.fixture
def account(clean: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS account with a stack named press."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own-secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        describes(**OUTPUTS)
        yield


def test_the_command_prints_a_stack_on_aws_without_credentials(
    account: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    assert cli.run(["env", "--stack", "press", "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert printed.err == ""
    assert found["LOUPE_STACK"] == "press"
    assert found["AWS_REGION"] == "eu-central-1"
    assert Path(found["SAGEMAKER_USER_CONFIG_OVERRIDE"]).parent == tmp_path / "config" / "loupe" / "clients"
    assert not [text for text in ("AKIAOWN", "own-secret") if text in printed.out]
    assert cli.run(["env", "--stack", "press"]) == 0
    assert not [text for text in ("AKIAOWN", "own-secret") if text in capsys.readouterr().out]


def test_a_stack_without_containers_is_told_on_stderr_since_stdout_is_evaluated(
    clean: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        describes(**{name: text for name, text in OUTPUTS.items() if name != "TrainingImageUri"})
        assert cli.run(["env", "--stack", "press", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["LOUPE_TRAINING_IMAGE"] == ""
    assert "no containers" in printed.err
    assert "loupe cloud update" in printed.err


@pytest.mark.parametrize("shell", Shell)
def test_unset_removes_all_that_was_set(
    shell: Shell,
    clean: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "left")
    found = client_environment.variables(local(), tmp_path)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["env", "--unset", "--shell", shell]) == 0
    removed = capsys.readouterr().out
    assert [name for name in found if f"{name};" not in removed] == []
    assert cli.run(["env", "--unset", "--json"]) == 0
    assert set(found) <= set(json.loads(capsys.readouterr().out))


def test_unset_leaves_the_credentials_of_aws(
    clean: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
    assert cli.run(["env", "--unset"]) == 0
    removed = capsys.readouterr().out
    assert "LOUPE_STACK" in removed
    assert "AWS_ACCESS_KEY_ID" not in removed
    assert "AWS_REGION" not in removed


def test_without_a_local_cloud_nothing_is_printed_to_be_evaluated(
    clean: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    for options in ([], ["--json"], ["--shell", "fish"]):
        assert cli.run(["env", "--home", str(tmp_path / "home"), *options]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "No local cloud is running" in printed.err
        assert "loupe up" in printed.err


def test_local_and_a_stack_are_a_wrong_command_line(clean: None, capsys: pytest.CaptureFixture[str]):
    assert cli.run(["env", "--local", "--stack", "press"]) == 2
    assert cli.run(["env", "--shell", "csh"]) == 2
    assert capsys.readouterr().out == ""


class TestWhyAStackCannotBeRead:
    def _error(self, stack: str = "press") -> StackError:
        with pytest.raises(StackError) as raised:
            Target.aws(stack)
        return raised.value

    def test_a_stack_that_is_not_in_the_region(self, account: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        error = self._error()
        assert isinstance(error, NoStackError)
        assert error.message == "there is no stack 'press' in us-west-2"
        assert "AWS_REGION" in error.hint
        assert "loupe cloud create --stack press" in error.hint

    def test_no_region(self, account: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        error = self._error()
        assert isinstance(error, RegionError)
        assert "AWS_REGION" in error.hint

    def test_no_credentials(self, clean: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        error = self._error()
        assert isinstance(error, CredentialsError)
        assert "AWS_PROFILE" in error.hint

    def test_a_profile_that_does_not_exist(self, clean: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_PROFILE", "elsewhere")
        error = self._error()
        assert isinstance(error, CredentialsError)
        assert "elsewhere" in error.message

    def test_an_address_that_a_stopped_local_cloud_left_behind(
        self, account: None, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        refused = EndpointConnectionError(endpoint_url="http://127.0.0.1:9/")
        error = unreadable.reason("press", refused, "us-east-1", "http://127.0.0.1:9")
        assert isinstance(error, UnreachableError)
        assert "no local cloud answers on http://127.0.0.1:9" in error.message
        assert "loupe up" in error.hint
        assert "loupe env --unset" in error.hint

    @pytest.mark.parametrize(
        ("code", "local_address", "expected", "hint"),
        [
            ("ExpiredToken", None, CredentialsError, "AWS_PROFILE"),
            ("InvalidClientTokenId", None, CredentialsError, "AWS_PROFILE"),
            ("InvalidClientTokenId", ADDRESS, CredentialsError, "loupe env"),
            ("SignatureDoesNotMatch", ADDRESS, CredentialsError, "loupe env"),
            ("AccessDenied", None, StackError, "AWS_PROFILE"),
            ("Throttling", None, StackError, "AWS_REGION"),
        ],
    )
    def test_a_refusal_says_what_mends_it(
        self, code: str, local_address: str | None, expected: type[StackError], hint: str
    ):
        refusal = ClientError({"Error": {"Code": code, "Message": "refused"}}, "DescribeStacks")
        error = unreadable.reason("press", refusal, "us-east-1", local_address)
        assert type(error) is expected
        assert hint in error.hint
