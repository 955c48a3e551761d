"""Command `predict`; heavy imports stand inside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sersk.edge import edge, end_with_failures, starting
from sersk.options import (
    Jobs,
)
from sersk.sources import find_clips, find_spoken
from sersk.terminal import (
    csv_line,
    json_line,
    plain_line,
    say,
    visible,
)

from .timeline import show_timeline

_CHUNK = 256


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
    proba: Annotated[bool, typer.Option("--proba", help="Show the probabilities of all emotions.")] = False,
    one_speaker: Annotated[
        bool, typer.Option("--one-speaker", help="All clips are one speaker's: scale them by what they have in common.")
    ] = False,
    speaker_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="CLIP are CSV or TSV files that name clips in a column file, and their speakers in this one.",
            show_default=False,
        ),
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="CLIP are long recordings: tell the emotion of each window, as they come."),
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
            help="Name no emotion of a window with less speech: 0.25 by default; 0 names one of silence, too.",
            show_default=False,
        ),
    ] = None,
    raw: Annotated[
        str | None,
        typer.Option(
            metavar="RATE[,CHANNELS[,FORMAT]]",
            help="CLIP, such as - for a microphone, is samples without a header: so many a second, of one channel and "
            "s16le (or s32le, f32le) unless told otherwise.",
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

    Results go to stdout: a line a clip, with tabs between file, emotion and probability, unless --json or --csv is
    given. A clip that cannot be read is a line on stderr; the others are predicted all the same.

    With --timeline a line is a window, with its start and end in seconds behind the file, and a hyphen where there is
    too little speech. Memory does not grow with the recording; a microphone may never end:
    arecord -t raw -f S16_LE -r 16000 | sersk predict --timeline --raw 16000 -

    A model trained with --scale speaker compares each clip with the speaker's others. It needs several clips of a
    speaker, of various emotions, and --one-speaker or --speaker-column to know whose they are.
    """
    with edge(ends_itself=timeline):
        if as_json and as_csv:
            raise typer.BadParameter("--json and --csv exclude each other.")
        if one_speaker and speaker_column is not None:
            raise typer.BadParameter("--one-speaker and --speaker-column exclude each other.")
        of_windows = {"--window": window, "--hop": hop, "--min-speech": min_speech}
        of_timelines = of_windows | {"--raw": raw, "--plot": plot, "--labels": labels}
        if timeline and (one_speaker or speaker_column is not None or jobs != 1):
            raise typer.BadParameter("--timeline goes with neither --one-speaker, --speaker-column nor --jobs.")
        if not timeline and any(value is not None for value in of_timelines.values()):
            raise typer.BadParameter(f"{', '.join(of_timelines)} are for --timeline.")
        with starting():
            from sersk.persistence import default_model_path, load_model
            from sersk.prediction import predict_emotions

            fitted = load_model(model or default_model_path())
        has_chances = hasattr(fitted, "predict_proba")
        if proba and not has_chances:
            raise ValueError("--proba: this model gives no probabilities.")
        emotions = fitted.classes_.tolist() if proba else []
        if timeline:
            form = "csv" if as_csv else "json" if as_json else "plain"
            settings = {name[2:].replace("-", "_"): value for name, value in of_windows.items() if value is not None}
            show_timeline(fitted, clips, form, emotions, raw, plot, labels, **settings)
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
        names = ["file", "emotion", *(["probability"] if has_chances else []), *emotions]
        line = csv_line if as_csv else json_line if as_json else plain_line
        if as_csv:
            sys.stdout.write(csv_line(names, emotions))
        # In pieces, so that results come as they are made and memory does not grow with the number of clips; but not
        # what is compared with the speaker's other clips.
        n_piece = _CHUNK if speakers is None else max(len(sources), 1)
        for first in range(0, len(sources), n_piece):
            table = predict_emotions(fitted, sources[first : first + n_piece], speakers=speakers, n_jobs=jobs)
            # By position, since an emotion may have the name of another column; tolist gives Python's own types.
            bad = table[table.iloc[:, -1].notna()]
            for file, error in zip(bad.iloc[:, 0], bad.iloc[:, -1], strict=True):
                say(f"error: {visible(file)}: {visible(error)}")
            good = table.drop(index=bad.index)
            columns = [good.iloc[:, column].tolist() for column in range(len(names))]
            sys.stdout.writelines(line(row, emotions) for row in zip(*columns, strict=True))
            sys.stdout.flush()
            n_bad += len(bad)
        end_with_failures(n_bad, n_clips)


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
