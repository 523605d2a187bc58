"""Recipes run in a copy, go on after a failure, can be stopped and verified; their results are of their parameters."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from lstm_lm.comparison.measures import COMPRESSORS_MEASURE
from lstm_lm.core.params import Corpus, Params, Tokenize
from lstm_lm.core.yaml_file import read_yaml
from projects import PARAMS, ROOT, params_text, set_params
from reported import commit, commit_files, git, run, tool
from shipped import shipped
from tools.checks.verdict import CHANCE
from tools.recipes.recipe import changes, load_recipe, names, parameters, results_folder

PIPELINE = """\
stages:
  first:
    cmd: "{python} first.py"
    params: [model.hidden, seed]
    deps: [first.py]
    metrics:
      - metrics/train_scratch.json: {{cache: false}}
  second:
    cmd: "{python} second.py"
    deps: [second.py, metrics/train_scratch.json]
    outs: [data/models/scratch.safetensors]
    metrics:
      - metrics/environment_scratch.json: {{cache: false}}
    plots:
      - plots/curve_scratch.tsv: {{cache: false}}
"""
FIRST = """\
import os, yaml
from pathlib import Path
Path("metrics").mkdir(exist_ok=True)
params = yaml.safe_load(Path("params.yaml").read_text())
Path("metrics/train_scratch.json").write_text('{"hidden": %d}' % params["model"]["hidden"])
with (Path(os.environ["DVC_ROOT"]) / "runs.log").open("a") as log:
    log.write("first\\n")
"""
SECOND = """\
import os, sys
from pathlib import Path
if (Path(os.environ["DVC_ROOT"]) / "obstacle").exists():
    sys.exit("stopped on purpose")
for path, content in {
    "data/models/scratch.safetensors": "made",
    "metrics/environment_scratch.json": '{"device": "this one"}',
    "plots/curve_scratch.tsv": "epoch\\ttrain_perplexity\\n1\\t8.0\\n",
}.items():
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)
"""
SAVING = """\
import os, signal, sys, time
from pathlib import Path
def save(*_):
    time.sleep(1)
    Path("curve.tsv").write_text("saved\\n")
    Path("curve.tsv").replace(Path(os.environ["DVC_ROOT"]) / "runs.log")
    sys.exit(1)
signal.signal(signal.SIGINT, save)
os.killpg(0, signal.SIGINT)
time.sleep(60)
"""
"""A first stage at which Ctrl-C is pressed: the signal reaches all processes of the terminal's group."""
AT_A_TERMINAL = """\
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("tools.recipes.run", run_name="__main__")
"""
"""`make recipe` as it runs at a terminal: background jobs, such as a test run may be, ignore Ctrl-C."""
TINY = "title: a tiny one\nheadline: valid_nats\nparams:\n  model:\n    hidden: 7\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in git, with a recipe that has no results yet."""
    files = {
        ".gitignore": "/data\n/runs.log\n/obstacle\n",
        "dvc.yaml": PIPELINE.format(python=sys.executable),
        "params.yaml": params_text(),
        "first.py": FIRST,
        "second.py": SECOND,
        "recipes/tiny/recipe.yaml": TINY,
    }
    return commit_files(tmp_path / "a project", files)


def test_a_recipe_runs_in_a_copy_goes_on_after_a_failure_and_is_verified(project: Path) -> None:
    (project / "obstacle").touch()
    (project / ".dvc/config.local").write_text("[cache]\n    shared = group\n")
    failed = tool(project, "recipes.run", "tiny")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("recipe: the pipeline failed (see above)")
    assert not (project / "recipes/tiny/metrics").exists()

    (project / "obstacle").unlink()
    results = project / "recipes/tiny"
    (results / "plots").mkdir()
    (results / "plots/of_an_earlier_version.tsv").touch()
    done = tool(project, "recipes.run", "tiny")
    assert done.returncode == 0, done.stderr
    assert json.loads((results / "metrics/train_scratch.json").read_bytes()) == {"hidden": 7}
    assert [path.name for path in results.glob("plots/*")] == ["curve_scratch.tsv"]
    assert {path.stat().st_mode & 0o070 for path in project.glob(".dvc/cache/files/md5/*")} == {0o070}
    assert yaml.safe_load((results / "dvc.lock").read_bytes())["stages"].keys() == {"first", "second"}
    assert (project / "runs.log").read_text() == "first\n", "what was finished does not run again"
    assert [name for name in ("metrics", "plots", "data", "dvc.lock") if (project / name).exists()] == []
    commit(project, "its results")
    assert "The results are reproduced." in tool(project, "checks.verify", "tiny").stdout

    (results / "metrics/train_scratch.json").write_text('{"hidden": 8}')
    git(project, "commit", "-qam", "a result that the recipe does not give")
    assert "hidden: 8 -> 7" in tool(project, "checks.verify", "tiny").stdout

    set_params(project, seed=5)
    git(project, "commit", "-qam", "another default")
    assert "recipe tiny have other parameters (seed: 0 -> 5): " in tool(project, "checks.verify", "tiny").stderr
    assert "those of the committed results: seed: 0 -> 5.\n" in tool(project, "recipes.run", "tiny").stdout


