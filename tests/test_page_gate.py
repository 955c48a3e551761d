"""What the page gives away: no file but its own, no address, and no route that it does not need."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from secrets import token_hex

import pytest
from forgery import cheap_features, lda, waveforms
from sklearn.pipeline import make_pipeline

pytest.importorskip("gradio", reason="needs an extra: pip install 'sersk[serve]'", exc_type=ImportError)

import gradio
import httpx
from clusters import wait_until
from serving import as_file, problem_of, served, speech

from sersk import save_model
from sersk.serve import page_gate
from sersk.serve.page import _Handlers
from sersk.serve.page_gate import PageGate, plain_name, remove_old
from sersk.serve.problems import Limits, ServiceProblem
from sersk.serve.service import Service

EMOTIONS = ["angry", "happy", "sad"]
GOOD = as_file(speech())
SECRET = as_file(speech(hz=300))
TOKEN = {"Authorization": "Bearer hush"}
LIMITS = Limits(max_bytes=2**20, max_clips=4)

# All routes of Gradio from 6.22 to 6.31. A new one is refused until it is let in at `sersk.serve.page_gate`.
LET_IN = {
    *("/", "/favicon.ico", "/manifest.json", "/robots.txt", "/theme.css", "/assets/{path:path}", "/static/{path:path}"),
    *("/gradio_api/app_id", "/gradio_api/heartbeat/{session_hash}", "/gradio_api/queue/data", "/gradio_api/queue/join"),
}
ANSWERED_HERE = {"/gradio_api/upload", "/gradio_api/file={path_or_url:path}"}
REFUSED = {
    *("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"),  # our own stand before them
    *("/config", "/login", "/logout", "/login_check", "/monitoring", "/monitoring/summary", "/monitoring/{key}"),
    *("/pwa_icon", "/pwa_icon/{size}", "/svelte/{path:path}", "/gradio_api/deep_link", "/gradio_api/dev/reload"),
    *("/gradio_api/api/{api_name}", "/gradio_api/run/{api_name}", "/gradio_api/cancel", "/gradio_api/reset"),
    *("/gradio_api/call/{api_name}", "/gradio_api/call/{api_name}/{event_id}", "/gradio_api/component_server"),
    *("/gradio_api/call/v2/{api_name}", "/gradio_api/call/v2/{api_name}/{event_id}", "/gradio_api/file/{path:path}"),
    *("/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}", "/gradio_api/proxy={url_path:path}"),
    *("/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/login_check", "/gradio_api/process_recording"),
    *("/gradio_api/queue/status", "/gradio_api/startup-events", "/gradio_api/theme.css", "/gradio_api/token"),
    *("/gradio_api/runs", "/gradio_api/run-history/connect", "/gradio_api/run-history/buckets"),
    *("/gradio_api/run-history/records", "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}"),
    *("/gradio_api/stream/{event_id}", "/gradio_api/stream/{event_id}/close", "/gradio_api/upload_progress"),
    *(f"/gradio_api/stream/{{session_hash}}/{{run}}/{{component_id}}/{name}" for name in (
        "playlist.m3u8", "playlist-file", "{segment_id}.{ext}")),
    *("/gradio_api/user", "/gradio_api/vibe-code", "/gradio_api/vibe-edit", "/gradio_api/undo-vibe-edit"),
    *("/gradio_api/vibe-starter-queries", "/gradio_api/profiling/traces", "/gradio_api/profiling/summary"),
    *("/gradio_api/profiling/clear", "/gradio_api/mcp"),
}  # fmt: skip


def routes_of(app):
    """Paths of all routes of an application, also of routers that it includes as they are."""
    found = set()
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        found |= {route.path} if inner is None else routes_of(inner)
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), EMOTIONS * 6)
    return save_model(fitted, tmp_path_factory.mktemp("model") / "model.sersk")


@pytest.fixture(scope="module")
def gates():
    """The gates that were made, of which the last is the service's."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        init = PageGate.__init__
        patch.setattr(
            PageGate, "__init__", lambda self, *args, **kwargs: made.append(self) or init(self, *args, **kwargs)
        )
        yield made


@pytest.fixture(scope="module")
def client(model, gates):
    service = Service([model], limits=LIMITS, n_workers=1)
    with contextlib.ExitStack() as stack:
        with without_loops_of_gradio():
            client = stack.enter_context(served(service, page=True, token="hush"))
        client.headers.update(TOKEN)
        yield client
        with without_loops_of_gradio():
            stack.close()


