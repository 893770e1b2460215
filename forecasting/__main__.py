"""The library's own commands: ``python -m forecasting --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App

from forecasting.commands import COMMANDS, run_command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 2, with one plain message, when the input or an option is wrong."""
    app = App(name="python -m forecasting", help="Look at price files and at what was published.", version_flags=())
    for name, (place, purpose) in COMMANDS.items():
        app.command(place, name=name, help=purpose)
    return run_command(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
