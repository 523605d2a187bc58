import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from lstm_lm.comparison.measures import LABELS, SPLITS
from lstm_lm.comparison.plots import LEARNING_CURVES
from lstm_lm.core.json_file import read_json
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import UNKNOWN, Vocabulary
from projects import ROOT, set_params
from reported import commit, difference_of, git, make_project, tool, write_results
from tools.report import __main__ as report
from tools.report import headline
from tools.report.__main__ import notes
from tools.report.difference import Change, difference, snapshot
from tools.report.excerpt import excerpts
from tools.report.figure import _generalisation, _over_epochs, figures, series
from tools.report.panel import panel
from tools.report.unfinished import unfinished


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results committed and still the same."""
    root = make_project(tmp_path_factory.mktemp("report") / "a project")
    write_results(root, scale=1.0)
    commit(root, "results")
    return root


@pytest.fixture(scope="module")
def alone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results in a first commit, a branch without the project, and a branch with a damaged file."""
    root = tmp_path_factory.mktemp("alone") / "project"
    shutil.copytree(project, root, ignore=shutil.ignore_patterns(".git"))
    git(root, "init", "-q", "-b", "main")
    commit(root, "the first commit")
    git(root, "checkout", "-q", "--orphan", "damaged")
    (root / "metrics/evaluate.json").write_text("{", encoding="utf-8")
    commit(root, "a damaged file")
    git(root, "checkout", "-q", "--orphan", "elsewhere")
    git(root, "rm", "-rqf", ".")
    (root / "README").touch()
    commit(root, "another project")
    git(root, "checkout", "-q", "main")
    return root


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], None]:
    """Writes the report on the project in a folder, against a revision."""

    def written(root: Path, base: str = "HEAD") -> None:
        monkeypatch.setattr("sys.argv", ["report", base])
        monkeypatch.chdir(root)
        report.main(None, Path())  # pyright: ignore[reportArgumentType]

    return written


def markdown(root: Path) -> str:
    return (root / "report/report.md").read_text(encoding="utf-8")


def test_the_table_holds_the_metrics_and_judges_every_change(reported):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown(reported).splitlines() if "|" in line]
    table = {row[0]: row[1:] for row in rows if len(row) == 5}
    better = "▼ 20.0% better than"
    assert table["Train perplexity, last epoch"] == ["4.00", f"{better} 5.00", "**3.00**", f"{better} 3.75"]
    assert table["Validation perplexity"] == ["12.50", f"{better} 15.62", "**9.38**", f"{better} 11.72"]
    for title in ("Test perplexity", "Validation bits per character"):
        assert table[title][1].startswith(better)
    assert table["Tokens per second"] == ["**40,000**", "= unchanged", "30,000", "= unchanged"]
    assert table["Parameters"] == ["12,345", "= unchanged", "12,345", "= unchanged"]


def test_the_report_says_what_was_run_and_what_changed(reported):
    text = markdown(reported)
    assert (
        "sample · hidden 64 · epochs 60 · seed 0 · kernel from scratch: scratch; torch.nn.LSTM: concise · a CPU" in text
    )
    assert "| model.hidden | 256 | 64 |" in text
    assert "| train.epochs | 500 |" in text.split("### Parameters")[1]
    assert "| model.hidden | 64 |" in text.split("### Parameters")[1]
    assert "| kernel | from scratch: scratch; torch.nn.LSTM: concise |" in text
    assert "do not belong to the present code, parameters and data: dvc repro would run" in text


def test_every_picture_that_markdown_names_is_there(reported):
    names = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\.png\)", markdown(reported))
    assert names == ["learning_curves", "generalisation", "throughput", "surprisal_by_position"]
    for name in names:
        assert (reported / f"report/{name}.png").read_bytes().startswith(b"\x89PNG")
    pipelines_own = (reported / "plots/generalisation.png").read_bytes()
    assert (reported / "report/generalisation.png").read_bytes() == pipelines_own


def test_nothing_from_files_is_markup_in_markdown(reported):
    outside = re.sub(r"^```.*?^```$", "", markdown(reported), flags=re.MULTILINE | re.DOTALL)
    assert "alert" in outside
    assert not re.search(r"(?<!\\)<", outside.replace("> ", ""))
    assert "](http" not in outside.replace("\\](", "")


