"""The whole job on 500 tickers of 1,250 rows: seconds and the memory of all its processes together.

python tests/benchmarks/bench_job.py [--tickers 500] [--rows 1250] [-- options of the job]
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
from pathlib import Path

import panels

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"


def run_job(prices: Path, store: Path, options: list[str]) -> tuple[int, float, float]:
    """Run the job as a user does; its exit status, seconds, and peak GiB.

    On Linux the peak is of the proportional set sizes of all its processes, the Prefect server among them, looked at
    every half second; elsewhere it is that of the largest process.
    """
    command = [sys.executable, "flows/daily_forecast.py", "--prices", prices, "--output", store, *options]
    home = {"PREFECT_HOME": str(CACHE / "prefect")}
    begin = time.perf_counter()
    job = subprocess.Popen(command, cwd=ROOT, env=os.environ | home, start_new_session=True)
    peak = 0.0
    while job.poll() is None:
        peak = max(peak, _session_gib(job.pid))
        time.sleep(0.5)
    seconds = time.perf_counter() - begin
    return job.returncode, seconds, max(peak, _largest_child_gib())


def _session_gib(session: int) -> float:
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # After the command's name, in brackets: state, parent, group, session.
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            lines = (process / "smaps_rollup").read_text().splitlines()
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 2**20


def _largest_child_gib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 2**30


def main() -> None:
    """Make the panel, run the job, print the row of the table."""
    parser = argparse.ArgumentParser(description="Time the whole job and measure its memory.")
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1250)
    parser.add_argument("options", nargs="*", help="options of the job, after --")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    prices = CACHE / f"panel-{given.tickers}x{given.rows}.csv"
    if not prices.is_file():
        panels.resampled(given.tickers, given.rows).to_csv(prices, index=False)
    store = Path(tempfile.mkdtemp(prefix="store-", dir=CACHE))
    try:
        status, seconds, gib = run_job(prices, store, given.options)
    finally:
        shutil.rmtree(store)
    print("| whole job | seconds | peak GiB | exit |\n| --- | ---: | ---: | ---: |")
    print(f"| {given.tickers} tickers x {given.rows:,} rows | {seconds:.0f} | {gib:.2f} | {status} |")
    sys.exit(status)


if __name__ == "__main__":
    main()
