"""What the README and the Dockerfile say of the service is so."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from forgery import cheap_features, lda, waveforms
from sklearn.pipeline import make_pipeline

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")

from serving import as_file, served, speech

from sersk import save_model
from sersk.serve.service import Limits, Service

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## As a service\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)[1]
CURLS = re.findall(r"^curl .*$", SECTION, re.MULTILINE)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), ["angry", "happy", "sad"] * 6)
    model = save_model(fitted, tmp_path_factory.mktemp("model") / "model.sersk")
    with served(Service([model], n_workers=1)) as client:
        yield f"localhost:{client.base_url.port}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "call.wav").write_bytes(as_file(speech(4)))
    (tmp_path / "call.flac").write_bytes(as_file(speech(1), 16000, "FLAC"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "localhost")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("line", CURLS, ids=range(len(CURLS)))
def test_the_lines_with_curl_work(address, line):
    assert len(CURLS) == 4
    command = shlex.split(line, comments=True)
    command = [word.replace("localhost:8000", address) for word in command]
    done = subprocess.run([*command, "--silent", "--fail"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    if "timeline" in line:
        assert [window["start"] for window in told["windows"]] == pytest.approx([0, 0.5, 1], abs=0.01)
    elif "batch" in line:
        assert all("emotion" in one for one in told)
        assert len(told) == 2
    elif "models" in line:
        assert told[0]["classes"] == ["angry", "happy", "sad"]
    else:
        assert told["emotion"] in ("angry", "happy", "sad")


def test_the_client_in_python_works(address):
    code = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)[1]
    assert "localhost:8000" in code
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code.replace("localhost:8000", address), "README.md", "exec"), {})
    emotion, probability = said.getvalue().split()
    assert emotion in ("angry", "happy", "sad")
    assert 0 < float(probability) <= 1


def test_the_limits_are_those_that_are_told():
    limits = Limits()
    assert f"{limits.max_bytes // 2**20} MiB" in SECTION
    assert f"{limits.max_clips} clips" in SECTION
    assert f"{limits.max_waiting} requests" in SECTION
    assert (limits.max_seconds, limits.max_recording_seconds, limits.timeout) == (120, 3600, 60)


def test_the_dockerfile_copies_what_the_package_is_built_from():
    copied = [word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*build["packages"], *build["force-include"], project["project"]["readme"]]
    needed += project["project"]["license-files"]
    assert {path.split("/")[0] for path in needed} | {"pyproject.toml"} <= {*copied}
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert {*let_in} == {*copied}


def test_the_container_runs_the_service_as_nobody_special():
    assert "USER sersk" in DOCKERFILE
    assert "://" not in DOCKERFILE.replace("http://127.0.0.1:8000/healthz", "")
    port = re.search(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[1]
    assert f"127.0.0.1:{port}/healthz" in DOCKERFILE
    assert f"app_port: {port}" in SECTION
    assert '[serve]"' in DOCKERFILE
