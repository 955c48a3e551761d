"""Example clips of the page."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")

from sersk import load_audio
from sersk.serve.examples import write_examples


def test_examples_are_clips_of_both_voices(tmp_path):
    files = write_examples(tmp_path / "examples")
    assert sorted(file.name for file in files) == sorted(file.name for file in (tmp_path / "examples").iterdir())
    assert {file.stem.split(", ")[1] for file in files} == {"female voice", "male voice"}
    assert all(1.0 < len(load_audio(file)) / 16000 < 6.0 for file in files)
