"""The page and the verdict of a backtest."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from backtest_cases import STUDY

from forecasting.backtest.metrics import (
    score_backtest,
)
from forecasting.backtest.page import ages, backtest_markdown, build_backtest_page, verdict
from forecasting.backtest.study import (
    Study,
)


def test_the_page_is_self_contained_and_shows_names_as_they_are(backtest):
    odd = "<b>&amp;"
    rows = backtest.judged.rows
    renamed = rows.assign(ticker=rows["ticker"].cat.rename_categories({"AAA": odd}))
    scales = {odd if name == "AAA" else name: scale for name, scale in backtest.judged.scales.items()}
    judged = replace(backtest.judged, rows=renamed, scales=scales)
    other = replace(backtest, judged=judged, metrics=score_backtest(renamed, scales), withheld=((odd, "<i>why"),))
    page = build_backtest_page(other)
    assert page == build_backtest_page(other)
    assert odd not in page
    assert "<i>" not in page
    assert "&lt;b&gt;&amp;amp;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data-chart=") == 3


def test_the_verdict_and_the_markdown_say_what_was_measured(backtest):
    said = verdict(backtest)
    assert said.startswith("6 sessions were forecast from")
    assert said.count(". ") == 1
    assert "Compared with each ticker's best baseline, known only in hindsight" in said
    markdown = backtest_markdown(backtest)
    assert said not in markdown  # it stands above, as the artifact's description
    assert markdown.count("](data:image/png;base64,") == 3
    assert "| 1 | published |" in markdown


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            (5, 0, 0, 0, 0),
            "neither clearly better nor clearly worse on any of 5 tickers, and the same is true of the LSTM",
        ),
        ((1, 0, 0, 0, 0), "neither clearly better nor clearly worse, and the same is true of the LSTM alone."),
        ((1, 0, 1, 1, 0), "they are clearly worse; the LSTM alone is clearly better."),
        ((5, 2, 0, 0, 1), "on 2 and clearly worse on none of 5 tickers; the LSTM alone is clearly better on none and"),
    ],
)
def test_the_verdict_counts_tickers(backtest, counts, expected):
    tickers, better, worse, lstm_better, lstm_worse = counts
    claims = pd.DataFrame(
        {
            "step": 1,
            "model": ["published", "lstm"],
            "tickers": tickers,
            "better_holm": [better, lstm_better],
            "worse_holm": [worse, lstm_worse],
        }
    )
    other = replace(backtest)
    other.__dict__["claims"] = claims
    assert expected in verdict(other)


def test_ages_of_weights_are_shown_where_there_are_several(backtest):
    assert [one["ages"] for one in ages(backtest)] == ["0", "1", "2"]
    assert sum(one["n"] for one in ages(backtest)) == 2 * STUDY.origins
    assert ages(replace(backtest, study=Study(6, 1))) == []
