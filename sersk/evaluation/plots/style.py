"""What all pictures share: colours that differ in grey, too, and bare axes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Dark blue and light orange differ in grey, too; dashes or marks tell lines apart without any colour.
DARK = "#12355b"
LIGHT = "#e07a1f"
_LETTERS = 10  # of a title, an inch


def need_figure() -> type[Figure]:
    """
    Import matplotlib's figure, which opens no window.

    Returns
    -------
    type
        `matplotlib.figure.Figure`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'sersk[plot]'") from error
    return Figure


def tidy(axes: Any) -> None:
    """
    Leave a pale grid and the two spines that have numbers.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is changed.
    """
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def put_title(figure: Figure, title: str | None) -> None:
    """
    Write a title above, in as many lines as it needs, letter for letter.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What is changed.
    title : str or None
        What is written: also a file's name, whose dollar signs are no formula. None writes nothing.
    """
    if title is not None:
        figure.suptitle(textwrap.fill(title, int(_LETTERS * figure.get_figwidth())), parse_math=False)
