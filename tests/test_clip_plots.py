"""What the panels of a clip show, read off the figure and held against the descriptors."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import soundfile as sf
from matplotlib import colormaps
from numpy.testing import assert_allclose, assert_array_equal

from sersk import AudioError, descriptors
from sersk.clip_plots import COLOURS, PANELS, plot_clip
from sersk.descriptors import describe
from sersk.filterbanks import FrameSettings, hz_to_mel

SR = 16000


def tone(hz=200.0, seconds=1.0, sr=SR, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * sr)) / sr)).astype(np.float32)


def panel(clip, name, **options):
    figure = plot_clip(clip, panels=[name], **options)
    return figure.axes[0]


def image(axes):
    (shown,) = axes.images
    return np.asarray(shown.get_array()).T, shown


def described(waveform, family, sr=SR):
    settings = FrameSettings(sr=sr, n_fft=2 * round(0.032 * sr), hop_length=round(0.016 * sr))
    return describe(waveform, [family], settings)[family]


def test_all_panels_stand_on_one_time_axis(speechlike):
    figure = plot_clip(speechlike(1.3), title="a $1$ clip")
    axes = [one for one in figure.axes if one.get_title(loc="left")]
    assert len(axes) == len(PANELS)
    assert [one.get_ylabel() for one in axes] == [
        "Amplitude",
        "Frequency (Hz)",
        "Coefficient",
        "Pitch class",
        "F0 (Hz)",
    ]
    figure.canvas.draw()
    boxes = [one.get_window_extent() for one in axes]
    assert all(box.x0 == pytest.approx(boxes[0].x0) and box.x1 == pytest.approx(boxes[0].x1) for box in boxes)
    assert np.diff([box.y0 for box in boxes]).max() < 0  # from top to bottom, as asked for
    assert {one.get_xlim() for one in axes} == {(0, 1.3)}
    assert [one.get_xlabel() for one in axes] == [""] * 4 + ["Time (s)"]
    assert (figure.get_suptitle(), figure._suptitle.get_parse_math()) == ("a $1$ clip", False)
    assert plot_clip(tone(), panels=["waveform"]).get_suptitle() == ""


@pytest.mark.parametrize("seconds", [0.003, 1.3, 60])
@pytest.mark.parametrize("sr", [4000, 16000, 48000])
def test_labels_are_whole_and_do_not_overlap(speechlike, seconds, sr):
    figure = plot_clip((speechlike(seconds, sr), sr), sr=sr, title="clip.wav")
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_ylim()
        shown = [
            label.get_window_extent()
            for at, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
            if low <= at <= high and label.get_text()
        ]
        assert len(shown) > 1
        assert not any(one.overlaps(other) for k, one in enumerate(shown) for other in shown[:k])
    assert figure.bbox.containsx(figure.get_tightbbox().x1 * figure.dpi)


def test_panels_are_those_asked_for_in_their_order():
    figure = plot_clip(tone(), panels=("f0", "waveform"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["F0, voiced frames", "Waveform"]
    heights = [plot_clip(tone(), panels=PANELS[:n]).get_size_inches()[1] for n in (1, 2, 5)]
    assert heights == sorted({*heights})


def test_a_long_title_is_broken_into_lines():
    title = "_".join(["a", "file", "name"] * 30)
    figure = plot_clip(tone(), panels=["waveform"], title=title)
    figure.canvas.draw()
    assert figure.get_suptitle().replace("\n", "") == title
    box = figure._suptitle.get_window_extent()
    assert figure.bbox.x0 < box.x0
    assert box.x1 < figure.bbox.x1


def test_a_short_waveform_is_drawn_sample_by_sample():
    wave = tone(seconds=0.1)
    (line,) = panel(wave, "waveform").lines
    assert_array_equal(line.get_ydata(), wave)
    assert_allclose(line.get_xdata(), np.arange(len(wave)) / SR)


def test_of_a_long_waveform_every_peak_is_seen(speechlike):
    wave = speechlike(20.0)
    wave[123456] = 0.99  # a click that a line through some samples would miss
    axes = panel(wave, "waveform")
    (area,) = axes.collections
    corners = area.get_paths()[0].vertices
    assert len(corners) < 5000
    x = np.unique(corners[:, 0])
    for left in [*x[::97], x[np.searchsorted(x, 123456 / SR, side="right") - 1]]:
        at = corners[corners[:, 0] == left, 1]
        stretch = wave[round(left * SR) : round(left * SR) + len(wave) // 2000]
        assert at.min() <= stretch.min() + 1e-7
        assert at.max() >= stretch.max() - 1e-7
    assert corners[:, 1].max() == np.float32(0.99)
    assert axes.get_ylim() == pytest.approx((-1.05 * 0.99, 1.05 * 0.99))


def test_the_spectrogram_is_the_log_mel_of_the_descriptors(speechlike):
    wave = speechlike(1.0)
    axes = panel(wave, "spectrogram")
    values, shown = image(axes)
    expected = described(wave, "log_mel")
    assert_array_equal(values[:-1], expected)
    assert_array_equal(values[-1], expected[-1])  # the last frame goes on to the end
    assert shown.get_clim() == pytest.approx((expected.max() - 80, expected.max()), abs=1e-4)
    assert shown.get_extent()[:2] == pytest.approx((-0.008, 0.016 * (len(expected) + 0.5)))
    for hz, label in [(500, "500"), (4000, "4,000")]:
        (at,) = [
            y for y, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True) if text.get_text() == label
        ]
        assert at == pytest.approx(hz_to_mel(hz))


@pytest.mark.parametrize("hz", [300.0, 1000.0, 5000.0])
def test_a_tone_lies_at_its_frequency(hz):
    axes = panel(tone(hz), "spectrogram")
    values, shown = image(axes)
    _, _, bottom, top = shown.get_extent()
    band = (top - bottom) / values.shape[1]
    strongest = bottom + (values[20].argmax() + 0.5) * band
    assert strongest == pytest.approx(hz_to_mel(hz), abs=0.6 * band)


def test_each_mfcc_is_in_its_own_standard_deviations(speechlike):
    wave = speechlike(1.0)
    values, shown = image(panel(wave, "mfcc"))
    mfcc = described(wave, "mfcc").astype(float)
    assert_allclose(values[:-1], (mfcc - mfcc.mean(axis=0)) / mfcc.std(axis=0), atol=1e-4)
    assert shown.get_extent()[2:] == [0.5, 20.5]


def test_the_row_of_a_tone_s_pitch_class_is_the_strongest():
    axes = panel(tone(440.0), "chroma")
    values, shown = image(axes)
    assert_array_equal(values[:-1], described(tone(440.0), "chroma"))
    assert values[20].argmax() == 9  # A
    labels = dict(zip(axes.get_yticks(), (text.get_text() for text in axes.get_yticklabels()), strict=True))
    assert (labels[8], labels[10]) == ("G♯", "A♯")
    assert shown.get_extent()[2:] == [-0.5, 11.5]


def test_f0_is_drawn_where_the_clip_is_voiced():
    silence = np.zeros(8000, dtype=np.float32)
    (line,) = panel(np.concatenate([tone(150.0), silence, tone(300.0)]), "f0").lines
    times, f0 = line.get_xdata(), line.get_ydata()
    assert_allclose(times, 0.016 * np.arange(len(f0)))
    assert_allclose(f0[(times > 0.1) & (times < 0.9)], 150, rtol=0.02)
    assert np.isnan(f0[(times > 1.1) & (times < 1.4)]).all()
    assert_allclose(f0[(times > 1.6) & (times < 2.4)], 300, rtol=0.02)


def test_f0_of_a_long_clip_is_dots():
    assert panel(tone(seconds=5), "f0").lines[0].get_linestyle() == "-"
    assert panel(tone(seconds=20), "f0").lines[0].get_linestyle() == "None"


def test_silence_is_dark_and_has_no_pitch():
    figure = plot_clip(np.zeros(SR, dtype=np.float32))
    waveform, spectrogram, _, mfcc, _, chroma, _, f0 = sorted(figure.axes, key=lambda one: -one.get_position().y0)
    assert waveform.get_ylim() == (-1, 1)
    for axes, value in [(spectrogram, -100), (mfcc, 0), (chroma, 0)]:
        assert_allclose(image(axes)[0], value, rtol=1e-6, atol=1e-4)  # sums of many -100 dB, rounded
    assert image(spectrogram)[1].get_clim() == (-100, -20)
    assert np.isnan(f0.lines[0].get_ydata()).all()
    assert [text.get_text() for text in f0.texts] == ["no voiced frame"]
    assert not panel(tone(), "f0").texts


@pytest.mark.parametrize("n_samples", [1, 40, 600])
def test_a_clip_shorter_than_a_frame_can_be_seen(n_samples):
    figure = plot_clip(tone(seconds=1)[1 : n_samples + 1])
    figure.canvas.draw()
    assert figure.axes[0].get_xlim() == (0, n_samples / SR)
    assert figure.axes[0].lines[0].get_marker() == ("" if n_samples > 50 else ".")


def test_what_a_clip_may_be(tmp_path):
    """A path, a file object, a pair, a waveform; stereo, at 8, 16 and 96 kHz."""
    wave = tone(250.0)
    sf.write(tmp_path / "stereo.wav", np.stack([wave, wave], axis=1), SR, subtype="FLOAT")
    sf.write(tmp_path / "low.wav", tone(250.0, sr=8000), 8000, subtype="FLOAT")
    sf.write(tmp_path / "high.flac", tone(250.0, sr=96000), 96000)
    held = io.BytesIO((tmp_path / "stereo.wav").read_bytes())
    clips = [wave, (wave, SR), tmp_path / "stereo.wav", str(tmp_path / "low.wav"), tmp_path / "high.flac", held]
    for clip in clips:
        axes = panel(clip, "f0")
        assert axes.get_xlim() == (0, 1)
        assert np.nanmedian(axes.lines[0].get_ydata()) == pytest.approx(250, rel=0.01)


def test_a_frame_lasts_as_long_at_any_rate():
    for sr in (8000, 22050, 44100):
        assert len(image(panel((tone(sr=sr), sr), "mfcc", sr=sr))[0]) in (63, 64, 65)


def test_all_panels_come_from_one_spectrogram(monkeypatch):
    calls, measure = [], descriptors.measure_frames
    monkeypatch.setattr(descriptors, "measure_frames", lambda *given: calls.append(given) or measure(*given))
    for sr in (8000, 16000, 22050, 44100):
        plot_clip((tone(sr=sr), sr), sr=sr)
    assert len(calls) == 4


def test_colours_are_told_apart_in_grey():
    rgb = colormaps[COLOURS](np.linspace(0, 1, 256))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(np.maximum(linear @ [0.2126, 0.7152, 0.0722], 0.008856)) - 16  # CIE L*
    assert np.diff(lightness).min() >= 0
    assert lightness[-1] - lightness[0] > 85
    assert {shown.get_cmap().name for axes in plot_clip(tone()).axes for shown in axes.images} == {COLOURS}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"panels": ("mel", "f0", "chrom")}, "panels: expected some of waveform, .*; got 'mel', 'chrom'"),
        ({"panels": ()}, "got nothing"),
        ({"sr": 1999}, "sr: expected a whole number of 2000 Hz or more, got 1999"),
        ({"sr": 16000.5}, "got 16000.5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plot_clip(tone(), **options)


def test_a_clip_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(AudioError, match=r"missing.wav: no such file"):
        plot_clip(tmp_path / "missing.wav")


def test_without_matplotlib_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'sersk\[plot\]'"):
        plot_clip(tone())
