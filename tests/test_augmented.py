"""Who learns from altered copies, and that nothing else is altered."""

from __future__ import annotations

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
import soundfile as sf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError
from speakers import Recorder, cheap_mfcc, scikit_learns_checks

from sersk import ClipAugmenter, FrameSequences, emotion_pipeline
from sersk.augmentation import WAVEFORM_METHODS, AlteredClip, mask_frames
from sersk.models import SpeakerCalibratedClassifier, SpeakerSearch

SR = 16000
Y = np.array(["happy", "sad", "happy", "sad", "happy", "sad"])
GROUPS = np.array([*"aabbcc"])


def bayes():
    return make_pipeline(cheap_mfcc(), GaussianNB())


def augmented(*methods, model=None, random_state=0, **parameters):
    return ClipAugmenter(bayes() if model is None else model, methods, random_state=random_state, **parameters)


@pytest.fixture(scope="module")
def clips(speechlike):
    return [speechlike(0.2 + 0.02 * k, seed=k) for k in range(6)]


@pytest.fixture(scope="module")
def files(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for k, clip in enumerate(clips):
        sf.write(folder / f"{k}.wav", clip, SR, subtype="FLOAT")
    return [folder / f"{k}.wav" for k in range(len(clips))]


@pytest.fixture
def frames():
    X = np.random.default_rng(0).normal(size=(6, 12, 5)).astype(np.float32)
    for k, n_frames in enumerate((12, 9, 12, 7, 3, 10)):
        X[k, n_frames:] = np.nan
    return X


class Means(TransformerMixin, BaseEstimator):
    """Frames -> their means."""

    def transform(self, X):
        return np.nanmean(X, axis=1)

    def fit(self, X, y=None):
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class Keeper(ClassifierMixin, BaseEstimator):
    """Keeps what it was fitted on."""

    def fit(self, X, y):
        self.X_, self.y_, self.classes_ = X, y, np.unique(y)
        return self

    def predict(self, X):
        self.seen_ = X
        return np.repeat(self.classes_[:1], len(X))


class Weighed(Keeper):
    """Keeps the weights, too."""

    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        return super().fit(X, y)


NAMES, CHECKS, KEYWORDS = scikit_learns_checks(
    [augmented(model=GaussianNB()), augmented("gain", "noise", model=bayes())],
    expected={
        str(augmented("gain", "noise", model=bayes())): {
            "check_n_features_in": "the rows are waveforms, of any length",
            "check_n_features_in_after_fitting": "the rows are waveforms, of any length",
            "check_sample_weight_equivalence_on_dense_data": "the features are single floats: 1e-9 apart",
            "check_classifiers_train": "the rows are waveforms: in two samples MFCC hear next to nothing",
        }
    },
)


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


# --- what is learned from ---


@pytest.mark.parametrize("kind", ["paths", "waveforms"])
def test_it_fits_what_one_fits_by_hand_on_clips_and_copies(clips, files, kind):
    X = clips if kind == "waveforms" else files
    model = augmented("noise", "gain").fit(X, Y, groups=GROUPS)
    copies = model.alter(X)
    by_hand = bayes().fit([*X, *copies[0], *copies[1]], np.tile(Y, 3))
    assert_array_equal(model.predict_proba(X), by_hand.predict_proba(X))
    assert_array_equal(model.estimator_[-1].theta_, by_hand[-1].theta_)
    assert not np.allclose(model.predict_proba(X), bayes().fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("method", WAVEFORM_METHODS)
def test_every_method_of_clips(clips, method):
    (copies,) = augmented(method).alter(clips)
    rows = cheap_mfcc().transform(clips)
    altered = cheap_mfcc().transform(copies)
    assert all(isinstance(copy, AlteredClip) for copy in copies)
    assert (np.abs(altered - rows).max(axis=1) > 0.01).all()
    augmented(method).fit(clips, Y)


def test_limits_reach_their_method(clips):
    limits = {
        "snr": "noise",
        "stretch": "stretch",
        "pitch": "pitch",
        "speed": "speed",
        "shift": "shift",
        "gain": "gain",
    }
    for number, (name, method) in enumerate(limits.items(), 1):
        ((copy, *_),) = augmented(method, **{name: [number, 2 * number]}).alter(clips)
        assert (copy.method, copy.limits) == (method, (number, 2 * number))


def test_without_methods_nothing_is_added(clips):
    model = augmented(model=Keeper()).fit(clips, Y, groups=GROUPS)
    assert model.estimator_.X_ is clips
    assert_array_equal(model.estimator_.y_, Y)
    assert augmented().with_copies(clips)[0] is clips
    assert_array_equal(augmented().with_copies(clips)[1], range(6))


def test_copies_bear_the_label_and_the_speaker_of_their_clip(clips):
    model = augmented("noise", "gain")
    X, sources = model.with_copies(clips)
    assert len(X) == len(sources) == 18
    assert_array_equal(sources[:6], range(6))
    assert all(clip is again for clip, again in zip(clips, X[:6], strict=True))
    for k, copy in enumerate(X[6:]):
        assert copy.clip is clips[k % 6]
        assert copy.method == ("noise", "gain")[k // 6]
        assert sources[6 + k] == ~(k % 6)
    weight = np.arange(1.0, 7.0)
    keeper = augmented("noise", "gain", model=make_pipeline(cheap_mfcc(), Weighed()))
    keeper.fit(clips, Y, groups=GROUPS, sample_weight=weight)
    assert_array_equal(keeper.estimator_[-1].y_, np.tile(Y, 3))
    assert_array_equal(keeper.estimator_[-1].weight_, np.tile(weight, 3))


@pytest.mark.parametrize(
    "y", [Y, Y.tolist(), Y.astype(object), np.arange(6) % 2, pd.Series(Y, index=[*"fedcba"]), np.arange(6) % 2 == 0]
)
def test_the_labels_keep_their_type(clips, y):
    X = [*clips]
    model = augmented("gain", model=make_pipeline(cheap_mfcc(), Keeper())).fit(X, y)
    seen = model.estimator_[-1].y_
    assert seen.dtype == np.asarray(y).dtype
    assert_array_equal(seen, np.tile(np.asarray(y), 2))
    assert model.classes_.dtype == seen.dtype
    assert all(a is b for a, b in zip(X, clips, strict=True))


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame], ids=["array", "DataFrame"])
def test_rows_of_waveforms(clips, kind):
    rows = np.array([clip[:3000] for clip in clips])
    before = rows.copy()
    model = augmented("noise", "shift", "speed").fit(kind(rows), Y)
    as_list = augmented("noise", "shift", "speed").fit([*rows], Y)
    assert_array_equal(model.predict_proba(rows), as_list.predict_proba(rows))
    assert_array_equal(rows, before)


def test_what_is_predicted_and_scored_is_not_altered(clips):
    model = augmented("noise", model=make_pipeline(FunctionTransformer(), cheap_mfcc(), Keeper())).fit(clips, Y)
    rows = cheap_mfcc().transform(clips)
    model.predict(clips)
    assert_array_equal(model.estimator_[-1].seen_, rows)
    assert model.score(clips, Y) == 0.5
    assert_array_equal(model.estimator_[-1].seen_, rows)


def test_no_clip_is_opened_to_make_copies():
    assert augmented("noise").alter(["gone.wav"])[0][0].clip == "gone.wav"


# --- chance ---


def rows_of(copies):
    return cheap_mfcc().transform(copies)


def test_a_clip_gets_the_same_copies_wherever_it_stands(clips, files):
    methods = ("noise", "pitch", "noise")
    reference = [rows_of(copies) for copies in augmented(*methods).alter(clips)]
    order = [4, 2, 0, 2]
    for X in (clips, files):
        some = [rows_of(copies) for copies in augmented(*methods).alter([X[k] for k in order])]
        for rows, all_rows in zip(some, reference, strict=True):
            assert_array_equal(rows, all_rows[order])


def test_the_same_method_twice_gives_two_copies_and_another_changes_none(clips):
    once = rows_of(augmented("noise").alter(clips)[0])
    first, gain, second = (rows_of(copies) for copies in augmented("noise", "gain", "noise").alter(clips))
    assert_array_equal(first, once)
    assert_array_equal(gain, rows_of(augmented("gain").alter(clips)[0]))
    assert (np.abs(first - second).max(axis=1) > 0.01).all()


def test_seeds(clips):
    def copies(random_state):
        return rows_of(augmented("noise", random_state=random_state).alter(clips)[0])

    assert_array_equal(copies(0), copies(0))
    assert_array_equal(copies(np.random.RandomState(5)), copies(5))
    for other in (1, None, np.random.RandomState(1)):
        assert (copies(other) != copies(0)).any(axis=1).all()
    assert (copies(None) != copies(None)).any()
    shared = np.random.RandomState(0)
    assert (copies(shared) != copies(shared)).any()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    copies(0)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002  # numpy's global generator is left alone


# --- masks ---


def masking(*methods, model=None, **parameters):
    return augmented(*methods, model=make_pipeline(Means(), GaussianNB()) if model is None else model, **parameters)


def test_masks_hide_with_the_mean_and_leave_the_padding(frames):
    before = frames.copy()
    model = masking("time_mask", "frequency_mask", time_mask=0.5, frequency_mask=0.5)
    times, frequencies = model.alter(frames)
    hidden = []
    for copies, axis in ((times, 1), (frequencies, 0)):
        assert copies.dtype == np.float32
        assert_array_equal(np.isnan(copies), np.isnan(frames))
        for clip, copy in zip(frames, copies, strict=True):
            n_frames = int((~np.isnan(clip[:, 0])).sum())
            mean = np.broadcast_to(clip[:n_frames].mean(axis=0), (n_frames, 5))
            masked = copy[:n_frames] != clip[:n_frames]
            assert_array_equal(copy[:n_frames][masked], mean[masked])
            assert_array_equal(masked.all(axis=axis), masked.any(axis=axis))
            hidden.append(masked.mean())
    assert max(hidden) <= 0.5
    assert np.mean(np.array(hidden) > 0) > 0.5
    assert_array_equal(frames, before)


def test_masks_by_hand(frames):
    model = masking("time_mask", "frequency_mask", time_mask=0.5).fit(frames, Y, groups=GROUPS)
    by_hand = make_pipeline(Means(), GaussianNB())
    by_hand.fit(np.concatenate([frames, *model.alter(frames)]), np.tile(Y, 3))
    assert_array_equal(model.predict_proba(frames), by_hand.predict_proba(frames))


def test_masks_depend_on_the_frames_and_not_on_the_padding(frames):
    longer = np.pad(frames[[3, 1]], ((0, 0), (0, 20), (0, 0)), constant_values=np.nan)
    for some, all_clips in zip(masking("time_mask").alter(longer), masking("time_mask").alter(frames), strict=True):
        assert_array_equal(some[:, :12], all_clips[[3, 1]])
    first, second = masking("time_mask", "time_mask", time_mask=1.0).alter(frames)
    assert not np.array_equal(first, second, equal_nan=True)


def test_methods_of_clips_and_of_frames_one_around_the_other(clips):
    clips = [clip[:3000] for clip in clips]
    inner = masking("time_mask", model=make_pipeline(Means(), Keeper()), time_mask=1.0)
    model = augmented("gain", model=make_pipeline(FrameSequences(("mfcc",)), inner)).fit(clips, Y, groups=GROUPS)
    assert model.estimator_[-1].estimator_[-1].X_.shape == (6 * 2 * 2, 40)
    assert_array_equal(model.estimator_[-1].estimator_[-1].y_, np.tile(Y, 4))
    model.predict(clips)
    assert_allclose(
        model.estimator_[-1].estimator_[-1].seen_, FrameSequences(("mfcc",)).transform(clips).mean(1), rtol=1e-5
    )


# --- speakers ---


def recorded(groups, model, X):
    Recorder.seen.clear()
    model.fit(X, Y, groups=groups)
    return Recorder.seen


def test_speakers_reach_the_estimator_with_the_copies(clips):
    model = augmented("noise", "gain", model=make_pipeline(cheap_mfcc(), Recorder()))
    assert_array_equal(recorded(GROUPS, model, clips), [np.tile(GROUPS, 3)])
    assert_array_equal(recorded([*GROUPS], model, clips), [np.tile(GROUPS, 3)])


def test_where_speakers_are_unknown_a_clip_stays_with_its_copies(clips):
    model = augmented("noise", "gain", model=make_pipeline(cheap_mfcc(), Recorder()))
    assert_array_equal(recorded(None, model, clips), [np.tile(np.arange(6), 3)])


class ByNumber(ClassifierMixin, BaseEstimator):
    """Notes which clips, told by their length in the first column, are in each training set and which are tested."""

    log: ClassVar[list] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.trained_ = {*X[:, 0]}
        return self

    def predict_proba(self, X):
        self.log.append((self.trained_, {*X[:, 0]}))
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Lengths(TransformerMixin, BaseEstimator):
    """Clips -> their lengths, which tell them and their copies from others."""

    def __init__(self, sr=SR):
        self.sr = sr

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[len(clip.waveform(self.sr) if isinstance(clip, AlteredClip) else clip)] for clip in X])


