"""Runs as if they had been trained, and a reader of the pages made from them, for the tests of pages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.backtest.metrics import score_backtest
from forecasting.backtest.page import Backtest
from forecasting.backtest.study import Judged, Study
from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig
from forecasting.evaluation.heldout_summary import published_heldout, summarize_heldout
from forecasting.evaluation.metrics import score_heldout
from forecasting.ingest.prices import Ingested
from forecasting.run import Run

HORIZON = 5


def random_prices(ticker: str, rows: int = 400, seed: int = 0, level: float = 50.0) -> pd.DataFrame:
    """A random walk with plausible Open, High, Low and Close."""
    stream = np.random.default_rng(seed)
    close = level * np.exp(np.cumsum(stream.normal(0.0003, 0.015, rows)))
    opened = np.concatenate(([level], close[:-1])) * np.exp(stream.normal(0, 0.006, rows))
    high = np.maximum(opened, close) * np.exp(np.abs(stream.normal(0, 0.006, rows)))
    low = np.minimum(opened, close) * np.exp(-np.abs(stream.normal(0, 0.006, rows)))
    return pd.DataFrame(
        {
            "ticker": ticker,
            "date": pd.bdate_range(end="2013-03-01", periods=rows).astype("datetime64[s]"),
            "open": opened,
            "high": high,
            "low": low,
            "close": close,
            "volume": 1e6,
        }
    )


def persistence_rows(prices: pd.DataFrame, model: str, anchor: str, width: float = 1.0) -> pd.DataFrame:
    """Held-out rows of a model that repeats the anchor with static empirical quantiles of its training changes."""
    opened, origin = prices["open"].to_numpy(), prices[anchor].to_numpy()
    split = max(2, int(0.7 * len(prices)))
    parts = []
    for step in range(1, HORIZON + 1):
        change = np.log(opened[step:] / origin[:-step])
        spread = width * np.quantile(change[:split], LEVELS)
        at = np.arange(min(split, len(prices) - step), len(prices) - step)
        quantiles = origin[at, None] * np.exp(spread)
        parts.append(
            pd.DataFrame(quantiles.astype("float32"), columns=list(QUANTILE_COLUMNS)).assign(
                ticker=prices["ticker"].iloc[0],
                cutoff=prices["date"].dt.date.to_numpy()[at],
                target_date=prices["date"].dt.date.to_numpy()[at + step],
                step=np.int32(step),
                model=model,
                actual=opened[at + step],
                forecast=quantiles[:, 9],
            )
        )
    return pd.concat(parts, ignore_index=True)


def published_rows(prices: pd.DataFrame, anchor: str) -> pd.DataFrame:
    """Rows of forecasts.parquet by the same rule: step 1 as if by the LSTM, the others by a baseline."""
    opened, origin = prices["open"].to_numpy(), prices[anchor].to_numpy()
    cutoff = prices["date"].iloc[-1]
    rows = []
    for step in range(1, HORIZON + 1):
        spread = np.quantile(np.log(opened[step:] / origin[:-step]), LEVELS)
        quantiles = origin[-1] * np.exp(spread)
        rows.append(
            {
                "ticker": prices["ticker"].iloc[0],
                "cutoff": cutoff.date(),
                "target_date": pd.bdate_range(cutoff, periods=step + 1)[-1].date(),
                "step": step,
                "model": "lstm" if step == 1 else "last_close",
                "reason": None if step == 1 else "lost to last_close on validation",
                "anchor": anchor,
                "anchor_price": origin[-1],
                "forecast": quantiles[9],
                **dict(zip(QUANTILE_COLUMNS, quantiles, strict=True)),
            }
        )
    return pd.DataFrame(rows)


def fake_curves(ticker: str, members: int = 4, epochs: int = 20) -> pd.DataFrame:
    stream = np.random.default_rng(1)
    rows = []
    for member in range(members):
        last = epochs - 3 * member
        for epoch in range(1, last + 1):
            train = 0.3 + 0.4 * np.exp(-epoch / 4) + 0.01 * stream.normal()
            rows.append((ticker, member, "fit", epoch, train, train + 0.02 + 0.001 * epoch, epoch == last - 2))
            rows.append((ticker, member, "refit", epoch, train, np.nan, epoch == last - 2))
    names = ["ticker", "member", "phase", "epoch", "train_loss", "validation_loss", "best"]
    return pd.DataFrame(rows, columns=names)


def fake_run(prices: Sequence[pd.DataFrame], **changes: object) -> Run:
    """A whole run on these price frames, one per ticker, as if it had been trained."""
    forecasts, metrics, held, curves, scales = [], [], {}, [], {}
    for frame in prices:
        ticker = frame["ticker"].iloc[0]
        anchor = "close" if frame["close"].notna().all() else "open"
        rows = [persistence_rows(frame, "persistence", "open"), persistence_rows(frame, "lstm", anchor, 0.95)]
        if anchor == "close":
            rows.append(persistence_rows(frame, "last_close", "close"))
        scored = pd.concat(rows, ignore_index=True)
        held[ticker] = pa.Table.from_pandas(scored, preserve_index=False)
        scales[ticker] = float(frame["open"].diff().abs().mean())
        published = published_rows(frame, anchor)
        forecasts.append(published)
        chosen = list(zip(published["ticker"], published["step"], published["model"], strict=True))
        metrics.append(score_heldout({ticker: held[ticker]}, scales, chosen))
        curves.append(fake_curves(ticker))
    run = Run(
        as_of=date(2013, 3, 1),
        config=ForecastConfig(),
        forecasts=pd.concat(forecasts, ignore_index=True),
        metrics=pd.concat(metrics, ignore_index=True),
        heldout=(),
        summaries=summarize_heldout(published_heldout(held, pd.concat(forecasts, ignore_index=True))),
        curves=pd.concat(curves, ignore_index=True),
        models=(),
        ingested=Ingested(pd.concat(prices, ignore_index=True), (), (), ()),
    )
    return replace(run, **changes)


def several(amount: int, rows: int = 200) -> list[pd.DataFrame]:
    return [random_prices(f"T{place:02d}", rows, seed=place) for place in range(amount)]


def many(run: Run, amount: int) -> Run:
    """The first ticker of a run, repeated."""
    names = [f"T{place:04d}" for place in range(amount)]
    first = run.forecasts["ticker"].iloc[0]

    def repeated(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame[frame["ticker"] == first]
        return pd.concat([own] * amount, ignore_index=True).assign(ticker=np.repeat(names, len(own)))

    return replace(
        run,
        summaries=dict.fromkeys(names, run.summaries[first]),
        ingested=replace(run.ingested, prices=repeated(run.ingested.prices)),
        **{name: repeated(getattr(run, name)) for name in ("forecasts", "metrics", "curves")},
    )


def backtest(amount: int) -> Backtest:
    """A backtest of several tickers, made from held-out rows; only their names differ."""
    prices = random_prices("T0000", 200)
    models = ("persistence", "last_close", "lstm")
    rows = pd.concat(
        [persistence_rows(prices, model, "open" if model == "persistence" else "close") for model in models]
    )
    days = {name: pd.to_datetime(rows[name]) for name in ("cutoff", "target_date")}
    origins = pd.DatetimeIndex(days["cutoff"].unique()).sort_values()
    fitted = origins[origins.searchsorted(days["cutoff"]) // 20 * 20]
    rows = rows.assign(**days, fitted=fitted, chosen=rows["model"] == "lstm")
    rows = rows.astype({"model": "category"})
    metrics = score_backtest(rows, {"T0000": 1.0})
    names = [f"T{place:04d}" for place in range(amount)]
    every = pd.concat([metrics] * amount, ignore_index=True).assign(ticker=np.repeat(names, len(metrics)))
    judged = Judged(rows, 0, {"T0000": 1.0})
    return Backtest(date(2013, 3, 1), Study(60, 20), ForecastConfig(), judged, every)


def scores(amount: int, sessions: int = 90, horizon: int = HORIZON) -> pd.DataFrame:
    """Scores of several tickers, as read from a store."""
    stream = np.random.default_rng(0)
    names = [f"T{place:04d}" for place in range(amount)]
    days = pd.bdate_range(end="2013-03-01", periods=sessions)
    index = pd.MultiIndex.from_product([days, range(1, horizon + 1), names], names=["target_date", "step", "ticker"])
    frame = index.to_frame(index=False)
    crps, error = stream.uniform(0.5, 1.5, len(frame)), stream.normal(0, 1, len(frame))
    cutoff = frame["target_date"] - pd.to_timedelta(frame["step"], "D")
    return frame.assign(
        cutoff=cutoff,
        as_of=cutoff,
        step=frame["step"].astype("int32"),
        model=np.where(frame["step"] < 4, "combination", "har"),
        actual=100.0 + error,
        unit=np.where(frame["ticker"] == "T0001", 0.5, 1.0),
        forecast=100.0,
        error=error,
        pinball=crps / 2,
        crps=crps,
        inside_50=np.abs(error) < 0.67,
        inside_80=np.abs(error) < 1.28,
        inside_90=np.abs(error) < 1.64,
        crps_persistence=1.1 * crps,
        crps_last_close=1.02 * crps,
    )


class Page(HTMLParser):
    """What a browser would find in a page."""

    VOID = frozenset({"meta", "img", "input", "br"})
    CLOSED_BY = MappingProxyType({"td": ("td", "tr", "tbody"), "tr": ("tr", "tbody")})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "action", "srcset", "data"}]
        assert not [name for name, _ in attrs if name.startswith("on")], "an event handler in the markup"
        self._close_before(tag)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if self._open[-1] != tag:
            self._close_before(tag)
        assert self._open.pop() == tag

    def _close_before(self, tag):
        """The end of a cell or a row may be left out."""
        while self._open and tag in self.CLOSED_BY.get(self._open[-1], ()):
            self._open.pop()

    def handle_data(self, data):
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def data_of(html: str) -> dict[str, Any]:
    """What the page's script draws from."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert len(found) == 1
    assert not re.search("[<>&]", found[0])
    return json.loads(found[0])
