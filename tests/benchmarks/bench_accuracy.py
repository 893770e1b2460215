"""How good the forecasts are on held-out sessions: every model of this project, and outside ones, beside persistence.

    python tests/benchmarks/bench_accuracy.py [--panel FILE] [--anchor auto open range] [--outside garch lightgbm ...]
    python tests/benchmarks/bench_accuracy.py --resampled 100 --anchor auto --steps 1 --outside neuralforecast darts

FILE is a long CSV of any tickers (default: the sample); resampled tickers are made of the sample's days. The last 30 %
of each ticker are held out. What is fitted on the sample and shipped (the LSTM's prior, HAR's coefficients) is cut
before each ticker's first judged session, so that no number is of rows that it has seen. Outside models live in
environments of their own under .cache/bench, made by the first run; they are fitted on all rows before the held-out
ones, once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from accuracy import BASELINES, CENTRAL, TERCILES, score_panel, with_losses, worse_than_baseline
from environments import CACHE, ROOT, make_environment
from panels import resampled

from forecasting.config import LEVELS, ForecastConfig
from forecasting.evaluation.candidates import Candidate
from forecasting.evaluation.evaluate import evaluate
from forecasting.evaluation.frames import heldout_tables
from forecasting.evaluation.order_statistics import expanding_quantiles
from forecasting.features.series import engineer
from forecasting.features.windows import Windows, group, window
from forecasting.ingest.prices import read_prices
from forecasting.model.training import train

WORKER = Path(__file__).with_name("outside_models.py")

OUTSIDE = {
    "garch": ("GARCH(1,1)-t, arch", ("arch==8.0.0",)),
    "lightgbm": ("LightGBM quantiles", ("lightgbm==4.6.0", "scikit-learn==1.9.1")),
    "statsforecast": ("AutoARIMA, statsforecast", ("statsforecast==2.0.3",)),
    "neuralforecast": ("pooled LSTM, neuralforecast", ("neuralforecast==3.3.0", "torch")),
    "darts": ("pooled LSTM, darts", ("darts==0.48.0", "pytorch-lightning", "torch")),
}
"""Outside models: their titles and packages."""


@dataclass
class Result:
    """Held-out rows of a panel, and CPU seconds by what was computed."""

    rows: list[pd.DataFrame] = field(default_factory=list)
    ranges: list[pd.DataFrame] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def add_seconds(self, name: str, since: float) -> None:
        """Add the CPU time from a moment on."""
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - since


def run_panel(panel: Path, config: ForecastConfig, outside: list[str]) -> Result:
    """Train and evaluate every ticker of a panel, shard by shard as the job does."""
    prices = read_prices(panel).prices
    series = engineer(prices, config, prices["date"].max().date()).series
    result = Result()
    for shard in group(series, config):
        windows = window(shard, config)
        begin = time.process_time()
        trained = train(windows, config)
        result.add_seconds("training", begin)
        begin = time.process_time()
        evaluated = evaluate(windows, trained, config)
        result.add_seconds("evaluation", begin)
        heldout = _frame(evaluated.heldout)
        chosen = evaluated.metrics.loc[evaluated.metrics["chosen"], ["ticker", "step", "model"]]
        result.rows += [heldout, heldout.merge(chosen, on=["ticker", "step", "model"]).assign(model="published")]
        result.ranges += [
            pd.DataFrame({"ticker": one.ticker, "cutoff": one.dates.astype("datetime64[s]"), "trailing": ranges})
            for one, ranges in zip(shard, _trailing(windows), strict=True)
        ]
    if outside:
        _add_outside(result, window(series, config), outside)
    return result


def _frame(tables: dict[str, pa.Table]) -> pd.DataFrame:
    frame = pa.concat_tables(tables.values()).to_pandas(date_as_object=False)
    return frame.assign(cutoff=frame["cutoff"].astype("datetime64[s]"))


def _trailing(windows: Windows) -> list[np.ndarray]:
    return [windows.log_ranges[k, int(first) :, 2] for k, first in enumerate(windows.first)]


def _add_outside(result: Result, windows: Windows, names: list[str]) -> None:
    """Forecast the panel with outside models, on the same rows."""
    given = CACHE / "panel.npz"
    np.savez(
        given,
        log_open=windows.log_open,
        log_anchor=windows.log_anchor,
        log_ranges=windows.log_ranges,
        targets=windows.targets,
        test_start=windows.test_start,
        levels=np.array(LEVELS),
    )
    start = int(windows.test_start.min()) - 1
    for name in names:
        title, packages = OUTSIDE[name]
        python = make_environment(name, packages)
        if python is None:
            print(f"left out, not installable here: {title}", file=sys.stderr)
            continue
        found = CACHE / f"{name}.npz"
        begin = _children()
        subprocess.run([python, WORKER, name, given, found], check=True, stdout=subprocess.DEVNULL)
        result.seconds[title] = _children() - begin
        change = _change(dict(np.load(found)), windows, start)
        candidate = Candidate(title, windows.log_anchor[:, start:], change, np.ones(change.shape[::2]))
        judged = windows.pairs("test") & np.pad(np.isfinite(change).all(3), [(0, 0), (start, 0), (0, 0)])
        result.rows.append(_frame(heldout_tables(windows, [candidate], start, judged)))


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _change(found: dict[str, np.ndarray], windows: Windows, start: int) -> np.ndarray:
    """Quantiles of the change: as given, or a scale times the past's standardised quantiles, as our baselines have."""
    if "quantiles" in found:
        return found["quantiles"][:, start:]
    scale = found["scale"]
    out = np.empty((*scale[:, start:].shape, len(LEVELS)))
    for step in range(1, windows.horizon + 1):
        known = np.full(windows.log_open.shape, np.nan)
        known[:, step:] = windows.targets[:, :-step, step - 1] / scale[:, :-step, step - 1]
        out[:, :, step - 1] = expanding_quantiles(known, start) * scale[:, start:, step - 1, None]
    return out


