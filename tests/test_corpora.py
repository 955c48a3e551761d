"""Corpora: file names, folders and manifests become clips, emotions and speakers."""

from __future__ import annotations

import os
import warnings
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
import soundfile

from sersk.corpora import EMOTIONS, LAYOUTS, canonical_emotion, load_corpus, split_corpus
from sersk.corpora.emotions import CODES
from sersk.corpora.files import find_audio, same_bytes, some
from sersk.corpora.manifests import read_speakers


@pytest.fixture
def write(tmp_path):
    """Write tiny clips below tmp_path, each with samples of its own unless told otherwise."""

    def write(*names: str, like: str | None = None) -> list[Path]:
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            samples = np.random.default_rng(zlib.crc32((like or name).encode())).uniform(-0.5, 0.5, 64)
            soundfile.write(file, samples, 8000, format="FLAC" if file.suffix.lower() == ".flac" else "WAV")
        return [tmp_path / name for name in names]

    return write


@pytest.fixture
def manifest(tmp_path, write):
    """Write a manifest of two clips that exist."""
    write("m/clips/a.wav", "m/clips/b.wav")

    def manifest(text: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / "m" / name).write_text(text, encoding=encoding)
        return tmp_path / "m" / name

    return manifest


RAVDESS = ("03-01-05-02-01-02-01.wav", "03-01-01-01-02-01-02.wav")
EMODB = ("03a01Fa.wav", "16b10Lb.wav", "08a02Wc.wav")


# --- emotions


@pytest.mark.parametrize(
    ("labels", "emotion"),
    [
        ("neutral NEUTRAL neu", "neutral"),
        ("calm Calm", "calm"),
        ("happy happiness Freude hap joy Fröhlich", "happy"),
        ("sad sadness Trauer traurig", "sad"),
        ("angry anger Ärger ärger Aerger Wut ANG", "angry"),
        ("fear fearful Angst FEA anxiety fear/anxiety", "fearful"),
        ("disgust disgusted Ekel DIS", "disgust"),
        ("ps surprise surprised pleasant_surprise Pleasant-Surprised pleasantsurprise PLEASANT__surprise", "surprised"),
        ("bored boredom Langeweile", "bored"),
    ],
)
def test_spellings_name_their_canonical_emotion(labels, emotion):
    assert {canonical_emotion(label) for label in labels.split()} == {emotion}


def test_spaces_do_not_matter_and_decomposed_umlauts_are_umlauts():
    assert canonical_emotion(" Pleasant  Surprise ") == "surprised"
    assert canonical_emotion("A\u0308rger") == "angry"


@pytest.mark.parametrize("label", ["confused", " Odd Label_1 ", "", "W", "f", "05"])
def test_unknown_labels_and_codes_stay_as_they_are(label):
    assert canonical_emotion(label) == label


def test_canonical_emotions_map_to_themselves_and_codes_to_canonical_emotions():
    assert [canonical_emotion(emotion) for emotion in EMOTIONS] == list(EMOTIONS)
    assert {emotion for codes in CODES.values() for emotion in codes.values()} == set(EMOTIONS)


# --- layouts

PARSED = [
    ("ravdess", "Actor_01/03-01-05-02-01-02-01", "angry", "01", "male", {"channel": "speech", "intensity": "strong"}),
    ("ravdess", "x/03-02-02-01-02-01-24", "calm", "24", "female", {"channel": "song", "statement": "02"}),
    ("ravdess", "x/01-01-08-01-02-01-12", "surprised", "12", "female", {"modality": "audio-video"}),
    ("cremad", "AudioWAV/1001_DFA_ANG_XX", "angry", "1001", "male", {"statement": "DFA", "intensity": None}),
    ("cremad", "AudioWAV/1091_IEO_HAP_LO", "happy", "1091", "female", {"intensity": "low"}),
    ("cremad", "AudioWAV/1040_ITH_SAD_X", "sad", "1040", "male", {"intensity": None}),
    ("cremad", "AudioWAV/1099_ITH_FEA_HI", "fearful", "1099", None, {"intensity": "high"}),
    ("tess", "OAF_Pleasant_surprise/OAF_back_ps", "surprised", "OAF", "female", {"statement": "back"}),
    ("tess", "YAF_pleasant_surprised/YAF_back_pleasant_surprised", "surprised", "YAF", "female", {}),
    ("tess", "OAF_neutral/OA_bite_neutral", "neutral", "OAF", "female", {"statement": "bite"}),
    ("tess", "oaf_angry/oaf_back_angry", "angry", "OAF", "female", {}),
    ("savee", "ALL/DC_a01", "angry", "DC", "male", {"statement": "a01"}),
    ("savee", "JK/sa15", "sad", "JK", "male", {"statement": "sa15"}),
    ("savee", "kl/su03", "surprised", "KL", "male", {}),
    ("emodb", "wav/03a01Fa", "happy", "03", "male", {"statement": "a01", "version": "a"}),
    ("emodb", "wav/16b10L", "bored", "16", "female", {"version": None}),
    ("nemo", "samples/EB0_anger_20", "angry", "EB0", "female", {"statement": "20"}),
    ("nemo", "samples/mp0_surprised_2", "surprised", "MP0", "male", {"statement": "2"}),
]


