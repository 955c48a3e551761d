"""Draw what a clip costs against its length, the number of clips and of processes; and what memory that takes.

Usage: OPENBLAS_NUM_THREADS=1 python benchmarks/bench_costs.py [LARGEST_NUMBER_OF_CLIPS]
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile as sf
from _publish import ARTIFACTS, CORPORA, peak_megabytes, publish

from sersk import AcousticFeatures, load_audio

LENGTHS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128)
SIZES = (100, 1_000, 10_000, 100_000)
ROUNDS = 5


def main():
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    originals = sorted((CORPORA / "ravdess").rglob("*.flac"))
    with tempfile.TemporaryDirectory() as folder:
        lengths = by_length(originals, Path(folder))
        # The corpora may be on another file system: copy once, then link.
        copies = [shutil.copy(path, f"{folder}/{index}.flac") for index, path in enumerate(originals)]
        clips = [f"{folder}/link{index}.flac" for index in range(largest)]
        for clip, copy in zip(clips, itertools.cycle(copies)):
            os.link(copy, clip)
        sizes = {size: by_size(folder, size) for size in SIZES if size <= largest}
        workers = by_workers(clips[:2000])
    draw(lengths, sizes, workers)
    rows = [{"against": "length", "value": f"{s:g} s", "ms per clip": ms} for s, ms in lengths.items()]
    for size, (ms, peak) in sizes.items():
        rows.append({"against": "clips", "value": f"{size:,}", "ms per clip": ms, "peak MB": peak})
    rows += [{"against": "processes", "value": n, "ms per clip": ms} for n, ms in workers.items()]
    for row in rows:
        row["ms per clip"] = f"{row['ms per clip']:.2f}"
        row.setdefault("peak MB", "-")
    width = len(AcousticFeatures().get_feature_names_out())
    publish(
        "costs",
        "What a clip costs",
        rows,
        f"Default features. Length: joined RAVDESS speech, 16 kHz FLAC, one process, the median of {ROUNDS} rounds. Clips: RAVDESS\n"
        "(48 kHz FLAC, 3.7 s), the same 1440 over and over under other names, two processes; the peak is that of the process\n"
        f"that holds the matrix ({width} float32 a clip: {width * 4 * 100_000 / 2**20:.0f} MB for 100,000), once in whole.\n"
        f"Processes: {len(clips[:2000])} clips, on {len(os.sched_getaffinity(0))} cores, the median of {ROUNDS} rounds in turn.\n\n"
        "![ms per clip against length, number of clips and number of processes](costs.png)",
    )


def by_length(originals, folder):
    """Milliseconds for a clip of each length."""
    speech = np.concatenate([load_audio(path) for path in originals[:60]])
    files = {seconds: folder / f"{seconds}.flac" for seconds in LENGTHS}
    for seconds, file in files.items():
        sf.write(file, speech[16000 : 16000 + int(seconds * 16000)], 16000)
    features, found = AcousticFeatures(), {seconds: [] for seconds in LENGTHS}
    for round_ in range(ROUNDS + 1):
        for seconds, file in files.items():
            copies = [file] * max(int(32 / seconds), 1)
            start = time.perf_counter()
            features.transform(copies)
            if round_:
                found[seconds].append((time.perf_counter() - start) / len(copies) * 1000)
    return {seconds: float(np.median(values)) for seconds, values in found.items()}


def by_size(folder, size):
    """Milliseconds a clip, and peak megabytes, of a process of its own."""
    command = [sys.executable, __file__, "--size", folder, str(size)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ms, peak = re.search(r"([\d.]+) ms, (\d+) MB", found).groups()
    return float(ms), int(peak)


def tell_size(folder, size):
    features = AcousticFeatures(n_jobs=2)
    clips = [f"{folder}/link{index}.flac" for index in range(int(size))]
    features.transform(clips[:64])  # starts the workers
    start = time.perf_counter()
    features.transform(clips)
    print(f"{(time.perf_counter() - start) / len(clips) * 1000} ms, {peak_megabytes()} MB")


def by_workers(clips):
    """Milliseconds a clip with each number of processes."""
    found = {n_jobs: [] for n_jobs in range(1, len(os.sched_getaffinity(0)) + 1)}
    for _ in range(ROUNDS):
        for n_jobs, values in found.items():
            features = AcousticFeatures(n_jobs=n_jobs)
            features.transform(clips[:64])
            start = time.perf_counter()
            features.transform(clips)
            values.append((time.perf_counter() - start) / len(clips) * 1000)
    return {n_jobs: float(np.median(values)) for n_jobs, values in found.items()}


def draw(lengths, sizes, workers):
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    left.loglog(list(lengths), list(lengths.values()), "o-")
    left.set(xlabel="length of a clip in seconds", ylabel="ms per clip", title="one process")
    middle.semilogx(list(sizes), [ms for ms, _ in sizes.values()], "o-")
    middle.set(xlabel="number of clips", ylabel="ms per clip", title="two processes")
    middle.set_ylim(0, 1.2 * max(ms for ms, _ in sizes.values()))
    right.plot(list(workers), [1000 / ms for ms in workers.values()], "o-", label="measured")
    right.plot(list(workers), [1000 / workers[1] * n for n in workers], ":", color="grey", label="in proportion")
    right.set(xlabel="processes", ylabel="clips per second", title="throughput", ylim=(0, None), xticks=list(workers))
    right.legend()
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(ARTIFACTS / "costs.png", dpi=120)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--size"]:
        tell_size(*sys.argv[2:])
    else:
        main()
