"""The service itself: workers that fail, limits, and what it gives without HTTP."""

from __future__ import annotations

import asyncio
import contextvars
import io
import multiprocessing
import pickle
from multiprocessing.context import SpawnProcess

import numpy as np
import pytest
from forgery import cheap_features, lda, waveforms
from sklearn.pipeline import make_pipeline

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")

from serving import as_file, speech

from sersk import load_model, save_model, stream_emotions
from sersk.serve import pool
from sersk.serve.service import Limits, Service, ServiceProblem
from sersk.serve.work import TASKS, load_models, perform

EMOTIONS = ["angry", "happy", "sad"]
GOOD = as_file(speech())
LONG = as_file(speech(600), 16000, "FLAC")  # seconds of work, window by window
SLOW = {"window": 30.0, "hop": 0.1, "min_speech": 0.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), EMOTIONS * 6)
    return save_model(fitted, tmp_path_factory.mktemp("model") / "model.sersk")


def workers():
    """The service's own; joblib's, of other tests, may live on in this process."""
    return [one for one in multiprocessing.active_children() if isinstance(one, SpawnProcess)]


def run(work, *models, **options):
    """Do something with a service that is ready."""

    async def whole():
        # A new worker takes its time on a busy machine.
        service = Service(models, **({"limits": Limits(timeout=300)} | options))
        await service.start()
        try:
            async with asyncio.timeout(300):
                while not service.is_ready:
                    await asyncio.sleep(0.02)
                return await work(service)
        finally:
            await service.stop()
            assert not workers()

    return asyncio.run(whole())


async def until(done):
    async with asyncio.timeout(300):
        while not done():
            await asyncio.sleep(0.02)


def test_the_default_model_serves_under_that_name():
    service = Service(n_workers=1)
    assert [model.name for model in service.models] == ["default"]
    assert service.models[0].card["licence"]
    assert len(service.models[0].classes) == 8
    assert service.limits == Limits()


def test_predictions_and_timelines_without_http(model):
    fitted = load_model(model)

    async def work(service):
        prediction = await service.predict(GOOD)
        assert prediction.model == "model"
        assert prediction.emotion in EMOTIONS
        assert prediction.probability == max(prediction.probabilities.values())
        assert list(prediction.probabilities) == EMOTIONS
        assert prediction.seconds == 0.5
        windows = await service.timeline(as_file(speech(3)), "model", window=1.0, hop=1.0)
        assert service.audio_seconds == pytest.approx(3.5, abs=0.02)
        return windows

    windows = run(work, model, n_workers=1)
    for told, expected in zip(windows, stream_emotions(fitted, speech(3), window=1.0, hop=1.0), strict=True):
        assert told.emotion == expected.emotion
        assert told.start == expected.start
        assert told.probabilities == pytest.approx(expected.probabilities, abs=1e-3)  # 16 bits


def test_a_worker_that_takes_too_long_is_replaced(model):
    async def work(service):
        with pytest.raises(ServiceProblem, match=r"more than 0\.2 s") as told:
            await service.timeline(LONG, **SLOW)
        assert (told.value.status, told.value.kind) == (504, "timeout")
        return await service.run("predict", "model", GOOD, 10.0, 0.25, timeout=300), service.n_restarted

    (emotion, *_), n_restarted = run(work, model, n_workers=1, limits=Limits(timeout=0.2))
    assert emotion in EMOTIONS
    assert n_restarted == 1


def test_a_worker_that_dies_takes_one_request_along(model):
    async def work(service):
        await until(lambda: service._pool.n_ready == 2)
        slow = asyncio.create_task(service.timeline(LONG, **SLOW))
        await until(lambda: service.n_inside == 1 and service._pool._idle.qsize() == 1)
        idle = service._pool._idle._queue[0]
        busy = next(worker for worker in service._pool._workers if worker is not idle)
        busy._process.kill()
        answers = await asyncio.gather(slow, *(service.predict(GOOD) for _ in range(4)), return_exceptions=True)
        await until(lambda: service._pool.n_ready == 2)
        return answers, service.n_restarted

    (lost, *others), n_restarted = run(work, model, n_workers=2)
    assert isinstance(lost, ServiceProblem)
    assert (lost.status, lost.kind) == (500, "crashed")
    assert {other.emotion for other in others} <= {*EMOTIONS}
    assert n_restarted == 1


def test_a_worker_that_died_with_nothing_to_do_harms_nobody(model):
    async def work(service):
        for process in workers():
            process.kill()
            process.join()
        assert not service.is_ready
        return await service.predict(GOOD)

    assert run(work, model, n_workers=1).emotion in EMOTIONS


def test_who_gives_up_leaves_the_worker_at_work_for_others(model):
    async def work(service):
        asked = asyncio.create_task(service.predict(GOOD))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert service.n_inside == 0
        answer = await service.predict(GOOD)
        return answer, service.n_restarted

    answer, n_restarted = run(work, model, n_workers=1)
    assert answer.emotion in EMOTIONS
    assert n_restarted == 0