@pytest.mark.parametrize(("layout", "name", "emotion", "speaker", "gender", "facts"), PARSED)
@pytest.mark.parametrize(
    ("extension", "flavour"),
    [
        (".wav", PurePosixPath),
        (".FLAC", PurePosixPath),
        (".wav", lambda name: PureWindowsPath(name.replace("/", "\\"))),
    ],
)
def test_published_names_are_parsed_by_their_layout_only(
    layout, name, emotion, speaker, gender, facts, extension, flavour
):
    file = flavour(name + extension)
    assert [row.name for row in LAYOUTS.values() if row.parse(file)] == [layout]
    row = LAYOUTS[layout].parse(file)
    assert row is not None
    expected = {"emotion": emotion, "speaker": speaker, "gender": gender, "corpus": layout, **facts}
    assert {key: row[key] for key in expected} == expected


@pytest.mark.parametrize(
    "name",
    [
        "x/03-01-09-01-01-01-01.wav",
        "x/03-01-05-01-01-01-25.wav",
        "x/03-01-05-01-01-01-01 (1).wav",
        "x/1001_DFA_XYZ_XX.wav",
        "x/OAF_back_confused.wav",
        "x/DC_x01.wav",
        "x/a01.wav",
        "x/07a01Fa.wav",
        "x/EB1_anger_2.wav",
        "x/F1_angry_01.wav",
        "x/notes.wav",
    ],
)
def test_other_names_are_not_parsed(name):
    assert not any(row.parse(PurePosixPath(name)) for row in LAYOUTS.values())


def test_genders_are_as_published():
    assert Counter(LAYOUTS["cremad"].genders.values()) == {"male": 48, "female": 43}
    assert Counter(LAYOUTS["ravdess"].genders.values()) == {"male": 12, "female": 12}
    assert Counter(LAYOUTS["emodb"].genders.values()) == {"male": 5, "female": 5}
    assert Counter(LAYOUTS["nemo"].genders.values()) == {"male": 5, "female": 4}


# --- files


def test_find_audio_goes_deep_and_passes_over_what_is_hidden(tmp_path, write):
    seen = write("a/b/c/1.wav", "a/2.WAV", "3.flac")
    write("a/._2.wav", ".cache/4.wav", "a/notes.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert find_audio(tmp_path) == (sorted(seen, key=lambda file: file.relative_to(tmp_path).as_posix()), [])


# The first bytes of an M4A, a WebM, an ADTS AAC and an AMR file.
HEADS = {
    "m4a": b"\0\0\0\x1cftypM4A \0\0\0\0",
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm",
    "aac": b"\xff\xf1\x50\x80\x02\x1f\xfc",
    "amr": b"#!AMR\n",
}


def test_find_audio_knows_audio_by_name_or_by_content(tmp_path, write):
    seen = write("1.wav", "2.WAV", "3.FLAC")
    for name in ("a.m4a", "b.webm", "c.mp2", "d.caf", "e.rf64", "f.aac", "g.wma", "h.amr"):
        (tmp_path / name).write_bytes(b"whatever it is, its name says audio")
    for name in ("x", "x.", "x.weird", "x.1"):
        (tmp_path / name).write_bytes(seen[0].read_bytes())
    for name, head in HEADS.items():
        (tmp_path / f"recording of {name}").write_bytes(head)
    for name, text in {
        "LICENSE": b"Permission is",
        "n.txt": seen[0].read_bytes(),
        "k.odd": b"",
        "o.bin": b"\0" * 99,
    }.items():
        (tmp_path / name).write_bytes(text)
    files, problems = find_audio(tmp_path)
    assert problems == []
    expected = {"1.wav", "2.WAV", "3.FLAC", "a.m4a", "b.webm", "c.mp2", "d.caf", "e.rf64", "f.aac", "g.wma", "h.amr"}
    expected |= {"x", "x.", "x.weird", "x.1", *(f"recording of {name}" for name in HEADS)}
    assert {file.name for file in files} == expected


def test_find_audio_does_not_open_what_is_told_by_its_name(tmp_path, write, monkeypatch):
    write("a/1.wav", "a/2.flac")
    for name in ("1.txt", "1.csv", "1.json", "1.lab", "1.TextGrid", "cover.JPG"):
        (tmp_path / "a" / name).write_text("any")
    monkeypatch.setattr(Path, "open", lambda file, *_: pytest.fail(f"{file} was opened"))
    assert len(find_audio(tmp_path)[0]) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_find_audio_opens_no_pipe_and_tells_of_one_that_is_named_like_audio(tmp_path, write):
    seen = write("1.wav")
    os.mkfifo(tmp_path / "2.wav")
    os.mkfifo(tmp_path / "3")
    (tmp_path / "4.wav").symlink_to(tmp_path / "2.wav")
    (tmp_path / "5.wav").symlink_to(tmp_path / "gone.wav")
    files, problems = find_audio(tmp_path)
    assert files == [*seen, tmp_path / "5.wav"]  # which fails as a clip, with its name
    assert sorted(problems) == [f"{tmp_path / name}: is no regular file" for name in ("2.wav", "4.wav")]
    with pytest.raises(ValueError, match=r"2\.wav: is no regular file"):
        load_corpus(tmp_path, layout="folders")


def test_find_audio_tells_of_what_it_may_not_look_into(tmp_path, write, monkeypatch):
    write("open/1.wav", "closed/2.wav")
    (tmp_path / "secret").write_bytes(b"RIFF")
    scan, begin = os.scandir, Path.open

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) if str(path).endswith("closed") else scan(path))
    monkeypatch.setattr(Path, "open", lambda file, *args: refuse(file) if file.name == "secret" else begin(file, *args))
    files, problems = find_audio(tmp_path)
    assert files == [tmp_path / "open" / "1.wav"]
    assert sorted(problems) == [
        f"{tmp_path / name}: cannot be read (Permission denied)" for name in ("closed", "secret")
    ]


