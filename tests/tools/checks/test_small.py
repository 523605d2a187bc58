"""`make small` in a subfolder of a larger repository: the commit runs, in a copy, and its numbers are the record's."""

import json
import sys
from pathlib import Path

import pytest

from lstm_lm.core.processor import processor
from projects import ROOT, params_text
from reported import commit, commit_files, git, run, tool
from tools.checks import small
from tools.checks.small import judge

ENVIRONMENT = {"environment_scratch": {"kernel": "fused"}, "environment_concise": {"torch": "2"}}
RUN = {"environment": ENVIRONMENT, "sha256": {"metrics/train_scratch.json": "1", "metrics/evaluate.json": "2"}}
ALTERED = RUN | {"sha256": RUN["sha256"] | {"metrics/evaluate.json": "3", "metrics/train_concise.json": "4"}}

MODELS = ("scratch", "concise")
NAMES = ("evaluate", "tokenize", *(f"{name}_{model}" for name in ("train", "throughput") for model in MODELS))
PIPELINE = """\
stages:
  all:
    cmd: "{python} run.py"
    params: [corpus, model.hidden, train.epochs]
    metrics: [{metrics}]
"""
SCRIPT = """\
import json, yaml
from pathlib import Path
params = yaml.safe_load(Path("params.yaml").read_text())
assert params == yaml.safe_load(Path("tests/params.yaml").read_text())
score = {"perplexity": 12.5, "bits_per_token": 3.5, "bits_per_character": 3.5}
scores = dict.fromkeys(("train", "valid", "test"), score)
speed = {"device": "a CPU", "compiler": "none", "seconds": 2.5, "peak_memory_mib": 100}
speed |= dict.fromkeys(("tokens_per_second", "tokens_per_second_q1", "tokens_per_second_q3"), 1000)
trained = {"corpus": "sample", "perplexity": 8.0, "epochs": 20, "hidden": 64, "seed": 0, "parameters": 300}
tokens = dict.fromkeys(("characters", "tokens", "train_tokens", "valid_tokens", "test_tokens"), 5000)
contents = {"evaluate": {"corpus": params["corpus"]["name"], "scratch": scores, "concise": scores}}
contents["tokenize"] = {"corpus": "sample", "unigram_entropy_bits": 4, "unigram_perplexity": 16, **tokens}
for model in ("scratch", "concise"):
    contents |= {f"train_{model}": trained, f"throughput_{model}": speed}
Path("metrics").mkdir(exist_ok=True)
for name, content in contents.items():
    Path(f"metrics/{name}.json").write_text(json.dumps(content))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose pipeline writes what the table shows, in a subfolder of a repository."""
    metrics = ", ".join(f"{{metrics/{name}.json: {{cache: false}}}}" for name in NAMES)
    files = {
        "dvc.yaml": PIPELINE.format(python=sys.executable, metrics=metrics),
        "params.yaml": params_text(tokenize__train_tokens=10**6),
        "tests/params.yaml": (ROOT / "tests/params.yaml").read_text(),
        "run.py": SCRIPT,
        "tests/small_run.json": "damaged",
    }
    folder = commit_files(tmp_path / "repository/a project", files)
    (folder / ".git").rename(folder.parent / ".git")
    commit(folder.parent, "in a subfolder")
    return folder


def test_the_commit_runs_on_small_parameters_in_a_copy(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = project.parent.parent / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    (project / "run.py").write_text("raise SystemExit('not committed')")
    done = tool(project, "checks.small", "--update")
    assert done.returncode == 0, done.stderr
    assert "Corpus: sample" in done.stdout
    assert done.stdout.splitlines()[-1] == "tests/small_run.json has the numbers of this run."
    changed = run(project, "git", "diff", "--name-only", "--relative").stdout
    assert changed.split() == ["run.py", "tests/small_run.json"]

    (project / "run.py").write_text(SCRIPT.replace("12.5", "12.25"))
    git(project, "commit", "-qam", "other numbers")
    done = tool(project, "checks.small")
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("This change alters the numbers: metrics/evaluate.json. ")
    assert last in summary.read_text()


def test_it_runs_anew_although_all_clones_share_a_cache(project: Path, tmp_path: Path) -> None:
    with (project / ".dvc/config").open("a") as config:
        config.write(f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    commit(project, "a cache for all clones")
    for _ in range(2):
        done = tool(project, "checks.small", "--update")
        assert done.returncode == 0, done.stderr
        assert "Running stage 'all'" in done.stdout


@pytest.mark.parametrize(("option", "status", "recorded"), [([], 1, RUN), (["--update"], 0, ALTERED)])
def test_only_an_update_renews_the_record(
    option: list[str], status: int, recorded: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(small, "run", lambda update: ("the table", None if update else RUN, ALTERED))
    monkeypatch.setattr(sys, "argv", ["small", *option])
    small.RECORD.parent.mkdir()
    small.RECORD.write_text(json.dumps(RUN))
    with pytest.raises(SystemExit) as ended:
        small.main()
    assert ended.value.code == status
    assert json.loads(small.RECORD.read_text()) == recorded


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (RUN, (True, "The numbers are those of the committed small run.")),
        (
            ALTERED,
            (
                False,
                "This change alters the numbers: metrics/evaluate.json, metrics/train_concise.json. "
                "If that is intended, run `make small UPDATE=1` and commit tests/small_run.json. "
                "No result of the model from scratch alone differs; this processor may be why: "
                f"{processor().name}. oneDNN, which computes torch.nn.LSTM, does not promise the same bytes on every "
                "processor.",
            ),
        ),
        (
            ALTERED | {"environment": ENVIRONMENT | {"environment_concise": {"torch": "3"}}},
            (
                True,
                "The 1 results of the model from scratch are those of the record. For torch.nn.LSTM this is another "
                "kind of machine (environment_concise.torch: 2 -> 3).",
            ),
        ),
        (
            RUN | {"environment": ENVIRONMENT | {"environment_scratch": {"kernel": "fused in PyTorch"}}},
            (
                False,
                "The model from scratch was trained by other code than in the record "
                "(environment_scratch.kernel: fused -> fused in PyTorch).",
            ),
        ),
        (
            {
                "environment": ENVIRONMENT | {"environment_concise": {"torch": "3"}},
                "sha256": {"metrics/train_scratch.json": "9"},
            },
            (
                False,
                "This change alters the numbers: metrics/train_scratch.json. "
                "If that is intended, run `make small UPDATE=1` and commit tests/small_run.json.",
            ),
        ),
    ],
)
def test_a_change_that_alters_the_numbers_is_told(now: dict, expected: tuple[bool, str]) -> None:
    assert judge(RUN, now) == expected
