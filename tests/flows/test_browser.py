"""The run's pages in a real browser: pictures and tables are really drawn."""

from __future__ import annotations

import logging
import os
import shutil
import time

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from report_cases import fake_run, many, random_prices, scores

from daily_forecast import daily_forecast
from daily_forecast_flows.outcome import Outcome, describe
from forecasting.reports.track_record import track_record
from forecasting.store.store import Store

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

LOG = logging.getLogger(__name__)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture
def chromium():
    """A headless browser that talks to this machine alone."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    opened = chromium.new_page(viewport={"width": 1400, "height": 1000})
    opened.set_default_timeout(30_000)
    return opened


@pytest.fixture
def run(prefect_api, price_file, tmp_path):
    """A run of two tickers, with its artifacts by key."""
    prices = price_file(tmp_path / "prices.csv")
    given = {"prices": str(prices), "output": str(tmp_path / "store"), "epochs": 2, "members": 1, "horizon": 2}
    state = daily_forecast(**given, return_state=True)
    own = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        artifacts = {one.key: one.id for one in client.read_artifacts(artifact_filter=own)}
    return state.state_details.flow_run_id, artifacts


def test_a_runs_pages_are_drawn(run, page, prefect_api, tmp_path):
    run_id, artifacts = run
    ui = prefect_api.removesuffix("/api")
    shown = sync_api.expect

    page.goto(f"{ui}/runs/flow-run/{run_id}")
    shown(page.get_by_text("2024-06-28, 2 tickers").first).to_be_visible()
    shown(page.get_by_text("Completed").first).to_be_visible()
    shown(page.locator("canvas").first).to_be_visible()
    page.screenshot(path=tmp_path / "run.png")

    page.goto(f"{ui}/artifacts/artifact/{artifacts['report']}")
    shown(page.get_by_role("heading", name="Forecasts as of 28 Jun 2024")).to_be_visible()
    pictures = page.locator("img[src^='data:image/png;base64']")
    shown(pictures).to_have_count(2)
    widths = pictures.evaluate_all("all => all.map(one => one.complete ? one.naturalWidth : 0)")
    assert min(widths) > 300
    shown(page.locator("table").first).to_contain_text("CRPS / persistence")
    shown(page.locator("table").nth(1)).to_contain_text("AAA")

    page.set_viewport_size({"width": 1280, "height": 900})
    for key, text in (("forecasts", "2024-07-01"), ("scores", "persistence"), ("data-quality", "nothing looks odd")):
        page.goto(f"{ui}/artifacts/artifact/{artifacts[key]}")
        shown(page.locator("table tbody tr").first).to_be_visible()
        shown(page.locator("table").first).to_contain_text(text)
        # Its last column is not off the screen.
        assert page.locator("table").first.evaluate("one => one.scrollWidth <= one.parentElement.clientWidth")

    page.goto(f"{ui}/artifacts/artifact/{artifacts['report-file']}")
    shown(page.locator("code", has_text="report.html")).to_have_text(
        str(tmp_path / "store" / "reports" / "as_of=2024-06-28" / "report.html")
    )
    assert page.locator("a[href^='file:']").count() == 0

    page.goto(f"{ui}/artifacts/artifact/{artifacts['forecasts']}")
    page.get_by_placeholder("Search").first.fill("BBB")
    shown(page.locator("table tbody tr")).to_have_count(2)

    page.goto(f"{ui}/artifacts/key/report")
    shown(page.get_by_text("2024-06-28, 2 tickers").first).to_be_visible()


@pytest.fixture(scope="module")
def artifacts(prefect_server, tmp_path_factory):
    """The artifacts of a run with this number of tickers, by key, without any training."""
    from prefect import flow
    from prefect.settings import PREFECT_API_URL, temporary_settings

    store = Store(tmp_path_factory.mktemp("store"))

    def leave(tickers: int) -> dict[str, str]:
        walks = [random_prices(f"T{place:04d}", 200, place) for place in range(5)]
        run = fake_run(walks) if tickers == 5 else many(fake_run(walks[:1]), tickers)
        message = f"The forecasts as of {run.as_of} are published; {tickers} tickers"
        outcome = Outcome("published", message, store, run.as_of, run, record=track_record(scores(tickers)))

        @flow(name="pages", flow_run_name=f"{run.as_of}, {tickers} tickers")
        def pages() -> None:
            describe.fn(outcome)

        with temporary_settings({PREFECT_API_URL: prefect_server}):
            state = pages(return_state=True)
            own = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
            with get_client(sync_client=True) as client:
                found = {one.key: f"artifacts/artifact/{one.id}" for one in client.read_artifacts(artifact_filter=own)}
        return {**found, "run": f"runs/flow-run/{state.state_details.flow_run_id}"}

    return {tickers: leave(tickers) for tickers in (5, 500)}


CUT_OFF = """() => {
  const aside = (one) => one.parentElement?.closest("*") && [...function* (up) {
    while ((up = up.parentElement)) yield up;
  }(one)].some((up) => ["auto", "scroll"].includes(getComputedStyle(up).overflowX) && up.scrollWidth > up.clientWidth);
  return [...document.querySelectorAll("main table :is(th, td), main h1, main p, main img, main figure")]
    .filter((one) => one.checkVisibility({ checkVisibilityCSS: true }) && one.getClientRects().length && !aside(one))
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => `${one.tagName} ${one.textContent.slice(0, 40)}`);
}"""
"""Cells, words and pictures beyond the window that nothing scrolls to."""


@pytest.mark.slow
@pytest.mark.parametrize("tickers", [5, 500])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_run_are_there_and_nothing_is_cut_off(  # noqa: PLR0917
    artifacts, chromium, prefect_server, width, scheme, tickers
):
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    # The UI keeps its own choice, which is dark at first.
    page.add_init_script(f"localStorage.setItem('color-scheme', JSON.stringify('{scheme}'))")
    page.set_default_timeout(30_000)
    pages = {
        "run": page.get_by_text(f"{tickers} tickers").first,
        "report": page.locator("table").nth(1).locator("tbody tr").nth(4),
        "track-record": page.locator("table").first.locator("tbody tr").nth(4),
        "forecasts": page.locator("table tbody tr").first,
        "scores": page.locator("table tbody tr").first,
        "data-quality": page.locator("table tbody tr").first,
    }
    for name, there in pages.items():
        began = time.monotonic()
        page.goto(f"{prefect_server.removesuffix('/api')}/{artifacts[tickers][name]}")
        sync_api.expect(there).to_be_visible()
        LOG.info("%s, %d tickers, %d px: there after %.1f s", name, tickers, width, time.monotonic() - began)
        if shots := os.environ.get("SHOTS"):
            page.screenshot(path=f"{shots}/ui-{name}-{tickers}-{width}-{scheme}.png")
        assert page.evaluate(CUT_OFF) == [], name
        assert page.locator("html").get_attribute("class") == scheme
    page.close()


@pytest.fixture
def deployment(prefect_api):
    """The daily forecast as a deployment; gives its id."""
    made = daily_forecast.to_deployment("form")
    made.entrypoint = "flows/daily_forecast.py:daily_forecast"
    return made.apply()


def test_the_form_of_a_run_is_typed_and_explained(deployment, page, prefect_api):
    page.goto(f"{prefect_api.removesuffix('/api')}/deployments/deployment/{deployment}/run")
    for text in ("horizon", "Sessions ahead, 1 to N", "task_runner", "Minutes for training"):
        sync_api.expect(page.get_by_text(text).first).to_be_visible()
