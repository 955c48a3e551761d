"""Model and clips -> one table, whatever the clips are like."""

from __future__ import annotations

import io
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import needs_keras, tiny_network
from forgery import cheap_features, fitted_pipeline, lda, waveforms
from scipy.io import wavfile
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sersk import AcousticFeatures, FrameScaler, FrameSequences, SpeakerScaler, extraction, inference
from sersk.audio import AudioError
from sersk.persistence import save_model
from sersk.prediction import predict_emotions
from sersk.timeline import stream_emotions

EMOTIONS = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def model() -> Pipeline:
    return fitted_pipeline()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("clips")
    paths = [str(folder / f"{number}.wav") for number in range(6)]
    for path, waveform in zip(paths, waveforms(), strict=False):
        wavfile.write(path, 16000, waveform.astype(np.float32))
    return paths


def test_a_row_a_clip_and_a_column_a_class_in_the_model_s_order(model, files):
    table = predict_emotions(model, files)
    assert table.columns.tolist() == ["file", "speech", "emotion", "probability", *EMOTIONS, "reason", "error"]
    assert table.index.tolist() == list(range(6))
    assert table["file"].tolist() == files
    assert table["emotion"].tolist() == model.predict(files).tolist() == EMOTIONS * 2
    np.testing.assert_array_equal(table[EMOTIONS], model.predict_proba(files))
    np.testing.assert_array_equal(table["probability"], model.predict_proba(files).max(axis=1))
    assert table["error"].isna().all()


@pytest.mark.parametrize("first", ["features", "no features"])
def test_speakers_reach_what_scales_by_them_without_the_clips_that_fail(first, files):
    features = cheap_features() if first == "features" else FunctionTransformer(cheap_features().transform)
    scaled = make_pipeline(features, SpeakerScaler(min_clips=2), lda()).fit(waveforms(), EMOTIONS * 6)
    clips, speakers = files[:5], ["ann", np.nan, "bob", "ann", "bob"]
    vectors = SpeakerScaler(min_clips=2).fit(cheap_features().transform(waveforms()))
    expected = scaled[2].predict_proba(vectors.transform(cheap_features().transform(clips), speakers))
    if first == "features":
        clips, speakers = ["missing.wav", *clips], ["ann", *speakers]
    table = predict_emotions(scaled, clips, speakers=speakers)
    np.testing.assert_allclose(table[EMOTIONS][-5:], expected)
    assert not np.allclose(expected, predict_emotions(scaled, files[:5])[EMOTIONS], atol=1e-3)


def test_as_many_speakers_as_clips(model, files):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        predict_emotions(model, files, speakers=["ann"])


def test_labels_come_from_the_model_only(files):
    labels = ["zeal", "Ärger", "calm"] * 6
    table = predict_emotions(make_pipeline(cheap_features(), lda()).fit(waveforms(), labels), files[:1])
    assert table.columns.tolist() == [
        "file",
        "speech",
        "emotion",
        "probability",
        "calm",
        "zeal",
        "Ärger",
        "reason",
        "error",
    ]
    assert table["emotion"].tolist() == ["zeal"]


def test_integer_labels_stay_integers_beside_a_bad_clip(files):
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), [2, 0, 1] * 6)
    table = predict_emotions(fitted, [files[0], "none.wav"])
    assert table["emotion"].tolist() == [2, pd.NA]
    assert table.columns.tolist() == ["file", "speech", "emotion", "probability", 0, 1, 2, "reason", "error"]


def test_tables_share_nothing(model, files):
    table = predict_emotions(model, files[:1])
    table.columns.name, table.index.name = "column", "clip"
    table.iloc[0, 3] = 2.0
    again = predict_emotions(model, files[:1])
    assert (again.columns.name, again.index.name) == (None, None)
    assert again.iloc[0, 3] <= 1.0


def test_labels_that_equal_others_keep_their_type(files):
    for labels in ([0, 1], [False, True]):
        fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), labels * 9)
        table = predict_emotions(fitted, [*files[:2], "none.wav"])
        assert table.columns.tolist()[4:-2] == labels
        assert {type(name) for name in table.columns[4:-2]} == {type(labels[0])}
        assert table["emotion"].tolist() == [*labels, pd.NA]