def table(scores: pd.DataFrame, rows: pd.DataFrame, steps: list[int], baselines: list[str]) -> str:
    """Format as Markdown: one line per step and model, the best first."""
    heads = [
        "step",
        "model",
        "CRPS, mean of tickers",
        "CRPS, pooled",
        "MAE",
        *(f"{level} % covers" for level in CENTRAL),
    ]
    lines = [
        "| " + " | ".join([*heads, f"80 % in {', '.join(TERCILES)} terciles", "tickers > 1 % worse"]) + " |",
        "| ---: | --- |" + " ---: |" * len(heads),
    ]
    for step in steps:
        for model, row in scores.loc[step].sort_values("crps_own").iterrows():
            covered = [f"{row[f'in_{level}']:.1%} ± {row[f'in_{level}_se']:.1%}" for level in CENTRAL]
            terciles = " / ".join(f"{row[f'in_80_{tercile}']:.1%}" for tercile in TERCILES)
            cells = [f"{row['crps_own']:.4f}", f"{row['crps']:.4f}", f"{row['mae']:.4f}", *covered, terciles]
            worse = worse_than_baseline(rows, str(model), step, baselines=baselines)
            lines.append(f"| {step} | {model} | {' | '.join(cells)} | {worse} of {rows['ticker'].nunique()} |")
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Accuracy on held-out sessions beside persistence.")
    parser.add_argument("--panel", type=Path, default=ROOT / "data" / "stocks.csv.gz", help="default: the sample")
    parser.add_argument("--anchor", nargs="*", default=["auto", "open"], help="default: auto open; range, too")
    parser.add_argument("--steps", type=int, nargs="*", default=[1, 2, 3, 4, 5], help="default: 1 to 5")
    parser.add_argument("--prior", default="sample", help="sample (default) or none")
    parser.add_argument("--outside", nargs="*", default=[], choices=list(OUTSIDE), help="default: none")
    parser.add_argument(
        "--resampled", type=int, help="this number of tickers made of the sample's days, instead of a panel"
    )
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if given.resampled:
        given.panel = CACHE / f"resampled-{given.resampled}.csv"
        resampled(given.resampled).to_csv(given.panel, index=False)
    for anchor in given.anchor:
        config = ForecastConfig(anchor=anchor, prior=given.prior, stale_after=10**6)
        result = run_panel(given.panel, config, given.outside)
        ranges = pd.concat(result.ranges)
        rows = with_losses(pd.concat(result.rows, ignore_index=True), ranges)
        seconds = ", ".join(f"{name} {value:.1f}" for name, value in result.seconds.items())
        print(f"\n{given.panel.name}, --anchor {anchor}, prior {given.prior}; CPU seconds: {seconds}\n")
        # Without the Close, nobody can start from it.
        baselines = [name for name in BASELINES if anchor in ("auto", "close") or name != "last_close"]
        print(table(score_panel(rows), rows, given.steps, baselines), flush=True)


if __name__ == "__main__":
    main()
