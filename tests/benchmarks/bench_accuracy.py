"""How good the forecasts are on held-out sessions: slices of the sample, every model, beside persistence.

    python tests/benchmarks/bench_accuracy.py [--rows 1200] [--store DIR] [--prices PATH] [-- options of the job]

Runs the job twice, as it is and with --anchor open, and scores what the store's heldout.parquet holds. Errors are
relative to the actual price, so that a ticker's price level does not weigh; the pooled score is the mean over all
held-out rows of all tickers, divided by that of persistence (last Open, static quantiles) on the same rows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import panels

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
QUANTILES = [f"q{level:02d}" for level in range(5, 100, 5)]
LEVELS = np.arange(0.05, 0.96, 0.05)


def scores(store: Path) -> pd.DataFrame:
    """Score the newest evaluation of a store, by step and model; `published` is what each ticker would have got.

    Returns
    -------
    pandas.DataFrame
        Indexed by step and model: n, crps and mae relative to persistence's, the mean of the tickers' own ratios of
        crps, and the share of actuals inside the 80 % interval.
    """
    newest = max((store / "evaluation").glob("as_of=*"))
    heldout = pd.read_parquet(newest / "heldout.parquet")
    metrics = pd.read_parquet(newest / "metrics.parquet")
    chosen = metrics.loc[metrics["chosen"], ["ticker", "step", "model"]]
    published = heldout.merge(chosen, on=["ticker", "step", "model"]).assign(model="published")
    rows = pd.concat([heldout, published], ignore_index=True)

    actual = rows["actual"].to_numpy()[:, None]
    error = actual - rows[QUANTILES].to_numpy()
    pinball = np.maximum(LEVELS * error, (LEVELS - 1) * error)
    rows = rows.assign(
        crps=(pinball / actual).mean(axis=1),
        mae=((rows["actual"] - rows["forecast"]) / rows["actual"]).abs(),
        inside=rows["actual"].between(rows["q10"], rows["q90"]),
    )
    pooled = rows.groupby(["step", "model"])[["crps", "mae", "inside"]].mean()
    pooled = pooled.assign(n=rows.groupby(["step", "model"]).size())
    own = rows.groupby(["step", "ticker", "model"])["crps"].mean().unstack()
    own = own.div(own["persistence"], axis=0).groupby("step").mean().stack()
    beside = pooled.xs("persistence", level="model").reindex(pooled.index, level="step")
    return pd.DataFrame(
        {
            "n": pooled["n"],
            "crps": pooled["crps"] / beside["crps"],
            "crps_own": own,
            "mae": pooled["mae"] / beside["mae"],
            "cover_80": pooled["inside"],
        }
    )


def run_job(prices: Path, store: Path, options: list[str]) -> None:
    """Run the job as a user does."""
    command = [sys.executable, "flows/daily_forecast.py", "--prices", prices, "--output", store, *options]
    home = {"PREFECT_HOME": str(CACHE / "prefect")}
    subprocess.run(command, cwd=ROOT, env=os.environ | home, stdout=subprocess.DEVNULL, check=True)


def table(scored: pd.DataFrame, steps: list[int]) -> str:
    """Format as Markdown."""
    lines = [
        "| step | model | held-out rows | CRPS | mean of tickers' own | MAE | 80 % covers |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (step, model), row in scored.sort_values(["step", "crps"], ascending=[True, False]).iterrows():
        if step in steps:
            lines.append(
                f"| {step} | {model} | {row['n']:,.0f} | {row['crps']:.3f} | {row['crps_own']:.3f} "
                f"| {row['mae']:.3f} | {row['cover_80']:.1%} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run both, or score a store that is there, and print."""
    parser = argparse.ArgumentParser(description="Accuracy on held-out sessions beside persistence.")
    parser.add_argument("--rows", type=int, default=1200, help="sessions a slice (default: 1200)")
    parser.add_argument("--prices", type=Path, help="another panel than the slices of the sample")
    parser.add_argument("--store", type=Path, help="score this store, and run nothing")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 5], help="steps shown (default: 1 5)")
    parser.add_argument("options", nargs="*", help="options of the job, after --")
    given = parser.parse_args()
    if given.store:
        print(table(scores(given.store), given.steps))
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    prices = given.prices
    if prices is None:
        prices = CACHE / f"slices-{given.rows}.csv"
        panels.slices(given.rows).to_csv(prices, index=False)
    for title, anchor in (("as published by default", []), ("--anchor open", ["--anchor", "open"])):
        with tempfile.TemporaryDirectory(prefix="store-", dir=CACHE) as store:
            run_job(prices, Path(store), [*anchor, *given.options])
            print(f"\n{title}\n\n{table(scores(Path(store)), given.steps)}")


if __name__ == "__main__":
    main()
