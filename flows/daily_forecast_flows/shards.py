"""Running a task on all shards in parallel: where the tasks run, their progress, and how they are asked to stop.

On this machine each shard writes the share of its work that is done to a file in one folder, in threads and in
processes alike. The flow's thread reads these files now and then, so that the server is sent progress from one place,
and rarely. When the folder is gone, the flow has ended, and the shards stop at their next epoch.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID

import httpx
from prefect import Task, unmapped
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException
from prefect.futures import PrefectConcurrentFuture, PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from daily_forecast_flows.options import RunOptions
from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.formatting import pluralize
from forecasting.model.training import SEGMENTS
from forecasting.model.training_loop import Progress as Epoch
from forecasting.model.training_loop import Watch
from forecasting.store.transaction import Drafts

__all__ = ["Board", "ProgressArtifact", "board", "follow", "make_runner", "work_shards"]

LOOK_EVERY, UPDATE_EVERY = 1.0, 3.0
"""Seconds; an update of the artifact costs the server some 10 ms."""


def work_shards(
    task: Task[..., Any],
    shards: Sequence[Any],
    options: RunOptions,
    drafts: Drafts,
    *,
    sizes: Sequence[int],
    noun: str,
    key: str,
    after: PrefectFuture[Any],
    **shared: Any,
) -> tuple[list[Any], list[PrefectFuture[Any]]]:
    """Run a task on every shard, where the options say, and report the progress.

    Parameters
    ----------
    task, shards, shared
        The task gets a ``shard`` and its ``number``, a ``board``, and the arguments that all of them share.
    sizes, noun, key
        The amount of work in each shard, its unit, and the name of the progress artifact.
    after
        A finished future, shown as the shards' parent in the run's graph.

    Returns
    -------
    tuple
        The results in the order of the shards, and the futures that a later task can name as its parents: futures of a
        cluster are useless once it is gone.
    """
    local = options.task_runner in ("threads", "processes")
    deadline = options.training_deadline(time.time())
    with make_runner(options.task_runner, options.cluster) as runner, board(drafts, deadline, local=local) as progress:
        shared |= {"board": progress}
        # A cluster takes quotes for tuples, and cannot be sent futures that have ended.
        own = {"shard": quote(shards) if local else list(shards), "number": list(range(len(shards)))}
        given: dict[str, Any] = own | {name: unmapped(value) for name, value in shared.items()}
        futures = runner.map(task, given, wait_for=[after] if local else None)
        follow(progress, futures, sizes, noun=noun, key=key)
        return futures.result(), [one for one in futures if isinstance(one, PrefectConcurrentFuture)]


def make_runner(
    kind: Literal["threads", "processes", "dask", "ray"], cluster: str | None = None, workers: int | None = None
) -> TaskRunner[Any]:
    """Make a task runner with ``workers`` on this machine (by default one per core), or for a cluster's address.

    Threads start at once and share memory; torch releases the interpreter's lock while it computes. Each process
    imports everything again, which is worth it when training takes minutes. On a cluster, a shard whose worker dies is
    done again by another worker.

    Raises
    ------
    InputError
        When a cluster's package is not installed, or an address is given to what has none.
    """
    if cluster is not None and kind not in ("dask", "ray"):
        raise InputError(f"--cluster names a cluster, and --task-runner is {kind}", setting="set it to dask or ray")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    workers = workers or len(cores)
    if kind == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if kind == "processes":
        return ProcessPoolTaskRunner(max_workers=workers, initializer=_leave_signals_to_parent)
    runner: TaskRunner[Any]
    local: dict[str, Any]
    try:
        if kind == "dask":
            from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra

            # One thread each: torch uses one, and shards are what runs in parallel.
            local = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
            runner = DaskTaskRunner(address=cluster, cluster_kwargs=None if cluster else local)
        else:
            from prefect_ray import RayTaskRunner  # noqa: PLC0415 - an extra

            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of this machine is sent anywhere
            local = {"num_cpus": workers, "include_dashboard": False, "log_to_driver": False}
            local |= {"_node_ip_address": "127.0.0.1"}
            runner = RayTaskRunner(address=cluster, init_kwargs=None if cluster else local)
    except ModuleNotFoundError as error:
        what = f"--task-runner {kind} needs a package that is not installed ({error.name})"
        raise InputError(what, setting=f"pip install 'daily-forecast[{kind}]'") from error
    return runner


def _leave_signals_to_parent() -> None:
    # Ctrl-C and a worker's SIGTERM reach the whole process group; the pool would break before its tasks can end
    # by themselves. And a process whose parent was killed would wait for work forever.
    def end_with_parent() -> None:
        if parent := parent_process():
            connection.wait([parent.sentinel])
            os._exit(1)

    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, name="lifeline", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Board:
    """What the shards and their flow share; it can be sent to another process.

    Attributes
    ----------
    folder
        Where each shard writes its progress; None on a cluster, where nothing is known about a shard until it ends.
    drafts, deadline
        The run's drafts, and when its time budget is spent (as `time.time`); None when there is no limit.
    """

    folder: Path | None
    drafts: Drafts
    deadline: float | None = None

    def stopped(self) -> bool:
        """Whether the run has ended, so that its shards are not needed any more."""
        return self.drafts.closed() if self.folder is None else not self.folder.is_dir()

    def report(self, shard: int, share: float) -> None:
        """Write the share of its work that a shard has done; a reader sees the old number or the new one."""
        with suppress(OSError):  # a full disk must not end the training; the numbers are only shown
            if self.folder is not None:
                draft = self.folder / f".{shard}"
                draft.write_text(str(share))
                draft.replace(self.folder / str(shard))

    def shares(self) -> dict[int, float]:
        """Read the share of its work that each shard has done, for the shards that have reported."""
        files = self.folder.glob("[0-9]*") if self.folder else ()
        return {int(path.name): float(path.read_text()) for path in files}

    def watch(self, shard: int, tickers: int, config: ForecastConfig, times: int = 1) -> Watch:
        """Make the `Watch` of a shard that trains ``tickers`` models ``times`` times.

        Its models are fitted in programs, one after the other, each several times (the tutorial's once). The fits are
        counted as if they all took the same time.
        """
        programs = -(-tickers * config.members // config.models_per_batch)
        fits = times * (tickers if config.preset == "tutorial" else programs * len(SEGMENTS))
        over = 0

        def report(now: Epoch) -> None:
            nonlocal over
            ends = now.models == 0 or now.epoch >= now.epochs
            self.report(shard, min((over + (1.0 if ends else now.epoch / now.epochs)) / fits, 1.0))
            over += ends

        return Watch(report, self.stopped, lambda: self.deadline is not None and time.time() > self.deadline)


@contextmanager
def board(drafts: Drafts, deadline: float | None = None, *, local: bool = True) -> Iterator[Board]:
    """Make a board for the length of a ``with`` block; when the block ends, the shards of this machine stop."""
    if not local:
        yield Board(None, drafts, deadline)
        return
    folder = Path(tempfile.mkdtemp(prefix="daily-forecast-"))
    try:
        yield Board(folder, drafts, deadline)
    finally:
        # Renamed first: a folder that a shard still writes into could not be removed.
        shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}-closed")), ignore_errors=True)


def follow(board: Board, futures: Sequence[PrefectFuture[Any]], sizes: Sequence[int], *, noun: str, key: str) -> None:
    """Wait until all futures have ended; report the progress on the run's page and in the terminal."""
    total, share, pending = sum(sizes), 0.0, list(futures)
    began = updated = time.monotonic()
    artifact = ProgressArtifact(key, f"0 of {pluralize(total, noun)}")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        line = shown.add_task(key, total=1.0)
        while (state := wait(pending, timeout=LOOK_EVERY)).not_done:
            now, begun = time.monotonic(), board.shares()
            shares = [1.0 if one in state.done else begun.get(number, 0.0) for number, one in enumerate(pending)]
            share = sum(part * size for part, size in zip(shares, sizes, strict=True)) / total
            text = f"{int(share * total):,} of {pluralize(total, noun)}"
            shown.update(line, completed=share, description=text)
            if now - updated >= UPDATE_EVERY:
                artifact.update(share, text)
                updated = now
    # Without this a future asks the server, which may still have its task as running, and so as the parent of the next.
    wait(pending)
    text = f"{pluralize(total, noun)} in {time.monotonic() - began:.0f} s"
    artifact.update(1.0 if all(one.state.is_completed() for one in pending) else share, text)
    get_run_logger().info("%s: %s", key, text)


class ProgressArtifact:
    """A progress bar on the run's page; when the server is away the run continues, and does not ask it again."""

    def __init__(self, key: str, description: str) -> None:
        self._id: UUID | None = None
        with suppress(httpx.HTTPError, PrefectException):
            self._id = cast("UUID", create_progress_artifact(0.0, key=key, description=description))

    def update(self, share: float, description: str) -> None:
        """Move the bar to a share of 0 to 1."""
        try:
            if self._id is not None:
                update_progress_artifact(self._id, round(100 * share, 1), description=description)
        except (httpx.HTTPError, PrefectException):
            self._id = None  # each further try would keep the run waiting for a minute
