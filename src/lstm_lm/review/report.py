"""The report: what was run, how well both models did, against each other and against a base revision."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lstm_lm import stage
from lstm_lm.comparison.plots import LABELS
from lstm_lm.params import Params
from lstm_lm.review import headline, page
from lstm_lm.review.difference import Difference, difference
from lstm_lm.review.excerpt import excerpts
from lstm_lm.review.figure import WINDOWS, figures


def main(params: Params, root: Path) -> None:
    """Write report/index.html, report/report.md and their pictures; the base is the command's only argument.

    Raises:
        ValueError: there are no results here, or DVC does not know the base.
        OSError: a file cannot be read or written.
    """
    base = sys.argv[1] if sys.argv[1:] and sys.argv[1] else "HEAD"
    found = difference(base, root)
    _require_results(found)
    content = {
        "corpus": params.corpus.name,
        "base": found.base,
        "labels": LABELS,
        "headline": headline.table(found.metrics, same_text(found)),
        "verdict": verdict(found),
        "notes": notes(found),
        "run": " · ".join(_run(found, params, root)),
        "texts": excerpts(root),
        "changed": [(key, *change) for key, change in found.params.items() if change.old != change.new],
        "facts": facts(found, root),
    }
    folder = root / "report"
    page.write(folder, "report", "index", figures(found), content)
    print(f"{folder / 'index.html'}: {content['verdict']}")


def same_text(found: Difference) -> bool:
    """Whether the base's perplexities are about the same tokens as those here."""
    return all(
        change.old == change.new
        for key, change in found.params.items()
        if key == "corpus.name" or key.startswith("tokenize.")
    )


def verdict(found: Difference) -> str:
    """The result in one sentence: held-out perplexity of both models, against the base where there is one."""
    parts = []
    for model, label in LABELS.items():
        change = headline.value(found.metrics, "evaluate", f"{model}.valid.perplexity")
        judgement, _, words = headline.judge(change, ",.2f", -1 if same_text(found) else 0)
        parts.append(f"{label} {change.new:,.2f}" + (f" ({words})" if judgement != "none" else ""))
    return f"Held-out perplexity: {', '.join(parts)}."


def notes(found: Difference) -> list[str]:
    """What a reader must know before trusting the numbers."""
    said = []
    if found.outdated:
        said.append(
            f"These results do not belong to the present code, parameters and data: "
            f"dvc repro would run {', '.join(found.outdated)}."
        )
    if found.base is None:
        said.append("This is not a git repository, so there is no revision to compare with.")
    elif all(change.old is None for file in found.metrics.values() for change in file.values()):
        said.append(f"{found.base} holds no results, so there is nothing to compare with.")
    elif not same_text(found):
        said.append(f"{found.base} was trained on other text: perplexities are shown, but not judged.")
    elif not any(
        change.old != change.new for file in (*found.metrics.values(), found.params) for change in file.values()
    ):
        said.append(f"Nothing differs from {found.base}.")
    return said


def facts(found: Difference, root: Path) -> dict[str, list[tuple[str, str]]]:
    """What was run: title -> name and value, for the corpus, the environment, the code and all parameters."""
    here = {
        "commit": f"{_commit(root, 'HEAD')}{_uncommitted(root)}",
        "base": f"{found.base}: {_commit(root, found.base)}",
    }
    environments = {
        model: {
            key: _plain(change.new)
            for key, change in found.metrics.get(f"metrics/environment_{model}.json", {}).items()
        }
        for model in LABELS
    }
    return {
        "Corpus": [(_words(key), _plain(c.new)) for key, c in found.metrics.get("metrics/tokenize.json", {}).items()],
        "Environment": [(_words(key), _both(environments, key)) for key in environments["scratch"]],
        "Code": list(here.items()) if found.base else [("commit", "not a git repository")],
        "Parameters": [(key, str(change.new)) for key, change in found.params.items()],
    }


def _run(found: Difference, params: Params, root: Path) -> list[str]:
    """What was run, in a few words; all of it is in `facts`."""
    device = headline.value(found.metrics, "throughput_scratch", "device").new
    settings = [f"hidden {params.model.hidden}", f"{params.train.epochs:,} epochs", f"seed {params.seed}", str(device)]
    return [params.corpus.name, *settings, *filter(None, [_commit(root, "HEAD") + _uncommitted(root)])]


def _require_results(found: Difference) -> None:
    """Raises ValueError unless everything is there that the report cannot do without."""
    for file, key in (
        *(("evaluate", f"{model}.{window}.perplexity") for model in LABELS for window in WINDOWS),
        ("tokenize", "unigram_perplexity"),
    ):
        if headline.value(found.metrics, file, key).new is None:
            raise ValueError(f"metrics/{file}.json has no {key}: run dvc repro first")
    for rows, name in ((found.curves, "curve"), (found.timing, "timing")):
        if not any(row["rev"] == "workspace" for row in rows):
            raise ValueError(f"plots/{name}_scratch.tsv and {name}_concise.tsv are missing: run dvc repro first")


def _commit(root: Path, revision: str | None) -> str:
    """Short hash and subject; empty where git cannot tell."""
    return _git(root, "log", "-1", "--format=%h %s", "--end-of-options", str(revision), "--")


def _uncommitted(root: Path) -> str:
    return ", with uncommitted changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""


def _git(root: Path, *arguments: str) -> str:
    """What git says; empty if it fails."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _both(environments: Mapping[str, Mapping[str, str]], key: str) -> str:
    """One value where both models ran alike, else each with its model."""
    values = {LABELS[model]: environment.get(key, headline.NOTHING) for model, environment in environments.items()}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "; ".join(f"{label}: {value}" for label, value in values.items())


def _words(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: object) -> str:
    """A value as the report writes it: thousands apart, yes and no, four digits of a fraction."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    stage.run(main)
