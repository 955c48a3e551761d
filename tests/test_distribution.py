"""The same numbers from a real scheduler and two workers, each a process of its own, whatever becomes of these."""

from __future__ import annotations

import importlib
import io
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile as sf
from cheap_clips import SR, features
from clusters import DeadlyClip, NotedBayes, NotedClip, cluster, noted, threads_of_a_task, wait_until
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.ensemble import VotingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import Bunch
from speakers import speaker_matrix
from test_cli import errors, sersk

pytest.importorskip("distributed", reason="needs an extra: pip install 'sersk[distributed]'")

import distributed

from sersk import AudioError, ClipAugmenter, distribution, emotion_pipeline, evaluate, make_emotional_speech
from sersk.corpora import audit_corpus
from sersk.degradation import CONDITIONS
from sersk.distribution import on_scheduler
from sersk.evaluation import evaluate_robustness, family_importance, learning_curve
from sersk.models import ShrinkageLDA, SpeakerSearch


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where the workers run: not where the tests do."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def address(home):
    """A scheduler with two workers, which come again when they are killed."""
    with cluster(home, nanny=True) as running:
        yield running.address


@pytest.fixture(scope="module")
def beside(address):
    """A client of the tests' own, to ask and to do what users do not."""
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2)
        client.get_task_stream()  # which is kept from now on
        yield client


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(
        folder, emotions=("angry", "happy", "sad"), n_speakers=4, n_repetitions=2, duration=0.4
    )


@pytest.fixture
def vectors():
    """Vectors of more than a megabyte, which are sent apart from the folds that take them."""
    X, y, groups = speaker_matrix(n_speakers=6, n_clips=8, n_features=900)
    return Bunch(data=X, target=y, groups=groups)


@pytest.fixture
def notes(tmp_path):
    """Where work leaves notes, and waits for the file ``go``."""
    return tmp_path


def cheap(model="lda"):
    return emotion_pipeline(model, features=features(), random_state=0)


