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
    jobs: Jobs = 1,
) -> None:
    """
    Name the emotion of clips, with its probability.

    Results go to stdout: a line a clip, with tabs between file, emotion and probability, unless --json or --csv is
    given. A clip that cannot be read is a line on stderr; the others are predicted all the same.

    A model trained with --scale speaker compares each clip with the speaker's others. It needs several clips of a
    speaker, of various emotions, and --one-speaker or --speaker-column to know whose they are.
    """
    with edge():
        if as_json and as_csv:
            raise typer.BadParameter("--json and --csv exclude each other.")
        if one_speaker and speaker_column is not None:
            raise typer.BadParameter("--one-speaker and --speaker-column exclude each other.")
        with starting():
            from sersk.persistence import default_model_path, load_model
            from sersk.prediction import predict_emotions

            fitted = load_model(model or default_model_path())
        has_chances = hasattr(fitted, "predict_proba")
        if proba and not has_chances:
            raise ValueError("--proba: this model gives no probabilities.")
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
        labels = fitted.classes_.tolist() if proba else []
        names = ["file", "emotion", *(["probability"] if has_chances else []), *labels]
        line = csv_line if as_csv else json_line if as_json else plain_line
        if as_csv:
            sys.stdout.write(csv_line(names, labels))
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
            sys.stdout.writelines(line(row, labels) for row in zip(*columns, strict=True))
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
