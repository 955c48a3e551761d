"""Uploads -> predictions, by models in worker processes, within limits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from sersk.persistence import default_model_path, read_card
from sersk.timeline import WindowEmotion
from sersk.voice_activity import NO_SPEECH

from .pool import WorkerPool
from .problems import Limits as Limits
from .problems import ServiceProblem as ServiceProblem
from .problems import too_large
from .work import load_models


@dataclass(frozen=True)
class ServedModel:
    """
    Tell of a model what a client needs to know.

    Parameters
    ----------
    name : str
        What requests call it.
    classes : tuple of str
        Its emotions, in its order.
    gives_probabilities : bool
        Whether its predictions have any.
    card : dict
        What `sersk.persistence.read_card` gives.
    """

    name: str
    classes: tuple[str, ...]
    gives_probabilities: bool
    card: dict[str, Any]


@dataclass(frozen=True)
class Prediction:
    """
    Tell the emotion of a clip.

    Parameters
    ----------
    model : str
        Name of the model.
    emotion : str or None
        What it predicts; None where there is too little speech.
    probability : float or None
        Of that emotion; None where there is none, and for a model that gives none.
    probabilities : dict of str to float
        Of all emotions, in the model's order; empty where there are none.
    speech : float or None
        How much of the clip is speech, from 0 to 1; None where that is unknown.
    seconds : float
        Length of the clip.
    """

    model: str
    emotion: str | None
    probability: float | None
    probabilities: dict[str, float]
    speech: float | None
    seconds: float

    @property
    def reason(self) -> str | None:
        """Why there is no emotion; None where there is one."""
        return NO_SPEECH if self.emotion is None else None


class Service:
    """
    Predict clips and recordings that come as bytes, many at a time.

    Its methods belong to one event loop, that of `start`.

    Parameters
    ----------
    models : sequence of path, default=()
        Model files; the model that comes with the package where there is none.
    limits : Limits, default=Limits()
        What requests may ask for.
    n_workers : int, default=None
        Processes that predict; None means as many as there are CPU cores to use.

    Attributes
    ----------
    models : tuple of ServedModel
        In the order of the files; requests that name none get the first.
    limits : Limits
        As given.
    n_workers : int
        Processes that predict.
    n_inside : int
        Requests that are in the service now.
    audio_seconds : float
        Length of all that was predicted.

    Raises
    ------
    ValueError
        If a model file cannot be used.
    """

    def __init__(
        self,
        models: Sequence[Path | str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008
        n_workers: int | None = None,
    ) -> None:
        files: dict[str, Path] = {}
        for file in map(Path, models or [default_model_path()]):
            files[_unique(file.stem, files)] = file
        loaded = load_models(files)  # once here, so that a bad file is told of now
        self.models = tuple(
            ServedModel(name, tuple(map(str, model.classes_)), hasattr(model, "predict_proba"), read_card(files[name]))
            for name, model in loaded.items()
        )
        self.limits = limits
        self.n_workers = joblib.cpu_count() if n_workers is None else n_workers
        self.n_inside = 0
        self.audio_seconds = 0.0
        self._pool = WorkerPool(files, self.n_workers)

    @property
    def is_ready(self) -> bool:
        """
        Tell whether a request would be worked off now.

        Returns
        -------
        bool
            Whether a worker has loaded the models.
        """
        return self._pool.n_ready > 0

    @property
    def n_restarted(self) -> int:
        """
        Count the workers that had to be replaced.

        Returns
        -------
        int
            Since the start.
        """
        return self._pool.n_restarted

    async def start(self) -> None:
        """Begin to start the workers; `is_ready` tells when one is there."""
        await self._pool.start()

    async def stop(self) -> None:
        """End the workers."""
        await self._pool.stop()

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """
        Let a request in, or refuse it; what it asks for within the block is not counted once more.

        Yields
        ------
        None
            For a ``with`` block around reading and answering it.

        Raises
        ------
        ServiceProblem
            If there are as many in the service as its limits allow.
        """
        if _inside.get():
            yield
            return
        if self.n_inside >= self.limits.max_waiting:
            detail = f"{self.n_inside} requests are being worked off."
            raise ServiceProblem(503, "busy", "Too much to do", detail, retry_after=1)
        self.n_inside += 1
        token = _inside.set(True)
        try:
            yield
        finally:
            _inside.reset(token)
            self.n_inside -= 1

    def find(self, name: str | None) -> ServedModel:
        """
        Give the model that a request is for.

        Parameters
        ----------
        name : str or None
            As the request names it; None for the first.

        Returns
        -------
        ServedModel
            The model.

        Raises
        ------
        ServiceProblem
            If there is none of that name.
        """
        for model in self.models:
            if name in (None, model.name):
                return model
        known = ", ".join(model.name for model in self.models)
        raise ServiceProblem(404, "unknown-model", "No such model", f"There is no model of that name; choose {known}.")

    async def predict(self, audio: bytes, model: str | None = None, *, min_speech: float = 0.25) -> Prediction:
        """
        Name the emotion of a clip.

        Parameters
        ----------
        audio : bytes
            The clip as a file of any format that `sersk.load_audio` reads.
        model : str, default=None
            Name of the model; the first where none is named.
        min_speech : float, default=0.25
            Share of speech without which a clip has no emotion.

        Returns
        -------
        Prediction
            With the label and the probabilities of `sersk.predict_emotions`.

        Raises
        ------
        ServiceProblem
            If there is no answer.
        """
        asked = self.find(model)
        self._check_size(audio)
        most = self.limits.max_seconds
        emotion, chances, speech, seconds = await self.run("predict", asked.name, audio, most, min_speech)
        self.audio_seconds += seconds
        probabilities = dict(zip(asked.classes, chances, strict=True)) if chances else {}
        return Prediction(asked.name, emotion, probabilities.get(emotion), probabilities, speech, seconds)

    async def timeline(
        self, audio: bytes, model: str | None = None, *, window: float = 3.0, hop: float = 1.0, min_speech: float = 0.25
    ) -> list[WindowEmotion]:
        """
        Name the emotions of a recording window by window.

        Parameters
        ----------
        audio : bytes
            The recording as a file.
        model : str, default=None
            Name of the model; the first where none is named.
        window, hop : float, default=3.0 and 1.0
            Length of a window, and from the start of one to that of the next, in seconds.
        min_speech : float, default=0.25
            A window of which less than this is speech has no emotion.

        Returns
        -------
        list of WindowEmotion
            What `sersk.stream_emotions` gives.

        Raises
        ------
        ServiceProblem
            If there is no answer.
        """
        asked = self.find(model)
        self._check_size(audio)
        settings = {"window": window, "hop": hop, "min_speech": min_speech}
        rows = await self.run("timeline", asked.name, audio, self.limits.max_recording_seconds, settings)
        windows = [WindowEmotion(*row) for row in rows]
        self.audio_seconds += windows[-1].end
        return windows

    async def run(self, task: str, *args: Any, timeout: float | None = None) -> Any:
        """
        Have any task done by a worker.

        Parameters
        ----------
        task : str
            A key of `sersk.serve.work.TASKS`.
        *args : tuple
            What it takes beside the models.
        timeout : float, default=None
            Seconds that it may take; None means those of the limits.

        Returns
        -------
        object
            What it gives, made of plain values.

        Raises
        ------
        ServiceProblem
            If the service is full, or the task says so, takes too long or fails.
        """
        with self.admit():
            return await self._pool.run(task, args, self.limits.timeout if timeout is None else timeout)

    def _check_size(self, audio: bytes) -> None:
        if len(audio) > self.limits.max_bytes:
            raise too_large(self.limits)


# Whether what runs now has been let in already.
_inside: ContextVar[bool] = ContextVar("inside", default=False)


def _unique(stem: str, taken: dict[str, Path]) -> str:
    """Give a model a name of its own."""
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