def same(one, other):
    """Whether two results are exactly the same."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "equals"):
        return one.equals(other)
    return np.array_equal(one, other)


VOTE = VotingClassifier([("a", GaussianNB()), ("b", ShrinkageLDA())])
PARTS = {
    "features": lambda speech: features().transform(speech.data),
    "evaluate": lambda speech: evaluate(cheap(), speech).predictions,
    "vote": lambda speech: (
        evaluate(cheap(VotingClassifier([("a", GaussianNB()), ("b", ShrinkageLDA())])), speech).predictions
    ),
    "search": lambda speech: (
        evaluate(
            SpeakerSearch(cheap("logistic"), {"classifier__estimator__C": [0.01, 1.0]}),
            speech,
            protocol="speaker-split",
        ).predictions
    ),
    "copies": lambda speech: evaluate(ClipAugmenter(cheap(), ["noise"], random_state=0), speech).predictions,
    "fit": lambda speech: cheap("svm").fit(speech.data, speech.target).predict_proba(speech.data),
    "robustness": lambda speech: evaluate_robustness(cheap(), speech, conditions=CONDITIONS[:1]).table,
    "learning curve": lambda speech: learning_curve(cheap(), speech, sizes=[1.0], n_draws=1),
    "importance": lambda speech: family_importance(cheap(), speech, n_repeats=2),
    "audit": lambda speech: audit_corpus(speech).clips,
}


# --- the same numbers


def test_all_that_is_parallel_gives_the_same_numbers_on_workers(address, beside, speech):
    began = len(beside.get_task_stream())
    with on_scheduler(address):
        there = {name: part(speech) for name, part in PARTS.items()}
    assert {task["worker"] for task in beside.get_task_stream()[began:]} == {*beside.ncores()}
    assert not [name for name, part in PARTS.items() if not same(part(speech), there[name])]


@pytest.mark.parametrize("name", ["features", "search"])
def test_the_backend_that_comes_with_joblib_will_do(name, beside, speech):
    began = len(beside.get_task_stream())
    with beside.as_current(), joblib.parallel_config("dask"):
        there = PARTS[name](speech)
    assert {task["worker"] for task in beside.get_task_stream()[began:]} == {*beside.ncores()}
    assert same(PARTS[name](speech), there)


@pytest.mark.parametrize("command", ["features", "evaluate", "benchmark"])
def test_commands_give_the_same_numbers_on_workers(command, address, beside, speech, tmp_path, monkeypatch):
    corpus = Path(speech.data[0]).parents[1]
    monkeypatch.chdir(corpus.parent)
    arguments = {
        "features": [corpus.name, "--layout", "auto", "--features", "means-180"],
        "evaluate": [corpus.name, "--model", "svm", "--features", "means-180"],
        "benchmark": [corpus.name, "--models", "lda,logistic", "--features", "means-180"],
    }[command]
    began = len(beside.get_task_stream())
    results = {}
    for where, more in {"here": ["--jobs", 1], "there": ["--scheduler", address]}.items():
        out = tmp_path / (where + ".csv" if command == "features" else where)
        result = sersk(command, *arguments, "--out", out, *more)
        assert result.exit_code == 0
        results[where] = {
            file.relative_to(out): file.read_text(encoding="utf-8")
            for file in [out, *out.rglob("predictions.csv")]
            if file.is_file()
        }
    assert results["here"] == results["there"]
    assert results["here"]
    assert f"2 workers with 2 threads at {address}" in result.stderr
    assert {task["worker"] for task in beside.get_task_stream()[began:]} == {*beside.ncores()}


def test_work_is_spread_over_both_workers_which_are_elsewhere(address, beside, speech, notes, monkeypatch, home):
    folder = Path(speech.data[0]).parent
    monkeypatch.chdir(folder)
    clips = [Path(file).name for file in sorted(folder.iterdir()) if file.suffix == ".wav"] * 6
    expected = features().transform(clips)
    noted_clips = [NotedClip(clip, str(notes)) for clip in clips]
    whole = threading.Thread(target=lambda: (wait_until(lambda: len(noted(notes)) > 1), (notes / "go").touch()))
    whole.start()  # until both are at work, neither goes on
    with on_scheduler(address):
        assert_array_equal(features(memory="cache").transform(noted_clips), expected)
    whole.join()
    assert noted(notes) == set(beside.run(os.getpid).values())
    assert (folder / "cache").is_dir()
    assert not (home / "cache").exists()


def test_clips_in_memory_travel(address, waveforms, expected):
    files = [io.BytesIO() for _ in waveforms]
    for file, waveform in zip(files, waveforms, strict=True):
        sf.write(file, waveform, SR, format="WAV", subtype="FLOAT")
    large = np.zeros(1_500_000, dtype=np.float32)  # beyond what Dask likes to send
    with on_scheduler(address):
        assert_array_equal(features().transform(waveforms), expected)
        assert_array_equal(features().transform(files), expected)
        assert_array_equal(features().transform([large] * 2), features().transform([large] * 2))


def test_a_clip_that_cannot_be_read_is_told_by_the_name_that_was_given(address, speech, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with on_scheduler(address):
        _, failures = features().extract([speech.data[0], "none.wav"])
        with pytest.raises(AudioError, match=r"^none\.wav: no such file"):
            features().transform(["none.wav"])
    assert [(index, str(error)) for index, error in failures] == [(1, "none.wav: no such file")]


# --- threads


def test_a_task_has_one_thread_and_hands_nothing_out(address, beside):
    with on_scheduler(address):
        told = joblib.Parallel(n_jobs=-1)(joblib.delayed(threads_of_a_task)() for _ in range(4))
    assert all(pools and {*pools} == {1} and n_jobs == 1 for pools, n_jobs, _ in told)
    assert os.getpid() not in {process for _, _, process in told}


# --- what becomes of workers


@contextmanager
def killing(notes, n_at_work, *processes):
    """Kill processes once so many are at work, and let the others, and those that come after them, go on."""

    def kill():
        wait_until(lambda: len(noted(notes)) == n_at_work)
        for process in processes:
            os.kill(process, signal.SIGKILL)
        (notes / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join()


def test_a_worker_that_is_killed_takes_no_features_with_it_and_the_loss_of_all_is_told(
    tmp_path, speech, notes, monkeypatch
):
    monkeypatch.setattr(distribution, "_WATCH_S", 0.02)
    expected = features().transform(speech.data)
    clips = [NotedClip(clip, str(notes)) for clip in speech.data]
    told: list[str] = []

    def end(running):
        wait_until(lambda: len(told) > 1)
        running.scheduler.kill()

    with ExitStack() as stack:
        running = stack.enter_context(cluster(tmp_path))
        stack.enter_context(pytest.raises(ConnectionError, match="the scheduler has gone"))
        stack.enter_context(on_scheduler(running.address, told.append))
        first, second = running.workers
        with killing(notes, 2, first.pid):
            assert_array_equal(features().transform(clips), expected)
        assert (first.wait(), second.poll()) == (-signal.SIGKILL, None)
        second.kill()
        threading.Thread(target=end, args=[running]).start()
        features().transform(clips)
    waiting = f"{running.address}: no workers are left; waiting for others"
    assert told[1:] == [waiting]


def test_all_workers_may_be_killed_if_others_come(address, beside, vectors, notes):
    (notes / "go").touch()
    expected = evaluate(NotedBayes(str(notes)), vectors)
    for note in notes.iterdir():
        note.unlink()
    processes = beside.run(os.getpid).values()
    # Both have the vectors then, and nobody else has.
    with on_scheduler(address), killing(notes, 2, *processes):
        report = evaluate(NotedBayes(str(notes)), vectors)
    assert_frame_equal(report.predictions, expected.predictions)
    assert noted(notes) > {*processes}


def test_work_that_kills_worker_after_worker_is_given_up(tmp_path, speech):
    settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with (
        cluster(tmp_path, 1, **settings) as running,
        pytest.raises(ConnectionError, match="worker after worker died of the same work, the last of them tcp://"),
        on_scheduler(running.address),
    ):
        features().transform([DeadlyClip(speech.data[0])])


def test_what_was_submitted_is_cancelled_with_the_block(address, beside, speech, notes):
    def interrupt():
        wait_until(lambda: noted(notes))
        signal.raise_signal(signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    clips = [NotedClip(clip, str(notes)) for clip in [*speech.data] * 3]
    interrupter.start()
    with pytest.raises(KeyboardInterrupt), on_scheduler(address):
        features().transform(clips)
    interrupter.join()
    (notes / "go").touch()
    wait_until(lambda: beside.run_on_scheduler(lambda dask_scheduler: not dask_scheduler.tasks))
    assert len([*notes.glob("*.note")]) < len(clips)


class Elsewhere:
    """Is of a module that workers do not have."""

    def __reduce__(self):
        return importlib.import_module, ("no_such_module",)


@pytest.mark.parametrize("odd", [Elsewhere(), threading.Lock()])
def test_what_cannot_be_sent_is_told(odd, address, expected, waveforms):
    with on_scheduler(address):
        with pytest.raises(Exception, match=r"environments|serialize|hashed"):
            features().transform([(odd, SR)])
        assert_array_equal(features().transform(waveforms), expected)


# --- who answers


@pytest.mark.parametrize("wrong", ["nowhere", "tcp://", "odd://127.0.0.1:1", "127.0.0.1:port", "tls://127.0.0.1:1"])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(ValueError, match="Expected an address such as"), on_scheduler(wrong):
        pass


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_that_no_scheduler_answers_at_is_told(listens, monkeypatch):
    monkeypatch.setattr(distribution, "_TIMEOUT_S", 0.2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listens:  # and says nothing, as a web server does until it is spoken to
            other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = sersk("features", "none.wav", "--scheduler", address)
    assert (result.exit_code, result.stdout) == (2, "")
    cure = "Start one with `dask scheduler`, which tells its address."
    assert result.stderr == f"error: {address}: no scheduler answers there. {cure}\n"


def test_a_scheduler_without_workers_is_told(tmp_path, monkeypatch):
    with cluster(tmp_path, 0) as running:
        monkeypatch.setattr(distribution, "_TIMEOUT_S", 2.0)
        result = sersk("evaluate", "no corpus", "--scheduler", running.address)
    cure = f"Start some with `dask worker {running.address}`."
    assert errors(result) == [f"error: {running.address}: no workers. {cure}"]


@pytest.mark.parametrize(
    ("package", "version", "refused"),
    [
        ("scikit-learn", "1.6.1", "the worker tcp://.* has scikit-learn 1.6.1, and here is"),
        ("sersk", None, "the scheduler has sersk None, and here is"),
        ("python", "3.9.1.final.0", "has python 3.9, and here is 3."),
        ("python", "{}.{}.99.final.0".format(*sys.version_info), None),
        ("toolz", "0.1", None),
    ],
)
def test_workers_with_other_versions_are_refused(package, version, refused, address, monkeypatch):
    true = distributed.Client.get_versions

    def told(self, **options):
        versions = true(self, **options)
        other = versions["scheduler"] if package == "sersk" else next(iter(versions["workers"].values()))
        other["packages"][package] = version
        return versions

    monkeypatch.setattr(distributed.Client, "get_versions", told)
    with pytest.raises(ValueError, match=refused) if refused else nullcontext(), on_scheduler(address):
        pass


def test_dask_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "sersk.dask_backend", raising=False)
    result = sersk("features", "none.wav", "--scheduler", "127.0.0.1:8786")
    assert errors(result) == ["error: A scheduler needs Dask: pip install 'sersk[distributed]'"]
