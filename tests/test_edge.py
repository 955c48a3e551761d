"""The garbage collector around a command's imports; the rest of the edge is tested with the commands."""

from __future__ import annotations

import gc

import pytest

from sersk.edge import starting


@pytest.fixture(autouse=True)
def collector():
    """The tests' process goes on as it was."""
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


def test_garbage_is_looked_for_again_after_the_imports():
    with starting():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    before = gc.get_freeze_count()
    more = [[] for _ in range(10_000)]
    with starting():
        pass
    assert gc.get_freeze_count() < before + len(more), "only once"


def test_an_error_changes_nothing_about_it():
    with pytest.raises(ImportError), starting():
        raise ImportError
    assert gc.isenabled()
