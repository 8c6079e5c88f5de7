"""A stop that comes at any moment of a program: also while its handlers are set, and after its work."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable

import pytest

from training.job import by_hand, container, stopping

# Between the first handler and the last one, all that a program runs besides its work.
FILES = {by_hand.__file__, container.__file__, stopping.__file__, contextlib.__file__}


def status_of_a_stop_at(instruction: int, program: Callable[[], int]) -> int | None:
    """Return a program's status if SIGTERM comes at its n-th instruction under handlers; None if it has fewer."""
    reached = 0

    def trace(frame, event, _argument):
        nonlocal reached
        if frame.f_code.co_filename not in FILES or frame.f_code is stopping._stop.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and signal.getsignal(signal.SIGTERM) is stopping._stop:
            reached += 1
            if reached == instruction:
                sys.settrace(None)
                signal.raise_signal(signal.SIGTERM)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        status = program()
    except KeyboardInterrupt as stop:
        # Else pytest itself would end.
        raise AssertionError(f"instruction {instruction}: the program raised {stop!r}") from None
    finally:
        sys.settrace(before)
    return status if reached == instruction else None


@pytest.mark.parametrize(
    "program",
    [lambda: by_hand.run(lambda: 0), lambda: container.run(lambda _: None)],
    ids=["by hand", "container"],
)
def test_a_stop_at_any_moment_is_the_programs_status_and_never_a_traceback(program, monkeypatch, tmp_path):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))
    before = [signal.getsignal(each) for each in stopping.SIGNALS]
    instruction, seen = 1, set()
    while (status := status_of_a_stop_at(instruction, program)) is not None:
        seen.add(status)
        instruction += 1
        assert before == [signal.getsignal(each) for each in stopping.SIGNALS], instruction
    # 0: the work was done.
    assert seen == {143, 0}
    assert instruction > 100


def test_a_job_whose_library_turns_the_stop_into_an_error_is_stopped_and_has_not_failed(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("LOUPE_ML_ROOT", str(tmp_path))

    def job(_):
        try:
            signal.raise_signal(signal.SIGTERM)
        except stopping.Stopped:
            raise ImportError("a library cannot be loaded") from None

    assert container.run(job) == 143
    assert "cannot be loaded" not in capsys.readouterr().err
    assert not (tmp_path / "output/failure").exists()