def test_a_clip_that_cannot_be_read_is_in_the_corpus_and_equal_to_none(tmp_path, write):
    write("r/" + RAVDESS[0])
    (tmp_path / "r" / RAVDESS[1]).symlink_to(tmp_path / "gone")
    assert load_corpus(tmp_path / "r").target.tolist() == ["neutral", "angry"]
    assert same_bytes([tmp_path / "gone", tmp_path / "gone"]) == []


def test_clips_of_any_format_are_parsed_by_their_layout(tmp_path):
    for name, extension in zip(RAVDESS, (".m4a", ".webm"), strict=True):
        (tmp_path / name).with_suffix(extension).write_bytes(extension.encode())
    corpus = load_corpus(tmp_path)
    assert corpus.target.tolist() == ["neutral", "angry"]
    assert [Path(file).suffix for file in corpus.data] == [".webm", ".m4a"]


def test_same_bytes_needs_every_byte_to_agree(tmp_path):
    contents = [b"0" * 20_000, b"0" * 19_999 + b"1", b"0" * 20_000, b"1" * 20_000, b"0", b"", b""]
    files = [tmp_path / str(number) for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    assert same_bytes(files) == [(0, 2), (5, 6)]
    assert same_bytes([]) == []


def test_some_names_the_first_few():
    assert some("ab") == "a, b"
    assert some("abcde") == "a, b, c and 2 more"


# --- load_corpus: published layouts


def test_bunch_of_one_corpus(tmp_path, write):
    files = write(*(f"r/Actor/{name}" for name in RAVDESS))
    corpus = load_corpus(str(tmp_path / "r"))
    assert corpus.data.dtype == object
    assert corpus.data.tolist() == sorted(map(str, files))
    assert corpus.target.tolist() == ["neutral", "angry"]
    assert corpus.target.dtype.kind == "U"
    assert corpus.groups.tolist() == ["ravdess:02", "ravdess:01"]
    assert corpus.groups.dtype.kind == "U"
    expected = ["file", "emotion", "speaker", "gender", "corpus", "modality", "channel", "intensity", "statement"]
    assert corpus.frame.columns.tolist() == [*expected, "repetition"]
    assert corpus.frame.loc[1, "gender":].tolist() == ["male", "ravdess", "audio", "speech", "strong", "01", "02"]
    assert corpus.frame["file"].tolist() == corpus.data.tolist()
    assert corpus.unparsed == corpus.duplicates == []
    for text in ("RAVDESS", "2 clips, 2 speakers", "angry 1, neutral 1", "pone.0196391", "CC BY-NC-SA"):
        assert text in corpus.DESCR


@pytest.mark.parametrize("layout", ["auto", "savee"])
def test_savee_speaker_may_be_the_root_itself(tmp_path, write, layout, monkeypatch):
    write("DC/a01.wav", "DC/su02.wav")
    monkeypatch.chdir(tmp_path / "DC")
    corpus = load_corpus(".", layout=layout)
    assert corpus.target.tolist() == ["angry", "surprised"]
    assert set(corpus.groups) == {"savee:DC"}


def test_one_folder_may_hold_several_corpora(tmp_path, write):
    write(*(f"all/r/{name}" for name in RAVDESS), *(f"all/e/{name}" for name in EMODB))
    corpus = load_corpus(tmp_path / "all")
    assert Counter(corpus.frame["corpus"]) == {"emodb": 3, "ravdess": 2}
    assert corpus.frame["version"].isna().tolist() == [False, False, False, True, True]
    assert "EmoDB" in corpus.DESCR
    assert "RAVDESS" in corpus.DESCR


def test_corpora_join_in_the_order_given_with_unique_speakers(tmp_path, write):
    write(*(f"r/{name}" for name in RAVDESS), *(f"e/{name}" for name in EMODB))
    corpus = load_corpus([tmp_path / "r", str(tmp_path / "e")])
    assert corpus.groups.tolist() == ["ravdess:02", "ravdess:01", "emodb:03", "emodb:08", "emodb:16"]


def test_same_speakers_of_a_published_corpus_in_two_roots_are_the_same(tmp_path, write):
    write(f"one/{RAVDESS[0]}", "two/03-02-05-02-01-02-01.wav")
    corpus = load_corpus([tmp_path / "one", tmp_path / "two"])
    assert corpus.groups.tolist() == ["ravdess:01", "ravdess:01"]
    assert corpus.frame["channel"].tolist() == ["speech", "song"]


def test_files_that_do_not_parse_are_listed_and_warned_of(tmp_path, write):
    write(*(f"r/{name}" for name in RAVDESS))
    odd = write("r/bonus.wav")
    with pytest.warns(UserWarning, match=r"do not fit the layout, left out: 1 .*bonus\.wav") as caught:
        corpus = load_corpus(tmp_path / "r")
    assert corpus.unparsed == [str(odd[0])]
    assert len(corpus.data) == 2
    assert [warning.filename for warning in caught] == [__file__]


def test_explicit_layout_takes_only_its_files(tmp_path, write):
    write(f"mix/{RAVDESS[0]}", *(f"mix/{name}" for name in EMODB))
    with pytest.warns(UserWarning, match="do not fit the layout, left out: 3 "):
        corpus = load_corpus(tmp_path / "mix", layout="ravdess")
    assert corpus.groups.tolist() == ["ravdess:01"]


# --- duplicates


def test_nested_copies_are_left_out_and_reported_with_one_warning(tmp_path, write):
    kept = write(*(f"r/Actor/{name}" for name in RAVDESS))
    copies = [write(f"r/all/r/Actor/{name}", like=f"r/Actor/{name}")[0] for name in RAVDESS]
    write("r/odd.wav")
    with pytest.warns(UserWarning, match=r"left out: 1 .*; groups .* bytes: 2; nested copies left out: 2 ") as caught:
        corpus = load_corpus(tmp_path / "r")
    assert len(caught) == 1
    assert sorted(corpus.data) == sorted(map(str, kept))
    assert sorted(corpus.duplicates) == sorted((str(k), str(c)) for k, c in zip(kept, copies, strict=True))
    assert corpus.frame.index.tolist() == [0, 1]


def test_other_names_with_the_same_bytes_are_reported_and_kept(tmp_path, write):
    files = write("r/03-01-03-01-02-01-07.wav", "r/03-01-03-01-02-02-07.wav", like="same")
    with pytest.warns(UserWarning, match="files with the same bytes: 1; all kept"):
        corpus = load_corpus(tmp_path / "r")
    assert len(corpus.data) == 2
    assert corpus.duplicates == [tuple(map(str, files))]


def test_same_name_and_bytes_with_another_label_is_a_conflict_to_report_not_a_copy(tmp_path, write):
    write("f/happy/1.wav", "f/sad/1.wav", "f/deeper/happy/1.wav", like="same")
    with pytest.warns(UserWarning, match="nested copies left out: 1 "):
        corpus = load_corpus(tmp_path / "f")
    assert corpus.target.tolist() == ["happy", "sad"]
    assert len(corpus.duplicates[0]) == 3


def test_a_root_inside_another_adds_no_clip_twice(tmp_path, write):
    write(*(f"r/Actor/{name}" for name in RAVDESS))
    with pytest.warns(UserWarning, match="nested copies left out: 2 "):
        corpus = load_corpus([tmp_path / "r", tmp_path / "r" / "Actor"])
    assert len(set(corpus.data)) == len(corpus.data) == 2


# --- folders


def test_folders_are_recognised_by_names_of_emotions(tmp_path, write):
    write("mine/Angst/1.wav", "mine/deep/Freude/2.wav", "mine/confused/3.wav", "mine/sad/4.wav")
    corpus = load_corpus(tmp_path / "mine")
    assert corpus.target.tolist() == ["fearful", "confused", "happy", "sad"]
    assert corpus.groups is None
    assert corpus.frame["speaker"].isna().all()
    assert set(corpus.frame["corpus"]) == {"mine"}
    assert "Corpus 'mine'\n4 clips, unknown speakers" in corpus.DESCR
    assert "Cite" not in corpus.DESCR


def test_folders_of_any_name_on_demand_and_files_outside_a_folder_do_not_parse(tmp_path, write):
    write("mine/warm/1.wav", "mine/cold/2.wav", "mine/3.wav")
    with pytest.warns(UserWarning, match=r"do not fit the layout, left out: 1 .*3\.wav"):
        corpus = load_corpus(tmp_path / "mine", layout="folders")
    assert corpus.target.tolist() == ["cold", "warm"]


def test_folders_may_be_numbered(tmp_path, write):
    write(
        "mine/01Neutral/1.wav",
        "mine/2_anger/2.wav",
        "mine/03 - Happy/3.wav",
        "mine/sadness-4/4.wav",
        "mine/Actor_05/5.wav",
    )
    corpus = load_corpus(tmp_path / "mine")
    assert corpus.target.tolist() == ["neutral", "happy", "angry", "Actor_05", "sad"]


def test_names_that_begin_with_speaker_and_emotion_are_read_on_demand(tmp_path, write):
    write("mine/EB7_anger_1.wav", "mine/EB7-Sadness-2.wav", "mine/deep/anna_happy.wav")
    odd = write("mine/happy_3.wav")
    with pytest.warns(UserWarning, match=r"do not fit the layout, left out: 1 .*happy_3\.wav"):
        corpus = load_corpus(tmp_path / "mine", layout="names")
    assert corpus.target.tolist() == ["sad", "angry", "happy"]
    assert corpus.groups.tolist() == ["mine:EB7", "mine:EB7", "mine:anna"]
    assert corpus.unparsed == [str(odd[0])]


def test_what_layouts_do_not_fit_is_shown_the_manifest_that_would(tmp_path, write):
    write("mine/x/anna_happy_2.wav", "mine/x/1.wav", "mine/x/anna_sad_1.wav")
    (tmp_path / "mine" / "labels.csv").write_text("any")
    with pytest.raises(ValueError, match="does not fit its 3 audio files") as caught:
        load_corpus(tmp_path / "mine")
    assert str(caught.value).endswith(
        "or give labels.csv if that is a manifest, or write a manifest (CSV): first line 'file,emotion,speaker', "
        "then a line a clip, such as 'x/anna_happy_2.wav,happy,anna'."
    )
    assert "names such as SPEAKER_EMOTION_1 (layout 'names'): 2." in str(caught.value)


def test_published_names_in_folders_of_emotions_keep_their_speakers(tmp_path, write):
    write(f"mine/angry/{RAVDESS[0]}", f"mine/neutral/{RAVDESS[1]}")
    assert load_corpus(tmp_path / "mine").groups.tolist() == ["ravdess:01", "ravdess:02"]
    assert load_corpus(tmp_path / "mine", layout="folders").groups is None


def test_clips_of_unknown_speakers_beside_known_ones_have_no_name_and_are_warned_of(tmp_path, write):
    write(f"r/{RAVDESS[0]}", "calls/happy/1.wav", "x/calls/happy/2.wav")
    with pytest.warns(
        UserWarning, match=r"without a speaker: 2 of 3, any of which may be of a tested speaker; .*1\.wav, .*2\.wav"
    ):
        corpus = load_corpus([tmp_path / "r", tmp_path / "calls", tmp_path / "x" / "calls"])
    assert corpus.groups.tolist() == ["ravdess:01", "", ""]
    assert corpus.frame["speaker"].isna().tolist() == [False, True, True]


# --- manifests


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(("separator", "name"), [(",", "list.csv"), (";", "list.csv"), ("\t", "list.tsv")])
def test_manifest_in_any_of_its_dialects(manifest, tmp_path, encoding, separator, name):
    text = (
        '"file", emotion ,speaker,gender,score,statement\nclips\\b.wav,Ärger,01,F,0.5,02\nclips/a.wav,odd one,Ñ,,2,\n'
    )
    corpus = load_corpus(manifest(text.replace(",", separator), name, encoding))
    assert corpus.data.tolist() == [str(tmp_path / "m" / "clips" / clip) for clip in ("b.wav", "a.wav")]
    assert corpus.target.tolist() == ["angry", "odd one"]
    assert corpus.groups.tolist() == ["list:01", "list:Ñ"]
    assert corpus.frame["gender"].fillna("?").tolist() == ["female", "?"]
    assert corpus.frame["statement"].fillna("?").tolist() == ["02", "?"]
    assert corpus.frame["score"].tolist() == [0.5, 2.0]


def test_manifest_needs_only_file_and_emotion(manifest):
    corpus = load_corpus(manifest("emotion,file\nfear,clips/a.wav\n"))
    assert corpus.target.tolist() == ["fearful"]
    assert corpus.groups is None


@pytest.mark.parametrize("nobody", ["", "NA", "nan", "None", "Unknown", "?", "-", "#NV", " "])
def test_some_speakers_of_a_manifest_may_be_unknown(manifest, nobody):
    with pytest.warns(UserWarning, match="clips without a speaker: 1 of 2"):
        corpus = load_corpus(manifest(f"file,emotion,speaker\nclips/a.wav,sad,anna\nclips/b.wav,sad,{nobody}\n"))
    assert corpus.groups.tolist() == ["list:anna", ""]
    assert "2 clips, 1 speakers" in corpus.DESCR


def test_a_manifest_of_unknown_speakers_only_has_no_groups(manifest):
    assert load_corpus(manifest("file,emotion,speaker\nclips/a.wav,sad,?\nclips/b.wav,sad,NA\n")).groups is None


TWO = "file,emotion,speaker\nclips/a.wav,sad,F1\nclips/b.wav,angry,F2\n"
AS_SPREADSHEETS_WRITE = {
    "sep": "sep=;\r\n" + TWO.replace(",", ";").replace("\n", "\r\n"),
    "sep-quoted": '"sep=,"\r\n' + TWO,
    "utf-16": TWO.replace(",", "\t").encode("utf-16"),
    "utf-16-be": b"\xfe\xff" + TWO.replace(",", "\t").encode("utf-16-be"),
    "bars": TWO.replace(",", "|"),
    "empty-columns": TWO.replace("\n", ",,\n"),
    "long-rows": TWO.replace("F1\n", "F1,,,\n"),
    "empty-rows": "\n" + TWO.replace(",", ";") + ";;\n;;\n\n",
    "line-ends": TWO.replace("speaker\n", "speaker\r\n").replace("F1\n", "F1\r"),
    "index": ",file,emotion,speaker\n0,clips/a.wav,sad,F1\n1,clips/b.wav,angry,F2\n",
    "quoted-comma": '"file","note, free","emotion","speaker"\nclips/a.wav,x,sad,F1\nclips/b.wav,"y, z",angry,F2\n',
    "quoted-lines": 'file,note,emotion,speaker\nclips/a.wav,"two\nlines",sad,F1\nclips/b.wav,"5 ""inch""",angry,F2\n',
    "commas-in-semicolons": "a, b;file;emotion;speaker\n1,5;clips/a.wav;sad;F1\n2,5;clips/b.wav;angry;F2\n",
    "blanks": " file , emotion,speaker \nclips/a.wav , sad , F1\n clips/b.wav, Angry ,F2 \n",
    "synonyms": "File Path,Emotion Label,Speaker-ID\nclips/a.wav,sad,F1\nclips/b.wav,angry,F2\n",
    "german": "Dateiname;LABEL;Sprecher\nclips\\a.wav;traurig;F1\nclips\\b.wav;Wut;F2\n",
    "own-name-first": "path,File,label,EMOTION,actor,speaker\nx,clips/a.wav,0,sad,y,F1\nx,clips/b.wav,1,angry,y,F2\n",
}


@pytest.mark.parametrize("text", AS_SPREADSHEETS_WRITE.values(), ids=AS_SPREADSHEETS_WRITE)
def test_manifest_as_spreadsheets_and_people_write_it(manifest, tmp_path, text):
    file = manifest("")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    corpus = load_corpus(file)
    assert corpus.data.tolist() == [str(tmp_path / "m" / "clips" / clip) for clip in ("a.wav", "b.wav")]
    assert corpus.target.tolist() == ["sad", "angry"]
    assert corpus.groups.tolist() == ["list:F1", "list:F2"]


def test_labels_that_differ_in_case_or_spaces_only_are_warned_of(manifest):
    with pytest.warns(UserWarning, match="labels that differ in case or spaces only.*: 'Odd One' = 'odd-one'"):
        load_corpus(manifest("file,emotion\nclips/a.wav,odd-one\nclips/b.wav,Odd One \n"))
    assert load_corpus(manifest("file,emotion\nclips/a.wav,Sad\nclips/b.wav,sad \n")).target.tolist() == ["sad"] * 2


def test_a_folder_with_two_manifests_asks_which_one_counts(manifest, tmp_path):
    manifest(TWO, "manifest.csv")
    manifest(TWO.replace(",", "\t"), "manifest.tsv")
    with pytest.raises(ValueError, match=r"m: holds manifest\.csv and manifest\.tsv\. Give the path of the one"):
        load_corpus(tmp_path / "m")


def test_a_table_of_speakers_is_read_as_a_manifest_is(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text('sep=;\nPath;"who; says";speaker;\na.wav;ann;x;\nb.wav;NA;x;\n;;;\n')
    assert read_speakers(table, "who; says") == ([tmp_path / "a.wav", tmp_path / "b.wav"], ["ann", None])
    assert read_speakers(table, "Who says")[1] == read_speakers(table, "whosays")[1] == ["ann", None]
    with pytest.raises(ValueError, match=r"table\.csv: no column 'voice' among 'file', 'who; says', 'speaker'"):
        read_speakers(table, "voice")
    table.write_text("file,Actor\na.wav,ann\n")
    assert read_speakers(table, "actor")[1] == ["ann"]


def test_manifest_in_a_folder_is_found_and_named_after_it(manifest, tmp_path):
    manifest("file,emotion,speaker\nclips/a.wav,sad,1\n", "manifest.csv")
    assert load_corpus(tmp_path / "m").groups.tolist() == ["m:1"]
    assert load_corpus(tmp_path / "m", layout="manifest").groups.tolist() == ["m:1"]


def test_absolute_paths_and_a_corpus_column(manifest, tmp_path):
    corpus = load_corpus(manifest(f"file,emotion,speaker,corpus\n{tmp_path}/m/clips/a.wav,sad,1,abc\n"))
    assert corpus.groups.tolist() == ["abc:1"]


def test_speakers_of_two_manifests_are_other_persons_and_their_columns_join(manifest, write, tmp_path):
    one = manifest("file,emotion,speaker,age\nclips/a.wav,sad,1,30\n")
    write("n/c.wav")
    (tmp_path / "n" / "list.csv").write_text("file,emotion,speaker\nc.wav,happy,1\n")
    corpus = load_corpus([one, tmp_path / "n" / "list.csv"])
    assert corpus.groups.tolist() == ["list:1", "list-2:1"]
    assert corpus.frame["age"].tolist()[0] == 30
    assert corpus.frame["age"].isna().tolist() == [False, True]


def test_a_root_never_takes_the_name_of_a_published_corpus(write, tmp_path):
    write("ravdess/happy/1.wav")
    assert load_corpus(tmp_path / "ravdess").frame["corpus"].tolist() == ["ravdess-2"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "a,emotion\nclips/a.wav,sad\n",
            ValueError,
            r"no column 'file' among 'a', 'emotion'\. Expected: first line 'file,emotion,speaker', then",
        ),
        ("file,mood\nclips/a.wav,sad\n", ValueError, r"no column 'emotion' among"),
        ("clips/a.wav,sad\n", ValueError, r"header without rows"),
        ("clips/a.wav,sad\nclips/b.wav,sad\n", ValueError, r"no column 'file' among 'clips/a.wav', 'sad'"),
        ("path,filename,emotion\nclips/a.wav,x,sad\n", ValueError, r"'path' and 'filename' may both be the file"),
        ("file,label,class\nclips/a.wav,x,sad\n", ValueError, r"'label' and 'class' may both be the emotion"),
        ("file,emotion,notes,notes\nclips/a.wav,sad,x,y\n", ValueError, r"2 columns are called 'notes'"),
        ("file,emotion\nclips/a.wav,sad\nclips/b.wav,\n", ValueError, r"no emotion in line 3"),
        ("file,emotion\nclips/z.wav,sad\nclips/a.wav,sad\n", FileNotFoundError, r"1 of its 2 files do not .*z\.wav"),
        (
            "file,emotion\nclips/a.wav,sad\nclips\\a.wav,happy\n",
            ValueError,
            r"a\.wav more than once: line 2 \(sad\), line 3 \(happy",
        ),
        (
            "file,emotion\nclips/a.wav,sad\n\nclips/../clips/a.wav,sad\n",
            ValueError,
            r"more than once: .*, line 4 \(sad",
        ),
        ("file,emotion\nclips/a,b.wav,sad\n", ValueError, r"line 2 has 'sad' in column 3, which the header does not"),
        ("file,emotion\nclips/a.wav,sad\nclips/a,b.wav,sad\n", ValueError, r"line 3 has 'sad' in column 3"),
        ("file,note,emotion,\nclips/a.wav,hi, you,sad\n", ValueError, r"line 2 has 'sad' in column 4"),
        ('file,emotion,note\nclips/a.wav,sad,"x\nclips/b.wav,sad,"y\n', ValueError, r"line 2: .* Look at the quotes"),
        ('file,emotion,note\nclips/a.wav,sad,x\n"clips/b.wav,sad,y\n', ValueError, r"line 3: .* Look at the quotes"),
        ("file,emotion\nclips/a.wav,sad\nclips/b.wav,NA\n", ValueError, r"no emotion in line 3"),
        ("file,emotion,emotion\nclips/a.wav,sad,sad\n", ValueError, r"'emotion' and 'emotion' may both be the emotion"),
        ("", ValueError, r"is empty\. Expected: first line 'file,emotion,speaker'"),
        ("\n \n", ValueError, r"is empty\. Expected: first line 'file,emotion,speaker'"),
        ("PK\3\4", ValueError, r"a workbook\. Save it as CSV UTF-8"),
        ("file,emotion\n", ValueError, r"a header without rows"),
    ],
)
def test_faulty_manifests_are_refused_with_the_fault(manifest, text, error, message):
    with pytest.raises(error, match=message) as caught:
        load_corpus(manifest(text))
    assert "list.csv" in str(caught.value)


