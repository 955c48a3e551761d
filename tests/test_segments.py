"""Windows that overlap share the time, and those of one emotion are one segment."""

from __future__ import annotations

from sersk.segments import Segment, merge_windows, part_time
from sersk.timeline import WindowEmotion


def test_time_is_shared_among_windows_that_overlap():
    firsts, lasts = part_time([0, 1, 2, 2.5, 9], [3, 4, 5, 5.5, 10])
    assert firsts.tolist() == [0, 2, 3, 3.75, 9]
    assert lasts.tolist() == [2, 3, 3.75, 5.5, 10]
    assert [one.tolist() for one in part_time([], [])] == [[], []]
    assert [one.tolist() for one in part_time([1], [4])] == [[1], [4]]


def test_successive_windows_of_one_emotion_are_a_segment():
    def window(start, emotion=None, probability=None):
        return WindowEmotion(start, start + 2.0, 1.0, emotion, probability)

    rows = [window(0.0, "a", 0.5), window(1.0, "a", 0.75), window(2.0, "b", 0.5), window(3.0), window(4.0, "b", 0.25)]
    rows += [window(10.0, "b"), window(12.0, "b")]
    assert merge_windows(rows) == [
        Segment(0.0, 2.5, "a", 0.625),
        Segment(2.5, 3.5, "b", 0.5),
        Segment(4.5, 6.0, "b", 0.25),
        Segment(10.0, 14.0, "b", None),
    ]
    assert merge_windows([]) == merge_windows([window(0.0)]) == []