@pytest.mark.parametrize(("committed", "status"), [(8.0 / (1 + 0.9 * CHANCE), 0), (8.0 / (1 + 1.1 * CHANCE), 1)])
def test_on_another_kind_of_machine_the_whole_curves_of_a_recipe_count(
    project: Path, committed: float, status: int
) -> None:
    assert tool(project, "recipes.run", "tiny").returncode == 0
    results = project / "recipes/tiny"
    (results / "metrics/environment_scratch.json").write_text('{"device": "another"}')
    (results / "plots/curve_scratch.tsv").write_text(f"epoch\ttrain_perplexity\n1\t{committed}\n")
    commit(project, "results of another machine")
    verified = tool(project, "checks.verify", "tiny")
    assert verified.returncode == status
    assert "all epochs" in verified.stdout


def test_the_default_run_keeps_its_results_in_the_project(project: Path) -> None:
    (project / "recipes/tiny/recipe.yaml").write_text("title: the default run\nheadline: valid_nats\n")
    git(project, "commit", "-qam", "no parameters of its own")
    (project / "metrics").mkdir()
    (project / "metrics/benchmark_cpu.json").touch()
    assert tool(project, "recipes.run", "tiny").returncode == 0
    assert (project / "metrics/benchmark_cpu.json").exists(), "no stage makes it"
    assert json.loads((project / "metrics/train_scratch.json").read_bytes()) == {"hidden": PARAMS["model"]["hidden"]}
    assert (project / "dvc.lock").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no recipe 'tiny': NAME=... (none)"),
        (TINY.replace("7", "0"), "model.hidden is 0; input should be greater than or equal to 1"),
        (TINY.replace("hidden", "hiden"), "unknown key model.hiden"),
        (TINY.replace("valid_nats", "nats"), "headline is 'nats'; allowed are train_perplexity, valid_perplexity, "),
        (TINY.replace("7", "8") + "# not committed\n", "is not committed as it is: commit it first"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(project: Path, text: str | None, message: str) -> None:
    path = project / "recipes/tiny/recipe.yaml"
    path.unlink() if text is None else path.write_text(text)
    if text is None or "not committed" not in text:
        git(project, "commit", "-qam", "a mistake")
    failed = tool(project, "recipes.run", "tiny")
    assert failed.returncode == 1
    (line,) = failed.stderr.splitlines()
    assert line.startswith("recipe: ")
    assert message in line
    assert not (project / "runs.log").exists()


def test_ctrl_c_lets_the_stage_save_what_it_has(project: Path) -> None:
    (project / "first.py").write_text(SAVING)
    git(project, "commit", "-qam", "a stage that is interrupted")
    stopped = run(project, sys.executable, "-c", AT_A_TERMINAL, "tiny", start_new_session=True)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[-1] == "recipe: stopped; run the command again to resume"
    assert (project / "runs.log").read_text() == "saved\n"


def test_without_a_name_the_recipes_are_listed(project: Path) -> None:
    listed = tool(project, "recipes.run", "")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "tiny  a tiny one\n", "")
    (project / "recipes/tiny/recipe.yaml").write_text(TINY.replace("a tiny one", r'"a\e]0;title\a"'))
    assert tool(project, "recipes.run", "").stdout == "tiny  a\\x1b]0;title\\x07\n"
    git(project, "checkout", "-q", ".")
    assert tool(project, "recipes.run", "tin").stderr == "recipe: there is no recipe 'tin': NAME=... (tiny)\n"
    assert tool(project, "checks.verify", "tin").stderr == "verify: there is no recipe 'tin': NAME=... (tiny)\n"
    assert "there are no committed results of recipe tiny" in tool(project, "checks.verify", "tiny").stderr


@pytest.mark.parametrize("name", names(ROOT))
def test_every_recipe_is_valid_and_compared_with_a_published_figure_or_compressors(name: str) -> None:
    recipe = load_recipe(name, ROOT)
    assert parameters(name, recipe, ROOT).keys() == Params.model_fields.keys()
    compared = recipe.published[0].figures if recipe.published else {COMPRESSORS_MEASURE}
    assert recipe.headline in compared
    if recipe.params:  # whatever the text of params.yaml is
        assert recipe.params["corpus"].keys() == Corpus.model_fields.keys()
        assert recipe.params["tokenize"].keys() == Tokenize.model_fields.keys()


@shipped
@pytest.mark.parametrize("lock", sorted((ROOT / "recipes").glob("*/dvc.lock")), ids=lambda lock: lock.parent.name)
def test_committed_results_are_those_of_the_recipe(lock: Path) -> None:
    name = lock.parent.name
    assert read_yaml(lock)["stages"]["train_scratch"]["params"]["params.yaml"].keys() >= {"corpus.name", "seed"}
    assert changes(name, load_recipe(name, ROOT), ROOT) == ""


@shipped
def test_the_default_run_is_the_recipe_book() -> None:
    assert results_folder("book", load_recipe("book", ROOT), ROOT) == ROOT