def test_a_second_run_writes_the_same_bytes(reported, write, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(reported, copy)
    write(copy)
    for path in (reported / "report").iterdir():
        assert (copy / "report" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_base_with_the_same_curve_adds_no_line():
    def lines(base: dict[int, float]) -> list[str]:
        curves = {"scratch": {"train_perplexity": Change(base, {1: 2.5})}}
        return [line.title for line in series(difference_of(curves=curves), {"train_perplexity": "train"})]

    assert lines({1: 2.5}) == ["from scratch, train"]
    assert lines({1: 2.6}) == ["from scratch, train", "from scratch, train (base)"]


def test_the_base_s_scores_stand_under_the_base_s_titles() -> None:
    scores = {f"{model}.{split}.perplexity": Change(4.0, 3.0) for model in LABELS for split in SPLITS}
    metrics = {"metrics/evaluate.json": scores, "metrics/tokenize.json": {"unigram_perplexity": Change(None, 9.0)}}
    shown = _generalisation(difference_of(metrics), b"")
    ours = dict.fromkeys(LABELS.values(), "3.0000")
    base = {f"{label} (base)": "4.0000" for label in LABELS.values()}
    assert dict(zip(shown.header, shown.rows[0], strict=True)) == {"split": "train"} | ours | base


def test_each_passage_is_its_split_s_and_its_bits_are_its_model_s(project: Path, tmp_path: Path) -> None:
    path = shutil.copytree(project, tmp_path / "copy") / "metrics/passages.json"
    rows = {}
    for split, bits in (("train", 1.0), ("valid", 3.0)):
        ours, theirs = ({"bits": part, "likeliest": {"a": 0.5}} for part in (bits, 2 * bits))
        rows[split] = [{"text": split[0], "scratch": ours, "concise": theirs}]
    path.write_text(json.dumps(read_json(path) | rows), encoding="utf-8")
    passages = panel(tmp_path / "copy")["passages"]
    assert [told["mean"] for passage in passages for told in passage["models"].values()] == [1, 2, 3, 6]
    assert [passage["models"]["concise"]["tokens"] for passage in passages] == [[("t", 1)], [("v", 4)]]


def test_a_split_of_few_tokens_has_no_row(project):
    here = difference("HEAD", project)
    counts = here.metrics["metrics/tokenize.json"] | {"test_tokens": Change(None, 1)}
    few = here._replace(metrics={**here.metrics, "metrics/tokenize.json": counts})
    for shown, splits in ((here, ["train", "validation", "test"]), (few, ["train", "validation"])):
        assert [row[0] for row in figures(shown, project)["generalisation"].rows] == splits
        assert ("Test perplexity" in headline.table(shown)) == ("test" in splits)


def test_the_corpus_speaks_for_itself(project, tmp_path):
    first, second, _ = excerpts(project)
    assert first["corpus"] == " for so it wi"
    assert [row["agreed"] for row in first["rows"]] == [len(" for so it ")] * 2
    assert second["missing"] == "not shown: the corpus does not hold this prefix in its first 8 MiB"
    without = shutil.copytree(project, tmp_path / "project", ignore=shutil.ignore_patterns("raw", ".git"))
    assert "dvc pull" in excerpts(without)[0]["missing"]


def excerpt_of(root: Path, prefix: str, text: str, tokenizer: Tokenizer, **raw: str) -> dict[str, Any]:
    """The excerpt of a project with these texts in data/raw/, where a model wrote `text` after `prefix`."""
    for folder in ("metrics", "data/raw", "data/tokens"):
        (root / folder).mkdir(parents=True)
    for name, content in raw.items():
        (root / f"data/raw/{name}.txt").write_text(content, encoding="utf-8")
    Vocabulary((UNKNOWN,), tokenizer).save(root / "data/tokens/vocabulary.json")
    rows = [{"model": "scratch", "prefix": prefix, "mode": "greedy", "text": text}]
    (root / "metrics/generated.json").write_text(json.dumps({"texts": rows}), encoding="utf-8")
    [excerpt] = excerpts(root)
    return excerpt


def test_a_model_that_wrote_nothing_has_an_excerpt(tmp_path: Path) -> None:
    excerpt = excerpt_of(tmp_path, "the", "", Tokenizer("char", "letters"), corpus="the time")
    assert [row["text"] for row in excerpt["rows"]] == [""]


def test_words_are_found_whole_and_in_every_file(tmp_path: Path):
    raw = {"train": "others ago\n", "valid": "A  the\n  sea A\n", "test": "the A\n"}
    excerpt = excerpt_of(tmp_path, "the", "\nsea the", Tokenizer("word", "none"), **raw)
    assert excerpt["corpus"] == "↵sea A↵"
    assert excerpt["rows"][0]["agreed"] == len("\nsea ")
    assert excerpt["block"].splitlines()[1:3] == [
        "the corpus itself       the|↵sea A↵",
        "from scratch, greedy    the|↵sea the",
    ]


@pytest.mark.parametrize(("prefix", "follows"), [("ROMEO:\n", "But"), ("\nBut", " so"), ("OMEO:\n", "")])
def test_words_are_found_beside_a_line_end(prefix: str, follows: str, tmp_path: Path):
    excerpt = excerpt_of(tmp_path, prefix, follows, Tokenizer("word", "none"), corpus="ROMEO:\nBut so\n")
    assert excerpt["corpus"] == follows


@pytest.mark.parametrize("level", ["char", "word"])
def test_only_the_head_of_a_text_is_searched(
    level: Literal["char", "word"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tools.report.excerpt.HEAD_MIB", 1)
    text, tokenizer = "ab cd " * (2**20 // 6) + "cd dc ab", Tokenizer(level, "letters")
    assert excerpt_of(tmp_path / "head", "ab", "c", tokenizer, corpus=text)["corpus"] == " "
    beyond = excerpt_of(tmp_path / "beyond", "cd dc", "a", tokenizer, corpus=text)
    assert beyond["missing"] == "not shown: the corpus does not hold this prefix in its first 1 MiB"


def test_a_mark_stays_with_its_letter(tmp_path: Path):
    letter, sign = "\N{DEVANAGARI LETTER KA}", "\N{DEVANAGARI VOWEL SIGN I}"
    text, tokenizer = f"abcdef{letter}{sign}{letter}\n", Tokenizer("char", "none")
    excerpt = excerpt_of(tmp_path, "abc", f"def{letter}", tokenizer, corpus=text)
    assert excerpt["corpus"] == f"def{letter}{sign}"
    assert excerpt["rows"][0]["agreed"] == len("def")


def test_the_same_results_as_the_base_are_called_so(project):
    assert notes(difference("HEAD", project))[-1] == "Nothing differs from HEAD."


def test_a_base_without_results_is_called_so(project):
    here = difference("HEAD~1", project)
    assert notes(here)[-1] == "HEAD~1 holds no results, so there is nothing to compare with."
    assert here.metric("metrics/evaluate.json", "scratch.valid.perplexity") == (None, 12.5)


def test_without_git_the_report_is_about_what_is_here(project, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git"))
    (copy / ".dvc/config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    here = difference("HEAD", copy)
    assert here.base is None
    assert notes(here)[-1] == "Nothing is compared: this is not a git repository."
    assert here.metric("metrics/evaluate.json", "scratch.valid.perplexity") == (None, 12.5)
    assert here.params["model.hidden"] == (None, 256)
    assert len(here.curve("scratch", "train_perplexity", at_base=False)) == 60
    assert here.curve("scratch", "train_perplexity", at_base=True) == {}


@pytest.mark.parametrize(
    ("revision", "why"),
    [
        ("--help", "--help cannot be read: unknown Git revision '--help'"),
        ("a; touch pwned", "a; touch pwned cannot be read: unknown Git revision 'a; touch pwned'"),
        ("HEAD~1", "HEAD~1 cannot be read: unknown Git revision 'HEAD~1'"),
        ("HEAD^{tree}", "HEAD^{tree} is not a commit"),
        ("HEAD:params.yaml", "HEAD:params.yaml is not a commit"),
        ("elsewhere", "elsewhere has no params.yaml"),
        ("damaged", "damaged cannot be read: metrics/evaluate.json is not valid JSON"),
    ],
)
def test_without_a_usable_base_the_report_says_why_and_compares_nothing(alone: Path, revision: str, why: str):
    here = difference(revision, alone)
    assert here.base is None
    assert here.metric("metrics/evaluate.json", "scratch.valid.perplexity") == (None, 12.5)
    assert notes(here)[-1].startswith(f"Nothing is compared: {why}")
    assert not (alone / "pwned").exists()


def test_a_report_without_a_usable_base_is_written(alone: Path, write, capsys: pytest.CaptureFixture[str]):
    write(alone, "HEAD~1")
    said = capsys.readouterr().out
    assert said.endswith(" Nothing is compared: HEAD~1 cannot be read: unknown Git revision 'HEAD~1'.\n")
    assert "Nothing to compare with." in markdown(alone)
    assert "the first commit" in markdown(alone)
    assert "| base |" not in markdown(alone)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metrics/evaluate.json", "{", "is not valid JSON: "),
        ("metrics/evaluate.json", '{"scratch": {"test": {"perplexity": "2"}}}', ": scratch.test.perplexity is '2'; "),
        ("plots/curve_scratch.tsv", "x\n1\n", "is damaged: "),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, said):
    path = make_project(tmp_path / "project") / name
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=f"{name} ?{said}"):
        snapshot(tmp_path / "project")


def test_without_results_there_is_one_clear_line(tmp_path):
    done = tool(make_project(tmp_path / "project"), "report")
    assert done.returncode == 1
    assert done.stderr == "report: metrics/evaluate.json has no scratch.train.perplexity: run dvc repro first\n"


def test_in_a_subfolder_and_after_a_killed_experiment_the_base_is_what_git_says(tmp_path: Path) -> None:
    root = make_project(tmp_path / "repository/a project")
    (root / ".git").rename(root.parent / ".git")
    git(root.parent, "rm", "-rq", "--cached", ".")
    for scale in (1.0, 2.0):
        write_results(root, scale=scale)
        commit(root, f"{scale}")
    git(root, "update-ref", "refs/exps/exec/EXEC_BASELINE", "HEAD~1")  # as a killed `dvc exp run` leaves it
    write_results(root, scale=4.0)
    found = difference("HEAD", root)
    assert found.metric("metrics/evaluate.json", "scratch.train.perplexity") == Change(8.0, 16.0)
    assert found.curve("scratch", "train_perplexity", at_base=True)


def test_a_frozen_training_is_reported_as_what_it_is(tmp_path):
    root = make_project(tmp_path / "project")
    write_results(root, scale=1.0, epochs=500)
    trained = read_json(root / "metrics/train_concise.json") | {"hidden": 8}
    (root / "metrics/train_concise.json").write_text(json.dumps(trained), encoding="utf-8")
    set_params(root, corpus__name="sample", model__hidden=8)
    assert "from scratch was trained with model.hidden 256, params.yaml says 8." in notes(difference("HEAD", root))


@pytest.mark.parametrize("patience", [None, 5])
def test_a_training_that_lost_patience_is_as_params_say(patience: int | None, tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    write_results(root, scale=1.0, epochs=60)
    set_params(root, corpus__name="sample", train__patience=patience)
    assert any("train.epochs 60, params.yaml says 500" in note for note in notes(difference("HEAD", root))) == (
        patience is None
    )


def test_lines_that_end_at_other_epochs_have_their_ends_in_the_table_and_a_line_of_one_value_is_a_dot() -> None:
    curves = {
        "scratch": {"train_perplexity": dict.fromkeys(range(1, 21), 9.0), "valid_perplexity": {10: 8.0, 20: 7.0}},
        "concise": {"train_perplexity": dict.fromkeys(range(1, 16), 9.0), "valid_perplexity": {10: 6.0}},
    }
    changes = {model: {name: Change({}, line) for name, line in lines.items()} for model, lines in curves.items()}
    shown = _over_epochs(difference_of(curves=changes), LEARNING_CURVES, ".1f", [])
    assert [row[0] for row in shown.rows] == ["10", "15", "20"]
    assert isinstance(shown.chart, dict)
    assert [value["value"] for value in shown.chart["data"]["values"] if "single" in value] == [6.0]
    assert len(shown.chart["layer"]) == 3
    assert "; from scratch, validation 8.0 → 7.0; " in shown.summary


def test_a_training_that_is_not_over_is_marked(project, write, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    shutil.copytree(ROOT / "stages", copy / "stages")
    (copy / "metrics/train_scratch.json").unlink()  # as DVC does before it runs a stage
    stopped = "from scratch: stopped after 60 of 500 epochs."
    assert unfinished(difference("HEAD", copy), copy) == [stopped]
    writing = {str(copy / "metrics/train_scratch.json"): {"pid": os.getppid(), "cmd": "dvc repro"}}
    (copy / ".dvc/tmp/rwlock").write_text(json.dumps({"write": writing}), encoding="utf-8")
    with (copy / "stages/train_scratch.py").open("rb") as script:
        fcntl.flock(script, fcntl.LOCK_SH)
        write(copy)
    running = "from scratch: still training after 60 of 500 epochs."
    assert markdown(copy).count(running) == 3, "a note and two figures"
    assert "Another DVC runs, so it is unknown whether these results are current." in markdown(copy)
    assert "torch.nn.LSTM: still training" not in markdown(copy)


def test_what_is_missing_of_the_panel_is_said(project, write, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    shown = panel(copy)
    assert shown["missing"] == ""
    assert shown["data"]["units"].keys() == {"scratch", "concise"}
    passages = json.loads((copy / "metrics/passages.json").read_text(encoding="utf-8"))
    passages["valid"].pop()
    (copy / "metrics/passages.json").write_text(json.dumps(passages), encoding="utf-8")
    assert "dvc checkout" in panel(copy)["missing"]
    (copy / "data/units.json").unlink()
    assert "dvc repro" in panel(copy)["missing"]
    assert panel(copy)["data"]["units"] == {}
    (copy / "metrics/passages.json").write_text('{"corpus": "sample"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"metrics/passages\.json: missing key train$"):
        panel(copy)
    (copy / "metrics/passages.json").unlink()
    for table in (copy / "plots").glob("surprisal_*.tsv"):
        table.unlink()
    write(copy)
    assert "No passage is shown" in (copy / "report/index.html").read_text(encoding="utf-8")
    assert "Where the bits go" not in markdown(copy)


def test_markdown_tells_what_they_know(reported):
    assert "| train | " in markdown(reported).split("## What they know")[1].split("##")[0]
