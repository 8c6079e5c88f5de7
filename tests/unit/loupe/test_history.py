"""The steps of an execution: the same on AWS and on the local cloud, read at once or in parts."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from loupe.stack.history import History
from loupe.stack.target import Target
from tests.unit.loupe.account import answering
from tests.unit.loupe.executions import ARN, BEGAN, PLAN, Recorder, history


def _whole_run(inner: bool) -> Recorder:
    """Record a run.

    Args:
        inner: Include the events inside the map, which the local cloud does not record.
    """
    recorder = Recorder()
    recorder.add("ExecutionStarted")
    recorder.through("Task", "Plan", PLAN)
    recorder.through("Choice", "Anything to do?")
    recorder.add("MapStateEntered", "Candidates")
    if inner:
        recorder.add("MapStateStarted")
        for _ in PLAN["candidates"]:
            recorder.add("MapIterationStarted")
            recorder.through("Choice", "Train or tune?")
            recorder.through("Task", "Train")
            recorder.through("Task", "Evaluate")
            recorder.add("MapIterationSucceeded")
        recorder.add("MapStateSucceeded")
    recorder.add("MapStateExited", "Candidates", [])
    recorder.through("Task", "Gate")
    for _ in range(3):
        recorder.through("Wait", "AwaitEndpoint")
        recorder.through("Task", "DescribeEndpoint")
    recorder.add("TaskStateEntered", "Report")
    return recorder


def _read(target: Target, recorder: Recorder) -> History:
    steps = History(target, ARN)
    with answering(target, "stepfunctions", GetExecutionHistory=history(recorder.events)):
        steps.read()
    return steps


def test_aws_and_the_local_cloud_show_the_same_steps(stack: Target):
    names = [[step.name for step in _read(stack, _whole_run(inner)).steps] for inner in (True, False)]
    assert names[0] == names[1]
    assert names[0] == ["Plan", "Candidates", "Gate", "AwaitEndpoint", "DescribeEndpoint", "Report"]


def test_a_step_has_its_start_and_its_end_if_it_has_ended(stack: Target):
    steps = {step.name: step for step in _read(stack, _whole_run(inner=False)).steps}
    assert steps["Plan"].began == BEGAN + timedelta(seconds=2)
    assert steps["Plan"].seconds() == 1
    assert steps["Report"].ended is None
    assert not any(step.failed for step in steps.values())


def test_the_plan_is_known_when_its_step_has_ended(stack: Target):
    recorder = Recorder()
    recorder.add("TaskStateEntered", "Plan")
    assert _read(stack, recorder).plan is None
    recorder.add("TaskStateExited", "Plan", PLAN)
    assert _read(stack, recorder).plan == PLAN


def test_a_truncated_plan_does_not_hide_the_steps(stack: Target):
    recorder = Recorder()
    recorder.through("Task", "Plan", PLAN)
    recorder.events[-1]["stateExitedEventDetails"]["output"] = '{"run": "01234'
    read = _read(stack, recorder)
    assert (read.plan, [step.name for step in read.steps]) == (None, ["Plan"])


def test_the_failure_of_an_execution_ends_its_current_step(stack: Target):
    recorder = _whole_run(inner=True)
    recorder.add("ExecutionFailed")
    steps = _read(stack, recorder).steps
    assert [step.name for step in steps if step.failed] == ["Report"]
    assert all(step.ended for step in steps)


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 7), st.booleans())
def test_reading_in_parts_gives_the_same_as_reading_at_once(stack_without_account: Target, cuts, page, inner):
    events, growing = _whole_run(inner).events, []
    in_parts = History(stack_without_account, ARN)
    with answering(stack_without_account, "stepfunctions", GetExecutionHistory=history(growing, page)):
        for cut in [*sorted(cuts), len(events)]:
            growing[:] = events[: max(cut, len(growing))]
            in_parts.read()
    whole = History(stack_without_account, ARN)
    with answering(stack_without_account, "stepfunctions", GetExecutionHistory=history(events, 1000)):
        whole.read()
    assert (in_parts.steps, in_parts.plan) == (whole.steps, whole.plan)
