"""Training steps of one model per second, on the processor and on a GPU, and how much of a step is launching kernels.

    python tests/benchmarks/bench_gpu.py [--models 128,1000,8000] [--rows 300]

Training as the job does it with the default preset, all models in one tensor program. The share of launches is the part
of the time in which the GPU computes nothing: where it is most of it, a captured graph of the step would pay.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import panels
import torch
from torch.profiler import ProfilerActivity, profile

from forecasting.config import ForecastConfig
from forecasting.features.series import engineer
from forecasting.features.windows import Windows, window
from forecasting.model.training import train


@dataclass(frozen=True)
class Rate:
    """Model-steps per second, and the share of the time in which the device was idle; None where it is not known."""

    steps: float
    idle: float | None


def measure(windows: Windows, config: ForecastConfig) -> Rate:
    """Train twice, to leave out what happens only once, and measure the second time."""
    train(windows, config)
    gpu = config.device == "cuda"
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if gpu else []
    begin = time.perf_counter()
    if gpu:
        with profile(activities=activities) as trace:
            curves = train(windows, config).curves
            torch.cuda.synchronize()
        busy = sum(event.self_device_time_total for event in trace.key_averages()) / 1e6
    else:
        curves, busy = train(windows, config).curves, None
    seconds = time.perf_counter() - begin
    batches = {
        (one.ticker, segment): -(-count // config.batch)
        for segment in ("train", "before_test", "all")
        for one, count in zip(windows.series, windows.pairs(segment).any(2).sum(1), strict=True)
    }
    steps = sum(len(curve.train_loss) * batches[curve.ticker, curve.segment] for curve in curves)
    return Rate(steps / seconds, None if busy is None else 1 - busy / seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Model-steps per second on the processor and on a GPU.")
    parser.add_argument("--models", default="128,1000,8000", help="how many in one program, separated by commas")
    parser.add_argument("--rows", type=int, default=300)
    given = parser.parse_args()
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        print("There is no GPU that torch can use here: the processor alone is measured.\n")
    print("| models | device | model-steps per second | idle share |\n| ---: | --- | ---: | ---: |")
    for models in map(int, given.models.split(",")):
        prices = panels.resampled(models, given.rows)
        for device in devices:
            config = ForecastConfig(device=device, epochs=2, members=1, models_per_batch=models)
            windows = window(engineer(prices, config, prices["date"].max().date()).series, config)
            rate = measure(windows, config)
            idle = "" if rate.idle is None else f"{rate.idle:.0%}"
            print(f"| {models:,} | {device} | {rate.steps:,.0f} | {idle} |", flush=True)


if __name__ == "__main__":
    main()
