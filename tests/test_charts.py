"""HTML of the page, parsed as a browser would."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import pytest

pytest.importorskip("prometheus_client", reason="needs an extra: pip install 'sersk[serve]'")

from sersk.segments import Segment
from sersk.serve import charts
from sersk.serve.service import Prediction, ServedModel

CHANCES = {"angry": 0.3, "calm": 0.2, "disgust": 0.1, "sad": 0.4}
EVIL = "<script>alert(1)</script>\"'&"


def prediction(chances, emotion, model="lda"):
    return Prediction(model, emotion, chances.get(emotion), chances, 0.9, 3.25)


class Reader(HTMLParser):
    """Collects the elements and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_answer_is_the_models_own_and_has_all_probabilities():
    page = Reader(charts.show_answer(prediction(CHANCES, "sad"), "all"))
    assert "sad 40 %" in page.text
    assert "3.2 s of audio, model lda" in page.text
    assert [
        page.text.index(f"{name} {100 * chance:.1f} %") for name, chance in sorted(CHANCES.items(), key=lambda x: -x[1])
    ]
    widths = [one["style"] for one in page.all("span") if "style" in one]
    assert widths == ["width:40.0%", "width:30.0%", "width:20.0%", "width:10.0%"]
    (area,) = [one["points"].split() for one in page.all("polygon") if one["class"] == "area"]
    assert area[0] == "0.0,-30.0", "the first spoke points up, as far as its probability"
    assert area[1] == "20.0,-0.0"
    assert len(page.all("text")) == 4


def test_a_group_is_named_by_the_sum_of_its_emotions():
    page = Reader(charts.show_answer(prediction(CHANCES, "calm"), "three"))
    assert "negative 80 %" in page.text
    assert "angry, disgust, sad 80.0 %" in page.text
    assert page.all("svg") == [], "two spokes make no area"


@pytest.mark.parametrize("view", ["all", "three"])
def test_no_speech_stands_in_the_place_of_the_emotion(view):
    page = Reader(charts.show_answer(Prediction("lda", None, None, {}, 0.02, 3.25), view))
    assert "no speech" in page.text
    assert "3.2 s of audio, model lda" in page.text
    assert (page.all("svg"), page.all("table")) == ([], [])


def test_a_model_without_probabilities_has_an_answer_all_the_same():
    page = Reader(charts.show_answer(Prediction("svm", "calm", None, {}, 1.0, 1.0), "three"))
    assert "neutral this model tells no probabilities" in page.text
    assert page.all("table") == []


@pytest.mark.parametrize(
    "html",
    [
        charts.show_answer(prediction({EVIL: 0.5, "a": 0.2, "b": 0.3}, EVIL, model=EVIL), "all"),
        charts.show_answer(prediction(CHANCES, "sad"), "all", [EVIL]),
        charts.show_notice(EVIL),
        charts.show_problem(EVIL, EVIL),
        charts.show_pictures({EVIL: b"png"}),
        charts.show_segments([Segment(0.0, 1.0, EVIL, 0.5)]),
        charts.table([EVIL], [[EVIL]]),
        charts.show_download(EVIL, EVIL, EVIL),
        charts.show_model(ServedModel(EVIL, (EVIL,), True, {"corpora": [EVIL], "licence": EVIL, "model": EVIL})),
        charts.show_model(ServedModel("m", ("a",), True, {"metrics": {EVIL: {"uar": 0.5, "description": EVIL}}})),
    ],
)
def test_whatever_is_in_names_is_text(html):
    page = Reader(html)
    assert page.all("script") == []
    texts = [page.text, *(value for _, attributes in page.tags for value in attributes.values() if value)]
    assert any("alert(1)" in text for text in texts)


def test_a_download_holds_what_it_says():
    (link,) = Reader(charts.show_download("file,emotion\nä.wav,sad\n", "emotions.csv", "Save")).all("a")
    assert link["download"] == "emotions.csv"
    assert base64.b64decode(link["href"].partition("base64,")[2]).decode() == "file,emotion\nä.wav,sad\n"


def test_segments_and_the_lack_of_them():
    page = Reader(charts.show_segments([Segment(0.0, 2.5, "sad", 0.75), Segment(2.5, 4.0, "calm", None)]))
    assert "0.0 s 2.5 s sad 75 % 2.5 s 4.0 s calm" in page.text
    assert "no speech" in charts.show_segments([])


def test_the_card_tells_how_good_a_model_is_on_unseen_speakers():
    report = {
        "uar": 0.6211,
        "description": "six fixed folds",
        "speaker_independent": True,
        "recalls": {"angry": 0.5, "sad": None, "calm": 0.7},
        "n_clips": 1440,
    }
    several = Reader(charts.show_model(ServedModel("m", ("angry", "sad"), True, {"metrics": {"ravdess": report}})))
    assert "ravdess 0.62 0.50 six fixed folds 1440" in several.text
    seen = report | {"speaker_independent": False}
    one = Reader(charts.show_model(ServedModel("m", ("angry", "sad"), True, {"metrics": seen})))
    assert "its training corpora 0.62" in one.text
    assert "speaker-dependent: too high for new voices" in one.text
    assert "how often it is right is unknown" in charts.show_model(ServedModel("m", ("angry",), True, {}))
