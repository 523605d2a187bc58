"""An LSTM for a series of numbers instead of a text: a noisy sine, forecast one and more steps ahead.

The layer is the project's own; it takes vectors as well as token ids. What replaces the rest: one number as the input,
one number as the output, squared error as the loss. Two baselines need no LSTM: the last value, and a linear regression
on the last values. Writes metrics/benchmark_series.json. Takes less than a minute.
"""

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import ROOT
from benchmarks.measure import CPU
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json
from lstm_lm.model.lstm_fused import FusedLayer

POINTS, TRAINED, NOISE = 1000, 600, 0.2
"""The series of the book's section on sequence models: sin(0.01 t) with noise; the first 600 points are trained on."""
LAGS = 4
WINDOW = 50
"""Points that a forecast may look at."""
HORIZONS = (1, 4, 16, 64)


class Forecaster(nn.Module):
    """The next value of a series: an LSTM, and a line from its last hidden state to one number."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layer, self.output = FusedLayer(1, hidden), nn.Linear(hidden, 1)
        for parameter in self.layer.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, values: Tensor, states: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Values (num_steps, rows) to forecasts of their successors, (num_steps, rows), and the states after them."""
        hidden_states, *after = self.layer(values[..., None], *states)
        return self.output(hidden_states)[..., 0], (after[0], after[1])

    def initial_states(self, rows: int) -> tuple[Tensor, Tensor]:
        """Zeros, (rows, hidden) each."""
        zeros = torch.zeros(rows, self.layer.hidden)
        return zeros, zeros


SINE = np.sin(0.01 * np.arange(1, POINTS + 1))
"""The series without its noise, float64, (POINTS,): a forecast that none can beat by much."""


def noisy_sine() -> np.ndarray:
    """The series, float64, (POINTS,)."""
    return SINE + np.random.default_rng(0).normal(0, NOISE, POINTS)


def trained(series: np.ndarray, hidden: int = 32, steps: int = 600, rows: int = 32) -> Forecaster:
    """Train on random windows of `series`, (tokens,), with Adam."""
    torch.manual_seed(0)
    model, generator = Forecaster(hidden), np.random.default_rng(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(steps):
        starts = generator.integers(0, len(series) - WINDOW, rows)
        window = torch.tensor(series[starts + np.arange(WINDOW + 1)[:, None]], dtype=torch.float32)
        forecasts, _ = model(window[:-1], model.initial_states(rows))
        loss = nn.functional.mse_loss(forecasts, window[1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


@torch.no_grad()
def lstm_forecasts(model: Forecaster, history: np.ndarray, steps: int) -> np.ndarray:
    """The next `steps` values after each row of `history`, (rows, WINDOW), each fed back as an input, (rows, steps)."""
    values, states = torch.tensor(history.T, dtype=torch.float32), model.initial_states(len(history))
    found = []
    for _ in range(steps):
        forecasts, states = model(values, states)
        values = forecasts[-1:]
        found.append(values[0])
    return torch.stack(found, 1).double().numpy()


def linear_forecasts(train: np.ndarray, history: np.ndarray, steps: int) -> np.ndarray:
    """The same by a linear regression on the last `LAGS` values, fitted to `train` by least squares."""
    lags = np.lib.stride_tricks.sliding_window_view(train, LAGS)[:-1]
    weights = np.linalg.lstsq(np.c_[lags, np.ones(len(lags))], train[LAGS:], rcond=None)[0]
    known = history[:, -LAGS:]
    for _ in range(steps):
        known = np.c_[known, np.c_[known[:, -LAGS:], np.ones(len(known))] @ weights]
    return known[:, LAGS:]


def errors(series: np.ndarray, model: Forecaster) -> dict[str, list[float]]:
    """Root mean squared error at each of `HORIZONS`, over all forecasts within the series' last part."""
    longest = max(HORIZONS)
    rows = np.lib.stride_tricks.sliding_window_view(series[TRAINED:], WINDOW + longest)
    history, truth = rows[:, :WINDOW], rows[:, WINDOW:]
    forecasts = {
        "LSTM": lstm_forecasts(model, history, longest),
        f"linear regression on the last {LAGS} values": linear_forecasts(series[:TRAINED], history, longest),
        "the last value": np.repeat(history[:, -1:], longest, axis=1),
        "the sine without its noise": np.lib.stride_tricks.sliding_window_view(SINE[TRAINED + WINDOW :], longest),
    }
    squares = {name: np.sqrt(((found - truth) ** 2).mean(0)) for name, found in forecasts.items()}
    return {name: [round(float(error[horizon - 1]), 3) for horizon in HORIZONS] for name, error in squares.items()}


def main() -> None:
    """Train, forecast, write JSON."""
    devices.configure(CPU, "fp32", "portable")
    torch.set_num_threads(1)  # the tensors are too small for more
    series = noisy_sine()
    found = errors(series, trained(series[:TRAINED]))
    write_json(ROOT / "metrics/benchmark_series.json", {"horizons": HORIZONS, "errors": found})


if __name__ == "__main__":
    main()
