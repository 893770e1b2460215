"""The report: what can never get into it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from report_cases import Page, data_of, fake_run, random_prices, several

from forecasting.findings import Finding
from forecasting.formatting import printable
from forecasting.reports.run_page import build_report
from forecasting.store.manifest import WithheldRecord


def test_the_page_asks_nothing_of_any_network():
    page = Page(build_report(fake_run(several(2))))
    assert all(address.startswith("#") for address in page.addresses)


def test_the_page_allows_its_own_script_alone():
    html = build_report(fake_run(several(1)))
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
    html = build_report(replace(run, withheld=(WithheldRecord(ticker=ticker, reason=ticker),)))
    found = Page(html)
    assert "img" not in found.tags
    assert found.tags.count("script") == 2
    assert not re.search("[\0\x1b\u202e]", html)
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", html)
    assert not found.addresses
    assert data_of(html)["tickers"][0]["n"] == printable(ticker, 300)
