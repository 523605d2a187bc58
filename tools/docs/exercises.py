"""The tables of docs/exercises.md: what the programs in benchmarks/exercises found."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from tools.docs.tables import benchmark
from tools.markdown import code, escape, table

_WAYS = {"equations": "written out", "library": "library"}


def hyperparameters(root: Path) -> str:
    """Time, perplexities and text of each training; the first one is the default."""
    report = benchmark(root, "hyperparameters")
    trainings = report["trainings"]
    rows = [
        [
            _changes(row["changes"]),
            f"{row['train_perplexity']:.2f}",
            f"{row['valid_perplexity']:.2f}",
            f"{row['best_epoch']}",
            f"{row['seconds']:.0f}",
            f"{row['seconds'] / trainings[0]['seconds']:.1f}",
            f"{row['parameters']:,}",
        ]
        for row in trainings
    ]
    header = ["changed", "train perplexity", "validation, best", "in epoch", "seconds", "times the first", "parameters"]
    measured = f"{report['epochs']:d} epochs each, from scratch; {_stamp(report)}."
    texts = [[_changes(row["changes"]), code(row["text"])] for row in trainings]
    return "\n\n".join([table(header, rows), measured, table(["changed", "what it writes"], texts, words=2)])


def words(root: Path) -> str:
    """Both levels beside each other."""
    report = benchmark(root, "words")
    rows = [
        [
            code(level),
            *(f"{row[key]:,}" for key in ("vocabulary", "tokens", "parameters")),
            f"{row['valid_perplexity']:.2f}",
            f"{row['bits_per_character']:.2f}",
        ]
        for level, row in report["levels"].items()
    ]
    header = ["level", "vocabulary", "train tokens", "parameters", "perplexity", "bits per character"]
    texts = [[code(level), code(row["text"])] for level, row in report["levels"].items()]
    measured = f"Scores of the validation split; corpus {escape(report['corpus'])}."
    return "\n\n".join([table(header, rows), measured, table(["level", "what it writes"], texts, words=2)])


def costs(root: Path) -> str:
    """What each cell costs, counted and measured, and its ratio to the plain RNN."""
    report = benchmark(root, "rnn")
    counted, plain = report["counted"], report["counted"]["RNN"]
    header = ["", "parameters", "multiplications a token", "sigmoids and tanhs a token", "numbers in the state"]
    rows = [
        [name, *(f"{count:,} ({count / plain[key]:.2f})" for key, count in counts.items())]
        for name, counts in counted.items()
    ]
    works = [(task, way) for task in ("training", "writing") for way in _WAYS]
    measured = [[name, *(_milliseconds(report, name, *work) for work in works)] for name in counted]
    titles = ["", *(f"{task}, {_WAYS[way]}" for task, way in works)]
    explained = (
        f"With {report['hidden']:d} hidden units; in brackets the ratio to the RNN. Measured on "
        f"{escape(report['measured_on'])}: milliseconds of a training step, and of a written token; medians."
    )
    return "\n\n".join([table(header, rows), explained, table(titles, measured)])


def tanh(root: Path) -> str:
    """The model with and without the second tanh."""
    report = benchmark(root, "tanh")
    rows = [[escape(row["optimizer"]), code(f"O * {row['output']}"), *_states(row)] for row in report["models"]]
    header = ["", "H", "train perplexity", "|C| above 1", "largest |C|", "largest |H|"]
    said = [f"After {report['epochs']} epochs, from scratch; corpus {report['corpus']}."]
    said += [
        f"{row['optimizer']}, H = O * {row['output']}: {row['diverged']}."
        for row in report["models"]
        if "diverged" in row
    ]
    return f"{table(header, rows, words=2)}\n\n{escape(' '.join(said))}"


def _states(row: dict[str, Any]) -> list[str]:
    """The numbers of a training; one that diverged has none."""
    if "train_perplexity" not in row:
        return ["diverged", "", "", ""]
    large = f"{row['cells_above_1']:.1%}"
    return [f"{row['train_perplexity']:.2f}", large, f"{row['largest_cell']:.1f}", f"{row['largest_hidden']:.2f}"]


def series(root: Path) -> str:
    """Root mean squared errors of the forecasts, by horizon."""
    report = benchmark(root, "series")
    rows = [[name, *(f"{error:.3f}" for error in errors)] for name, errors in report["errors"].items()]
    steps = [f"{horizon} ahead" if horizon > 1 else "the next" for horizon in report["horizons"]]
    return table(["", *steps], rows)


TABLES = {"hyperparameters": hyperparameters, "words": words, "costs": costs, "tanh": tanh, "series": series}


def _changes(changes: dict[str, Any]) -> Markup:
    return code(", ".join(f"{name}={value}" for name, value in changes.items()))


def _milliseconds(report: dict[str, Any], cell: str, task: str, way: str) -> str:
    own, plain = (report["milliseconds"][f"{name}, {way}, {task}"]["median"] for name in (cell, "RNN"))
    return f"{own:.3g} ({own / plain:.2f})"


def _stamp(report: dict[str, Any]) -> str:
    return f"corpus {escape(report['corpus'])}; {escape(report['measured_on'])}"
