"""The report: what a reader finds in it, and what can never get into it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig
from forecasting.evaluation.metrics import score_heldout
from forecasting.findings import Finding
from forecasting.formatting import MINUS, printable
from forecasting.model.tutorial_report import TutorialReport
from forecasting.reports.figures import Calibration
from forecasting.reports.heldout_summary import HeldoutSummary, summarize_heldout
from forecasting.reports.run_page import ReportInput, build_report, verdict
from forecasting.reports.summary import Headline

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


def fake_run(prices: Sequence[pd.DataFrame], **changes: object) -> ReportInput:
    """A whole run on these price frames, one a ticker, as if it had been trained."""
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
        metrics.append(score_heldout(scored, scales, chosen))
        curves.append(fake_curves(ticker))
    run = ReportInput(
        as_of=date(2013, 3, 1),
        config=ForecastConfig(),
        forecasts=pd.concat(forecasts, ignore_index=True),
        heldout_of=summarize_heldout(held, pd.concat(forecasts, ignore_index=True)).__getitem__,
        metrics=pd.concat(metrics, ignore_index=True),
        prices=pd.concat(prices, ignore_index=True),
        curves=pd.concat(curves, ignore_index=True),
        findings=(),
        withheld=(),
    )
    return replace(run, **changes)


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


def several(amount: int, rows: int = 200) -> list[pd.DataFrame]:
    return [random_prices(f"T{place:02d}", rows, seed=place) for place in range(amount)]


@pytest.fixture(scope="module")
def two_tickers() -> ReportInput:
    findings = (
        Finding("T00", "split", "2:1 on 28 Feb 2005, adjusted inside the model"),
        Finding("T01", "set_aside", "High stands below Low", 3),
        Finding("", "calendar", "two sessions are none of XNYS"),
    )
    return fake_run(several(2), findings=findings, withheld=(("GONE", "its last row is a year old"),))


@pytest.fixture(scope="module")
def page(two_tickers) -> Page:
    return Page(build_report(two_tickers))


def data_of(html: str) -> dict[str, Any]:
    """What the page's script draws from."""
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert len(found) == 1
    assert not re.search("[<>&]", found[0])
    return json.loads(found[0])


def test_the_page_asks_nothing_of_any_network(page):
    assert all(address.startswith("#") for address in page.addresses)


def test_every_ticker_is_in_the_table_and_has_a_record(two_tickers, page):
    data = data_of(build_report(two_tickers))
    assert [record["n"] for record in data["tickers"]] == ["T00", "T01"]
    for record in data["tickers"]:
        assert {"o", "h", "l", "q", "e", "k", "g", "r"} <= record.keys()
    for words in ("As of 1 Mar 2013", "T00", "T01", "last_close", "What each model adds", "Calibration"):
        assert words in page.text


def test_it_says_what_each_model_adds(page):
    assert re.search(rf"from persistence, last_close {MINUS}[\d.]+.%, lstm [+{MINUS}][\d.]+.%", page.text)


def test_findings_and_withheld_are_reported(page):
    for words in (
        "2:1 on 28 Feb 2005, adjusted inside the model",
        "set aside High stands below Low 3",
        "two sessions are none of XNYS",
        "GONE its last row is a year old",
    ):
        assert words in page.text


def test_the_same_run_gives_the_same_bytes(two_tickers):
    assert build_report(two_tickers) == build_report(two_tickers)


def test_the_page_allows_its_own_script_alone(two_tickers):
    html = build_report(two_tickers)
    assert html.count("<script") == 2
    data_of(html)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html


@pytest.mark.parametrize(
    "ticker",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</title></style></script><b>",
        "=1+1",
        "{{ 7 * 7 }}",
        "javascript:alert(1)",
        "A\0B",
        "A\x1b[31m\u202eB",
        "X" * 300,
        "茅台",
        "$x^2$",
    ],
)
def test_a_hostile_ticker_is_only_text(ticker):
    run = fake_run([random_prices(ticker, 120)], findings=(Finding(ticker, "warning", f"seen in {ticker}.csv"),))
    html = build_report(replace(run, withheld=((ticker, ticker),)))
    found = Page(html)
    assert "img" not in found.tags
    assert found.tags.count("script") == 2
    assert not re.search("[\0\x1b\u202e]", html)
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", html)
    assert not found.addresses
    assert data_of(html)["tickers"][0]["n"] == printable(ticker, 300)


def test_of_many_tickers_all_are_listed_and_each_has_its_chart():
    run = fake_run(several(12, 150))
    asked: list[str] = []

    def heldout_of(ticker: str) -> HeldoutSummary:
        asked.append(ticker)
        return run.heldout_of(ticker)

    html = build_report(replace(run, heldout_of=heldout_of))
    names = [f"T{place:02d}" for place in range(12)]
    assert asked == names
    assert [record["n"] for record in data_of(html)["tickers"]] == names
    assert all(name in Page(html).text for name in names)
    for control in ('data-searches="all"', "best first", "worst first"):
        assert control in html


