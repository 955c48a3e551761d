"""Corpora with planted faults: what an audit holds of them, and finds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from sersk.corpora import audit_corpus, load_corpus, make_emotional_speech

EMOTIONS = ("angry", "happy", "sad")


@pytest.fixture
def planted(tmp_path, speechlike):
    """Write three speakers' clips, and faults: (name, waveform, bytes or another clip's name, speaker, emotion)."""

    def plant(*faults, speakers=("ann", "ben", "cid")):
        rows, seed = [], 0
        for speaker in speakers:
            for emotion in EMOTIONS:
                for number in (1, 2):
                    seed += 1
                    rows.append((f"{speaker}_{emotion}{number}.wav", speechlike(seed=seed), speaker, emotion))
        table = []
        for name, waveform, speaker, emotion in [*rows, *faults]:
            if isinstance(waveform, bytes):
                (tmp_path / name).write_bytes(waveform)
            elif isinstance(waveform, str):  # the same samples, not the same bytes
                sf.write(tmp_path / name, *sf.read(tmp_path / waveform, dtype="int16"))
            else:
                sf.write(tmp_path / name, waveform, 16000, subtype="PCM_16")
            table.append((name, emotion, speaker))
        columns = ["file", "emotion", "speaker"]
        pd.DataFrame(table, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
        return load_corpus(tmp_path)

    return plant


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=4, n_repetitions=2, duration=0.5)


def found(audit):
    return {one.kind: [[Path(file).name for file in group] for group in one.clips] for one in audit.findings}


def test_the_synthetic_corpus_is_without_fault(demo):
    audit = audit_corpus(demo)
    assert audit.findings == []
    assert audit.failures == []
    assert audit.clips["file"].tolist() == demo.data.tolist()
    assert audit.clips["equal_audio"].isna().all()
    lengths = [sf.info(file).duration for file in demo.data]
    assert audit.clips["duration"].tolist() == pytest.approx(lengths)


def test_clips_are_counted_and_measures_summed_up(demo):
    audit = audit_corpus(demo)
    assert audit.counts("gender").to_dict() == {gender: dict.fromkeys(EMOTIONS, 4) for gender in ("female", "male")}
    assert (audit.counts("speaker") == 2).all(axis=None)
    sad = audit.clips[audit.clips["emotion"] == "sad"]
    row = audit.by("emotion").loc["sad"]
    assert (row["clips"], row["unreadable"], row["speakers"], row["clipped"]) == (8, 0, 4, 0)
    assert row["seconds"] == pytest.approx(sad["duration"].sum())
    for name in ("duration", "peak", "level", "silence"):
        assert row[name] == sad[name].median()
    assert audit.files().to_numpy().tolist() == [[16000, 1, 24]]


def test_a_copy_of_the_same_speaker_is_found_in_another_format(planted):
    corpus = planted(("copy.flac", "ann_angry1.wav", "ann", "angry"))
    assert found(audit_corpus(corpus)) == {"equal-audio": [["ann_angry1.wav", "copy.flac"]]}


def test_a_copy_with_another_emotion_is_found(planted):
    corpus = planted(("copy.flac", "ann_angry1.wav", "ann", "sad"))
    assert found(audit_corpus(corpus)) == {"equal-audio-emotions": [["ann_angry1.wav", "copy.flac"]]}


def test_a_speaker_under_two_names_is_found_by_what_both_have(planted):
    clips = [(f"{emotion}{number}", emotion) for emotion in EMOTIONS for number in (1, 2)]
    copies = [(f"dan_{clip}.flac", f"ann_{clip}.wav", "dan", emotion) for clip, emotion in clips]
    audit = audit_corpus(planted(*copies))
    (finding,) = audit.findings
    assert (finding.severity, finding.kind, finding.n_clips) == ("error", "equal-audio-speakers", 12)
    assert ":ann = " in finding.message
    assert ":dan (6 times; one voice under two names?)" in finding.message
    assert audit.clips["equal_audio"].value_counts().to_dict() == dict.fromkeys(range(1, 7), 2)


def test_a_speaker_under_two_names_is_found_by_their_spelling(planted):
    audit = audit_corpus(planted(speakers=("ann", "ben", "cid", "Ann ")))
    assert [finding.kind for finding in audit.findings] == ["speakers-alike"]


def test_clipped_quiet_and_broken_clips_are_found_and_the_rest_is_measured(planted, speechlike):
    corpus = planted(
        ("clipped.wav", np.clip(20 * speechlike(seed=50), -1, 1), "ann", "sad"),
        ("quiet.wav", speechlike(seed=51) / 100, "ben", "sad"),
        ("void1.wav", np.zeros(16000), "ann", "happy"),
        ("void2.flac", np.zeros(16000), "ben", "happy"),
        ("broken.wav", b"no audio", "cid", "happy"),
        ("empty.wav", b"", "cid", "sad"),
    )
    audit = audit_corpus(corpus)
    assert found(audit) == {
        "unreadable": [["broken.wav"], ["empty.wav"]],
        "quiet": [["quiet.wav"], ["void1.wav"], ["void2.flac"]],
        "clipped": [["clipped.wav"]],
    }
    assert [error.reason for _, error in audit.failures][1] == "is empty (0 bytes)"
    assert audit.clips["duration"].isna().sum() == 2
    assert len(audit.clips) == len(corpus.data)
    assert audit.by("emotion")["unreadable"].to_dict() == {"angry": 0, "happy": 1, "sad": 1}
    assert audit.by("emotion")["clipped"].to_dict() == {"angry": 0, "happy": 0, "sad": 1}


def test_what_is_not_known_has_a_name_in_the_counts(planted, tmp_path):
    planted()
    manifest = pd.read_csv(tmp_path / "manifest.csv").drop(columns="speaker")
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    audit = audit_corpus(load_corpus(tmp_path))
    assert audit.counts("speaker")["unknown"].tolist() == [6, 6, 6]
    assert audit.by("gender").loc["unknown", "speakers"] == 0
    assert found(audit) == {"unknown-speakers": []}
    assert audit.to_dict()["n_speakers"] is None


def test_a_corpus_that_cannot_be_read_at_all_is_told_so(planted, tmp_path):
    corpus = planted()
    for file in corpus.data:
        (tmp_path / file).write_bytes(b"")
    audit = audit_corpus(corpus)
    assert len(audit.failures) == 18
    assert found(audit).keys() == {"unreadable"}
    assert audit.files().empty


def test_the_summary_for_json_holds_all_of_it(planted):
    audit = audit_corpus(planted(("copy.flac", "ann_sad1.wav", "ann", "sad"), ("broken.wav", b"x", "ann", "sad")))
    told = audit.to_dict()
    assert (told["n_clips"], told["n_speakers"]) == (20, 3)
    assert told["counts"]["gender"] == {"angry": {"unknown": 6}, "happy": {"unknown": 6}, "sad": {"unknown": 8}}
    assert told["measures"]["emotion"]["sad"]["clips"] == 8
    assert told["files"] == [{"sr": 16000.0, "channels": 1, "clips": 19}]
    assert [entry["reason"] for entry in told["unreadable"]] == [error.reason for _, error in audit.failures]
    assert told["findings"] == [asdict(finding) for finding in audit.findings]
    assert json.loads(json.dumps(told["findings"]))[0]["kind"] == "unreadable"


# --- real corpora


@pytest.mark.corpus
def test_real_ravdess(real_corpora):
    with pytest.warns(UserWarning, match="same bytes: 1"):
        corpus = load_corpus(real_corpora / "ravdess")
    audit = audit_corpus(corpus, n_jobs=2)
    kinds = found(audit)
    assert kinds.keys() == {"equal-audio", "quiet"}
    assert kinds["equal-audio"] == [["03-01-03-01-02-01-07.flac", "03-01-03-01-02-02-07.flac"]]
    assert {file.rpartition("-")[2] for (file,) in kinds["quiet"]} == {"09.flac", "20.flac"}
    assert len(kinds["quiet"]) == 12
    assert audit.files().to_numpy().tolist() == [[48000, 1, 1435], [48000, 2, 5]]


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("emodb", set()),
        ("tess", {"few-speakers"}),
        ("tess_oddities", {"few-speakers", "one-speaker", "sample-rates"}),
    ],
)
def test_real_corpora(real_corpora, name, kinds):
    audit = audit_corpus(load_corpus(real_corpora / name), n_jobs=2)
    assert audit.failures == []
    assert found(audit).keys() == kinds
