"""Words on a command line -> a process that runs them, as ``sersk`` or as ``python -m sersk``."""

from .interruption import end, end_on_signals


def main() -> None:
    """Run the command line."""
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
