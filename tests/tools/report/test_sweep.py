"""On rows as `dvc.api.exp_show` returns them, then on experiments that DVC really has."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from projects import set_params
from reported import commit, git, make_project, run, tool, write_results
from sweeps import SWEPT, experiments_of
from tools.report.headline import NOTHING
from tools.report.sweep import _figure, report, sweep, table


@pytest.mark.parametrize("state", ["Running", "Queued", "Failed"])
def test_an_experiment_under_way_does_not_count_even_with_the_metrics_of_its_start(state):
    swept = sweep(experiments_of(*SWEPT, {"state": state, "model.hidden": 4.0}))
    assert swept.values == [8, 16, 48]
    assert swept.left_out == 1


def test_an_experiment_that_dvc_cannot_read_does_not_count():
    swept = sweep(experiments_of(*SWEPT, {"model.hidden": 4.0, "scratch": "!"}, {"model.hidden": 4.0, "concise": None}))
    assert (swept.values, swept.left_out) == ([8, 16, 48], 2)


def test_an_experiment_run_twice_counts_once_and_the_page_says_so(tmp_path):
    swept = sweep(experiments_of(*SWEPT[:4], {"state": "Success", **SWEPT[0]}))
    assert swept == sweep(experiments_of(*SWEPT[:4]))._replace(repeated=1)
    report(swept, tmp_path)
    said = "\n4 experiments with results, 1 older with the same parameters\n"
    assert said in (tmp_path / "sweep.md").read_text(encoding="utf-8")


def test_mean_and_spread_are_over_the_seeds_of_one_choice():
    swept = sweep(experiments_of(*SWEPT))
    assert (swept.parameter, swept.values, swept.settings) == (
        "model.hidden",
        [8, 16, 48],
        ["train.lr=1", "train.lr=2"],
    )
    found = {(o["value"], o["model"], o["split"]): o for o in swept.outcomes}
    outcome = found[8, "scratch", "validation"]
    assert (outcome["lowest"], outcome["highest"]) == (19.2, 20.2)
    assert outcome["mean"] == pytest.approx(19.7)
    assert outcome["deviation"] == pytest.approx(0.5**0.5)
    assert (outcome["seeds"], outcome["setting"]) == ((0, 1), "train.lr=2")
    assert found[8, "scratch", "train"]["lowest"] == 9.6
    assert [(row["value"], row["best"]) for row in table(swept)] == [
        (48, set()),
        (8, {"concise"}),
        (16, {"scratch"}),
    ]


def test_the_figure_of_a_split_has_that_split_s_perplexities():
    shown = _figure(sweep(experiments_of(*SWEPT[:4])), "train")
    ours = [row[3:6] for row in shown.rows if row[2] == "from scratch"]
    assert ours == [["9.8500", "9.6000", "10.1000"], ["9.4500", "9.2000", "9.7000"]]


def test_words_are_ordered_as_words_and_numbers_as_numbers():
    words = [{"train.sampling": value} for value in ("sequential", "random")]
    assert sweep(experiments_of(*words)).values == ["random", "sequential"]
    assert sweep(experiments_of(*({"model.hidden": value} for value in (128.0, 64.0, 9.0)))).values == [9, 64, 128]


def test_the_parameter_with_most_values_is_the_axis():
    swept = sweep(experiments_of(*({"model.hidden": h, "train.lr": lr} for h in (1.0, 2.0) for lr in (0.5, 1.0, 2.5))))
    assert swept.parameter == "train.lr"
    assert swept.values == [0.5, 1, 2.5]
    assert swept.settings == ["model.hidden=1", "model.hidden=2"]


def test_different_texts_are_not_ranked():
    with pytest.raises(ValueError, match=re.escape("different texts (corpus.name: other, sample)")):
        sweep(experiments_of({"model.hidden": 8.0}, {"model.hidden": 16.0, "corpus.name": "other"}))


@pytest.mark.parametrize("path", ["data/raw", "src/lstm_lm/model", "stages/train_scratch.py"])
def test_different_text_or_code_is_not_ranked(path):
    changes = [{"model.hidden": size, path: digest} for size, digest in ((8.0, "b"), (16.0, "a"), (32.0, None))]
    with pytest.raises(ValueError, match=rf"code \({path}\).*: dvc exp remove e-1 leaves .* newest, e-0$"):
        sweep(experiments_of(*changes))


def test_other_code_of_the_pictures_or_of_an_experiment_without_results_is_ranked():
    pictures = [{**change, "src/lstm_lm/comparison": str(place)} for place, change in enumerate(SWEPT[:4])]
    failed = {"state": "Failed", "src/lstm_lm/model": "other"}
    assert sweep(experiments_of(*pictures, failed)) == sweep(experiments_of(*SWEPT[:4]))._replace(left_out=1)


def test_the_page_the_markdown_and_the_pictures_show_the_sweep(tmp_path):
    verdict = report(sweep(experiments_of(*SWEPT)), tmp_path)
    assert verdict == (
        "Lowest mean validation perplexity: 11.500, torch.nn.LSTM at model.hidden=8, train.lr=2. "
        "Not compared, with fewer than 2 seeds: 1 of 3 choices."
    )
    markdown = (tmp_path / "sweep.md").read_text(encoding="utf-8")
    scratch, concise = "19.700 ± 0.707 (19.200 to 20.200) | 9.850", "**11.500** ± 0.707 (11.000 to 12.000) | 5.750"
    assert f"| 8 | train.lr=2 | 2 | {scratch} | {concise} |" in markdown
    assert "| 48 | train.lr=1 | 1 | 10.500 | 5.250 | 9.500 | 4.750 |" in markdown
    assert re.findall(r"\]\((.*?)\)", markdown) == ["sweep_validation.png", "sweep_train.png"]
    for name in ("sweep_validation", "sweep_train"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    html = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert "± 0.707, 19.200 to 20.200" in html
    assert verdict in html


def test_the_seeds_of_one_setting_are_one_row(tmp_path):
    swept = sweep(experiments_of(*({"seed": seed, "concise": 1.0 + seed} for seed in (0.0, 1.0, 2.0))))
    assert [(row["value"], row["setting"], row["seeds"]) for row in table(swept)] == [("sample", "", (0, 1, 2))]
    verdict = report(swept, tmp_path)
    assert verdict == "Lowest mean validation perplexity: 2.000, from scratch at corpus.name=sample."


def test_choices_with_different_seeds_are_compared_with_a_word_of_warning(tmp_path):
    changes = [{"model.hidden": 8.0, "seed": 0.0}, {"model.hidden": 16.0, "seed": 1.0}]
    assert report(sweep(experiments_of(*changes)), tmp_path).endswith(" The compared choices have different seeds.")


def test_nothing_to_show_is_one_clear_line():
    with pytest.raises(ValueError, match="no experiment has results yet"):
        sweep(experiments_of({"state": "Queued"}))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two experiments and a queued one, all of which started from the commit before the last."""
    root = make_project(tmp_path_factory.mktemp("sweep") / "a project")
    pipeline = "stages:\n  one:\n    cmd: echo\n    params: [model.hidden]\nmetrics: [metrics]\n"
    (root / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    write_results(root, scale=1.0)
    dvc(root, "commit", "--force")
    commit(root, "results")
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
    done = tool(swept, "report.experiments", "HEAD~1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    shown = {line.split()[0]: (line.split(), below.split()) for line, below in pairwise(lines)}
    wide = ["hidden-128", "model.hidden=128", "scratch", "8.00", "25.00", "28.00", "40,000"]
    assert shown["hidden-128"] == (wide, ["concise", "6.00", "18.75", "21.00", "30,000"])
    assert shown["waits"] == (["waits", "seed=7", "scratch", *[NOTHING] * 4], ["(queued)", "concise", *[NOTHING] * 4])


def test_a_sweep_is_found_by_the_revision_that_it_started_from(swept):
    done = tool(swept, "report.sweep", "HEAD~1")
    assert done.stderr == ""
    assert done.stdout == (
        "report/sweep.html: Lowest mean validation perplexity: 9.375, torch.nn.LSTM at model.hidden=64.\n"
    )


@pytest.mark.parametrize("name", ["sweep", "experiments"])
def test_after_a_commit_one_line_says_where_the_experiments_are(swept, name):
    commit = run(swept, "git", "rev-parse", "--short", "HEAD~1").stdout.strip()
    done = tool(swept, f"report.{name}")
    assert done.returncode == 1
    assert done.stderr == (f"{name}: no experiment started from HEAD: add BASE=<revision>; these have some: {commit}\n")


def test_an_unknown_revision_is_named(swept):
    done = tool(swept, "report.experiments", "--help")
    assert done.stderr == "experiments: dvc: unknown Git revision '--help'\n"
