"""A program that a person runs: how it complains, and what it says when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.training.conftest import ROOT
from training.job import by_hand, stopping
from training.job.errors import TrainingError
from training.job.files import check_writable, whole_file, write_whole
from training.job.stopping import Stopped


def interrupted(number):
    os.kill(os.getpid(), number)
    raise AssertionError("the signal was lost")


def test_an_error_is_a_line_and_its_hint_a_second_one(capsys):
    def work():
        raise TrainingError("no such part\x1b[31m", hint="The parts are train and test.")

    assert by_hand.run(work) == 1
    expected = "loupe: no such part\n       The parts are train and test.\n"
    assert capsys.readouterr() == ("", expected)


def test_an_error_of_the_file_system_names_the_file(tmp_path, capsys):
    assert by_hand.run(lambda: len((tmp_path / "none").read_text())) == 1
    assert capsys.readouterr().err == f"loupe: {tmp_path / 'none'}: No such file or directory\n"


def test_a_fault_of_the_program_itself_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        by_hand.run(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_answered_in_words_with_the_status_of_its_number(number, status, capsys):
    handlers = [signal.getsignal(each) for each in stopping.SIGNALS]
    assert by_hand.run(lambda: interrupted(number)) == status
    expected = "loupe: stopped; nothing was written\n       The same command starts again.\n"
    assert capsys.readouterr().err == expected
    assert handlers == [signal.getsignal(each) for each in stopping.SIGNALS]


def test_a_stop_tells_how_far_the_work_got(capsys):
    def work():
        try:
            interrupted(signal.SIGINT)
        except Stopped as stop:
            stop.done = "after 3 of 9 images"
            raise

    assert by_hand.run(work, again="") == 130
    assert capsys.readouterr().err == "loupe: stopped after 3 of 9 images; nothing was written\n"


def test_an_error_that_a_stop_causes_is_reported_as_the_stop(capsys):
    def work():
        try:
            interrupted(signal.SIGTERM)
        except Stopped:
            raise RuntimeError("a worker was killed") from None

    assert by_hand.run(work) == 143
    assert "killed" not in capsys.readouterr().err


def test_a_stop_that_python_swallows_is_raised_again_by_the_next_check(capsys):
    class Careless:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    def work():
        careless = Careless()
        del careless
        stopping.check()
        return 0

    assert by_hand.run(work) == 130
    assert capsys.readouterr().err.startswith("loupe: stopped;")


def test_a_stop_while_the_results_are_written_comes_too_late(tmp_path):
    def work():
        with stopping.finishing():
            os.kill(os.getpid(), signal.SIGTERM)
            write_whole(tmp_path / "result", "done")
        return 0

    assert by_hand.run(work) == 0
    assert (tmp_path / "result").read_text() == "done"


def test_a_signal_that_the_shell_has_switched_off_does_not_stop_a_program():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert by_hand.run(lambda: os.kill(os.getpid(), signal.SIGHUP) or 0) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_program_that_hangs_while_it_stops_is_ended_by_the_next_signal():
    code = (
        "import os, signal, time; from training.job import by_hand, stopping; stopping._SAME_WISH_SECONDS = 0\n"
        "def hang():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt: os.kill(os.getpid(), signal.SIGINT); time.sleep(600)\n"
        "by_hand.run(hang)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120, check=False)
    assert done.returncode == -signal.SIGINT


def test_the_end_of_the_reader_is_no_error():
    code = (
        "import sys; from training.job import by_hand\n"
        "def work():\n"
        "    for _ in range(100000): sys.stdout.write('x' * 100)\n"
        "    return 0\n"
        "raise SystemExit(by_hand.run(work))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(120) == 141
        assert process.stderr.read() == b""


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "file").write_text("before")

    def stop_in_the_middle():
        with whole_file(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise Stopped

    with pytest.raises(Stopped):
        stop_in_the_middle()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before"
    write_whole(tmp_path / "file", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "after"


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TrainingError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "page.html", "text")
    with pytest.raises(TrainingError, match="there is no folder"):
        check_writable(tmp_path / "nowhere" / "page.html")
    with pytest.raises(TrainingError, match="it is a folder"):
        check_writable(None, Path(tmp_path))


def test_a_program_that_another_thread_runs_still_works():
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(by_hand.run(lambda: 0)))
    thread.start()
    thread.join()
    assert statuses == [0]