@pytest.mark.parametrize(
    "inner",
    [SpeakerCalibratedClassifier(ByNumber(), cv=3), SpeakerSearch(ByNumber(), {})],
    ids=["calibration", "search"],
)
@pytest.mark.parametrize("groups", [None, np.arange(24) % 4], ids=["unknown", "known"])
def test_inner_folds_keep_copies_with_their_clip(inner, groups):
    y = np.tile(["happy", "sad"], 12)
    ByNumber.log.clear()
    model = augmented("noise", "gain", "gain", model=make_pipeline(Lengths(), inner))
    model.fit([np.ones(k, np.float32) for k in range(10, 34)], y, groups=groups)
    assert ByNumber.log
    for trained, tested in ByNumber.log:
        assert not trained & tested
        assert len(trained) > 1


def test_who_asks_for_speakers_when_it_predicts_does_not_get_clips_for_them(clips):
    class BySpeaker(FunctionTransformer):
        """Scales by speaker, say."""

        __metadata_request__transform: ClassVar = {"groups": True}

        def transform(self, X, groups=None):
            return X

        def fit_transform(self, X, y=None, groups=None):
            return X

    model = augmented("gain", model=make_pipeline(cheap_mfcc(), BySpeaker(), Recorder()))
    assert recorded(None, model, clips) == [None]
    assert_array_equal(recorded(GROUPS, model, clips), [np.tile(GROUPS, 2)])


