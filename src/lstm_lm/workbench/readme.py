"""The tables in README and docs, made from the committed metrics: `make readme` puts them in, a test compares."""

import re
from pathlib import Path

from tabulate import tabulate

from lstm_lm import stage
from lstm_lm.atomic import write_text
from lstm_lm.comparison.measures import LABELS, MEASURES, Measure, read
from lstm_lm.params import Params


def results(root: Path) -> str:
    """What both models reached, beside the book's figures. Raises OSError, KeyError, ValueError."""
    rows = [
        [measure.title, *(_cell(measure, measure.value(root, model), model) for model in LABELS)]
        for measure in MEASURES
    ]
    tokens, device = read(root, "tokenize"), read(root, "throughput_scratch")["device"]
    return (
        f"{_table(['', *LABELS.values()], rows)}\n\n"
        f"Corpus {tokens['corpus']}; {device}. Token frequencies alone reach perplexity "
        f"{tokens['unigram_perplexity']:.1f} ({tokens['unigram_entropy_bits']:.2f} bits). "
        "The book trained for 500 epochs on a GPU that it does not name."
    )


def performance(root: Path) -> str:
    """The benchmark at the default shape and its ratios. Raises OSError, KeyError."""
    report = read(root, "benchmark_cpu")
    header = ["", "tokens/s, median", "quartiles", "share of the products' speed", "peak memory, MiB"]
    rows = [
        [
            name,
            f"{result['tokens_per_second']['median']:,.0f}",
            "{q1:,.0f} to {q3:,.0f}".format_map(result["tokens_per_second"]),
            f"{result['share_of_products']:.0%}",
            f"{result['peak_memory_mib']:.0f}",
        ]
        for name, result in report["default_shape"].items()
    ]
    ratios = [f"- {label}: {ratio:.2f}" for label, ratio in report["ratios"].items()]
    return "\n".join([_table(header, rows), "", f"{report['measured_on']}. Ratios of medians:", "", *ratios])


def whole(root: Path) -> str:
    """The time of the whole pipeline against the textbook's two trainings. Raises OSError, KeyError."""
    report = read(root, "benchmark_whole")
    textbook, shares = report["textbook_training_seconds"], report["repro_over_textbook"]
    rows = [["the textbook's two training loops", f"{sum(textbook.values()):.0f}", "1.00"]]
    for kernel, seconds in report["repro_seconds"].items():
        rows.append([f"`dvc repro`, all six stages, `{kernel}`", f"{seconds:.0f}", f"{shares[kernel]:.2f}"])
    return _table(["", "seconds", "share"], rows)


def curves(root: Path) -> str:
    """How far the kernels' learning curves are apart. Raises OSError, KeyError."""
    report = read(root, "benchmark_curves")
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


def _cell(measure: Measure, value: float, model: str) -> str:
    book = f" (book: {measure.book[model]:,.1f})" if measure.book else ""
    return f"{value:{measure.form}}{book}"


def _table(header: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown, numbers to the right."""
    columns = ("left", *["right"] * (len(header) - 1))
    return tabulate(rows, header, tablefmt="pipe", colalign=columns, disable_numparse=True)


if __name__ == "__main__":
    stage.run(main)