@contextlib.contextmanager
def without_loops_of_gradio():
    """It leaves event loops open, which would be an error in whatever test is next."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="module")
def gate(client, gates):
    return gates[-1]


@pytest.fixture
def reached(gate, monkeypatch):
    """What comes to Gradio, which has none of it: scope and body of each request."""
    seen = []

    async def note(scope, receive, send):
        seen.append((scope, (await receive())["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Gradio"})

    monkeypatch.setattr(gate, "_app", note)
    return seen


@pytest.fixture(scope="module")
def neighbour():
    """An address of this computer, and the requests that it gets."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SECRET)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def opened(monkeypatch):
    """Paths that Python code of this process opens while the test runs."""
    paths = []
    is_on = [True]
    sys.addaudithook(lambda event, args: paths.append(str(args[0])) if event == "open" and is_on[0] else None)
    yield paths
    is_on[0] = False


def upload(client, *clips, name="clip.wav"):
    answer = client.post("/gradio_api/upload", files=[("files", (name, clip)) for clip in clips])
    assert answer.status_code == 200, answer.text
    return answer.json()


def as_data(path, **more):
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


def join(client, audio, model="model", view="all", **more):
    event = {"data": [audio, model, view], "fn_index": 0, "session_hash": token_hex(8), "trigger_id": 1} | more
    body = json.dumps(event).encode()
    return client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"}), event


def result(client, *args, **more):
    """What comes of an event that is let in: whether it succeeded, and what the page shows then."""
    answer, event = join(client, *args, **more)
    assert answer.status_code == 200, answer.text
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": event["session_hash"]}) as stream:
        for line in stream.iter_lines():
            if "process_completed" in line:
                told = json.loads(line.removeprefix("data: "))
                return told["success"], str(told["output"])
    raise AssertionError("no end")


