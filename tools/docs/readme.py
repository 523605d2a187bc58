"""The tables in README and docs, made from metrics/ and recipes/: `make readme` puts them in, a test compares."""

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lstm_lm.comparison.measures import LABELS, Measure, beside_the_book, compressed, of_both, shown_in
from lstm_lm.comparison.metrics import Digests, Throughput, Tokenize, read
from lstm_lm.core import stage
from lstm_lm.core.atomic import write_text
from lstm_lm.core.params import Params
from tools.docs import exercises, gpu, parameters, recipes, scaling, walkthrough
from tools.docs.links import numbered
from tools.docs.tables import SPEED, benchmark, ratios, speed
from tools.markdown import code, escape, link, table
from tools.recipes.recipe import NoRecipe


def results(root: Path) -> str:
    """What both models reached, of the book's characters beside the book's figures."""
    tokens = read(root, "tokenize", Tokenize)
    with_the_book = beside_the_book(root)
    rows = [
        [measure.title, *(_cell(measure, measure.value(root, model), model, with_the_book) for model in LABELS)]
        for measure in shown_in("results").values()
    ]
    device = of_both({model: read(root, f"throughput_{model}", Throughput)["device"] for model in LABELS})
    return (
        f"{table(['', *LABELS.values()], rows)}\n\n"
        f"Corpus {escape(tokens['corpus'])}; {escape(device)}. Token frequencies alone reach perplexity "
        f"{tokens['unigram_perplexity']:.1f} ({tokens['unigram_entropy_bits']:.2f} bits). {_compressors(root)}"
        f"{BOOK if with_the_book else ''}"
    ).rstrip()


def digests(root: Path) -> str:
    """The SHA-256 of both models."""
    found = read(root, "digests", Digests)
    return "\n".join(f"- {model}: {code(found[model])}" for model in LABELS)


def _compressors(root: Path) -> str:
    """What compressors need for the validation text, in words."""
    needs = ", ".join(f"{bits:.2f} ({label})" for label, bits in compressed(root).items())
    return f"Bits per character of the validation text, compressed after the train text: {needs}. " if needs else ""


def performance(root: Path) -> str:
    """The benchmark at the default shape and its ratios."""
    report = benchmark(root, "cpu")
    rows = [
        [*speed(name, result), f"{result['peak_memory_mib']:.0f}"] for name, result in report["default_shape"].items()
    ]
    speeds = table([*SPEED, "peak memory, MiB"], rows)
    return "\n".join([speeds, "", _stamp(report), "", *ratios(report["ratios"]), *_one_step(report)])


def _stamp(report: dict[str, Any]) -> str:
    return f"{escape(report['measured_on'])}. Ratios of medians:"


def _one_step(report: dict[str, Any]) -> list[str]:
    """The share of C++ in a step, and its time beside other processes."""
    if (share := report.get("share_of_native")) is None:
        return []
    rows = [
        [name, f"{ms['alone_ms']['median']:.1f}", f"{ms['beside_ms']['median']:.1f}", f"{ms['ratio']:.2f}"]
        for name, ms in report.get("beside_two_processes", {}).items()
    ]
    return [
        "",
        f"Of a step of `fused`, {share['median']:.0%} (quartiles {share['q1']:.0%} to {share['q3']:.0%}) pass in C++. "
        "A step alone, and beside two processes that only count (on two cores, a fair share of them is a ratio of 2):",
        "",
        table(["", "alone, ms", "beside two, ms", "ratio"], rows),
    ]


def stacks(root: Path) -> str:
    """The speed of `fused` over nn.LSTM for layers, hidden units and vocabularies."""
    report, lstms = benchmark(root, "cpu"), [f"nn.LSTM, pipeline, {mode}" for mode in MODES]
    cells: dict[tuple[int, int, int], dict[str, float]] = {}
    for row in report["stacks"]:
        cell = cells.setdefault((row["layers"], row["hidden"], row["vocab_size"]), {})
        cell[row["contestant"]] = row["step_ms"]["median"]
    rows = [
        [*(f"{size:,}" for size in sizes), *(f"{ms[lstm] / ms[FUSED]:.2f}" for lstm in lstms)]
        for sizes, ms in cells.items()
        if {FUSED, *lstms} <= ms.keys()
    ]
    return table(["layers", "hidden", "vocabulary", *(f"over {mode} nn.LSTM" for mode in MODES)], rows)


def ptb(root: Path) -> str:
    """The speed of the small model for Penn Treebank beside nn.LSTM in the usual loop."""
    report = benchmark(root, "ptb")
    rows = [speed(name, result) for name, result in report["speeds"].items()]
    return "\n".join([table(SPEED[:3], rows), "", _stamp(report), "", *ratios(report["ratios"])])


def whole(root: Path) -> str:
    """The time of the whole pipeline against the textbook's two trainings."""
    report = benchmark(root, "whole")
    textbook = sum(report["textbook_training_seconds"].values())
    rows = [["the textbook's two training loops", f"{textbook:.0f}", "1.00"]]
    for kernel, seconds in report["repro_seconds"].items():
        title = Markup(f"`dvc repro`, all six stages, {code(kernel)}")
        rows.append([title, f"{seconds:.0f}", f"{seconds / textbook:.2f}"])
    return table(["", "seconds", "share"], rows)


