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
from prefect.futures import PrefectConcurrentFuture, PrefectFuture, PrefectFutureList
from prefect.runtime import flow_run
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from forecasting.errors import InputError

__all__ = ["make_runner", "name_run", "parents", "per_shard", "seconds_since"]


def make_runner(
    kind: Literal["threads", "processes", "dask", "ray"], cluster: str | None = None, workers: int | None = None
) -> TaskRunner[Any]:
    """Make a task runner.

    Parameters
    ----------
    kind
        ``threads`` start at once and share memory; torch lets go of the interpreter's lock while it computes.
        ``processes`` each import everything again, and are worth it when training takes minutes. ``dask`` and ``ray``
        are clusters; a shard whose worker dies is done again by another.
    cluster
        The address of the cluster; None makes one on this machine for the length of the run.
    workers
        How many on this machine; the cores that this process may use when None. The numbers that come out are the same.

    Raises
    ------
    InputError
        When a cluster's package is not installed, or an address is given to what has none.
    """
    if cluster is not None and kind not in ("dask", "ray"):
        raise InputError(f"--cluster names a cluster, and --task-runner is {kind}", setting="set it to dask or ray")
    workers = workers or len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    if kind == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if kind == "processes":
        return ProcessPoolTaskRunner(max_workers=workers, initializer=_leave_signals_to_parent)
    try:
        return _dask(cluster, workers) if kind == "dask" else _ray(cluster, workers)
    except ModuleNotFoundError as error:
        raise InputError(
            f"--task-runner {kind} needs a package that is not installed ({error.name})",
            setting=f"pip install 'daily-forecast[{kind}]'",
        ) from error


def _dask(address: str | None, workers: int) -> TaskRunner[Any]:
    from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra

    # One thread each: torch uses one, and shards are what runs in parallel.
    local = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    runner: TaskRunner[Any] = DaskTaskRunner(address=address, cluster_kwargs=None if address else local)
    return runner


def _ray(address: str | None, workers: int) -> TaskRunner[Any]:
    from prefect_ray import RayTaskRunner  # noqa: PLC0415 - an extra

    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of this machine is sent anywhere
    local = {
        "num_cpus": workers,
        "include_dashboard": False,
        "log_to_driver": False,
        "_node_ip_address": "127.0.0.1",
    }
    runner: TaskRunner[Any] = RayTaskRunner(address=address, init_kwargs=None if address else local)
    return runner


def per_shard(
    runner: TaskRunner[Any], task: Task[..., Any], after: Sequence[PrefectFuture[Any]] = (), **parameters: Any
) -> PrefectFutureList[Any]:
    """Submit a task once per shard: lists (quoted, or of futures) give each shard its own value, all else is shared.

    ``after`` are futures that have ended, shown as parents in the graph of the run; a cluster cannot be sent them, and
    takes quotes for tuples.
    """
    own = (list, quote)
    given: dict[str, Any] = {
        name: value if isinstance(value, own) else unmapped(value) for name, value in parameters.items()
    }
    if isinstance(runner, ThreadPoolTaskRunner | ProcessPoolTaskRunner):
        return runner.map(task, given, wait_for=after)
    return runner.map(task, {name: _unquoted(value) for name, value in given.items()})


def parents(futures: Sequence[PrefectFuture[Any]]) -> list[PrefectFuture[Any]]:
    """Choose what a later task can name as its parents: a cluster's futures cannot be asked once it is gone."""
    return [future for future in futures if isinstance(future, PrefectConcurrentFuture)]


def _unquoted(value: Any) -> Any:
    return value.unquote() if isinstance(value, quote) else value


def _leave_signals_to_parent() -> None:
    # Ctrl-C and a worker's SIGTERM reach the whole group of processes; the pool would break before its tasks can end
    # by themselves. And a process whose parent was killed would wait for work forever.
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
