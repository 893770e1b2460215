"""Removing what the rule no longer keeps: ``daily-forecast prune STORE``."""

from __future__ import annotations

import sys
from pathlib import Path

from forecasting.commands import DONE, FAILED, complain
from forecasting.errors import InputError
from forecasting.store.retention import prune
from forecasting.store.store import Store, StoreLockedError

__all__ = ["run_prune"]


def run_prune(store: Path, *, keep_runs: int = 60, keep_heldout: int = 10, dry_run: bool = False) -> int:
    """Remove old held-out rows, models and reports, oldest first; never forecasts, scores, metrics or manifests.

    Parameters
    ----------
    store
        The folder in which the forecasts were published.
    keep_runs
        Published dates, the newest, that keep their models and report.
    keep_heldout
        Published dates, the newest, that keep their held-out rows, which are the bulk.
    dry_run
        Only say what would be removed.

    Returns
    -------
    int
        The exit status: 0, or 1 when another run holds the store.

    Raises
    ------
    InputError
        When there is no store, or a number is below 1.
    """
    opened = Store(store, create=False)
    if not opened.dates():
        raise InputError("nothing is published here, so nothing was removed", file=str(store))
    try:
        removed = prune(opened, keep_runs=keep_runs, keep_heldout=keep_heldout, dry_run=dry_run)
    except StoreLockedError as error:
        return complain(error, FAILED)
    sys.stdout.writelines(f"{name}\n" for name in removed)
    sys.stdout.write(f"{len(removed)} files {'would be ' if dry_run else ''}removed\n")
    return DONE