def test_an_estimator_that_knows_no_routing(clips):
    class Silent(GaussianNB):
        def get_metadata_routing(self):
            raise NotImplementedError

    augmented("gain", model=make_pipeline(cheap_mfcc(), Silent())).fit(clips, Y)


# --- as an estimator among others ---


def test_it_has_what_its_estimator_has(clips):
    with_probabilities, with_scores = augmented("gain"), augmented("gain", model=make_pipeline(cheap_mfcc(), SVC()))
    assert hasattr(with_probabilities, "predict_proba")
    assert not hasattr(with_probabilities, "decision_function")
    assert hasattr(with_scores, "decision_function")
    assert not hasattr(with_scores, "predict_proba")
    with_scores.fit(clips, Y)
    assert_array_equal(with_scores.decision_function(clips), with_scores.estimator_.decision_function(clips))
    assert_array_equal(with_scores.classes_, ["happy", "sad"])
    assert not hasattr(with_scores, "n_features_in_")
    assert augmented(model=GaussianNB()).fit(np.eye(6), Y).n_features_in_ == 6


def test_unfitted(clips):
    for model, method in ((augmented("gain"), "predict_proba"), (augmented(model=SVC()), "decision_function")):
        for name in ("predict", method):
            with pytest.raises(NotFittedError):
                getattr(model, name)(clips)
        assert not hasattr(model, "n_features_in_")


