"""The retrain state machine keeps its rules, and each rule finds a definition that breaks it."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.endpoint import VARIANT_NAME
from statemachine.build import SOURCE, build, main, to_json
from statemachine.definition import FILE, Definition, load
from tests.unit.statemachine import aws_rules, rules
from tests.unit.statemachine.scenarios import Start, tuned_too

DEFINITION = load()
Rule = Callable[[Definition], Iterator[str]]
Change = Callable[[Definition], None]
INNER = ("Candidates", "ItemProcessor", "States")


def at(*path: Any, to: Any = None) -> Change:
    """Return a change that sets the value at a path below the states, or removes it."""

    def change(definition: Definition) -> None:
        *parents, last = path
        node: Any = definition["States"]
        for step in parents:
            node = node[step]
        if to is None:
            del node[last]
        else:
            node[last] = to

    return change


def state(name: str, **fields: Any) -> Change:
    """Return a change that adds a state to which no other state leads."""
    return at(name, to=fields)


def both(*changes: Change) -> Change:
    def change(definition: Definition) -> None:
        for change_one in changes:
            change_one(definition)

    return change


RULES: dict[Rule, list[Change]] = {
    aws_rules.tasks_time_out: [
        at("Notice", "TimeoutSeconds"),
        at(*INNER, "Train", "TimeoutSeconds", to="{% 10 %}"),
        at("Plan", "TimeoutSeconds", to=300),
    ],
    rules.failures_are_caught: [
        at("UpdateEndpoint", "Retry"),
        at("Candidates", "Catch"),
        at("AskApproval", "Catch", -1),
        at(*INNER, "Evaluate", "Catch", -1, "ErrorEquals", to=["States.TaskFailed"]),
        at("Notice", "Retry", 0, "ErrorEquals", to=["SNS.InternalError", "States.ALL"]),
        lambda definition: definition["States"]["AskApproval"]["Catch"].reverse(),
    ],
    rules.retriers_are_in_order: [
        at("AwaitSwap", "Retry", 0, "MaxDelaySeconds", to=2),
        at("Plan", "Retry", 0, "JitterStrategy", to="HALF"),
        at("Plan", "Retry", 0, "BackoffRate", to=0.5),
    ],
    rules.failures_are_reported: [
        at("Gate", "Catch", 0, "Next", to="Failed"),
        at("Explain", "Next", to="Failed"),
        at("Withdraw", "Next", to="Done"),
        at("Report", "Next", to="Done"),
    ],
    rules.every_path_ends: [at("Explain", "Next", to="Retract"), at("Done", "End")],
    rules.loops_have_a_bound: [
        at("Swapped", "Choices", slice(5, None)),
        at("EndpointState", "Choices", 2),
        at("Alarmed", "Choices", 1),
        at(*INNER, "NoInstance", "Choices", 1),
        at(*INNER, "Tuned", "Choices", 2),
        at("Missing", "Default", to="DescribeEndpoint"),
        at("NotDeleted", "Choices", 2, "Condition", to="{% false %}"),
    ],
    rules.states_are_linked: [
        at("Gate", "Next", to="Best"),
        at("Gate", "Catch", 0, "Next", to="Best"),
        at("Better", "Default"),
        at("Better", "Assign", to={"decision": "kept"}),
        at("Gate", "End", to=True),
        at("Gate", "Next"),
        state("Lonely", Type="Pass", End=True),
        at(*INNER, "Gate", to={"Type": "Pass", "End": True}),
        both(state("Good", Type="Succeed"), at("Notice", "Next", to="Good")),
        lambda definition: definition["States"]["Candidates"]["ItemProcessor"].update(StartAt="Plan"),
    ],
    rules.scopes_do_not_mix: [
        at(*INNER, "Candidate", "Assign", "plan", to=1),
        at("Gate", "Assign", "failure", to=""),
        at("Gate", "Assign", "states", to=""),
    ],
    rules.variables_are_assigned_before_they_are_used: [
        at("Candidates", "Assign", "request_error"),
        at("Plan", "Catch", 0, "Assign", "hint"),
        at("UpdateEndpoint", "Catch", 0, "Assign", to={"polls": "{% $tries + 1 %}"}),
        at("Retract", "Next", to="NoticeFailure"),
        at(*INNER, "Candidate", "Assign", "artefact"),
        at("DescribeEndpoint", "Assign", "status"),
    ],
    rules.assignments_do_not_see_one_another: [
        at("AwaitSwap", "Assign", "last", to="{% $polls %}"),
        at("RollBack", "Catch", 0, "Assign", "failure_reason", to="{% $refusals %}"),
    ],
    rules.expressions_are_jsonata: [
        at("Better", "Choices", 0, "Condition", to="{% $gate.decision = %}"),
        at("Notice", "Arguments", "Subject", to="Loupe: {% $decision %}"),
    ],
    rules.results_and_errors_are_read_where_they_are: [
        at("Gate", "Catch", 0, "Assign", "error", to="{% $states.result %}"),
        at("Gate", "Arguments", "Payload", "champion", to="{% $states.result %}"),
        at("Live", "Assign", "decision", to="{% $states.errorOutput.Error %}"),
    ],
    aws_rules.substitutions_are_given: [
        at("Smoke", "Arguments", "FunctionName", to="${SmokeTest}"),
    ],
    aws_rules.arguments_match_the_api: [
        at(*INNER, "Evaluate", "Arguments", "Image", to="x"),
        at(*INNER, "Evaluate", "Arguments", "StoppingCondition", "MaxRuntimeInSeconds", to="1"),
        at(*INNER, "Evaluate", "Arguments", "ProcessingInputs", 0, "S3Input", "S3InputMode", to="Files"),
        at("Register", "Arguments", "InferenceSpecification", "Containers"),
        at("CreateModel", "Arguments", "ModelName"),
        at("CreateEndpointConfig", "Arguments", to={}),
        at("UpdateEndpoint", "Arguments", "Deployment", to=1),
        at("PutScalingPolicy", "Arguments", "PolicyType", to="Tracking"),
        at("Notice", "Arguments", "Title", to="x"),
    ],
    aws_rules.the_role_allows_its_tasks: [
        at("RollBack", "Resource", to="arn:aws:states:::aws-sdk:sagemaker:deleteModel"),
        at(*INNER, "Train", "Resource", to="arn:aws:states:::sagemaker:createTransformJob.sync"),
        at("Smoke", "Arguments", "FunctionName", to="${InspectFunction}"),
    ],
    rules.the_tasks_fit_into_the_executions_time: [
        at("AskApproval", "TimeoutSeconds", to=9 * 86400),
        at("Candidates", "MaxConcurrency", to=10),
        lambda definition: definition.update(TimeoutSeconds=12 * 86400),
    ],
}


@pytest.mark.promise(17)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_definition_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(DEFINITION)) == []


@pytest.mark.promise(17)
@pytest.mark.parametrize(
    ("rule", "worsen"),
    [(rule, worsen) for rule, changes in RULES.items() for worsen in changes],
    ids=[f"{rule.__name__}-{n}" for rule, changes in RULES.items() for n in range(len(changes))],
)
def test_the_rule_finds_a_definition_that_breaks_it(rule: Rule, worsen: Change) -> None:
    worse = copy.deepcopy(DEFINITION)
    worsen(worse)
    assert list(rule(worse)) != []


def test_the_rule_finds_a_substitution_that_nothing_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    given = aws_rules.PROPERTIES["DefinitionSubstitutions"]
    monkeypatch.setitem(aws_rules.PROPERTIES, "DefinitionSubstitutions", given | {"Stage": "test"})
    assert list(aws_rules.substitutions_are_given(DEFINITION)) == ["Stage: the definition does not use it"]


def test_the_json_is_what_the_yaml_describes() -> None:
    command = "write it again: python -m statemachine.build"
    assert FILE.read_text() == to_json(build(SOURCE.read_text())), command


def test_the_command_writes_the_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "retrain.asl.json"
    monkeypatch.setattr("statemachine.build.FILE", file)
    main()
    assert file.read_text() == FILE.read_text()


def test_shared_parts_are_resolved_and_left_out() -> None:
    source = """
    x-shared:
      errors: &errors [A, B]
      retry: &retry {MaxAttempts: 3}
    States:
      One: {Retry: [{ErrorEquals: [*errors, C], <<: *retry}]}
      Two: {Retry: [{ErrorEquals: [D], <<: *retry, MaxAttempts: 5}]}
    """
    assert build(source) == {
        "States": {
            "One": {"Retry": [{"ErrorEquals": ["A", "B", "C"], "MaxAttempts": 3}]},
            "Two": {"Retry": [{"ErrorEquals": ["D"], "MaxAttempts": 5}]},
        }
    }


def test_alarm_dashboard_and_autoscaling_watch_the_variant_that_the_definition_and_the_command_create() -> (
    None
):
    states = DEFINITION["States"]
    variant = aws_rules.PROPERTIES["DefinitionSubstitutions"]["VariantName"]
    assert variant == VARIANT_NAME
    assert "'VariantName': '${VariantName}'" in states["CreateEndpointConfig"]["Arguments"]
    dimensions = aws_rules.TEMPLATE["EndpointErrorsAlarm"]["Properties"]["Dimensions"]
    assert {"Name": "VariantName", "Value": variant} in dimensions
    assert aws_rules.TEMPLATE["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][1]["Variant"] == variant
    scaled = [state for state in states.values() if "applicationautoscaling" in state.get("Resource", "")]
    assert {state["Arguments"]["ResourceId"] for state in scaled} == {
        "endpoint/${EndpointName}/variant/${VariantName}"
    }


def test_no_partition_of_aws_is_written_into_the_definition() -> None:
    """In GovCloud and in China every ARN begins otherwise."""
    arns = re.findall(r"arn:[^:]*:", FILE.read_text())
    assert set(arns) == {"arn:${Partition}:"}


# What the optimised integrations take. They end an execution by States.Runtime, which nothing catches, for any other
# field: https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
# (spot training: https://github.com/aws/aws-step-functions-data-science-sdk-python/issues/42)
OPTIMISED = {
    "createTrainingJob": {
        "AlgorithmSpecification",
        "CheckpointConfig",
        "EnableManagedSpotTraining",
        "HyperParameters",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "RoleArn",
        "StoppingCondition",
        "Tags",
        "TrainingJobName",
        "VpcConfig",
    },
    "createProcessingJob": {
        "AppSpecification",
        "Environment",
        "ExperimentConfig",
        "NetworkConfig",
        "ProcessingInputs",
        "ProcessingJobName",
        "ProcessingOutputConfig",
        "ProcessingResources",
        "RoleArn",
        "StoppingCondition",
        "Tags",
    },
}


def test_optimised_integrations_get_only_fields_that_they_know(start: Start) -> None:
    account = start(tuned_too).account
    optimised = {
        task["Resource"].split(":")[-1].removesuffix(".sync")
        for _, task in rules.tasks(DEFINITION)
        if ":sagemaker:" in task["Resource"] and "aws-sdk" not in task["Resource"]
    }
    assert optimised == OPTIMISED.keys()
    for operation, known in OPTIMISED.items():
        requests = account.requests[operation[0].upper() + operation[1:]]
        assert requests
        for request in requests:
            assert request.keys() <= known
