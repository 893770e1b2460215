"""One contestant of the training-step benchmark, run in the environment that its library lives in.

    python contestants.py NAME DATA

NAME is a key of `CONTESTANTS`, DATA an .npz with `rows` (sessions, 2): the scaled Open and High-Low of one ticker. For
each line on standard input, one block of training steps is run, and the microseconds that a step of it took are
printed on a line of their own. The caller takes turns between contestants in this way, so that all meet the same
machine.

Every one trains the tutorial's shape or the nearest that its library offers: an LSTM of hidden size 4 on windows of
7 sessions, two inputs, one output, mean squared error, Adam, batches of 35.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

WINDOW, HIDDEN, BATCH = 7, 4, 35
TICKERS = 100

# One thread each: on tensors this small a thread pool only costs. Set before a library is imported.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[_name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np  # noqa: E402 - the thread counts must be set before

WARM_UP = 50
"""Steps of a library's own training loop that are not counted: it sets itself up in them."""


def torch_alone(rows: np.ndarray) -> Callable[[], float]:
    """torch.nn.LSTM and a linear layer in the plain training loop."""
    import torch

    torch.set_num_threads(1)
    inputs, targets = (torch.from_numpy(array) for array in _windows(rows))
    lstm = torch.nn.LSTM(2, HIDDEN)
    head = torch.nn.Linear(HIDDEN, 1)
    adam = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)
    batches = len(inputs) // BATCH

    def block() -> float:
        steps = 1000
        begin = time.perf_counter()
        for step in range(steps):
            first = step % batches * BATCH
            x = inputs[first : first + BATCH].transpose(0, 1)
            adam.zero_grad()
            states, _ = lstm(x)
            loss = torch.nn.functional.mse_loss(head(states[-1])[:, 0], targets[first : first + BATCH])
            loss.backward()
            adam.step()
        return (time.perf_counter() - begin) / steps

    return block


def neuralforecast(rows: np.ndarray) -> Callable[[], float]:
    """neuralforecast's LSTM with its smallest decoder, one ticker."""
    import pandas as pd
    import torch
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MSE
    from neuralforecast.models import LSTM

    torch.set_num_threads(1)
    dates = pd.date_range("2000-01-01", periods=len(rows))
    frame = pd.DataFrame({"unique_id": "A", "ds": dates, "y": rows[:, 0], "range": rows[:, 1]})

    def block() -> float:
        clock = _lightning_clock()
        model = LSTM(
            h=1,
            input_size=WINDOW,
            encoder_n_layers=1,
            encoder_hidden_size=HIDDEN,
            decoder_layers=1,
            decoder_hidden_size=HIDDEN,
            hist_exog_list=["range"],
            loss=MSE(),
            learning_rate=0.01,
            max_steps=WARM_UP + 500,
            windows_batch_size=BATCH,
            scaler_type="identity",
            callbacks=[clock],
            **_QUIET,
        )
        NeuralForecast(models=[model], freq="D").fit(frame)
        return clock.seconds_a_step()

    return block


def darts(rows: np.ndarray) -> Callable[[], float]:
    """darts' BlockRNNModel of kind LSTM, one ticker."""
    import pandas as pd
    import torch
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    torch.set_num_threads(1)
    dates = pd.date_range("2000-01-01", periods=len(rows))
    opens = TimeSeries.from_times_and_values(dates, rows[:, :1])
    ranges = TimeSeries.from_times_and_values(dates, rows[:, 1:])

    def block() -> float:
        clock = _lightning_clock()
        model = BlockRNNModel(
            WINDOW,
            1,
            model="LSTM",
            hidden_dim=HIDDEN,
            n_rnn_layers=1,
            batch_size=BATCH,
            n_epochs=22,  # of 25 steps: 550, as many as neuralforecast's
            optimizer_kwargs={"lr": 0.01},
            save_checkpoints=False,
            pl_trainer_kwargs={"callbacks": [clock], **_QUIET},
        )
        model.fit(opens, past_covariates=ranges)
        return clock.seconds_a_step()

    return block


