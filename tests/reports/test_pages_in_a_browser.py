"""The pages in a real browser: charts are drawn and answer, nothing is cut off, and dark is dark."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.reports.run_page import ReportInput, build_report

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

SIZES = {1440: 1000, 390: 844}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run() -> ReportInput:
    """Five tickers, one of which has a name that would like to be more than one."""
    path = Path(__file__).with_name("test_run_page.py")
    spec = importlib.util.spec_from_file_location("report_examples", path)
    examples = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(examples)
    names = ("AAA", "BBB", "CCC", "DDD", HOSTILE)
    return examples.fake_run([examples.random_prices(name, 200, seed) for seed, name in enumerate(names)])


@pytest.fixture(scope="module")
def many(run) -> ReportInput:
    """The same of five hundred tickers."""
    names = [f"T{place:03d}" for place in range(500)]
    own = {name: frame[frame["ticker"] == "AAA"] for name, frame in vars_of(run).items()}

    def repeated(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame] * len(names), ignore_index=True).assign(ticker=np.repeat(names, len(frame)))

    return replace(run, heldout_of=lambda _: run.heldout_of("AAA"), **{name: repeated(own[name]) for name in own})


def vars_of(run: ReportInput) -> dict[str, pd.DataFrame]:
    return {name: getattr(run, name) for name in ("forecasts", "metrics", "prices", "curves")}


@pytest.fixture
def tab(browser, tmp_path) -> Iterator[Callable[..., sync_api.Page]]:
    """Open a page at a width and in a colour scheme; at the end nothing may have been said on its console."""
    tabs, said = [], []

    def open_page(html: str, width: int = 1440, scheme: str = "light") -> sync_api.Page:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        opened = browser.new_page(viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme)
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("dialog", lambda dialog: said.append(dialog.message))
        opened.goto(path.as_uri())
        tabs.append(opened)
        return opened

    yield open_page
    for opened in tabs:
        opened.close()
    assert said == []


def fan(page: sync_api.Page) -> sync_api.Locator:
    return page.locator("#ticker svg")


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_forecast_comes_first_and_nothing_is_cut_off(run, tab, width, scheme):
    page = tab(build_report(run), width, scheme)
    sync_api.expect(fan(page)).to_be_in_viewport(ratio=1)
    sync_api.expect(page.locator("#all tbody tr")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#all").evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
    ends = "all => all.map(one => one.getBoundingClientRect()).flatMap(({ left, right }) => [left, right])"
    places = page.locator(".forecast text, .forecast td, .forecast figcaption").evaluate_all(ends)
    assert min(places) >= 0
    assert max(places) <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == (scheme == "dark")


def test_on_a_phone_each_ticker_has_its_median_and_band(run, tab):
    page = tab(build_report(run), 390)
    shown = page.locator("#all thead th:visible").all_inner_texts()
    assert [head.split()[0] for head in shown] == ["Ticker", "Median", "80"]
    assert len(page.locator("#all tbody tr").first.locator("td:visible").all()) == 3


def test_any_ticker_is_drawn_on_a_click_and_described_in_words_of_its_own(run, tab):
    page = tab(build_report(run))
    described = []
    for name in ("BBB", "DDD", HOSTILE):
        page.get_by_role("button", name=name, exact=True).click()
        sync_api.expect(page.locator("#ticker h2 bdi")).to_have_text(name)
        sync_api.expect(fan(page)).to_have_attribute("aria-label", re.compile(re.escape(f"{name}: Open on 4 Mar 2013")))
        assert fan(page).locator("path").count() == 6  # Low to High, three bands, two lines
        described.append(fan(page).get_attribute("aria-label"))
        sync_api.expect(page.locator("#detail")).to_contain_text("What is published")
        sync_api.expect(page.locator("#all tr[aria-current] td").first).to_have_text(name)
    assert len(set(described)) == 3
    assert page.locator("img").count() == 0


def test_values_are_read_by_pointer_and_by_keys(run, tab):
    page = tab(build_report(run))
    page.get_by_role("button", name="BBB", exact=True).click()
    prices = run.prices[run.prices["ticker"] == "BBB"].tail(60)
    forecast = run.forecasts[run.forecasts["ticker"] == "BBB"].iloc[0]
    readout = page.locator("#ticker .readout")
    fan(page).focus()
    page.keyboard.press("Home")
    first = prices.iloc[0]
    sync_api.expect(readout).to_contain_text(f"Open {first['open']:.2f}")
    sync_api.expect(readout).to_contain_text(f"Low to High {first['low']:.2f} to {first['high']:.2f}")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    sync_api.expect(readout).to_contain_text(f"4 Mar 2013 median {forecast['q50']:.2f}")
    sync_api.expect(readout).to_contain_text(f"80 % {forecast['q10']:.2f} to {forecast['q90']:.2f}")
    box = fan(page).bounding_box()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 100)
    sync_api.expect(readout).to_contain_text("8 Mar 2013")
    page.keyboard.press("Tab")


def test_tickers_are_stepped_through_with_the_arrow_keys(run, tab):
    page = tab(build_report(run))
    page.get_by_role("button", name="BBB", exact=True).focus()
    page.keyboard.press("ArrowDown")
    sync_api.expect(page.locator("#ticker h2 bdi")).to_have_text("CCC")
    page.keyboard.press("ArrowUp")
    sync_api.expect(page.locator("#ticker h2 bdi")).to_have_text("BBB")


def test_calibration_and_training_are_drawn_when_unfolded(run, tab):
    page = tab(build_report(run))
    assert page.locator("#detail details svg").count() == 0
    page.get_by_text("Calibration and training").click()
    sync_api.expect(page.locator("#detail details svg")).to_have_count(2)


@pytest.mark.parametrize("width", SIZES)
def test_five_hundred_tickers_are_there_at_once_searched_and_sorted(many, tab, width):
    page = tab(build_report(many), width)
    rows = page.locator("#all tbody tr")
    sync_api.expect(rows).to_have_count(500, timeout=5_000)
    sync_api.expect(fan(page)).to_be_in_viewport(ratio=1, timeout=5_000)
    page.get_by_role("searchbox").fill("t07")
    assert page.locator("#all tbody tr:visible").count() == 10
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="worst first").click()
    sync_api.expect(page.locator("#all th[aria-sort='descending']")).to_contain_text("persistence")
    page.get_by_role("button", name="by name").click()
    page.get_by_role("button", name="Ticker").click()
    sync_api.expect(rows.first).to_contain_text("T499")
    rows.first.locator("button").click()
    sync_api.expect(page.locator("#ticker h2 bdi")).to_have_text("T499")
