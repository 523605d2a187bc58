"""How fast the small model for Penn Treebank trains on the CPU, beside the usual loop around torch.nn.LSTM.

Writes metrics/benchmark_ptb.json. Random words in the shape of recipes/ptb_small: 2 layers of 200, a vocabulary of
10,000, batches of 20 rows and windows of 20 words. The contestants take turns, as in `make bench`.
"""

import json
from typing import Any

from benchmarks import ROOT
from benchmarks.contestants import Shape, contestants
from benchmarks.measure import CPU, Entry, processes, quartiles, ratios, taking_turns
from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_json

SHAPE = Shape(hidden=200, batch_size=20, num_steps=20, vocab_size=10_000, layers=2, embedding=200)
ENTRIES = (
    Entry("nn.LSTM, usual loop", "portable"),
    Entry("nn.LSTM, usual loop", "native"),
    Entry("nn.LSTM, pipeline", "portable"),
    Entry("fused in C++, pipeline", "portable"),
)
RATIOS = {
    "fused in C++ over nn.LSTM in the usual loop, both portable": (
        "fused in C++, pipeline, portable",
        "nn.LSTM, usual loop, portable",
    ),
    "fused in C++, portable, over nn.LSTM in the usual loop, native": (
        "fused in C++, pipeline, portable",
        "nn.LSTM, usual loop, native",
    ),
}


def measure(rounds: int = 15, steps: int = 8, shape: Shape = SHAPE) -> dict[str, Any]:
    """The speed of every entry that can run here, and ratios of medians, from one interleaved run."""
    entries = [entry for entry in ENTRIES if entry.contestant in contestants(CPU)]
    with processes() as pools:
        seconds = taking_turns(pools, entries, shape, steps, rounds, warm_up=1)
    speeds = {name: {"tokens_per_second": quartiles(shape.tokens * steps / taken)} for name, taken in seconds.items()}
    return {"measured_on": devices.measured_on(CPU), "speeds": speeds, "ratios": ratios(speeds, RATIOS)}


def main() -> None:
    """Measure; write JSON."""
    report = measure()
    write_json(ROOT / "metrics/benchmark_ptb.json", report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
