"""Commands as people type them: results on stdout, all else on stderr, one line for what goes wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forgery import cheap_features, lda, waveforms
from rich.cells import cell_len
from scipy.io import wavfile
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from typer.testing import CliRunner, Result

from sersk import (
    SpeakerScaler,
    benchmarking,
    cli,
    emotion_pipeline,
    experiments,
    options,
    persistence,
    predict_emotions,
    terminal,
)
from sersk.audio import AudioError
from sersk.augmentation import WAVEFORM_METHODS
from sersk.corpora import make_emotional_speech
from sersk.corpora.loading import LAYOUT_NAMES
from sersk.evaluation import EvaluationReport
from sersk.evaluation.protocols import PROTOCOLS
from sersk.features import AcousticFeatures
from sersk.models import MODEL_NAMES
from sersk.models.augmented import MASKS
from sersk.models.registry import SCALES
from sersk.models.search import STRATEGIES
from sersk.persistence import load_model, read_card, save_model
from sersk.recipes import PRESETS
from sersk.sources import find_clips

EMOTIONS = ["angry", "happy", "sad"]
EIGHT = ["angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"]


def sersk(*arguments: object, **options: object) -> Result:
    """Run a command in this process; what it does not catch is the test's error."""
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, [str(one) for one in arguments], **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def errors(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]


def fit(*arguments: object) -> Result:
    """Train on few features, which is fast."""
    return sersk("fit", *arguments, "--features", "means-180", "--jobs", 1)


