"""What one training step of one model costs: ours inside a batch of tickers, beside the libraries one would take.

    python tests/benchmarks/bench_training_step.py [--rounds 9] [--without keras]

All contestants (contestants.py) wait in processes of their own and take turns, a block of steps at a time, so that
what else the machine does meets all alike; the table shows medians over the rounds. The libraries live in virtual
environments under .cache/bench, made by the first run. One that cannot be installed is left out, and that is said.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import panels
from environments import CACHE, make_environment

WORKER = Path(__file__).with_name("contestants.py")


@dataclass(frozen=True)
class Contestant:
    """A row of the table: which worker, and the environment that it runs in."""

    title: str
    worker: str
    environment: str | None = None
    packages: tuple[str, ...] = ()


TORCH_PEERS = ("neuralforecast==3.3.0", "darts==0.48.0", "torch")

CONTESTANTS = (
    Contestant("**this project**, a step within a batch of 100 tickers", "tutorial"),
    Contestant("the same with the default's head: 5 steps of 19 quantiles; whole training loop", "default-small"),
    Contestant("the same as the default preset has it: window 10, hidden 6, batch 64", "default"),
    Contestant("torch.nn.LSTM, plain loop", "torch"),
    Contestant(
        "neuralforecast 3.3 LSTM", "neuralforecast", "torch-peers", ("neuralforecast==3.3.0", "darts==0.48.0", "torch")
    ),
    Contestant("darts 0.48 BlockRNNModel", "darts", "torch-peers", TORCH_PEERS),
    Contestant("Keras 3 on TensorFlow", "keras", "keras-peers", ("keras==3.15.1", "tensorflow==2.21.0")),
)


def environment(contestant: Contestant) -> Path | None:
    """Return the contestant's Python; None when its environment cannot be made."""
    if contestant.environment is None:
        return Path(sys.executable)
    return make_environment(contestant.environment, contestant.packages)


def take_turns(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[float]]:
    """Measure every contestant `rounds` times, in turns; microseconds by title."""
    data = CACHE / "windows.npz"
    np.savez(data, rows=_rows())
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for contestant in contestants:
            python = environment(contestant)
            if python is None:
                print(f"left out, not installable here: {contestant.title}", file=sys.stderr)
                continue
            worker = subprocess.Popen(
                [python, WORKER, contestant.worker, data],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(CACHE / f"{contestant.worker}.log").open("w"),
                text=True,
            )
            if worker.stdout.readline().strip() != "ready":
                print(f"left out, see {CACHE / contestant.worker}.log: {contestant.title}", file=sys.stderr)
                worker.kill()
                continue
            running[contestant.title] = worker
        measured: dict[str, list[float]] = {title: [] for title in running}
        for _ in range(rounds):
            for title, worker in running.items():
                print(file=worker.stdin, flush=True)
                measured[title].append(float(worker.stdout.readline()))
        return measured
    finally:
        for worker in running.values():
            worker.stdin.close()
            worker.wait(timeout=60)


def table(measured: dict[str, list[float]]) -> str:
    """Format as Markdown: median and least of a step's microseconds, and the median beside the first row's."""
    medians = {title: statistics.median(values) for title, values in measured.items()}
    ours = next(iter(medians.values()))
    lines = ["| | median us | least us | times ours |", "| --- | ---: | ---: | ---: |"]
    for title, values in measured.items():
        ratio = medians[title] / ours
        lines.append(f"| {title} | {medians[title]:,.0f} | {min(values):,.0f} | {ratio:,.1f} |")
    return "\n".join(lines)


def _rows() -> np.ndarray:
    # One ticker, scaled as in the tutorial: 875 windows of 7, 25 batches of 35.
    history = panels.read_sample().query("ticker == 'GOOG'").iloc[-882:]
    rows = np.stack([history["open"], history["high"] - history["low"]], axis=1)
    return (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One training step of one model, beside other libraries'.")
    parser.add_argument("--rounds", type=int, default=9, help="blocks a contestant (default: 9)")
    parser.add_argument("--without", nargs="*", default=[], help="workers to leave out: torch darts ...")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    chosen = [contestant for contestant in CONTESTANTS if contestant.worker not in given.without]
    print("One training step of one model: window 7, hidden 4, batch 35; one thread; microseconds\n")
    print(table(take_turns(chosen, given.rounds)))


if __name__ == "__main__":
    main()
