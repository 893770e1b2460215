"""Watching the shards train: one progress artifact, a log line now and then, a bar for who looks at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from flows.progress import Board, TrainingProgress

__all__ = ["ProgressArtifact", "follow"]

LOOK_EVERY = 1.0
TELL_EVERY = 3.0
LOG_EVERY = 20.0
"""Seconds; an update of the artifact costs the server some 10 ms, and a page of a thousand log lines helps nobody."""


def follow(board: Board, futures: Sequence[PrefectFuture[Any]], tickers: int) -> None:
    """Return when all futures have ended, telling on the way how far training is."""
    logger = get_run_logger()
    began = told = logged = time.monotonic()
    artifact = ProgressArtifact("training", str(TrainingProgress.none(tickers)))
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        line = shown.add_task("training", total=1.0)
        while wait(list(futures), timeout=LOOK_EVERY).not_done:
            now = time.monotonic()
            state = board.total(tickers, now - began)
            shown.update(line, completed=state.share, description=str(state))
            if now - told >= TELL_EVERY:
                artifact.update(state.share, str(state))
                told = now
            if now - logged >= LOG_EVERY:
                logger.info("%s", state)
                logged = now
    # Until then a future asks the server, which may still have its task as running, and so as the parent of the next.
    wait(list(futures))
    state = board.total(tickers, time.monotonic() - began)
    artifact.update(state.share, str(state))
    logger.info("%s, in %.0f s", state, time.monotonic() - began)


class ProgressArtifact:
    """A bar on the run's page; a server that is away for a moment ends no run.

    Parameters
    ----------
    key
        The artifact's key.
    description
        What it says to begin with.
    """

    def __init__(self, key: str, description: str) -> None:
        self._id: UUID | None = None
        with suppress(httpx.HTTPError, PrefectException):
            self._id = cast("UUID", create_progress_artifact(0.0, key=key, description=description))

    def update(self, share: float, description: str) -> None:
        """Move the bar to a share of 0 to 1."""
        if self._id is not None:
            with suppress(httpx.HTTPError, PrefectException):
                update_progress_artifact(self._id, round(100 * share, 1), description=description)