def test_a_clip_is_not_a_manifest(write):
    with pytest.raises(ValueError, match="expected UTF-8 text"):
        load_corpus(write("a.wav")[0])


def test_a_manifest_in_another_encoding_is_refused_with_the_line(manifest):
    with pytest.raises(ValueError, match=r"list\.csv: expected UTF-8 text, got something else in line 3\. Save"):
        load_corpus(manifest("file,emotion\nclips/a.wav,sad\nclips/b.wav,Ärger\n", encoding="cp1252"))


# --- errors


def test_unknown_layout(tmp_path):
    with pytest.raises(ValueError, match=r"layout='iemocap' is unknown\. Choose one of auto, ravdess"):
        load_corpus(tmp_path, layout="iemocap")


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        load_corpus(tmp_path / "nowhere")


def test_no_root():
    with pytest.raises(ValueError, match="the list of roots is empty"):
        load_corpus([])


def test_root_given_twice(tmp_path):
    with pytest.raises(ValueError, match="given 2 times"):
        load_corpus([tmp_path, tmp_path / "."])


def test_folder_without_audio(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match="no audio files at any depth"):
        load_corpus(tmp_path)


def test_folder_without_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no manifest\.csv or manifest\.tsv"):
        load_corpus(tmp_path, layout="manifest")


