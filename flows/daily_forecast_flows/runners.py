"""Where the shards' tasks run, and small things about the run itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing import connection, parent_process
from typing import Any, Literal

from prefect import Task, unmapped
from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture, PrefectFutureList
from prefect.runtime import flow_run
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

__all__ = ["make_runner", "name_run", "per_shard", "seconds_since"]


def make_runner(kind: Literal["threads", "processes"], workers: int | None = None) -> TaskRunner[Any]:
    """Make a task runner.

    Parameters
    ----------
    kind
        ``threads`` start at once and share memory; torch lets go of the interpreter's lock while it computes.
        ``processes`` each import everything again, and are worth it when training takes minutes.
    workers
        How many; the cores that this process may use when None. The numbers that come out are the same.
    """
    workers = workers or len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    if kind == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    return ProcessPoolTaskRunner(max_workers=workers, initializer=_leave_signals_to_parent)


def per_shard(
    runner: TaskRunner[Any], task: Task[..., Any], after: Sequence[PrefectFuture[Any]] = (), **parameters: Any
) -> PrefectFutureList[Any]:
    """Submit a task once a shard: lists (quoted, or of futures) give each shard its own value, all else is shared."""
    own = (list, quote)
    given: dict[str, Any] = {
        name: value if isinstance(value, own) else unmapped(value) for name, value in parameters.items()
    }
    return runner.map(task, given, wait_for=after)


def _leave_signals_to_parent() -> None:
    # Ctrl-C and a worker's SIGTERM reach the whole group of processes; the pool would break before its tasks can end
    # by themselves. And a process whose parent was killed would wait for work for ever.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def name_run(name: str) -> None:
    """Name the run after what it is about."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, name)


def seconds_since(moment: datetime) -> float:
    """Seconds from a moment to now, to the tenth."""
    return round((datetime.now(UTC) - moment).total_seconds(), 1)
