"""Command `predict`; heavy imports stand inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sersk.edge import edge, end_with_failures, starting
from sersk.options import (
    Jobs,
)
from sersk.outputs import check_results, finish_results, open_results
from sersk.sources import find_clips, find_spoken
from sersk.terminal import (
    csv_line,
    json_line,
    plain_line,
    say,
)

from .timeline import say_unreadable, show_timeline

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 256
_LINES = {"csv": csv_line, "json": json_line, "plain": plain_line}
_FORMS = {".csv": "csv", ".jsonl": "json", ".parquet": "parquet"}


def predict(
    clips: Annotated[
        list[str],
        typer.Argument(
            metavar="CLIP",
            help="Files, folders, patterns such as 'calls/*.wav', or - for stdin; with --speaker-column, tables.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Model file; without it, the one that comes with sersk.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write to FILE.csv, FILE.jsonl (JSON lines) or FILE.parquet instead of stdout.",
            show_default=False,
        ),
    ] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Show the probabilities of all emotions.")] = False,
    one_speaker: Annotated[
        bool, typer.Option("--one-speaker", help="All clips are one speaker's: scale them by what they have in common.")
    ] = False,
    speaker_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Each CLIP is a table (CSV or TSV): its column file names clips, and column NAME their speakers.",
            show_default=False,
        ),
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline", help="Each CLIP is a long recording: print the emotion of each window as soon as it is known."
        ),
    ] = False,
    window: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length of a window: 3 by default.", show_default=False)
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="From one window to the next: 1 by default.", show_default=False),
    ] = None,
    min_speech: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Name no emotion of a clip or window with less speech than this share: 0.25 by default; 0 names one "
            "of silence, too.",
            show_default=False,
        ),
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="RATE[,CHANNELS[,FORMAT]]",
            help="CLIP, such as - for a microphone, is samples without a header: so many a second, of one channel and "
            "s16le (or s32le, f32le) by default.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the timeline: FILE.png, .pdf or .svg.", show_default=False)
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Join windows of one emotion to segments: FILE.rttm, FILE.txt for Audacity, or FILE.csv.",
            show_default=False,
        ),
    ] = None,
    jobs: Jobs = 1,
) -> None:
    """
    Name the emotion of clips, or of long recordings window by window, with its probability.

    Results go to stdout: a line a clip, with tabs between file, emotion and probability, unless --json, --csv or --out
    is given. Where there is too little speech, the line says "no speech". A clip that cannot be read is a line on
    stderr; the others are predicted all the same.

    With --timeline a line is a window, with its start and end in seconds behind the file. Memory does not grow with the
    recording; a microphone may never end:
    arecord -t raw -f S16_LE -r 16000 | sersk predict --timeline --raw 16000 -

    A model trained with --scale speaker compares each clip with the speaker's others. It needs several clips of a
    speaker, of various emotions, and --one-speaker or --speaker-column to know whose they are.
    """
    with edge(ends_itself=timeline):
        if as_json + as_csv + (out is not None) > 1:
            raise typer.BadParameter("--json, --csv and --out exclude each other.")
        if one_speaker and speaker_column is not None:
            raise typer.BadParameter("--one-speaker and --speaker-column exclude each other.")
        of_timelines = {"--window": window, "--hop": hop, "--raw": raw, "--plot": plot, "--labels": labels}
        if timeline and (one_speaker or speaker_column is not None or jobs != 1):
            raise typer.BadParameter("--timeline goes with neither --one-speaker, --speaker-column nor --jobs.")
        if not timeline and any(value is not None for value in of_timelines.values()):
            raise typer.BadParameter(f"{', '.join(of_timelines)} are for --timeline.")
        if out is not None:
            check_results(out)
        with starting():
            from sersk.persistence import default_model_path, load_model
            from sersk.prediction import predict_emotions

            fitted = load_model(model or default_model_path())
        has_chances = hasattr(fitted, "predict_proba")
        if proba and not has_chances:
            raise ValueError("--proba: this model gives no probabilities.")
        emotions = fitted.classes_.tolist() if proba else []
        form = "csv" if as_csv else "json" if as_json else "plain" if out is None else _FORMS[out.suffix.lower()]
        options = {"window": window, "hop": hop, "min_speech": min_speech}
        settings: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        if timeline:
            show_timeline(fitted, clips, form, emotions, out, raw, plot, labels, **settings)
            return
        sources: list[Any]
        speakers: list[str | None] | None = None
        if speaker_column is None:
            sources, n_bad = find_clips(clips)
            if one_speaker:
                speakers = ["one"] * len(sources)
        else:
            (sources, speakers), n_bad = find_spoken(clips, speaker_column), 0
        _tell_of_speakers(fitted, speakers)
        n_clips = len(sources) + n_bad
        names = ["file", "speech", "emotion", *(["probability"] if has_chances else []), *emotions, "reason"]
        places = [*range(len(names) - 1), -2]  # by position, since an emotion may have the name of another column
        good_ones = []
        # In pieces, so that results come as they are made and memory does not grow with the number of clips; but not
        # what is compared with the speaker's other clips.
        n_piece = _CHUNK if speakers is None else max(len(sources), 1)
        with open_results(out) as stream:
            if form == "csv":
                stream.write(csv_line(names, emotions))
            for first in range(0, len(sources), n_piece):
                piece = sources[first : first + n_piece]
                table = predict_emotions(fitted, piece, speakers=speakers, n_jobs=jobs, **settings)
                bad = table[table.iloc[:, -1].notna()]
                for file, error in zip(bad.iloc[:, 0], bad.iloc[:, -1], strict=True):
                    say_unreadable(file, error)
                n_bad += len(bad)
                if speakers is not None:
                    _tell_of_few(fitted, speakers, table.iloc[:, 2].notna())
                good = table.drop(index=bad.index).iloc[:, places]
                if form == "parquet":
                    good_ones.append(good)
                    continue
                stream.writelines(_LINES[form](row, emotions) for row in _rows(good))
                stream.flush()
            if out is not None and n_bad == n_clips:  # no results to take the place of any that are there
                end_with_failures(n_bad, n_clips)
        if out is not None:
            finish_results(out, good_ones, n_clips - n_bad)
        end_with_failures(n_bad, n_clips)


def _rows(table: pd.DataFrame) -> Iterator[list[Any]]:
    """Give rows of Python's own types, with None for what is missing."""
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    values = [
        [None if absent else value for value, absent in zip(column.tolist(), column.isna(), strict=True)]
        for column in columns
    ]
    return map(list, zip(*values, strict=True))