def write_clip(file: Path, number: int = 0) -> Path:
    wavfile.write(file, 16000, waveforms()[number].astype(np.float32))
    return file


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the folder that they are called from."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), EMOTIONS * 6)
    return save_model(fitted, tmp_path_factory.mktemp("model") / "model.sersk")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips, one of each emotion, and two files that are none."""
    folder = tmp_path / "some clips"
    folder.mkdir()
    for number, name in enumerate(["a.wav", "bär b.wav", "c.wav"]):
        write_clip(folder / name, number)
    (folder / "text.wav").write_text("no audio")
    (folder / "void.wav").touch()
    return folder


# --- the command line itself


def test_the_names_that_options_take_are_the_library_s():
    assert options.LAYOUTS == LAYOUT_NAMES
    assert options.MODELS == MODEL_NAMES
    assert set(options.PRESETS) == set(PRESETS)
    assert options.SCALES == SCALES
    assert (*benchmarking.RECIPES,) == options.RECIPES
    assert options.PROTOCOLS == PROTOCOLS
    assert set(options.SEARCHES) == set(STRATEGIES)
    assert (*WAVEFORM_METHODS, *MASKS) == options.AUGMENTATIONS


@pytest.mark.parametrize(
    ("command", "option", "names"),
    [
        ("fit", "--layout", options.LAYOUTS),
        ("fit", "--model", options.MODELS),
        ("fit", "--search", options.SEARCHES),
        ("fit", "--features", options.PRESETS),
        ("fit", "--protocol", options.PROTOCOLS),
        ("fit", "--by", options.BY),
        ("evaluate", "--model", options.MODELS),
        ("evaluate", "--by", options.BY),
        ("features", "--layout", options.LAYOUTS),
        ("features", "--features", options.PRESETS),
    ],
)
def test_an_unknown_name_is_refused_at_once_and_the_known_ones_are_told(command, option, names):
    result = sersk(command, "no such corpus", option, "svn")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"there is no 'svn'; choose one of {', '.join(names)}." in result.stderr
    assert "no such corpus" not in result.stderr
    told = " ".join(sersk(command, "--help").stdout.split()).replace("- ", "-")  # a name may be broken at its hyphen
    assert f": {', '.join(names)}." in told


@pytest.mark.parametrize("arguments", [[], ["fit"], ["evaluate"], ["predict"], ["features"]])
def test_help_fits_a_terminal_of_80_columns(arguments):
    result = sersk(*arguments, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_without_arguments_there_is_help():
    assert "fit" in sersk().output
    assert "Missing argument 'CORPUS'" in sersk("fit").stderr


def test_python_m_sersk_is_the_command():
    done = subprocess.run([sys.executable, "-m", "sersk", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"sersk \d+\.\d+\.\S+\n", done.stdout)
    assert sersk("--version").stdout == done.stdout


# --- what goes wrong


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (ValueError("two\n  lines"), "error: two lines"),
        (AudioError("a\tb.wav", "is empty"), "error: a\\tb.wav: is empty"),
        (PermissionError(13, "Permission denied", "demo"), "error: demo: Permission denied"),
        (OSError("no space"), "error: no space"),
        (ImportError("pip install it"), "error: pip install it"),
    ],
)
def test_what_the_library_raises_is_one_line_without_traceback(raised, line, corpus, monkeypatch):
    def fail(*_args, **_options):
        raise raised

    monkeypatch.setattr(experiments, "prepare_experiments", fail)
    result = fit(corpus)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[1:] == [line]


def test_a_fault_of_ours_shows_its_traceback(corpus, monkeypatch):
    monkeypatch.setattr(experiments, "prepare_experiments", lambda *_args, **_options: {}["fault"])
    with pytest.raises(KeyError, match="fault"):
        fit(corpus)


@pytest.mark.parametrize("fails_again", [False, True])
def test_an_interrupted_command_ends_with_130_and_one_word(fails_again, corpus, monkeypatch):
    def interrupt(*_args, **_options):
        try:
            raise KeyboardInterrupt
        finally:
            if fails_again:  # as joblib does when its workers are about to start
                raise RuntimeError("cannot join thread before it is started")

    monkeypatch.setattr(experiments, "prepare_experiments", interrupt)
    result = fit(corpus)
    assert result.exit_code == 130
    assert result.stderr.endswith("\ninterrupted\n")


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_on_stderr(tmp_path):
    (tmp_path / "clips" / "happy").mkdir(parents=True)
    for number in (1, 2):
        write_clip(tmp_path / "clips" / "happy" / f"{number}.wav")
    result = sersk("features", "clips", "--layout", "folders", "--features", "means-180", "--jobs", 1)
    assert result.exit_code == 0
    assert sum("files with the same bytes" in line for line in result.stderr.splitlines()) == 1
    assert result.stderr.startswith("warning: ")


# --- fit


def test_fit_demo_trains_tells_what_the_model_is_worth_and_saves_it(tmp_path):
    for _ in range(2):  # a second run finds its own files
        result = fit("demo", "--out", "a model.sersk")
        assert result.exit_code == 0
        assert "SYNTHETIC" in result.stderr
        assert "216 clips, 6 emotions, 6 speakers" in result.stderr
        assert re.search("features .* 216/216", result.stderr)
        assert re.search("evaluation .* 100%", result.stderr)
        assert re.search(r"saved a model.sersk \(\d+ kB\): lda, trained on 216 clips", result.stderr)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a model.sersk", "sersk-demo"]
    uar, low, high = re.search(r"UAR (0\.\d+) .* 95 % interval (0\.\d+) to (0\.\d+)\)", result.stdout).groups()
    (wa,) = re.search(r"\nWA (0\.\d+) \(weighted accuracy\)   macro F1 0\.\d+   ECE 0\.\d+ ", result.stdout).groups()
    assert float(low) < float(uar) < float(high)
    card = read_card("a model.sersk")
    assert card["metrics"]["speaker_independent"]
    assert (float(uar), float(wa)) == pytest.approx((card["metrics"]["uar"], card["metrics"]["wa"]), abs=6e-4)
    assert (card["corpora"], card["n_clips"], card["n_speakers"], card["model"]) == (["synthetic"], 216, 6, "lda")
    lines = result.stdout.splitlines()
    assert lines[0] == "Estimate: leave one speaker out, 6 speakers"
    assert lines[-6].split()[0] == "angry"
    assert sum(int(count.replace(".", "0")) for line in lines[-6:] for count in line.split()[1:-1]) == 216
    result = sersk("predict", "sersk-demo/F1/F1_sad_01.wav", "--model", "a model.sersk")
    assert (result.exit_code, result.stdout.split("\t")[1]) == (0, "sad")


def test_fit_takes_several_corpora_a_search_and_a_cache(corpus, tmp_path):
    emodb = tmp_path / "emodb"
    emodb.mkdir()
    for number, name in enumerate(["03a01Wa", "03a01Fa", "03a01Ta", "08a01Wa", "08a01Fa", "08a01Ta"]):
        write_clip(emodb / f"{name}.wav", number)
    result = fit(corpus, emodb, "--search", "grid", "--cache", "cache", "--seed", 1, "--model", "logistic")
    assert result.exit_code == 0
    assert "24 clips, 3 emotions, 5 speakers" in result.stderr
    assert re.search(r"\nBest setting: C=[\d.]+\n", result.stdout)
    card = read_card("model.sersk")
    assert card["corpora"] == ["emodb", "synthetic"]
    assert list(card["best_params"]) == ["classifier__estimator__C"]
    assert load_model("model.sersk")[0].memory is None
    assert any(Path("cache").rglob("output.pkl"))


def test_fit_leaves_out_what_cannot_be_read_and_says_so(tmp_path):
    make_emotional_speech("corpus", emotions=EMOTIONS, n_speakers=2, n_repetitions=2, duration=0.5)
    Path("corpus/F1/F1_sad_01.wav").write_bytes(b"")
    result = fit("corpus")
    assert result.exit_code == 1
    assert errors(result) == [f"error: {Path('corpus/F1/F1_sad_01.wav')}: is empty (0 bytes)"]
    assert result.stderr.endswith("1 of 12 clips could not be read\n")
    assert read_card("model.sersk")["n_clips"] == 11
    assert "UAR" in result.stdout


def test_speakers_that_are_not_known_are_told(tmp_path):
    for number, emotion in enumerate(EMOTIONS * 2):
        (tmp_path / "clips" / emotion).mkdir(parents=True, exist_ok=True)
        write_clip(tmp_path / "clips" / emotion / f"{number}.wav", number)
    result = fit("clips", "--model", "svm")
    assert result.exit_code == 0
    assert "6 clips, 3 emotions, speakers unknown" in result.stderr
    assert "SPEAKER-DEPENDENT" in result.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("command", "out", "reason"),
    [
        ("fit", "folder", "this is a folder. Give the name of a file."),
        ("fit", os.devnull, "this is no file. Give the name of a file."),
        ("fit", "none/model", "cannot write to the folder none (No such file or directory)."),
        ("features", "folder.csv", "this is a folder. Give the name of a file."),
        ("features", "none/t.csv", "cannot write to the folder none (No such file or directory)."),
    ],
)
def test_a_place_where_nothing_can_be_written_is_refused_at_once(command, out, reason, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    result = sersk(command, "no such corpus", "--out", out)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"error: --out {out}: {reason}\n")


def test_a_folder_that_may_not_be_written_is_refused_at_once(monkeypatch):
    def refuse(**_options):
        raise PermissionError(13, "Permission denied", "/")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # the super-user may write anywhere
    result = fit("no such corpus", "--out", "model.sersk")
    assert result.stderr == "error: --out model.sersk: cannot write to the folder . (Permission denied).\n"


def test_a_protocol_that_does_not_fit_is_refused_before_the_extraction(corpus, monkeypatch):
    monkeypatch.setattr(AcousticFeatures, "extract", None)
    result = fit(corpus, "--protocol", "ravdess-6")
    assert result.exit_code == 2
    assert "error: Protocol 'ravdess-6' needs the 24 actors" in result.stderr


def test_demo_stands_alone(corpus):
    assert errors(fit(corpus, "demo")) == [
        "error: 'demo' stands alone. If you mean a folder of that name, write ./demo."
    ]


@pytest.mark.parametrize("arguments", [["none"], ["none", "demo2"], ["."]])
def test_a_corpus_that_is_none_is_named(arguments):
    result = fit(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == len(errors(result)) == 1
    assert arguments[0] in errors(result)[0]


# --- fit --by gender, and evaluate


@pytest.fixture(scope="module")
def couples(tmp_path_factory) -> Path:
    """Two women and two men."""
    folder = tmp_path_factory.mktemp("couples")
    make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=4, n_repetitions=2, duration=0.5)
    return folder


def tables(stdout: str) -> dict[str, str]:
    """Part the output into the reports and what follows the last of them."""
    first, *parts = re.split(r"^--- (\w+)\n\n", stdout, flags=re.MULTILINE)
    assert first == ""
    reports = dict(zip(parts[::2], parts[1::2], strict=True))
    last = list(reports)[-1]
    reports[last], reports["comparison"] = reports[last].split("\n\nThe same clips")
    return reports


def test_by_gender_there_are_three_models_and_a_fair_comparison(couples, tmp_path):
    result = fit(couples, "--by", "gender", "--out", "a.sersk")
    assert result.exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-female.sersk", "a-male.sersk", "a.sersk"]
    assert result.stderr.count("24/24") == 1, "the features are computed once"
    assert "The folds differ" not in result.stdout
    shown = tables(result.stdout)
    assert list(shown) == ["mixed", "female", "male", "comparison"]
    rows = [line.split() for line in shown["comparison"].splitlines()[2:]]
    figures = {}
    for part, name in [("mixed", "a.sersk"), ("female", "a-female.sersk"), ("male", "a-male.sersk")]:
        card = read_card(name)
        figures[part] = [f"{card['metrics'][figure]:.3f}" for figure in ("uar", "wa")]
        assert f"UAR {figures[part][0]} (unweighted average recall; 95 % interval " in shown[part]
        assert f"\nWA {figures[part][1]} (weighted accuracy)   macro F1 " in shown[part]
        assert (card["n_clips"], card.get("gender")) == ((24, None) if part == "mixed" else (12, part))
        assert card["n_speakers"] == (4 if part == "mixed" else 2)
        assert f"saved {name} (" in result.stderr
        assert load_model(name).predict([str(couples / "M1" / "M1_sad_01.wav")])[0] in EMOTIONS
    assert rows[0] == ["all", "24", *figures["mixed"], "loso"]
    assert [row[:2] for row in rows[1:]] == [["female", "12"], ["male", "12"]]
    assert [[row[3], *row[5:]] for row in rows[1:]] == [[*figures["female"], "loso"], [*figures["male"], "loso"]]
    # What the mixed model gets right of each gender adds up to what it gets right of all.
    assert np.mean([float(row[4]) for row in rows[1:]]) == pytest.approx(float(rows[0][3]), abs=2e-3)


def test_evaluate_tells_what_fit_tells_and_writes_nothing(couples, tmp_path):
    for more in [["--by", "gender"], ["--model", "logistic", "--protocol", "speaker-folds"]]:
        told = fit(couples, *more, "--out", tmp_path / "a.sersk").stdout
        for file in tmp_path.iterdir():
            file.unlink()
        result = sersk("evaluate", couples, *more, "--features", "means-180", "--jobs", 1)
        assert (result.exit_code, result.stdout) == (0, told)
        assert "training on all clips" not in result.stderr
        assert not list(tmp_path.iterdir())


def test_evaluate_searches_and_leaves_out_what_cannot_be_read(tmp_path):
    make_emotional_speech("corpus", emotions=EMOTIONS, n_speakers=2, n_repetitions=3, duration=0.5)
    Path("corpus/F1/F1_sad_01.wav").write_bytes(b"")
    few = "--features", "means-180", "--jobs", 1, "--cache", "cache", "--seed", 1
    result = sersk("evaluate", "corpus", *few, "--search", "grid", "--model", "logistic", "--layout", "manifest")
    assert result.exit_code == 1
    assert errors(result) == [f"error: {Path('corpus/F1/F1_sad_01.wav')}: is empty (0 bytes)"]
    assert result.stderr.endswith("1 of 18 clips could not be read\n")
    assert "Best setting" not in result.stdout, "each fold has its own"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "corpus"]


def test_a_gender_with_one_speaker_is_told_to_be_no_fair_match(tmp_path):
    make_emotional_speech("corpus", emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)
    result = sersk("evaluate", "corpus", "--by", "gender", "--features", "means-180", "--jobs", 1)
    assert result.exit_code == 0
    told = result.stdout.splitlines()
    assert told[-2].startswith("The folds differ, and so do the numbers of speakers learned from")
    rows = [line.split() for line in told[-6:-3]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("all", "18", "loso"),
        ("female", "12", "loso"),
        ("male", "6", "SPEAKER-DEPENDENT"),
    ]


@pytest.mark.filterwarnings("default")
def test_clips_without_a_speaker_are_no_speaker_and_are_warned_of(couples):
    table = pd.read_csv(couples / "manifest.csv").assign(file=lambda table: [couples / file for file in table["file"]])
    table.assign(speaker=table["speaker"].where(table.index > 1)).drop(columns="corpus").to_csv("some.csv", index=False)
    result = fit("some.csv")
    assert result.exit_code == 0
    (warning,) = (line for line in result.stderr.splitlines() if line.startswith("warning: "))
    assert warning.startswith("warning: clips without a speaker: 2 of 24, any of which may be of a tested speaker; ")
    assert "24 clips, 3 emotions, 4 speakers; 2 clips without a speaker\n" in result.stderr
    assert "leave one speaker out, 4 speakers; not tested: 2 clips without a speaker" in result.stdout
    card = read_card("model.sersk")
    assert (card["n_clips"], card["n_speakers"]) == (24, 4)
    audited = sersk("audit", "some.csv", "--no-leak", "--jobs", 1)
    assert "\n4 speakers: 4 to 6 clips each\n" in audited.stdout
    assert (
        "WARNING [2 clips] speakers of some clips are unknown: they may be of one who is trained on" in audited.stdout
    )


@pytest.mark.filterwarnings("default")
def test_clips_of_unknown_gender_are_told_and_without_any_the_cure(couples, tmp_path):
    table = pd.read_csv(couples / "manifest.csv").assign(file=lambda table: [couples / file for file in table["file"]])
    table.assign(gender=table["gender"].where(table.index > 0)).to_csv("some.csv", index=False)
    result = sersk("evaluate", "some.csv", "--by", "gender", "--features", "means-180", "--jobs", 1)
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if line.startswith("warning: ")] == [
        f"warning: clips whose gender is unknown, in no part: 1 of 24: {table['file'][0]}"
    ]
    table.drop(columns="gender").to_csv("none.csv", index=False)
    for command in ("evaluate", "fit"):
        result = sersk(command, "none.csv", "--by", "gender")
        assert (result.exit_code, result.stdout) == (2, "")
        assert errors(result) == [
            "error: by='gender': no clip of this corpus has a known gender. Give a manifest (CSV or TSV) with the "
            "columns file, emotion and gender."
        ]


def test_a_place_for_the_model_of_a_part_is_checked_before_the_extraction(couples, monkeypatch):
    monkeypatch.setattr(AcousticFeatures, "extract", None)
    Path("model-male.sersk").mkdir()
    assert errors(fit(couples, "--by", "gender")) == [
        "error: --out model-male.sersk: this is a folder. Give the name of a file."
    ]


# --- fit --augment


def test_fit_trains_on_altered_copies(corpus):
    plain = fit(corpus).stdout
    result = fit(corpus, "--augment", "noise,gain,")
    assert result.exit_code == 0
    assert "54/54" in result.stderr, "18 clips and two copies of each"
    assert result.stdout != plain
    card = read_card("model.sersk")
    assert (card["n_clips"], card["copies"]) == (18, ["noise", "gain"])
    same = sersk("evaluate", corpus, "--augment", "noise,gain", "--features", "means-180", "--jobs", 1)
    assert same.stdout == result.stdout
    assert fit(corpus, "--augment", "none").stdout == plain


def test_without_a_word_a_model_gets_the_copies_that_are_best_for_it(corpus, monkeypatch):
    named = fit(corpus, "--augment", "gain").stdout
    plain = fit(corpus).stdout
    monkeypatch.setattr(experiments, "training_copies", {"lda": ("gain",)}.get)
    assert fit(corpus).stdout == named
    assert fit(corpus, "--augment", "none").stdout == plain != named


def test_an_augmentation_that_is_none_or_does_not_fit_is_refused(corpus):
    result = fit("no such corpus", "--augment", "noise,nose")
    assert (result.exit_code, result.stdout) == (2, "")
    told = " ".join(result.stderr.split())
    assert f"there is no 'nose'; give none, or some of {', '.join(options.AUGMENTATIONS)}, with commas." in told
    assert errors(fit(corpus, "--augment", "time_mask")) == [
        "error: time_mask: this model learns from vectors, and masks hide frames of sequences."
    ]


# --- networks


class Network(ClassifierMixin, BaseEstimator):
    """Stands in for a network: keeps a file for each of its fits, and is interrupted in the fit that it is told."""

    interrupted_in: int | None = None
    found: list[int]

    def __init__(self, checkpoint=None, verbose=0):
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X, y):
        if self.checkpoint is not None:
            folder = Path(self.checkpoint)
            folder.mkdir(exist_ok=True)
            n_done = len(list(folder.iterdir()))
            self.found.append(n_done)
            (folder / str(n_done)).touch()
            if n_done == type(self).interrupted_in:
                raise KeyboardInterrupt
        assert self.verbose == 1
        self.history_, self.best_epoch_ = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}, 1
        self.histories_ = [self.history_] * (2 if len(X) > 18 else 1)
        self.estimator_ = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(X, y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X):
        return self.estimator_.predict(X)


@pytest.fixture
def network(monkeypatch):
    """Let --model lstm be the stand-in."""
    pipeline = emotion_pipeline(Network(), features=cheap_features())
    monkeypatch.setattr(experiments, "emotion_pipeline", lambda *_args, **_options: clone(pipeline))
    monkeypatch.setattr(experiments, "training_copies", lambda _model: ())
    monkeypatch.setattr(Network, "found", [], raising=False)
    return Network


CHECKPOINT = Path(".model.sersk.checkpoint")
with_network = pytest.mark.filterwarnings("ignore:.*can only be loaded by:UserWarning")


@with_network
def test_curves_are_drawn_of_what_is_trained_on_all_clips(network, couples, tmp_path):
    result = sersk("fit", couples, "--model", "lstm", "--curves", "curves.png", "--by", "gender")
    assert result.exit_code == 0
    models, pictures = [["model-female", "model-male", "model"], ["curves-female", "curves-male", "curves"]]
    names = [f"{name}.sersk" for name in models] + [f"{name}.png" for name in pictures]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names), "no checkpoint is left"
    assert all(Path(f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert network.found == list(range(5 + 3 + 3))  # folds and all clips, one after the other
    assert "evaluation: fold 4 of 4\ntraining on all clips\nsaved model.sersk" in result.stderr
    assert "━" not in result.stderr.split("mixed: 24 clips")[1], "the network has a bar of its own"
    sersk("fit", couples, "--model", "lstm", "--curves", "c.SVG", "--by", "gender")
    told = "; the first of 2 networks"
    titles = {name: re.findall("<!-- (lstm.*) -->", Path(name).read_text()) for name in ("c.SVG", "c-male.SVG")}
    assert titles == {"c.SVG": [f"lstm, trained on 24 clips{told}"], "c-male.SVG": ["lstm, trained on 12 clips"]}


@with_network
def test_an_interrupted_training_goes_on_where_it_was(network, corpus, monkeypatch):
    monkeypatch.setattr(network, "interrupted_in", 2)
    result = sersk("fit", corpus, "--model", "lstm")
    assert result.exit_code == 130
    assert result.stderr.endswith("\ninterrupted; the same command with --resume goes on from there\n")
    assert len(list(CHECKPOINT.iterdir())) == 3
    assert not Path("model.sersk").exists()
    assert sersk("fit", corpus, "--model", "lstm", "--protocol", "ravdess-6").exit_code == 2
    assert len(list(CHECKPOINT.iterdir())) == 3, "a command that is refused does no harm"
    result = sersk("fit", corpus, "--model", "lstm", "--resume")
    assert result.exit_code == 0
    assert network.found == [0, 1, 2, 3, 4, 5, 6]
    assert "nothing to go on from" not in result.stderr
    assert Path("model.sersk").exists()
    assert not CHECKPOINT.exists()


@with_network
def test_without_resume_a_training_begins_anew(network, corpus):
    CHECKPOINT.mkdir()
    (CHECKPOINT / "old").touch()
    assert sersk("fit", corpus, "--model", "lstm").exit_code == 0
    assert network.found == [0, 1, 2, 3]
    result = sersk("fit", corpus, "--model", "lstm", "--resume")
    assert result.exit_code == 0
    assert f"--resume: nothing to go on from, since {CHECKPOINT} is not there; starting from" in result.stderr


@with_network
def test_an_interruption_before_the_training_leaves_nothing_to_resume(network, corpus, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(AcousticFeatures, "extract", interrupt)
    result = sersk("fit", corpus, "--model", "lstm")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "interrupted")


@with_network
def test_evaluate_keeps_no_checkpoint(network, corpus, tmp_path):
    result = sersk("evaluate", corpus, "--model", "lstm")
    assert result.exit_code == 0
    assert "evaluation: fold 3 of 3" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--curves", "c.png"], "--curves: lda is not trained in epochs; that is for lstm, cnn-lstm, cnn, "),
        (["--resume"], "--resume: lda is not trained in epochs; that is for lstm, cnn-lstm, cnn, "),
        (["--model", "lstm", "--curves", "c.jpg"], "--curves c.jpg: expected a name that ends in .png, .pdf, .svg."),
        (["--model", "lstm", "--curves", "none/c.png"], "--curves none/c.png: cannot write to the folder none ("),
        (["--model", "cnn", "--features", "mfcc-40"], "--features mfcc-40: the network cnn has features of its own. "),
    ],
)
def test_what_does_not_fit_a_model_is_refused_at_once(arguments, message):
    result = sersk("fit", "no such corpus", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1


def test_evaluate_refuses_the_features_of_others_for_a_network():
    assert errors(sersk("evaluate", "none", "--model", "cnn", "--features", "mfcc-40")) == [
        "error: --features mfcc-40: the network cnn has features of its own. Leave the option out."
    ]


def test_curves_need_matplotlib(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert errors(sersk("fit", "none", "--model", "lstm", "--curves", "c.png")) == [
        "error: --curves needs matplotlib: pip install 'sersk[plot]'"
    ]


# --- the confusion matrix


def report(labels: list[str], n_clips: int = 1440) -> EvaluationReport:
    random = np.random.RandomState(0)
    table = pd.DataFrame({"emotion": random.choice(labels, n_clips)})
    table["predicted"] = np.where(random.rand(n_clips) < 0.9, table["emotion"], random.choice(labels, n_clips))
    table["speaker"] = "one and only"
    return EvaluationReport("loso", "of a test", True, np.array(sorted(labels)), table)


@pytest.mark.parametrize(
    ("labels", "columns", "head"),
    [
        (EIGHT, 80, "angry calm disgust fearful happy neutral sad surprised recall"),
        (EIGHT, 60, "ang cal dis fea hap neu sad sur recall"),
        ([*EIGHT, "bored"], 80, "angry bored calm disgu fearf happy neutr sad surpr recall"),
        (EIGHT, 20, "ang cal dis fea hap neu sad sur recall"),  # longer lines, but not broken up
        (["a", "b"], 80, "a b recall"),
        (["[red]x", "Ärger", "怒り"], 80, "[red]x Ärger 怒り recall"),
        (["a\nb", "c"], 80, r"a\nb c recall"),
    ],
)
def test_the_confusion_matrix_fits_the_terminal(labels, columns, head, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    made = report(labels)
    terminal.show_report(made)
    first, *rows = capsys.readouterr().out.splitlines()[5:]
    assert first.split() == head.split()
    assert len({cell_len(line) for line in [first, *rows]}) == 1
    assert cell_len(first) <= max(columns, 57)
    counts = [[int(cell.replace(".", "0")) for cell in row.split()[1:-1]] for row in rows]
    np.testing.assert_array_equal(counts, made.confusion)
    assert [float(row.split()[-1]) for row in rows] == pytest.approx(list(made.recalls.values()), abs=5e-4)


def test_what_is_not_known_is_not_told(capsys):
    made = report(["a", "b"])
    made.predictions["emotion"] = "a"
    terminal.show_report(made)
    told = capsys.readouterr().out.splitlines()
    assert told[1] == f"UAR {made.uar:.3f} (unweighted average recall)", "one speaker tells no interval"
    assert told[2] == f"WA {made.wa:.3f} (weighted accuracy)   macro F1 {made.macro_f1:.3f}", "no probabilities"
    assert told[-1].split() == ["b", ".", ".", "-"]


def test_colours_are_for_terminals_only(monkeypatch, capsys):
    terminal.show_report(report(["a", "b"]))
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.show_report(report(["a", "b"]))
    assert set(re.findall(r"\x1b\[\d*m", capsys.readouterr().out)) == {"\x1b[1m", "\x1b[0m"}  # bold is no colour


# --- predict


def test_predict_names_the_emotion_of_good_clips_and_tells_the_bad_ones(folder, model):
    result = sersk("predict", "some clips", "none.wav", "--model", model)
    assert result.exit_code == 1
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    files = [str(Path("some clips", name)) for name in ["a.wav", "bär b.wav", "c.wav"]]
    assert [row[:2] for row in rows] == [list(pair) for pair in zip(files, EMOTIONS, strict=True)]
    assert all(0.5 < float(row[2]) <= 1 for row in rows)
    text, void, none = errors(result)
    assert text.startswith(f"error: {Path('some clips', 'text.wav')}: is not audio")
    assert void == f"error: {Path('some clips', 'void.wav')}: is empty (0 bytes)"
    assert none == "error: none.wav: no such file"
    assert result.stderr.endswith("\n3 of 6 clips could not be read\n")


def test_predict_shows_all_probabilities(folder, model):
    files = ["some clips/a.wav", "some clips/c.wav"]
    expected = load_model(model).predict_proba(files)
    plain = sersk("predict", *files, "--model", model, "--proba")
    assert plain.exit_code == 0
    for line, row in zip(plain.stdout.splitlines(), expected, strict=True):
        assert line.split("\t")[3:] == [f"{name} {chance:.2f}" for name, chance in zip(EMOTIONS, row, strict=True)]
    table = pd.read_csv(io.StringIO(sersk("predict", *files, "--model", model, "--proba", "--csv").stdout))
    assert table.columns.tolist() == ["file", "speech", "emotion", "probability", *EMOTIONS, "reason"]
    np.testing.assert_allclose(table[EMOTIONS], expected, atol=1e-6)
    np.testing.assert_allclose(table["probability"], expected.max(axis=1), atol=1e-6)
    lines = sersk("predict", *files, "--model", model, "--proba", "--json").stdout.splitlines()
    for line, row, file in zip(lines, expected, files, strict=True):
        record = json.loads(line)
        assert list(record) == ["file", "speech", "emotion", "probability", "probabilities"]
        assert (record["file"], list(record["probabilities"])) == (file, EMOTIONS)
        np.testing.assert_allclose(list(record["probabilities"].values()), row, atol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_no_file_name_breaks_the_output(model, tmp_path):
    names = ["bell\a.wav", "line\nbreak.wav", 'quote"s, and\ttabs.wav', "return\r.wav", "ümläut.wav"]
    for name in names:
        write_clip(tmp_path / name)
    plain = sersk("predict", *names, "--model", model).stdout
    assert [line.split("\t")[0] for line in plain.splitlines()] == [
        r"bell\x07.wav", r"line\nbreak.wav", 'quote"s, and\\ttabs.wav', r"return\r.wav", "ümläut.wav",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(sersk("predict", *names, "--model", model, "--csv").stdout, newline="")))
    assert [row["file"] for row in rows] == names
    lines = sersk("predict", *names, "--model", model, "--json").stdout.split("\n")[:-1]
    assert [json.loads(line)["file"] for line in lines] == names
    assert list(json.loads(lines[0])) == ["file", "speech", "emotion", "probability"]
    assert "ümläut" in lines[-1]
    table = "features", *names, "--features", "means-180", "--jobs", 1, "--out"
    for out, read in [("t.csv", pd.read_csv), ("t.parquet", pd.read_parquet)]:
        assert sersk(*table, out).exit_code == 0
        assert read(out)["file"].tolist() == names
    assert errors(sersk("predict", "none\n\x1b31m.wav", "--model", model)) == [
        r"error: none\n\x1b31m.wav: no such file"
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("given", ["some clips", "some clips/*"])
def test_a_folder_drops_no_audio_in_silence(given, model, folder):
    write_clip(folder / "no extension")
    (folder / "phone.weird").write_bytes(b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + b"\0" * 99)
    (folder / "gone.m4a").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.wav")
    result = sersk("predict", given, "--model", model)
    assert result.exit_code == 1
    assert [Path(line.split("\t")[0]).name for line in result.stdout.splitlines()] == [
        "a.wav", "bär b.wav", "c.wav", "no extension",
    ]  # fmt: skip
    told = {Path(line.removeprefix("error: ").split(": ")[0]).name: line for line in errors(result)}
    assert {*told} == {"gone.m4a", "phone.weird", "pipe.wav", "text.wav", "void.wav"}
    assert told["pipe.wav"].endswith("is no regular file")
    assert told["gone.m4a"].endswith("no such file")
    assert result.stderr.endswith("\n5 of 9 clips could not be read\n")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_told_and_passed_over(model, folder):
    (folder / "c.wav").rename(folder / "c\udcff.wav")
    result = sersk("predict", folder, "--model", model)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert r"c\udcff.wav: its name is no valid text; rename it" in errors(result)[0]


def test_output_that_has_no_umlauts_gets_escapes(model, folder):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "sersk", "predict", folder / "bär b.wav", "--model", model, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert rb"b\u00e4r b.wav" in done.stdout
    assert json.loads(done.stdout)["file"] == str(folder / "bär b.wav")


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_where_no_clip_can_be_read_there_are_no_results(form, folder, model):
    result = sersk("predict", folder / "void.wav", "--model", model, *form)
    assert result.exit_code == 1
    assert result.stdout == ("file,speech,emotion,probability,reason\n" if form == ["--csv"] else "")


def test_patterns_match_files_and_what_yields_none_is_told(folder, model):
    (folder / "folder.wav").mkdir()
    result = sersk("predict", "some clips/?.wav", "some*/bär*", "some clips/[xyz].wav", "some clips/folder.wav",
                   "--model", model)  # fmt: skip
    assert result.exit_code == 1
    assert [Path(line.split("\t")[0]).name for line in result.stdout.splitlines()] == ["a.wav", "c.wav", "bär b.wav"]
    assert errors(result) == [
        "error: some clips/[xyz].wav: no file matches the pattern",
        "error: some clips/folder.wav: the folder holds no audio files",
    ]
    (folder / "c.wav").rename(folder / "c[1].wav")
    assert sersk("predict", "some clips/c[1].wav", "--model", model).exit_code == 0


def test_audio_is_taken_from_stdin(folder, model):
    command = [sys.executable, "-m", "sersk", "predict", "-", "--model", model]
    for content, told in [((folder / "a.wav").read_bytes(), "<stdin>\tangry\t"), (b"", "error: <stdin>: is empty")]:
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        assert (done.stdout if content else done.stderr).decode().startswith(told)
        assert done.returncode == (0 if content else 1)


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stdin", [Keyboard(), None], ids=["keyboard", "closed"])
def test_a_stdin_without_audio_is_refused(stdin, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(ValueError, match=r"- reads audio from stdin, and there is none\. Pipe a file into it\."):
        find_clips(["-"])


def test_results_come_in_pieces_under_one_header(folder, model, monkeypatch):
    monkeypatch.setattr("sersk.cli.prediction._CHUNK", 2)
    result = sersk("predict", folder, "--model", model, "--csv")
    assert result.exit_code == 1
    table = pd.read_csv(io.StringIO(result.stdout))
    assert table["emotion"].tolist() == EMOTIONS
    assert len(errors(result)) == 2


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
@pytest.mark.parametrize("command", ["predict {clips} --model {model} --csv", "features {clips} --jobs 1 --out -"])
def test_a_reader_that_goes_away_gets_what_it_wanted(command, folder, model):
    for number in range(40):
        write_clip(folder / f"{number}.wav", number % 18)
    command = command.format(clips="'some clips'/*.wav", model=model)
    pipe = f"set -o pipefail; '{sys.executable}' -m sersk {command} | head -c 4"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert done.stdout == "file"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "Broken pipe" not in done.stderr


def test_labels_may_be_numbers_or_the_names_of_columns(folder, tmp_path):
    labels = [["file", "probability", "error"], [0, 1, 2]]
    for names in labels:
        fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), names * 6)
        save_model(fitted, "odd.sersk")
        result = sersk("predict", "some clips/c.wav", "--model", "odd.sersk", "--json", "--proba")
        assert json.loads(result.stdout)["emotion"] == names[2]
        assert list(json.loads(result.stdout)["probabilities"]) == [str(name) for name in fitted.classes_]
        result = sersk("predict", "some clips/c.wav", "--model", "odd.sersk", "--csv")
        assert result.stdout.startswith(
            f"file,speech,emotion,probability,reason\nsome clips/c.wav,1.000000,{names[2]},1.0"
        )


def test_a_model_without_probabilities_names_emotions_only(folder):
    save_model(make_pipeline(cheap_features(), SVC()).fit(waveforms(), EMOTIONS * 6), "svc.sersk")
    file = "some clips/c.wav"
    assert sersk("predict", file, "--model", "svc.sersk").stdout == f"{file}\tsad\n"
    assert (
        sersk("predict", file, "--model", "svc.sersk", "--csv").stdout
        == f"file,speech,emotion,reason\n{file},1.000000,sad,\n"
    )
    assert json.loads(sersk("predict", file, "--model", "svc.sersk", "--json").stdout) == {
        "file": file,
        "speech": 1.0,
        "emotion": "sad",
    }
    result = sersk("predict", file, "--model", "svc.sersk", "--proba")
    assert (result.exit_code, errors(result)) == (2, ["error: --proba: this model gives no probabilities."])


def test_json_and_csv_exclude_each_other(folder, model):
    result = sersk("predict", folder, "--model", model, "--json", "--csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--json, --csv and --out exclude each other." in result.stderr


@pytest.fixture
def silence(folder: Path) -> str:
    wavfile.write(folder / "silence.wav", 16000, np.zeros(16000, dtype=np.int16))
    return str(Path("some clips", "silence.wav"))


def test_silence_has_no_emotion_and_is_no_failure(silence, model):
    result = sersk("predict", silence, "--model", model)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{silence}\tno speech\n", "")
    result = sersk("predict", silence, "some clips/a.wav", "--model", model, "--json", "--proba")
    silent, spoken = map(json.loads, result.stdout.splitlines())
    assert silent == {"file": silence, "speech": 0.0, "emotion": None, "reason": "no speech"}
    assert (spoken["emotion"], spoken["speech"], "reason" in spoken) == ("angry", 1.0, False)
    rows = read(sersk("predict", silence, "some clips/a.wav", "--model", model, "--csv", "--proba"))
    assert rows.columns.tolist() == ["file", "speech", "emotion", "probability", *EMOTIONS, "reason"]
    assert rows.iloc[0, 2:-1].isna().all()
    assert rows["reason"].fillna("").tolist() == ["no speech", ""]
    for clip in (silence, "some clips/a.wav"):
        anyway = sersk("predict", clip, "--min-speech", 0, "--model", model)
        assert (anyway.exit_code, anyway.stdout.split("\t")[1] in EMOTIONS) == (0, True)
    assert sersk("predict", silence, "--min-speech", 2, "--model", model).exit_code == 2


@pytest.mark.parametrize("what", [[], ["--timeline"]], ids=["clips", "timeline"])
def test_results_go_to_a_file_of_the_form_that_its_name_says(silence, model, what):
    call = ["predict", "some clips/a.wav", silence, *what, "--model", model, "--proba"]
    for name, form in (("out.csv", "--csv"), ("out.jsonl", "--json")):
        result = sersk(*call, "--out", name)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"2 clips: {name}\n")
        assert Path(name).read_text(encoding="utf-8") == sersk(*call, form).stdout
    assert sersk(*call, "--out", "out.parquet").exit_code == 0
    table, expected = pd.read_parquet("out.parquet"), pd.read_csv("out.csv")
    assert table.columns.tolist() == expected.columns.tolist()
    for name in expected:
        numbers = expected[name].dtype.kind == "f" and name != "emotion"
        left, right = (one[name].fillna(-1 if numbers else "") for one in (table, expected))
        assert left.tolist() == (pytest.approx(right.tolist(), abs=1e-5) if numbers else right.tolist())
    assert sorted(path.name for path in Path().glob("*out.*")) == ["out.csv", "out.jsonl", "out.parquet"]


def test_a_file_for_results_is_tried_before_the_work(folder, model, monkeypatch):
    monkeypatch.setattr("sersk.prediction.predict_emotions", None)  # nothing comes so far

    def refused(out):
        result = sersk("predict", "some clips/a.wav", "--model", model, "--out", out)
        assert (result.exit_code, result.stdout) == (2, "")
        return errors(result)[0]

    assert "expected a name that ends in .csv, .jsonl (JSON lines) or .parquet" in refused("out.txt")
    assert "cannot write to the folder none" in refused("none/out.csv")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'sersk[parquet]'" in refused("out.parquet")


def test_a_file_stays_where_its_successor_is_not_finished(folder, model, monkeypatch):
    Path("out.csv").write_text("before", encoding="utf-8")
    for what in ([], ["--timeline"]):
        assert sersk("predict", "none.wav", *what, "--model", model, "--out", "out.csv").exit_code == 1

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device", "out.csv")

    monkeypatch.setattr("sersk.prediction.predict_emotions", fail)
    assert sersk("predict", "some clips/a.wav", "--model", model, "--out", "out.csv").exit_code == 2
    assert sersk("predict", "none*", "--model", model, "--out", "out.csv").exit_code == 1
    assert [(path.name, path.read_text()) for path in Path().glob("*out.*")] == [("out.csv", "before")]


@pytest.mark.parametrize("what", [[], ["--timeline"]], ids=["clips", "timeline"])
def test_a_table_in_place_of_clips_is_told_what_to_do(voices, model, what):
    result = sersk("predict", voices, voices.parent / "clips" / "0.wav", *what, "--model", model)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    (told,) = errors(result)
    assert told.startswith(f"error: {voices}: a table, not audio: with --speaker-column NAME")
    assert errors(sersk("predict", "none.csv", *what, "--model", model)) == ["error: none.csv: no such file"]


def test_a_model_that_is_none_is_told_in_one_line(folder, monkeypatch, tmp_path):
    for name in ["none.sersk", "some clips/a.wav"]:
        result = sersk("predict", folder, "--model", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == len(errors(result)) == 1
        assert name in result.stderr
    monkeypatch.setattr(persistence, "__file__", str(tmp_path / "sersk" / "persistence.py"))
    result = sersk("predict", folder)
    assert result.exit_code == 2
    assert errors(result)[0].startswith("error: The default model is not there")


# --- features


def features(*arguments: object) -> Result:
    return sersk("features", *arguments, "--features", "means-180", "--jobs", 1)


@pytest.mark.parametrize("out", ["features.csv", "t.parquet", "-"])
def test_features_writes_a_table_with_names(out, folder):
    result = features(folder, *([] if out == "features.csv" else ["--out", out]))
    assert result.exit_code == 1
    assert len(errors(result)) == 2
    assert errors(result)[1] == f"error: {folder / 'void.wav'}: is empty (0 bytes)"
    assert result.stderr.endswith("\n2 of 5 clips could not be read\n")
    assert "3 clips, 180 features" in result.stderr
    good = [str(folder / name) for name in ["a.wav", "bär b.wav", "c.wav"]]
    table = (
        pd.read_parquet(out) if out == "t.parquet" else pd.read_csv(io.StringIO(result.stdout) if out == "-" else out)
    )
    extractor = AcousticFeatures.from_preset("means-180")
    assert table.columns.tolist() == ["file", *extractor.get_feature_names_out()]
    assert table["file"].tolist() == good
    np.testing.assert_allclose(table.iloc[:, 1:], extractor.transform(good), rtol=1e-6)
    assert not list(Path().glob(".*")), "the draft is gone"
    assert (result.stdout != "") == (out == "-")


def test_features_of_a_corpus_come_with_its_columns(corpus):
    result = features(corpus, "--layout", "auto", "--cache", "cache")
    assert result.exit_code == 0
    table = pd.read_csv("features.csv", dtype={"repetition": str})
    assert table.columns[:6].tolist() == ["file", "emotion", "speaker", "gender", "corpus", "repetition"]
    assert len(table) == 18
    assert set(table["emotion"]) == set(EMOTIONS)
    assert set(table["speaker"]) == {"synthetic:F1", "synthetic:F2", "synthetic:M1"}
    assert "18 clips, 180 features: features.csv" in result.stderr


def test_features_of_stdin_and_of_nothing(folder):
    result = sersk("features", "-", "--out", "-", "--features", "means-180", input=(folder / "a.wav").read_bytes())
    assert result.stdout.splitlines()[1].startswith("<")
    result = sersk("features", "-", folder / "a.wav", "--features", "means-180", "--jobs", 1, input=b"")
    assert re.fullmatch(r"error: <\w+>: is empty \(0 bytes\)", *errors(result))
    assert len(pd.read_csv("features.csv")) == 1
    Path("nothing").mkdir()
    result = features("nothing", "--out", "none.csv")
    assert (result.exit_code, errors(result)) == (1, ["error: nothing: the folder holds no audio files"])
    assert not Path("none.csv").exists()
    result = features(folder / "void.wav")
    assert result.exit_code == 1
    assert len(pd.read_csv("features.csv")) == 0


def test_a_manifest_may_not_name_its_columns_like_features(corpus, tmp_path):
    (tmp_path / "m.csv").write_text(f"file,emotion,mfcc_1_mean\n{corpus / 'F1' / 'F1_sad_01.wav'},sad,3\n")
    result = features("m.csv", "--layout", "manifest")
    assert result.exit_code == 2
    assert errors(result) == ["error: The manifest has columns with names of features: mfcc_1_mean. Rename them."]


def test_a_table_that_cannot_be_written_is_told_and_the_old_one_kept(folder, monkeypatch):
    Path("features.csv").write_text("old")

    def fail(self, path, **_options):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    result = features(folder / "a.wav")
    assert (result.exit_code, errors(result)) == (
        2,
        ["error: features.csv: cannot be written (No space left on device)"],
    )
    assert Path("features.csv").read_text() == "old"
    assert not list(Path().glob(".*"))


def test_what_a_table_needs_is_told_before_the_extraction(monkeypatch):
    assert errors(features("none.wav", "--out", "t.xlsx")) == [
        "error: --out t.xlsx: expected a name that ends in .csv or .parquet, or -."
    ]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert errors(features("none.wav", "--out", "t.parquet")) == [
        "error: Parquet needs pyarrow: pip install 'sersk[parquet]'"
    ]


# --- whose clips they are


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that compares a clip with its speaker's others, and is sure of nothing."""
    emotions = np.random.RandomState(0).permutation(EMOTIONS * 6)
    fitted = make_pipeline(cheap_features(), SpeakerScaler(), lda()).fit(waveforms(), emotions)
    return save_model(fitted, tmp_path_factory.mktemp("model") / "scaled.sersk")


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """A table of two speakers with six clips each, one that is missing, and one of who knows whom."""
    (tmp_path / "clips").mkdir()
    lines = ["who;file;age"]
    for number in range(12):
        write_clip(tmp_path / "clips" / f"{number}.wav", number)
        lines.append(f"{'ab'[number % 2]};clips/{number}.wav;7")
    lines += ["a;clips/missing.wav;7", ";clips/0.wav;7"]
    (tmp_path / "voices.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "voices.csv"


def read(result: Result) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(result.stdout))