def test_parameters_cloning_and_pickling(clips):
    model = augmented("noise", "shift", snr=(3, 4))
    assert clone(model).get_params(deep=False)["methods"] == ("noise", "shift")
    model.set_params(estimator__gaussiannb__var_smoothing=0.1, methods=["gain"], gain=(1.0, 2.0))
    assert model.get_params()["estimator__gaussiannb__var_smoothing"] == 0.1
    model.fit(clips, Y)
    assert model.estimator.steps[-1][1] is not model.estimator_[-1]
    assert not hasattr(model.estimator[-1], "theta_")
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(clips), model.predict_proba(clips))


def test_a_search_over_methods(clips):
    search = GridSearchCV(augmented(), {"methods": [(), ("noise",), ["gain", "gain"]]}, cv=2, error_score="raise")
    search.fit(clips, Y)
    assert search.predict(clips).shape == (6,)
    assert len(search.cv_results_["params"]) == 3


def test_cross_validation_with_speakers(files):
    model = augmented("noise", model=make_pipeline(cheap_mfcc(), Recorder()))
    Recorder.seen.clear()
    with sklearn.config_context(enable_metadata_routing=True):
        result = cross_validate(model, files, Y, params={"groups": GROUPS}, cv=GroupKFold(3), error_score="raise")
    assert len(result["test_score"]) == 3
    assert [len(seen) for seen in Recorder.seen] == [8, 8, 8]
    assert {"".join(sorted({*seen})) for seen in Recorder.seen} == {"ab", "ac", "bc"}
    assert cross_val_predict(augmented("noise"), files, Y, groups=GROUPS, cv=GroupKFold(3)).shape == (6,)


