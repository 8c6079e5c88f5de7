"""Worker processes answer as a thread does, and one that dies or hangs costs only its own image."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.unit.training.conftest import ROOT
from tests.unit.training.serving.serving_support import Brightness, ask, call, models_of, png, running
from training.serving import workers as serving_workers
from training.serving.inference import ThreadPredictor
from training.serving.settings import Settings
from training.serving.workers import WorkerError, Workers

DEADLY, ENDLESS, CARELESS = 13, 14, 15
SETTINGS = Settings(workers=2)


class Dangerous(Brightness):
    """Brightness, but for three shades of grey."""

    def detect(self, pixels):
        shade = int(pixels[0].max())
        if shade == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        while shade == ENDLESS:
            time.sleep(1)
        if shade == CARELESS:
            raise KeyError("CANARY-7f3a")
        return super().detect(pixels)


class Sociable(Brightness):
    """Answers a picture that is not black once another process has one, too."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def detect(self, pixels):
        if pixels[0].any():
            (self.folder / str(os.getpid())).touch()
            until = time.monotonic() + 60
            while len(list(self.folder.iterdir())) < 2:
                assert time.monotonic() < until, "alone"
                time.sleep(0.01)
        return super().detect(pixels)


class Endless(Brightness):
    """Never answers a picture that is not black."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def detect(self, pixels):
        while pixels[0].any():
            (self.folder / "begun").touch()
            time.sleep(1)
        return super().detect(pixels)


class Broken(Brightness):
    def detect(self, pixels):
        raise RuntimeError("no kernel for this graph")


def dangerous():
    return ThreadPredictor(models_of(Dangerous()), SETTINGS)


def sociable(folder):
    return ThreadPredictor(models_of(Sociable(folder)), SETTINGS)


def endless(folder):
    return ThreadPredictor(models_of(Endless(folder)), SETTINGS)


def broken():
    return ThreadPredictor(models_of(Broken()), SETTINGS)


def ending():
    os._exit(7)


def workers_of(make_predictor, settings=SETTINGS):
    return Workers(make_predictor, Brightness().card, settings)


def without_times(document):
    return {name: value for name, value in document.items() if name != "timings_ms"}


def test_a_worker_gives_the_answer_that_a_thread_gives():
    bodies = [png(0), png(100, size=(64, 48)), png(255), b"", b"no image", png(7)[:-20]]
    for worker, thread in zip(ask(workers_of(dangerous), *bodies), ask(Brightness(), *bodies), strict=True):
        assert worker.status == thread.status
        assert without_times(worker.document) == without_times(thread.document)


def test_a_workers_times_are_on_the_clock_of_the_program():
    (answer,) = ask(workers_of(dangerous), png(100))
    times = answer.document["timings_ms"]
    assert all(milliseconds >= 0 for milliseconds in times.values())
    # Another clock would be off by hours; a busy machine may pause between two readings.
    assert times["total"] == pytest.approx(sum(times.values()) - times["total"], abs=2000)


def test_workers_answer_side_by_side_each_in_its_own_process(tmp_path):
    async def two():
        async with running(workers_of(partial(sociable, str(tmp_path))), SETTINGS) as app:
            return await asyncio.gather(call(app, png(50)), call(app, png(60)))

    assert [answer.status for answer in asyncio.run(two())] == [200, 200]
    assert str(os.getpid()) not in {marker.name for marker in tmp_path.iterdir()}


def test_an_image_that_kills_its_worker_gets_a_typed_500_and_the_others_their_answers():
    async def several():
        async with running(workers_of(dangerous), SETTINGS) as app:
            shades = [50, DEADLY, 60, 70, DEADLY, DEADLY, 80]
            return await asyncio.gather(*[call(app, png(shade)) for shade in shades])

    answers = asyncio.run(several())
    assert [answer.status for answer in answers] == [200, 500, 200, 200, 500, 500, 200]
    assert {answer.code for answer in answers if answer.status == 500} == {"worker_ended"}


def test_an_image_that_never_ends_is_refused_in_time_and_its_worker_is_restarted(monkeypatch):
    monkeypatch.setattr(serving_workers, "GRACE_SECONDS", 0.2)
    settings = Settings(workers=1, image_seconds=0.3)
    endless, good = ask(workers_of(dangerous, settings), png(ENDLESS), png(50), settings=settings)
    assert (endless.status, endless.code) == (422, "timed_out")
    assert good.status == 200


def test_an_error_in_a_worker_is_typed_and_never_echoes_the_image():
    bad, good = ask(workers_of(dangerous), png(CARELESS), png(50))
    assert (bad.status, bad.code) == (500, "inference_failed")
    assert b"CANARY" not in bad.body
    assert good.status == 200


@pytest.mark.parametrize(
    ("make_predictor", "reason"),
    [(broken, "RuntimeError: no kernel for this graph"), (ending, "exit code 7")],
)
def test_workers_that_cannot_start_give_the_reason(make_predictor, reason):
    workers = workers_of(make_predictor)
    try:
        with pytest.raises(WorkerError, match=reason):
            workers.warm_up()
    finally:
        workers.close()


def test_no_worker_outlives_its_endpoint():
    workers = workers_of(dangerous)
    workers.warm_up()
    processes = [worker._process for worker in workers._workers]
    assert all(process.is_alive() for process in processes)
    workers.close()
    assert not any(process.is_alive() for process in processes)


STARTS_ONE_WORKER = """
import sys
from tests.unit.training.serving.test_serving_workers import sociable, workers_of
from functools import partial
workers = workers_of(partial(sociable, sys.argv[1]))
workers.warm_up()
workers.close()
"""


def test_workers_start_although_the_path_for_temporary_files_is_too_long_for_a_socket(tmp_path):
    temporary = tmp_path / ("a" * 60) / ("b" * 60)
    temporary.mkdir(parents=True)
    # In a process of its own: the forkserver of this one already listens.
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    command = [sys.executable, "-c", STARTS_ONE_WORKER, str(tmp_path)]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=120)


HANGS = """
import asyncio, sys
from functools import partial
from tests.unit.training.serving.serving_support import png
from tests.unit.training.serving.test_serving_workers import endless, workers_of
from training.serving.inference import Timings
from training.serving.negotiation import Asked
workers = workers_of(partial(endless, sys.argv[1]))
workers.warm_up()
print(*[worker._process.pid for worker in workers._workers], flush=True)
asyncio.run(workers.answer(png(50), Timings(), Asked()))
"""


def test_no_worker_outlives_a_killed_endpoint_even_in_the_middle_of_an_image(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, str(tmp_path)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
        until = time.monotonic() + 60
        while not any(tmp_path.iterdir()):
            assert time.monotonic() < until, "no worker has the image"
            time.sleep(0.01)
        program.kill()
        _, alive = psutil.wait_procs(workers, timeout=60)
        for each in alive:
            each.kill()
        assert not alive