def raw(client, method, target, body=b"", **headers):
    """Ask for a target as it is written; what comes is the status and the body."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, target, body, TOKEN | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_new_route_of_gradio_is_looked_at_before_it_is_let_in(gate):
    found = {path.rstrip("/") or "/" for path in routes_of(gate._app)}
    assert len(found) > 40, "the routes are no longer found"
    new = found - LET_IN - ANSWERED_HERE - REFUSED
    assert not new, (
        f"Gradio {gradio.__version__} has routes that are new: {sorted(new)}. They are refused; read what \
they do, then add them to REFUSED here, or let them in at sersk/serve/page_gate.py if the page needs them."
    )


def test_routes_that_the_page_does_not_need_are_refused(client, reached):
    for path in REFUSED - {"/openapi.json", "/docs", "/docs/oauth2-redirect"}:
        filled = re.sub(r"\{\w+(:path)?\}", "predict", path)
        for target in (filled, filled + "/", filled.replace("predict", "..%2f..%2fetc%2fpasswd")):
            for method in ("GET", "POST", "OPTIONS"):
                assert problem_of(client.request(method, target))[0] == 404, (method, target)
    assert reached == []


def test_a_route_of_the_page_takes_its_method_and_its_spelling_only(client, reached):
    for path in ("/", "/theme.css", "/gradio_api/file=x", "/gradio_api/queue/data", "/gradio_api/heartbeat/x"):
        assert problem_of(client.post(path)) == (404, "not-found")
    for path in ("/gradio_api/queue/join", "/gradio_api/upload"):
        assert problem_of(client.get(path)) == (404, "not-found")
        assert problem_of(client.post(path + "/")) == (404, "not-found")
    roundabout = (
        "/assets/../x",
        "/assets/%2e%2e/x",
        "/assets/..%5cx",
        "/static/a/..%2f..%2fx",
        "/gradio_api//queue/data",
    )
    for target in (*roundabout, "/gradio_api/heartbeat/a/b", "/GRADIO_API/queue/data", "/gradio_api/queue/data%00"):
        assert raw(client, "GET", target)[0] == 404, target
    assert reached == []
    assert client.get("/?deep_link=../../x&page=y").text == "Gradio"
    assert client.get("/gradio_api/queue/data?session_hash=x").text == "Gradio"
    assert [scope["query_string"] for scope, _ in reached] == [b"", b"session_hash=x"]


def test_what_is_no_http_is_refused():
    said = []

    async def ask():
        async def send(message):
            said.append(message)

        gate = PageGate(None, blocks=None, folder=Path("/"), limits=LIMITS, most_bytes=1, most_seconds=1)
        await gate({"type": "websocket", "path": "/gradio_api/queue/join"}, None, send)

    asyncio.run(ask())
    assert [message["type"] for message in said] == ["websocket.close"]


def test_below_a_path_the_same_is_let_in_and_refused(gate, reached):
    def status(path):
        said = []

        async def ask():
            async def send(message):
                said.append(message)

            async def receive():
                return {"body": b""}

            scope = {"type": "http", "method": "GET", "root_path": "/sersk", "path": path, "headers": []}
            await gate(scope, receive, send)

        asyncio.run(ask())
        return said[0]["status"]

    assert status("/sersk/theme.css") == 200
    for path in ("/sersk/config", "/sersk/gradio_api/info", "/sersktheme.css", "/sersk/sersk/theme.css"):
        assert status(path) == 404
    assert len(reached) == 1


def test_without_the_token_nothing_of_the_page_is_answered(client, reached):
    with httpx.Client(base_url=client.base_url, trust_env=False) as stranger:
        for path in LET_IN | ANSWERED_HERE | REFUSED:
            for method in ("GET", "POST"):
                assert problem_of(stranger.request(method, path)) == (401, "unauthorised")
        assert problem_of(join(stranger, as_data("/dev/zero"))[0]) == (401, "unauthorised")
    assert reached == []


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, gate, neighbour):
    """What a client may try to name, and the file and the pipe that should not be opened by it."""
    outside = tmp_path_factory.mktemp("outside")
    secret, pipe = outside / "secret.wav", outside / "pipe.wav"
    secret.write_bytes(SECRET)
    os.mkfifo(pipe)
    own = gate._folder
    (own / "planted").mkdir()
    (own / "planted" / "link.wav").symlink_to(secret)
    (own / "planted" / "dangling.wav").symlink_to(outside / "none.wav")
    os.mkfifo(own / "planted" / "pipe.wav")
    (own / "linked").symlink_to(outside)
    up = "../" * len(own.parts)
    names = {
        "absolute": str(secret),
        "relative": os.path.relpath(secret),
        "upwards": f"{own}/x/../../{secret.relative_to('/')}",
        "up-from-the-folder": f"{up}{str(secret)[1:]}",
        "encoded": str(secret).replace("/", "%2f"),
        "double": str(secret).replace("/", "%252f"),
        "file-address": f"file://{secret}",
        "address": f"{neighbour[0]}/x.wav",
        "odd-address": neighbour[0].replace("http", "HTTP") + "/x.wav",
        "without-a-scheme": neighbour[0].removeprefix("http:") + "/x.wav",
        "device": "/dev/zero",
        "input": "/dev/stdin",
        "process": "/proc/self/environ",
        "pipe": str(pipe),
        "pipe-inside": f"{own}/planted/pipe.wav",
        "link": "planted/link.wav",
        "absolute-link": f"{own}/planted/link.wav",
        "dangling-link": "planted/dangling.wav",
        "linked-folder": "linked/secret.wav",
        "the-folder": str(own),
        "a-folder": "planted",
        "parent": "planted/..",
        "null": f"{secret}\0.wav",
        "null-inside": "planted/x\0.wav",
        "surrogate": "planted/\ud800.wav",
        "wide-dots": "\uff0e\uff0e/\uff0e\uff0e/etc/passwd",
        "long": "planted/" + "x" * 300,
        "home": "~",
        "share": "\\\\127.0.0.1\\x\\y.wav",
        "none": "",
        "dot": ".",
    }  # fmt: skip
    yield names
    for file in ("planted/link.wav", "planted/dangling.wav", "planted/pipe.wav", "linked"):
        (own / file).unlink()
    (own / "planted").rmdir()


SHAPES = {
    "data": as_data,
    "without-meta": lambda name: {"path": name},
    "stream": lambda name: as_data(name, is_stream=True),
    "name-of-old": lambda name: {"name": name, "is_file": True, "data": None},
    "content-of-old": lambda name: {"name": name, "data": "data:audio/wav;base64,AAAA"},
    "address-alone": lambda name: {"url": name, "meta": {"_type": "gradio.FileData"}},
    "text": lambda name: name,
    "list": lambda name: [as_data(name)],
    "nested": lambda name: {"value": as_data(name)},
    "twice": lambda name: as_data(as_data(name)),
    "list-of-paths": lambda name: as_data([name]),
    "number": lambda _: 3,
    "number-for-a-path": lambda _: as_data(3),
    "nothing": lambda _: {},
}


def test_no_name_leads_out_of_the_pages_folder(client, reached, foreign, neighbour, opened):
    names = {str(name) for name in foreign.values()}
    for kind, name in foreign.items():
        answer, _ = join(client, as_data(name))
        assert answer.status_code in (404, 422), kind
        answer, _ = join(client, [as_data(name)], fn_index=7)
        assert answer.status_code in (404, 422), kind
        assert problem_of(answer)[1] in ("not-found", "bad-event")
    assert reached == []
    assert neighbour[1] == []
    assert not names & {*opened}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_shape_of_a_reference_hides_a_name(client, reached, foreign, neighbour, shape):
    for kind in ("absolute", "address", "device", "link"):
        audio = shape(foreign[kind])
        for values in ((audio,), (None, audio), (None, "model", audio)):
            assert join(client, *values)[0].status_code in (404, 422), kind
        many = {"data": [[audio], "model"], "fn_index": 7}
        assert join(client, None, **many)[0].status_code in (404, 422), kind
    assert reached == []
    assert neighbour[1] == []


def test_what_gradio_gets_is_written_anew(client, gate, reached, foreign):
    [own] = upload(client, GOOD)
    more = {
        "url": foreign["address"],
        "orig_name": foreign["absolute"],
        "size": 10**30,
        "mime_type": "x/y",
        "is_stream": True,
    }
    extra = {
        "event_id": "x",
        "simple_format": True,
        "batched": True,
        "request": {"a": 1},
        "event_data": as_data("/dev/zero"),
    }
    for name in (own, f"{gate._folder}/{own}"):
        answer, event = join(client, as_data(name, data="data:;base64,AAAA", **more), **extra)
        assert answer.text == "Gradio"
        scope, body = reached.pop()
        told = json.loads(body)
        assert told.pop("data") == [as_data(f"{gate._folder}/{own}", orig_name="clip.wav"), "model", "all"]
        assert told == {key: event[key] for key in ("fn_index", "session_hash", "trigger_id")}
        assert dict(scope["headers"])[b"content-length"] == str(len(body)).encode()
        assert len([name for name, _ in scope["headers"] if name == b"content-length"]) == 1
    twice = f'{{"data": [null, "model", "all"], "data": [{json.dumps(as_data(foreign["absolute"]))}, "model", "all"],'
    body = f'{twice} "fn_index": 0, "session_hash": "x", "trigger_id": 1}}'
    answer = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
    assert problem_of(answer) == (404, "not-found")


EVENT = {"data": [None, "model", "all"], "fn_index": 0, "session_hash": "x", "trigger_id": 1}
BAD_EVENTS = {
    "no-json": (b"{", 422),
    "empty": (b"", 422),
    "list": (b"[]", 422),
    "deep": (b"[" * 500_000, 422),
    "utf-16": (json.dumps(EVENT).encode("utf-16"), 422),
    "long": (json.dumps(EVENT | {"x": "y" * 2**20}).encode(), 413),
    "long-number": (b'{"fn_index": ' + b"9" * 100_000 + b"}", 422),
    **{
        name: (json.dumps(EVENT | values).encode(), 422)
        for name, values in {
            "unknown-event": {"fn_index": 10**9},
            "event-of-a-name": {"fn_index": "0"},
            "no-event": {"fn_index": None},
            "true": {"fn_index": True},
            "no-session": {"session_hash": None},
            "odd-session": {"session_hash": "../x"},
            "long-session": {"session_hash": "x" * 65},
            "trigger": {"trigger_id": {"x": 1}},
            "no-data": {"data": None},
            "few-data": {"data": [None]},
            "much-data": {"data": [None] * 4},
            "dict-of-data": {"data": {"0": None}},
            "unknown-model": {"data": [None, "none", "all"]},
            "unknown-view": {"data": [None, "model", "\nTraceback: SECRET"]},
            "number-for-a-model": {"data": [None, 1.5, "all"]},
            "list-for-a-model": {"data": [None, ["model"], "all"]},
        }.items()
    },
}


@pytest.mark.parametrize(("body", "status"), BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_an_event_that_the_page_does_not_send_is_refused(client, reached, body, status):
    answer = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
    assert problem_of(answer)[0] == status
    assert "SECRET" not in answer.text
    assert reached == []


@pytest.mark.parametrize("content_type", ["text/plain", "", "multipart/form-data; boundary=x", "application/jsonx"])
def test_an_event_is_json_which_no_other_sites_form_can_send(client, reached, content_type):
    body = json.dumps(EVENT).encode()
    answer = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": content_type})
    assert problem_of(answer) == (415, "not-json")
    assert reached == []


def test_the_page_itself_is_answered(client):
    [own] = upload(client, GOOD)
    is_good, shown = result(client, as_data(own))
    assert is_good
    assert any(emotion in shown for emotion in EMOTIONS)
    is_good, shown = result(client, as_data(f"{token_hex(16)}/clip.wav"))
    assert is_good
    assert "gone" in shown
    for path in ("/", "/theme.css", "/favicon.ico", "/manifest.json"):
        assert client.get(path).status_code == 200, path


def test_the_page_tells_nothing_of_where_it_runs(client, gate):
    page = client.get("/").text
    for place in (gate._folder, Path.home(), Path(sys.prefix), Path(page_gate.__file__).parents[2], "/tmp", "/dev/shm"):
        assert str(place) not in page
    [own] = upload(client, GOOD)
    assert str(gate._folder) not in own
    assert str(gate._folder) not in result(client, as_data(own))[1]


# --- files that the page serves


def test_only_files_of_the_page_are_served(client, foreign, neighbour, opened):
    own = upload(client, GOOD, name="a b é.wav")[0]
    served = client.get(f"/gradio_api/file={own}")
    assert served.content == GOOD
    assert served.headers["content-type"] in ("audio/wav", "audio/x-wav")  # the latter before Gradio 6.31
    part = client.get(f"/gradio_api/file={own}", headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, GOOD[4:10])
    assert client.head(f"/gradio_api/file={own}").status_code == 200
    assert client.head("/gradio_api/file=/etc/passwd").status_code == 404
    opened.clear()
    for kind, name in foreign.items():
        quoted = "".join(f"%{byte:02x}" for byte in name.encode(errors="surrogatepass"))
        double = quoted.replace("%", "%25")
        for target in (quoted, double, quoted.replace("%2f", "/")):
            status, body = raw(client, "GET", f"/gradio_api/file={target}")
            assert status == 404, kind
            assert json.loads(body)["kind"] == "not-found"
    assert neighbour[1] == []
    assert not {str(name) for name in foreign.values()} & {*opened}
    assert raw(client, "GET", f"/gradio_api/file={token_hex(16)}/none.wav")[0] == 404


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.xml", "x", "x.js", "x.pdf"])
def test_no_upload_comes_back_as_a_document(client, name):
    [own] = upload(client, b"<script>alert(1)</script>", name=name)
    served = client.get(f"/gradio_api/file={own}")
    assert served.headers["content-type"] == "application/octet-stream"
    assert served.headers["x-content-type-options"] == "nosniff"


# --- uploads


def test_uploads_lie_where_nobody_can_guess_each_by_itself(client, gate):
    first, second = upload(client, GOOD, GOOD)
    [third] = upload(client, GOOD)
    assert len({first, second, third}) == 3, "that of another visitor is another file, though it is the same"
    for own in (first, second, third):
        assert re.fullmatch(r"[0-9a-f]{32}/clip\.wav", own)
        file = gate._folder / own
        assert file.read_bytes() == GOOD
        assert file.parent.stat().st_mode & 0o077 == 0
    assert gate._folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("clip é.wav", "clip é.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.wav", "y.wav"),
        ("..", "clip"),
        ("", "clip"),
        ("a\0\nb<i>.wav", "abi.wav"),
        ("=cmd|' /C'!A1.wav", "C!A1.wav".replace("!", "")),
        (".bashrc", "bashrc"),
        ("x" * 500 + ".wav", "x" * 150 + ".wav"),
        ("é" * 500 + ".wav", "é" * 75 + ".wav"),
    ],
)
def test_a_file_name_is_no_path_and_no_command(name, plain):
    assert plain_name(name) == plain


def test_uploads_are_bounded_each_and_all_together(client, gate, monkeypatch):
    before = {*gate._folder.rglob("*/*")}
    large = bytes(LIMITS.max_bytes + 2**17)
    assert problem_of(client.post("/gradio_api/upload", files=[("files", large)])) == (413, "too-large")
    many = [("files", GOOD)] * (LIMITS.max_clips + 1)
    assert problem_of(client.post("/gradio_api/upload", files=many)) == (400, "bad-form")
    assert problem_of(client.post("/gradio_api/upload", files=[("file", GOOD)])) == (422, "no-file")
    assert problem_of(client.post("/gradio_api/upload", content=GOOD)) == (415, "not-a-form")
    with monkeypatch.context() as patch:
        patch.setattr(gate, "_most_bytes", -1)
        full = client.post("/gradio_api/upload", files=[("files", GOOD)])
        assert problem_of(full) == (503, "busy")
        assert full.headers["retry-after"] == "60"
    assert {*gate._folder.rglob("*/*")} == before, "nothing of what was refused stays"


def test_many_empty_files_fill_the_folder_too(client, gate, monkeypatch):
    there = sum(max(2**16, file.lstat().st_size) for file in gate._folder.rglob("*"))
    monkeypatch.setattr(gate, "_most_bytes", there + 2**20)
    answers = [client.post("/gradio_api/upload", files=[("files", b"")] * 4).status_code for _ in range(5)]
    assert answers[0] == 200
    assert answers[-1] == 503


def test_many_uploads_at_once_do_not_get_past_the_bound(client, gate, monkeypatch):
    """Each began when there was room."""
    there = sum(max(2**16, file.lstat().st_size) for file in gate._folder.rglob("*"))
    monkeypatch.setattr(gate, "_most_bytes", there + 2**18)
    monkeypatch.setattr(page_gate, "_LOOK_AGAIN", 2**16)
    half, other = threading.Event(), []

    def slow():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + bytes(2**17)
        half.set()
        wait_until(lambda: other)
        for _ in range(16):
            yield bytes(2**14)
        yield b"\r\n--x--\r\n"

    answers = []
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    thread = threading.Thread(
        target=lambda: answers.append(client.post("/gradio_api/upload", content=slow(), headers=headers))
    )
    thread.start()
    half.wait(60)
    other.append(client.post("/gradio_api/upload", files=[("files", bytes(2**17))]))
    thread.join()
    assert 503 in {answers[0].status_code, other[0].status_code}


def test_an_upload_that_breaks_off_leaves_nothing(client, gate):
    before = {*gate._folder.rglob("*/*")}
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    connection.putrequest("POST", "/gradio_api/upload")
    for header in {**TOKEN, "Content-Type": "multipart/form-data; boundary=x", "Content-Length": "100000"}.items():
        connection.putheader(*header)
    connection.endheaders()
    connection.send(b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + bytes(50_000))
    wait_until(lambda: {*gate._folder.rglob("*/*")} - before)
    connection.close()
    wait_until(lambda: {*gate._folder.rglob("*/*")} == before)


def test_what_is_old_is_removed_and_nothing_else(tmp_path):
    for name in ("a/clip.wav", "b/clip.wav", "left-behind"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(GOOD)
    remove_old(tmp_path, 3600)
    assert len([*tmp_path.rglob("*")]) == 5
    remove_old(tmp_path, -3600)
    remove_old(tmp_path, -3600)
    assert [*tmp_path.iterdir()] == []


def test_what_is_removed_meanwhile_stops_neither_cleaning_nor_uploads(client, gate, tmp_path, monkeypatch):
    """A folder that is gone when its turn comes: another upload broke off just then."""
    listed, scandir = [], os.scandir

    def lose(path):
        listed.append(str(path))
        if str(path).endswith("gone"):
            Path(path, "clip.wav").unlink()
            Path(path).rmdir()
        return scandir(path)

    for folder in (tmp_path, gate._folder):
        (folder / "gone").mkdir()
        (folder / "gone" / "clip.wav").write_bytes(GOOD)
    (tmp_path / "old").write_bytes(GOOD)
    monkeypatch.setattr(os, "scandir", lose)
    remove_old(tmp_path, -3600)
    assert client.post("/gradio_api/upload", files=[("files", GOOD)]).status_code == 200
    monkeypatch.undo()
    assert {str(tmp_path / "gone"), str(gate._folder / "gone")} <= {*listed}
    assert [*tmp_path.iterdir()] == []


# --- Gradio's own check, which stands behind the gate


@pytest.fixture
def bare(gate, monkeypatch):
    """The page without its gate."""

    async def pass_all(self, scope, receive, send):
        await self._app(scope, receive, send)

    monkeypatch.setattr(PageGate, "__call__", pass_all)


def test_gradio_itself_refuses_paths_and_addresses(client, gate, bare, monkeypatch, foreign, capfd):
    fetched = []

    async def fetch(url, cache_dir):
        fetched.append(url)
        (gate._folder / "fetched.wav").write_bytes(SECRET)
        return str(gate._folder / "fetched.wav")

    monkeypatch.setattr(gradio.processing_utils, "async_ssrf_protected_download", fetch)
    own = gate._folder / token_hex(16) / "clip.wav"
    own.parent.mkdir()
    own.write_bytes(GOOD)
    assert result(client, as_data(str(own)))[0], "or this would show nothing"
    for _ in range(2):  # components are copied at their first event
        for kind in ("absolute", "upwards", "address", "device", "process", "pipe"):
            is_good, shown = result(client, as_data(foreign[kind]))
            assert not is_good, kind
            assert "%" not in shown
    assert fetched == []
    for path in ("/gradio_api/run/predict", "/gradio_api/call/predict", "/gradio_api/api/predict"):
        answer = client.post(path, json={"data": [as_data(foreign["absolute"]), "model", "all"]})
        if answer.status_code == 200:
            answer = client.get(f"{path}/{answer.json()['event_id']}")
            assert "event: error" in answer.text
        assert "%" not in answer.text
    assert client.get(f"/gradio_api/file={foreign['absolute']}").status_code in (403, 404)
    assert client.get("/monitoring").status_code in (403, 404)
    capfd.readouterr()  # Gradio says all of it


# --- what the API takes, and how the service ends


def test_the_api_takes_no_paths(client, foreign, neighbour, opened):
    for kind in ("absolute", "address", "pipe"):
        name = foreign[kind]
        for body in (name.encode(), json.dumps(as_data(name)).encode()):
            assert client.post("/v1/predict", content=body).status_code == 422
        for part in ({"data": {"file": name}, "files": {"x": b""}}, {"files": {"file": (name, b"no audio")}}):
            assert client.post("/v1/predict", **part).status_code == 422
        assert client.post("/v1/predict", params={"model": name}, content=GOOD).status_code == 404
        assert client.post("/v1/predict", params={"file": name, "path": name}, content=GOOD).status_code == 200
    assert neighbour[1] == []
    assert not {str(name) for name in foreign.values()} & {*opened}
    told = client.get("/openapi.json").json()["paths"]
    texts = {
        parameter["name"]
        for path in told.values()
        for operation in path.values()
        for parameter in operation.get("parameters", [])
        if "string" in json.dumps(parameter["schema"])
    }
    assert texts == {"model"}


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_request_that_hangs_does_not_keep_the_service_from_ending(tmp_path, model):
    hung = tmp_path / "hung"
    start = f"""if True:
        import time
        from pathlib import Path
        from sersk.cli import app
        from sersk.serve import page, server

        def hang(path):
            Path({str(hung)!r}).touch()
            time.sleep(3600)

        page._read = hang
        server._GRACE = server._PATIENCE = 0.2
        app()
    """
    command = [sys.executable, "-c", start, "serve", "--port", "0", "--workers", "1", "--model", str(model)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            address = re.search(r"listens at (http://\S+),", process.stderr.readline())[1]
            with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
                [own] = upload(client, GOOD)
                assert join(client, as_data(own))[0].status_code == 200
                wait_until(hung.exists)
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 1
        finally:
            process.kill()
        said = process.stderr.read()
    assert "a request hangs" in said
    assert "Traceback" not in said
    assert not [*tmp_path.glob("sersk-*")]


def test_a_file_of_a_batch_that_is_gone_is_one_row(tmp_path):
    class Fake:
        limits = LIMITS
        models = (type("Model", (), {"name": "model", "classes": ("sad",)}),)

        async def predict(self, content, model):
            raise ServiceProblem(422, "not-audio", "No audio", f"These are {len(content)} bytes.")

    (tmp_path / "here.wav").write_bytes(b"1234")
    paths = [str(tmp_path / name) for name in ("gone.wav", "here.wav")]
    shown, left = asyncio.run(_Handlers(Fake()).predict_batch(paths, "model"))
    assert left is None
    assert "It was removed meanwhile" in shown
    assert "These are 4 bytes" in shown
    assert "download" in shown
