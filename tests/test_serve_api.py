"""What clients get over HTTP, for good requests and bad ones."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import os
import re
import socket
import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from forgery import cheap_features, lda, waveforms
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")

from clusters import wait_until
from media import encode, needs_pyav
from serving import as_file, problem_of, served, speech

from sersk import make_emotional_speech, predict_emotions, save_model, stream_emotions
from sersk.serve import service as services
from sersk.serve.api import create_app
from sersk.serve.service import Limits, Service

EMOTIONS = ["angry", "happy", "sad"]
GOOD = as_file(speech())
LIMITS = Limits(max_bytes=2**21, max_seconds=20, max_recording_seconds=60, max_clips=4, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def corpus(folder):
    return make_emotional_speech(folder / "corpus", emotions=EMOTIONS, n_speakers=2, n_repetitions=2, duration=0.5)


@pytest.fixture(scope="module")
def models(folder, corpus):
    """Three files: two of one name, and one whose model gives no probabilities."""
    with_chances = make_pipeline(cheap_features(), lda()).fit(corpus.data, corpus.target)
    without = make_pipeline(cheap_features(), SVC()).fit(waveforms(), EMOTIONS * 6)
    card = {"corpora": ["synthetic"], "licence": "BSD-3-Clause", "metrics": {"synthetic": {"uar": 0.5}}}
    return [
        save_model(with_chances, folder / "one.sersk", card=card),
        save_model(with_chances, folder / "again" / "one.sersk"),
        save_model(without, folder / "svc.sersk"),
    ]


@pytest.fixture(scope="module")
def service(models):
    return Service(models, limits=LIMITS, n_workers=1)


@pytest.fixture(scope="module")
def client(service):
    with served(service) as client:
        yield client


def raw_connection(client):
    """Connect as a client that does as it likes."""
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=300)


def assert_goes_on(client):
    answer = client.post("/v1/predict", content=GOOD)
    assert answer.status_code == 200
    assert answer.json()["emotion"] in EMOTIONS


# --- good requests


def test_a_clip_gets_the_label_and_the_probabilities_of_predict_emotions(client, models, corpus):
    table = predict_emotions(models[0], corpus.data)
    assert set(table["emotion"]) == set(EMOTIONS)
    for (_, row), path in zip(table.iterrows(), corpus.data, strict=True):
        with open(path, "rb") as file:  # noqa: PTH123
            raw = client.post("/v1/predict", content=file.read())
            form = client.post("/v1/predict", files={"file": file})
        assert raw.status_code == 200
        assert raw.json() == form.json()
        answer = raw.json()
        assert answer["emotion"] == row["emotion"]
        assert list(answer["probabilities"]) == EMOTIONS
        assert answer["probabilities"] == {emotion: round(row[emotion], 6) for emotion in EMOTIONS}
        assert answer["probability"] == round(row["probability"], 6)
        assert answer["seconds"] > 0.4
        assert answer["model"] == "one"


@pytest.mark.parametrize(
    ("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24")]
)
def test_a_body_of_any_type_and_any_format_is_a_clip(client, container, subtype):
    clip = as_file(speech(), 16000, container, subtype)
    for content_type in ("application/json", "application/x-www-form-urlencoded", "audio/whatever", ""):
        answer = client.post("/v1/predict", content=clip, headers={"Content-Type": content_type})
        assert answer.status_code == 200, answer.text


def test_a_model_is_chosen_by_its_name(client):
    named = client.post("/v1/predict?model=one-2", content=GOOD).json()
    assert named["model"] == "one-2"
    answer = client.post("/v1/predict?model=svc", content=GOOD).json()
    assert answer["emotion"] in EMOTIONS
    assert answer["probability"] is None
    assert answer["probabilities"] == {}


def test_the_models_tell_their_classes_in_order_and_their_cards(client):
    told = client.get("/v1/models").json()
    assert [model["name"] for model in told] == ["one", "one-2", "svc"]
    assert [model["gives_probabilities"] for model in told] == [True, True, False]
    assert all(model["classes"] == EMOTIONS for model in told)
    assert told[0]["metrics"] == {"synthetic": {"uar": 0.5}}
    assert told[0]["licence"] == "BSD-3-Clause"
    assert told[1]["metrics"] is None


def test_a_recording_is_told_window_by_window_as_stream_emotions_does(client, models):
    recording = as_file(np.concatenate([speech(4, 120), np.zeros(16000 * 4), speech(3, 240)]))
    settings = {"window": 2, "hop": 1.5, "min_speech": 0.5}
    answer = client.post("/v1/predict", params={"timeline": True} | settings, content=recording).json()
    expected = list(stream_emotions(models[0], io.BytesIO(recording), **settings))
    assert len(answer["windows"]) == len(expected) > 3
    assert {window.emotion for window in expected} > {None}
    for told, window in zip(answer["windows"], expected, strict=True):
        assert told["emotion"] == window.emotion
        assert (told["start"], told["end"]) == pytest.approx((window.start, window.end), abs=1e-6)
        assert told["speech"] == pytest.approx(window.speech, abs=1e-6)
        assert tuple(told["probabilities"].values()) == pytest.approx(window.probabilities, abs=1e-6)
    of_svc = client.post("/v1/predict?timeline=true&model=svc", content=recording).json()["windows"]
    assert {window["probability"] for window in of_svc} == {None}


def test_silence_has_a_reason_in_place_of_an_emotion(client, models):
    silence = as_file(np.zeros(8000))
    answer = client.post("/v1/predict", content=silence)
    expected = {"emotion": None, "reason": "no speech", "probability": None, "probabilities": {}, "speech": 0.0}
    assert answer.status_code == 200
    assert expected.items() <= answer.json().items()
    (window,) = client.post("/v1/predict?timeline=true", content=silence).json()["windows"]
    assert expected.items() <= window.items()
    parts = [("files", ("clip", clip)) for clip in (silence, GOOD)]
    silent, spoken = client.post("/v1/predict/batch", files=parts).json()
    assert silent == answer.json()
    assert (spoken["reason"], spoken["emotion"] in EMOTIONS) == (None, True)
    assert spoken["speech"] == pytest.approx(predict_emotions(models[0], [io.BytesIO(GOOD)])["speech"][0], abs=1e-6)


def test_a_client_may_want_an_emotion_all_the_same(client, models):
    silence = as_file(np.zeros(8000))
    expected = predict_emotions(models[0], [io.BytesIO(silence)], min_speech=0)["emotion"][0]
    answers = [
        client.post("/v1/predict?min_speech=0", content=silence).json(),
        client.post("/v1/predict/batch?min_speech=0", files=[("files", ("clip", silence))]).json()[0],
        client.post("/v1/predict?timeline=true&min_speech=0", content=silence).json()["windows"][0],
    ]
    assert [(answer["emotion"], answer["reason"]) for answer in answers] == [(expected, None)] * 3
    for path in ("/v1/predict", "/v1/predict/batch"):
        refused = client.post(f"{path}?min_speech=2", content=silence)
        assert (refused.status_code, refused.json()["kind"]) == (422, "bad-request")


def test_one_bad_clip_of_a_batch_does_not_spoil_the_others(client):
    other = as_file(speech(hz=300))
    parts = [("files", ("../../etc/passwd", clip)) for clip in (GOOD, b"no audio", b"", other)]
    answer = client.post("/v1/predict/batch", files=parts)
    assert answer.status_code == 200
    first, second, third, fourth = answer.json()
    assert first == client.post("/v1/predict", content=GOOD).json()
    assert fourth == client.post("/v1/predict", content=other).json()
    assert [one["error"]["kind"] for one in (second, third)] == ["not-audio", "empty"]
    assert "passwd" not in answer.text


# --- bad requests


def long_silence(seconds):
    """A compressed file of a few kilobytes that lasts long."""
    return as_file(np.zeros(int(seconds * 8000)), 8000, "FLAC")


def wav_of_many(n_samples):
    data = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 2 * n_samples, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2,
                       16, b"data", 2 * n_samples)  # fmt: skip
    return data + bytes(320)


def flac_that_says(n_samples):
    """A whole FLAC file whose header tells another length: 36 bits in bytes 21 to 25."""
    flac = bytearray(as_file(speech(), 16000, "FLAC"))
    flac[21] = (flac[21] & 0xF0) | (n_samples >> 32)
    flac[22:26] = struct.pack(">I", n_samples & 0xFFFFFFFF)
    return bytes(flac)


def at_rate(rate):
    wav = bytearray(GOOD)
    wav[24:28] = struct.pack("<I", rate)
    return bytes(wav)


BAD_BODIES = {
    "empty": (b"", 422, "empty"),
    "random": (np.random.default_rng(0).bytes(5000), 422, "not-audio"),
    "text": (b"hello", 422, "not-audio"),
    "json": (b'{"file": "' + b"x" * 10**6 + b'"}', 422, "not-audio"),
    "truncated": (GOOD[: len(GOOD) // 2], 422, "unusable-audio"),
    "head-alone": (GOOD[:30], 422, "not-audio"),
    "many-samples": (wav_of_many(10**9), 422, "unusable-audio"),
    "flac-of-many": (flac_that_says(10**9), 413, "too-long"),
    "an-hour-in-kilobytes": (long_silence(3600), 413, "too-long"),
    "many-channels": (as_file(np.zeros((48000 * 10, 12)), 48000), 413, "too-large"),
    "many-numbers": (as_file(np.zeros((96000 * 15, 8)), 96000, "FLAC"), 413, "too-long"),
    "odd-rate": (at_rate(2**31 - 1), 422, "odd-rate"),
    "one-hertz": (at_rate(1), 422, "odd-rate"),
    "huge-samples": (as_file(1e20 * speech(), 16000, "WAV", "FLOAT"), 422, "unusable-audio"),
    "nan": (as_file(np.full(8000, np.nan), 16000, "WAV", "FLOAT"), 422, "unusable-audio"),
    "no-samples": (as_file(np.zeros(0)), 422, "unusable-audio"),
    "too-large": (bytes(LIMITS.max_bytes + 1), 413, "too-large"),
}


@pytest.mark.parametrize(("body", "status", "kind"), BAD_BODIES.values(), ids=BAD_BODIES)
@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_what_is_no_clip_is_refused_with_a_reason(client, body, status, kind, form):
    answer = client.post("/v1/predict", **({"files": {"file": body}} if form else {"content": body}))
    assert problem_of(answer) == (status, kind)
    assert_goes_on(client)


@needs_pyav
@pytest.mark.parametrize(
    ("container", "codec"), [("ipod", "aac"), ("webm", "libopus"), ("adts", "aac"), ("asf", "wmav2")]
)
def test_what_phones_and_browsers_record_is_a_clip(client, container, codec):
    content = encode(speech(1.5), 16000, container, codec, 64000)
    answer = client.post("/v1/predict", content=content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["seconds"] == pytest.approx(1.5, abs=0.15)
    assert client.post("/v1/predict?timeline=true", content=content).status_code == 200
    assert problem_of(client.post("/v1/predict", content=content[: len(content) // 2]))[0] == 422
    too_long = encode(np.zeros(16000 * 21), 16000, container, codec, 64000)
    assert problem_of(client.post("/v1/predict", content=too_long)) == (413, "too-long")
    assert_goes_on(client)


@pytest.mark.parametrize("body", [long_silence(61), flac_that_says(10**9)], ids=["a-minute", "many"])
def test_a_recording_that_is_too_long_is_refused_by_its_header(client, body):
    answer = client.post("/v1/predict?timeline=true", content=body)
    assert problem_of(answer) == (413, "too-long")
    assert client.post("/v1/predict?timeline=true", content=long_silence(40)).status_code == 200


BAD_QUERIES = {
    "window-nan": "timeline=true&window=nan",
    "window-inf": "timeline=true&window=inf",
    "window-short": "timeline=true&window=0.2",
    "hop-negative": "timeline=true&hop=-1",
    "hop-zero": "timeline=true&hop=0",
    "min-speech": "timeline=true&min_speech=2",
    "window-word": "timeline=true&window=secretword",
    "timeline-word": "timeline=secretword",
    "window-without-timeline": "window=3",
}


@pytest.mark.parametrize("query", BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_a_parameter_out_of_range_is_refused_by_name(client, query):
    answer = client.post(f"/v1/predict?{query}", content=GOOD)
    assert problem_of(answer) == (422, "bad-request")
    name = query.split("&")[-1].split("=")[0]
    assert name in answer.json()["detail"]
    assert "secretword" not in answer.text, "what was sent is not sent back"
    assert_goes_on(client)


def part(name="file", disposition=None, headers=(), content=GOOD):
    lines = [disposition or f'Content-Disposition: form-data; name="{name}"; filename="a.wav"', *headers]
    return "\r\n".join(["--x", *lines]).encode() + b"\r\n\r\n" + content + b"\r\n"


BAD_FORMS = {
    "no-boundary": ("multipart/form-data", b"", 400, "bad-form"),
    "long-boundary": (f"multipart/form-data; boundary={'x' * 8000}", b"", 400, "bad-form"),
    "no-parts": ("multipart/form-data; boundary=x", b"--x--\r\n", 422, "no-file"),
    "no-such-field": ("multipart/form-data; boundary=x", part("other") + b"--x--\r\n", 422, "no-file"),
    "no-name": ("multipart/form-data; boundary=x", part(disposition="X: y") + b"--x--\r\n", 422, "no-file"),
    "a-text": (
        "multipart/form-data; boundary=x",
        part(disposition='Content-Disposition: form-data; name="file"', content=b"x") + b"--x--\r\n",
        422,
        "no-file",
    ),
    "a-long-text": (
        "multipart/form-data; boundary=x",
        part(disposition='Content-Disposition: form-data; name="file"', content=b"x" * 5000) + b"--x--\r\n",
        422,
        "no-file",
    ),
    "two-clips": ("multipart/form-data; boundary=x", 2 * part() + b"--x--\r\n", 400, "bad-form"),
    "garbage": ("multipart/form-data; boundary=x", b"garbage", 400, "bad-form"),
    "cut": ("multipart/form-data; boundary=x", part()[:-100], 400, "bad-form"),
    "long-header": ("multipart/form-data; boundary=x", part(headers=["A: " + "b" * 10**5]) + b"--x--", 400, "bad-form"),
    "many-headers": ("multipart/form-data; boundary=x", part(headers=["A: b"] * 5000) + b"--x--", 400, "bad-form"),
    "many-fields": (
        "multipart/form-data; boundary=x",
        b"".join(part(disposition='Content-Disposition: form-data; name="a"', content=b"") for _ in range(20)),
        400,
        "bad-form",
    ),
}


@pytest.mark.parametrize(("content_type", "body", "status", "kind"), BAD_FORMS.values(), ids=BAD_FORMS)
def test_a_bad_form_is_refused_with_a_reason(client, content_type, body, status, kind):
    answer = client.post("/v1/predict", content=body, headers={"Content-Type": content_type})
    assert problem_of(answer) == (status, kind)
    assert_goes_on(client)


def test_file_names_are_no_paths_and_come_back_nowhere(client, caplog):
    for name in ("../../../etc/passwd", "/etc/passwd", 'a"b<script>.wav', "x" * 2000, "line\nbreak"):
        with caplog.at_level(logging.DEBUG):
            answer = client.post("/v1/predict", files={"file": (name, GOOD)})
        assert answer.status_code == 200
        assert name not in answer.text
        assert name not in caplog.text.replace("httpx", "")


def test_other_refusals_are_problems_too(client):
    assert problem_of(client.get("/nowhere")) == (404, "not-found")
    wrong_method = client.get("/v1/predict")
    assert problem_of(wrong_method) == (405, "method-not-allowed")
    assert wrong_method.headers["allow"] == "POST"
    assert problem_of(client.post("/v1/predict?model=none", content=GOOD)) == (404, "unknown-model")
    assert problem_of(client.post("/v1/predict/batch", content=GOOD)) == (415, "not-a-form")
    assert problem_of(client.post("/v1/predict/batch", files=[("file", GOOD)])) == (422, "no-file")
    assert problem_of(client.post("/v1/predict/batch", files=[("files", GOOD)] * 5)) == (400, "bad-form")
    compressed = client.post("/v1/predict", content=GOOD, headers={"Content-Encoding": "gzip"})
    assert problem_of(compressed) == (415, "compressed")
    assert_goes_on(client)


def test_a_fault_is_a_problem_that_tells_nothing_of_the_request(client, service, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("the upload says SECRET")

    with monkeypatch.context() as patch:
        patch.setattr(service, "find", fail)
        answer = client.post("/v1/predict?model=SECRET", content=GOOD)
    assert problem_of(answer) == (500, "failed")
    assert "SECRET" not in answer.text + caplog.text
    assert "RuntimeError at" in caplog.text
    assert_goes_on(client)


# --- the body as it comes in


def test_a_body_without_a_length_is_refused_while_it_comes_in(client):
    sent = []

    def endless():
        for number in range(10**4):
            sent.append(number)
            yield bytes(2**16)

    answer = client.post("/v1/predict", content=endless())
    assert problem_of(answer) == (413, "too-large")
    assert answer.headers["connection"] == "close"
    assert_goes_on(client)


def test_a_body_of_a_stated_length_is_refused_before_it_comes_in(client):
    connection = raw_connection(client)
    connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    assert b" 413 " in connection.recv(4096).splitlines()[0]
    connection.close()
    assert_goes_on(client)


def test_a_client_that_goes_away_leaves_nothing_behind(client, service):
    connection = raw_connection(client)
    connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it")
    wait_until(lambda: service.n_inside == 1)
    connection.close()
    wait_until(lambda: service.n_inside == 0)
    assert_goes_on(client)


def test_nothing_of_an_upload_is_written_to_disk(client, monkeypatch):
    def on_disk(*_, **__):
        raise AssertionError("an upload on disk")

    for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, on_disk)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", on_disk)
    monkeypatch.setattr(os, "open", on_disk)
    long = as_file(speech(19), subtype="FLOAT")  # so many bytes that Starlette would write them down
    assert 2**20 < len(long) < LIMITS.max_bytes
    assert client.post("/v1/predict", files={"file": long}).status_code == 200
    answers = client.post("/v1/predict/batch", files=[("files", long)]).json()
    assert answers[0]["emotion"] in EMOTIONS


# --- who may ask, and what those who run it see


def test_a_token_keeps_others_out(models):
    with served(Service(models[:1], limits=LIMITS, n_workers=1), token="s3cret") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        for path in ("/v1/models", "/metrics", "/docs", "/openapi.json", "/nowhere"):
            refused = client.get(path)
            assert problem_of(refused) == (401, "unauthorised")
            assert refused.headers.get_list("www-authenticate") == ["Bearer", 'Basic realm="sersk", charset="UTF-8"']
        for header in ("Bearer wrong", "Bearer", "Bearer s3cre", "Basic !!!", "s3cret", "Digest s3cret", "Bearer \xe9"):
            headers = {"Authorization": header.encode("latin-1")}
            assert problem_of(client.post("/v1/predict", content=GOOD, headers=headers)) == (401, "unauthorised")
        bearer = {"Authorization": "Bearer s3cret"}
        assert client.post("/v1/predict", content=GOOD, headers=bearer).status_code == 200
        assert client.get("/docs", auth=("anybody", "s3cret")).status_code == 200, "browsers know Basic only"
        assert client.get("/openapi.json", headers=bearer).json()["components"]["securitySchemes"]


def answer_of(app, path, *headers, kind="http"):
    """What an application says first, without a server."""
    said = []

    async def ask():
        async def send(message):
            said.append(message)

        scope = {
            "type": kind,
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"x"), *headers],
        }
        await app(scope, lambda: None, send)

    asyncio.run(ask())
    return said[0]


def test_health_is_free_and_nothing_that_looks_like_it(service):
    app = create_app(service, token="s3cret", page=False)
    assert answer_of(app, "/healthz")["status"] == 200
    for path in (
        "/healthz/",
        "/healthz/x",
        "/healthzx",
        "//healthz",
        "/x/healthz",
        "/HEALTHZ",
        "/healthz/../docs",
        "",
        "/",
    ):
        assert answer_of(app, path)["status"] == 401, path
    for path in ("/v1/predict", "/gradio_api/queue/data"):
        assert answer_of(app, path, kind="websocket")["type"] == "websocket.close"


@pytest.mark.parametrize(
    ("token", "forms"),
    [
        ("gréen", ["gréen".encode(), "gréen".encode("latin-1")]),
        ("ключ 🔑", ["ключ 🔑".encode()]),
        (" plain\n", [b"plain", b" plain "]),
        ("a:b", [b"a:b"]),
    ],
)
def test_a_token_of_any_signs_lets_those_in_who_know_it(service, token, forms):
    app = create_app(service, token=token, page=False)

    def status(authorization):
        return answer_of(app, "/v1/models", (b"authorization", authorization))["status"]

    for form in forms:
        for sent in (b"Bearer " + form, b"bearer  " + form, b"Basic " + base64.b64encode("né:".encode() + form)):
            assert status(sent) == 200, sent
    for form in (b"", b"gr", "gréen".encode("utf-16"), forms[0] + b"x", forms[0][:-2], b"\xff\xfe"):
        for sent in (b"Bearer " + form, b"Basic " + base64.b64encode(b"me:" + form), b"Basic " + form, form):
            assert status(sent) == 401, sent


@pytest.mark.parametrize("token", ["", " ", "\n\t"])
def test_an_empty_token_is_refused(service, token):
    with pytest.raises(ValueError, match="token is empty"):
        create_app(service, token=token, page=False)


def test_the_pages_of_the_description_load_nothing_from_other_machines(client):
    page = client.get("/docs").text
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith("/")
        assert client.get(address).status_code == 200
    assert "://" not in page.replace("http://www.w3.org", "")


def test_the_description_tells_bodies_answers_and_problems(client):
    told = client.get("/openapi.json").json()
    predict = told["paths"]["/v1/predict"]["post"]
    assert predict["requestBody"]["content"].keys() == {"multipart/form-data", "application/octet-stream", "audio/*"}
    for status in ("400", "401", "404", "408", "413", "415", "422", "500", "503", "504"):
        assert "application/problem+json" in predict["responses"][status]["content"]
    for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(told)):
        assert name in told["components"]["schemas"]
    assert "HTTPValidationError" not in told["components"]["schemas"]
    answer = client.post("/v1/predict", content=GOOD).json()
    assert answer.keys() == told["components"]["schemas"]["PredictionAnswer"]["properties"].keys()


def test_figures_for_prometheus(models):
    with served(Service(models[:1], limits=LIMITS, n_workers=1)) as client:
        client.post("/v1/predict?model=one", content=as_file(speech(2)))
        client.post("/v1/predict", content=b"")
        client.get("/secret/path")
        client.request("BREW", "/v1/predict")
        text = client.get("/metrics").text
    assert 'sersk_requests_total{method="POST",route="/v1/predict",status="200"} 1.0' in text
    assert 'sersk_requests_total{method="POST",route="/v1/predict",status="422"} 1.0' in text
    assert 'sersk_requests_total{method="GET",route="other",status="404"} 1.0' in text
    assert 'method="other"' in text
    assert 'sersk_request_seconds_count{method="POST",route="/v1/predict"} 2.0' in text
    assert "sersk_audio_seconds_total 2.0" in text
    assert "sersk_in_flight 0.0" in text
    assert "sersk_workers_restarted_total 0.0" in text
    assert "secret" not in text


def test_requests_beyond_the_limit_are_refused_before_they_are_read(models):
    limits = Limits(max_waiting=2)
    service = Service(models[:1], limits=limits, n_workers=1)
    with served(service) as client:
        slow = [raw_connection(client) for _ in range(2)]
        for connection in slow:
            connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it")
        wait_until(lambda: service.n_inside == 2)
        connection = raw_connection(client)
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        head = connection.recv(4096).lower()
        assert b" 503 " in head.splitlines()[0]
        assert b"retry-after: 1" in head
        refused = client.post("/v1/predict", content=GOOD)
        assert problem_of(refused) == (503, "busy")
        assert client.get("/healthz").status_code == 200
        for one in (*slow, connection):
            one.close()
        wait_until(lambda: service.n_inside == 0)
        assert_goes_on(client)


def test_an_upload_that_is_too_slow_is_refused(models):
    with served(Service(models[:1], limits=Limits(timeout=0.5), n_workers=1)) as client:
        connection = raw_connection(client)
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it")
        assert b" 408 " in connection.recv(4096).splitlines()[0]
        connection.close()


def test_many_clients_get_each_their_own_answer(client, corpus, models):
    table = predict_emotions(models[0], corpus.data).set_index("file")

    def ask(path):
        with open(path, "rb") as file:  # noqa: PTH123
            answer = client.post("/v1/predict", files={"file": file}).json()
        return answer["probabilities"] == {emotion: round(table.loc[path, emotion], 6) for emotion in EMOTIONS}

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, [*corpus.data] * 4))


def test_the_names_of_the_service_lie_together():
    assert {"Limits", "ServedModel", "Prediction", "ServiceProblem", "Service"} <= vars(services).keys()
