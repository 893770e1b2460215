"""How training reports how far it is, and is asked to stop: small files in one folder, for threads and processes alike.

Every shard writes its own file and looks for the one that asks it to stop. The flow's own thread reads them all a few
times a minute, so that the server hears of progress from one place and rarely, however many epochs fly by.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from forecasting.config import ForecastConfig
from forecasting.features.windows import Segment
from forecasting.formatting import pluralize
from forecasting.model.training_loop import Progress as Epoch

__all__ = ["Board", "ProgressArtifact", "Reporter", "ShardProgress", "board", "follow"]

FITS: tuple[Segment, ...] = ("train", "before_test", "all")
"""The fits that each model goes through, in their order (the tutorial's has the last alone)."""

LOOK_EVERY, UPDATE_EVERY, LOG_EVERY = 1.0, 3.0, 20.0
"""Seconds; an update of the artifact costs the server some 10 ms, and a page of a thousand log lines helps nobody."""


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far the training of one shard, or of all, is.

    Attributes
    ----------
    share
        Part of its work that is done, 0 to 1.
    done, size
        What is over (tickers, or fits of a backtest), of how many.
    losses
        The last mean losses that are known, on training and on validation rows, as text.
    """

    share: float
    done: int
    size: int
    losses: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """The folder that shards and flow share; it can be sent to another process."""

    folder: Path

    def report(self, shard: int, progress: ShardProgress) -> None:
        """Write how far a shard is; a reader sees the old state or the new."""
        with suppress(OSError):  # a full disk must not end a training; the numbers are for looking at only
            draft = self.folder / f".{shard}.json"
            draft.write_text(json.dumps(asdict(progress)))
            draft.replace(self.folder / f"{shard}.json")

    def stop(self) -> None:
        """Ask every shard to stop at its next epoch."""
        (self.folder / "stop").touch()

    def stopped(self) -> bool:
        """Whether they were asked to; also true once the folder is gone, its owner having ended."""
        return (self.folder / "stop").exists() or not self.folder.is_dir()

    def shards(self) -> list[ShardProgress]:
        """Read how far each shard that has begun is."""
        return [ShardProgress(**json.loads(path.read_text())) for path in sorted(self.folder.glob("[0-9]*.json"))]

    def total(self, size: int) -> ShardProgress:
        """Sum the shards up to all that are to be done, those that have not begun among them."""
        begun = self.shards()
        share = sum(shard.share * shard.size for shard in begun) / size if size else 1.0
        slowest = min(begun, key=lambda shard: shard.share, default=ShardProgress(0.0, 0, size))
        return ShardProgress(share, sum(shard.done for shard in begun), size, slowest.losses)


class Reporter:
    """Turns each epoch's report into how far its shard is.

    A shard's models are fitted in programs, one after the other, and each program in several fits: on training rows,
    on all rows before the test, on all rows. Fits take about the same time where early stopping does not cut them
    short.
    """

    def __init__(self, board: Board, shard: int, size: int, members: int, fits: Sequence[Segment] = FITS) -> None:
        self._board, self._shard, self._size, self._members = board, shard, size, members
        self._fits = tuple(fits)
        self._behind = 0  # models whose fits are all over
        self._program = 0  # models of the program at work
        self._place = (len(self._fits), 0)  # the fit at work, and its epochs done
        self._losses = ""

    @classmethod
    def of(cls, board: Board, shard: int, size: int, config: ForecastConfig) -> Reporter:
        """Report on a shard of so many tickers or fits."""
        return cls(board, shard, size, config.members, FITS if config.preset == "default" else FITS[-1:])

    def __call__(self, now: Epoch) -> None:
        """Take one epoch's report."""
        fit = self._fits.index(now.segment)
        if (fit, now.epoch) <= self._place:
            self._behind += self._program
            self._program = max(now.models, 1)
        self._place = (fit, now.epoch)
        if not math.isnan(now.validation_loss):
            self._losses = f"loss {now.train_loss:.4g}, validation {now.validation_loss:.4g}"
        elif len(self._fits) == 1:  # of several, the later ones have no validation rows
            self._losses = f"loss {now.train_loss:.4g}"
        over = now.models == 0 or now.epoch >= now.epochs
        within = (fit + (1 if over else now.epoch / now.epochs)) / len(self._fits)
        share = (self._behind + within * self._program) / max(self._size * self._members, self._behind + self._program)
        done = (self._behind + (self._program if within >= 1 else 0)) // self._members
        self._board.report(self._shard, ShardProgress(share, done, self._size, self._losses))


@contextmanager
def board() -> Iterator[Board]:
    """Make a board for the length of a ``with`` block; whatever ends the block, the shards are asked to stop."""
    folder = Path(tempfile.mkdtemp(prefix="daily-forecast-"))
    try:
        yield Board(folder)
    finally:
        # Renamed first: emptied under its name while a shard writes into it, the folder could stay, its stop file gone.
        closed = folder.rename(folder.with_name(f"{folder.name}-closed"))
        shutil.rmtree(closed, ignore_errors=True)


def follow(board: Board, futures: Sequence[PrefectFuture[Any]], size: int, *, noun: str, key: str) -> None:
    """Return when all futures have ended; report on the way how far they are: on the run's page, log and terminal."""
    began = updated = logged = time.monotonic()
    artifact = ProgressArtifact(key, f"0 of {pluralize(size, noun)}")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        line = shown.add_task(key, total=1.0)
        while wait(list(futures), timeout=LOOK_EVERY).not_done:
            now, state = time.monotonic(), board.total(size)
            text = ", ".join(filter(None, [f"{state.done:,} of {pluralize(size, noun)}", state.losses]))
            shown.update(line, completed=state.share, description=text)
            if now - updated >= UPDATE_EVERY:
                artifact.update(state.share, text)
                updated = now
            if now - logged >= LOG_EVERY:
                get_run_logger().info("%s: %.0f %%, %s", key, 100 * state.share, text)
                logged = now
    # Until then a future asks the server, which may still have its task as running, and so as the parent of the next.
    wait(list(futures))
    text = f"{pluralize(size, noun)} in {time.monotonic() - began:.0f} s"
    completed = all(future.state.is_completed() for future in futures)
    artifact.update(1.0 if completed else board.total(size).share, text)
    get_run_logger().info("%s: %s", key, text)


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