def test_a_table_tells_who_speaks(scaled, voices):
    result = sersk("predict", voices, "--speaker-column", "who", "--model", scaled, "--proba", "--csv")
    assert result.exit_code == 1
    assert errors(result) == [f"error: {voices.parent / 'clips' / 'missing.wav'}: no such file"]
    clips = [str(voices.parent / "clips" / f"{number}.wav") for number in [*range(12), 0]]
    expected = predict_emotions(scaled, clips, speakers=[*"ab" * 6, None])
    table = read(result)
    assert table["file"].tolist() == clips
    assert table["emotion"].tolist() == expected["emotion"].tolist()
    np.testing.assert_allclose(table[EMOTIONS], expected[EMOTIONS], atol=1e-6)
    unknown = predict_emotions(scaled, clips)
    assert not np.allclose(table[EMOTIONS][:12], unknown[EMOTIONS][:12], atol=1e-3)
    np.testing.assert_allclose(table[EMOTIONS][12:], unknown[EMOTIONS][12:], atol=1e-6)


def test_speakers_of_two_tables_are_others(scaled, voices):
    second = voices.with_name("second.csv")
    second.write_text(voices.read_text(encoding="utf-8"), encoding="utf-8")
    one = sersk("predict", voices, "--speaker-column", "who", "--model", scaled, "--proba", "--csv")
    two = sersk("predict", voices, second, "--speaker-column", "who", "--model", scaled, "--proba", "--csv")
    assert read(two).equals(pd.concat([read(one)] * 2, ignore_index=True))