def test_file_where_a_folder_is_needed(manifest):
    with pytest.raises(ValueError, match="layout='ravdess' reads a folder, this is a file"):
        load_corpus(manifest("file,emotion\n"), layout="ravdess")


def test_unrecognised_folder_says_what_was_found(tmp_path, write):
    write(f"x/{RAVDESS[0]}", "x/happy/1.wav", "x/2.wav", "x/3.wav")
    with pytest.raises(ValueError, match="does not fit its 4 audio files") as caught:
        load_corpus(tmp_path / "x")
    for text in ("2.wav, 3.wav and 1 more", "{'ravdess': 1}", "named for emotions: 1", "Pass layout= one of ravdess"):
        assert text in str(caught.value)


@pytest.mark.parametrize("layout", ["ravdess", "folders"])
def test_explicit_layout_that_fits_nothing(tmp_path, write, layout):
    write(*(f"e/{name}" for name in EMODB))
    with pytest.raises(ValueError, match=rf"layout='{layout}' does not fit .* corpus: \{{'emodb': 3\}}"):
        load_corpus(tmp_path / "e", layout=layout)


# --- parts


def test_the_parts_of_a_corpus_are_whole_corpora(tmp_path, write):
    write(*(f"r/{name}" for name in RAVDESS), *(f"e/{name}" for name in EMODB))
    corpus = load_corpus([tmp_path / "r", tmp_path / "e"])
    parts = split_corpus(corpus)
    assert list(parts) == ["female", "male"]
    assert parts["female"].groups.tolist() == ["ravdess:02", "emodb:08", "emodb:16"]
    assert parts["male"].groups.tolist() == ["ravdess:01", "emodb:03"]
    for gender, part in parts.items():
        alone = load_corpus([tmp_path / "r", tmp_path / "e"])
        kept = (alone.frame["gender"] == gender).to_numpy()
        assert part.data.tolist() == alone.data[kept].tolist() == part.frame["file"].tolist()
        assert part.target.tolist() == alone.target[kept].tolist() == part.frame["emotion"].tolist()
        assert part.target.dtype == alone.target.dtype
        pd.testing.assert_frame_equal(part.frame, alone.frame[kept].reset_index(drop=True))
        assert part.DESCR.startswith(f"Only the clips whose gender is {gender}.\nRAVDESS")
    assert "EmoDB, the Berlin Database of Emotional Speech\n2 clips, 2 speakers" in parts["female"].DESCR
    assert len(corpus.data) == 5, "the whole is left as it was"


