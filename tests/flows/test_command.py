"""The command line: what it answers at once, its exit statuses, and that nothing of a run is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import httpx
import pytest

from daily_forecast_flows.command import main
from forecasting.store import paths
from forecasting.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--epochs", "1", "--members", "1", "--horizon", "2"]


def test_help_shows_every_option_with_its_type_and_default(capsys):
    assert main(["run", "--help"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    for part in ("--as-of STR", "--horizon INT", "[default: 5]", "[choices: auto, cpu, cuda, mps]", "--no-restate"):
        assert part in output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--epochs", "0"], '--epochs: input should be greater than or equal to 1, not "0"; see --help'),
        (["--horizon", "many"], "--horizon: input should be a valid integer"),
        (["--device", "tpu"], "--device: input should be 'auto', 'cpu', 'cuda' or 'mps'"),
        (["--nope"], "Unknown option: --nope; see --help"),
        (["--as-of", "2024-02-30"], '"2024-02-30" is not a date; set --as-of latest, scheduled or YYYY-MM-DD'),
        (["--as-of", "9999-12-31"], '"9999-12-31" is not from 1800 to 2199'),
        (["--as-of", "yesterday"], '"yesterday" is not a date; set --as-of latest, scheduled or YYYY-MM-DD'),
        (["--tickers", ","], '--tickers: should name at least one ticker, not ","'),
        (["--calendar", "NOWHERE"], '"NOWHERE" is not an exchange calendar'),
        (["--prices", "/no/such/file.csv"], "/no/such/file.csv: there is no such file"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(wrong, said, tmp_path, capsys):
    assert main(["run", *wrong, "--output", str(tmp_path / "store")]) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert not (tmp_path / "store" / "forecasts").exists()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_said_before_anything_starts(price_file, tmp_path, capsys, device):
    import torch

    if (torch.cuda if device == "cuda" else torch.backends.mps).is_available():
        pytest.skip(f"this machine has {device}")
    prices = price_file(tmp_path / "prices.csv", "AAA")
    assert main(["run", "--prices", str(prices), "--device", device, "--output", str(tmp_path / "store")]) == 2
    assert f'this machine has no "{device}", only cpu' in capsys.readouterr().err


@pytest.mark.usefixtures("prefect_api")
def test_a_bad_cell_is_one_line_and_status_2(tmp_path, capsys):
    bad = tmp_path / "AAA.csv"
    bad.write_text("Date,Open,High,Low,Close\n2024-01-02,1,2,1,1\n2024-01-03,x,2,1,1\n")
    assert main(["run", "--prices", str(bad), "--output", str(tmp_path / "store")]) == 2
    said = capsys.readouterr().err
    assert f"{bad}, line 3, column Open" in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("prefect_api")
def test_prices_are_read_once(price_file, tmp_path, monkeypatch):
    import forecasting.ingest.prices

    read, reads = forecasting.ingest.prices.read_prices, []
    monkeypatch.setattr(forecasting.ingest.prices, "read_prices", lambda *a, **k: reads.append(a) or read(*a, **k))
    prices = price_file(tmp_path / "prices.csv", "AAA")
    assert main(["run", "--prices", str(prices), "--output", str(tmp_path / "store"), *QUICK]) == 0
    assert len(reads) == 1


def test_a_place_that_cannot_be_written_to_is_said(price_file, tmp_path, capsys):
    prices = price_file(tmp_path / "prices.csv", "AAA")
    (tmp_path / "taken").write_text("")
    assert main(["run", "--prices", str(prices), "--output", str(tmp_path / "taken")]) == 2
    assert "is a file" in capsys.readouterr().err


HELP = [[command, "--help"] for command in ("run", "check", "show", "scores", "verify", "predict", "prune", "ui")]


@pytest.mark.parametrize("arguments", [["--help"], *HELP, ["run", "--epochs", "0"]], ids=" ".join)
def test_prefect_and_torch_are_not_imported_to_answer(arguments):
    code = "import sys; from daily_forecast_flows.command import main as run; run(sys.argv[1:]); "
    code += "print(*sys.modules, file=sys.stderr)"
    answer = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert not {"prefect", "torch", "pandas"} & set(answer.stderr.split())


def start(tmp_path, *arguments: str, **configured: str) -> subprocess.Popen[str]:
    """Start the command as a user does, with no server configured if not named."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    environment["TMPDIR"] = str(tmp_path / "boards")
    environment |= configured
    (tmp_path / "boards").mkdir(exist_ok=True)
    command = [sys.executable, "flows/daily_forecast.py", "--output", str(tmp_path / "store"), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def servers(tmp_path) -> list[int]:
    """Processes that have this test's PREFECT_HOME."""
    mark = f"PREFECT_HOME={tmp_path / 'prefect'}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc on this machine")


@needs_proc
def test_a_run_without_a_server_brings_its_own_and_takes_it_down(price_file, tmp_path):
    folder = tmp_path / "prices"
    folder.mkdir()
    price_file(folder / "AAA.csv", "AAA")
    (folder / "BAD.csv").write_text("Date,Open\n2024-01-02,abc\n")
    process = start(tmp_path, "--prices", str(folder), *QUICK)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 3, err
    assert err == ""
    assert "withheld: BAD" in out
    assert Store(tmp_path / "store").where(paths.forecasts(date(2024, 6, 28))) in out
    assert servers(tmp_path) == []


@pytest.mark.slow
def test_a_configured_server_that_is_lost_as_the_forecasts_appear_is_not_waited_for(price_file, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = os.environ | {"PREFECT_HOME": str(tmp_path / "server")}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    server = subprocess.Popen(command, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/api"
        wait_for(lambda: answers(address), 120)
        prices = price_file(tmp_path / "prices.csv", "AAA")
        process = start(tmp_path, "--prices", str(prices), *QUICK, PREFECT_API_URL=address)
        wait_for(lambda: list((tmp_path / "store").glob("forecasts/*/forecasts.parquet")), 120)
    finally:
        server.kill()
        server.wait()
    out, err = process.communicate(timeout=90)
    assert "The forecasts as of 2024-06-28 are published; 1 ticker" in out
    assert (process.returncode, err[:29]) == (0, "the Prefect server was lost: "), err


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").is_success
    except httpx.HTTPError:
        return False


def wait_for(reached, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_a_run_that_is_stopped_or_killed_leaves_nothing_behind_and_the_next_succeeds(
    price_file, tmp_path, number, runner
):
    prices = price_file(tmp_path / "prices.csv", "AAA")
    # The tutorial's training does not stop early.
    endless = ["--preset", "tutorial", "--epochs", "100000"]
    process = start(tmp_path, "--prices", str(prices), *endless, "--task-runner", runner)
    boards = tmp_path / "boards"
    give_up = time.monotonic() + 180
    while not list(boards.glob("*/0")):
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.2)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    give_up = time.monotonic() + 20
    while servers(tmp_path) and time.monotonic() < give_up:
        time.sleep(0.5)
    assert servers(tmp_path) == []
    assert Store(tmp_path / "store").dates() == ()
    again = start(tmp_path, "--prices", str(prices), *QUICK)
    again.communicate(timeout=240)
    assert again.returncode == 0
