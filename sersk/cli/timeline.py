"""What `sersk predict --timeline` does; heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sersk.edge import end_with_failures
from sersk.outputs import check_picture, finish_results, open_results, write_picture
from sersk.sources import find_clips
from sersk.terminal import say, visible
from sersk.timeline_text import WINDOW_LINES, check_labels, csv_head, write_labels

if TYPE_CHECKING:
    import pandas as pd

_TABLES = (".csv", ".tsv")


def show_timeline(
    fitted: Any,
    clips: list[str],
    form: str,
    emotions: list[Any],
    out: Path | None,
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
    names, recordings = [], []
    was_interrupted = has_windows = False
    with open_results(out) as stream:
        if form == "csv":
            stream.write(csv_head(emotions))
        for source in sources:
            name = source_name(source)
            kept = []
            try:
                recording = source if kind is None else RawAudio(source, **kind)
                for window in stream_emotions(fitted, recording, **settings):
                    has_windows = True
                    if form != "parquet":
                        stream.write(WINDOW_LINES[form](name, window, emotions))
                        stream.flush()
                    if plot is not None or labels is not None or form == "parquet":
                        kept.append(window)
            except AudioError as error:
                say_unreadable(name, error.reason)
                n_bad += 1
            except KeyboardInterrupt:  # the usual end of what a microphone gives
                if kind is None or isinstance(source, str):
                    raise
                was_interrupted = True
            if kept:
                names.append(name)
                recordings.append(kept)
            if plot is not None and kept:
                _draw(fitted, kept, name, plot)
        if out is not None and n_bad and not has_windows:  # no results to take the place of any that are there
            end_with_failures(n_bad, n_clips)
    if out is not None:
        finish_results(
            out, [_tabulate(fitted, names, recordings, emotions)] if form == "parquet" else [], n_clips - n_bad
        )
    if labels is not None:
        write_labels(labels, names, [merge_windows(windows) for windows in recordings])
    if was_interrupted:
        raise KeyboardInterrupt
    end_with_failures(n_bad, n_clips)


def say_unreadable(name: str, reason: str) -> None:
    """Tell on stderr why a clip is left out."""
    if Path(name).suffix.lower() in _TABLES and Path(name).is_file():
        reason = (
            "a table, not audio: with --speaker-column NAME it may name clips in a column file, and their speakers; "
            "otherwise give the audio files themselves"
        )
    say(f"error: {visible(name)}: {visible(reason)}")


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


def _tabulate(fitted: Any, names: list[str], recordings: list[list[Any]], emotions: list[Any]) -> pd.DataFrame:
    """Make the table that has the columns of the lines."""
    from sersk.prediction import tabulate_windows

    table = tabulate_windows(fitted, names, recordings, [None] * len(names))
    n_columns = 5 + hasattr(fitted, "predict_proba") + len(emotions)
    return table.iloc[:, [*range(n_columns), -2]]
