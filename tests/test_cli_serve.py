"""`sersk serve` as people run it: a process, from its start to its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clusters import wait_until
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")

import httpx
import uvicorn
from serving import as_file, speech

from sersk import cli, make_emotional_speech, save_model
from sersk.models import emotion_pipeline

EMOTIONS = ["angry", "happy", "sad"]
GOOD = as_file(speech())


@contextlib.contextmanager
def serving(folder, *arguments, n_workers=1, **environment):
    """Start a service on a free port; what comes is its process, a client, and the file of what it says."""
    log = folder / "log.txt"
    command = [sys.executable, "-m", "sersk", "serve", "--no-page", "--port", "0", "--timeout", "300"]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--workers", str(n_workers), *map(str, arguments)],
            stdout=said,
            stderr=said,
            env=os.environ | environment,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or "listens at" in log.read_text())
        found = re.search(r"listens at (http://\S+),", log.read_text())
        assert found, log.read_text()
        with httpx.Client(base_url=found[1].replace("0.0.0.0", "127.0.0.1"), timeout=300, trust_env=False) as client:

            def is_ready():
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/readyz").status_code == 200

            wait_until(is_ready)
            yield process, client, log
    finally:
        process.kill()
        process.wait()


def children(pid):
    """Processes that a process started, and that are more than remains of one."""
    found = subprocess.run(
        ["ps", "-ww", "--ppid", str(pid), "-o", "pid=", "-o", "args="], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


def is_alive(pid):
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()[:1] not in ("", "Z")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_emotional_speech(
        tmp_path_factory.mktemp("corpus"), emotions=EMOTIONS, n_speakers=2, n_repetitions=2, duration=0.5
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory, corpus):
    fitted = emotion_pipeline("lda", features="means-180").fit(corpus.data, corpus.target)
    return save_model(fitted, tmp_path_factory.mktemp("model") / "own.sersk")


def predicted(paths, *arguments):
    """What `sersk predict` says, line by line."""
    result = CliRunner().invoke(cli.app, ["predict", "--json", "--proba", *map(str, [*arguments, *paths])])
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_same_as_predict(client, paths, *arguments):
    """Compare clip by clip: a matrix product of many rows may round otherwise than one of a single row."""
    for path in paths:
        [told] = predicted([path], *arguments)
        answer = client.post("/v1/predict", content=Path(told["file"]).read_bytes()).json()
        assert {key: answer[key] for key in ("emotion", "probability")} == {
            key: told[key] for key in ("emotion", "probability")
        }
        assert list(answer["probabilities"].items()) == list(told["probabilities"].items())


@pytest.fixture(scope="module")
def started(tmp_path_factory, model):
    with serving(tmp_path_factory.mktemp("started"), "--model", model) as (_, client, log):
        yield client, log


def test_answers_are_those_of_sersk_predict_for_every_emotion(started, corpus, model):
    client, _ = started
    told = client.get("/v1/models").json()
    assert [(one["name"], one["classes"]) for one in told] == [("own", EMOTIONS)]
    assert {one["emotion"] for one in predicted(corpus.data, "--model", model)} == {*EMOTIONS}
    assert_same_as_predict(client, corpus.data, "--model", model)


@pytest.mark.corpus
def test_answers_for_real_clips_are_those_of_sersk_predict(tmp_path, real_corpora):
    clips = sorted((real_corpora / "ravdess").rglob("03-01-*-01-01-01-0[12].*"))
    codes = [f"{code:02}" for code in range(1, 9)]
    chosen = [clip for code in codes for clip in [clip for clip in clips if clip.name.split("-")[2] == code][:2]]
    assert len(chosen) == 16
    with serving(tmp_path) as (_, client, _):
        assert client.get("/v1/models").json()[0]["name"] == "default"
        assert_same_as_predict(client, chosen)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize(
    ("number", "code", "whole_group"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 0, False)],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_signal_ends_it_and_its_workers_in_good_order(tmp_path, model, number, code, whole_group):
    with serving(tmp_path, "--model", model, n_workers=2) as (process, client, log):
        wait_until(lambda: len(children(process.pid)) == 2)
        workers = children(process.pid)
        assert client.post("/v1/predict", content=GOOD).status_code == 200
        os.killpg(process.pid, number) if whole_group else process.send_signal(number)
        assert process.wait(300) == code
        wait_until(lambda: not any(map(is_alive, workers)))
    said = log.read_text().splitlines()
    assert said[0].startswith("sersk listens at")
    assert "Traceback" not in log.read_text()
    assert said[1:] == ["interrupted"] * (number == signal.SIGINT)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_workers_end_with_a_service_that_was_killed_and_it_with_none_of_them(tmp_path, model):
    with serving(tmp_path, "--model", model, n_workers=2) as (process, client, _):
        wait_until(lambda: len(children(process.pid)) == 2)
        first = children(process.pid)
        os.kill(first[0], signal.SIGKILL)
        wait_until(
            lambda: client.post("/v1/predict", content=GOOD).status_code == 200 and len(children(process.pid)) == 2
        )
        for _ in range(4):
            assert client.post("/v1/predict", content=GOOD).json()["emotion"] in EMOTIONS
        assert "sersk_workers_restarted_total 1.0" in client.get("/metrics").text
        workers = children(process.pid)
        process.kill()
        wait_until(lambda: not any(map(is_alive, workers)))


def test_nothing_of_requests_is_in_the_log(started):
    client, log = started
    client.post("/v1/predict?model=QUERYSECRET", files={"file": ("NAMESECRET.wav", b"BODYSECRET")})
    client.post("/v1/predict", files={"file": ("NAMESECRET.mp3", b"ID3\xff\xfbBODYSECRET" * 100)})
    client.get("/PATHSECRET")
    assert log.read_text().count("\n") == 1, "where it listens, and no more"


def test_a_token_from_the_environment_and_a_note_where_there_is_none(tmp_path, model):
    with serving(tmp_path, "--model", model, "--host", "0.0.0.0", SERSK_TOKEN="hush") as (_, client, log):
        assert client.post("/v1/predict", content=GOOD).status_code == 401
        headers = {"Authorization": "Bearer hush"}
        assert client.post("/v1/predict", content=GOOD, headers=headers).status_code == 200
        assert "note:" not in log.read_text()
    with serving(tmp_path, "--model", model, "--host", "0.0.0.0") as (_, client, log):
        assert client.post("/v1/predict", content=GOOD).status_code == 200
        assert "note: whoever reaches this address" in log.read_text()


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_an_empty_token_lets_nobody_in_and_an_empty_host_is_none(model, monkeypatch, blank):
    """Such as `SERSK_TOKEN=$(cat missing)` gives: it was to keep others out."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_: pytest.fail("it serves"))
    ways = [(["--token", blank], {}), ([], {"SERSK_TOKEN": blank}), (["--host", blank], {})]
    for arguments, environment in ways:
        command = ["serve", "--model", str(model), "--port", "0", "--no-page", *arguments]
        result = CliRunner().invoke(cli.app, command, env=environment)
        assert result.exit_code == 2, result.output
        what = "host" if "--host" in arguments else "token"
        assert result.stderr.startswith(f"error: The {what} is empty")


def test_what_keeps_it_from_serving_is_one_line(started, tmp_path, model):
    result = CliRunner().invoke(cli.app, ["serve", "--model", str(tmp_path / "missing.sersk"), "--port", "0"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "missing.sersk" in result.stderr
    port = str(started[0].base_url.port)
    result = CliRunner().invoke(cli.app, ["serve", "--model", str(model), "--port", port])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: cannot listen at 127.0.0.1, port {port}: ")
