"""What the parameters come to: presets against librosa's own calls, names, and what is refused."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest
import soundfile as sf
from numpy.testing import assert_allclose, assert_array_equal

from sersk import AcousticFeatures, FrameSequences, recipes
from sersk.descriptors import FAMILIES, describe
from sersk.filterbanks import FrameSettings
from sersk.functionals import FUNCTIONALS, delta, summarize
from sersk.recipes import PRESETS, REGIONS, VectorRecipe

ALL = {"functionals": (*FUNCTIONALS, "p5", "p50"), "deltas": 2, "regions": REGIONS}


@pytest.fixture(scope="module", params=[(16000, 1.3), (48000, 4.0), (22050, 0.6)], ids="{0[0]} Hz, {0[1]} s".format)
def wav(request, speechlike, tmp_path_factory):
    sr, seconds = request.param
    path = tmp_path_factory.mktemp("wavs") / "speech.wav"
    sf.write(path, speechlike(seconds, sr), sr)
    return path


def librosa_load(path, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules that its audioread imports
        return librosa.load(path, **parameters)


def mfcc_means(y, n_mfcc):
    return librosa.feature.mfcc(y=y, sr=22050, n_mfcc=n_mfcc).mean(axis=1)


def test_means_180_equals_librosas_own_calls(wav):
    y, sr = librosa_load(wav, sr=22050)
    row = AcousticFeatures.from_preset("means-180").transform([wav])[0]
    assert row.shape == (180,)
    assert_allclose(row[:40], mfcc_means(y, 40), rtol=1e-4, atol=1e-4)  # dB; some means lie near 0
    chroma = librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0).mean(axis=1)
    assert_allclose(row[40:52], chroma, rtol=1e-4)
    mel = librosa.feature.melspectrogram(y=y, sr=sr).mean(axis=1)
    assert_allclose(row[52:], mel, rtol=1e-4, atol=1e-12)  # 120 dB below: what the resampler leaves above 8 kHz


@pytest.mark.parametrize("n_mfcc", [40, 58])
def test_mfcc_presets_equal_librosas_own_calls(wav, n_mfcc):
    y, _ = librosa_load(wav, sr=22050, offset=0.5, duration=3.0)
    row = AcousticFeatures.from_preset(f"mfcc-{n_mfcc}").transform([wav])[0]
    assert_allclose(row, mfcc_means(y, n_mfcc), rtol=1e-4, atol=1e-4)


def test_tuning_none_is_librosas_own_estimate(wav):
    y, sr = librosa_load(wav, sr=22050)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        chroma = librosa.feature.chroma_stft(y=y, sr=sr).mean(axis=1)
    row = AcousticFeatures.from_preset("means-180", descriptors=("chroma",), tuning=None).transform([wav])[0]
    assert_allclose(row, chroma, rtol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_take_further_parameters(name):
    features = AcousticFeatures.from_preset(name, n_jobs=2, sr=8000)
    assert features.get_params() == AcousticFeatures().get_params() | PRESETS[name] | {"n_jobs": 2, "sr": 8000}


def test_the_default_preset_is_the_default():
    assert AcousticFeatures.from_preset().get_params() == AcousticFeatures().get_params()


def test_unknown_presets_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no preset 'means'; choose one of default, means-180, mfcc-40, mfcc-58"):
        AcousticFeatures.from_preset("means")


def test_every_value_is_the_functional_that_its_name_says(speechlike):
    waveform = speechlike()
    features = AcousticFeatures(
        ("zcr", "log_f0"), functionals=("mean", "p95"), deltas=2, regions=REGIONS, clip_values=()
    )
    row = dict(zip(features.get_feature_names_out(), features.transform([waveform])[0], strict=True))
    frames = describe(waveform, ["zcr", "log_f0", "log_rms", "voicing"], FrameSettings(n_mels=32))
    level = frames["log_rms"][:, 0]
    active = level >= level.max() - 40
    voiced = active & (frames["voicing"][:, 0] > 0.5)
    assert 0 < voiced.sum() < active.sum() < len(level)  # the three regions differ
    zcr, f0 = frames["zcr"].T, frames["log_f0"].T
    expected = {}
    for order in ("", "_delta", "_delta2"):
        for functional in ("mean", "p95"):
            for region, chosen in {"": slice(None), "_active": active, "_voiced": voiced}.items():
                expected[f"zcr{order}{region}_{functional}"] = summarize(zcr[:, chosen], [functional])[0, 0]
            expected[f"log_f0{order}_{functional}"] = summarize(f0[:, voiced], [functional])[0, 0]
        zcr, f0 = delta(zcr), delta(f0)
    assert row == pytest.approx(expected, rel=1e-5)  # sums over other arrays may be rounded otherwise


def test_families_computed_only_to_find_regions_are_not_in_the_vector(speechlike):
    features = AcousticFeatures(("zcr",), functionals=("mean",), deltas=0, regions=("active",), clip_values=())
    assert features.get_feature_names_out().tolist() == ["zcr_active_mean"]
    assert features.transform([speechlike()]).shape == (1, 1)


@pytest.mark.parametrize("descriptors", [("log_rms", "voicing"), ("voicing",), ("f0",), ("mel", "log_rms", "voicing")])
def test_descriptors_that_tell_regions_may_be_asked_for_alone(speechlike, descriptors):
    features = AcousticFeatures(descriptors, functionals=("mean",), deltas=0, regions=("all",), clip_values=())
    frames = describe(speechlike(), descriptors, FrameSettings(n_mels=32))
    row = features.transform([speechlike()])[0]
    if descriptors != ("f0",):
        expected = np.concatenate([summarize(frames[f].T, ["mean"])[:, 0] for f in descriptors])
        assert_allclose(row, expected, rtol=1e-5)
    assert len(row) == len(features.get_feature_names_out())


@pytest.mark.parametrize("parameters", [{}, ALL, {"n_mels": 8, "n_mfcc": 8}, {"n_mels": 128}, {"clip_values": ()}])
@pytest.mark.parametrize("descriptors", [tuple(FAMILIES), ("f0",), ("mfcc", "log_f0")])
def test_every_column_has_a_name_of_its_own(speechlike, descriptors, parameters):
    features = AcousticFeatures(descriptors, **parameters)
    names = features.get_feature_names_out()
    assert len(set(names)) == len(names) == features.transform([speechlike(0.2)]).shape[1]


@pytest.mark.parametrize("deltas", [0, 1, 2])
def test_every_column_of_a_sequence_has_a_name_of_its_own(speechlike, deltas):
    sequences = FrameSequences(FAMILIES, deltas=deltas)
    names = sequences.get_feature_names_out()
    assert len(set(names)) == len(names) == sequences.transform([speechlike(0.2)]).shape[2]


@pytest.mark.parametrize("sr", [8000, 16000, 44100])
@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(np.zeros(1), id="one sample of silence"),
        pytest.param(np.ones(1), id="one sample"),
        pytest.param(np.array([0.1, -0.1, 0.1]), id="three samples"),
        pytest.param(np.zeros(16000), id="silence"),
        pytest.param(np.full(4000, 0.5), id="constant"),
        pytest.param(np.r_[np.zeros(4000), 1.0, np.zeros(4000)], id="click"),
        pytest.param(1e-7 * np.random.default_rng(0).normal(size=3000), id="very weak noise"),
        pytest.param(1e4 * np.random.default_rng(0).normal(size=3000), id="noise far over full scale"),
    ],
)
def test_always_finite(clip, sr):
    assert np.isfinite(AcousticFeatures(tuple(FAMILIES), sr=sr, **ALL).transform([clip])).all()
    assert np.isfinite(FrameSequences(FAMILIES, sr=sr, deltas=2).transform([clip])).all()


@pytest.mark.parametrize("make", [AcousticFeatures, FrameSequences])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"descriptors": ("mfcc", "mfc")}, r"descriptors: expected .* mfcc, chroma, .*: 'mfc'\."),
        ({"descriptors": ("rms", "mfcc", "rms")}, r"unknown or repeated: 'rms'\."),
        ({"descriptors": "mfcc"}, "'descriptors' parameter of .* must be an instance of 'list'.* Got 'mfcc'"),
        ({"descriptors": {"mfcc"}}, "'descriptors' parameter .* Got {'mfcc'}"),
        ({"descriptors": [3]}, "unknown or repeated: '3'"),
        ({"fmin": 5000.0, "fmax": 4000.0}, "Expected fmin < fmax <= sr / 2, got fmin=5000.0, fmax=4000.0, sr=16000"),
        ({"fmax": 9000.0}, "fmax=9000.0, sr=16000"),
        ({"fmin": 8000}, "fmin=8000.0, fmax=None"),
        ({"n_mfcc": 33, "n_mels": 32}, "Expected n_mfcc <= n_mels, got n_mfcc=33, n_mels=32"),
        ({"deltas": 3}, "'deltas' parameter"),
        ({"sr": 0}, "'sr' parameter"),
        ({"hop_length": 0.5}, "'hop_length' parameter"),
        ({"duration": 0.0}, "'duration' parameter"),
        ({"offset": -1.0}, "'offset' parameter"),
        ({"on_error": "ignore"}, "'on_error' parameter"),
        ({"memory": 3}, "'memory' parameter"),
    ],
)
def test_bad_parameters_are_refused_by_every_method(make, parameters, message):
    transformer = make(**({"descriptors": ("mfcc",)} | parameters))
    clips = [np.zeros(100)]
    for call in (
        transformer.get_feature_names_out,
        lambda: transformer.fit(clips),
        lambda: transformer.transform(clips),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"functionals": ("mean", "median")}, "functionals: expected .* mean, std, .*, p1 to p99; .*: 'median'"),
        ({"functionals": ("p0",)}, "'p0'"),
        ({"functionals": ("p5", "p5")}, "unknown or repeated: 'p5'"),
        ({"functionals": "mean"}, "'functionals' parameter"),
        ({"regions": ("voice",)}, "regions: expected different names out of all, active, voiced; .*: 'voice'"),
        ({"regions": "all"}, "'regions' parameter"),
        ({"clip_values": ("timings",)}, "clip_values: expected .* timing, .*: 'timings'"),
        ({"clip_values": "timing"}, "'clip_values' parameter"),
        ({"descriptors": (), "clip_values": ()}, "ask for no features at all"),
        ({"functionals": (), "clip_values": ()}, "ask for no features at all"),
        ({"regions": (), "clip_values": ()}, "ask for no features at all"),
        ({"descriptors": (), "clip_values": ("mfcc_covariance",), "n_mels": 8}, "n_mfcc <= n_mels"),
    ],
)
def test_bad_parameters_of_vectors_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        AcousticFeatures(**({"descriptors": ("mfcc",)} | parameters)).get_feature_names_out()


def test_sequences_of_nothing_are_refused():
    with pytest.raises(ValueError, match="ask for no features at all"):
        FrameSequences(()).get_feature_names_out()


def test_n_mfcc_may_exceed_n_mels_where_no_mfcc_are_asked_for(speechlike):
    features = AcousticFeatures(("log_mel",), n_mels=8, clip_values=("timing", "band_covariance"))
    assert np.isfinite(features.transform([speechlike()])).all()


def test_clip_values_may_be_asked_for_alone(speechlike):
    features = AcousticFeatures((), clip_values=["timing"], regions=())
    assert features.transform([speechlike()]).shape == (1, 8)


def test_names_may_come_in_lists_and_arrays():
    expected = AcousticFeatures(("mfcc", "zcr"), functionals=("mean", "std")).get_feature_names_out()
    for kind in (list, np.array):
        features = AcousticFeatures(kind(["mfcc", "zcr"]), functionals=kind(["mean", "std"]))
        assert_array_equal(features.get_feature_names_out(), expected)


@pytest.mark.parametrize(
    "parameters", [{}, {"deltas": 2, "regions": ("voiced",)}, {"deltas": 0, "n_fft": 400}], ids=str
)
def test_silence_around_speech_changes_no_value_but_the_duration(speechlike, monkeypatch, parameters):
    y = np.pad(speechlike(1.2, seed=3), (20000, 15000))
    features = AcousticFeatures(**parameters)
    short = features.transform([y])[0]
    monkeypatch.setattr(VectorRecipe, "_run", lambda self, rms: slice(None))
    assert_allclose(features.transform([y])[0], short, rtol=1e-4, atol=1e-5)


def test_silence_around_speech_is_not_measured_unless_all_frames_count(speechlike, monkeypatch):
    y = np.pad(speechlike(0.5), (160000, 160000))
    measured = []
    original = recipes.finish
    monkeypatch.setattr(recipes, "finish", lambda m, *given: measured.append(len(m["mel"])) or original(m, *given))
    AcousticFeatures().transform([y])
    AcousticFeatures(regions=("all",)).transform([y])
    assert measured[0] < 60
    assert measured[1] == 1 + len(y) // 256


@pytest.mark.parametrize("regions", [("active", "voiced"), ("all",)], ids=str)
@pytest.mark.parametrize("n_fft", [1024, 400])
def test_windows_of_a_recording_are_described_as_clips_are(speechlike, regions, n_fft):
    """But for what lies beyond their edges, which is silence here."""
    words = [speechlike(0.7, seed=seed) for seed in range(4)]
    gap = np.zeros(4096, dtype=np.float32)
    recording = np.concatenate([part for word in words for part in (gap, word, gap)])
    recipe = AcousticFeatures(regions=regions, n_fft=n_fft, clip_values=("timing", "thirds", "modulation"))._recipe()
    length = 2 * len(gap) + len(words[0])
    starts = [round(k * length / 256) for k in range(4)]
    vectors = recipe.compute_windows(recording, starts, length)
    expected = [recipe.compute(recording[256 * start :][:length]) for start in starts]
    assert_allclose(vectors, expected, rtol=2e-4, atol=2e-4)


def test_windows_may_overlap(speechlike):
    y = speechlike(2.0)
    recipe = AcousticFeatures(("mfcc", "chroma"), regions=("all",), functionals=("mean",), deltas=0)._recipe()
    whole, first, again = recipe.compute_windows(y, [0, 30, 30], 16000)
    assert_array_equal(first, again)
    assert np.abs(whole - first).max() > 0.1