def test_clips_without_a_gender_are_in_no_part_and_told(manifest, write):
    write("m/clips/c.wav", "m/clips/d.wav")
    with pytest.warns(UserWarning, match="clips without a speaker: 2 of 4"):
        corpus = load_corpus(
            manifest(
                "file,emotion,speaker,gender\nclips/a.wav,sad,,f\nclips/b.wav,sad,1,\nclips/c.wav,happy,1,m\n"
                "clips/d.wav,happy,,female\n"
            )
        )
    with pytest.warns(UserWarning, match=r"clips whose gender is unknown, in no part: 1 of 4: .*b\.wav$") as caught:
        parts = split_corpus(corpus)
    assert caught[0].filename == __file__
    assert {name: part.target.tolist() for name, part in parts.items()} == {
        "female": ["sad", "happy"],
        "male": ["happy"],
    }
    # As in a corpus that is loaded: speakers are None where not one is known.
    assert parts["female"].groups is None
    assert parts["male"].groups.tolist() == ["list:1"]


def test_a_corpus_is_parted_by_any_column_and_whatever_its_clips_are(manifest):
    corpus = load_corpus(manifest("file,emotion,age\nclips/a.wav,sad,30\nclips/b.wav,sad,9\n"))
    corpus.data = [np.zeros(3), np.ones(2)]
    parts = split_corpus(corpus, by="age")
    assert {name: [one.tolist() for one in part.data] for name, part in parts.items()} == {
        "30": [[0] * 3],
        "9": [[1] * 2],
    }
    assert parts["9"].groups is None


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (
            "gender",
            r"no clip of this corpus has a known gender\. Give a manifest .* columns file, emotion and gender\.",
        ),
        ("sex", r"by='sex': no such column among 'file', 'emotion', 'speaker', 'gender', 'corpus'\. Give a manifest"),
    ],
)
def test_a_corpus_that_does_not_tell_cannot_be_parted(by, message, manifest):
    corpus = load_corpus(manifest("file,emotion\nclips/a.wav,sad\nclips/b.wav,happy\n"))
    with pytest.raises(ValueError, match=message):
        split_corpus(corpus, by=by)


