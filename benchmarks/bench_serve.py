"""Load `sersk serve` with clips over HTTP: throughput against one process, latency, memory, and refusals when it is full.

Usage: python benchmarks/bench_serve.py [SECONDS]   (60 s by default, two minutes in all; another time writes nothing)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import subprocess
import sys
import time
import urllib.request
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from _publish import CORPORA, publish
from threadpoolctl import threadpool_limits

from sersk import load_corpus, load_model, predict_emotions
from sersk.persistence import default_model_path

SECONDS = 60
N_CLIENTS, N_CROWD, MAX_WAITING = 16, 200, 16
N_CLIPS = 240


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
        paths = load_corpus(CORPORA / "ravdess").data
    paths = [*paths[:: len(paths) // N_CLIPS][:N_CLIPS]]
    model = load_model(default_model_path())
    expected = predict_emotions(model, paths)["emotion"].tolist()
    before = alone(model, paths)
    with serving() as (process, port):
        load = asyncio.run(drive(port, process.pid, paths, expected, seconds))
    after = alone(model, paths)
    with serving("--max-waiting", str(MAX_WAITING)) as (_, port):
        crowd = asyncio.run(rush(port, paths))
    rate, single = len(load["times"]) / load["seconds"], (before + after) / 2
    answered, refused = ([1e3 * t for status, t in crowd if status == wanted] for wanted in (200, 503))
    rows = [
        ("requests answered", len(load["times"])),
        ("errors, and answers with another label", f"{load['errors']}, {load['wrong']}"),
        ("clips/s", f"{rate:.0f}"),
        ("clips/s of predict_emotions in one process, before and after", f"{before:.0f}, {after:.0f}"),
        ("ratio", f"{rate / single:.0%}"),
        (
            "latency, ms: median, p95, largest",
            ", ".join(f"{1e3 * q:.0f}" for q in np.quantile(load["times"], [0.5, 0.95, 1])),
        ),
        (
            "MB of all its processes: at the start, after 10 s, at the end",
            ", ".join(f"{mb:.0f}" for mb in load["memory"]),
        ),
        (
            f"{N_CROWD} at once, {MAX_WAITING} let in: share of 200, of 503",
            f"{len(answered) / N_CROWD:.0%}, {len(refused) / N_CROWD:.0%}",
        ),
        ("ms to a 503: median, p95", ", ".join(f"{q:.0f}" for q in np.quantile(refused or [np.nan], [0.5, 0.95]))),
    ]
    rows = [{"what": what, f"{N_CLIENTS} clients for {load['seconds']:.0f} s": value} for what, value in rows]
    if seconds != SECONDS:
        print(*(" | ".join(map(str, row.values())) for row in rows), sep="\n")
        return
    publish(
        "serve",
        "sersk serve under load",
        rows,
        f"The default model and {len(paths)} RAVDESS clips (48 kHz FLAC, 3.7 s), half of them as raw bodies and half as forms, over\n"
        f"connections that are kept, on two cores that the {N_CLIENTS} clients (one process) share with the service and its two workers.\n"
        "predict_emotions(model, paths) is one process with one thread, on the same clips, before and after. Memory is the sum\n"
        f"of resident sizes, which counts shared pages once a process. Then {N_CROWD} clients connect and send a clip each at the\n"
        f"same moment to a service that lets {MAX_WAITING} in.",
        arguments=[],
    )


def alone(model, paths):
    """Clips a second that one process predicts."""
    with threadpool_limits(1):
        start = time.perf_counter()
        predict_emotions(model, paths, n_jobs=1)
        return len(paths) / (time.perf_counter() - start)


@contextlib.contextmanager
def serving(*options):
    """Run the service; give its process and port when both workers have loaded the model."""
    command = [sys.executable, "-m", "sersk", "serve", "--no-page", "--port", "0", "--workers", "2", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r":(\d+)", process.stderr.readline())[1])
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").close()
                    break
                time.sleep(0.1)
            time.sleep(3)  # the other one
            yield process, port
        finally:
            process.terminate()
            if process.wait(30) != 0:
                print(process.stderr.read())


def requests(port, paths):
    """Whole requests as bytes, in turns a raw body and a form."""
    made = []
    for number, path in enumerate(paths):
        body, kind = Path(path).read_bytes(), "application/octet-stream"
        if number % 2:
            part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="clip.flac"\r\n\r\n'
            body, kind = part + body + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"
        head = f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        made.append(head.encode() + body)
    return made


async def ask(reader, writer, request):
    """Send a request, and give the status and the body of the answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
    return int(head[9:12]), body


async def drive(port, pid, paths, expected, seconds):
    """Keep clients busy for a while."""
    made = list(zip(requests(port, paths), expected, strict=True))
    found = {"times": [], "errors": 0, "wrong": 0, "memory": []}
    turn = itertools.count()

    async def client(end):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < end:
            request, emotion = made[next(turn) % len(made)]
            try:
                status, body = await ask(reader, writer, request)
            except (OSError, asyncio.IncompleteReadError):
                found["errors"] += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            found["times"].append(time.perf_counter() - start)
            found["errors"] += status != 200
            found["wrong"] += status == 200 and json.loads(body)["emotion"] != emotion
        writer.close()

    async def watch():
        found["memory"].append(megabytes(pid))
        await asyncio.sleep(min(10, seconds - 1))
        found["memory"].append(megabytes(pid))

    begin = time.perf_counter()
    await asyncio.gather(watch(), *(client(begin + seconds) for _ in range(N_CLIENTS)))
    found["memory"].append(megabytes(pid))
    return found | {"seconds": time.perf_counter() - begin}


async def rush(port, paths):
    """Let many clients send a clip each at the same moment; give status and time of each answer."""
    made = requests(port, paths)

    async def client(number, go):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await go.wait()
        start = time.perf_counter()
        status, _ = await ask(reader, writer, made[number % len(made)])
        end = time.perf_counter()
        writer.close()
        return status, end - start

    go = asyncio.Event()
    clients = [asyncio.create_task(client(number, go)) for number in range(N_CROWD)]
    await asyncio.sleep(2)
    go.set()
    answers = await asyncio.gather(*clients, return_exceptions=True)
    failed = Counter(type(answer).__name__ for answer in answers if isinstance(answer, BaseException))
    if failed:
        print(f"without an answer: {dict(failed)}")
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def megabytes(pid):
    """Resident memory of a process and of all that it started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            text = status.read_text()
            size = re.search(r"VmRSS:\s+(\d+)", text)
            parents[int(status.parent.name)] = int(re.search(r"PPid:\s+(\d+)", text)[1]), int(size[1]) if size else 0
    family = {pid}
    while new := {child for child, (parent, _) in parents.items() if parent in family} - family:
        family |= new
    return sum(size for child, (_, size) in parents.items() if child in family) / 1024


if __name__ == "__main__":
    main()