def keras(rows: np.ndarray) -> Callable[[], float]:
    """Keras 3 on TensorFlow with its own compiled training loop, one ticker."""
    import keras as library

    inputs, targets = _windows(rows)
    model = library.Sequential(
        [library.layers.Input((WINDOW, 2)), library.layers.LSTM(HIDDEN), library.layers.Dense(1)]
    )
    model.compile(optimizer=library.optimizers.Adam(0.01), loss="mse")
    model.fit(inputs, targets, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)  # traces and compiles

    def block() -> float:
        epochs = 10
        begin = time.perf_counter()
        model.fit(inputs, targets, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
        return (time.perf_counter() - begin) / (epochs * len(inputs) // BATCH)

    return block


def tutorial(_: np.ndarray) -> Callable[[], float]:
    """Ours: the LSTMs of 100 tickers in one tensor program, one output each."""
    import torch

    from forecasting.model.lstm import RECURRENCES
    from forecasting.model.optimizer import AdamW

    torch.set_num_threads(1)
    inputs, targets = zip(*(_windows(_scaled(rows)) for rows in _tickers()), strict=True)
    x = torch.from_numpy(np.stack(inputs)).permute(2, 0, 3, 1).contiguous()  # (time, models, inputs, windows)
    y = torch.from_numpy(np.stack(targets))
    recurrent = (4 * HIDDEN, HIDDEN + 2 + 1)
    sizes = (recurrent[0] * recurrent[1], HIDDEN + 1)
    rows = (0.3 * torch.randn(TICKERS, sum(sizes))).requires_grad_()
    adam = AdamW(rows, weight_decay=0.0, clip_norm=float("inf"))
    rate = torch.full((TICKERS, 1), 0.01)
    batches = x.shape[3] // BATCH

    def block() -> float:
        steps = 200
        begin = time.perf_counter()
        for step in range(steps):
            batch = slice(step % batches * BATCH, (step % batches + 1) * BATCH)
            weights, head = rows.split(sizes, dim=1)
            _, state = RECURRENCES["fused"](weights.view(TICKERS, *recurrent), x[..., batch].contiguous(), None)
            output = torch.baddbmm(head[:, None, -1:], head[:, None, :-1], state.hidden)[:, 0]
            (output - y[:, batch]).square().mean(1).sum().backward()
            adam.step(TICKERS, rate)
        return (time.perf_counter() - begin) / (steps * TICKERS)

    return block


def default(_: np.ndarray) -> Callable[[], float]:
    """Ours: training as the job does it, gathering, validation and all, with the default preset."""
    return _job(epochs=2, members=1)


def default_small(_: np.ndarray) -> Callable[[], float]:
    """Ours: the same with the tutorial's window, hidden size and batch, to be comparable."""
    return _job(epochs=2, members=1, context=WINDOW, hidden=HIDDEN, batch=BATCH)


def _job(**settings: Any) -> Callable[[], float]:
    import panels

    from forecasting.config import ForecastConfig
    from forecasting.features.series import engineer
    from forecasting.features.windows import window
    from forecasting.model.training import train

    config = ForecastConfig(device="cpu", **settings)
    prices = panels.resampled(TICKERS, 1250)
    series = engineer(prices, config, prices["date"].max().date()).series
    windows = window(series, config)
    batches = {
        (one.ticker, segment): -(-count // config.batch)
        for segment in ("train", "before_test", "all")
        for one, count in zip(series, windows.pairs(segment).any(2).sum(1), strict=True)
    }

    def block() -> float:
        begin = time.perf_counter()
        curves = train(windows, config).curves
        seconds = time.perf_counter() - begin
        return seconds / sum(len(curve.train_loss) * batches[curve.ticker, curve.segment] for curve in curves)

    return block


CONTESTANTS = {
    "tutorial": tutorial,
    "default-small": default_small,
    "default": default,
    "torch": torch_alone,
    "neuralforecast": neuralforecast,
    "darts": darts,
    "keras": keras,
}

_QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def _tickers() -> list[np.ndarray]:
    import panels

    groups = panels.resampled(TICKERS, 882).groupby("ticker")
    return [np.stack([rows["open"], rows["high"] - rows["low"]], axis=1) for _, rows in groups]


def _scaled(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)


def _windows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # As many whole batches as there are: every step is of the same size.
    count = (len(rows) - WINDOW) // BATCH * BATCH
    inputs = np.stack([rows[first : first + WINDOW] for first in range(count)]).astype(np.float32)
    return inputs, rows[WINDOW : WINDOW + count, 0].astype(np.float32)


def _lightning_clock():
    from pytorch_lightning.callbacks import Callback

    class Clock(Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def __deepcopy__(self, _: object) -> Clock:
            return self  # neuralforecast trains a copy of what it is given

        def on_train_batch_end(self, *_: object) -> None:
            self.ends.append(time.perf_counter())

        def seconds_a_step(self) -> float:
            return (self.ends[-1] - self.ends[WARM_UP]) / (len(self.ends) - 1 - WARM_UP)

    return Clock()


def main() -> None:
    """Run a block for each line of standard input."""
    name, data = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    block = CONTESTANTS[name](np.load(data)["rows"])
    block()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        print(1e6 * block(), file=answers, flush=True)


if __name__ == "__main__":
    main()
