"""Which files of old runs are removed, and when.

The rule: held-out forecasts (the bulk of a store) stay for the newest `keep_heldout` published dates, models and
reports for the newest `keep_runs`; held-out forecasts go first, and of each kind the oldest first. Forecasts, scores,
metrics and manifests always stay: they are small, and later scoring, comparison and verification need them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from forecasting.errors import InputError
from forecasting.store.store import Store

__all__ = ["prune"]


def prune(
    store: Store,
    *,
    keep_runs: int | None = None,
    keep_heldout: int | None = None,
    wait: float = 0.0,
    dry_run: bool = False,
) -> tuple[Path, ...]:
    """Remove what the rule no longer keeps, under the store's lock.

    Parameters
    ----------
    store
        The store; its lock is taken unless it is held already.
    keep_runs
        Published dates, the newest ones, that keep their models and report; all when None.
    keep_heldout
        Published dates, the newest ones, that keep their heldout.parquet; all when None.
    wait
        Seconds to wait for the lock.
    dry_run
        Only tell what would be removed.

    Returns
    -------
    tuple of Path
        The files removed, in the order of removal. One opened by a reader stays readable to that reader.

    Raises
    ------
    InputError
        When a number is below 1: the newest date keeps all its files.
    StoreLockedError
        When another run holds the store after the wait.
    """
    for name, number in (("keep_runs", keep_runs), ("keep_heldout", keep_heldout)):
        if number is not None and number < 1:
            raise InputError(
                f"{name} is {number}; the newest date always keeps its files", setting="set it to 1 or more"
            )
    with store.locked(wait):
        removed = []
        for path in (
            *_old(store, "evaluation", keep=keep_heldout),
            *_old(store, "models", "reports", keep=keep_runs),
        ):
            removed.append(path)
            if not dry_run:
                path.unlink()
                with contextlib.suppress(OSError):  # other files are in it
                    path.parent.rmdir()
    return tuple(removed)


_PATTERNS = {"evaluation": "heldout.parquet", "models": "*.safetensors", "reports": "report.html"}


def _old(store: Store, *kinds: str, keep: int | None) -> Iterator[Path]:
    """Yield the files of these kinds that are older than the newest `keep` published dates, oldest first."""
    published = store.dates()
    if keep is None or keep >= len(published):
        return
    oldest_kept = published[-keep]
    dates = {as_of for kind in kinds for as_of in store.dates(kind) if as_of < oldest_kept}
    for as_of in sorted(dates):
        for kind in kinds:
            yield from sorted(store.folder(kind, as_of).glob(_PATTERNS[kind]))
