"""Words on a command line -> a process that runs them, as ``sersk`` or as ``python -m sersk``."""

import os
import sys

from .interruption import end, end_on_signals


def main() -> None:
    """Run the command line."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # it is closed: the next file would take its number, and workers could not start
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    end_on_signals()
    from .cli import app
    from .edge import can_flush

    try:
        app(prog_name="sersk")
    except SystemExit as error:
        if error.code == 130 or not can_flush():  # Python would crash, or tell of the full disk once more
            end(int(error.code or 0))
        raise


if __name__ == "__main__":
    main()
