"""The endpoint's contract."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from tests.unit.training.serving.serving_support import Brightness, ask, call, png, running
from training.datasets.generated.synthetic import draw
from training.job.container import cores
from training.model.tiling import Tiles
from training.serving import bodies, inference
from training.serving.inference import ThreadPredictor
from training.serving.settings import SettingError, Settings


@pytest.fixture
def jpeg(encode):
    return encode(draw(3, 7, kind="patches")[0], "JPEG")


def test_an_image_is_answered_by_the_contract(starter, jpeg):
    (answer,) = ask(starter, jpeg)

    assert answer.status == 200
    document = answer.document
    assert document["model"] == {"name": "starter", "version": starter.card.version}
    assert (document["image"]["width"], document["image"]["height"]) == (200, 200)
    assert document["detections"][0]["label"] == "patches"
    scores = [detection["score"] for detection in document["detections"]]
    assert scores == sorted(scores, reverse=True)
    for x1, y1, x2, y2 in (detection["box"] for detection in document["detections"]):
        assert 0 <= x1 < x2 <= 200
        assert 0 <= y1 < y2 <= 200
    assert set(document["quality"]) == {"sharpness", "exposure", "clipped", "dark", "bright"}
    assert document["batch_size"] == 1


@pytest.mark.parametrize("batch", [1, 4])
def test_the_answer_contains_the_time_of_each_stage_and_they_add_up(starter, jpeg, batch):
    (answer,) = ask(starter, jpeg, settings=Settings(batch=batch))
    taken = answer.document["timings_ms"]
    assert list(taken) == ["receive", "queue", "decode", "wait", "inference", "total"]
    assert all(milliseconds >= 0 for milliseconds in taken.values())
    assert sum(taken.values()) <= 2 * taken["total"] + 0.1  # the total is among them


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "image/png", "application/x-image", "image/jpeg; q=1"]
)
def test_the_content_decides_not_the_declared_image_type(starter, jpeg, kind):
    assert ask(starter, jpeg, content_type=kind)[0].status == 200


def test_another_media_type_than_an_images_is_refused():
    (answer,) = ask(Brightness(), b"{}", content_type="text/html")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "code"), [(b"", "empty_image"), (b"hello", "unsupported_format"), ("cut", "corrupt_image")]
)
def test_an_unreadable_image_gets_a_typed_error(jpeg, body, code):
    (answer,) = ask(Brightness(), jpeg[: len(jpeg) // 2] if body == "cut" else body)
    assert (answer.status, answer.code) == (422, code)
    assert answer.document["error"]["message"]


def test_a_body_beyond_the_cap_is_refused_while_it_arrives():
    (answer,) = ask(Brightness(), b"x" * 5000, settings=Settings(max_body_bytes=1000), chunk=100)
    assert (answer.status, answer.code) == (413, "body_too_large")


def test_a_body_that_stops_arriving_is_given_up_and_takes_no_place(monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    sent = []

    async def stall_then_ask():
        async with running(Brightness(), Settings(workers=1, waiting=0)) as app:

            async def receive():
                await asyncio.sleep(60)

            async def send(message):
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/invocations",
                "headers": [],
                "query_string": b"",
            }
            await app(scope | {"http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
            return await call(app, png(1))

    assert asyncio.run(stall_then_ask()).status == 200
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"body_too_slow" in sent[1]["body"]


def test_an_image_beyond_the_pixel_cap_is_refused(jpeg):
    (answer,) = ask(Brightness(), jpeg, settings=Settings(max_pixels=100))
    assert (answer.status, answer.code) == (422, "too_many_pixels")


@pytest.mark.parametrize("tiled", [False, True])
def test_an_image_that_takes_too_long_is_refused_and_its_worker_continues(tiled):
    model = Brightness(Tiles(32, 0.0) if tiled else None)
    settings = Settings(workers=1, image_seconds=1e-6)
    large = png(100, (3000, 3000) if tiled else (2000, 2000))
    for answer in ask(model, large, large, settings=settings):
        assert (answer.status, answer.code) == (422, "timed_out")


def test_an_error_never_echoes_the_image(capfd):
    class Careless(Brightness):
        def detect(self, pixels):
            if pixels[0].any():
                raise ValueError(b"CANARY-7f3a")
            return super().detect(pixels)

    for answer in (*ask(Brightness(), b"CANARY-7f3a" * 10), *ask(Careless(), png(3))):
        assert b"CANARY" not in answer.body
    assert "CANARY" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("batch", [1, 4])
def test_a_model_that_fails_on_an_image_answers_500_and_then_the_next_image(batch):
    class Fussy(Brightness):
        def detect(self, pixels):
            if any(image.min() == 13 for image in pixels):
                raise RuntimeError("no thirteen")
            return super().detect(pixels)

    bad, good = ask(Fussy(), png(13), png(14), settings=Settings(batch=batch))
    assert (bad.status, bad.code) == (500, "inference_failed")
    assert good.status == 200


def test_an_error_of_the_program_is_a_typed_500(monkeypatch, capfd):
    monkeypatch.setattr(ThreadPredictor, "answer", None)
    (answer,) = ask(Brightness(), png(1))
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "TypeError" in capfd.readouterr().err


class Held(Brightness):
    """A model that answers when it is let go."""

    def __init__(self):
        super().__init__()
        self.release = threading.Event()
        self.release.set()

    def detect(self, pixels):
        assert self.release.wait(60)
        return super().detect(pixels)


@pytest.mark.parametrize("batch", [1, 8])
def test_when_every_place_is_taken_the_answer_is_429_and_later_200(batch):
    model = Held()

    async def crowd():
        async with running(model, Settings(workers=1, waiting=1, batch=batch)) as app:
            model.release.clear()
            first = [asyncio.create_task(call(app, png(n))) for n in range(2)]
            await asyncio.sleep(0.05)
            refused = await call(app, png(9))
            model.release.set()
            return refused, await asyncio.gather(*first), await call(app, png(9))

    refused, accepted, later = asyncio.run(crowd())
    assert (refused.status, refused.code) == (429, "busy")
    assert refused.headers["retry-after"] == "1"
    assert [answer.status for answer in (*accepted, later)] == [200, 200, 200]


def test_ping_is_503_until_the_model_is_warm_and_names_the_model_then():
    model = Held()
    model.release.clear()

    async def start():
        async with running(model, Settings(batch=4), warm=False) as app:
            before = await call(app, path="/ping", method="GET")
            early = await call(app, png(1))
            model.release.set()
            while (after := await call(app, path="/ping", method="GET")).status != 200:
                await asyncio.sleep(0.005)
            return before, early, after, await call(app, png(1))

    before, early, after, answer = asyncio.run(start())
    assert before.status == 503
    assert (early.status, early.code, early.headers["retry-after"]) == (503, "not_ready", "1")
    assert after.document == {"status": "ok", "model": {"name": "brightness", "version": model.card.version}}
    assert answer.status == 200
    assert {1, 2, 3, 4} <= set(model.batches)


@pytest.mark.parametrize("batch", [1, 4])
def test_ping_does_not_queue_behind_inference(batch):
    model = Held()

    async def ping_meanwhile():
        async with running(model, Settings(workers=1, batch=batch)) as app:
            model.release.clear()
            working = [asyncio.create_task(call(app, png(n))) for n in range(5)]
            await asyncio.sleep(0.05)
            began = time.monotonic()
            ping = await call(app, path="/ping", method="GET")
            taken = time.monotonic() - began
            model.release.set()
            await asyncio.gather(*working)
            return ping.status, taken

    status, taken = asyncio.run(ping_meanwhile())
    assert status == 200
    assert taken < 2  # what SageMaker gives it


def test_a_model_that_fails_on_a_black_picture_ends_the_server():
    class Broken(Brightness):
        def detect(self, pixels):
            raise RuntimeError("no kernel")

    failed = threading.Event()

    async def start():
        async with running(Broken(), warm=False, on_failure=failed.set) as app:
            assert await asyncio.to_thread(failed.wait, 10)
            return await call(app, path="/ping", method="GET")

    assert asyncio.run(start()).status == 503


def test_an_answer_is_made_by_a_worker_and_not_by_the_event_loop(monkeypatch):
    threads = []
    answer_document = inference.answer_document

    def recorded(*arguments):
        threads.append(threading.current_thread())
        return answer_document(*arguments)

    monkeypatch.setattr(inference, "answer_document", recorded)
    assert ask(Brightness(), png(1))[0].status == 200
    assert threads
    assert threading.main_thread() not in threads


def test_a_large_picture_is_answered_by_tiles_of_its_own_resolution(starter, encode):
    scene, defects = draw(5, 2, size=800, kind="patches", defect_size=200)
    picture = encode(scene, "PNG", compress_level=1)
    tiled = Brightness(Tiles(256, 0.2))
    tiled.card = replace(starter.card, tiles=Tiles(256, 0.2))
    tiled.detect = starter.detect
    (answer,) = ask(tiled, picture)

    assert answer.document["tiles"] == 16
    sure = [detection for detection in answer.document["detections"] if detection["score"] > 0.5]
    left, _, _, bottom = defects[0].box
    assert any(
        abs(detection["box"][0] - left) < 20
        and abs(detection["box"][3] - bottom) < 20
        and detection["label"] == "patches"
        for detection in sure
    )
    assert "tiles" not in ask(starter, picture)[0].document


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOUPE_WORKERS", "0"),
        ("LOUPE_BATCH", "many"),
        ("LOUPE_IMAGE_SECONDS", "nan"),
        ("LOUPE_WAITING", "-1"),
        ("LOUPE_MAX_PIXELS", "1.5"),
        ("LOUPE_REPORT_SECONDS", "inf"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(SettingError, match=name):
        Settings.read(gpu=False, environment={name: value})


def test_a_gpu_batches_and_a_cpu_does_not_unless_it_is_set():
    cpu, gpu = (Settings.read(gpu=gpu, environment={}) for gpu in (False, True))
    assert (cpu.batch, gpu.batch, gpu.batch_wait_ms) == (1, 8, 2.0)
    assert (cpu.workers, gpu.workers) == (cores() + 1, cores())
    chosen = Settings.read(gpu=False, environment={"LOUPE_BATCH": "4", "LOUPE_BATCH_WAIT_MS": "0"})
    assert (chosen.batch, chosen.batch_wait_ms, chosen.workers) == (4, 0.0, cpu.workers)
