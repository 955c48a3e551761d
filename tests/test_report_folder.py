"""Reports as folders: what was written is what is read, and nothing else is lost or replaced."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluations import made_up
from numpy.testing import assert_array_equal

from sersk.evaluation import ReportSection, check_report_folder, evaluate, read_report, report_folder, write_report
from sersk.evaluation.crossvalidation import FACTS
from sersk.evaluation.plots import plot_learning_curve

CURVE = pd.DataFrame({"speakers": [2.0, 5.0], "uar": [0.35, 0.5], "uar_std": [0.1, np.nan]})
SECTION = ReportSection("learning_curve", "By number of speakers", "More are better.", CURVE, plot_learning_curve)
NASTY = '<script>alert("&")</script>|`*_[x](y)\n{0}'


def changed(report, **columns):
    return dataclasses.replace(report, predictions=report.predictions.assign(**columns))


def files(folder):
    return sorted(file.name for file in Path(folder).iterdir())


def no_constants(text):
    raise AssertionError(f"{text} is no JSON")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "above" / "report"


@pytest.fixture
def without_pictures(monkeypatch):
    """For tests of what else there is: pictures take their time."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


# --- there and back


def everything_known():
    return made_up()


def nothing_known():
    report = changed(made_up(probabilities=False), speaker=None).predictions.drop(columns=[*FACTS])
    return dataclasses.replace(made_up(), speaker_independent=False, predictions=report)


def odd_names():
    report = made_up(n_clips=24, labels=(" ", "NA", "1.0", "a,b"), speaker=lambda k: ["", "nan", 'q"', "r\rn\n"][k % 4])
    gender = report.predictions["gender"].where(report.predictions["speaker"] != "nan", None)
    table = changed(report, gender=gender, corpus="None").predictions
    return dataclasses.replace(report, predictions=table.replace({"speaker": {"": " "}}).set_axis(3 * table.index))


def never_tested():
    return made_up(never=("sad",))


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("make", [everything_known, nothing_known, odd_names, never_tested])
def test_what_is_read_is_what_was_written(make, folder):
    report = make()
    assert write_report(report, folder) == folder
    again = read_report(folder)
    pd.testing.assert_frame_equal(again.predictions, report.predictions, check_exact=True)
    assert_array_equal(again.labels, report.labels)
    for name in ("protocol", "description", "speaker_independent", "uar", "wa", "macro_f1"):
        assert getattr(again, name) == getattr(report, name)
    for name in ("log_loss", "brier_score", "calibration_error"):
        np.testing.assert_equal(getattr(again, name), getattr(report, name))
    np.testing.assert_equal(again.recalls, report.recalls)
    assert again.intervals() == report.intervals()


@pytest.mark.usefixtures("without_pictures")
def test_what_evaluate_gives_comes_back(folder):
    from test_report import BAYES, MATRIX

    report = evaluate(BAYES, MATRIX)
    write_report(report, folder)
    pd.testing.assert_frame_equal(read_report(folder).predictions, report.predictions, check_exact=True)


