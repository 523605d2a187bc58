"""A new measure is said in one place, its key in another: every table then shows it."""

import json
from pathlib import Path
from typing import Any

import pytest

from lstm_lm.comparison.measures import FEW_TOKENS, LABELS, MEASURES, Measure
from lstm_lm.comparison.metrics import MEASURED
from lstm_lm.core.json_file import Content
from reported import TOKENIZE, difference_of, write_results
from sweeps import row
from tools import summary
from tools.docs import recipes
from tools.recipes import standings
from tools.recipes.recipe import load_recipe
from tools.report import experiments, headline
from tools.report.__main__ import notes
from tools.report.difference import Change


class Extra(Content):
    """metrics/extra.json."""

    scratch: dict[str, Any]
    concise: dict[str, Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one measure, thousandths in its file, and a recipe that is judged by it."""
    recipe = tmp_path / "recipes/mine"
    for folder in (tmp_path, recipe):
        write_results(folder, scale=1.0)
        extra = {"scratch": {"x": 1500}, "concise": {"x": 2500}}
        (folder / "metrics/extra.json").write_text(json.dumps(extra))
    (recipe / "recipe.yaml").write_text("title: mine\nheadline: extra\nparams: {seed: 1}\n")
    (recipe / "dvc.lock").touch()
    for name, measure in MEASURES.items():
        monkeypatch.setitem(MEASURES, name, measure._replace(tables=()))
    measure = Measure("An extra", "extra:{model}.x", ".1f", 1, ("results", "experiments", "recipes"), factor=0.001)
    monkeypatch.setitem(MEASURES, "extra", measure)
    monkeypatch.setitem(MEASURED, "metrics/extra.json", Extra)
    return tmp_path


def test_a_score_of_few_tokens_is_not_shown_and_a_line_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = MEASURES["extra"]._replace(source="extra:{model}.test.x")
    monkeypatch.setitem(MEASURES, "extra", scored)
    for tokens, rows in ((FEW_TOKENS, 1), (FEW_TOKENS - 1, 0)):
        for folder in (project, project / "recipes/mine"):
            (folder / "metrics/tokenize.json").write_text(json.dumps(TOKENIZE | {"test_tokens": tokens}))
            extra = {model: {"test": {"x": 1500}} for model in LABELS}
            (folder / "metrics/extra.json").write_text(json.dumps(extra))
        shown = summary.table(project)
        said = "test: fewer than 1,000 tokens, not shown"
        assert ("An extra" in shown, shown.splitlines()[-1] == said) == (rows == 1, rows == 0)
        assert [len(found) for found in standings.reached("mine", project).values()] == [rows, rows]
        count = {"metrics/tokenize.json": {"test_tokens": Change(None, tokens)}}
        assert len(headline.table(difference_of(count))) == rows
        assert (said in notes(difference_of(count))) == (rows == 0)


def test_the_summary_shows_it(project: Path) -> None:
    assert summary.table(project).splitlines()[-1].split() == ["An", "extra", "1.5", "2.5"]


def test_the_tables_of_the_recipes_show_it(project: Path) -> None:
    def cells(table: str) -> list[str]:
        return [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]

    assert load_recipe("mine", project).headline == "extra"
    assert cells(recipes.headlines(project))[-4:] == ["an extra", "", "1.5", "2.5"]
    assert cells(recipes.measures(project)) == ["torch.nn.LSTM", "2.5"]


def test_the_experiments_show_it(project: Path) -> None:
    one = row("one") | {"metrics/scratch.json:extra": 1.5, "metrics/concise.json:extra": 2.5}
    table = experiments.table(experiments.experiments([row(None), one], ["model.hidden"])).splitlines()
    assert [line.split() for line in table[-2:]] == [["one", "scratch", "1.5"], ["concise", "2.5"]]


def test_the_report_shows_it_and_judges_its_change(project: Path) -> None:
    changes = {f"{model}.x": Change(1000, new) for model, new in zip(LABELS, (1500, 2500), strict=True)}
    cells = headline.table(difference_of({"metrics/extra.json": changes}))["An extra"]
    assert [cell.value for cell in cells.values()] == ["1.5", "2.5"]
    assert cells["scratch"].change == "50.0% better than 1.0"
