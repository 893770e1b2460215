"""Runs and their processes: none is left at work when its worker goes, and none that died is left Running.

A Prefect worker that is told to end kills the processes of its runs at once; their runs would stay Running, and hold
their deployment's place, for as long as nobody says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling, Crashed

__all__ = ["cancel_runs", "crash_leftovers"]

AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
GONE = "The process that ran it is gone; what was published before stands"


def crash_leftovers(client: SyncPrefectClient) -> int:
    """Make the runs that the server has at work Crashed, their tasks too; returns how many there were.

    Only where nothing can be at work: before a server's one worker starts.
    """
    runs = _at_work(client)
    for run in runs:
        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        open_tasks = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=list(AT_WORK))))
        for task in client.read_task_runs(flow_run_filter=of_run, task_run_filter=open_tasks):
            client.set_task_run_state(task.id, Crashed(message=GONE), force=True)
        client.set_flow_run_state(run.id, Crashed(message=GONE), force=True)
    return len(runs)


def cancel_runs(client: SyncPrefectClient, wait: float) -> int:
    """Ask the runs at work to end, as a cancel in the UI does, and wait until they have; returns how many did not.

    Parameters
    ----------
    client
        Of the server whose worker is about to end.
    wait
        Seconds, at most.
    """
    for run in _at_work(client):
        client.set_flow_run_state(run.id, Cancelling(message="The worker is going down"))
    give_up = time.monotonic() + wait
    while (left := _at_work(client)) and time.monotonic() < give_up:
        time.sleep(0.5)
    return len(left)


def _at_work(client: SyncPrefectClient) -> Sequence[FlowRun]:
    states = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(AT_WORK)))
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(state=states))
