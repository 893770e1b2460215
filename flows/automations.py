"""Apply deployments/automations.yaml to the server: ``python -m flows.automations --notify slack-webhook/alerts``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import yaml
from cyclopts import App, Parameter
from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from rich.console import Console

from flows.command import complain
from flows.options import PROJECT
from forecasting.errors import InputError

__all__ = ["AUTOMATIONS", "apply"]

AUTOMATIONS = PROJECT / "deployments" / "automations.yaml"


def apply(path: Path = AUTOMATIONS, notify: str | None = None) -> list[str]:
    """Create the automations of a file, or update those that are there under the same name.

    Parameters
    ----------
    path
        The file.
    notify
        The notification block that is told, as ``TYPE/NAME``: ``slack-webhook/alerts``. Without one, automations that
        notify are left as they are on the server.

    Returns
    -------
    list
        What was done, a sentence an automation.

    Raises
    ------
    InputError
        When there is no such block.
    """
    given = yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]
    with get_client(sync_client=True) as client:
        block = None if notify is None else _block(client, notify)
        return [_apply_one(client, one, block) for one in given]


def _apply_one(client: SyncPrefectClient, given: dict[str, Any], block: UUID | None) -> str:
    name = given["name"]
    sends = [action for action in given["actions"] if action["type"] == "send-notification"]
    if sends and block is None:
        return f"{name}: left out, since no notification block is named (--notify)"
    actions = [
        {**action, "block_document_id": str(block)} if action in sends else action for action in given["actions"]
    ]
    wanted = AutomationCore.model_validate({**given, "actions": actions})
    there = list(_named(client, name))
    for double in there[1:]:
        client.request("DELETE", "/automations/{id}", path_params={"id": double})
    if not there:
        client.request("POST", "/automations/", json=wanted.model_dump(mode="json"))
        return f"{name}: created"
    client.request(
        "PUT",
        "/automations/{id}",
        path_params={"id": there[0]},
        json=wanted.model_dump(mode="json", exclude_unset=True),
    )
    return f"{name}: updated"


def _named(client: SyncPrefectClient, name: str) -> Iterator[str]:
    chosen = {"automations": {"name": {"any_": [name]}}, "sort": "CREATED_DESC"}
    for found in client.request("POST", "/automations/filter", json=chosen).json():
        yield found["id"]


def _block(client: SyncPrefectClient, notify: str) -> UUID:
    kind, _, name = notify.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        setting = "make it in the UI under Blocks, or with `prefect block create`, and name it --notify TYPE/NAME"
        raise InputError(f'there is no notification block "{notify}"', setting=setting) from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    app = App(name="python -m flows.automations", help=__doc__, version_flags=[], result_action="return_value")

    @app.default
    def run(*, notify: Annotated[str | None, Parameter(help="Block that is told, as TYPE/NAME.")] = None) -> int:
        for line in apply(notify=notify):
            Console(soft_wrap=True).print(line, markup=False, highlight=False)
        return 0

    try:
        status: int = app(argv) or 0
    except InputError as error:
        return complain(error)
    return status


if __name__ == "__main__":
    sys.exit(main())
