"""The workflows of GitHub Actions, and the role they deploy with: what they may do, and that what they call exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.template import parse
from tests.stack_template import stack_template
from tests.unit.docs.accepted import check
from tests.unit.docs.pages import Command, simple_commands

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
ROLE = ROOT / "deploy/github-oidc.yaml"
each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
# An action of another repository, at a full commit with its version: a tag can be moved.
PINNED = re.compile(r"^\s+- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
# What a function or a machine of SAM becomes.
SAM = {
    "AWS::Serverless::Function": ("AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping"),
    "AWS::Serverless::StateMachine": (
        "AWS::StepFunctions::StateMachine",
        "AWS::Events::Rule",
        "AWS::Scheduler::Schedule",
    ),
}
# Of features that the template does not use: tenants, replicas, imports and tables for metadata.
UNUSED = {
    "cloudfront:createconnectiongroup",
    "cloudfront:createdistributionwithtags",
    "dynamodb:createtablereplica",
    "iam:createservicelinkedrole",
    "logs:createlogstream",
    "s3:createbucketmetadatatableconfiguration",
    "s3tables:createnamespace",
    "s3tables:createtable",
    "s3tables:createtablebucket",
}


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(file.read_text())
    return document


def steps(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each step with its job."""
    for job in read(file)["jobs"].values():
        for step in job["steps"]:
            yield job, step


def values_of(job: dict[str, Any], step: dict[str, Any], file: Path) -> dict[str, list[str]]:
    """Return what each variable of a step can be: one text, or all that a matrix or an input offers."""
    inputs = (read(file)[True] or {}).get("workflow_dispatch") or {}  # YAML 1.1 reads `on` as a truth value
    offered = {f"inputs.{name}": each["options"] for name, each in inputs.get("inputs", {}).items()}
    matrix = job.get("strategy", {}).get("matrix", {})
    offered |= {f"matrix.{name}": values for name, values in matrix.items()}
    found = {}
    for name, text in (job.get("env", {}) | step.get("env", {})).items():
        place = re.fullmatch(r"\$\{\{ ([\w.]+) \}\}", text)
        found[name] = offered[place[1]] if place else [text]
    return found


def lines_of(file: Path) -> Iterator[str]:
    """Yield each command line of a workflow, once for each value of its variables."""
    for job, step in steps(file):
        if "run" not in step:
            continue
        lines = [step["run"]]
        for name, values in values_of(job, step, file).items():
            lines = [
                line.replace(f'"${name}"', value)
                for line in lines
                for value in (values if f'"${name}"' in line else values[:1])
            ]
        yield from lines


@pytest.mark.promise(22)
@each_workflow
def test_every_action_is_pinned_to_a_commit(file: Path):
    used = [line for line in file.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


@each_workflow
def test_a_job_may_read_the_repository_and_only_the_deployment_may_ask_for_an_identity(file: Path):
    document = read(file)
    assert document["permissions"] == {"contents": "read"}
    granted = {name: job.get("permissions") for name, job in document["jobs"].items()}
    deploys = {"deploy": {"contents": "read", "id-token": "write"}}
    assert granted == (deploys if file.stem == "deploy" else dict.fromkeys(granted))
    for _, step in steps(file):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_no_text_from_outside_becomes_a_part_of_a_script(file: Path):
    assert [step["run"] for _, step in steps(file) if "${{" in step.get("run", "")] == []
    assert "secrets." not in file.read_text()


@each_workflow
def test_what_a_workflow_calls_exists_with_its_options(file: Path, monkeypatch: pytest.MonkeyPatch):
    lines = list(lines_of(file))
    assert lines
    for line in lines:
        (words,) = simple_commands(line.replace(".venv/bin/", "", 1))
        check(Command(file.name, words), monkeypatch)


def test_the_jobs_are_what_ci_runs_on_one_machine_and_the_slow_tests_the_clients_and_the_notebook():
    alone = set(re.findall(r"^make ([\w-]+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)) - {"dev"}
    jobs = {line.removeprefix("make ") for line in lines_of(ROOT / ".github/workflows/ci.yaml")}
    assert jobs == alone | {"test-slow", "test-clients", "test-notebook"}


def test_an_environment_is_one_of_the_settings_and_has_a_role():
    environments = read(ROOT / ".github/workflows/deploy.yaml")[True]["workflow_dispatch"]["inputs"][
        "environment"
    ]
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    role = parse(ROLE.read_text())
    assert set(environments["options"]) == settings.keys() - {"version", "default"}
    assert environments["options"] == role["Parameters"]["Environment"]["AllowedValues"]
    for name in environments["options"]:
        stack = settings[name]["global"]["parameters"]["stack_name"]
        assert re.fullmatch(role["Parameters"]["StackName"]["AllowedPattern"], stack)


# --- the role ---


def statements() -> Iterator[dict[str, Any]]:
    for resource in parse(ROLE.read_text())["Resources"].values():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield from resource["Properties"]["PolicyDocument"]["Statement"]


def actions(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return {action.lower() for action in (given if isinstance(given, list) else [given])}


def test_only_the_environment_of_the_repository_takes_the_role():
    role = parse(ROLE.read_text())["Resources"]["DeployRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {
                "Fn::Sub": "repo:${Repository}:environment:${Environment}"
            },
        }
    }


def test_the_role_does_not_change_itself_and_uses_no_wildcard_for_an_action():
    role = parse(ROLE.read_text())["Resources"]["DeployRole"]["Properties"]
    assert role["RoleName"] == {"Fn::Sub": "github-${Environment}-${StackName}"}
    for statement in statements():
        assert not [action for action in actions(statement) if "*" in action], statement["Sid"]
        if any(action.startswith("iam:") for action in actions(statement)):
            resource = statement["Resource"]["Fn::Sub"]
            assert "role/${StackName}-*" in resource or "role/aws-service-role/" in resource
            assert "Condition" in statement


def test_what_the_role_may_do_everywhere_has_its_reason_beside_it():
    text = ROLE.read_text()
    for statement in statements():
        if statement["Resource"] == "*":
            sid = text.index(f"- Sid: {statement['Sid']}\n")
            assert text[:sid].rstrip().splitlines()[-1].lstrip().startswith("#"), statement["Sid"]


def test_the_role_may_make_and_read_every_type_of_resource_in_the_template():
    """By CloudFormation's own list of what it calls for each type."""
    # It takes a second to import, also in processes that run none of these tests.
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    template = stack_template()
    types = {resource["Type"] for resource in template["Resources"].values()}
    types = {made for each in types for made in SAM.get(each, (each,))}
    allowed = {action for statement in statements() for action in actions(statement)}
    missing = {}
    for each in types:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", each).schema.get("handlers", {})
        called = {name: handlers.get(name, {}).get("permissions", []) for name in ("create", "read")}
        needed = {action.lower() for action in called["read"]}
        needed |= {
            action.lower() for action in called["create"] if action.partition(":")[2].startswith("Create")
        }
        if lacks := needed - allowed - UNUSED:
            missing[each] = lacks
    assert missing == {}
    assert len(types) > 25
