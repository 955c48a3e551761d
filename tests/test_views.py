"""Emotions as a page groups them."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")

from sersk.corpora.emotions import EMOTIONS
from sersk.serve.views import ALL, SIX, THREE, VIEWS, group_emotions, sign_of, sum_probabilities


@pytest.mark.parametrize("view", VIEWS)
def test_every_emotion_is_in_one_group(view):
    groups = group_emotions((*EMOTIONS, "puzzled"), view)
    assert sorted(emotion for emotions in groups.values() for emotion in emotions) == sorted((*EMOTIONS, "puzzled"))
    assert groups["puzzled"] == ("puzzled",)


@pytest.mark.parametrize(("view", "n_groups"), [(ALL, 9), (SIX, 6), (THREE, 3)])
def test_views_have_as_many_groups_as_they_say(view, n_groups):
    assert len(group_emotions(EMOTIONS, view)) == n_groups


def test_probabilities_of_a_group_add_up():
    chances = {"angry": 0.1, "calm": 0.2, "disgust": 0.3, "happy": 0.4}
    assert sum_probabilities(chances, ALL) == chances
    assert sum_probabilities(chances, SIX) == pytest.approx({"angry": 0.4, "neutral": 0.2, "happy": 0.4})
    assert sum_probabilities(chances, THREE) == pytest.approx({"negative": 0.4, "neutral": 0.2, "positive": 0.4})
    assert sum_probabilities({}, SIX) == {}


def test_an_unknown_view_is_refused():
    with pytest.raises(ValueError, match="view='two': expected one of all, six, three"):
        group_emotions(EMOTIONS, "two")


def test_every_emotion_and_group_has_a_sign_of_its_own():
    names = {*EMOTIONS, *group_emotions(EMOTIONS, SIX), *group_emotions(EMOTIONS, THREE)}
    assert len({sign_of(name) for name in names}) == len(names)
    assert sign_of("puzzled") not in {sign_of(name) for name in names}
