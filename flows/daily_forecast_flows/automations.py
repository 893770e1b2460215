"""Applying deployments/automations.yaml to the server that is configured, as often as you like."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from daily_forecast_flows.serve import DEPLOYMENTS
from daily_forecast_flows.server import require_server
from forecasting.errors import InputError

__all__ = ["AUTOMATIONS", "apply"]

AUTOMATIONS = DEPLOYMENTS.with_name("automations.yaml")


def apply(path: Path = AUTOMATIONS, notify: str | None = None) -> list[str]:
    """Create the automations of a file, or update those that are there under the same name.

    Parameters
    ----------
    path
        The file.
    notify
        The notification block that they use, as ``TYPE/NAME``: ``slack-webhook/alerts``. Without one, automations that
        notify are left as they are on the server.

    Returns
    -------
    list
        What was done, a sentence per automation.

    Raises
    ------
    InputError
        When there is no such block.
    """
    require_server()
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
    wanted = Automation.model_validate({**given, "actions": actions})
    existing = client.read_automations_by_name(name)
    for double in existing[1:]:
        client.delete_automation(double.id)
    if existing:
        wanted.id = existing[0].id
        wanted.update()
        return f"{name}: updated"
    wanted.create()
    return f"{name}: created"


def _block(client: SyncPrefectClient, notify: str) -> UUID:
    kind, _, name = notify.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        setting = "make it in the UI under Blocks, or with `prefect block create`, and name it --notify TYPE/NAME"
        raise InputError(f'there is no notification block "{notify}"', setting=setting) from None