@pytest.mark.slow
def test_two_thousand_tickers_fit_in_three_megabytes():
    names = [f"T{place:04d}" for place in range(2000)]
    run = fake_run([random_prices("T", 300, level=400.0)])
    heldout = run.heldout_of("T")

    def repeated(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame] * len(names), ignore_index=True).assign(ticker=np.repeat(names, len(frame)))

    alike = run.metrics[run.metrics["model"] == "lstm"]
    models = [run.metrics, *(alike.assign(model=name) for name in ("ewma_range", "har", "combination"))]
    tables = {name: repeated(getattr(run, name)) for name in ("forecasts", "prices", "curves")}
    many = replace(run, heldout_of=lambda _: heldout, metrics=repeated(pd.concat(models)), **tables)
    assert len(build_report(many).encode()) < 3_000_000


def without_rows(run: ReportInput) -> Callable[[str], HeldoutSummary]:
    nothing = {name: rows[:0] for name, rows in run.heldout_of(run.forecasts["ticker"].iloc[0]).newest.items()}
    return lambda _: HeldoutSummary(nothing, Calibration())


def without_lstm(run: ReportInput) -> ReportInput:
    return replace(
        run,
        curves=run.curves.iloc[:0],
        forecasts=run.forecasts.assign(model="last_close", reason="120 rows, under 150"),
        metrics=run.metrics[run.metrics["model"] != "lstm"],
    )


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        pytest.param(without_lstm, {"g"}, id="no LSTM"),
        pytest.param(
            lambda run: replace(run, curves=pd.DataFrame(columns=run.curves.columns)), {"g"}, id="nothing was trained"
        ),
        pytest.param(lambda run: replace(run, metrics=run.metrics.iloc[:0]), set(), id="no scores"),
        pytest.param(
            lambda run: replace(run, metrics=run.metrics.assign(crps=np.nan, mae=np.nan, coverage_80=np.nan)),
            set(),
            id="NaN",
        ),
        pytest.param(
            lambda run: replace(run, heldout_of=without_rows(run)),
            {"e", "k"},
            id="no held-out rows",
        ),
        pytest.param(
            lambda run: replace(run, curves=run.curves.assign(train_loss=np.nan)), {"g"}, id="diverged training"
        ),
        pytest.param(lambda run: replace(run, prices=run.prices.iloc[:0]), set(), id="no prices"),
        pytest.param(lambda run: replace(run, prices=run.prices.assign(high=np.nan)), set(), id="no High"),
        pytest.param(lambda run: replace(run, forecasts=run.forecasts.assign(reason=None)), set(), id="no reasons"),
        pytest.param(lambda run: replace(run, forecasts=run.forecasts.assign(reason=np.nan)), set(), id="NaN reasons"),
        pytest.param(lambda run: replace(run, forecasts=run.forecasts.head(1)), set(), id="one step"),
    ],
)
def test_what_is_missing_is_left_out(change, missing):
    html = build_report(change(fake_run(several(1))))
    record = data_of(html)["tickers"][0]
    assert {"e", "k", "g"} - record.keys() == missing
    assert "nan" not in re.findall(r"[a-z]+", Page(html).text.replace("NaN", "nan"))


def test_a_file_without_close_is_reported():
    run = fake_run([random_prices("OPENONLY").assign(close=np.nan)])
    assert data_of(build_report(run))["tickers"][0]["c"] == "Open"


def test_nothing_published_is_a_page_too():
    run = fake_run(several(1))
    empty = replace(
        run,
        forecasts=run.forecasts.iloc[:0],
        metrics=run.metrics.iloc[:0],
        curves=run.curves.iloc[:0],
        withheld=(("T00", "five rows"),),
    )
    assert "T00 five rows" in Page(build_report(empty)).text


def test_the_tutorial_is_held_to_account():
    stream = np.random.default_rng(0)
    truth = 700 + np.cumsum(stream.normal(size=375))
    tutorial = TutorialReport(
        ticker="T00",
        losses={1000: 0.0012, 2000: 0.0009},
        truth=truth,
        predictions={1000: truth - 60, 2000: truth - 40},
        mae_scaled=0.0756,
        mae_price=40.63,
        mae_price_without_leak=52.1,
        persistence_two_ahead=11.12,
        persistence_one_ahead=7.90,
    )
    html = build_report(fake_run(several(1), tutorial=tutorial, config=ForecastConfig(preset="tutorial")))
    found = Page(html)
    for words in (
        "40.63",
        "0.0756",
        "11.12",
        "7.90",
        "3.7 times as far as doing nothing",
        "flatters it by 11.47",
        "0.001200",
        "2,000",
    ):
        assert words in found.text
    assert {"epoch 1,000", "epoch 2,000"} <= data_of(html)["charts"].keys()


@pytest.mark.parametrize(
    ("crps_ratio", "best_baseline_ratio", "expected"),
    [
        (0.45, 0.97, "held 80.0 % of the actual Opens."),
        (0.45, 1.004, "A simple baseline would have done as well."),
        (1.02, 1.02, "That is worse than repeating the last Open."),
        (1.0, 1.3, "That is no better than repeating the last Open."),
        (float("nan"), float("nan"), "could be scored"),
    ],
)
def test_the_verdict_flatters_nobody(crps_ratio, best_baseline_ratio, expected):
    summary = Headline(5, 25, 12, 13, 0, 0, 1, crps_ratio, best_baseline_ratio, 0.8)
    assert expected in verdict(summary)
