"""How training tells how far it is, and is told to stop: small files in one folder, for threads and processes alike.

Every shard writes its own file and reads the one that asks it to stop. The flow's own thread reads them all a few times
a minute, so that the server hears of progress from one place and rarely, however many epochs fly by.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from forecasting.features.windows import Segment
from forecasting.model.training import Progress

__all__ = ["FITS", "Board", "Reporter", "ShardProgress", "TrainingProgress", "board"]


FITS: tuple[Segment, ...] = ("train", "before_test", "all")
"""The fits that each model goes through, in their order (the tutorial's has the last alone)."""


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far one shard's training is.

    Attributes
    ----------
    share
        Part of its work that is done, 0 to 1.
    epoch, epochs
        Of the fit at work: epochs done, and how many there are at most.
    train_loss, validation_loss
        Means over the models at work; NaN where there is none.
    done, tickers
        Tickers whose training is over, of how many.
    """

    share: float
    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float
    done: int
    tickers: int


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far the training of all shards is.

    Attributes
    ----------
    share
        Part of the work that is done, 0 to 1; each ticker counts the same.
    done, tickers
        Tickers whose training has ended, of how many.
    train_loss, validation_loss
        Means over the shards that have begun, weighted with their tickers.
    seconds_left
        At the pace so far; None before there is one.
    """

    share: float
    done: int
    tickers: int
    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float
    seconds_left: float | None

    @classmethod
    def none(cls, tickers: int) -> TrainingProgress:
        """Nothing has begun."""
        return cls(0.0, 0, tickers, 0, 0, math.nan, math.nan, None)

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", {_duration(self.seconds_left)} left"
        loss = "" if math.isnan(self.train_loss) else f", loss {self.train_loss:.4g}"
        if not math.isnan(self.validation_loss):
            loss += f" (validation {self.validation_loss:.4g})"
        return (
            f"trained {self.share:.0%}: {self.done} of {self.tickers} tickers, "
            f"epoch {self.epoch} of {self.epochs}{loss}{left}"
        )


@dataclass(frozen=True, slots=True)
class Board:
    """The folder that shards and flow share; it can be sent to another process."""

    folder: Path

    def tell(self, shard: int, progress: ShardProgress) -> None:
        """Write how far a shard is; a reader sees the old state or the new."""
        with suppress(OSError):  # a full disk must not end a training; the numbers are for looking at only
            draft = self.folder / f".{shard}.json"
            draft.write_text(json.dumps(asdict(progress)))
            draft.replace(self.folder / f"{shard}.json")

    def stop(self) -> None:
        """Ask every shard to stop at its next epoch."""
        (self.folder / "stop").touch()

    def stopped(self) -> bool:
        """Tell whether they were asked to; also true once the folder is gone, its owner having ended."""
        return (self.folder / "stop").exists() or not self.folder.is_dir()

    def shards(self) -> list[ShardProgress]:
        """Read how far each shard that has begun is."""
        return [ShardProgress(**json.loads(path.read_text())) for path in sorted(self.folder.glob("[0-9]*.json"))]

    def total(self, tickers: int, elapsed: float) -> TrainingProgress:
        """Sum the shards up.

        Parameters
        ----------
        tickers
            How many tickers all shards have, those that have not begun among them.
        elapsed
            Seconds since training began.
        """
        begun = self.shards()
        share = sum(shard.share * shard.tickers for shard in begun) / tickers if tickers else 1.0
        return TrainingProgress(
            share=share,
            done=sum(shard.done for shard in begun),
            tickers=tickers,
            epoch=max((shard.epoch for shard in begun), default=0),
            epochs=max((shard.epochs for shard in begun), default=0),
            train_loss=_mean([(shard.train_loss, shard.tickers) for shard in begun]),
            validation_loss=_mean([(shard.validation_loss, shard.tickers) for shard in begun]),
            seconds_left=elapsed * (1 - share) / share if 0.02 < share < 1 else None,
        )


class Reporter:
    """Turns what training tells once an epoch into how far its shard is.

    A shard's models are fitted in programs, one after the other, and each program three times: on training rows, on
    all rows before the test, on all rows. Fits take about the same time where early stopping does not cut them short.
    """

    def __init__(self, board: Board, shard: int, tickers: int, members: int, fits: Sequence[Segment] = FITS) -> None:
        self._board = board
        self._shard = shard
        self._tickers = tickers
        self._members = members
        self._behind = 0  # models whose three fits are over
        self._program = 0  # models of the program at work
        self._fits = tuple(fits)
        self._place = (len(self._fits), 0)  # the fit at work, and its epochs done
        self._losses = (math.nan, math.nan)

    def __call__(self, now: Progress) -> None:
        """Take one epoch's news."""
        fit = self._fits.index(now.segment)
        if (fit, now.epoch) <= self._place:
            self._behind += self._program
            self._program = max(now.models, 1)
        self._place = (fit, now.epoch)
        # Later fits have no validation rows; what is shown is the last loss that there was.
        self._losses = (now.train_loss, self._losses[1] if math.isnan(now.validation_loss) else now.validation_loss)
        over = now.models == 0 or now.epoch >= now.epochs
        within = (fit + (1 if over else now.epoch / now.epochs)) / len(self._fits)
        models = max(self._tickers * self._members, self._behind + self._program)
        self._board.tell(
            self._shard,
            ShardProgress(
                share=(self._behind + within * self._program) / models,
                epoch=now.epoch,
                epochs=now.epochs,
                train_loss=self._losses[0],
                validation_loss=self._losses[1],
                done=(self._behind + (self._program if within >= 1 else 0)) // self._members,
                tickers=self._tickers,
            ),
        )


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


def _mean(weighted: list[tuple[float, int]]) -> float:
    known = [(value, weight) for value, weight in weighted if not math.isnan(value)]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else math.nan


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
