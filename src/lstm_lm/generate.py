"""Let a trained model continue a text in the terminal: `python -m lstm_lm.generate --help`."""

import signal

if __name__ == "__main__":  # before the imports that take seconds
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it quietly, as it ends other filters,
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # and so does `| head`

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NoReturn

from lstm_lm.core.printable import escaped, fail, say
from lstm_lm.core.stage import check_package, one_line
from lstm_lm.evaluation.continuation import as_fed, continuation
from lstm_lm.model.arithmetic import check_arithmetic
from lstm_lm.model.language_model import MODELS, LanguageModel, fix_threads
from lstm_lm.model.model_file import load_model
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary


class _Parser(argparse.ArgumentParser):
    """Arguments of which a wrong one is a ValueError, one line like every other mistake."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message.removeprefix('argument ')} (--help shows all)")


def arguments() -> argparse.Namespace:
    """The command line. Raises ValueError: an argument is unknown, out of range or of the wrong type."""
    parser = _Parser(prog="python -m lstm_lm.generate", description="Continue a text with a trained model.")
    parser.add_argument("--model", choices=MODELS, default="scratch", help="which model writes (%(default)s)")
    parser.add_argument("--prefix", metavar="TEXT", help="what to continue; without it, all of the standard input")
    parser.add_argument(
        "--length",
        type=_number(int, 1, 10**9),
        default=200,
        metavar="N",
        help="characters or words to write (%(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=_number(float, 0.001, 1000.0),
        metavar="T",
        help="sample, from careful (0.5) to wild (1.5); without it, always the likeliest one",
    )
    parser.add_argument(
        "--seed", type=_number(int, 0, 2**32 - 1), default=0, metavar="N", help="of the sampling (%(default)s)"
    )
    return parser.parse_args()


def enter_project() -> None:
    """Go to the nearest folder with a dvc.yaml, from this one upwards; stay here if there is none."""
    here = Path.cwd()
    os.chdir(next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here))


def load(kind: str, root: Path) -> tuple[LanguageModel, Vocabulary]:
    """The trained model and the vocabulary of the project in `root`.

    Raises:
        ValueError: one of the two files is missing or damaged, or they do not belong together.
        OSError: one of them cannot be read.
    """
    weights, tokens = root / f"data/models/{kind}.safetensors", root / "data/tokens/vocabulary.json"
    for path in (weights, tokens):
        if not path.exists():
            advice = "make it with `dvc repro`, or get it with `dvc pull`"
            if not (root / "dvc.yaml").exists():
                advice = "this folder is in no project; run it in the project's folder"
            raise ValueError(f"{path} is not there: {advice}")
    vocabulary = Vocabulary.load(tokens)
    return load_model(weights, vocabulary), vocabulary


def prefix_of(text: str | None, tokenizer: Tokenizer) -> Sequence[str]:
    """The tokens to continue, from the command line or the standard input, whose last line end does not count.

    Raises:
        ValueError: there are none.
    """
    source = "the standard input" if text is None else "--prefix"
    given = _standard_input() if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    prefix = as_fed(given, tokenizer)
    if not prefix:
        needed = "no letter from a to z" if tokenizer.kept == "letters" else "no text"
        raise ValueError(f"{source} has {needed}: give a text to continue")
    return prefix


def written(chosen: argparse.Namespace, root: Path) -> Iterator[str]:
    """The prefix, then the continuation, a token at a time. Raises what `load` and `prefix_of` raise."""
    model, vocabulary = load(chosen.model, root)
    fix_threads(model.architecture)
    check_arithmetic(model.architecture, rows=1)
    prefix = prefix_of(chosen.prefix, vocabulary.tokenizer)
    tokens = continuation(model, vocabulary, prefix, chosen.length, chosen.temperature, chosen.seed)
    yield from vocabulary.tokenizer.spelled(chain(prefix, tokens))
    yield "\n"


def main() -> None:
    """Write to the terminal as the model does; a mistake is one line on stderr and exit status 1."""
    try:
        chosen = arguments()
        enter_project()
        check_package()
        if sys.stdout is None:
            raise ValueError("the standard output is closed")
        for text in written(chosen, Path()):
            sys.stdout.write(_shown(text) if sys.stdout.isatty() else text)
            sys.stdout.flush()
    except Exception as error:
        if (message := one_line(error)) is None:
            raise
        fail(f"generate: {message}")


def _standard_input() -> str:
    """All of the standard input but the line ends at its end."""
    if sys.stdin is None:
        raise ValueError("the standard input is closed: give the text to continue with --prefix")
    if sys.stdin.isatty():
        say("generate: type a text to continue, then Enter and Ctrl-D", sys.stderr)
    return sys.stdin.buffer.read().decode("utf-8-sig", "replace").rstrip("\r\n")


def _shown(text: str) -> str:
    """A piece of text for a terminal: a corpus may hold characters that a terminal obeys."""
    return text if text in ("\n", "\t") else "".join(map(escaped, text))


def _number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """A reader of one argument: a number from `low` to `high`."""

    def read(text: str) -> float:
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        what = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: {what} from {low} to {high}")

    return read


if __name__ == "__main__":
    main()
