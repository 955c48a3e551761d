"""Service -> a page to talk to, mounted on the API."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import math
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sersk.segments import merge_windows
from sersk.sound_files import readable_extensions

from .charts import (
    show_answer,
    show_download,
    show_model,
    show_notice,
    show_pictures,
    show_problem,
    show_segments,
    table,
)
from .examples import write_examples
from .page_gate import PageGate, remove_old
from .service import Prediction, Service, ServiceProblem
from .views import ALL, SIX, THREE

if TYPE_CHECKING:
    from fastapi import FastAPI

_TITLE = "sersk: the emotion in a voice"
_INTRO = f"""# {_TITLE}
Record a few seconds of speech, upload a file or take an example. What is named is what the voice *sounds like* to the
model; do not decide about people by it. The tab Models tells what it was trained on, and how often it is right on new
voices. Nothing is kept: recordings are gone from this computer after {{minutes}} minutes at the latest."""
_EXAMPLES = "Examples (made by sersk's synthesiser, nobody speaks: the model was trained on people)"
_STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
_VIEWS = [("All", ALL), ("Six", SIX), ("Positive, neutral, negative", THREE)]
# Phones would show the page as wide as what is scrolled in it. Gradio confines `css` to its own container.
_HEAD = "<style>html, body { overflow-x: clip; }</style>"
_KINDS = readable_extensions()
_SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
_WAITING = show_notice("The emotion will stand here.")
_KEPT = 600  # seconds that an upload stays, for the player
_LOOK = 60  # seconds between two looks at what is older
_WINDOW, _HOP = 3.0, 1.0  # seconds
_SHORT = 0.5  # seconds, below which an answer is a guess
_LONG = 6.0  # seconds, from which on an emotion may change
_PANELS: tuple[str, ...] = ("waveform", "spectrogram", "mfcc", "f0")
_ALL_PANELS = 60.0  # seconds; of more nothing could be made out
_AT_ONCE = 8  # clips of a batch
_IDLE = 0.02  # seconds between two looks for something to do
_UPLOADS = 16  # of the largest allowed, that may lie here at once


def mount_page(app: FastAPI, service: Service) -> None:
    """
    Mount the page at the root of an application, below all of its routes.

    Parameters
    ----------
    app : FastAPI
        With all other routes; its lifespan is extended.
    service : Service
        What answers.

    Raises
    ------
    ImportError
        If Gradio is not installed.
    """
    # Before Gradio is imported, and each component made: they look at it once.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(2**31)  # events until it sums up all of them for nobody
    most_bytes = _UPLOADS * service.limits.max_bytes
    folder = tempfile.TemporaryDirectory(prefix="sersk-page-", dir=_memory(most_bytes), ignore_cleanup_errors=True)
    inside = Path(folder.name).resolve()
    os.environ["GRADIO_TEMP_DIR"] = str(inside)
    try:
        import gradio as gr
    except ImportError as error:
        raise ImportError("The page needs Gradio: pip install 'sersk[serve]'") from error
    examples = tempfile.TemporaryDirectory(prefix="sersk-examples-", ignore_cleanup_errors=True)  # these stay
    page = _build(gr, service, write_examples(Path(examples.name) / "clips"))
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=service.limits.max_bytes,
        allowed_paths=[examples.name],
        theme=_theme(gr),
        css=_STYLE,
        head=f"{_HEAD}<script>{_SCRIPT.replace('KINDS', ','.join(['audio/*', *_KINDS]))}</script>",
        footer_links=[],
        ssr_mode=False,
        show_error=False,
        enable_monitoring=False,
        mcp_server=False,
    )
    mounted: Any = app.routes[-1]
    app.state.end_streams = mounted.app.stop_event.set  # an open page keeps a connection that never ends by itself
    mounted.app = PageGate(
        mounted.app,
        blocks=page,
        folder=inside,
        limits=service.limits,
        most_bytes=most_bytes,
        most_seconds=_KEPT,
    )
    inner = app.router.lifespan_context

    def clean_up() -> None:
        folder.cleanup()
        examples.cleanup()

    app.state.clean_up = clean_up

    @contextlib.asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
        cleaning = asyncio.create_task(_keep_clean(inside))
        try:
            async with inner(application) as state:
                yield state
        finally:
            cleaning.cancel()
            clean_up()

    app.router.lifespan_context = lifespan


async def _keep_clean(folder: Path) -> None:
    """Remove what is older than the page promises, whatever left it there."""
    while True:
        await asyncio.sleep(_LOOK)
        await asyncio.to_thread(remove_old, folder, _KEPT)


def _close(page: Any, *components: Any) -> None:
    """Have Gradio check paths itself, which it leaves to `launch`, and fetch nothing from other machines."""
    page.has_launched = True
    for component in components:

        async def keep(path: Any, keep: Any = component.async_move_resource_to_block_cache) -> Any:
            if path is not None and not os.path.isabs(path):  # noqa: PTH117
                raise ValueError("the page fetches nothing")
            return await keep(path)

        component.async_move_resource_to_block_cache = keep


def _theme(gr: Any) -> Any:
    """Give a theme with fonts that every machine has, and a button that is dark enough for its white text."""
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    return theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


def _memory(n_bytes: int) -> str | None:
    """Give a folder that lies in memory, where there is one with room: an upload is never written to a disk then."""
    shared = Path("/dev/shm")  # noqa: S108
    is_good = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= n_bytes
    return str(shared) if is_good else None


def _build(gr: Any, service: Service, examples: list[Path]) -> Any:
    models = {model.name: model for model in service.models}
    limits = service.limits
    pages = _Handlers(service)
    with gr.Blocks(title=_TITLE, analytics_enabled=False) as page:
        gr.Markdown(_INTRO.format(minutes=(_LOOK + _KEPT) // 60))
        with gr.Row():
            model = gr.Dropdown([*models], value=next(iter(models)), label="Model", scale=1, elem_id="model")
            view = gr.Radio(_VIEWS, value=ALL, label="Emotions shown", scale=2, elem_id="view")
        with gr.Tab("One clip", id="one"):
            with gr.Row():
                with gr.Column():
                    audio = gr.Audio(
                        sources=["upload", "microphone"],
                        type="filepath",
                        label=f"Speech, {limits.max_bytes / 2**20:.0f} MB and {limits.max_recording_seconds / 60:.0f} "
                        "minutes at the most",
                        elem_id="audio",
                        buttons=[],
                        editable=False,
                    )
                    gr.Markdown(_EXAMPLES)
                    with gr.Row(elem_id="examples"):  # not gr.Examples, whose files go with the uploads
                        buttons = {file: gr.Button(file.stem, size="sm", min_width=200) for file in examples}
                with gr.Column():
                    answer = gr.HTML(_WAITING, elem_id="answer")
            pictures = gr.HTML(elem_id="pictures")
            timeline = gr.HTML(elem_id="timeline")
        with gr.Tab("Several", id="several"):
            files = gr.File(
                file_count="multiple", file_types=_KINDS, label=f"Up to {limits.max_clips} files", elem_id="files"
            )
            start = gr.Button("Name their emotions", variant="primary", elem_id="start")
            batch = gr.HTML(elem_id="batch")
        with gr.Tab("Models", id="about"):
            gr.HTML("".join(show_model(one) for one in service.models), elem_id="about")
        heard = gr.State()
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        asked = gr.on([audio.change, model.change], pages.predict, [audio, model, view], [answer, heard], **quiet)
        asked.then(pages.draw, [audio, model, heard], [pictures, timeline], **quiet)
        for file, button in buttons.items():
            button.click(partial(str, file), None, audio, **quiet)
        view.change(pages.show, [heard, view], answer, **quiet)
        start.click(pages.predict_batch, [files, model], [batch, files], show_progress="full", api_visibility="private")
    _close(page, audio, files)
    page.queue(default_concurrency_limit=None)
    page._queue.sleep_when_free = _IDLE  # Gradio looks a thousand times a second, for a tenth of a core
    return page


@dataclass(frozen=True)
class _Heard:
    """What the service told of a clip; no prediction of one that is too long for it."""

    prediction: Prediction | None

    def show(self, view: str) -> str:
        """Write the answer, and why to trust it less."""
        if self.prediction is None:
            return show_notice("This is long: its emotion over time will stand below.")
        is_short = self.prediction.seconds < _SHORT
        notes = ["This is very short: a second of speech or more tells more."] if is_short else []
        return show_answer(self.prediction, view, notes)


class _Handlers:
    """Answer what is done on the page."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, path: str | None, model: str, view: str) -> tuple[str, _Heard | None]:
        """Name the emotion of a clip; one that is too long for that is left to the timeline."""
        if path is None:
            return _WAITING, None
        try:
            heard = _Heard(await self._service.predict(_read(path), model))
        except ServiceProblem as problem:
            if problem.kind != "too-long":
                return show_problem(problem.title, problem.detail), None
            heard = _Heard(None)
        return heard.show(view), heard

    def show(self, heard: _Heard | None, view: str) -> Any:
        """Write the answer once more for another view."""
        import gradio as gr

        return gr.skip() if heard is None else heard.show(view)

    async def draw(self, path: str | None, model: str, heard: _Heard | None) -> AsyncIterator[tuple[str, str]]:
        """Draw the clip, and its timeline if it is long."""
        if path is None or heard is None:
            yield "", ""
            return
        shown: dict[str, bytes] = {}
        over_time, panels = "", _PANELS
        try:
            audio = _read(path)
            seconds = math.inf if heard.prediction is None else heard.prediction.seconds
            if seconds >= _LONG:
                yield show_notice("Listening to all of it: the emotion over time will stand here."), ""
                windows = await self._service.timeline(audio, model, window=_WINDOW, hop=_HOP)
                most = self._service.limits.max_recording_seconds
                drawn = await self._service.run("draw_over_time", model, audio, most, windows)
                shown = dict(zip(("Waveform", "Timeline: how probable each emotion is"), drawn, strict=True))
                over_time = "<h3>Emotion over time</h3>" + show_segments(merge_windows(windows))
                panels = panels[1:]
                yield show_pictures(shown), over_time
            if seconds <= _ALL_PANELS:
                shown[f"Pictures: {', '.join(panels)}"] = await self._service.run("draw", audio, panels, _ALL_PANELS)
                yield show_pictures(shown), over_time
        except ServiceProblem as problem:
            yield show_problem(problem.title, problem.detail), ""

    async def predict_batch(self, paths: list[str] | None, model: str) -> tuple[str, None]:
        """Name the emotions of files, in a table and as CSV; they are gone from this computer then."""
        names = [Path(path).name for path in paths or []]
        most = self._service.limits.max_clips
        if not names or len(names) > most:
            told = "There are no files yet." if not names else f"These are {len(names)} files, more than {most}."
            return show_notice(told), None
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(path: str) -> Prediction | ServiceProblem:
            async with gate:
                try:
                    content = _read(path)
                    Path(path).unlink(missing_ok=True)
                    return await self._service.predict(content, model)
                except ServiceProblem as problem:
                    return problem

        results = await asyncio.gather(*(one(path) for path in paths or []))
        classes = next(one.classes for one in self._service.models if one.name == model)
        rows = [_row(name, result, classes) for name, result in zip(names, results, strict=True)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([["file", "speech", "emotion", "probability", *classes, "reason", "error"], *rows])
        # The reason stands in the place of the emotion, and a problem has its own.
        cells = [[name, emotion or reason, chance, error] for name, _, emotion, chance, *_, reason, error in rows]
        shown = table(["file", "emotion", "probability", "problem"], cells)
        return show_download(text.getvalue(), "emotions.csv", "Save as CSV, with all probabilities") + shown, None


def _row(name: str, result: Prediction | ServiceProblem, classes: tuple[str, ...]) -> list[str]:
    if isinstance(result, ServiceProblem):
        return [name, *[""] * (4 + len(classes)), result.detail]
    numbers = [result.speech, result.probability, *(result.probabilities.get(emotion) for emotion in classes)]
    speech, *chances = ["" if number is None else f"{number:.4f}" for number in numbers]
    return [name, speech, result.emotion or "", *chances, result.reason or "", ""]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ServiceProblem(
            410, "gone", "This recording is gone", "It was removed meanwhile; give it again."
        ) from None
