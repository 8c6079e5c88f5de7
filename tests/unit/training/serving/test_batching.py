"""Images that share an inference get the answers they would get alone."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.training.serving.serving_support import Brightness, ask, call, png, running
from training.datasets.generated.synthetic import draw
from training.serving.batching import Batcher
from training.serving.settings import Settings

BAD = [b"", b"no image", png(9)[:40], b"\xff\xd8\xff\xe0" + bytes(50)]


def without_times(answer):
    return {
        key: value for key, value in answer.document.items() if key not in ("timings_ms", "batch_size")
    } | {"status": answer.status}


@given(st.lists(st.integers(-len(BAD), 255), min_size=1, max_size=40), st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_any_mix_of_good_and_bad_images_at_once_is_answered_as_each_alone(mix, batch):
    bodies = [png(shade) if shade >= 0 else BAD[shade] for shade in mix]
    alone = ask(Brightness(), *bodies)
    model = Brightness()

    async def together():
        async with running(model, Settings(batch=batch, waiting=100)) as app:
            return await asyncio.gather(*(call(app, body) for body in bodies))

    answers = asyncio.run(together())
    assert [without_times(answer) for answer in answers] == [without_times(answer) for answer in alone]
    assert max(model.batches) <= batch


def test_images_at_once_share_inferences_and_each_is_told_with_how_many(starter, encode):
    bodies = [encode(draw(3, n)[0], "JPEG") for n in range(8)]

    async def together():
        async with running(starter, Settings(batch=4, batch_wait_ms=200)) as app:
            return await asyncio.gather(*(call(app, body) for body in bodies))

    batched, alone = asyncio.run(together()), ask(starter, *bodies)
    assert max(answer.document["batch_size"] for answer in batched) > 1
    for one, other in zip(batched, alone, strict=True):
        pairs = list(zip(one.document["detections"], other.document["detections"], strict=True))
        for left, right in pairs[:3]:  # weak ones come and go by a rounding
            assert left["label"] == right["label"]
            assert left["score"] == pytest.approx(right["score"], abs=0.002)
            assert left["box"] == pytest.approx(right["box"], abs=0.5)


def test_a_lone_item_does_not_wait_for_company():
    batcher = Batcher(lambda items: items, 8, wait_seconds=600.0)
    assert batcher.submit("alone").result(60).result == "alone"
    batcher.close()


def test_an_item_waits_for_those_that_are_on_their_way_and_no_longer():
    coming, sizes = 1, []

    def run(items):
        sizes.append(len(items))
        return items

    batcher = Batcher(run, 2, wait_seconds=600.0, coming=lambda: coming)
    first = batcher.submit(1)
    time.sleep(0.05)
    assert not first.done()
    batcher.submit(2)
    assert first.result(60).batch_size == 2
    coming = 0
    assert batcher.submit(3).result(60).batch_size == 1
    batcher.close()
    assert sizes == [2, 1]


def test_one_item_that_fails_takes_no_neighbour_with_it():
    holding = threading.Event()

    def run(items):
        holding.wait(60)
        if "bad" in items:
            raise ValueError("spoiled")
        return [item.upper() for item in items]

    batcher = Batcher(run, 4, wait_seconds=0.0)
    jobs = [batcher.submit(item) for item in ("first", "a", "bad", "b")]
    holding.set()
    assert [jobs[n].result(60).result for n in (0, 1, 3)] == ["FIRST", "A", "B"]
    with pytest.raises(ValueError, match="spoiled"):
        jobs[2].result(60)
    batcher.close()


def test_a_model_that_returns_too_few_results_is_an_error_and_not_a_mix_up():
    batcher = Batcher(lambda items: items[1:], 4, wait_seconds=0.0)
    with pytest.raises(ValueError, match="1 items gave 0 results"):
        batcher.submit("x").result(60)
    batcher.close()


def test_what_was_submitted_before_the_close_is_finished():
    batcher = Batcher(lambda items: [time.sleep(0.02) or item for item in items], 2, wait_seconds=0.0)
    jobs = [batcher.submit(n) for n in range(7)]
    batcher.close()
    assert [job.result(0).result for job in jobs] == list(range(7))


def test_tiles_of_large_pictures_and_small_ones_share_batches_without_mixing_up():
    from training.model.tiling import Tiles

    model = Brightness(Tiles(32, 0.0))
    rng = np.random.default_rng(0)
    shades = rng.integers(0, 255, 12).tolist()
    bodies = [png(shade, (96, 96) if n % 2 else (8, 8)) for n, shade in enumerate(shades)]

    async def together():
        async with running(model, Settings(workers=3, batch=4, waiting=50)) as app:
            return await asyncio.gather(*(call(app, body) for body in bodies))

    for shade, answer in zip(shades, asyncio.run(together()), strict=True):
        best = answer.document["detections"][0]["score"]
        assert best == pytest.approx(shade / 255, abs=0.01)
