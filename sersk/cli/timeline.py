"""What `sersk predict --timeline` does; heavy imports stand inside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from sersk.edge import end_with_failures
from sersk.outputs import check_picture, write_picture
from sersk.sources import find_clips
from sersk.terminal import say, visible
from sersk.timeline_text import WINDOW_LINES, check_labels, csv_head, write_labels


def show_timeline(
    fitted: Any,
    clips: list[str],
    form: str,
    emotions: list[Any],
    raw: str | None,
    plot: Path | None,
    labels: Path | None,
    **settings: float,
) -> None:
    """Write the windows of recordings as they come, and pictures and labels in the end."""
    from sersk.audio import AudioError, source_name
    from sersk.models.folds import wants_speakers
    from sersk.raw_audio import RawAudio
    from sersk.segments import merge_windows
    from sersk.timeline import stream_emotions

    kind = None if raw is None else _parse_raw(raw)
    sources, n_bad = find_clips(clips)
    n_clips = len(sources) + n_bad
    _check_files(plot, labels, n_clips)
    if wants_speakers(fitted, "predict"):
        say("note: this model compares a clip with the speaker's others, which windows do not have: expect worse")
    if form == "csv":
        sys.stdout.write(csv_head(emotions))
    names, segments = [], []
    was_interrupted = False
    for source in sources:
        name = source_name(source)
        kept = []
        try:
            recording = source if kind is None else RawAudio(source, **kind)
            for window in stream_emotions(fitted, recording, **settings):
                sys.stdout.write(WINDOW_LINES[form](name, window, emotions))
                sys.stdout.flush()
                if plot is not None or labels is not None:
                    kept.append(window)
        except AudioError as error:
            say(f"error: {visible(name)}: {visible(error.reason)}")
            n_bad += 1
        except KeyboardInterrupt:  # the usual end of what a microphone gives
            if kind is None or isinstance(source, str):
                raise
            was_interrupted = True
        if kept:
            names.append(name)
            segments.append(merge_windows(kept))
        if plot is not None and kept:
            _draw(fitted, kept, name, plot)
    if labels is not None:
        write_labels(labels, names, segments)
    if was_interrupted:
        raise KeyboardInterrupt
    end_with_failures(n_bad, n_clips)


def _parse_raw(told: str) -> dict[str, Any]:
    """Give the parameters of `RawAudio`."""
    from sersk.raw_audio import ENCODINGS

    given = told.split(",")
    rate, n_channels, encoding, *rest = given + ["", "1", "s16le"][len(given) :]
    are_numbers = rate.isdecimal() and n_channels.isdecimal() and int(rate) and int(n_channels)
    if rest or not are_numbers or encoding not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise typer.BadParameter(f"--raw {told}: expected RATE[,CHANNELS[,FORMAT]], in Hz, FORMAT out of {known}.")
    return {"sr": int(rate), "n_channels": int(n_channels), "encoding": encoding}


def _check_files(plot: Path | None, labels: Path | None, n_recordings: int) -> None:
    """Find out what cannot be written before hours of work go into it."""
    if plot is not None:
        if n_recordings > 1:
            raise ValueError(f"--plot {plot}: a picture is of one recording, and there are {n_recordings}.")
        check_picture("--plot", plot)
    if labels is not None:
        check_labels("--labels", labels, n_recordings)


def _draw(fitted: Any, windows: list[Any], name: str, file: Path) -> None:
    from sersk.prediction import tabulate_windows
    from sersk.timeline_plots import plot_timeline

    table = tabulate_windows(fitted, [name], [windows], [None])
    write_picture(plot_timeline(table, title=Path(visible(name)).name), file)
