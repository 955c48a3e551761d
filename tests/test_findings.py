"""Every rule finds what is planted for it, and holds its tongue otherwise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sersk.corpora.findings import Finding, association, find_all

EMOTIONS = ("angry", "happy", "sad")
SPEAKERS = ("F1", "F2", "M1", "M2")


def good_clips() -> pd.DataFrame:
    """Measures of a corpus without fault: three emotions of four speakers, two clips of each."""
    table = pd.MultiIndex.from_product([SPEAKERS, EMOTIONS, (1, 2)], names=["speaker", "emotion", "number"])
    clips = table.to_frame(index=False)
    clips["file"] = [f"{row.speaker}/{row.emotion}{row.number}.wav" for row in clips.itertuples()]
    clips["gender"] = clips["speaker"].str[0].map({"F": "female", "M": "male"})
    clips["speaker"] = "ours:" + clips["speaker"]
    clips["corpus"] = "ours"
    clips["equal_audio"] = pd.array([pd.NA] * len(clips), dtype="Int64")
    return clips.assign(duration=2.0, sr=16000.0, channels=1, peak=0.5, level=-20.0, clipped=0.0, silence=0.2)


def kinds(clips: pd.DataFrame) -> list[str]:
    return [finding.kind for finding in find_all(clips)]


def only(clips: pd.DataFrame) -> Finding:
    (finding,) = find_all(clips)
    return finding


def test_a_good_corpus_has_no_findings():
    assert find_all(good_clips()) == []


def test_the_gravest_come_first():
    clips = good_clips()
    clips.loc[0, "peak"] = 0.001
    clips.loc[[0, 2], "equal_audio"] = 1
    assert [finding.severity for finding in find_all(clips)] == ["error", "warning"]


# --- equal audio


def test_equal_audio_of_one_speaker_and_emotion_is_a_copy():
    clips = good_clips()
    clips.loc[[0, 1], "equal_audio"] = 1
    finding = only(clips)
    assert (finding.severity, finding.kind, finding.n_clips) == ("warning", "equal-audio", 2)
    assert finding.clips == (("F1/angry1.wav", "F1/angry2.wav"),)


def test_equal_audio_with_different_emotions_is_an_error():
    clips = good_clips()
    clips.loc[[0, 2, 4], "equal_audio"] = 1
    finding = only(clips)
    assert (finding.severity, finding.kind, finding.n_clips) == ("error", "equal-audio-emotions", 3)
    assert finding.message == "equal audio with different emotions: angry and happy and sad"


def test_equal_audio_of_two_speakers_is_an_error_and_twice_is_one_voice():
    clips = good_clips()
    clips.loc[[0, 6], "equal_audio"] = 1
    finding = only(clips)
    assert (finding.severity, finding.kind) == ("error", "equal-audio-speakers")
    assert finding.message == "equal audio under different speakers: ours:F1 = ours:F2"
    clips.loc[[2, 8], "equal_audio"] = 2
    assert only(clips).message.endswith("ours:F1 = ours:F2 (2 times; one voice under two names?)")


def test_equal_audio_may_be_wrong_in_both_ways():
    clips = good_clips()
    clips.loc[[0, 8], "equal_audio"] = 1
    assert kinds(clips) == ["equal-audio-emotions", "equal-audio-speakers"]


# --- single clips


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("peak", 0.009, "quiet"),
        ("peak", 0.011, None),
        ("silence", 0.95, "silent"),
        ("clipped", 0.002, "clipped"),
        ("clipped", 0.0005, None),
        ("duration", 0.2, "short"),
        ("duration", 31.0, "long"),
        ("duration", 29.0, None),
    ],
)
def test_odd_clips_are_named(column, value, kind):
    clips = good_clips()
    clips.loc[3, column] = value
    if kind is None:
        assert find_all(clips) == []
        return
    finding = only(clips)
    assert (finding.severity, finding.kind, finding.clips) == ("warning", kind, (("F1/happy2.wav",),))


def test_what_is_quiet_is_not_also_told_as_silent():
    clips = good_clips()
    clips.loc[3, ["peak", "silence"]] = [0.0, 1.0]
    assert kinds(clips) == ["quiet"]


# --- files


def test_different_rates_are_told_and_more_so_if_they_tell_the_emotion():
    clips = good_clips()
    clips.loc[clips["number"] == 1, "sr"] = 8000.0
    assert only(clips).message == "different sampling rates: 8000 Hz (12), 16000 Hz (12)"
    clips["sr"] = np.where(clips["emotion"] == "angry", 44100.0, 16000.0)
    assert kinds(clips) == ["sample-rates", "file-tells-emotion"]
    assert find_all(clips)[1].message == "the sampling rate goes along with the emotion (Cramer's V 0.98)"


def test_channels_and_types_that_tell_the_emotion_are_told():
    clips = good_clips()
    angry = clips["emotion"] == "angry"
    clips.loc[angry, "channels"] = 2
    clips["file"] = clips["file"].where(~angry, clips["file"].str.replace(".wav", ".MP3"))
    assert [finding.message.split(" goes")[0] for finding in find_all(clips)] == [
        "the number of channels",
        "the file type",
    ]


def test_association_is_that_of_chance_and_of_certainty():
    random = np.random.default_rng(0)
    names = pd.Series(random.choice(["a", "b", "c"], 3000))
    assert association(names, names.str.upper()) == pytest.approx(1)
    assert association(names, pd.Series(random.choice(["x", "y"], 3000))) < 0.05
    assert association(names, pd.Series(["x"] * 3000)) == 0
    assert association(pd.Series(["a", "b"]), pd.Series(["x", "y"])) == 0, "too few to tell"
    assert association(pd.Series(["a", "b"]), pd.Series([None, None], dtype=object)) == 0
    # Bergsma's estimate of a table by hand: phi squared 0.36, less 1 / 99; rows and columns 2 - 1 / 99.
    first, second = pd.Series(["a"] * 50 + ["b"] * 50), pd.Series((["x"] * 40 + ["y"] * 10) + (["x"] * 10 + ["y"] * 40))
    assert association(first, second) == pytest.approx(np.sqrt((0.36 - 1 / 99) / (1 - 1 / 99)))


# --- emotions


def test_unbalanced_emotions_are_told():
    clips = good_clips()
    few = clips[(clips["emotion"] != "sad") | ((clips["number"] == 1) & (clips["speaker"] != "ours:F1"))]
    assert kinds(few) == ["missing-emotions"]
    more = pd.concat([few, few[few["emotion"] == "angry"]])
    finding = next(one for one in find_all(more) if one.kind == "unbalanced")
    assert finding.message == "unbalanced emotions: 16 clips are 'angry', 3 are 'sad'"


def test_one_emotion_is_an_error():
    clips = good_clips()
    assert only(clips[clips["emotion"] == "sad"]).message == "all clips are 'sad'"


def test_speakers_who_lack_emotions_are_named():
    clips = good_clips()
    finding = only(clips[(clips["speaker"] != "ours:M2") | (clips["emotion"] != "happy")])
    assert finding.kind == "missing-emotions"
    assert finding.message == "1 of 4 speakers lack emotions: ours:M2 lacks happy"


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [("gender", "male", "gender"), ("speaker", "ours:F1", "speaker"), ("corpus", "ours", "corpus")],
)
def test_an_emotion_of_one_gender_speaker_or_corpus_only_is_told(column, value, told):
    clips = good_clips()
    if column == "corpus":
        theirs = good_clips()
        theirs[["file", "speaker"]] = theirs[["file", "speaker"]].map(lambda name: f"their {name}")
        clips = pd.concat([clips, theirs.assign(corpus="theirs")], ignore_index=True)
    finding = next(
        one for one in find_all(clips[(clips["emotion"] != "sad") | (clips[column] == value)]) if "one-" in one.kind
    )
    assert (finding.severity, finding.kind) == ("warning", f"one-{told}")
    assert finding.message == f"emotions of one {told} only: sad ({value})"


def test_an_emotion_of_one_speaker_is_no_lack_of_all_others():
    clips = good_clips()
    assert kinds(clips[(clips["emotion"] != "sad") | (clips["speaker"] == "ours:F1")])[0] != "missing-emotions"
    assert "missing-emotions" not in kinds(clips[(clips["emotion"] != "sad") | (clips["speaker"] == "ours:F1")])


def test_labels_that_differ_in_case_or_spaces_only_are_told():
    clips = good_clips()
    clips["emotion"] = clips["emotion"].replace("happy", "odd one")
    clips.loc[clips["emotion"].eq("odd one") & clips["number"].eq(1), "emotion"] = "Odd_One"
    finding = next(one for one in find_all(clips) if one.kind == "emotions-alike")
    assert (finding.severity, finding.message) == (
        "warning",
        "labels that differ in case or spaces only: 'Odd_One' = 'odd one'",
    )


# --- speakers


def test_speakers_that_are_unknown_are_told():
    clips = good_clips()
    unknown = clips.assign(speaker=pd.NA)
    finding = only(unknown)
    assert (finding.kind, finding.clips) == ("unknown-speakers", ())
    clips.loc[[0, 6], "speaker"] = pd.NA
    assert only(clips).clips == (("F1/angry1.wav",), ("F2/angry1.wav",))


@pytest.mark.parametrize(
    ("speakers", "message"),
    [
        (["ours:F1"], "one speaker only: figures say nothing of new voices"),
        (["ours:F1", "ours:M1"], "two speakers only: figures say next to nothing of new voices"),
    ],
)
def test_few_speakers_are_told(speakers, message):
    clips = good_clips()
    assert only(clips[clips["speaker"].isin(speakers)]).message == message


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ("ours:f1", True),
        ("ours:F-1", True),
        ("ours:F 01", True),
        ("ours:F10", False),
        ("theirs:F1", False),
        ("ours:Fä1", False),
    ],
)
def test_one_name_in_two_spellings_is_told(other, alike):
    clips = good_clips()
    clips.loc[clips["speaker"] == "ours:M1", "speaker"] = other
    found = [finding for finding in find_all(clips) if finding.kind == "speakers-alike"]
    assert [other in finding.message and "ours:F1" in finding.message for finding in found] == [True] * alike