def test_bad_clips_have_a_reason_and_change_nothing_else(model, files, tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no audio at all")
    bad = [str(tmp_path / "empty.wav"), str(tmp_path / "text.wav"), str(tmp_path / "none.wav"), str(tmp_path)]
    mixed = [bad[0], files[0], bad[1], bad[2], files[1], bad[3]]
    table = predict_emotions(model, mixed)
    assert table["file"].tolist() == mixed
    good = table.loc[[1, 4]].reset_index(drop=True)
    pd.testing.assert_frame_equal(good, predict_emotions(model, files[:2]), check_dtype=False)
    failed = table.loc[[0, 2, 3, 5]]
    assert failed.drop(columns=["file", "error"]).isna().all(axis=None)
    assert failed["error"].str.contains("empty|not audio|no such file|folder").all()
    assert not failed["error"].str.contains(str(tmp_path), regex=False).any()


@pytest.mark.parametrize("classifier", [lda(), SVC()])
def test_all_clips_may_be_bad(classifier):
    fitted = make_pipeline(cheap_features(), classifier).fit(waveforms(), EMOTIONS * 6)
    good, table = predict_emotions(fitted, waveforms()[:1]), predict_emotions(fitted, ["none.wav"])
    assert table.columns.tolist() == good.columns.tolist()
    assert table["error"].tolist() == ["no such file"]
    assert table.drop(columns=["file", "error"]).isna().all(axis=None)


def test_waveforms_are_told_by_their_position(model):
    clips = waveforms()[:3]
    for given in (clips, np.array(clips), [clips[0], clips[1][:-7], clips[2]]):
        table = predict_emotions(model, given)
        assert table["file"].tolist() == [0, 1, 2]
        assert table["emotion"].tolist() == model.predict(given).tolist() == EMOTIONS
    clips[1] = clips[1] * np.nan
    table = predict_emotions(model, np.array(clips))
    assert table["emotion"].isna().tolist() == [False, True, False]
    assert "NaN" in table["error"][1]


def test_clips_of_every_kind(model, files):
    with Path(files[2]).open("rb") as opened:
        stream = io.BytesIO(Path(files[3]).read_bytes())
        table = predict_emotions(model, [Path(files[0]), (waveforms()[1], 16000), opened, stream])
    assert table["file"].tolist() == [files[0], 1, files[2], "<BytesIO>"]
    assert table["emotion"].tolist() == ["angry", "happy", "sad", "angry"]
    series = pd.Series(files[:3], index=[7, 7, 9])
    assert predict_emotions(model, series)["emotion"].tolist() == EMOTIONS
    assert predict_emotions(model, np.array(files[:3]))["file"].tolist() == files[:3]


@pytest.mark.parametrize("clips", ["one.wav", [], np.zeros(5)])
def test_what_are_no_clips_is_an_error(clips, model):
    with pytest.raises(ValueError, match=r"Expected|expected"):
        predict_emotions(model, clips)


def test_a_model_file_or_the_default_model_will_do(model, files, tmp_path, monkeypatch):
    file = save_model(model, tmp_path / "m.sersk")
    monkeypatch.setattr(inference, "default_model_path", lambda: file)
    expected = predict_emotions(model, files)
    for given in (file, str(file), None):
        pd.testing.assert_frame_equal(predict_emotions(given, files), expected)


def test_the_model_is_not_changed(files, capsys):
    fitted = make_pipeline(cheap_features(n_jobs=1), lda()).fit(waveforms(), EMOTIONS * 6)
    before = repr(fitted.get_params())
    with joblib.parallel_config(backend="threading"):
        table = predict_emotions(fitted, files, n_jobs=2, verbose=1)
    assert table["emotion"].tolist() == EMOTIONS * 2
    assert repr(fitted.get_params()) == before
    captured = capsys.readouterr()
    assert (captured.out, "6/6" in captured.err) == ("", True)


@pytest.mark.parametrize(
    "classifier", [SVC(), VotingClassifier([("a", lda()), ("b", SVC())], voting="hard")], ids=["svc", "vote"]
)
def test_without_probabilities_there_are_no_such_columns(classifier, files):
    fitted = make_pipeline(cheap_features(), StandardScaler(), classifier).fit(waveforms(), EMOTIONS * 6)
    table = predict_emotions(fitted, [*files, "none.wav"])
    assert table.columns.tolist() == ["file", "speech", "emotion", "reason", "error"]
    assert table["emotion"].tolist()[:-1] == fitted.predict(files).tolist()


def test_a_model_fitted_on_named_tables(files):
    pipeline = make_pipeline(cheap_features(), StandardScaler(), lda()).set_output(transform="pandas")
    fitted = pipeline.fit(waveforms(), EMOTIONS * 6)
    assert predict_emotions(fitted, [*files, "none.wav"])["emotion"].tolist()[:-1] == fitted.predict(files).tolist()


def test_the_probability_is_that_of_the_named_emotion(model, files, monkeypatch):
    """Some classifiers name another class than the most probable one."""
    monkeypatch.setattr(type(model[-1]), "predict", lambda self, X: np.full(len(X), "sad"))
    table = predict_emotions(model, files)
    np.testing.assert_array_equal(table["probability"], table["sad"])


def test_a_model_without_extract_is_asked_about_the_clips_themselves(files):
    fitted = CalibratedClassifierCV(fitted_pipeline(), cv=3).fit(np.array(waveforms()), EMOTIONS * 6)
    table = predict_emotions(fitted, files)
    np.testing.assert_array_equal(table[EMOTIONS], fitted.predict_proba(files))
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        predict_emotions(fitted, [*files, "none.wav"])
    levels = make_pipeline(FunctionTransformer(np.abs), SVC(kernel="linear")).fit(np.array(waveforms()), EMOTIONS * 6)
    table = predict_emotions(levels, np.array(waveforms()))
    assert table["emotion"].tolist() == levels.predict(np.array(waveforms())).tolist()


@needs_keras
@pytest.mark.parametrize("padding", [np.nan, 0.0], ids=str)
def test_a_network_is_asked_about_the_readable_clips_only(files, padding):
    frames = FrameSequences(("mfcc",), deltas=0, n_mfcc=3, padding=padding)
    fitted = make_pipeline(frames, FrameScaler(), tiny_network()).fit(waveforms(), EMOTIONS * 6)
    table = predict_emotions(fitted, [files[0], "none.wav", *files[1:3]])
    assert table["error"].tolist() == [pd.NA, "no such file", pd.NA, pd.NA]
    np.testing.assert_allclose(table.loc[[0, 2, 3], EMOTIONS], fitted.predict_proba(files[:3]), atol=1e-6)
    assert table.loc[1, EMOTIONS].isna().all()
    assert predict_emotions(fitted, ["none.wav"])["error"].tolist() == ["no such file"]


# --- clips without speech


def seconds(n):
    return np.arange(int(n * 16000)) / 16000


def coloured_noise(slope):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(48000))
    spectrum *= np.maximum(np.fft.rfftfreq(48000, 1 / 16000), 20) ** -slope
    waveform = np.fft.irfft(spectrum)
    return waveform / waveform.std() / 10


