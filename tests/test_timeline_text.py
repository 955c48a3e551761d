"""Windows as lines, segments as the files of other programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from sersk.segments import Segment
from sersk.timeline import WindowEmotion
from sersk.timeline_text import WINDOW_LINES, check_labels, csv_head, write_labels

SPOKEN = WindowEmotion(0.992, 3.992, 0.75, "sad", 0.625, (0.375, 0.625))
SILENT = WindowEmotion(1.0, 4.0, 0.125)
BARE = WindowEmotion(1.0, 4.0, 1.0, "a\tb")
EMOTIONS = ["calm", "sad"]
SEGMENTS = [Segment(0.0, 2.5, "very sad", 0.6251), Segment(4.0, 6.0, "a\tb", None)]


@pytest.mark.parametrize(
    ("window", "emotions", "line"),
    [
        (SPOKEN, [], "a b.wav\t0.99\t3.99\tsad\t0.62\n"),
        (SPOKEN, EMOTIONS, "a b.wav\t0.99\t3.99\tsad\t0.62\tcalm 0.38\tsad 0.62\n"),
        (SILENT, EMOTIONS, "a b.wav\t1.00\t4.00\tno speech\n"),
        (BARE, [], "a b.wav\t1.00\t4.00\ta\\tb\n"),
    ],
)
def test_a_line_for_people(window, emotions, line):
    assert WINDOW_LINES["plain"]("a b.wav", window, emotions) == line


@pytest.mark.parametrize(
    ("window", "emotions", "rest"),
    [
        (SPOKEN, [], {"emotion": "sad", "probability": 0.625}),
        (SPOKEN, EMOTIONS, {"emotion": "sad", "probability": 0.625, "probabilities": {"calm": 0.375, "sad": 0.625}}),
        (SILENT, EMOTIONS, {"emotion": None, "reason": "no speech"}),
        (BARE, [], {"emotion": "a\tb"}),
    ],
)
def test_a_json_object(window, emotions, rest):
    line = WINDOW_LINES["json"]("a.wav", window, emotions)
    times = {"file": "a.wav", "start": window.start, "end": window.end, "speech": window.speech}
    assert json.loads(line) == times | rest
    assert line.count("\n") == 1


@pytest.mark.parametrize("emotions", [[], EMOTIONS])
def test_rows_of_csv_stand_under_their_header(emotions):
    lines = csv_head(emotions) + "".join(WINDOW_LINES["csv"]("a,b.wav", one, emotions) for one in (SPOKEN, SILENT))
    spoken, silent = csv.DictReader(io.StringIO(lines, newline=""))
    assert list(spoken) == ["file", "start", "end", "speech", "emotion", "probability", *emotions, "reason"]
    assert [spoken["file"], float(spoken["start"]), float(spoken["speech"])] == ["a,b.wav", 0.992, 0.75]
    assert (spoken["emotion"], float(spoken["probability"])) == ("sad", 0.625)
    assert [float(spoken[emotion]) for emotion in emotions] == [0.375, 0.625][: len(emotions)]
    assert [silent[name] for name in ["emotion", "probability", *emotions]] == [""] * (2 + len(emotions))
    assert (spoken["reason"], silent["reason"]) == ("", "no speech")


def write(file, names, recordings):
    write_labels(Path(file), names, recordings)
    return Path(file).read_bytes().decode()


def test_rttm_has_ten_fields_and_a_name_for_each_recording(tmp_path):
    names = ["x/my call.wav", "y/my call.flac", "<stdin>"]
    text = write(tmp_path / "a.rttm", names, [SEGMENTS, SEGMENTS[:1], []])
    assert text == (
        "SPEAKER my_call 1 0.000 2.500 <NA> <NA> very_sad 0.625 <NA>\n"
        "SPEAKER my_call 1 4.000 2.000 <NA> <NA> a\\tb <NA> <NA>\n"
        "SPEAKER my_call-2 1 0.000 2.500 <NA> <NA> very_sad 0.625 <NA>\n"
    )
    assert {len(line.split()) for line in text.splitlines()} == {10}


def test_audacity_s_labels(tmp_path):
    assert (
        write(tmp_path / "a.TXT", ["a.wav"], [SEGMENTS]) == "0.000000\t2.500000\tvery sad\n4.000000\t6.000000\ta\\tb\n"
    )
    assert write(tmp_path / "a.txt", [], []) == ""


def test_segments_as_csv(tmp_path):
    table = list(csv.reader(io.StringIO(write(tmp_path / "a.csv", ["a\n.wav", "b"], [SEGMENTS, []]), newline="")))
    assert table == [
        ["file", "start", "end", "emotion", "probability"],
        ["a\n.wav", "0.000000", "2.500000", "very sad", "0.625100"],
        ["a\n.wav", "4.000000", "6.000000", "a\tb", ""],
    ]


def test_a_file_that_cannot_hold_them_is_refused(tmp_path):
    check_labels("--labels", tmp_path / "a.rttm", 7)
    check_labels("--labels", tmp_path / "a.txt", 1)
    for name, n_recordings, told in [
        ("a.lab", 1, "expected a name that ends in"),
        ("a.txt", 2, "of one recording, and there are 2"),
        ("none/a.csv", 1, "cannot write to the folder"),
    ]:
        with pytest.raises(ValueError, match=f"--labels .*{told}"):
            check_labels("--labels", tmp_path / name, n_recordings)
