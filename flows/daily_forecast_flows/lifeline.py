"""Child processes that cannot outlive the process which started them, however that ends.

The child holds the reading end of a pipe whose writing end only its parent has. When the parent ends, even by a kill,
the pipe closes and the child stops; no process is left behind, on Linux as on macOS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Self

__all__ = ["Child", "NoServerError", "until_parent_ends"]

GRACE = 10.0
"""Seconds between asking a process to end and ending it."""


class NoServerError(Exception):
    """No Prefect server answers; the message says which, or why."""


class Child:
    """A Python module run as a child process with a lifeline; a context manager that ends it.

    Parameters
    ----------
    arguments
        What follows ``python -m``: a module that calls `until_parent_ends`, and its arguments.
    environment
        Variables beside this process's own.
    descriptors
        Open files that the child inherits.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None, descriptors: Sequence[int] = ()
    ) -> None:
        # A session of its own: Ctrl-C in the terminal reaches the parent alone, which ends its children in order.
        # Errors come through; the rest of its output is in the UI.
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this project's modules
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            pass_fds=descriptors,
            start_new_session=True,
        )

    def ended(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._process.poll()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the lifeline and wait; kill what does not end by itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2 * GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def until_parent_ends(stop: Callable[[], None]) -> None:
    """Call ``stop`` when standard input closes, and end this process `GRACE` seconds later if it still runs."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        stop()
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _run(command: Sequence[str]) -> int:
    """Run any command on a lifeline: it and whatever it has started are ended with the parent."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - the caller's own

    def stop() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE - 2)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    until_parent_ends(stop)
    return process.wait()


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
