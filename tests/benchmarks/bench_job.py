"""The whole job on the sample and on 500, 2,000 and 10,000 tickers: seconds, CPU, memory of all its processes.

python tests/benchmarks/bench_job.py [--tickers sample,500] [--rows 1250] [-- options of the job]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import panels

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"


@dataclass(frozen=True)
class Cost:
    """What a job cost: its exit status, seconds, CPU seconds of all its processes, and their peak memory together."""

    status: int
    seconds: float
    cpu: float
    gib: float


def run_job(prices: Path, store: Path, options: list[str]) -> Cost:
    """Run the job as a user does.

    On Linux the peak is of the proportional set sizes of all its processes, the Prefect server among them, looked at
    every half second; elsewhere it is that of the largest process. A page that other programs have mapped, too, counts
    in part: on a machine where other Pythons run, some 100 MiB of libraries can be missing.
    """
    command = [sys.executable, "flows/daily_forecast.py", "--prices", prices, "--output", store, *options]
    home = {"PREFECT_HOME": str(CACHE / "prefect")}
    begin, before = time.perf_counter(), _cpu_of_children()
    job = subprocess.Popen(command, cwd=ROOT, env=os.environ | home, start_new_session=True)
    peak = 0.0
    while job.poll() is None:
        peak = max(peak, _family_gib(job.pid))
        time.sleep(0.5)
    seconds = time.perf_counter() - begin
    return Cost(job.returncode, seconds, _cpu_of_children() - before, peak or _largest_child_gib())


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _family_gib(ancestor: int) -> float:
    """Memory of a process and all that it has started, whatever their sessions."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # After the command's name, in brackets: state, parent.
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
    family = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for pid in family:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 2**20


def _largest_child_gib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 2**30


def main() -> None:
    """Make the panels, run the job on each, print a row of the table for each."""
    parser = argparse.ArgumentParser(description="Time the whole job and measure its memory.")
    parser.add_argument("--tickers", default="sample,500,2000,10000", help="how many each, separated by commas")
    parser.add_argument("--rows", type=int, default=1250)
    parser.add_argument("options", nargs="*", help="options of the job, after --")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    print("| whole job | seconds | CPU seconds | CPU ms per ticker | peak GiB | exit |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    worst = 0
    for size in given.tickers.split(","):
        prices, tickers, name = make_prices(size, given.rows)
        store = Path(tempfile.mkdtemp(prefix="store-", dir=CACHE))
        try:
            cost = run_job(prices, store, given.options)
        finally:
            shutil.rmtree(store)
        each = 1000 * cost.cpu / tickers
        print(
            f"| {name} | {cost.seconds:.0f} | {cost.cpu:.0f} | {each:.0f} | {cost.gib:.2f} | {cost.status} |",
            flush=True,
        )
        worst = max(worst, cost.status)
    sys.exit(worst)


def make_prices(size: str, rows: int) -> tuple[Path, int, str]:
    """Return the prices of this number of tickers, how many they are, and their name; ``sample`` is the sample."""
    if size == "sample":
        tickers = panels.read_sample()["ticker"].nunique()
        return ROOT / "data", tickers, f"the sample, {tickers} tickers"
    prices = CACHE / f"panel-{size}x{rows}"
    if not prices.is_dir():
        draft = Path(tempfile.mkdtemp(dir=CACHE))
        for ticker, frame in panels.resampled(int(size), rows).groupby("ticker"):
            frame.to_csv(draft / f"{ticker}.csv", index=False)
        draft.rename(prices)
    return prices, int(size), f"{int(size):,} tickers x {rows:,} rows"


if __name__ == "__main__":
    main()
