"""The deployments without a work pool or a worker: ``daily-forecast serve``, against the server that is configured.

One process polls for the runs of deployments/prefect.yaml and runs each as a process of its own. When it stops, their
schedules are paused, so that no run is promised that nobody would make.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from prefect import serve
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL

from daily_forecast_flows.options import PROJECT
from daily_forecast_flows.server import require_server
from forecasting.buckets import address_of
from forecasting.errors import InputError

__all__ = ["DEPLOYMENTS", "deployments", "serve_deployments"]

_INSTALLED = Path(__file__).with_name("deployments")
DEPLOYMENTS = (_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "deployments") / "prefect.yaml"
"""A wheel brings the folder along inside the package."""


def deployments(path: Path = DEPLOYMENTS) -> Iterator[RunnerDeployment]:
    """Make the deployments of a file, as they are there but for the work pool."""
    for one in yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]:
        made = load_flow_from_entrypoint(one["entrypoint"], use_placeholder_flow=False).to_deployment(
            name=one["name"],
            description=one["description"],
            tags=one["tags"],
            parameters=_absolute(one["parameters"]),
            enforce_parameter_schema=one["enforce_parameter_schema"],
            concurrency_limit=ConcurrencyLimitConfig.model_validate(one["concurrency_limit"]),
            schedules=[
                Cron(each["cron"], timezone=each["timezone"], slug=each["slug"], active=each["active"])
                for each in one["schedules"]
            ],
        )
        yield cast("RunnerDeployment", made)


def _absolute(parameters: dict[str, Any]) -> dict[str, Any]:
    """Take the file's paths from the project's folder, where a worker would run."""
    places = {name for name in ("prices", "output") if name in parameters and address_of(parameters[name]) is None}
    return parameters | {name: str(PROJECT.absolute() / parameters[name]) for name in places}


def serve_deployments() -> int:
    """Serve until interrupted; returns the exit status.

    Raises
    ------
    InputError
        When no server is configured, or the same deployments are there for a worker, which serving would break.
    """
    if not PREFECT_API_URL.value():
        raise InputError("no server is configured", setting="start one (make ui does) and set PREFECT_API_URL")
    require_server()
    made = list(deployments())
    with get_client(sync_client=True) as client:
        pools = {f"{one.name}": one.work_pool_name for one in client.read_deployments() if one.work_pool_name}
    if taken := [one.name for one in made if one.name in pools]:
        what = f"the server has {taken[0]} deployed to the work pool {pools[taken[0]]}, which serving would break"
        raise InputError(what, setting="start a worker for the pool, or `prefect deployment delete` them first")
    serve(*made, pause_on_shutdown=True, limit=2)
    return 0