def test_all_clips_are_one_speaker_s_in_pieces_of_any_size(scaled, voices, monkeypatch):
    monkeypatch.setattr("sersk.cli.prediction._CHUNK", 2)
    result = sersk("predict", voices.parent / "clips", "--one-speaker", "--model", scaled, "--proba", "--csv")
    assert result.exit_code == 0
    assert result.stderr == ""
    table = read(result)
    expected = predict_emotions(scaled, table["file"].tolist(), speakers=["b"] * 12)
    np.testing.assert_allclose(table[EMOTIONS], expected[EMOTIONS], atol=1e-6)


def test_a_model_that_scales_by_speaker_says_that_it_knows_none(scaled, model, voices):
    clip = voices.parent / "clips" / "0.wav"
    assert "does not know whose these are: say --one-speaker or --s" in sersk("predict", clip, "--model", scaled).stderr
    assert "makes no use of who speaks" in sersk("predict", clip, "--one-speaker", "--model", model).stderr
    assert sersk("predict", clip, "--model", model).stderr == ""


def test_too_few_clips_to_scale_by_speaker_are_told(scaled, voices):
    wavfile.write(voices.parent / "silence.wav", 16000, np.zeros(16000, dtype=np.int16))
    clips = [voices.parent / "clips" / f"{number}.wav" for number in range(4)]
    result = sersk("predict", *clips, voices.parent / "silence.wav", "--one-speaker", "--model", scaled)
    assert result.exit_code == 0
    (note,) = result.stderr.splitlines()
    assert note.startswith("note: this model needs 5 clips of a speaker to scale by speaker, and there are only 4: ")
    voices.write_text("\n".join(voices.read_text(encoding="utf-8").splitlines()[:8]), encoding="utf-8")
    result = sersk("predict", voices, "--speaker-column", "who", "--model", scaled)
    assert "and 2 of 2 speakers have fewer: " in result.stderr
    assert "fewer" not in sersk("predict", *clips, clips[0], "--one-speaker", "--model", scaled).stderr