def test_the_json_holds_every_number(folder):
    report = made_up(never=("sad",))
    failures = [("broken.wav", ValueError("is empty"))]
    write_report(report, folder, card={"model": "lda", "seed": 0}, failures=failures, sections=[SECTION])
    facts = json.loads((folder / "report.json").read_text(), parse_constant=no_constants)
    assert (facts["format"], facts["schema"]) == ("sersk evaluation report", 1)
    assert (facts["protocol"], facts["description"]) == (report.protocol, report.description)
    assert facts["speaker_independent"] is True
    assert facts["warning"] is None
    assert (facts["n_clips"], facts["n_speakers"], facts["n_folds"]) == (480, 6, 6)
    assert facts["chance"] == 1 / 7, "an emotion that is not tested cannot be guessed"
    assert facts["card"] == {"model": "lda", "seed": 0}
    assert {"sersk", "python", "numpy", "scikit-learn"} <= facts["versions"].keys()
    for name in ("uar", "wa", "macro_f1"):
        low, high = report.intervals()[name]
        assert facts["figures"][name] == {"value": getattr(report, name), "low": low, "high": high}
    for name in ("log_loss", "brier_score", "calibration_error"):
        assert facts["figures"][name] == {"value": getattr(report, name), "low": None, "high": None}
    emotions = {row["emotion"]: row for row in facts["by_emotion"]}
    assert emotions["sad"]["recall"] is None
    assert emotions["sad"]["clips"] == 0
    named = report.predictions["predicted"] == "calm"
    assert emotions["calm"]["recall"] == report.recalls["calm"]
    assert emotions["calm"]["precision"] == (report.predictions["emotion"][named] == "calm").mean()
    for column in ("speaker", "gender", "corpus"):
        table = pd.DataFrame(facts[f"by_{column}"]).set_index(column)
        pd.testing.assert_frame_equal(table, report.by(column), check_index_type=False)
    assert_array_equal(facts["confusion"], report.confusion)
    bins = pd.DataFrame(facts["calibration"])
    assert_array_equal(bins[["probability", "accuracy", "clips"]], report.calibration)
    assert_array_equal(bins["from"], report.calibration.index / 10)
    assert facts["failures"] == [{"file": "broken.wav", "reason": "is empty"}]
    (section,) = facts["sections"]
    assert section["table"][1] == {"speakers": 5.0, "uar": 0.5, "uar_std": None}
    pd.testing.assert_frame_equal(pd.DataFrame(section["table"]), CURVE)
    assert facts["corpora"][0]["licence"] == "CC BY-NC-SA 4.0"
    assert facts["files"] == [*dict.fromkeys(facts["files"])]
    assert sorted(facts["files"]) == files(folder)


def test_what_is_unknown_is_null(folder):
    write_report(nothing_known(), folder)
    facts = json.loads((folder / "report.json").read_text(), parse_constant=no_constants)
    unknown = ("n_speakers", "by_speaker", "by_gender", "by_corpus", "corpora", "calibration")
    assert {name: facts[name] for name in unknown} == dict.fromkeys(unknown)
    assert facts["figures"]["log_loss"] == {"value": None, "low": None, "high": None}
    assert facts["warning"].startswith("SPEAKERS UNKNOWN: ")
    assert files(folder) == ["card.md", "confusion.png", "predictions.csv", "report.html", "report.json"]


