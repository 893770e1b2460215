"""The library's own commands: ``python -m forecasting --help``. Each is imported only when it is called."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

from forecasting.errors import InputError

__all__ = ["app", "main"]

app = App(name="python -m forecasting", help="Look at price files and at what was published.", version_flags=())
app.command("forecasting.commands.check:run_check", name="check")
app.command("forecasting.commands.show:run_show", name="show")
app.command("forecasting.commands.predict:run_predict", name="predict")
app.command("forecasting.commands.verify:run_verify", name="verify")
app.command("forecasting.commands.prune:run_prune", name="prune")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit status: 2, with one plain message, when the input or an option is wrong."""
    try:
        status = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return 2
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BrokenPipeError:
        # Whoever was read by has seen enough (head, say); what Python still holds back has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
