"""On rows as `dvc.api.exp_show` returns them, and on experiments that DVC really has."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lstm_lm.review.experiments import Experiments, experiments
from lstm_lm.review.sweep import report, sweep, table
from reported import git, make_project, module, run, set_params, write_results

NAMES = ["seed", "corpus.name", "model.hidden", "train.lr", "train.sampling"]
BASE = {"seed": 0.0, "corpus.name": "sample", "model.hidden": 256.0, "train.lr": 1.0, "train.sampling": "sequential"}
SWEPT = [
    {
        "model.hidden": hidden,
        "seed": seed,
        "train.lr": 2.0,
        "scratch": 20.0 - hidden / 10 + seed,
        "concise": 11.0 + seed,
    }
    for hidden in (16.0, 8.0)
    for seed in (0.0, 1.0)
] + [{"model.hidden": 48.0, "scratch": 10.5, "concise": 9.5}]


def row(name: str | None, state: str | None = None, scratch: Any = 2.0, concise: Any = 1.0, **params: Any) -> dict:
    """What exp_show says about one experiment; validation perplexity as given, train half of it, test twice."""
    found = {"Experiment": name, "rev": "abc1234", "State": state, **BASE, **params}
    found["params.yaml:seed"] = found.pop("seed")  # as metrics/train_*.json has the key too
    for model, perplexity in (("scratch", scratch), ("concise", concise)):
        for split, factor in (("train", 0.5), ("valid", 1), ("test", 2)):
            known = isinstance(perplexity, float)
            found[f"{model}.{split}.perplexity"] = factor * perplexity if known else perplexity
        found[f"metrics/throughput_{model}.json:tokens_per_second"] = 12345.0
    return found


def of(*changes: dict[str, Any]) -> Experiments:
    """A revision and experiments with these changes."""
    rows = [row(f"e-{place}", **change) for place, change in enumerate(changes)]
    return experiments([row(None), *rows], NAMES)


@pytest.mark.parametrize("state", ["Running", "Queued", "Failed"])
def test_an_experiment_under_way_does_not_count_even_with_the_metrics_of_its_start(state):
    swept = sweep(of(*SWEPT, {"state": state, "model.hidden": 4.0}))
    assert swept.values == [8, 16, 48]
    assert swept.left_out == 1


def test_an_experiment_that_dvc_cannot_read_does_not_count():
    swept = sweep(of(*SWEPT, {"model.hidden": 4.0, "scratch": "!"}, {"model.hidden": 4.0, "concise": None}))
    assert (swept.values, swept.left_out) == ([8, 16, 48], 2)


def test_an_experiment_queued_twice_counts_once():
    assert sweep(of(*SWEPT, {"state": "Success", **SWEPT[0]})) == sweep(of(*SWEPT))


def test_mean_and_spread_are_over_the_seeds_of_one_choice():
    swept = sweep(of(*SWEPT))
    assert (swept.parameter, swept.values, swept.settings) == (
        "model.hidden",
        [8, 16, 48],
        ["train.lr=1", "train.lr=2"],
    )
    found = {(o["value"], o["model"], o["split"]): o for o in swept.outcomes}
    outcome = found[8, "scratch", "validation"]
    assert (outcome["lowest"], outcome["highest"]) == (19.2, 20.2)
    assert outcome["mean"] == pytest.approx(19.7)
    assert (outcome["seeds"], outcome["setting"]) == (2, "train.lr=2")
    assert found[8, "scratch", "train"]["lowest"] == 9.6
    assert [(row["value"], row["best"]) for row in table(swept)] == [
        (48, {"scratch", "concise"}),
        (8, set()),
        (16, set()),
    ]


def test_words_are_ordered_as_words_and_numbers_as_numbers():
    words = [{"train.sampling": value} for value in ("sequential", "random")]
    assert sweep(of(*words)).values == ["random", "sequential"]
    assert sweep(of(*({"model.hidden": value} for value in (128.0, 64.0, 9.0)))).values == [9, 64, 128]


def test_the_parameter_with_most_values_is_the_axis(tmp_path):
    swept = sweep(of(*({"model.hidden": h, "train.lr": lr} for h in (1.0, 2.0) for lr in (0.5, 1.0, 2.5))))
    assert swept.parameter == "train.lr"
    assert swept.values == [0.5, 1, 2.5]
    assert swept.settings == ["model.hidden=1", "model.hidden=2"]


def test_different_texts_are_not_ranked():
    with pytest.raises(ValueError, match=re.escape("different texts (corpus.name: other, sample)")):
        sweep(of({"model.hidden": 8.0}, {"model.hidden": 16.0, "corpus.name": "other"}))


def test_the_page_the_markdown_and_the_pictures_show_the_sweep(tmp_path):
    verdict = report(sweep(of(*SWEPT)), tmp_path)
    assert verdict == "Lowest mean validation perplexity: 9.50, torch.nn.LSTM at model.hidden=48, train.lr=1."
    markdown = (tmp_path / "sweep.md").read_text(encoding="utf-8")
    cells = "| 8 | train.lr=2 | 2 | 19.70 (19.20 to 20.20) | 9.85 | 11.50 (11.00 to 12.00) | 5.75 |"
    assert cells in markdown
    assert re.findall(r"\]\((.*?)\)", markdown) == ["sweep_validation.png", "sweep_train.png"]
    for name in ("sweep_validation", "sweep_train"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    html = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert "19.20 to 20.20" in html
    assert verdict in html


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"seed": 0.0}, {"seed": 1.0}], "differ in nothing but the seed"),
        ([{"state": "Queued"}], "no experiment has results yet"),
    ],
)
def test_nothing_to_show_is_one_clear_line(changes, message):
    with pytest.raises(ValueError, match=message):
        sweep(of(*changes))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two experiments and a queued one, all of which started from the commit before the last."""
    root = make_project(tmp_path_factory.mktemp("sweep") / "a project")
    pipeline = "stages:\n  one:\n    cmd: echo\n    params: [model.hidden]\nmetrics: [metrics]\n"
    (root / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    write_results(root, scale=1.0)
    dvc(root, "commit", "--force")
    git(root, "add", ".")
    git(root, "commit", "-qm", "results")
    for hidden in (64, 128):
        set_params(root, model__hidden=hidden)
        write_results(root, scale=hidden / 64, hidden=hidden)
        dvc(root, "commit", "--force")
        dvc(root, "exp", "save", "--name", f"hidden-{hidden}")
        git(root, "checkout", "-q", ".")
    dvc(root, "exp", "run", "--queue", "--name", "waits", "-S", "seed=7")
    git(root, "commit", "--allow-empty", "-qm", "later")
    return root


def dvc(root: Path, *arguments: str) -> None:
    done = run(root, sys.executable, "-m", "dvc", *arguments)
    assert done.returncode == 0, done.stderr


def test_experiments_are_listed_in_a_narrow_table(swept):
    done = module(swept, "experiments", "HEAD~1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    shown = {line.split()[0]: (line.split(), below.split()) for line, below in zip(lines, lines[1:], strict=False)}
    wide = ["hidden-128", "model.hidden=128", "scratch", "8.00", "25.00", "28.00", "40,000"]
    assert shown["hidden-128"] == (wide, ["concise", "6.00", "18.75", "21.00", "30,000"])
    assert shown["waits"] == (["waits", "seed=7", "scratch", *"––––"], ["(queued)", "concise", *"––––"])


def test_a_sweep_is_found_by_the_revision_that_it_started_from(swept):
    done = module(swept, "sweep", "HEAD~1")
    assert done.stderr == ""
    assert done.stdout == (
        "report/sweep.html: Lowest mean validation perplexity: 9.38, torch.nn.LSTM at model.hidden=64.\n"
    )


@pytest.mark.parametrize("name", ["sweep", "experiments"])
def test_after_a_commit_one_line_says_where_the_experiments_are(swept, name):
    commit = run(swept, "git", "rev-parse", "--short", "HEAD~1").stdout.strip()
    done = module(swept, name)
    assert done.returncode == 1
    assert done.stderr == (f"{name}: no experiment started from HEAD: add BASE=<revision>; these have some: {commit}\n")


def test_an_unknown_revision_is_named(swept):
    done = module(swept, "experiments", "--help")
    assert done.stderr == "experiments: dvc cannot show the experiments of --help: unknown Git revision '--help'\n"