def test_tables_of_speakers_that_are_none_are_refused(scaled, voices):
    def refused(*arguments: object) -> str:
        result = sersk("predict", *arguments, "--model", scaled)
        assert result.exit_code == 2
        assert result.stdout == ""
        return result.stderr

    assert "exclude each other" in refused(voices, "--speaker-column", "who", "--one-speaker")
    assert "no column 'speaker' among 'who', 'file', 'age'." in refused(voices, "--speaker-column", "speaker")
    assert "needs CSV or TSV files in place of clips" in refused(voices.parent, "--speaker-column", "who")
    voices.write_text("who;file\na;\n", encoding="utf-8")
    assert "no file in line 2" in refused(voices, "--speaker-column", "who")
    voices.write_text("who;file\n", encoding="utf-8")
    assert "a header without rows" in refused(voices, "--speaker-column", "who")


def test_fit_scales_by_speaker_and_says_what_that_uses(corpus, tmp_path):
    result = fit(corpus, "--scale", "speaker", "--out", tmp_path / "scaled.sersk")
    assert result.exit_code == 0
    first = "Estimate: leave one speaker out, 3 speakers; per-speaker normalisation (uses unlabelled test clips)"
    assert result.stdout.splitlines()[0] == first
    assert isinstance(load_model(tmp_path / "scaled.sersk")[1], SpeakerScaler)
    assert sersk("evaluate", corpus, "--features", "means-180", "--scale", "speaker").stdout.splitlines()[0] == first
    refused = sersk("fit", corpus, "--model", "lstm", "--scale", "speaker")
    assert refused.exit_code == 2
    assert "the network 'lstm' scales frames" in refused.stderr