def hum(hz):
    return sum(0.1 * np.sin(2 * np.pi * hz * k * seconds(3) + k) / k for k in range(1, 12))


SILENT = {
    "zeros": np.zeros(16000),
    "one sample": np.zeros(1),
    "one loud sample": np.ones(1),
    "opposite channels": (np.outer(hum(137), [1, -1]), 16000),
    "50 Hz": hum(50),
    "100 Hz": hum(100),
    "dial tone": np.sin(2 * np.pi * 425 * seconds(3)) * (seconds(3) % 1 < 0.7),
    "white": coloured_noise(0.0),
    "pink": coloured_noise(0.5),
}


@pytest.mark.parametrize("clip", SILENT.values(), ids=SILENT)
def test_what_is_no_speech_has_no_emotion(model, clip):
    table = predict_emotions(model, [clip])
    assert table["emotion"].isna().all()
    assert table["reason"].tolist() == ["no speech"]
    assert table[["probability", *EMOTIONS, "error"]].isna().all(axis=None)
    assert 0 <= table["speech"][0] < 0.25
    assert predict_emotions(model, [clip], min_speech=0)["emotion"].tolist() == model.predict([clip]).tolist()


def test_a_clip_of_speech_is_told_as_a_window_is(model, speechlike):
    clip = speechlike(2.0, seed=1)
    table = predict_emotions(model, [clip, clip / 1e4])
    (window,) = stream_emotions(model, clip)
    assert table["speech"].tolist() == [window.speech, 0.0]
    assert window.speech > 0.5
    assert table["emotion"].tolist() == [window.emotion, pd.NA]
    assert table["reason"].tolist() == [pd.NA, "no speech"]
    (silence,) = stream_emotions(model, clip / 1e4)
    assert (window.reason, silence.reason) == (None, "no speech")


