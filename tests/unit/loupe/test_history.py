"""Where an execution is: the same on AWS and on the local cloud, read at once or bit by bit."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from loupe.stack.history import History
from loupe.stack.target import Target
from tests.unit.loupe.account import answering
from tests.unit.loupe.executions import ARN, BEGAN, PLAN, Recorder, history


def _whole_run(inner: bool) -> Recorder:
    """A run up to its swap. inner: with the events inside the map, which the local cloud does not record."""
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
    found = History(target, ARN)
    with answering(target, "states", GetExecutionHistory=history(recorder.events)):
        found.read()
    return found


def test_aws_and_the_local_cloud_show_the_same_steps(stack: Target):
    names = [[step.name for step in _read(stack, _whole_run(inner)).steps] for inner in (True, False)]
    assert names[0] == names[1]
    assert names[0] == ["Plan", "Candidates", "Gate", "AwaitEndpoint", "DescribeEndpoint", "Report"]


def test_a_step_tells_when_it_began_and_whether_it_goes_on(stack: Target):
    steps = {step.name: step for step in _read(stack, _whole_run(inner=False)).steps}
    assert steps["Plan"].began == BEGAN + timedelta(seconds=2)
    assert steps["Plan"].seconds() == 1
    assert steps["Report"].ended is None
    assert not any(step.failed for step in steps.values())


def test_the_plan_is_known_once_that_step_is_over(stack: Target):
    recorder = Recorder()
    recorder.add("TaskStateEntered", "Plan")
    assert _read(stack, recorder).plan is None
    recorder.add("TaskStateExited", "Plan", PLAN)
    assert _read(stack, recorder).plan == PLAN


def test_a_plan_that_is_cut_off_costs_the_jobs_only(stack: Target):
    recorder = Recorder()
    recorder.through("Task", "Plan", PLAN)
    recorder.events[-1]["stateExitedEventDetails"]["output"] = '{"run": "01234'
    found = _read(stack, recorder)
    assert (found.plan, [step.name for step in found.steps]) == (None, ["Plan"])


def test_the_end_of_an_execution_ends_the_step_that_it_was_in(stack: Target):
    recorder = _whole_run(inner=True)
    recorder.add("ExecutionFailed")
    steps = _read(stack, recorder).steps
    assert [step.name for step in steps if step.failed] == ["Report"]
    assert all(step.ended for step in steps)


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 7), st.booleans())
def test_reading_bit_by_bit_gives_what_reading_at_once_gives(stack_free: Target, cuts, page, inner):
    events, growing = _whole_run(inner).events, []
    found = History(stack_free, ARN)
    with answering(stack_free, "states", GetExecutionHistory=history(growing, page)):
        for cut in [*sorted(cuts), len(events)]:
            growing[:] = events[: max(cut, len(growing))]
            found.read()
    whole = History(stack_free, ARN)
    with answering(stack_free, "states", GetExecutionHistory=history(events, 1000)):
        whole.read()
    assert (found.steps, found.plan) == (whole.steps, whole.plan)
