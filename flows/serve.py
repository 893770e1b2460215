"""The deployments without a work pool or a worker: ``python -m flows.serve``, against the server that is configured.

One process polls for the runs of deployments/prefect.yaml and runs each as a process of its own. When it stops, their
schedules are paused, so that no run is promised that nobody would make.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import yaml
from prefect import Flow, serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL
from rich.console import Console

from flows.options import PROJECT

__all__ = ["DEPLOYMENTS", "deployments", "main"]

DEPLOYMENTS = PROJECT / "deployments" / "prefect.yaml"


def deployments(path: Path = DEPLOYMENTS) -> Iterator[RunnerDeployment]:
    """Make the deployments of a file, as they are there but for the work pool."""
    for one in yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]:
        made = _flow(one["entrypoint"]).to_deployment(
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


def _flow(entrypoint: str) -> Flow[..., Any]:
    module, _, name = entrypoint.partition(":")
    found: Flow[..., Any] = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
    return found


def _absolute(parameters: dict[str, Any]) -> dict[str, Any]:
    """Take the file's paths from the project's folder, where a worker would run."""
    return {name: str(PROJECT / value) if name in ("prices", "output") else value for name, value in parameters.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; returns the exit status."""
    console = Console(soft_wrap=True, highlight=False)
    if argv or sys.argv[1:]:
        console.print(__doc__, markup=False)
        return 0
    if not PREFECT_API_URL.value():
        console.print("No server is configured: start one (make ui does) and set PREFECT_API_URL", markup=False)
        return 2
    serve(*deployments(), pause_on_shutdown=True, limit=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
