"""Which files of old runs are removed, and when.

The newest `keep_heldout` published dates keep their held-out forecasts (most of a store's bytes), and the newest
`keep_runs` keep models and reports. Held-out forecasts are removed first, and of each kind the oldest first. Forecasts,
scores, metrics and manifests always stay: they are small, and later scoring, comparison and verification need them.
"""

from __future__ import annotations

from collections.abc import Iterator

from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.store import Store

__all__ = ["prune"]


def prune(
    store: Store,
    *,
    keep_runs: int | None = None,
    keep_heldout: int | None = None,
    wait: float = 0.0,
    dry_run: bool = False,
) -> tuple[str, ...]:
    """Remove the old files, under the store's lock.

    Parameters
    ----------
    store
        The store; its lock is taken unless it is already held.
    keep_runs
        Published dates, the newest ones, that keep their models and report; all when None.
    keep_heldout
        Published dates, the newest ones, that keep their held-out rows; all when None.
    wait
        Seconds to wait for the lock.
    dry_run
        Only report what would be removed.

    Returns
    -------
    tuple of str
        The names of the removed files, in the order of removal. A reader that has opened a file can still read it.

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
        removed = [
            *_old(store, "evaluation", keep=keep_heldout),
            *_old(store, "models", "reports", keep=keep_runs),
        ]
        if not dry_run:
            for name in removed:
                store.place.delete(name)
    return tuple(removed)


def _old(store: Store, *kinds: str, keep: int | None) -> Iterator[str]:
    """Yield the files of these kinds that are older than the newest `keep` published dates, oldest first."""
    published = store.dates()
    if keep is None or keep >= len(published):
        return
    files = [(paths.partition_date(entry.name), entry.name) for kind in kinds for entry in store.files(kind)]
    for as_of, name in sorted((as_of, name) for as_of, name in files if as_of is not None):
        # Metrics stay with the forecasts: they are small.
        if as_of < published[-keep] and paths.is_part_of_run(name) and name != paths.metrics(as_of):
            yield name