def _tell_of_speakers(model: Any, speakers: list[str | None] | None) -> None:
    from sersk.models.folds import wants_speakers

    wanted = wants_speakers(model, "predict")
    if wanted and speakers is None:
        say(
            "note: this model compares a clip with the speaker's others, and does not know whose these are: "
            "say --one-speaker or --speaker-column, or expect worse"
        )
    if speakers is not None and not wanted:
        say("note: this model does not scale by speaker, and makes no use of who speaks")


def _tell_of_few(model: Any, speakers: list[str | None], has_emotion: Iterable[bool]) -> None:
    """Say which speakers have fewer clips than scaling needs; those without an emotion do not count."""
    from sersk.normalization import SpeakerScaler

    parts = model.get_params().values() if hasattr(model, "get_params") else ()
    least = max((part.min_clips for part in parts if isinstance(part, SpeakerScaler)), default=0)
    n_clips = Counter(dict.fromkeys(filter(None, speakers), 0))
    n_clips.update(name for name, there in zip(speakers, has_emotion, strict=True) if there and name)
    few = sorted(n for n in n_clips.values() if n < least)
    if few:
        who = f"{len(few)} of {len(n_clips)} speakers have fewer" if len(n_clips) > 1 else f"there are only {few[0]}"
        say(
            f"note: this model needs {least} clips of a speaker to scale by speaker, and {who}: "
            "these are scaled as its training clips were; expect worse"
        )
