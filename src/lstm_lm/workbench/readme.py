"""The tables in README and docs, made from the committed metrics: `make readme` puts them in, a test compares."""

import json
import re
from pathlib import Path
from typing import Any

from lstm_lm import stage
from lstm_lm.atomic import write_text
from lstm_lm.comparison.plots import BOOK_TOKENS_PER_SECOND, LABELS
from lstm_lm.params import Params

BOOK_PERPLEXITY = {"scratch": 1.1, "concise": 1.0}
"""What Dive into Deep Learning (the LSTM chapter, PyTorch) prints after 500 epochs."""


def results(root: Path) -> str:
    """What both models reached, beside the book's figures. Raises OSError, KeyError."""
    scores = _metrics(root, "evaluate")
    device = _metrics(root, "throughput_scratch")["device"]
    rows = [
        ["model", "train perplexity", "held out", "test", "bits per token, held out", "tokens/s", "seconds"],
        ["---", *["---:"] * 6],
    ]
    for kind, label in LABELS.items():
        trained, speed = _metrics(root, f"train_{kind}"), _metrics(root, f"throughput_{kind}")
        valid, test = scores[kind]["valid"], scores[kind]["test"]
        rows.append(
            [
                label,
                f"**{trained['perplexity']:.2f}** (book: {BOOK_PERPLEXITY[kind]})",
                f"{valid['perplexity']:.1f}",
                f"{test['perplexity']:.1f}",
                f"{valid['bits_per_token']:.2f}",
                f"{speed['tokens_per_second']:,}",
                f"{speed['seconds']:.0f}",
            ]
        )
    baseline = _metrics(root, "tokenize")
    return (
        f"{_table(rows)}\n\nCorpus {scores['corpus']}; {device}. Token frequencies alone reach perplexity "
        f"{baseline['unigram_perplexity']:.1f} ({baseline['unigram_entropy_bits']:.2f} bits). The book's GPU trained "
        f"at {BOOK_TOKENS_PER_SECOND['scratch']:,.0f} and {BOOK_TOKENS_PER_SECOND['concise']:,.0f} tokens/s."
    )


def performance(root: Path) -> str:
    """The benchmark at the default shape and its ratios. Raises OSError, KeyError."""
    report = _metrics(root, "benchmark_cpu")
    rows = [["", "tokens/s, median", "quartiles", "share of the products' speed", "peak memory, MiB"]]
    rows.append(["---", *["---:"] * 4])
    for name, result in report["default_shape"].items():
        speed = result["tokens_per_second"]
        rows.append(
            [
                name,
                f"{speed['median']:,.0f}",
                f"{speed['q1']:,.0f} to {speed['q3']:,.0f}",
                f"{result['share_of_products']:.0%}",
                f"{result['peak_memory_mib']:.0f}",
            ]
        )
    environment = report["environment"]
    stamp = f"{environment['device_name']}, torch {environment['torch']}"
    ratios = [f"- {label}: {ratio:.2f}" for label, ratio in report["ratios"].items()]
    return "\n".join([_table(rows), "", f"{stamp}. Ratios of medians:", "", *ratios])


def whole(root: Path) -> str:
    """The time of the whole pipeline against the textbook's two trainings. Raises OSError, KeyError."""
    report = _metrics(root, "benchmark_whole")
    textbook, shares = report["textbook_training_seconds"], report["repro_over_textbook"]
    rows = [["", "seconds", "share"], ["---", "---:", "---:"]]
    rows.append(["the textbook's two training loops", f"{sum(textbook.values()):.0f}", "1.00"])
    for kernel, seconds in report["repro_seconds"].items():
        rows.append([f"`dvc repro`, all six stages, `{kernel}`", f"{seconds:.0f}", f"{shares[kernel]:.2f}"])
    return _table(rows)


def curves(root: Path) -> str:
    """How far the kernels' learning curves are apart. Raises OSError, KeyError."""
    report = _metrics(root, "benchmark_curves")
    apart = " and ".join(f"{value:.0e} (`{kernel}`)" for kernel, value in report["largest_relative_difference"].items())
    last, median = report["perplexity"], report["median_perplexity"]
    ends = ", ".join(f"`{kernel}` {last[kernel]:.2f} ({median[kernel]:.2f})" for kernel in last)
    return (
        f"From one seed, the perplexities of the first {report['first_epochs']} epochs differ from those of the book's "
        f"kernel by at most a relative {apart}. Train perplexity after {report['epochs']} epochs, and in the median of "
        f"the last {report['last_epochs']}, among which some spike: {ends}."
    )


TABLES = {
    "README.md": {"results": results},
    "docs/performance.md": {"performance": performance, "whole": whole, "curves": curves},
}
"""Page -> name of each table on it -> what makes the table."""


def update(page: str, root: Path) -> str:
    """The text of `page` in `root` with every table between `<!-- name -->` and `<!-- /name -->` made anew.

    Raises:
        ValueError: a marker is missing.
        OSError, KeyError: a file, or a key in a metrics file, is missing.
    """
    text = (root / page).read_text(encoding="utf-8")
    for name, table in TABLES[page].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} lacks the markers <!-- {name} --> and <!-- /{name} -->")
        content = table(root)
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)
    return text


def main(_params: Params, root: Path) -> None:
    """Put the tables into their pages."""
    for page in TABLES:
        write_text(root / page, update(page, root))


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _metrics(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"metrics/{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    stage.run(main)
