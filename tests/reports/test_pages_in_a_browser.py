"""The pages in a real browser: charts are drawn and answer, nothing is cut off, and dark is dark."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from report_cases import backtest, fake_run, many, random_prices, scores

from forecasting.backtest.page import build_backtest_page
from forecasting.findings import Finding
from forecasting.reports import run_page
from forecasting.reports.run_page import build_report
from forecasting.reports.store_index import LISTED, PublishedDate, build_index
from forecasting.reports.track_record import build_score_page, track_record
from forecasting.run import Run
from forecasting.store.manifest import WithheldRecord

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

LOG = logging.getLogger(__name__)
SIZES = {1440: 1000, 390: 844}
HOSTILE = "<img src=x onerror=alert(1)>"

CUT_OFF = """() => {
  const shown = (one) => one.checkVisibility({ checkVisibilityCSS: true }) && one.getClientRects().length;
  const aside = (one) => one.closest(".scroll") && !one.matches(".scroll");
  const found = [];
  for (const one of document.body.querySelectorAll("*")) {
    if (!shown(one) || aside(one) || one.closest("svg.spark")) continue;
    const { left, right } = one.getBoundingClientRect();
    const inner = one.closest("svg")?.getBoundingClientRect() ?? { left: 0, right: innerWidth };
    if (left < inner.left - 1 || right > inner.right + 1) found.push(`${one.tagName} ${one.textContent.slice(0, 40)}`);
    const hides = getComputedStyle(one).overflowX !== "visible";
    if (hides && !one.matches(".scroll") && one.scrollWidth > one.clientWidth + 1) found.push(`inside ${one.tagName}`);
  }
  return found;
}"""
"""What lies beyond the window, or beyond the chart that it is part of; what is inside a marked area can be scrolled."""

SCROLLED = """async () => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  for (const one of document.querySelectorAll("details")) one.open = true;
  await painted();
  const wide = [...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1);
  const faded = (one) => getComputedStyle(one).maskImage !== "none";
  const before = wide.map((one) => faded(one) && one.tabIndex === 0);
  const names = wide.map((one) => one.querySelector("th, td").textContent);
  wide.forEach((one) => one.scrollTo({ left: one.scrollWidth, behavior: "instant" }));
  await painted();
  const seen = (one) => {
    const area = one.getBoundingClientRect();
    const first = one.querySelector("th").getBoundingClientRect();
    const last = [...one.querySelectorAll("thead tr:first-child th")].at(-1).getBoundingClientRect();
    return last.right <= area.right + 1 && last.left >= area.left && Math.abs(first.left - area.left) < 2;
  };
  return wide.map((one, place) => [names[place], before[place], !faded(one) && seen(one)]);
}"""
"""The areas that are wider than they show: whether this is visible, and whether their last column can be reached."""


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run() -> Run:
    """Five tickers, one of which has a name that would like to be more than one."""
    names = ("AAA", "BBB", "CCC", "DDD", HOSTILE)
    findings = (Finding("AAA", "split", "2:1 on 28 Feb 2005, adjusted inside the model; what is published is not"),)
    gone = WithheldRecord(ticker="GONE", reason="its last row is a year old, and nothing is known of it since")
    walks = [random_prices(name, 200, seed) for seed, name in enumerate(names)]
    return fake_run(walks, findings=findings, withheld=(gone,))


@pytest.fixture(scope="module")
def pages(run) -> Callable[[str, int], str]:
    """Make each page of a store with so many tickers; once."""
    made: dict[tuple[str, int], str] = {}
    days = [day.date() for day in pd.bdate_range(end="2013-03-01", periods=LISTED)][::-1]

    def index(amount: int) -> str:
        counts = {"tickers": amount, "forecasts": 5 * amount, "with_lstm": 5 * amount, "stale": 1, "due": 3 * amount}
        dates = [PublishedDate(as_of=day, **counts, coverage=0.79, ratio=0.52, report=True) for day in days]
        return build_index(dates, track_record(scores(min(amount, 50))), older=12)

    build = {
        "report": lambda amount: build_report(run if amount == 5 else many(run, amount)),
        "scores": lambda amount: build_score_page(track_record(scores(amount))),
        "index": index,
        "backtest": lambda amount: build_backtest_page(backtest(amount)),
    }

    def page(name: str, amount: int) -> str:
        if (name, amount) not in made:
            made[name, amount] = build[name](amount)
        return made[name, amount]

    return page


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


@pytest.mark.parametrize("tickers", [5, 500])
@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "scores", "index", "backtest"])
def test_the_table_is_there_and_nothing_is_cut_off(pages, tab, name, width, scheme, tickers):  # noqa: PLR0917
    page = tab(pages(name, tickers), width, scheme)
    rows = page.locator("#all tbody tr")
    sync_api.expect(rows).to_have_count(LISTED if name == "index" else tickers, timeout=5_000)
    # What a person waits for: the document parsed, its script run, the next picture painted.
    painted = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
    LOG.info("%s, %d tickers: the table is there after %d ms", name, tickers, page.evaluate(painted))
    if shots := os.environ.get("SHOTS"):
        page.screenshot(path=f"{shots}/{name}-{tickers}-{width}-{scheme}.png", full_page=tickers == 5)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(CUT_OFF) == []
    if width == 390:
        areas = page.evaluate(SCROLLED)
        assert areas
        assert [name for name, marked, reached in areas if not (marked and reached)] == []
        assert page.evaluate(CUT_OFF) == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == (scheme == "dark")


@pytest.mark.parametrize("tickers", [5, 500])
@pytest.mark.parametrize("width", SIZES)
def test_the_forecast_is_on_the_first_screen(pages, tab, width, tickers):
    page = tab(pages("report", tickers), width)
    sync_api.expect(fan(page)).to_be_in_viewport(ratio=1)
    sync_api.expect(page.locator("#ticker figcaption")).to_contain_text(re.compile(r"Open on 4 Mar 2013: \d+\.\d\d"))


def test_on_a_phone_each_ticker_has_its_median_and_band_and_the_rest_aside(pages, tab):
    page = tab(pages("report", 5), 390)
    heads = page.locator("#all thead th").all()
    names = [head.inner_text().split()[0] for head in heads]
    whole = [head.bounding_box()["x"] + head.bounding_box()["width"] <= 390 for head in heads]
    assert [name for name, inside in zip(names, whole, strict=True) if inside][:3] == ["Ticker", "Median", "80"]
    assert names == ["Ticker", "Median", "80", "Change", "60", "Last", "Open", "Model", "CRPS", "80"]


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


def test_a_ticker_whose_chart_has_no_room_is_said_to_have_none(run, tab, monkeypatch):
    monkeypatch.setattr(run_page, "_PAGE_BYTES", 0)
    page = tab(build_report(run))
    without = page.locator("#all tbody tr").filter(has_not=page.locator("svg"))
    name = without.first.locator("bdi").inner_text()
    without.first.locator("button").click()
    sync_api.expect(page.locator("#ticker h2 bdi")).to_have_text(name)
    sync_api.expect(page.locator("#ticker")).to_contain_text("the best and the worst scored alone")
    assert page.locator("#ticker svg").count() == 0
    page.locator("#all tbody tr").filter(has=page.locator("svg")).first.locator("button").click()
    assert fan(page).locator("path").count() == 6


def test_values_are_read_by_pointer_and_by_keys(run, tab):
    page = tab(build_report(run))
    page.get_by_role("button", name="BBB", exact=True).click()
    prices = run.ingested.prices[run.ingested.prices["ticker"] == "BBB"].tail(60)
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


def test_five_hundred_tickers_are_searched_and_sorted(pages, tab):
    page = tab(pages("report", 500))
    rows = page.locator("#all tbody tr")
    page.get_by_role("searchbox").fill("t007")
    assert page.locator("#all tbody tr:visible").count() == 10
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="worst first").click()
    sync_api.expect(page.locator("#all th[aria-sort='descending']")).to_contain_text("persistence")
    page.get_by_role("button", name="by name").click()
    page.get_by_role("button", name="Ticker").click()
    sync_api.expect(rows.first).to_contain_text("T0499")
    rows.first.locator("button").click()
    sync_api.expect(page.locator("#ticker h2 bdi")).to_have_text("T0499")
