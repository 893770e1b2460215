"""What all tests share: their own machine state, repeatable examples, and the folder of data beside the checkout."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# Set before Prefect, torch or matplotlib are imported: nothing of the user's is read or written, no display is needed,
# and small tensors are not given to a pool of threads. Each process of a parallel run has a Prefect home of its own.
for name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[name]
_PREFECT_HOME = tempfile.mkdtemp(prefix="prefect-of-tests-")
atexit.register(shutil.rmtree, _PREFECT_HOME, ignore_errors=True)
os.environ["PREFECT_HOME"] = _PREFECT_HOME
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run, and no limit on the time of one, which depends on the machine.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parents[1]


class _Scheduling(LoadScopeScheduling):
    """Deal out whole files, but all of `tests/flows` to one process, since a Prefect server takes long to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/flows" if file.startswith("tests/flows/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """Replace pytest-xdist's choice."""
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data beside the checkout, which is not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}")
    return folder


@pytest.fixture(scope="session")
def make_prices() -> Callable[..., pd.DataFrame]:
    """Make a ticker's rows as `read_prices` gives them: a random walk, with a session every day up to ``end``."""

    def make(ticker: str = "AAA", rows: int = 240, seed: int = 0, end: str = "2024-06-28") -> pd.DataFrame:
        stream = np.random.default_rng(seed)
        noise = stream.standard_normal((4, rows))
        close = 100 * np.exp(np.cumsum(0.01 * noise[0]))
        opened = np.concatenate([[100.0], close[:-1]]) * np.exp(0.004 * noise[1])
        return pd.DataFrame(
            {
                "ticker": pd.array([ticker] * rows, dtype="str"),
                "date": pd.date_range(end=end, periods=rows, unit="s"),
                "open": opened,
                "high": np.maximum(opened, close) * np.exp(0.004 * np.abs(noise[2])),
                "low": np.minimum(opened, close) * np.exp(-0.004 * np.abs(noise[3])),
                "close": close,
                "volume": 1e6 * np.exp(0.2 * noise[2]),
            }
        )

    return make


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server with the UI on loopback, for the whole session; gives the address of its API."""
    from daily_forecast_flows.operate import SETTINGS
    from daily_forecast_flows.server import starting_server

    home = tmp_path_factory.mktemp("prefect-server")
    with starting_server({**SETTINGS, "PREFECT_HOME": str(home)}, ui=True) as wait:
        yield wait()
        # Log lines that are still queued in this process would be retried against a server that is gone.
        if "prefect" in sys.modules:
            from daily_forecast_flows.launch import drain

            drain()


@pytest.fixture
def prefect_api(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same server for flows that run in this process."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    refresh_global_settings_context()
    # A heartbeat costs a second at the end of every flow.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield prefect_server
    monkeypatch.undo()
    refresh_global_settings_context()


@pytest.fixture(scope="session")
def price_file(make_prices: Callable[..., pd.DataFrame]) -> Callable[..., Path]:
    """Write a CSV of random walks, one or several tickers, on the New York sessions up to ``end``."""
    import exchange_calendars

    def write(path: Path, tickers: str = "AAA,BBB", rows: int = 240, end: str = "2024-06-28") -> Path:
        first = pd.Timestamp(end) - pd.Timedelta(days=2 * rows)
        sessions = exchange_calendars.get_calendar("XNYS", start=first, end=pd.Timestamp(end)).sessions[-rows:]
        walks = [make_prices(name, rows, seed).assign(date=sessions) for seed, name in enumerate(tickers.split(","))]
        frame = pd.concat(walks).assign(date=lambda all_: all_["date"].dt.strftime("%Y-%m-%d"))
        frame.to_csv(path, index=False, float_format="%.4f")
        return path

    return write
