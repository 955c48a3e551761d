"""Folds with a name that says what they measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from sersk.evaluation import PROTOCOLS, make_protocol

# Written down again from the literature (EmoBox), so that a slip in the module shows.
SIX = "01 11 20 21, 04 10 12 14, 08 09 19 23, 03 05 07 24, 02 15 16 18, 06 13 17 22"


def corpus(speakers, n_clips=4, emotions=("happy", "sad")):
    """A corpus of nothing but labels."""
    groups = None if speakers is None else np.repeat(speakers, n_clips * len(emotions))
    n = len(speakers) if speakers else 1
    return Bunch(data=None, target=np.tile(np.repeat(emotions, n_clips), n), groups=groups)


def names(prefix, n):
    return [f"{prefix}:{k:02d}" for k in range(1, n + 1)]


RAVDESS = corpus(names("ravdess", 24))


def test_the_six_folds_of_ravdess():
    protocol = make_protocol(RAVDESS, "ravdess-6")
    tested = [" ".join(sorted({name[-2:] for name in RAVDESS.groups[test]})) for _, test in protocol.folds]
    assert ", ".join(tested) == SIX
    for train, test in protocol.folds:
        assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(RAVDESS.target)))
        assert not set(RAVDESS.groups[train]) & set(RAVDESS.groups[test])


@pytest.mark.parametrize(
    ("given", "name", "n_folds"),
    [
        pytest.param(RAVDESS, "ravdess-6", 6, id="ravdess"),
        pytest.param(corpus(names("ravdess", 23)), "speaker-folds", 6, id="ravdess-without-an-actor"),
        pytest.param(corpus([*names("ravdess", 24), "emodb:03"]), "speaker-folds", 6, id="ravdess-and-more"),
        pytest.param(corpus(names("emodb", 10)), "loso", 10, id="ten"),
        pytest.param(corpus(names("x", 12)), "loso", 12, id="twelve"),
        pytest.param(corpus(names("x", 13)), "speaker-folds", 6, id="thirteen"),
        pytest.param(corpus(["x"]), "random", 4, id="one"),
        pytest.param(corpus(None), "random", 4, id="unknown"),
    ],
)
def test_auto_takes_what_fits(given, name, n_folds):
    protocol = make_protocol(given)
    assert (protocol.name, len(protocol.folds)) == (name, n_folds)
    assert protocol.speaker_independent == (name != "random")


BY_COLUMN = ("corpora", "statements", "split")
TEST_SOME = ("speaker-split", "random-split")


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name not in ("auto", *BY_COLUMN, *TEST_SOME)])
def test_every_clip_is_tested_once(name):
    protocol = make_protocol(RAVDESS, name)
    assert protocol.name == name
    tested = np.concatenate([test for _, test in protocol.folds])
    assert_array_equal(np.sort(tested), np.arange(len(RAVDESS.target)))
    shared = [set(RAVDESS.groups[train]) & set(RAVDESS.groups[test]) for train, test in protocol.folds]
    assert protocol.speaker_independent == (not any(shared))


def test_a_fifth_of_the_speakers_is_tested_once():
    protocol = make_protocol(RAVDESS, "speaker-split")
    ((train, test),) = protocol.folds
    assert not set(RAVDESS.groups[train]) & set(RAVDESS.groups[test])
    assert len(set(RAVDESS.groups[test])) == 5
    assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(RAVDESS.target)))
    assert protocol.description == "5 of 24 speakers are tested, unseen speakers"
    assert protocol.speaker_independent


def test_of_few_speakers_each_is_tested():
    given = corpus(names("x", 4))
    protocol = make_protocol(given, "speaker-split")
    assert [set(given.groups[test]) for _, test in protocol.folds] == [{name} for name in names("x", 4)]
    assert protocol.description == "leave one speaker out, 4 speakers"


def test_a_random_fifth_is_drawn_as_notebooks_do():
    protocol = make_protocol(RAVDESS, "random-split")
    train, test = train_test_split(
        np.arange(len(RAVDESS.target)), test_size=0.2, random_state=0, stratify=RAVDESS.target
    )
    assert_array_equal(protocol.folds[0][0], train)
    assert_array_equal(protocol.folds[0][1], test)
    assert len(protocol.folds) == 1
    assert not protocol.speaker_independent
    assert "SPEAKER-DEPENDENT" in protocol.description


def test_a_random_split_says_what_it_is():
    protocol = make_protocol(RAVDESS, "random")
    assert len(protocol.folds) == 5
    assert "SPEAKER-DEPENDENT" in protocol.description
    for name in ("loso", "speaker-folds", "ravdess-6"):
        assert "DEPENDENT" not in make_protocol(RAVDESS, name).description


# Four speakers of two corpora, eight clips each; the second corpus has an emotion more.
TABLE = pd.DataFrame(
    {
        "speaker": np.repeat(["a:1", "a:2", "b:1", "b:2"], 8),
        "corpus": np.repeat(["a", "b"], 16),
        "emotion": [*["happy", "sad"] * 8, *["happy", "sad", "bored", "sad"] * 4],
        "statement": np.tile(np.repeat(["kids", "dogs"], 4), 4),
    }
)


def tabled(table=TABLE, **columns):
    table = table.assign(**columns)
    return Bunch(target=table["emotion"].to_numpy(), groups=table["speaker"].to_numpy(), frame=table)


def test_a_corpus_is_left_out_and_tested_on_the_emotions_that_the_others_have():
    protocol = make_protocol(tabled(), "corpora")
    assert protocol.speaker_independent
    assert protocol.description == (
        "leave one corpus out, 2 corpora; 4 clips of emotions that the others lack are not tested, unseen speakers"
    )
    (of_b, a), (of_a, b) = protocol.folds
    assert_array_equal(a, np.arange(16))
    assert_array_equal(of_b, np.arange(16, 32))
    assert_array_equal(of_a, np.arange(16))
    assert set(TABLE["corpus"][b]) == {"b"}
    assert sorted(set(TABLE["emotion"][b])) == ["happy", "sad"]
    assert "lack" not in make_protocol(tabled(emotion=["happy", "sad"] * 16), "corpora").description


def test_statements_are_whole_and_the_speakers_known():
    protocol = make_protocol(tabled(), "statements")
    assert not protocol.speaker_independent
    assert protocol.description == (
        "2 folds of whole statements, 2 statements, SPEAKER-DEPENDENT: says nothing of new voices"
    )
    for train, test in protocol.folds:
        assert not set(TABLE["statement"][train]) & set(TABLE["statement"][test])
    assert_array_equal(np.sort(np.concatenate([test for _, test in protocol.folds])), np.arange(32))


@pytest.mark.parametrize("apart", [True, False])
def test_the_split_of_a_manifest(apart):
    split = np.where(TABLE["speaker"] == "b:2", "test", "train").astype(object)
    split[:2] = "train" if apart else "test"
    split[2:4] = "dev"
    ((train, test),) = (protocol := make_protocol(tabled(split=split), "split")).folds
    assert_array_equal(test, np.flatnonzero(split == "test"))
    assert_array_equal(train, np.flatnonzero(split == "train"))
    assert protocol.speaker_independent == apart
    assert protocol.description.startswith("the split of the manifest, " + ("unseen" if apart else "SPEAKER-DEPENDENT"))
    nobody = tabled(split=split)
    nobody.groups = None
    assert not make_protocol(nobody, "split").speaker_independent
    assert "SPEAKERS UNKNOWN" in make_protocol(nobody, "split").description


@pytest.mark.parametrize(
    ("given", "name", "message"),
    [
        (RAVDESS, "split", "needs the split of every clip"),
        (tabled(), "split", "needs the split of every clip"),
        (tabled(split="train"), "split", "for 'train' and for 'test'; found train"),
        (tabled(statement=[None, *["kids"] * 31]), "statements", "needs the statement of every clip"),
        (tabled(corpus="a"), "corpora", "two of them or more; every corpus here is 'a'"),
        (tabled(emotion=["happy", "sad"] * 8 + ["bored", "calm"] * 8), "corpora", "no clip can be tested"),
    ],
    ids=["no-table", "no-column", "no-test", "a-gap", "one-corpus", "nothing-shared"],
)
def test_a_table_that_does_not_allow_the_protocol(given, name, message):
    with pytest.raises(ValueError, match=message):
        make_protocol(given, name)


@pytest.mark.parametrize(
    ("given", "name", "message"),
    [
        (RAVDESS, "ten-fold", "no protocol 'ten-fold'; choose one of auto, ravdess-6, loso, .*, random"),
        (corpus(None), "loso", "'loso' needs two known speakers or more; this corpus has 0"),
        (corpus(["x"]), "speaker-folds", "this corpus has 1"),
        (corpus(names("x", 24)), "ravdess-6", "needs the 24 actors of RAVDESS"),
        (corpus(None, 1), "auto", "emotions of one clip"),
        (Bunch(target=np.array([*"abcdef"]), groups=np.array([*"stuvwx"])), "speaker-split", "emotions of one clip"),
        (corpus(["x", "y"], 1), "random", "Protocol|fold"),
        (corpus(["x", "y"], emotions=["sad"]), "auto", "would train fold 1 on 'sad' only"),
        (Bunch(target=np.array([*"aabb"]), groups=np.array([*"xxyy"])), "loso", "would train fold 1 on 'b' only"),
    ],
)
def test_what_a_corpus_does_not_allow(given, name, message):
    if message == "Protocol|fold":
        assert len(make_protocol(given, name).folds) == 2
        return
    with pytest.raises(ValueError, match=message):
        make_protocol(given, name)


def test_one_fold_that_shares_a_speaker_is_enough_to_depend_on_speakers():
    statements = np.repeat(["one", "two", "three"], 4)
    groups = np.array([*"aaaabbbbbbbb"])  # who speaks "one" speaks nothing else
    frame = pd.DataFrame({"statement": statements})
    protocol = make_protocol(Bunch(target=np.array([*"xxyy"] * 3), groups=groups, frame=frame), "statements")
    assert len(protocol.folds) == 3
    assert not protocol.speaker_independent
    assert "SPEAKER-DEPENDENT" in protocol.description


# --- clips of unknown speakers

UNKNOWN = pd.Series(np.where(np.arange(32) % 8 == 3, "", TABLE["speaker"]))
NOBODY = np.flatnonzero(UNKNOWN == "")


@pytest.mark.parametrize("unknown", ["", None, pd.NA], ids=repr)
@pytest.mark.parametrize("name", ["auto", "loso", "speaker-folds", "speaker-split"])
def test_nobody_is_no_speaker(name, unknown):
    protocol = make_protocol(tabled(speaker=UNKNOWN.astype(object).replace("", unknown), corpus="a"), name)
    assert protocol.speaker_independent
    assert protocol.description.endswith(" 4 speakers; not tested: 4 clips without a speaker")
    assert len(protocol.folds) == 4
    assert_array_equal(np.sort(np.concatenate([test for _, test in protocol.folds])), np.flatnonzero(UNKNOWN != ""))
    for train, test in protocol.folds:
        assert not {*UNKNOWN[train]} & {*UNKNOWN[test]}
        assert not {*NOBODY} & {*train}, "they may be of the speaker who is tested"


def test_nobody_of_another_corpus_than_the_tested_one_is_trained_on():
    for train, test in make_protocol(tabled(speaker=UNKNOWN), "loso").folds:
        (tested,) = {*TABLE["corpus"][test]}
        assert {*NOBODY} & {*train} == {*NOBODY[TABLE["corpus"][NOBODY] != tested]}
        assert len(train) == 7 + 16  # the corpus' other speaker, and all of the other corpus


def test_nobody_makes_no_second_speaker():
    alone = tabled(speaker=np.where(np.arange(32) < 16, "a:1", ""), corpus="a")
    assert make_protocol(alone).name == "random"
    with pytest.raises(ValueError, match="needs two known speakers or more; this corpus has 1"):
        make_protocol(alone, "loso")


def test_ravdess_beside_nobody_is_not_ravdess():
    groups = np.append(RAVDESS.groups, ["", ""])
    given = Bunch(target=np.append(RAVDESS.target, ["sad", "happy"]), groups=groups)
    assert make_protocol(given).name == "speaker-folds"
    with pytest.raises(ValueError, match="needs the 24 actors of RAVDESS"):
        make_protocol(given, "ravdess-6")


def test_nobody_is_apart_from_other_corpora_only():
    assert make_protocol(tabled(speaker=UNKNOWN), "corpora").speaker_independent
    split = np.where(TABLE["speaker"] == "b:2", "test", "train")
    for speaker in (UNKNOWN, UNKNOWN.where(split == "test", TABLE["speaker"])):
        protocol = make_protocol(tabled(speaker=speaker, split=split), "split")
        assert not protocol.speaker_independent
        assert "SPEAKERS UNKNOWN" in protocol.description
    assert make_protocol(
        tabled(speaker=UNKNOWN.where(TABLE["corpus"] == "a", TABLE["speaker"]), split=split), "split"
    ).speaker_independent