@pytest.mark.parametrize(
    ("report", "pictures"),
    [
        (made_up(), ["confusion", "gender", "reliability", "speaker"]),
        (made_up(n_speakers=1), ["confusion", "reliability"]),
        (
            changed(made_up(), corpus=np.resize(["emodb", "tess"], 480)),
            ["confusion", "corpus", "gender", "reliability", "speaker"],
        ),
    ],
    ids=["all", "one-speaker", "corpora"],
)
def test_there_are_pictures_of_what_differs(report, pictures, folder):
    write_report(report, folder, sections=[dataclasses.replace(SECTION, plot=None)])
    assert [name[:-4] for name in files(folder) if name.endswith(".png")] == pictures
    assert all((folder / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)


# --- the page and the card


class Page(HTMLParser):
    """Notes tags, what they refer to, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            value for name, value in attrs if name in ("src", "href", "srcset", "action", "data", "background")
        ]

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone(folder):
    write_report(made_up(), folder, card={"model": "lda"}, sections=[SECTION])
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.links) == page.tags.count("img") == 5
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not {"script", "link", "iframe", "object", "a", "form", "base"} & {*page.tags}
    assert not re.search(r"https?:|url\(|@import", text)
    assert "default-src 'none'" in text
    assert "width=device-width" in text
    figures = [page.text.index(found) for found in ("lda on ravdess", f"UAR {made_up().uar:.3f}", "WA (weighted")]
    assert figures == sorted(figures), "the most important number is first"
    low, high = made_up().intervals()["uar"]
    assert f"{low:.3f} to {high:.3f}, 95 % interval" in page.text
    assert "By number of speakers" in page.text
    assert "SPEAKER" not in page.text


def test_names_are_text_whatever_is_in_them(folder):
    report = made_up(labels=("happy", NASTY), speaker=lambda k: f"{NASTY}{k}")
    report = changed(report, corpus=NASTY)
    failures = [(NASTY, ValueError(NASTY))]
    section = ReportSection("x", NASTY, NASTY, pd.DataFrame({NASTY: [NASTY]}))
    card = {"model": NASTY, "command": NASTY, NASTY: NASTY}
    write_report(report, folder, card=card, failures=failures, sections=[section])
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.text.count('<script>alert("&")</script>') > 15
    lines = (folder / "card.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "<script>" in line and r"\<script\>" not in line] == [
        "    " + NASTY.replace("\n", " ")  # code, in which there are no tags
    ]
    for start in ("| corpus", "| emotion"):
        at = next(number for number, line in enumerate(lines) if line.startswith(start))
        rows = [re.findall(r"(?<!\\)\|", line) for line in lines[at : at + 3]]
        assert len({*map(len, rows)}) == 1, "no name breaks a table"
    assert read_report(folder).by("speaker").index.tolist() == report.by("speaker").index.tolist()


@pytest.mark.parametrize(
    ("report", "loud"),
    [
        (dataclasses.replace(made_up(), speaker_independent=False), "SPEAKER-DEPENDENT: the same voices were learned"),
        (nothing_known(), "SPEAKERS UNKNOWN: the same voices may have been learned"),
    ],
    ids=["dependent", "unknown"],
)
def test_what_says_nothing_of_new_voices_says_so_loudly(report, loud, folder):
    write_report(report, folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert re.search(rf'<p class="loud" role="alert">{loud}', text)
    assert text.index('role="alert"') < text.index("UAR ")
    assert "is to be expected" not in text
    card = (folder / "card.md").read_text(encoding="utf-8").splitlines()
    assert card[2].startswith(f"> **{loud}")


@pytest.mark.usefixtures("without_pictures")
def test_the_card_tells_what_it_is_for_and_what_not(folder):
    report = made_up(never=("sad",), n_clips=60)
    card = {"model": "svm", "part": "female", "command": "sersk evaluate it"}
    write_report(report, folder, card=card, failures=[("a", "b")])
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: svm on ravdess (female)\n")
    headings = re.findall("^##+ (.*)", card, flags=re.MULTILINE)
    assert headings == ["Intended use", "Data", "How it was estimated", "What it gets right", "By emotion", "By gender",
                        "Limits", "Made by"]  # fmt: skip
    low, high = report.intervals()["uar"]
    assert f"**{report.uar:.3f} ({low:.3f} to {high:.3f})**; guessing gives 0.143" in card
    for told in ("an emotion felt", "CC BY-NC-SA 4.0", "60 clips, 6 speakers. 1 more could not be read",
                 "| sad | 0 | - |", "- Never tested, so that nothing is known of them: sad.",
                 "- Speakers tested: 6. So few say little",
                 "\n    sersk evaluate it\n"):  # fmt: skip
        assert told in card


@pytest.mark.usefixtures("without_pictures")
def test_where_little_is_known_the_card_is_short(folder):
    write_report(changed(made_up(n_speakers=1, n_clips=60)), folder)
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "Speakers tested: 1." in card
    write_report(nothing_known(), folder)
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: Speech emotion recognition\n")
    assert "480 clips, speakers unknown." in card
    assert "| Log loss | not known |" in card
    assert "By gender" not in card


@pytest.mark.usefixtures("without_pictures")
def test_without_matplotlib_there_is_all_but_the_pictures(folder):
    write_report(made_up(), folder, sections=[SECTION])
    assert files(folder) == ["card.md", "predictions.csv", "report.html", "report.json"]
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "img" not in page.tags
    assert "need matplotlib: pip install 'sersk[plot]'" in page.text
    assert "By number of speakers" in page.text


def test_letters_that_the_font_lacks_are_no_reason_to_warn(folder):
    write_report(made_up(labels=("怒り", "sad")), folder)
    assert read_report(folder).labels.tolist() == ["sad", "怒り"]


# --- its place


def test_a_report_replaces_an_earlier_one_as_a_whole(folder):
    write_report(made_up(), folder, sections=[SECTION])
    write_report(nothing_known(), folder)
    assert "learning_curve.png" not in files(folder)
    assert read_report(folder).predictions["speaker"].isna().all()
    assert files(folder.parent) == ["report"], "no draft is left"


@pytest.mark.usefixtures("without_pictures")
def test_an_empty_folder_and_a_link_are_taken(folder):
    folder.mkdir(parents=True)
    link = folder.with_name("link")
    link.symlink_to(folder)
    write_report(made_up(), link)
    assert link.is_symlink()
    assert read_report(folder).uar == made_up().uar


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "mine"}, r"there is 'notes\.txt' in it, which is no part of a report, and a report replaces"),
        ({"report.json": '{"rows": []}'}, r"report\.json: is no report of sersk"),
        ({"report.json": "[]"}, r"report\.json: is no report of sersk"),
        ({"report.json": '{"format": "another"}'}, r"report\.json: is no report of sersk"),
        ({"report.json": '{"format": "sersk evaluation report"}'}, r"report\.json: is no report of sersk"),
        ({"report.json": '{"format": "sersk evaluation report", "schema": 1}'}, r"report\.json: is no report of sersk"),
        ({"report.json": '{"format": "sersk evaluation report", "schema": "x"}'}, r"report\.json: is no report"),
        ({"report.json": "[" * 200_000}, r"report\.json: is no report of sersk"),
        ({"report.json": '{"format": "sersk evaluation report"'}, r"report\.json: is no report of sersk"),
        (
            {"report.json": '{"format": "sersk evaluation report", "schema": 2}'},
            "is of schema 2, and this sersk reads up",
        ),
    ],
)
def test_what_is_no_report_is_not_replaced(content, message, folder):
    folder.mkdir(parents=True)
    for name, text in content.items():
        (folder / name).write_text(text)
    for use in (check_report_folder, lambda where: write_report(made_up(), where)):
        with pytest.raises(ValueError, match=message):
            use(folder)
    assert {name: (folder / name).read_text() for name in files(folder)} == content


@pytest.mark.usefixtures("without_pictures")
def test_what_somebody_put_into_a_report_is_not_lost(folder):
    write_report(made_up(), folder)
    (folder / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"there is 'notes\.txt' in it"):
        write_report(made_up(), folder)


def test_a_file_and_the_folder_one_is_in_are_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"this is a file\. Give the name of a folder"):
        check_report_folder(tmp_path / "file")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^\.: a report replaces its folder as a whole"):
        check_report_folder(".")


@pytest.mark.parametrize("name", ["a/b", "..", "", "a b", "confusion", "speaker", "corpus"])
def test_a_section_has_a_name_of_its_own(name, folder):
    with pytest.raises(ValueError, match=f"sections: expected a name of letters that no picture has yet, got '{name}'"):
        write_report(made_up(), folder, sections=[dataclasses.replace(SECTION, name=name)])
    with pytest.raises(ValueError, match="got 'learning_curve'"):
        write_report(made_up(), folder, sections=[SECTION, SECTION])
    assert not folder.parent.exists()


@pytest.mark.usefixtures("without_pictures")
def test_a_card_of_what_json_has_not_is_refused(folder):
    with pytest.raises(ValueError, match=r"^report\.card\.model: expected what JSON has"):
        write_report(made_up(), folder, card={"model": object()})


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("there", [True, False])
def test_nothing_half_written_is_left_and_the_old_is_kept(there, folder, monkeypatch):
    if there:
        write_report(made_up(), folder)
    before = (folder / "report.json").read_bytes() if there else None

    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="No space left"):
        write_report(nothing_known(), folder)
    assert files(folder.parent) == (["report"] if there else [])
    assert not there or (folder / "report.json").read_bytes() == before


@pytest.mark.usefixtures("without_pictures")
def test_the_old_is_put_back_if_the_new_cannot_take_its_place(folder, monkeypatch):
    write_report(made_up(), folder)
    rename = Path.rename

    def refuse(self, target):
        if Path(target) == folder and self.suffix == ".part":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        write_report(nothing_known(), folder)
    assert read_report(folder).uar == made_up().uar
    assert files(folder.parent) == ["report"]


@pytest.mark.usefixtures("without_pictures")
def test_what_was_changed_is_not_read(folder):
    write_report(made_up(), folder)
    table = folder / report_folder.CSV
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"predictions\.csv: does not fit report\.json beside it"):
        read_report(folder)
    table.write_text("\n".join(lines).replace('"angry"', '"cross"', 1))
    with pytest.raises(ValueError, match=r"predictions\.csv: does not fit report\.json beside it"):
        read_report(folder)
    table.unlink()
    with pytest.raises(FileNotFoundError):
        read_report(folder)
    with pytest.raises(FileNotFoundError):
        read_report(folder.parent)
