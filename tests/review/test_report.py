import re
import shutil
import sys
from pathlib import Path

import pytest

from lstm_lm.review import headline
from lstm_lm.review.difference import Change, Difference, difference, outdated
from lstm_lm.review.excerpt import excerpts
from lstm_lm.review.figure import series
from lstm_lm.review.page import block
from lstm_lm.review.report import notes, same_text
from reported import git, make_project, module, reported, run, write_results

__all__ = ["reported"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results committed and still the same."""
    root = make_project(tmp_path_factory.mktemp("report") / "a project")
    write_results(root, scale=1.0)
    git(root, "add", ".")
    git(root, "commit", "-qm", "results")
    return root


def markdown(root: Path) -> str:
    return (root / "report/report.md").read_text(encoding="utf-8")


def test_the_table_holds_the_metrics_and_judges_every_change(reported):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown(reported).splitlines() if "|" in line]
    table = {row[0]: row[1:] for row in rows if len(row) == 5}
    better = "▼ 20.0% better than"
    assert table["Train perplexity, last epoch"] == ["4.00", f"{better} 5.00", "**3.00**", f"{better} 3.75"]
    assert table["Held-out perplexity"] == ["12.50", f"{better} 15.62", "**9.38**", f"{better} 11.72"]
    assert table["Tokens per second, median"] == ["**40,000**", "= unchanged", "30,000", "= unchanged"]
    assert table["Parameters"] == ["12,345", "= unchanged", "12,345", "= unchanged"]


def test_the_report_says_what_was_run_and_what_changed(reported):
    text = markdown(reported)
    assert "hidden 64 · 500 epochs · seed 0 · a CPU" in text
    assert "| model.hidden | 256 | 64 |" in text
    assert "| train.epochs | 500 |" in text.split("### Parameters")[1]
    assert "| kernel | from scratch: scratch; torch.nn.LSTM: concise |" in text
    assert "do not belong to the present code, parameters and data: dvc repro would run" in text


def test_every_picture_that_markdown_names_is_there_as_png_and_svg(reported):
    names = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\.png\)", markdown(reported))
    assert names == ["learning_curves", "generalisation", "throughput"]
    for name in names:
        assert (reported / f"report/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "torch.nn.LSTM" in (reported / f"report/{name}.svg").read_text(encoding="utf-8")


def test_nothing_from_files_is_markup_in_markdown(reported):
    outside = re.sub(r"^```.*?^```$", "", markdown(reported), flags=re.MULTILINE | re.DOTALL)
    assert "alert" in outside
    assert not re.search(r"(?<!\\)<", outside.replace("> ", ""))
    assert "](http" not in outside.replace("\\](", "")


def test_a_fence_is_longer_than_any_in_its_text():
    assert block(["a ```` b", "c\nd"]) == "`````text\na ```` b\nc d\n`````"


def test_a_second_run_writes_the_same_bytes(reported, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(reported, copy)
    done = module(copy, "report")
    assert done.returncode == 0, done.stderr
    for path in (reported / "report").iterdir():
        assert (copy / "report" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("change", "form", "sense", "expected"),
    [
        (Change(10.0, 8.0), ".2f", -1, ("better", "▼", "20.0% better than 10.00")),
        (Change(10.0, 8.0), ".2f", 1, ("worse", "▼", "20.0% worse than 10.00")),
        (Change(10.0, 11.0), ".2f", -1, ("worse", "▲", "10.0% worse than 10.00")),
        (Change(10.0, 11.0), ".2f", 0, ("other", "▲", "from 10.00")),
        (Change(10.0, 10.004), ".2f", -1, ("same", "=", "unchanged")),
        (Change(0.0, 1.0), ".2f", -1, ("other", "▲", "from 0.00")),
        (Change(None, 1.0), ".2f", -1, ("none", "", "")),
        (Change(1.0, None), ".2f", -1, ("none", "", "")),
    ],
)
def test_judgements(change, form, sense, expected):
    assert headline.judge(change, form, sense) == expected


@pytest.mark.parametrize(
    ("before", "now", "judgement"),
    [
        (("a CPU", 90, 100, 110), ("a CPU", 45, 50, 55), "worse"),
        (("a CPU", 40, 100, 110), ("a CPU", 45, 50, 55), "other"),
        (("a CPU", 90, 100, 110), ("a GPU", 450, 500, 550), "other"),
    ],
)
def test_speeds_are_judged_on_one_machine_and_outside_their_spread(before, now, judgement):
    keys = ("device", "tokens_per_second_q1", "tokens_per_second", "tokens_per_second_q3")
    speeds: dict[str, Change] = dict(zip(keys, map(Change, before, now), strict=True))
    metrics = {"metrics/throughput_scratch.json": speeds}
    assert dict(headline.table(metrics, same_text=True))["Tokens per second, median"]["scratch"].judgement == judgement


def test_a_base_with_the_same_curve_adds_no_line():
    row = {"epoch": "1", "train_perplexity": "2.5", "filename": "curve_scratch.tsv"}
    here, base = row | {"rev": "workspace"}, row | {"rev": "HEAD"}
    assert [line.title for line in series([here, base], {"train_perplexity": "train"})] == ["from scratch, train"]
    other = base | {"train_perplexity": "2.6"}
    assert [line.points for line in series([here, other], {"train_perplexity": "train"})] == [[(1, 2.5)], [(1, 2.6)]]


def test_the_corpus_speaks_for_itself(project):
    first, second = excerpts(project)
    assert first["corpus"] == " for so it wi"
    assert [row["agreed"] for row in first["rows"]] == [len(" for so it ")] * 2
    assert second["missing"] == "not shown: the corpus does not hold this prefix"
    (project / "data/raw/corpus.txt").unlink()
    assert "dvc pull" in excerpts(project)[0]["missing"]


def test_the_same_results_as_the_base_are_called_so(project):
    assert notes(difference("HEAD", project))[-1] == "Nothing differs from HEAD."


def test_a_base_without_results_is_called_so(project):
    found = difference("HEAD~1", project)
    assert notes(found)[-1] == "HEAD~1 holds no results, so there is nothing to compare with."
    assert headline.value(found.metrics, "evaluate", "scratch.valid.perplexity") == (None, 12.5)


def test_perplexities_of_other_text_are_not_judged():
    metrics = {"metrics/evaluate.json": {"scratch.valid.perplexity": Change(2.0, 1.0)}}
    found = Difference("HEAD", metrics, {"tokenize.train_tokens": Change(10, 20)}, [], [], [])
    assert notes(found) == ["HEAD was trained on other text: perplexities are shown, but not judged."]
    cell = dict(headline.table(metrics, same_text(found)))["Held-out perplexity"]["scratch"]
    assert cell.judgement == "other"


def test_without_git_the_report_is_about_what_is_here(project, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git"))
    (copy / ".dvc/config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    found = difference("HEAD", copy)
    assert found.base is None
    assert notes(found)[-1].startswith("This is not a git repository")
    assert headline.value(found.metrics, "evaluate", "scratch.valid.perplexity") == (None, 12.5)
    assert found.params["model.hidden"] == (None, 256)
    assert {row["rev"] for row in found.curves} == {"workspace"}


@pytest.mark.parametrize("revision", ["--help", "a; touch pwned"])
def test_an_unknown_revision_is_named(project, revision):
    with pytest.raises(ValueError, match=re.escape(f"dvc metrics diff failed: unknown Git revision '{revision}'")):
        difference(revision, project)
    assert not (project / "pwned").exists()


def test_without_results_there_is_one_clear_line(tmp_path):
    done = module(make_project(tmp_path / "project"), "report")
    assert done.returncode == 1
    assert done.stderr == "report: metrics/evaluate.json has no scratch.train.perplexity: run dvc repro first\n"


def test_results_that_belong_to_the_code_get_no_warning(tmp_path):
    root = make_project(tmp_path / "project")
    pipeline = "stages:\n  one:\n    cmd: echo 1 > out\n    deps: [params.yaml]\n    outs: [out]\n"
    (root / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    assert outdated(root) == ["one"]
    made = run(root, sys.executable, "-m", "dvc", "repro", "--quiet")
    assert made.returncode == 0, made.stderr
    assert outdated(root) == []
