"""Windows are the recording's, in whatever pieces it comes, and cover it to its end."""

from __future__ import annotations

import numpy as np
import pytest

from sersk.audio import AudioError
from sersk.windows import cut_windows


@pytest.mark.parametrize("n_samples", [0, 1, 99, 100, 101, 104, 106, 1000, 1234])
@pytest.mark.parametrize("hop", [10.0, 33.3, 100.0, 250.0])
@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_windows_are_the_recording_s_and_cover_it(n_samples, hop, size):
    recording = np.arange(n_samples, dtype=np.float32)
    parts = list(cut_windows((recording[k : k + size] for k in range(0, n_samples, size)), 100, hop))
    given = np.concatenate([recording[:0], *(part.fresh for part in parts)])
    np.testing.assert_array_equal(given, recording[: len(given)])
    assert len(given) >= n_samples - 5
    spans = [span for part in parts for span in part.spans]
    whole = [(round(k * hop), round(k * hop) + 100) for k in range(n_samples) if round(k * hop) + 100 <= n_samples]
    assert spans[: len(whole)] == whole
    left = n_samples - (whole[-1][1] if whole else 0)
    last = [(max(0, n_samples - 100), n_samples)] if left > (5 if whole else 0) else []
    assert spans[len(whole) :] == last
    for part in parts:
        assert len(part.waveform) <= 100 + max(size, 100) + hop
        for (start, stop), window in zip(part.spans, part.windows(part.spans), strict=True):
            np.testing.assert_array_equal(window, recording[start:stop])


@pytest.mark.parametrize("size", [1, 64, 999])
def test_windows_stand_on_a_grid_and_come_with_what_is_around_them(size):
    recording = np.arange(1010, dtype=np.float32)
    pieces = (recording[k : k + size] for k in range(0, 1010, size))
    spans = []
    for part in cut_windows(pieces, 100, 33.3, grid=8, before=30, after=12):
        assert part.origin % 8 == 0
        assert part.waveform[0] == part.origin
        for start, stop in part.spans:
            assert part.origin <= max(0, start - 30)
            assert part.waveform[-1] >= min(stop + 12, 1010) - 1
        spans += part.spans
    assert spans == [*((round(k * 33.3 / 8) * 8, round(k * 33.3 / 8) * 8 + 100) for k in range(28)), (912, 1010)]


def test_windows_come_before_the_error_that_ends_a_recording():
    def pieces():
        yield np.zeros(250, np.float32)
        raise AudioError("a.wav", "is truncated")

    spans = []
    with pytest.raises(AudioError, match="is truncated"):
        spans.extend(span for part in cut_windows(pieces(), 100, 100) for span in part.spans)
    assert spans == [(0, 100), (100, 200), (150, 250)]