# --- real corpora


@pytest.mark.corpus
def test_real_ravdess(real_corpora):
    with pytest.warns(UserWarning, match=r"same bytes: 1; all kept, .*03-01-03-01-02-01-07.* = .*03-01-03-01-02-02-07"):
        corpus = load_corpus(real_corpora / "ravdess")
    counts = Counter(corpus.target.tolist())
    assert counts.pop("neutral") == 96
    assert set(counts) == set(EMOTIONS[1:8])
    assert set(counts.values()) == {192}
    assert Counter(corpus.groups.tolist()) == {f"ravdess:{actor:02d}": 60 for actor in range(1, 25)}
    assert Counter(corpus.frame["gender"]) == {"male": 720, "female": 720}
    assert set(corpus.frame["channel"]) == {"speech"}


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "n_speakers", "counts"),
    [
        ("emodb", 10, {"angry": 127, "happy": 71, "neutral": 79, "sad": 62}),
        ("tess", 2, dict.fromkeys(("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised"), 200)),
        ("tess_oddities", 2, {"angry": 1, "fearful": 1, "neutral": 1}),
    ],
)
def test_real_corpora_parse_without_a_remark(real_corpora, name, n_speakers, counts):
    corpus = load_corpus(real_corpora / name)
    assert Counter(corpus.target.tolist()) == counts
    assert len(set(corpus.groups)) == n_speakers
    assert corpus.unparsed == corpus.duplicates == []


@pytest.mark.corpus
def test_real_corpora_beneath_one_root(real_corpora):
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        corpus = load_corpus(real_corpora)
    assert Counter(corpus.frame["corpus"]) == {"ravdess": 1440, "tess": 1403, "emodb": 339, "nemo": 636}
    assert len(set(corpus.groups)) == 45
    assert isinstance(corpus.frame, pd.DataFrame)


@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore:groups of files with the same bytes")
def test_real_ravdess_parts_evenly(real_corpora):
    parts = split_corpus(load_corpus(real_corpora / "ravdess"))
    assert {gender: (len(part.data), len(set(part.groups))) for gender, part in parts.items()} == {
        "female": (720, 12),
        "male": (720, 12),
    }