def test_a_second_of_speech_amid_silence_is_enough(model, speechlike):
    silence = np.zeros(5 * 16000, dtype=np.float32)
    long = np.concatenate([silence, speechlike(1.5, seed=1), silence])
    table = predict_emotions(model, [long, np.concatenate([silence, silence])])
    assert table["emotion"].isna().tolist() == [False, True]
    assert 0.05 < table["speech"][0] < 0.25
    assert predict_emotions(model, [long], min_speech=0.9)["emotion"].isna().all()
    with pytest.raises(ValueError, match=r"min_speech=1\.5: expected a share from 0 to 1"):
        predict_emotions(model, [long], min_speech=1.5)


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("is_cached", [False, True])
def test_a_clip_is_decoded_once(files, tmp_path, monkeypatch, is_cached, n_jobs):
    memory = str(tmp_path / "cache") if is_cached else None
    fitted = make_pipeline(cheap_features(memory=memory), lda()).fit(waveforms(), EMOTIONS * 6)
    decoded = []
    load = extraction.load_audio
    monkeypatch.setattr(extraction, "load_audio", lambda *args: decoded.append(args) or load(*args))
    silence = tmp_path / "silence.wav"
    wavfile.write(silence, 16000, np.zeros(8000, dtype=np.float32))
    for _ in range(2):
        with joblib.parallel_config(backend="threading"):
            table = predict_emotions(fitted, [*files, silence], n_jobs=n_jobs)
        assert table["emotion"].tolist() == [*EMOTIONS * 2, pd.NA]
        assert table["speech"].round(1).tolist() == [1.0] * 6 + [0.0]
    assert len(decoded) == (7 if is_cached else 14)
    np.testing.assert_array_equal(fitted[0].transform(files), cheap_features().transform(files))


def test_silence_is_no_clip_of_its_speaker(files):
    scaled = make_pipeline(cheap_features(), SpeakerScaler(min_clips=2), lda()).fit(waveforms(), EMOTIONS * 6)
    spoken = predict_emotions(scaled, files[:4], speakers=["ann"] * 4)
    table = predict_emotions(scaled, [files[0], np.zeros(9000), *files[1:4]], speakers=["ann"] * 5)
    np.testing.assert_array_equal(table.loc[[0, 2, 3, 4], EMOTIONS], spoken[EMOTIONS])
    assert table["reason"].tolist() == [pd.NA, "no speech", pd.NA, pd.NA, pd.NA]


class Own(AcousticFeatures):
    """Somebody's features, which know nothing of speech."""

    def extract(self, X):
        return super().extract(X)


@pytest.mark.parametrize("kind", ["wrapped", "function", "derived"])
def test_silence_is_found_for_a_model_that_reads_clips_itself(kind, files):
    if kind == "wrapped":
        fitted = CalibratedClassifierCV(fitted_pipeline(), cv=3)
    else:
        own = Own(**cheap_features().get_params())
        fitted = make_pipeline(own if kind == "derived" else FunctionTransformer(cheap_features().transform), lda())
    fitted = fitted.fit(waveforms(), EMOTIONS * 6)
    silence = io.BytesIO()
    wavfile.write(silence, 16000, np.zeros(8000, dtype=np.float32))
    with Path(files[1]).open("rb") as opened:
        table = predict_emotions(fitted, [files[0], silence, opened, waveforms()[2]])
        np.testing.assert_array_equal(
            table.loc[[0, 2, 3], EMOTIONS], fitted.predict_proba([*files[:2], waveforms()[2]])
        )
    assert table["reason"].tolist() == [pd.NA, "no speech", pd.NA, pd.NA]
    nothing = predict_emotions(fitted, [np.zeros(8000)])
    assert nothing["reason"].tolist() == ["no speech"]
    assert nothing.columns.tolist() == table.columns.tolist()


