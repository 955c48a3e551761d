"""What all pictures share: colours that differ in grey, too, and bare axes."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Dark blue and light orange differ in grey, too; dashes or marks tell lines apart without any colour.
DARK = "#12355b"
LIGHT = "#e07a1f"
_LETTERS = 10  # of a title, an inch
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


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


def fit_name(name: object, longest: int = 20) -> str:
    """
    Write the name of an emotion or a speaker so that it stands in a picture, whatever is in it.

    Parameters
    ----------
    name : object
        What to write.
    longest : int, default=20
        Number of characters; of a longer name the beginning and the end are kept.

    Returns
    -------
    str
        One line, in which matplotlib finds no formula.
    """
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(name))
    if len(text) > longest:
        end = (longest - 1) // 2
        text = f"{text[: longest - 1 - end]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - end :]}"
    return text.replace("$", r"\$")


def ink_on(paper: tuple[float, ...]) -> str:
    """
    Choose black or white to write with, whichever is read better.

    Parameters
    ----------
    paper : tuple of float
        Red, green and blue of what is written on, from 0 to 1.

    Returns
    -------
    str
        ``"black"`` or ``"white"``; the contrast is 4.5 to 1 at the least.

    References
    ----------
    W3C 2018, "Web Content Accessibility Guidelines 2.1", https://www.w3.org/TR/WCAG21/: relative luminance and contrast
    ratio.
    """
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in paper[:3])
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"
