"""Command `plot`; heavy imports stand inside it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import typer

from sersk.edge import edge, end_with_failures
from sersk.outputs import check_picture, write_picture
from sersk.sources import find_clips
from sersk.terminal import say, visible

PANELS = ("waveform", "spectrogram", "mfcc", "chroma", "f0")


def _check_panels(listed: str) -> str:
    for name in listed.split(","):
        if name not in PANELS:
            raise typer.BadParameter(f"there is no {name!r}; give some of {', '.join(PANELS)}, with commas.")
    return listed


def plot(
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP", help="Files, folders, patterns such as 'calls/*.wav', or - for stdin."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="FILE.png, FILE.pdf or FILE.svg for a single clip, or a folder. Without it CLIP.wav goes to CLIP.png "
            "in the current folder.",
            show_default=False,
        ),
    ] = None,
    panels: Annotated[
        str, typer.Option(metavar="NAME,...", callback=_check_panels, help="What to draw, from top to bottom.")
    ] = ",".join(PANELS),
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the emotion that this model names above the picture.", show_default=False
        ),
    ] = None,
) -> None:
    """
    Draw clips: waveform, spectrogram, MFCC, chroma and F0.

    One picture a clip; which is which goes to stdout, a line a clip. A clip that cannot be read is a line on stderr;
    the others are drawn all the same.
    """
    with edge():
        fitted = None
        if model is not None:
            from sersk.persistence import load_model

            fitted = load_model(model)
        sources, n_bad = find_clips(clips)
        n_clips = len(sources) + n_bad
        pictures = _name_pictures(sources, out) if sources else []
        from sersk.audio import AudioError, source_name
        from sersk.clip_plots import plot_clip

        for source, picture in zip(sources, pictures, strict=True):
            name = visible(source_name(source))
            try:
                clip = io.BytesIO(source.read()) if hasattr(source, "read") else source  # stdin is read once only
                title = Path(name).name + ("" if fitted is None else f": {_answer(fitted, clip)}")
                write_picture(plot_clip(clip, panels=panels.split(","), title=title), picture)
            except AudioError as error:
                say(f"error: {name}: {visible(error.reason)}")
                n_bad += 1
            else:
                typer.echo(f"{name}\t{visible(picture)}")
        end_with_failures(n_bad, n_clips)


def _name_pictures(sources: list[Any], out: Path | None) -> list[Path]:
    """Give each clip a file of its own, which can be written."""
    from sersk.audio import source_name

    if out is not None and out.suffix and not out.is_dir():
        if len(sources) > 1:
            raise ValueError(f"--out {out}: there are {len(sources)} clips; give the name of a folder for pictures.")
        check_picture("--out", out)
        return [out]
    if out is None and len(sources) > 1:
        raise ValueError(f"There are {len(sources)} clips: name a folder for their pictures with --out FOLDER.")
    folder = out or Path()
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    pictures = []
    for source in sources:
        stem = Path(source_name(source).strip("<>")).stem
        number, name = 1, stem
        while name.lower() in taken:  # clips of one name in different folders, or of different formats
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        pictures.append(folder / f"{name}.png")
    check_picture("A picture" if out is None else "--out", pictures[0])
    return pictures


def _answer(fitted: Any, clip: Any) -> str:
    """Give the emotion, and its probability as far as the model tells one, or why there is none."""
    from sersk.audio import AudioError, source_name
    from sersk.prediction import predict_emotions

    # By position, since an emotion may have the name of another column.
    _, _, emotion, *chances, reason, error = predict_emotions(fitted, [clip]).iloc[0]
    if isinstance(error, str):
        raise AudioError(source_name(clip), error)
    if isinstance(reason, str):
        return reason
    return f"{emotion} {chances[0]:.2f}" if chances else str(emotion)
