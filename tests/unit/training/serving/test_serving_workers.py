"""Worker processes answer as a thread does, and one that dies or hangs costs only its own image."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.unit.training.conftest import ROOT
from tests.unit.training.serving.serving_support import Brightness, ask, call, models_of, png, running
from training.serving import worker_process
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


class Slow(Brightness):
    """Takes long enough for something to happen to its process, for a picture that is not black."""

    def detect(self, pixels):
        if pixels[0].any():
            time.sleep(0.15)
        return super().detect(pixels)


def slow():
    return ThreadPredictor(models_of(Slow()), SETTINGS)


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


def counts_of(answers):
    return Counter((answer.status, answer.code if answer.status != 200 else "") for answer in answers)


@pytest.mark.promise(12)
def test_the_image_of_a_worker_that_ends_may_try_again_and_the_others_get_their_answers(tried):
    async def several():
        async with running(workers_of(dangerous), SETTINGS) as app:
            shades = [50, DEADLY, 60, 70, DEADLY, 80]
            return await asyncio.gather(*[call(app, png(shade)) for shade in shades])

    answers = asyncio.run(several())
    tried(faults=2)
    assert [answer.status for answer in answers] == [200, 503, 200, 200, 503, 200]
    assert {answer.code for answer in answers if answer.status == 503} == {"worker_ended"}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status == 503)


@pytest.mark.promise(12)
def test_an_image_that_has_ended_three_workers_is_itself_at_fault(tried):
    answers = ask(workers_of(dangerous), png(DEADLY), png(DEADLY), png(50), png(DEADLY), png(60))
    tried(faults=3)
    assert [answer.status for answer in answers] == [503, 503, 200, 500, 200]
    assert answers[3].code == "worker_ended"


@pytest.mark.promise(12)
def test_a_good_image_whose_worker_was_killed_or_stopped_has_its_answer_at_the_next_attempt(
    monkeypatch, tried
):
    monkeypatch.setattr(serving_workers, "GRACE_SECONDS", 0.2)
    settings = Settings(workers=1, image_seconds=0.3)
    workers, picture = workers_of(slow, settings), png(50)

    async def hurt_each_time():
        async with running(workers, settings) as app:
            answers = []
            for number in (signal.SIGKILL, signal.SIGSTOP):
                first = asyncio.create_task(call(app, picture))
                while workers._free:  # until the worker has the image
                    await asyncio.sleep(0)
                os.kill(workers._workers[0]._process.pid, number)
                answers += [await first, await call(app, picture)]
            return answers

    answers = asyncio.run(hurt_each_time())
    tried(faults=2)
    assert counts_of(answers[::2]) == {(503, "worker_ended"): 1, (503, "worker_stalled"): 1}
    assert counts_of(answers[1::2]) == {(200, ""): 2}


@pytest.mark.promise(8)
def test_an_image_that_never_ends_may_try_twice_again_and_is_then_refused(monkeypatch, tried):
    monkeypatch.setattr(serving_workers, "GRACE_SECONDS", 0.2)
    settings = Settings(workers=1, image_seconds=0.3)
    *endless, good = ask(workers_of(dangerous, settings), *[png(ENDLESS)] * 3, png(50), settings=settings)
    tried(faults=3)
    assert [(answer.status, answer.code) for answer in endless] == [
        (503, "worker_stalled"),
        (503, "worker_stalled"),
        (422, "timed_out"),
    ]
    assert good.status == 200


def test_a_worker_that_ends_without_an_image_costs_none(tried):
    workers = workers_of(dangerous)

    async def between_images():
        async with running(workers, SETTINGS) as app:
            answers = [await call(app, png(50))]
            for process in [worker._process for worker in workers._workers]:
                process.kill()
                process.join()
            return answers + await asyncio.gather(*[call(app, png(shade)) for shade in (60, 70, 80)])

    answers = asyncio.run(between_images())
    tried(faults=2)
    assert counts_of(answers) == {(200, ""): 4}


def test_while_no_worker_can_start_images_are_told_to_try_again_and_later_they_are_judged(monkeypatch, tried):
    monkeypatch.setattr(serving_workers, "RESTART_SECONDS", 0.05)
    workers, start, failed = workers_of(dangerous), worker_process.start, []

    def without_memory(make_predictor):
        if len(failed) < 6:
            failed.append(1)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return start(make_predictor)

    async def meanwhile():
        async with running(workers, SETTINGS) as app:
            monkeypatch.setattr(worker_process, "start", without_memory)
            first = await asyncio.gather(*[call(app, png(DEADLY)) for _ in range(2)])
            return [*first, await call(app, png(50)), *[await call(app, png(60)) for _ in range(6)]]

    answers = asyncio.run(meanwhile())
    tried(faults=8)
    assert counts_of(answers[:3]) == {(503, "worker_ended"): 3}
    assert answers[-1].status == 200


def test_an_image_that_nobody_waits_for_gives_no_answer_to_the_next_one():
    async def impatient():
        async with running(workers_of(slow, Settings(workers=1)), SETTINGS) as app:
            first = asyncio.create_task(call(app, png(50)))
            await asyncio.sleep(0.01)
            first.cancel()
            return await call(app, png(200))

    answer = asyncio.run(impatient())
    assert answer.document["detections"][0]["score"] == pytest.approx(200 / 255, abs=0.01)


def test_images_of_any_size_go_to_a_worker_and_back(tried):
    bodies = [png(100) + bytes(size) for size in (0, 1, 70_000, 200_000, 3_000_000, 6_000_000)]
    answers = ask(workers_of(dangerous), *bodies)
    tried(images=len(bodies))
    assert counts_of(answers) == {(200, ""): len(bodies)}


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
