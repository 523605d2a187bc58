"""The report: what was run, how well both models did, against each other and against a base revision."""

from collections.abc import Mapping
from pathlib import Path

from lstm_lm.comparison.measures import LABELS, MEASURES, SPLITS, not_shown, of_both
from lstm_lm.core import stage
from lstm_lm.core.params import Params
from lstm_lm.core.printable import say
from tools.project import git
from tools.report import headline, page
from tools.report.difference import Change, Difference, base_argument, difference
from tools.report.excerpt import excerpts
from tools.report.figure import figures
from tools.report.panel import panel
from tools.report.unfinished import unfinished

_TRAINED = {"corpus.name": "corpus", "model.hidden": "hidden", "seed": "seed", "train.epochs": "epochs"}
"""Parameter -> its key in metrics/train_<model>.json, which repeats it."""


def main(_params: Params, root: Path) -> None:
    """Write report/index.html, report/report.md and their pictures; the base is the command's only argument.

    Raises:
        ValueError: there are no results here, or a file is damaged.
    """
    found = difference(base_argument(), root)
    _require_results(found)
    content = {
        "corpus": found.metric("metrics/evaluate.json", "corpus").new,
        "base": found.base,
        "labels": LABELS,
        "headline": headline.table(found),
        "verdict": verdict(found),
        "notes": [*unfinished(found, root), *notes(found)],
        "run": " · ".join(_run(found, root)),
        "panel": panel(root),
        "texts": excerpts(root),
        "changed": [(key, *c) for key, c in found.params.items() if found.base and c.old != c.new],
        "facts": facts(found, root),
    }
    folder = root / "report"
    page.write(folder, "report", "index", figures(found, root), content)
    say(" ".join(filter(None, [f"{folder / 'index.html'}: {content['verdict']}", _without_base(found)])))


def verdict(found: Difference) -> str:
    """The result in one sentence: validation perplexity of both models, against the base where there is one.

    Where the validation split has too few tokens for a score, it is the first measure of the table.
    """
    table = headline.table(found)
    title = MEASURES["valid_perplexity"].title
    title, cells = (title, table[title]) if title in table else next(iter(table.items()))
    parts = [
        f"{LABELS[model]} {cell.value}" + (f" ({cell.change})" if cell.change else "") for model, cell in cells.items()
    ]
    return f"{title}: {', '.join(parts)}."


def notes(found: Difference) -> list[str]:
    """What a reader must know before trusting the numbers."""
    said = []
    if found.outdated is None:
        said.append("Another DVC runs, so it is unknown whether these results are current.")
    elif found.outdated:
        said.append(
            f"These results do not belong to the present code, parameters and data: "
            f"dvc repro would run {', '.join(found.outdated)}."
        )
    if wrong := _not_as_params_say(found):
        said.append(f"{'; '.join(wrong)}.")
    return [*said, *filter(None, [not_shown("results", found.few), _note_on_base(found)])]


def _note_on_base(found: Difference) -> str:
    """What limits the comparison with the base; empty where nothing does."""
    metrics = [change for file in found.metrics.values() for change in file.values()]
    others = {name: change for model in LABELS for name, change in headline.other_environment(found, model).items()}
    if found.base is None:
        return _without_base(found)
    if all(change.old is None for change in metrics):
        return f"{found.base} holds no results, so there is nothing to compare with."
    if not headline.same_text(found):
        return f"{found.base} was trained on other text: perplexities are shown, but not judged."
    if all(change.old == change.new for change in (*metrics, *found.params.values())):
        return f"Nothing differs from {found.base}."
    if not others:
        return ""
    differences = "; ".join(f"{name}: {change.old} → {change.new}" for name, change in others.items())
    return f"{found.base} was trained in another environment ({differences}): perplexities are not judged."


def _without_base(found: Difference) -> str:
    return f"Nothing is compared: {found.no_base}." if found.no_base else ""


def facts(found: Difference, root: Path) -> dict[str, list[tuple[str, str]]]:
    """What was run: title -> name and value, for the corpus, the environment, the code and all parameters."""
    code = [("commit", f"{_commit(root, 'HEAD')}{_uncommitted(root)}" or "not a git repository")]
    code += [("base", f"{found.base}: {_commit(root, found.base)}")] if found.base else []
    environments = {model: f"metrics/environment_{model}.json" for model in LABELS}
    return {
        "Corpus": [(_words(key), _plain(c.new)) for key, c in found.metrics.get("metrics/tokenize.json", {}).items()],
        "Environment": [
            (_words(key), _both({model: found.metric(path, key).new for model, path in environments.items()}))
            for key in dict.fromkeys(key for path in environments.values() for key in found.metrics.get(path, {}))
        ],
        "Code": code,
        "Parameters": [(key, str(change.new)) for key, change in found.params.items()],
    }


def _run(found: Difference, root: Path) -> list[str]:
    """What was run, in a few words, from the trainings' own files."""

    def both(key: str, file: str = "train") -> str:
        return _both({model: found.metric(f"metrics/{file}_{model}.json", key).new for model in LABELS})

    settings = {key: both(key) for key in ("hidden", "epochs", "seed")} | {"kernel": both("kernel", "environment")}
    known = [f"{key} {value}" for key, value in settings.items() if value != headline.NOTHING]
    commit = _commit(root, "HEAD") + _uncommitted(root)
    return [both("corpus"), *known, both("device", "throughput"), *filter(None, [commit])]


def _not_as_params_say(found: Difference) -> list[str]:
    """Settings of the trainings that differ from params.yaml, as after `dvc freeze`."""
    patient = found.params.get("train.patience", Change(None, None)).new is not None  # may stop before its last epoch
    return [
        f"{LABELS[model]} was trained with {name} {trained}, params.yaml says {change.new}"
        for name, change in found.params.items()
        for model in LABELS
        for trained in [found.metric(f"metrics/train_{model}.json", _TRAINED.get(name, "")).new]
        if trained not in (None, change.new) and not (patient and name == "train.epochs" and trained < change.new)
    ]


def _require_results(found: Difference) -> None:
    """Raise ValueError where something is missing that every report needs."""
    for file, key in (
        *(("evaluate", f"{model}.{split}.perplexity") for model in LABELS for split in SPLITS),
        ("tokenize", "unigram_perplexity"),
    ):
        if found.metric(f"metrics/{file}.json", key).new is None:
            raise ValueError(f"metrics/{file}.json has no {key}: run dvc repro first")
    for column, name in (("train_perplexity", "curve"), ("tokens_per_second", "timing")):
        if not any(found.curve(model, column, at_base=False) for model in LABELS):
            raise ValueError(f"plots/{name}_scratch.tsv and {name}_concise.tsv are missing: run dvc repro first")


def _commit(root: Path, revision: str | None) -> str:
    """Short hash and subject; empty where git does not know the revision."""
    return git(root, "log", "-1", "--format=%h %s", "--end-of-options", str(revision), "--") or ""


def _uncommitted(root: Path) -> str:
    return ", with uncommitted changes" if git(root, "status", "--porcelain", "--untracked-files=no") else ""


def _both(values: Mapping[str, object]) -> str:
    """Values of any type as text: one where both models have the same, else each with its model."""
    return of_both({model: _plain(value) for model, value in values.items()})


def _words(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: object) -> str:
    """A value as text: thousands separated, yes or no, four digits of a fraction."""
    if value is None:
        return headline.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    stage.run(main)
