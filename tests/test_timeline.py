"""Windows of a recording are predicted as clips are, one after another, as soon as they are there."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from conftest import needs_keras, tiny_network
from forgery import cheap_features, lda, waveforms
from scipy.io import wavfile
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sersk import AcousticFeatures, AudioError, FrameScaler, FrameSequences, RawAudio, inference
from sersk.audio import load_audio
from sersk.persistence import save_model
from sersk.recipes import VectorRecipe
from sersk.timeline import stream_emotions

EMOTIONS = ["angry", "happy", "sad"]
SR = 16000


def voice(hz, seconds=2.0, sr=SR):
    """What the model of `waveforms` tells by its height, moving enough for a voice."""
    time = np.arange(int(seconds * sr)) / sr
    return (np.sin(2 * np.pi * hz * (time + 0.01 * np.sin(9 * time))) / 2).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return make_pipeline(cheap_features(), lda()).fit(waveforms(), EMOTIONS * 6)


@pytest.fixture(scope="module")
def apart():
    """A model whose windows share nothing."""
    front = FunctionTransformer(cheap_features().transform)
    return make_pipeline(front, StandardScaler(), lda()).fit(waveforms(), EMOTIONS * 6)


@pytest.fixture(scope="module")
def recording():
    """200 Hz, noise alone, 400 Hz: 2.5 s each, and a bit more."""
    noise = np.random.default_rng(0).normal(0, 0.02, 121600).astype(np.float32)
    return noise + np.concatenate([voice(200, 2.5), np.zeros(40000, np.float32), voice(400, 2.6)])


def emotions(rows):
    return [row.emotion for row in rows]


def test_windows_are_predicted_as_clips_are(apart, recording):
    rows = list(stream_emotions(apart, recording, window=1.0, hop=0.5, min_speech=0))
    assert [(row.start, row.end) for row in rows[:-1]] == [(k / 2, k / 2 + 1) for k in range(14)]
    assert (rows[-1].start, rows[-1].end) == (6.6, 7.6)
    clips = [recording[round(SR * row.start) : round(SR * row.end)] for row in rows]
    assert emotions(rows) == apart.predict(clips).tolist()
    np.testing.assert_allclose([row.probabilities for row in rows], apart.predict_proba(clips))
    np.testing.assert_allclose([row.probability for row in rows], apart.predict_proba(clips).max(axis=1))


@pytest.mark.parametrize("front", [{}, {"n_fft": 512}, {"sr": 22050, "n_fft": 2048, "hop_length": 512}])
def test_windows_that_share_frames_are_those_of_their_own_recipe(recording, front):
    features = AcousticFeatures(("mfcc", "flux", "zcr", "log_f0"), deltas=1, **front)
    clips = waveforms() if features.sr == SR else [(one, SR) for one in waveforms()]
    model = make_pipeline(features, StandardScaler(), lda()).fit(clips, EMOTIONS * 6)
    waveform = load_audio((recording, SR), features.sr)
    rows = list(stream_emotions(model, (recording, SR), window=1.0, hop=0.5, min_speech=0))
    spans = [(round(row.start * features.sr), round(row.end * features.sr)) for row in rows]
    starts, n_window = [start for start, _ in spans], features.sr
    assert starts[:-1] == [round(k * n_window / 2 / features.hop_length) * features.hop_length for k in range(14)]
    assert all(abs(start - k * n_window / 2) <= features.hop_length / 2 for k, start in enumerate(starts[:-1]))
    assert spans[-1][1] == len(waveform)
    frames = [start // features.hop_length for start in starts]
    recipe = features._recipe()
    vectors = recipe.compute_windows(waveform, frames[:-1], n_window)
    vectors = [*vectors, *recipe.compute_windows(waveform, frames[-1:], spans[-1][1] - starts[-1])]
    np.testing.assert_allclose([row.probabilities for row in rows], model[1:].predict_proba(vectors), atol=1e-5)


def test_silence_has_no_emotion(model, recording):
    rows = list(stream_emotions(model, recording, window=1.0, hop=0.5))
    assert {"angry"} == {*emotions(rows[:4])}
    assert {"happy"} == {*emotions(rows[-4:])}
    silent = [row for row in rows if row.start >= 2.5 and row.end <= 5]
    assert len(silent) == 3
    assert all(row[2:] == (0.0, None, None, ()) for row in silent)
    half = list(stream_emotions(model, recording, window=2.0, hop=0.5, min_speech=0.9))
    assert [row.emotion is None for row in half] == [row.speech < 0.9 for row in half]


def test_the_model_is_not_asked_about_silence(model):
    def refuse(*args):
        raise AssertionError

    silent = make_pipeline(FunctionTransformer(refuse), SVC())
    silent[-1].classes_ = np.array(EMOTIONS)
    rows = list(stream_emotions(silent, np.zeros(80000)))
    assert emotions(rows) == [None] * 3


@pytest.mark.parametrize("seconds", [0.02, 0.4, 1.0, 1.04, 1.2, 2.9])
def test_a_short_recording_is_covered_to_its_end(model, seconds):
    rows = list(stream_emotions(model, voice(200, seconds), window=1.0, hop=1.0, min_speech=0))
    assert rows[0].start == 0
    assert rows[-1].end == pytest.approx(seconds, abs=0.05)
    assert all(row.end - row.start <= 1.0 for row in rows)
    assert len(rows) == (1 if seconds < 1.05 else 2 if seconds < 2 else 3)


def test_it_does_not_matter_in_what_pieces_a_recording_comes(model, recording):
    expected = list(stream_emotions(model, recording, window=1.0, hop=0.3))
    content = (recording * 2**15).astype("<i2").tobytes()
    for size in (1000, 9999, 200000):

        class Pipe:
            at = 0

            def read1(self, n_bytes, size=size):
                self.at += size
                return content[self.at - size : self.at]

        rows = list(stream_emotions(model, RawAudio(Pipe(), SR), window=1.0, hop=0.3))
        assert [row[:3] for row in rows] == [row[:3] for row in expected]
        assert emotions(rows) == emotions(expected)
        for row, other in zip(rows, expected, strict=True):
            np.testing.assert_allclose(row.probabilities, other.probabilities, atol=1e-3)  # of samples of 16 bits


def test_a_window_is_told_as_soon_as_it_is_there(model):
    given = 0

    class Microphone:
        def read1(self, n_bytes):
            nonlocal given
            given += 1600
            return (voice(200, 0.1) * 2**15).astype("<i2").tobytes()

    rows = stream_emotions(model, RawAudio(Microphone(), SR), window=1.0, hop=0.25)
    for row in itertools.islice(rows, 8):
        assert row.end <= given / SR <= row.end + 0.15  # half a frame, and what is read at a time


@pytest.mark.parametrize("rate", [8000, 48000])
def test_recordings_at_any_rate_come_to_the_model_at_its_own(model, tmp_path, rate):
    wavfile.write(tmp_path / "a.wav", rate, np.concatenate([voice(200, 1.5, rate), voice(400, 1.5, rate)]))
    for source in (tmp_path / "a.wav", str(tmp_path / "a.wav"), io.BytesIO((tmp_path / "a.wav").read_bytes())):
        rows = list(stream_emotions(model, source, window=1.0))
        assert [row.start for row in rows] == [0, 0.992, 2]
        assert (rows[0].emotion, rows[2].emotion) == ("angry", "happy")


def test_what_could_be_read_is_told_before_the_error(model, recording, tmp_path):
    file = tmp_path / "a.wav"
    wavfile.write(file, SR, recording)
    (tmp_path / "cut.wav").write_bytes(file.read_bytes()[: 4 * SR * 3])
    rows = []
    with pytest.raises(AudioError, match=r"cut\.wav: is truncated"):
        rows.extend(stream_emotions(model, tmp_path / "cut.wav", window=1.0))
    assert len(rows) == 3
    assert rows[-1].end == pytest.approx(3, abs=0.01)
    with pytest.raises(AudioError, match="no such file"):
        next(stream_emotions(model, "none.wav"))
    with pytest.raises(AudioError, match="expected a path"):
        next(stream_emotions(model, 3))


def test_a_window_that_the_features_cannot_use_is_the_recording_s_fault():
    skipping = make_pipeline(AcousticFeatures.from_preset("mfcc-40"), lda())
    skipping.fit([voice(hz, 1.0, 22050) for hz in (200, 400, 210, 410)], ["low", "high"] * 2)
    rows = list(stream_emotions(skipping, voice(200, 3.0, 22050), window=1.0))
    assert emotions(rows) == ["low"] * 3
    with pytest.raises(AudioError, match=r"<ndarray>: has no sample in 3 s from 0\.5 s on"):
        next(stream_emotions(skipping, voice(200, 0.4, 22050)))


@pytest.mark.parametrize("outcome", [np.linalg.LinAlgError("no end"), np.full((1, 34), np.nan, np.float32)], ids=type)
def test_what_a_recording_does_to_its_extraction_is_its_error(model, recording, monkeypatch, outcome):
    def fail(*_):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(VectorRecipe, "compute_windows", fail)
    with pytest.raises(AudioError, match="<ndarray>: has samples that cannot be analysed"):
        list(stream_emotions(model, recording, min_speech=0))


def test_models_of_every_kind(recording):
    front = FunctionTransformer(cheap_features().transform)
    bare = make_pipeline(front, SVC(kernel="linear")).fit(waveforms(), EMOTIONS * 6)
    wrapped = CalibratedClassifierCV(make_pipeline(cheap_features(), lda()), cv=3)
    wrapped.fit(waveforms(), EMOTIONS * 6)
    voters = [
        (str(sr), make_pipeline(cheap_features(sr=sr), lda()).fit(waveforms(), EMOTIONS * 6)) for sr in (8000, SR)
    ]
    vote = VotingClassifier(voters, voting="soft")
    vote.fit([(waveform, SR) for waveform in waveforms()], EMOTIONS * 6)
    for fitted in (bare, wrapped, vote):
        rows = list(stream_emotions(fitted, (recording, SR), window=1.0))
        assert {row.emotion for row in rows if row.end <= 2} == {"angry"}
        assert {row.emotion for row in rows if row.start > 5} == {"happy"}
        assert {row.emotion for row in rows if 3 <= row.start < 4} == {None}
        assert len(rows[0].probabilities) == (0 if fitted is bare else 3)
        assert (rows[0].probability is None) == (fitted is bare)


@needs_keras
def test_a_network_is_asked_about_windows_as_about_clips(recording):
    frames = FrameSequences(("mfcc",), deltas=0, n_mfcc=3)
    network = make_pipeline(frames, FrameScaler(), tiny_network()).fit(waveforms(), EMOTIONS * 6)
    rows = list(stream_emotions(network, recording[: 3 * SR], window=1.0, min_speech=0))
    clips = [recording[k * SR : (k + 1) * SR] for k in range(3)]
    np.testing.assert_allclose([row.probabilities for row in rows], network.predict_proba(clips), atol=1e-6)


def test_a_model_file_will_do(model, recording, tmp_path, monkeypatch):
    expected = list(stream_emotions(model, recording))
    file = save_model(model, tmp_path / "m.sersk")
    monkeypatch.setattr(inference, "default_model_path", lambda: file)
    for given in (file, str(file), None):
        assert list(stream_emotions(given, recording)) == expected


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"window": 0.9}, "window=0.9: expected 1 or more seconds"),
        ({"window": np.nan}, "window=nan"),
        ({"window": np.inf}, "window=inf"),
        ({"hop": 0}, "hop=0: expected 0.1 or more seconds"),
        ({"min_speech": 1.1}, "min_speech=1.1: expected a share from 0 to 1"),
    ],
)
def test_what_is_out_of_range_is_refused_at_once(model, wrong, told):
    with pytest.raises(ValueError, match=told):
        stream_emotions(model, "never opened", **wrong)
