"""What `make run` does before `dvc repro`: take the sample corpus where the chosen one cannot be reached."""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from lstm_lm.core import atomic, stage
from lstm_lm.core.params import Params, load_params
from lstm_lm.core.printable import say
from lstm_lm.corpus.record import load_record
from lstm_lm.corpus.source import CorpusUnavailable, Sources, check_own_texts, fetch
from tools.project import repository

SAMPLE = "sample"


def main(params: Params, root: Path) -> None:
    """Prepare the project in `root` for `dvc repro`.

    Raises:
        CorpusUnavailable: a text that can be had from nowhere else is not here, or not as its record says.
        ValueError: as `check_own_texts` and `use_sample`.
    """
    if _fetched(root):
        check_own_texts(params.corpus.name, root / "data/corpora")
        return
    try:
        _reach(params.corpus.name, root)
    except CorpusUnavailable as error:
        if not any(file.sources for file in load_record(params.corpus.name, root / "data/corpora").files.values()):
            raise
        say(str(error), sys.stderr)
        use_sample(root / "params.yaml")
        say(
            f"{params.corpus.name} is out of reach: running on the embedded corpus, corpus.name in params.yaml is now "
            f"{SAMPLE}. Set it back to {params.corpus.name} once one of the sources above can be reached."
        )


def use_sample(path: Path) -> None:
    """Set `corpus.name` in params.yaml to the sample; every other character stays as it is.

    Raises:
        ValueError: the name is not there, or cannot be changed alone.
    """
    wanted = load_params(path).changed({"corpus.name": SAMPLE})
    text = path.read_text(encoding="utf-8")
    name = _child(_child(yaml.compose(text), "corpus"), "name")
    if name is not None:
        changed = f"{text[: name.start_mark.index]}{SAMPLE}{text[name.end_mark.index :]}"
        with tempfile.TemporaryDirectory() as folder, suppress(ValueError):
            tried = Path(folder) / path.name
            tried.write_text(changed, encoding="utf-8")
            if load_params(tried) == wanted:
                atomic.write_text(path, changed)
                return
    raise ValueError(f"{path}: set corpus.name to {SAMPLE} by hand; it could not be changed safely")


def _child(node: Any, key: str) -> Any:
    """The value of a key in a mapping of YAML, as a node that knows its place in the text; None without the key."""
    return next((value for name, value in getattr(node, "value", ()) if name.value == key), None)


def _reach(name: str, root: Path) -> None:
    """Fetch the corpus into a temporary folder. Raises CorpusUnavailable."""
    with tempfile.TemporaryDirectory() as folder:
        fetch(name, Path(folder), Sources.of_project(root))


def _fetched(root: Path) -> bool:
    """Whether the fetch stage is up to date, once DVC's cache has brought back the corpus."""
    corpus = "data/raw"
    try:
        with repository(root) as repo:
            if not (root / corpus).exists():
                repo.checkout([corpus])
            return not repo.status(["fetch"])
    except ValueError:
        return False


if __name__ == "__main__":
    stage.run(main)
