"""The transformer of clips into vectors as a scikit-learn estimator, and what it shares with that into sequences."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sersk import AcousticFeatures, AudioError, FrameSequences

SR = 16000
CHEAP = {"functionals": ("mean", "std"), "deltas": 0, "regions": ("all",), "clip_values": (), "n_mels": 16}
# A clip's number of samples is its length, not a number of features: clips of other lengths must not be refused.
NO_NUMBER_OF_FEATURES = {
    "check_n_features_in": "clips have a length each; fit learns none of them, so there is no n_features_in_",
    "check_n_features_in_after_fitting": "clips of another length than those given to fit are legal",
}


CHECKS = parametrize_with_checks(
    [AcousticFeatures(("log_mel", "zcr"), **CHEAP), AcousticFeatures()],
    expected_failed_checks=lambda estimator: NO_NUMBER_OF_FEATURES,
)


# A list, because scikit-learn 1.7 gives a generator and pytest 9 deprecates those.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def waveforms(speechlike):
    return [speechlike(0.2 + 0.05 * k, seed=k) for k in range(5)]


@pytest.fixture
def paths(waveforms, tmp_path):
    files = [tmp_path / f"{k}.wav" for k in range(len(waveforms))]
    for file, waveform in zip(files, waveforms, strict=True):
        sf.write(file, waveform, SR, subtype="FLOAT")
    return files


@pytest.fixture
def some_bad(paths, tmp_path):
    """Clips of which the second and the fifth fail."""
    (tmp_path / "text.wav").write_text("no audio " * 20)
    return [paths[0], tmp_path / "missing.wav", paths[1], paths[2], tmp_path / "text.wav", paths[3]]


def features(**parameters):
    return AcousticFeatures(("log_mel", "zcr"), **(CHEAP | parameters))


BOTH = pytest.mark.parametrize(
    "make", [features, lambda **p: FrameSequences(("zcr", "mfcc"), **p)], ids=["vectors", "sequences"]
)


@BOTH
def test_fit_learns_nothing_and_opens_nothing(make):
    transformer = make()
    assert transformer.fit(["missing.wav"]) is transformer
    assert [name for name in vars(transformer) if name.endswith("_")] == []
    assert not get_tags(transformer).requires_fit


@BOTH
def test_names_are_known_before_fit(make, waveforms):
    transformer = make()
    names = transformer.get_feature_names_out()
    assert names.dtype == object
    assert len(set(names)) == len(names) == transformer.transform(waveforms).shape[-1]
    assert_array_equal(transformer.fit(waveforms).get_feature_names_out(["ignored"]), names)


@BOTH
def test_copies_do_the_same(make, waveforms):
    transformer = make(deltas=2, n_fft=512)
    expected = transformer.transform(waveforms)
    assert expected.dtype == np.float32
    for copy in (clone(transformer), pickle.loads(pickle.dumps(transformer.fit(waveforms)))):
        assert str(copy.get_params()) == str(transformer.get_params())  # NaN is not equal to itself
        assert_array_equal(copy.transform(waveforms), expected)


@BOTH
def test_parameters_may_be_set_later(make, waveforms):
    transformer = make()
    transformer.fit(waveforms).set_params(deltas=1)
    assert_array_equal(transformer.transform(waveforms), make(deltas=1).transform(waveforms))


def test_parameters_but_the_first_are_keyword_only():
    for transformer in (AcousticFeatures, FrameSequences):
        with pytest.raises(TypeError, match="positional"):
            transformer(("mfcc",), 1)


@pytest.mark.parametrize("index", [None, list("edcba")])
def test_output_as_a_table(paths, index):
    transformer = features().set_output(transform="pandas")
    table = transformer.fit_transform(pd.Series(paths, index=index) if index else paths)
    assert table.columns.tolist() == transformer.get_feature_names_out().tolist()
    assert table.index.tolist() == (index or list(range(5)))
    assert_array_equal(table.to_numpy(), features().transform(paths))


def test_works_in_pipelines(paths, waveforms):
    y = np.array(list("ababa"))
    pipeline = make_pipeline(features(), StandardScaler(), LogisticRegression()).fit(paths, y)
    assert_array_equal(pipeline.predict(paths), pipeline.predict(waveforms))
    assert_array_equal(pipeline[0].transform(paths), features().transform(paths))
    assert_array_equal(pipeline[:-1].get_feature_names_out(), features().get_feature_names_out())
    table = clone(pipeline)[:-1].set_output(transform="pandas").fit_transform(paths)
    assert_array_equal(table.columns, features().get_feature_names_out())
    assert_array_equal(pipeline[1:].predict(features().transform(paths)), pipeline.predict(paths))
    assert_array_equal(clone(pipeline).fit(waveforms, y).predict(waveforms), pipeline.predict(waveforms))


@pytest.mark.parametrize(
    "kind", [list, pd.Series, lambda paths: np.array([str(p) for p in paths])], ids=["list", "Series", "array"]
)
def test_works_in_model_selection(paths, kind):
    clips, y = kind(paths * 2), np.array([0, 1] * 5)
    pipeline = make_pipeline(features(), StandardScaler(), LogisticRegression())
    assert np.isfinite(cross_val_score(pipeline, clips, y, cv=2)).all()
    grid = {"acousticfeatures__functionals": [("mean",), ("mean", "std")], "acousticfeatures__n_mels": [8, 16]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(clips, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# --- clips that fail ---


@BOTH
def test_on_error_raise_names_the_first_file_and_its_cause(make, some_bad):
    with pytest.raises(AudioError, match=re.escape(f"{some_bad[1]}: no such file")):
        make().transform(some_bad)


def warns_of(clips, done):
    """Expect a warning that names each bad file with its cause."""
    message = f"2 of 6 clips could not be read and were {done}:\n  1: {re.escape(str(clips[1]))}: no such file"
    return pytest.warns(UserWarning, match=f"{message}.*\n  4: {re.escape(str(clips[4]))}: is not audio")


@BOTH
def test_on_error_skip_warns_and_keeps_the_rest(make, some_bad, paths):
    with warns_of(some_bad, "left out"):
        kept = make(on_error="skip").transform(some_bad)
    assert_array_equal(kept, make().transform(paths[:4]))


@BOTH
def test_on_error_nan_warns_and_keeps_every_place(make, some_bad, paths):
    with warns_of(some_bad, "filled with NaN"):
        rows = make(on_error="nan").fit_transform(some_bad)
    assert np.isnan(rows[[1, 4]]).all()
    assert_array_equal(rows[[0, 2, 3, 5]], make().transform(paths[:4]))


@BOTH
@pytest.mark.parametrize("on_error", ["raise", "skip", "nan"])
def test_good_clips_warn_of_nothing(make, paths, on_error):
    assert_array_equal(make(on_error=on_error).transform(paths), make().transform(paths))


@BOTH
@pytest.mark.parametrize(("on_error", "n_rows"), [("skip", 0), ("nan", 2)])
def test_all_may_fail(make, on_error, n_rows):
    transformer = make(on_error=on_error)
    with pytest.warns(UserWarning, match="2 of 2 clips"):
        rows = transformer.transform(["a.wav", "b.wav"])
    assert rows.shape[0] == n_rows
    assert rows.shape[-1] == len(transformer.get_feature_names_out())


@BOTH
def test_a_row_of_nan_in_an_array_of_waveforms_is_one_bad_clip(make, waveforms):
    array = np.array([y[:3000] for y in waveforms])
    expected = make().transform(array)
    array[2, 7] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        make().transform(array)
    with pytest.warns(UserWarning, match=r"2: X\[2\] <ndarray>: holds NaN or infinity"):
        rows = make(on_error="nan").fit_transform(array)
    assert np.isnan(rows[2]).all()
    assert_array_equal(np.delete(rows, 2, axis=0), np.delete(expected, 2, axis=0))


@pytest.mark.parametrize("output", ["default", "pandas"])
@pytest.mark.parametrize("index", [None, list("abcdef")])
def test_skipped_clips_leave_the_table_with_their_index(some_bad, paths, output, index):
    transformer = features(on_error="skip").set_output(transform=output)
    with warns_of(some_bad, "left out"):
        kept = transformer.transform(pd.Series(some_bad, index=index) if index else some_bad)
    assert_array_equal(kept, features().transform(paths[:4]))
    assert isinstance(kept, pd.DataFrame) == (output == "pandas")
    if output == "pandas":
        assert kept.index.tolist() == (list("acdf") if index else [0, 1, 2, 3])
        assert kept.columns.tolist() == transformer.get_feature_names_out().tolist()


@pytest.mark.parametrize("on_error", ["raise", "skip", "nan"])
def test_extract_tells_failures_to_programs_whatever_on_error(some_bad, paths, on_error):
    rows, failures = features(on_error=on_error).extract(some_bad)
    assert [(index, error.source) for index, error in failures] == [(k, str(some_bad[k])) for k in (1, 4)]
    assert [type(error) for _, error in failures] == [AudioError, AudioError]
    assert np.isnan(rows[[1, 4]]).all()
    assert_array_equal(rows[[0, 2, 3, 5]], features().transform(paths[:4]))
