"""Shared fixtures: every test writes the audio that it reads."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cheap_clips import SR, features
from packaging.version import Version

from sersk.recipes import VectorRecipe

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"

# The reason for modules that are skipped as a whole, too. They import Keras by `sersk.models.keras_backend`, which sees
# to it that it takes JAX.
NO_KERAS = "needs an extra: pip install 'sersk[keras]'"
HAS_KERAS = all(importlib.util.find_spec(library) for library in ("keras", "scikeras", "jax"))
needs_keras = pytest.mark.skipif(not HAS_KERAS, reason=NO_KERAS)


def pytest_configure(config: pytest.Config) -> None:
    """
    Keep what JAX and Numba compile, also for the tests' own processes; let doctests pass without extras.

    Workers of pytest-xdist keep theirs apart: two that compile the same at once can leave what crashes (numba issue
    10128).
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell's job in the background, and all that it starts
        signal.signal(signal.SIGINT, signal.default_int_handler)
    is_worker = hasattr(config, "workerinput")
    folders = {"NUMBA_CACHE_DIR": is_worker}
    if HAS_KERAS and Version(version("jax")) >= Version("0.10"):  # what 0.5 reads back is wrong, or crashes
        folders["JAX_COMPILATION_CACHE_DIR"] = is_worker or "JAX_COMPILATION_CACHE_DIR" not in os.environ
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    for name, is_own in folders.items():
        if is_own:
            folder = tempfile.TemporaryDirectory(prefix="sersk-compiled-", ignore_cleanup_errors=True)
            config.add_cleanup(folder.cleanup)
            os.environ[name] = folder.name
    has_service = importlib.util.find_spec("fastapi") is not None
    if not (HAS_KERAS and has_service) and not must_have_extras():
        config.option.doctest_ignore_import_errors = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Keras, by itself or with its module, so that it can be run alone: ``-m keras``."""
    for item in items:
        reasons = [mark.kwargs.get("reason") for mark in item.iter_markers("skipif")]
        if NO_KERAS in reasons or hasattr(getattr(item, "module", None), "NO_KERAS"):
            item.add_marker("keras")


def must_have_extras() -> bool:
    """Whether all extras are installed, as the environment says: then no test may be skipped for want of one."""
    return bool(os.environ.get("SERSK_ALL_EXTRAS"))


def fail_for_missing_extra(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip for want of an extra into a failure, where all are to be there."""
    if report.skipped and must_have_extras() and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if re.search(r"sersk\[\w+\]|could not import|needs Chromium", reason):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid}: skipped, though SERSK_ALL_EXTRAS is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    fail_for_missing_extra(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    fail_for_missing_extra(report)
    return report


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    """Folder of the real corpora; a test that asks for it is skipped, with the reason, where they are absent."""
    if not CORPORA.is_dir():
        pytest.skip(f"the real corpora are not beside this repository (looked for {CORPORA})")
    return CORPORA


@pytest.fixture(scope="session")
def speechlike() -> Callable[..., np.ndarray]:
    """Maker of waveforms that have what speech has: a gliding F0, syllables, pauses, some noise."""

    def make(seconds: float = 0.6, sr: int = 16000, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        t = np.arange(int(seconds * sr)) / sr
        phase = 2 * np.pi * np.cumsum(random.uniform(100, 250) * (1 + 0.2 * np.sin(2 * np.pi * 1.5 * t))) / sr
        voice = np.sum([np.sin(k * phase) / k for k in range(1, 12)], axis=0)
        syllables = np.clip(np.sin(2 * np.pi * random.uniform(2, 5) * t + seed), 0, None)
        return (0.2 * voice * syllables + random.normal(0, 1e-3, len(t))).astype(np.float32)

    return make


@pytest.fixture(scope="module")
def waveforms(speechlike):
    return [speechlike(0.2 + 0.05 * k, seed=k) for k in range(5)]


@pytest.fixture(scope="module")
def paths(waveforms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    files = [folder / f"{k}.wav" for k in range(len(waveforms))]
    for file, waveform in zip(files, waveforms, strict=True):
        sf.write(file, waveform, SR, subtype="FLOAT")
    return files


@pytest.fixture(scope="module")
def expected(waveforms):
    return features().transform(waveforms)


@pytest.fixture
def computed(monkeypatch):
    """List that grows by one with every clip that is computed in this process."""
    calls = []
    compute = VectorRecipe.compute
    monkeypatch.setattr(VectorRecipe, "compute", lambda self, y: calls.append(len(y)) or compute(self, y))
    return calls


# --- tiny networks, whose compilation is what takes time: one architecture, one length, one width ---


def averaging(input_shape, n_classes, *, dropout=0.0):
    """An architecture that takes clips of any length and next to no time: a linear model of their mean frames."""
    from sersk.models.network_parts import keras, layers, pool, speech

    inputs, frames, mask = speech(input_shape)
    means = layers.Dropout(dropout)(pool(frames, mask, ["mean"]))
    return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(means))


def tiny_network(architecture=averaging, **parameters):
    """A network that is trained in a moment; all that have the same shapes are compiled once."""
    from sersk import KerasSequenceClassifier

    small = {"epochs": 2, "batch_size": 8, "random_state": 0}
    if architecture == "lstm-dense":
        small |= {"model__units": 2, "model__hidden": ()}
    return KerasSequenceClassifier(architecture, **(small | parameters))


def padded_speech(n_speakers=4, n_clips=2, n_frames=16, seed=0):
    """Frames of three descriptors in clips of 9 to 16 frames, emotions that show in them, and speakers."""
    random = np.random.default_rng(seed)
    emotions = np.array(["angry", "happy", "sad"])
    y = np.tile(np.repeat(emotions, n_clips), n_speakers)
    groups = np.repeat([f"s{k}" for k in range(n_speakers)], n_clips * len(emotions))
    X = random.normal(size=(len(y), n_frames, 3)) + 2.0 * (y[:, None] == emotions)[:, None]
    for clip, length in zip(X, random.integers(9, n_frames, len(y), endpoint=True), strict=True):
        clip[length:] = np.nan
    return X.astype(np.float32), y, groups