def test_what_only_the_model_can_read_is_its_own_matter():
    fitted = make_pipeline(FunctionTransformer(lambda names: [[len(name)] for name in names]), SVC())
    fitted = fitted.fit(["a", "b", "ccc", "ddd"], ["short", "short", "long", "long"])
    table = predict_emotions(fitted, ["x", "yyy"])
    assert table["emotion"].tolist() == ["short", "long"]
    assert table[["speech", "reason", "error"]].isna().all(axis=None)


@pytest.mark.parametrize(("labels", "dtype"), [(EMOTIONS, "string"), ([0, 1, 2], "Int64")], ids=["names", "numbers"])
def test_columns_keep_their_types_without_any_speech(labels, dtype):
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), labels * 6)
    silent, mixed = predict_emotions(fitted, [np.zeros(100)]), predict_emotions(fitted, [np.zeros(100), waveforms()[0]])
    assert silent["emotion"].dtype == dtype
    assert silent.dtypes.tolist() == mixed.dtypes.tolist()


# --- windows of recordings


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Three seconds, told apart from silence by a voice that moves."""
    time = np.arange(32000) / 16000
    voice = np.sin(2 * np.pi * 200 * (time + 0.01 * np.sin(9 * time))) / 2
    noise = np.random.RandomState(0).randn(64000) / 50
    file = tmp_path_factory.mktemp("calls") / "call.wav"
    wavfile.write(file, 16000, (noise + np.append(voice, np.zeros(32000))).astype(np.float32))
    return str(file)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_row_a_window_and_one_for_what_is_wrong(model, call, tmp_path, n_jobs):
    cut = tmp_path / "cut.wav"
    cut.write_bytes(Path(call).read_bytes()[: 4 * 24000])
    with joblib.parallel_config(backend="threading"):
        table = predict_emotions(model, [call, "none.wav", cut], window=1.0, hop=0.5, n_jobs=n_jobs)
    columns = ["file", "start", "end", "speech", "emotion", "probability", *EMOTIONS, "reason", "error"]
    assert table.columns.tolist() == columns
    assert table.index.tolist() == list(range(len(table)))
    expected = list(stream_emotions(model, call, window=1.0, hop=0.5))
    own = table[table["file"] == call]
    for name in ("start", "end", "speech"):
        assert own[name].tolist() == [getattr(row, name) for row in expected]
    assert own["emotion"].astype(object).where(own["emotion"].notna(), None).tolist() == [
        row.emotion for row in expected
    ]
    spoken = own["emotion"].notna()
    assert 3 <= spoken.sum() < len(own)
    # Sums of linear algebra depend on the number of threads.
    probabilities = [row.probabilities for row in expected if row.emotion]
    np.testing.assert_allclose(own.loc[spoken, EMOTIONS], probabilities, rtol=1e-5, atol=1e-9)
    assert own.loc[~spoken, ["probability", *EMOTIONS]].isna().all(axis=None)
    assert own["error"].isna().all()
    assert (own["reason"].eq("no speech") == ~spoken).all()
    rest = table[table["file"] != call]
    assert rest["file"].tolist() == ["none.wav", str(cut), str(cut), str(cut)]
    assert rest["error"].isna().tolist() == [False, True, True, False]
    assert rest["error"].iloc[[0, 3]].str.split(":").str[0].tolist() == ["no such file", "is truncated"]
    assert rest.iloc[[0, 3]][columns[1:-1]].isna().all(axis=None)


def test_windows_of_a_model_without_probabilities(call):
    fitted = make_pipeline(cheap_features(), SVC()).fit(waveforms(), EMOTIONS * 6)
    table = predict_emotions(fitted, [call, np.zeros(16000)], window=1.0, min_speech=0)
    assert table.columns.tolist() == ["file", "start", "end", "speech", "emotion", "reason", "error"]
    assert table["file"].tolist() == [call] * 4 + [1]
    assert table["emotion"].notna().all()


def test_windows_are_not_scaled_by_speaker(model, call):
    with pytest.raises(ValueError, match="windows cannot be scaled by speaker"):
        predict_emotions(model, [call], speakers=["ann"], window=1.0)
    with pytest.raises(ValueError, match=r"window=0\.1: expected 1 or more seconds"):
        predict_emotions(model, [call], window=0.1)