def curves(root: Path) -> str:
    """How far the kernels' learning curves are apart."""
    report = benchmark(root, "curves")
    differences = report["largest_relative_difference"]
    apart = " and ".join(f"{value:.1e} ({code(kernel)})" for kernel, value in differences.items())
    last, median = report["perplexity"], report["median_perplexity"]
    ends = ", ".join(f"{code(kernel)} {last[kernel]:.2f} ({median[kernel]:.2f})" for kernel in last)
    return (
        f"From one seed, the perplexities of the first {report['first_epochs']:d} epochs differ from those of the "
        f"book's kernel by at most a relative {apart}. Train perplexity after {report['epochs']:d} epochs, and in the "
        f"median of the last {report['last_epochs']:d}, among which some spike: {ends}."
    )


def shared(root: Path) -> str:
    """What two processes cost each other."""
    report = benchmark(root, "processes")
    one, two, usual = report["one"]["shapes"], report["two"]["shapes"], report["two"]["usual_loop"]
    rows = [
        [
            f"{int(hidden):,}",
            f"{alone['parameters']:,}",
            *(f"{ms:,.1f}" for ms in (alone["step"], alone["step"] / 2, pair["step"], pair["average"], alone["save"])),
            f"{alone['saved_bytes'] / 1e6:.1f}",
        ]
        for (hidden, alone), pair in zip(one.items(), two.values(), strict=True)
    ]
    times = ["one, ms", "two, ideal, ms", "two, ms", "an average alone, ms", "a checkpoint, ms", "a checkpoint, MB"]
    return (
        f"{table(['hidden', 'parameters', *times], rows, words=0)}\n\n{escape(report['measured_on'])}. To agree takes "
        f"{report['two']['agree']:.2f} ms. Forward and backward through `nn.LSTM` with 256 hidden units and an output "
        f"layer take {usual['alone']:.1f} ms without messages, {usual['average']:.1f} ms with our average, "
        f"{usual['DistributedDataParallel']:.1f} ms with DistributedDataParallel."
    )


BOOK_LINK = link(
    Markup("*Dive into Deep Learning*, Chinese edition 2.0"), "https://zh.d2l.ai/chapter_recurrent-modern/lstm.html"
)
BOOK = f"The book: {BOOK_LINK}, 500 epochs on a GPU that it does not name."
FUSED = "fused in C++, pipeline, portable"
MODES = ("portable", "native")
TABLES = {
    "README.md": {"results": results, "digests": digests, "recipes": recipes.first, "sample": recipes.whole_book},
    "README.zh-CN.md": {"results": results, "digests": digests},
    "docs/exercises.md": exercises.TABLES,
    "docs/parameters.md": {"parameters": parameters.all_parameters},
    "docs/recipes.md": {"recipes": recipes.headlines, "measures": recipes.measures},
    "docs/scaling.md": scaling.TABLES,
    "docs/processes.md": {"processes": shared},
    "docs/performance.md": {
        "performance": performance,
        "stacks": stacks,
        "ptb": ptb,
        "gpu": gpu.tables,
        "whole": whole,
        "curves": curves,
    },
    "docs/pipeline.md": {},
    "docs/walkthrough.md": walkthrough.BLOCKS,
}
"""Page -> name of each table on it -> what makes the table. A page without tables may have links to lines of code."""


def update(page: str, root: Path) -> str:
    """The text of `page` in `root` with every table between `<!-- name -->` and `<!-- /name -->` made anew.

    Links to lines of code get their numbers anew, too.

    Raises:
        ValueError: a marker or the code that a link names is missing, or a file of numbers is not as it should be.
    """
    text = (root / page).read_text(encoding="utf-8")
    for name in TABLES[page]:
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} lacks the markers <!-- {name} --> and <!-- /{name} -->")
        content = _made(page, name, root)
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)
    return numbered(text, (root / page).parent)


def _made(page: str, name: str, root: Path) -> str:
    """A table, or that its benchmark or its recipe is not there. Raises ValueError as `update`, and OSError."""
    try:
        return TABLES[page][name](root)
    except NoRecipe:
        pass
    except FileNotFoundError as error:
        if not Path(error.filename).name.startswith("benchmark_"):
            raise
    except (LookupError, TypeError, ArithmeticError, AttributeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"the table {name} of {page} cannot be made ({why}): correct or restore the file that it shows"
        ) from error
    return "Not measured yet."


def main(_params: Params, root: Path) -> None:
    """Put the tables into their pages."""
    for page in TABLES:
        write_text(root / page, update(page, root))
    write_text(root / parameters.PARAMS, parameters.commented(root))


def _cell(measure: Measure, value: float, model: str, with_the_book: bool) -> str:
    book = f" (book: {measure.book[model]:,.1f})" if measure.book and with_the_book else ""
    return f"{value:{measure.form}}{book}"


if __name__ == "__main__":
    stage.run(main)