def test_named_models(clips):
    model = augmented("noise", model=emotion_pipeline("lda", features=cheap_mfcc())).fit(clips, Y, groups=GROUPS)
    assert_allclose(model.predict_proba(clips).sum(axis=1), 1)


# --- what does not go together ---


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"methods": ("noise", "echo")}, r"methods: expected names out of noise, .*frequency_mask; unknown: 'echo'"),
        ({"methods": ("time_mask", "noise")}, r"'noise' alter clips and 'time_mask' frames: use an augmenter for each"),
        ({"snr": (3.0,)}, r"snr: expected two numbers, the lower one first, got \(3.0,\)"),
        ({"gain": (3.0, 1.0)}, r"gain: expected two numbers, the lower one first, got \(3.0, 1.0\)"),
        ({"pitch": ("low", "high")}, r"pitch: expected two numbers"),
        ({"shift": [0.0, np.nan]}, r"shift: expected two numbers"),
        ({"shift": [-np.inf, 0.0]}, r"shift: expected two numbers"),
        ({"gain": [0.0, np.inf]}, r"gain: expected two numbers"),
        ({"stretch": (0.0, 1.0)}, r"stretch: expected two numbers above 0, the lower one first, got \(0.0, 1.0\)"),
        ({"speed": (-1.0, 1.0)}, r"speed: expected two numbers above 0"),
    ],
)
def test_wrong_parameters_are_told(clips, parameters, message):
    model = augmented("noise").set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(clips, Y)
    with pytest.raises(ValueError, match=message):
        model.alter(clips)


@pytest.mark.parametrize(
    "parameters",
    [{"methods": "noise"}, {"time_mask": 1.1}, {"frequency_mask": -0.1}, {"snr": 3.0}, {"random_state": "x"}],
)
def test_parameters_are_checked(clips, parameters):
    with pytest.raises(InvalidParameterError):
        augmented("noise").set_params(**parameters).fit(clips, Y)


def test_methods_that_do_not_fit_the_data(clips, frames):
    with pytest.raises(ValueError, match=r"'time_mask' alter frames: .* got a list\. Put .*FrameSequences\(\), "):
        masking("time_mask").fit(clips, Y)
    with pytest.raises(ValueError, match=r"'time_mask', 'frequency_mask' alter frames: .* array of shape \(6, 5\)"):
        masking("time_mask", "frequency_mask").fit(frames[:, 0], Y)
    with pytest.raises(ValueError, match=r"'gain' alter clips: .* got an array of shape \(6, 12, 5\)\. Frames take"):
        augmented("gain").fit(frames, Y)
    frames[2, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[2\]: NaN"):
        masking("time_mask").fit(frames, Y)


def test_an_estimator_that_takes_no_clips(clips):
    with pytest.raises(ValueError, match=r"'noise' alter clips, and GaussianNB takes none: no step .*`sr`\. Put"):
        augmented("noise", model=GaussianNB()).fit(np.eye(6), Y)


def test_lengths_that_differ(clips):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        augmented("noise").fit(clips, Y[:5])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        augmented("noise").fit(clips, Y, groups=GROUPS[:5])


def test_a_single_clip_is_no_list_of_clips(files):
    with pytest.raises(ValueError, match="got a single one"):
        augmented("noise").alter(files[0])


def test_masks_are_those_of_the_function(frames):
    (copies,) = masking("frequency_mask", frequency_mask=1.0).alter(frames[:1])
    possible = [mask_frames(frames[0], np.random.default_rng(k), 0.0, 1.0, fill=None) for k in range(300)]
    assert any(np.array_equal(copies[0], one) for one in possible)
