"""Score published forecasts when their target sessions arrive, and keep the scores.

    DIR/scores/as_of=YYYY-MM-DD/scores.parquet     the forecasts published as of that date, as far as they can be scored

A date's file grows as its targets arrive. Rows are only added: a score stays as it is, whatever happens to prices or
forecasts later. Only rows up to a run's date are used, and a forecast's score depends on nothing after its target, so
that scoring late gives the same file as scoring at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.calendars import target_sessions
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.formatting import name_few, pluralize, printable
from forecasting.monitoring.realised import SCORES, score
from forecasting.monitoring.waiting import WaitingDate, read_index, write_index
from forecasting.schemas import FORECASTS, as_table, parquet_bytes
from forecasting.store import paths
from forecasting.store.store import PATIENCE, Store

__all__ = ["Scoring", "read_scores", "score_published", "scored"]

_log = logging.getLogger(__name__)

_KEY = ["ticker", "target_date", "step", "cutoff"]
"""The key of a score; without the model, so that a restated forecast does not count in addition to the first one."""

_LATE, _LEFT = 5, 25
"""A target session without a row is reported from the first number of sessions after it to the second."""

_LEFT_DAYS = 3 * _LEFT
"""Days that hold at least `_LEFT` sessions of any exchange."""

_FEW_TICKERS = 3
"""With more tickers than this, the same message is given only once."""

_MOST_LOGGED = 20

_KNOWN_OPENS = 10
"""Opens before a cutoff that are compared to distinguish a rebased history from a corrected price."""


@dataclass(frozen=True)
class Scoring:
    """The result of scoring earlier forecasts in a run.

    Attributes
    ----------
    as_of
        The run's date: the last one whose rows were used.
    added
        The newly scored rows: columns of `realised.SCORES`, and ``as_of``, the date of publication.
    waiting
        Published forecasts whose target session has no row yet.
    findings
        Splits, rebased and corrected histories, sessions without a row, files that cannot be read.
    """

    as_of: date
    added: pd.DataFrame
    waiting: int
    findings: tuple[Finding, ...]

    @property
    def message(self) -> str:
        """The same as one plain sentence."""
        if self.added.empty:
            return f"no published forecast has become due by {self.as_of}; {self.waiting:,} are waiting"
        days = self.added["as_of"].nunique()
        return (
            f"{pluralize(len(self.added), 'forecast')} published on {pluralize(days, 'earlier date')} scored; "
            f"{self.waiting:,} are waiting"
        )


def scored(store: Store, as_of: date) -> bool:
    """Whether any forecast published as of a date has been scored, so that it may only be replaced on request."""
    try:
        return bool(store.table(paths.scores(as_of), SCORES, ["step"]).num_rows)
    except FileNotFoundError:
        return False
    except InputError:
        # A damaged file was a whole one before.
        return True


def score_published(store: Store, prices: pd.DataFrame, calendar: str, as_of: date) -> Scoring:
    """Score the forecasts that were published before a date and are due by it, and add the scores to the store.

    Parameters
    ----------
    store
        Its forecasts are scored, and their scores written.
    prices
        As `read_prices` returns them: ticker, date, open, high, low, close, volume; unadjusted.
    calendar
        The exchange calendar, by which sessions without a row are counted.
    as_of
        Only forecasts published for earlier dates are scored, by rows up to this date.

    Raises
    ------
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When scores cannot be written; each date's file is the old one or the new one, whole.
    """
    with store.locked(PATIENCE):
        findings: list[Finding] = []
        rows = prices[prices["date"] <= pd.Timestamp(as_of)]
        index = read_index(store)
        known = [day for day in store.dates() if day < as_of]
        versions = _versions(store)
        indexed = [day for day in known if index.is_current(day, versions)]
        due = {*known} - {*indexed} | {*index.due(rows, indexed)}
        pending = _pending(store, sorted(due), findings)
        opens = lru_cache(maxsize=1)(partial(_known_opens, store))
        added, waiting, noticed = score(rows, pd.concat(list(pending.values())) if pending else _nothing(), opens)
        findings += noticed
        for day in sorted(set(added["as_of"])):
            _add(store, day, added[added["as_of"] == day].drop(columns="as_of"))
        if pending:
            versions = _versions(store)
            index = index.replaced({day: _entry(versions, day, waiting[waiting["as_of"] == day]) for day in pending})
            write_index(store, index)
        waiting = index.rows([*pending, *(day for day in indexed if day not in due)])
        findings += _missing_sessions(waiting, set(prices["ticker"].unique()), calendar, as_of)
    scoring = Scoring(as_of, added, len(waiting), tuple(findings))
    _log.info("%s", scoring.message)
    for finding in findings[:_MOST_LOGGED]:
        _log.warning("%s", printable(finding.message, 500))
    if len(findings) > _MOST_LOGGED:
        _log.warning("and %d more findings about earlier forecasts", len(findings) - _MOST_LOGGED)
    return scoring


def read_scores(store: Store, *, dates: int | None = None) -> pd.DataFrame:
    """Read the scores of the newest dates of publication that have any, all when None.

    A forecast that was published more than once, with the same cutoff, counts once; a damaged file is logged
    and left out.

    Returns
    -------
    DataFrame
        Columns of `realised.SCORES` and ``as_of``, by date of publication, ticker and step; ``ticker`` and
        ``model`` are categorical.
    """
    days = store.dates("scores")
    newest = days if dates is None else days[-dates:]
    tables = [_with_day(SCORES.empty_table(), date.min)]
    for day in newest:
        try:
            tables.append(_with_day(store.table(paths.scores(day), SCORES), day))
        except InputError as error:
            _log.warning("the scores of %s are left out: %s", day, error)
    scores: pd.DataFrame = pa.concat_tables(tables).to_pandas(date_as_object=False, categories=["ticker", "model"])
    # Published again as of a later day that brought no new row of its ticker, it is the same forecast still.
    return scores.drop_duplicates(_KEY, ignore_index=True)


def _pending(store: Store, days: list[date], findings: list[Finding]) -> dict[date, pd.DataFrame]:
    """Read what was published on each of these dates and has no score yet, with the date as ``as_of``."""
    pending: dict[date, pd.DataFrame] = {}
    for day in days:
        try:
            pending[day] = _with_day(_unscored(store, day), day).to_pandas()
        except InputError as error:
            findings.append(Finding("", "warning", f"the forecasts as of {day} are not scored: {error}"))
    return pending


def _nothing() -> pd.DataFrame:
    empty: pd.DataFrame = _with_day(FORECASTS.empty_table(), date.min).to_pandas()
    return empty


def _versions(store: Store) -> dict[str, str]:
    return {entry.name: entry.version for kind in ("forecasts", "scores") for entry in store.files(kind)}


def _entry(versions: Mapping[str, str], day: date, waiting: pd.DataFrame) -> WaitingDate:
    targets: dict[date, list[str]] = {}
    for target, ticker in sorted(zip(waiting["target_date"], waiting["ticker"], strict=True)):
        targets.setdefault(target, []).append(ticker)
    return WaitingDate(
        forecasts=versions.get(paths.forecasts(day)),
        scores=versions.get(paths.scores(day)),
        targets={target: tuple(names) for target, names in targets.items()},
    )


def _unscored(store: Store, day: date) -> pa.Table:
    if store.exists(paths.manifest(day)) and not store.published(day):
        # A score is final: only what was really published is scored, not a file that has changed on the disk.
        raise InputError("is not the file that its manifest names", file=store.where(paths.forecasts(day)))
    rows, name = store.forecasts(day), paths.scores(day)
    if store.exists(name):
        rows = rows.join(store.table(name, SCORES, _KEY), keys=_KEY, join_type="left anti")
    return as_table(rows, FORECASTS)


def _with_day(table: pa.Table, day: date) -> pa.Table:
    return table.append_column("as_of", pa.repeat(pa.scalar(day), table.num_rows))


def _known_opens(store: Store, day: date, ticker: str) -> dict[date, float]:
    """Read the last Opens before a publication, as they were then, from its held-out rows."""
    try:
        # Of any model that is kept: all have the same Opens.
        rows = store.heldout(day, ["target_date", "actual"], filters=[("ticker", "==", ticker), ("step", "==", 1)])
    except InputError:
        return {}
    known = dict(sorted(zip(rows["target_date"].to_pylist(), rows["actual"].to_pylist(), strict=True)))
    return dict(list(known.items())[-_KNOWN_OPENS:])


def _add(store: Store, day: date, rows: pd.DataFrame) -> None:
    name = paths.scores(day)
    new = as_table(rows, SCORES)
    table = pa.concat_tables([store.table(name, SCORES), new]) if store.exists(name) else new
    # The order follows from the rows, not from when they arrived.
    table = table.sort_by([(name, "ascending") for name in ("ticker", "step", "cutoff", "target_date")])
    store.write(name, parquet_bytes(table, SCORES))


def _missing_sessions(waiting: pd.DataFrame, tickers: set[str], calendar: str, as_of: date) -> Iterator[Finding]:
    """Report target sessions that are over and have no row: halted, delisted, or not a session after all."""
    late = [
        day
        for day in waiting["target_date"].unique()
        if (as_of - day).days <= _LEFT_DAYS and _LATE <= _sessions_since(calendar, day, as_of, _LEFT) < _LEFT
    ]
    rows = waiting[waiting["target_date"].isin(late)]
    gone = sorted(set(rows["ticker"]) - tickers)
    if gone:
        message = f"{_named(gone)}: no rows at all in the data; published forecasts of it stay unscored"
        yield Finding(gone[0] if len(gone) == 1 else "", "warning", message)
    for day, without in rows[rows["ticker"].isin(tickers)].groupby("target_date", sort=True):
        names = sorted(without["ticker"].unique())
        message = f"no row of {day}, which was forecast; {pluralize(len(without), 'forecast')} of it stay unscored"
        if len(names) > _FEW_TICKERS:
            yield Finding("", "warning", f"{_named(names)}: {message}")
        else:
            yield from (Finding(name, "warning", f"{name}: {message}") for name in names)


def _named(tickers: list[str]) -> str:
    names = name_few(tickers, _FEW_TICKERS)
    return names if len(tickers) == 1 else f"{len(tickers):,} tickers ({names})"


def _sessions_since(calendar: str, day: date, as_of: date, at_most: int) -> int:
    """Count sessions after a day up to and including another, ``at_most`` of them."""
    return int(np.sum([session <= as_of for session in target_sessions(calendar, day, at_most)]))
