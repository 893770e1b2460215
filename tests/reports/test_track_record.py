"""The page on published forecasts: what it says, that it stands alone, and that readers of the scores never meet it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from forecasting.monitoring.realised import SCORES
from forecasting.reports.track_record import (
    SCORE_PAGE,
    build_score_page,
    publish_score_page,
    score_markdown,
    track_record,
    verdict,
)
from forecasting.schemas import parquet_bytes
from forecasting.store import paths
from forecasting.store.store import Store


def scores(sessions=30, tickers=("ACME", "BETA"), *, inside=0.8, ratio=0.9, close=True):
    """Scores of the first step, each session published on the day before."""
    stream = np.random.default_rng(0)
    days = pd.bdate_range("2020-01-01", periods=sessions + 1)
    frame = pd.MultiIndex.from_product([days[1:], tickers], names=["target_date", "ticker"]).to_frame(index=False)
    crps = stream.uniform(0.5, 1.5, len(frame))
    held = stream.random(len(frame)) < inside
    return frame.assign(
        cutoff=days[:-1].repeat(len(tickers)),
        as_of=days[:-1].repeat(len(tickers)),
        step=np.int32(1),
        model="lstm",
        actual=101.0,
        unit=1.0,
        forecast=100.0,
        error=stream.normal(0, 1, len(frame)),
        pinball=crps / 2,
        crps=crps,
        inside_50=held,
        inside_80=held,
        inside_90=held,
        crps_persistence=crps / ratio,
        crps_last_close=crps if close else np.nan,
    )


def test_it_says_how_forecasts_turned_out():
    page = build_score_page(track_record(scores()))
    assert "How published forecasts turned out" in page
    assert "Their CRPS was 0.90 of what repeating the last Open would have scored" in page
    assert "1.00 of repeating the last Close" in page
    assert page.count("data-chart=") == 3
    assert page.count('"labels":["2020-01-08",') == 3


def test_it_says_what_has_gone_wrong():
    record = track_record(scores(60, inside=0.4, ratio=1.2))
    said = verdict(record)
    assert "too narrow" in said
    assert "Worse than repeating the last Open" in said
    assert '<li class="warn"><b>degraded</b>' in build_score_page(record)
    assert score_markdown(record).splitlines()[2].startswith("**Degraded.**")


def test_it_says_when_it_is_too_early():
    record = track_record(scores(3))
    assert "too little to judge by" in verdict(record)
    page = build_score_page(record)
    assert "<b>too early</b><span>to judge</span>" in page
    assert "before</span>" not in page
    assert "over the sessions so far" in page


def test_it_says_how_the_newest_sessions_compare_with_those_before():
    frame = scores(120)
    noise = np.random.default_rng(1).uniform(0.5, 1.5, len(frame))
    page = build_score_page(track_record(frame.assign(crps_persistence=noise)))
    assert "<b>no clear change</b><span>from the 60 sessions before</span>" in page
    assert "over the last 60" in page


def test_it_names_what_was_scored_in_another_unit():
    frame = scores()
    split = frame.assign(unit=np.where((frame["ticker"] == "BETA") & (frame["target_date"] > "2020-02-01"), 2.0, 1.0))
    record = track_record(split)
    assert "Splits and rebased histories" in build_score_page(record)
    assert "| BETA | 2 | 8 | 3 Feb 2020 | 12 Feb 2020 |" in score_markdown(record)
    assert "Splits and rebased histories" not in build_score_page(track_record(frame))


def test_a_reference_without_scores_is_not_drawn_or_spoken_of():
    record = track_record(scores(close=False))
    assert "last Close" not in verdict(record)
    assert "nan" not in build_score_page(record).split("<style>")[0] + verdict(record) + score_markdown(record)[:400]


def test_the_page_is_self_contained_and_runs_nothing_of_others():
    hostile = ("<script>alert(1)</script>", "=1+1|![x](http://example.org/x.png)")
    record = track_record(scores(tickers=hostile))
    page = build_score_page(record)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    markdown = score_markdown(record)
    assert "<script>" not in markdown
    assert not re.search(r"(?<!\\)\](?!\(data:image/png;base64,)", markdown)


def test_names_of_models_and_tickers_are_written_so_that_the_ui_shows_them_as_they_are():
    markdown = score_markdown(track_record(scores(tickers=("BRK_B", "M&M.NS", "_A_")).assign(model="last_close")))
    assert "&#" not in markdown
    for name in ("| BRK_B |", "| M&M.NS |", r"| \_A\_ |", "| last_close |"):
        assert name in markdown


def test_the_markdown_carries_its_pictures_and_tables():
    markdown = score_markdown(track_record(scores()))
    assert markdown.count("](data:image/png;base64,") == 3
    assert re.search(r"^\| ACME \| .* \| 30 \|", markdown, re.MULTILINE)
    many = score_markdown(track_record(scores(tickers=[f"T{k:02d}" for k in range(50)])))
    assert "the 10 least and the 10 most skilful of 50" in many
    assert len(re.findall(r"^\| T\d\d \|.* \| 30 \|", many, re.MULTILINE)) == 20


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    with store.lock():
        for day, rows in scores().groupby("as_of"):
            data = parquet_bytes(rows.drop(columns="as_of"), SCORES)
            store.write(paths.scores(day.date()), data)
    return store


def test_it_is_written_beside_the_reports_and_no_reader_of_the_scores_meets_it(store):
    record = publish_score_page(store)
    assert record.health.forecasts == 60
    assert (store.root / SCORE_PAGE).read_text("utf-8") == build_score_page(record)
    assert len(pd.read_parquet(store.root / "scores")) == 60
    assert store.dates("reports") == ()


def test_the_same_scores_give_the_same_page(store):
    publish_score_page(store)
    before = (store.root / SCORE_PAGE).read_bytes()
    publish_score_page(store)
    assert (store.root / SCORE_PAGE).read_bytes() == before


def test_without_scores_there_is_no_page(tmp_path):
    store = Store(tmp_path / "store")
    assert publish_score_page(store) is None
    assert not (store.root / SCORE_PAGE).exists()