def test_more_requests_than_the_limit_are_refused(model):
    async def work(service):
        answers = await asyncio.gather(*(service.predict(GOOD) for _ in range(5)), return_exceptions=True)
        assert service.n_inside == 0
        return answers

    answers = run(work, model, n_workers=1, limits=Limits(max_waiting=3))
    refused = [answer for answer in answers if isinstance(answer, ServiceProblem)]
    assert [(one.status, one.kind, one.retry_after) for one in refused] == [(503, "busy", 1)] * 2


def test_what_a_request_asks_for_within_is_not_counted_once_more(model):
    service = Service([model], limits=Limits(max_waiting=1), n_workers=1)
    with service.admit(), service.admit():
        assert service.n_inside == 1
        with pytest.raises(ServiceProblem, match="1 requests"):
            contextvars.Context().run(service.admit().__enter__)
    assert service.n_inside == 0


def test_waiting_for_a_worker_has_an_end(model):
    async def work(service):
        slow = asyncio.create_task(service.run("timeline", "model", LONG, 3600, SLOW, timeout=30))
        await until(lambda: service._pool._idle.empty())
        with pytest.raises(ServiceProblem, match="No worker was free") as told:
            await service.predict(GOOD)
        slow.cancel()
        return told.value

    assert run(work, model, n_workers=1, limits=Limits(timeout=0.1)).status == 503


def test_what_a_worker_sends_builds_no_objects(model, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (int, ())

    with pytest.raises(pickle.UnpicklingError, match="no plain value"):
        pool._PlainUnpickler(io.BytesIO(pickle.dumps(Evil()))).load()
    worker = object.__new__(pool._Worker)
    worker._connection = type("Pipe", (), {"recv_bytes": lambda _: pickle.dumps(("done", Evil()))})()
    with pytest.raises(pickle.UnpicklingError, match="no plain value"):
        worker._receive()
    values = ("done", [1, 2.5, None, True, b"x", "y", {"z": (3,)}])
    assert pool._PlainUnpickler(io.BytesIO(pickle.dumps(values))).load() == values


def test_a_worker_that_cannot_start_is_tried_again(model, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pool, "_PAUSE", 0.01)
    file = tmp_path / "later.sersk"
    content = model.read_bytes()
    file.write_bytes(content)

    async def whole():
        service = Service([file], n_workers=1)
        file.write_bytes(b"damaged")
        await service.start()
        try:
            await until(lambda: "could not start" in caplog.text)
            file.write_bytes(content)
            await until(lambda: service.is_ready)
            return await service.predict(GOOD)
        finally:
            await service.stop()

    assert asyncio.run(whole()).emotion in EMOTIONS


def test_models_that_cannot_serve_are_told_of_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        Service([tmp_path / "missing.sersk"])
    of_vectors = save_model(lda().fit(np.eye(6), EMOTIONS * 2), tmp_path / "vectors.sersk")
    with pytest.raises(ValueError, match="cannot predict clips"):
        Service([of_vectors])


# --- the tasks, in this process


def test_a_model_of_long_clips_serves_though_it_refuses_short_ones(tmp_path):
    long = [np.tile(clip, 10) for clip in waveforms()]
    fitted = make_pipeline(cheap_features(offset=1.5), lda()).fit(long, EMOTIONS * 6)
    models = load_models({"long": save_model(fitted, tmp_path / "long.sersk")})
    kind, (status, slug, _, detail, _) = perform(models, "predict", ("long", GOOD, 10.0, 0.25))
    assert (kind, status, slug) == ("problem", 422, "unusable-audio")
    assert "it lasts 0.5 s" in detail
    kind, (emotion, _, share, seconds) = perform(models, "predict", ("long", as_file(speech(2)), 10.0, 0.25))
    assert kind == "done"
    assert emotion in EMOTIONS
    assert (share, seconds) == (1.0, 2)
    done = perform(models, "predict", ("long", as_file(np.zeros(32000)), 10.0, 0.25))
    assert done == ("done", (None, [], 0.0, 2.0))


def test_tasks_tell_of_windows_and_of_faults(model, monkeypatch):
    models = load_models({"model": model})
    kind, problem = perform(models, "timeline", ("model", GOOD, 10.0, {"window": 0.1}))
    assert (kind, problem[1]) == ("problem", "bad-window")
    kind, problem = perform(models, "timeline", ("model", as_file(np.full(999, np.nan), subtype="FLOAT"), 9.0, {}))
    assert (kind, problem[1]) == ("problem", "unusable-audio")
    monkeypatch.setitem(TASKS, "fail", lambda _: 1 / 0)
    assert perform(models, "fail", ()) == ("failed", "ZeroDivisionError")
    assert str(ServiceProblem(422, "kind", "Title", "detail")) == "Title: detail"


def test_a_task_that_fails_is_no_end_of_its_worker(model, caplog):
    async def work(service):
        with pytest.raises(ServiceProblem, match="fault") as told:
            await service.run("no such task")
        assert (told.value.status, told.value.kind) == (500, "failed")
        with pytest.raises(ServiceProblem, match="at most"):
            await service.predict(bytes(service.limits.max_bytes + 1))
        return (await service.predict(GOOD)), service.n_restarted

    answer, n_restarted = run(work, model, n_workers=1)
    assert answer.emotion in EMOTIONS
    assert n_restarted == 0
    assert "KeyError" in caplog.text
