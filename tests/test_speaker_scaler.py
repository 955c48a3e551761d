"""Every speaker on his own scale, and where that cannot be had, on that of the training clips."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from packaging.version import Version
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from speakers import scikit_learns_checks, speaker_matrix

from sersk import ClipAugmenter, SpeakerScaler, evaluate
from sersk.models import SpeakerCalibratedClassifier, SpeakerSearch, fit_with_speakers

NAMES, CHECKS, KEYWORDS = scikit_learns_checks([SpeakerScaler()], expected={})
X, Y, GROUPS = speaker_matrix(spread=2.0)


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_every_speaker_has_mean_0_and_standard_deviation_1():
    scaled = SpeakerScaler().fit_transform(X, groups=GROUPS)
    for speaker in np.unique(GROUPS):
        his = speaker == GROUPS
        assert_allclose(scaled[his], StandardScaler().fit_transform(X[his]), rtol=1e-9)
    assert scaled.dtype == X.dtype
    assert SpeakerScaler().fit_transform(X.astype(np.float32), groups=GROUPS).dtype == np.float32


def test_a_speaker_is_scaled_by_the_clips_given_together():
    """Whatever he was in training; and other speakers change nothing."""
    scaler = SpeakerScaler().fit(X, groups=GROUPS)
    his = GROUPS[0] == GROUPS
    alone = scaler.transform(5 * X[his] + 7, GROUPS[his])
    assert_allclose(alone, scaler.transform(X, GROUPS)[his], rtol=1e-9)


@pytest.mark.parametrize("unknown", [None, np.nan, ""], ids=repr)
def test_unknown_speakers_are_scaled_as_the_training_clips(unknown):
    scaler = SpeakerScaler().fit(X[:30])
    expected = StandardScaler().fit(X[:30]).transform(X)
    assert_allclose(scaler.transform(X), expected, rtol=1e-9)
    groups = GROUPS.astype(object)
    groups[::2] = unknown
    scaled = scaler.transform(X, groups)
    assert_allclose(scaled[::2], expected[::2], rtol=1e-9)
    assert_allclose(scaled[1::2], scaler.transform(X[1::2], GROUPS[1::2]), rtol=1e-9)


def test_speakers_of_few_clips_are_scaled_as_the_training_clips():
    groups = np.repeat(["few", "many"], [4, len(X) - 4])
    scaled = SpeakerScaler().fit_transform(X, groups=groups)
    assert_allclose(scaled[:4], StandardScaler().fit(X).transform(X)[:4], rtol=1e-9)
    assert_allclose(scaled[4:], StandardScaler().fit_transform(X[4:]), rtol=1e-9)
    assert_allclose(SpeakerScaler(min_clips=4).fit_transform(X, groups=groups)[:4].mean(axis=0), 0, atol=1e-9)


def test_what_never_varies_becomes_zero():
    constant = np.column_stack([X, np.full(len(X), 1e6)])
    assert_array_equal(SpeakerScaler().fit_transform(constant, groups=GROUPS)[:, -1], 0)


def test_bad_speakers_and_parameters_are_named():
    with pytest.raises(ValueError, match="inconsistent numbers"):
        SpeakerScaler().fit(X, groups=GROUPS[1:])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        SpeakerScaler().fit(X).transform(X, GROUPS[1:])
    with pytest.raises(ValueError, match="'min_clips' parameter"):
        SpeakerScaler(min_clips=1).fit(X)


def test_speakers_reach_it_in_a_pipeline():
    """A voice that is far from all others is understood by what its clips differ by."""
    far = X + 50 * (GROUPS[0] == GROUPS)[:, None]
    model = make_pipeline(SpeakerScaler(), LinearDiscriminantAnalysis())
    test = GROUPS[0] == GROUPS
    fit_with_speakers(model, far[~test], Y[~test], GROUPS[~test])
    with sklearn.config_context(enable_metadata_routing=True):
        by_speaker = (model.predict(far[test], groups=GROUPS[test]) == Y[test]).mean()
        unknown = (model.predict(far[test]) == Y[test]).mean()
        scores = cross_val_score(model, far, Y, cv=LeaveOneGroupOut(), params={"groups": GROUPS})
    assert by_speaker > unknown + 0.2
    assert len(scores) == len(np.unique(GROUPS))
    if Version(sklearn.__version__) >= Version("1.9"):  # the scorers of 1.7 hand no speakers to what predicts
        assert scores[0] == pytest.approx(by_speaker)


def shout(X):
    """Every speaker far from all others, in his own direction."""
    speakers, who = np.unique(GROUPS, return_inverse=True)
    return X + 30 * np.random.RandomState(1).randn(len(speakers), X.shape[1])[who]


LDA = make_pipeline(SpeakerScaler(), LinearDiscriminantAnalysis())
HELD = {
    "itself": LDA,
    "pipeline": make_pipeline(FunctionTransformer(), LDA),
    "augmenter": ClipAugmenter(LDA, ()),
    "search": SpeakerSearch(LDA, {"lineardiscriminantanalysis__solver": ["svd"]}),
    "calibration": make_pipeline(SpeakerScaler(), SpeakerCalibratedClassifier(LinearDiscriminantAnalysis())),
}


@pytest.mark.parametrize("name", HELD)
def test_evaluation_scales_test_speakers_by_their_own_clips(name):
    report = evaluate(HELD[name], Bunch(data=shout(X), target=Y, groups=GROUPS), protocol="loso")
    scaled = SpeakerScaler().fit_transform(shout(X), groups=GROUPS)
    expected = cross_val_predict(LinearDiscriminantAnalysis(), scaled, Y, cv=LeaveOneGroupOut(), groups=GROUPS)
    assert_array_equal(report.predictions["predicted"], expected)
    unknown = evaluate(HELD[name], Bunch(data=shout(X), target=Y, groups=None), protocol="random")
    assert report.uar > unknown.uar
    assert report.description.endswith("; per-speaker normalisation (uses unlabelled test clips)")
    assert unknown.description.endswith("; per-speaker normalisation (SPEAKERS UNKNOWN: as the training clips)")
