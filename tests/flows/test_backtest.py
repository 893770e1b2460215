"""The backtest as a flow, through a real server: what it writes, what it leaves on its page, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date

import pandas as pd
import pytest

pytest.importorskip("prefect")

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

import daily_forecast_flows.shards
from daily_forecast_flows.backtest import backtest
from daily_forecast_flows.command import main
from daily_forecast_flows.outcome import exit_status
from forecasting.errors import InputError
from forecasting.store.store import Store

QUICK = {"epochs": 1, "members": 1, "horizon": 2, "origins": 4, "refit_every": 2}
END = date(2024, 6, 28)


def run(**given):
    return backtest(**{**QUICK, **given}, return_state=True)


def artifacts_of(state):
    with get_client(sync_client=True) as client:
        run_id = state.state_details.flow_run_id
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        return client.read_flow_run(run_id).name, {
            one.key: one for one in client.read_artifacts(artifact_filter=chosen)
        }


@pytest.mark.usefixtures("prefect_api")
def test_a_backtest_is_written_and_tells_its_story(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", rows=200)
    state = run(prices=str(prices), output=str(tmp_path / "store"))

    assert state.is_completed()
    folder = tmp_path / "store" / "backtests" / f"as_of={END}"
    written = pd.read_parquet(folder / "forecasts.parquet", partitioning=None)
    assert written["cutoff"].nunique() == 4
    assert written["fitted"].nunique() == 2
    assert set(written["ticker"]) == {"AAA", "BBB"}
    metrics = pd.read_parquet(folder / "metrics.parquet", partitioning=None)
    assert set(metrics["model"]) == {
        "lstm",
        "har",
        "combination",
        "persistence",
        "last_close",
        "ewma_range",
        "published",
    }
    assert Store(tmp_path / "store").dates() == ()

    name, artifacts = artifacts_of(state)
    assert name == "2024-06-28, 4 origins"
    assert set(artifacts) == {"backtest-progress", "backtest", "backtest-scores", "backtest-file"}
    assert float(artifacts["backtest-progress"].data) == 100
    assert artifacts["backtest"].data.count("](data:image/png;base64,") == 3
    assert exit_status(state) == 0


@pytest.mark.usefixtures("prefect_api")
def test_rows_after_the_as_of_date_and_a_bad_file_harm_nobody(price_file, tmp_path):
    folder = tmp_path / "prices"
    folder.mkdir()
    price_file(folder / "good.csv", "AAA", rows=200)
    stores = [tmp_path / "whole", tmp_path / "cut"]
    given = {"prices": str(folder), "as_of": "2024-06-14"}
    assert exit_status(run(**given, output=str(stores[0]))) == 0
    cut = pd.read_csv(folder / "good.csv").query("date <= '2024-06-14'")
    cut.to_csv(folder / "good.csv", index=False)
    (folder / "BAD.csv").write_text("Date,Open\n2024-01-02,abc\n")
    state = run(**given, output=str(stores[1]))
    assert exit_status(state) == 3
    assert [who for who, _ in state.result().backtest.withheld] == ["BAD"]
    first, second = (store / "backtests" / "as_of=2024-06-14" / "forecasts.parquet" for store in stores)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.usefixtures("prefect_api")
def test_too_little_history_is_wrong_input_and_leaves_nothing(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA", rows=100)
    state = run(prices=str(prices), output=str(tmp_path / "store"))
    assert state.is_failed()
    with pytest.raises(InputError, match="too few"):
        exit_status(state)
    assert not (tmp_path / "store" / "backtests").exists()


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("wrong", [{"origins": 0}, {"preset": "tutorial"}, {"as_of": "scheduled"}])
def test_wrong_parameters_are_refused_before_anything_is_done(tmp_path, wrong):
    state = run(output=str(tmp_path / "store"), **wrong)
    assert state.is_failed()
    assert next(iter(wrong.values())) in ("tutorial", "scheduled", 0)
    assert f"{next(iter(wrong.values()))}" in state.message or f"- {next(iter(wrong))}: " in state.message
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("prefect_api")
def test_a_backtest_that_is_stopped_is_cancelled_and_leaves_nothing(price_file, tmp_path, monkeypatch):
    prices = price_file(tmp_path / "prices.csv", "AAA", rows=200)
    stopped = []

    def stop_when_training(board, *_, **__):
        while not board.shares():
            time.sleep(0.05)
        stopped.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

    monkeypatch.setattr(daily_forecast_flows.shards, "follow", stop_when_training)
    state = run(prices=str(prices), output=str(tmp_path / "store"), epochs=100_000)
    assert time.monotonic() - stopped[0] < 10
    assert state.is_cancelled()
    assert exit_status(state) == 130
    assert not (tmp_path / "store" / "backtests").exists()


def test_the_command_line_says_what_is_wrong_before_anything_starts(tmp_path, capsys):
    assert main(["backtest", "--refit-every", "0"]) == 2
    assert "--refit-every" in capsys.readouterr().err
    assert main(["backtest", "--as-of", "2024-02-31"]) == 2
    assert '"2024-02-31" is not a date' in capsys.readouterr().err
    assert main(["backtest", "--prices", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err


def test_help_needs_neither_prefect_nor_torch(root):
    code = (
        "import sys; from daily_forecast_flows.command import main; main(['backtest', '--help']); "
        "print(*sys.modules, file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert "--origins" in answer.stdout
    assert not {"prefect", "torch", "pandas"} & set(answer.stderr.split())


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_threads_and_processes_give_the_same_bytes(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA,BBB,CCC")
    for kind in ("threads", "processes"):
        assert run(prices=str(prices), output=str(tmp_path / kind), task_runner=kind).is_completed()
    for name in ("forecasts.parquet", "metrics.parquet", "report.html"):
        files = [tmp_path / kind / "backtests" / f"as_of={END}" / name for kind in ("threads", "processes")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_the_program_runs_by_itself(price_file, tmp_path, root):
    prices = price_file(tmp_path / "prices.csv", "AAA", rows=200)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    answer = subprocess.run(
        [sys.executable, "flows/backtest.py", "--prices", prices, "--output", tmp_path / "store", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "4 sessions were forecast from" in answer.stdout
