"""The numbers in README and docs are the committed ones."""

import json
from pathlib import Path

import pytest

from lstm_lm.core.atomic import write_json
from projects import ROOT
from reported import TOKENIZE, write_results
from shipped import committed, shipped
from tools.docs import parameters, readme, recipes, scaling
from tools.recipes.recipe import load_recipe


@shipped
@committed
@pytest.mark.parametrize("page", readme.TABLES)
def test_tables_are_those_of_the_committed_metrics(page: str) -> None:
    assert readme.update(page, ROOT) == (ROOT / page).read_text(encoding="utf-8"), "run `make readme`"


@shipped
def test_the_comments_of_params_yaml_are_the_meanings_of_its_parameters() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert parameters.commented(ROOT) == text, "run `make readme`"
    assert max(map(len, text.splitlines())) <= 120


def test_a_comment_follows_its_value(tmp_path: Path) -> None:
    lines = parameters.commented(ROOT).splitlines()
    (tmp_path / "params.yaml").write_text("\n".join(line.partition(" #")[0].rstrip() for line in lines) + "\n")
    assert parameters.commented(tmp_path).splitlines() == lines


@pytest.mark.parametrize(
    "block",
    [
        "  prefixes:               # texts that each model continues\n  # mine # own\n  - 'rule #1 of time'\n",
        "  prefixes: ['a #1', b]   # texts that each model continues\n",
        "  prefixes: ['rule #1 of time', b] # texts that each model continues\n",
        "  prefixes: ['one text in\n    two lines']\n",
    ],
)
def test_no_value_and_no_line_of_the_user_s_is_cut(block: str, tmp_path: Path) -> None:
    before, rest = (ROOT / "params.yaml").read_text(encoding="utf-8").split("  prefixes:")
    ours = before + block + rest[rest.index("  length:") :]
    for text in (ours, ours.rstrip("\n")):
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        assert parameters.commented(tmp_path) == ours


def test_the_stacks_are_ratios_of_speeds(tmp_path: Path) -> None:
    names = ("nn.LSTM, pipeline, native", "nn.LSTM, pipeline, portable", "fused in C++, pipeline, portable")
    rows = [
        {
            "layers": 2,
            "hidden": 200,
            "vocab_size": 10000,
            "contestant": name,
            "step_ms": {"median": ms, "q1": ms, "q3": ms},
        }
        for name, ms in zip(names, (3.0, 4.0, 2.0), strict=True)
    ]
    (tmp_path / "metrics").mkdir()
    report = {"measured_on": "a CPU", "ratios": {}, "default_shape": {}, "stacks": rows}
    (tmp_path / "metrics/benchmark_cpu.json").write_text(json.dumps(report))
    cells = [cell.strip() for cell in readme.stacks(tmp_path).splitlines()[-1].strip("|").split("|")]
    assert cells == ["2", "200", "10,000", "2.00", "1.50"]


def test_a_missing_marker_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no tables here")
    with pytest.raises(ValueError, match=r"README\.md lacks the markers <!-- results -->"):
        readme.update("README.md", tmp_path)


def test_a_benchmark_that_has_not_run_is_named_so_and_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    markers = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in readme.TABLES["docs/scaling.md"])
    (tmp_path / "docs/scaling.md").write_text(markers)
    assert readme.update("docs/scaling.md", tmp_path).count("Not measured yet.") == 3
    (tmp_path / "README.md").write_text("<!-- results -->\n<!-- /results -->\n")
    with pytest.raises(FileNotFoundError):
        readme.update("README.md", tmp_path)


def test_the_book_stands_beside_its_own_text_alone_and_recipes_may_be_missing(tmp_path: Path) -> None:
    write_results(tmp_path, scale=1.0)  # of the sample
    (tmp_path / "docs").mkdir()
    pages = ("README.md", "docs/recipes.md")
    for page in pages:
        markers = "".join(f"<!-- {name} -->\n<!-- /{name} -->\n" for name in readme.TABLES[page])
        (tmp_path / page).write_text(markers)
    text = "".join(readme.update(page, tmp_path) for page in pages)
    assert ("(book: " in text, "The book: " in text, text.count("Not measured yet.")) == (False, False, 1)

    (tmp_path / "recipes/mine").mkdir(parents=True)
    published = "published:\n- who: others\n  source: https://example.com\n  figures:\n    valid_nats: 1.47\n"
    (tmp_path / "recipes/mine/recipe.yaml").write_text("title: the default run\nheadline: valid_nats\n" + published)
    (tmp_path / "dvc.lock").touch()
    assert "1.47" not in readme.update("docs/recipes.md", tmp_path)
    write_json(tmp_path / "metrics/tokenize.json", TOKENIZE | {"corpus": "time_machine"})
    passages = json.loads((tmp_path / "metrics/passages.json").read_text())
    for level, there in (("word", False), ("char", True)):
        write_json(tmp_path / "metrics/passages.json", passages | {"level": level})
        assert readme.update("docs/recipes.md", tmp_path).count("1.47") == 2 * there
        text = readme.update("README.md", tmp_path)
        assert ("(book: " in text, "The book: " in text) == (there, there)


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    """A project of four recipes: run, not run, with a test split too short for a score, and beside compressors."""
    published = "published:\n- who: others\n  source: https://example.com\n  figures:\n    valid_nats: 1.47\n"
    files = {"mine": "title: mine\nheadline: valid_nats\nparams:\n  seed: 1\n" + published}
    files["not_yet"] = files["mine"]
    files["too_short"] = files["mine"].replace("valid_nats", "test_perplexity")
    files["compressed"] = "title: mine\nheadline: valid_bits_per_character\nparams:\n  seed: 1\n"
    for name, text in files.items():
        (tmp_path / "recipes" / name).mkdir(parents=True)
        (tmp_path / "recipes" / name / "recipe.yaml").write_text(text)
    written = [
        {"model": "scratch", "prefix": "a b", "mode": mode, "text": f" is {mode}"} for mode in ("greedy", "sampled")
    ]
    for recipe in ("mine", "too_short", "compressed"):
        metrics = tmp_path / f"recipes/{recipe}/metrics"
        write_results(metrics.parent, scale=1.0)
        write_json(metrics / "tokenize.json", TOKENIZE | {"test_tokens": 2, "lzma_bits_per_character": 2.25})
        scores = json.loads((metrics / "evaluate.json").read_text())
        scores["concise"]["valid"]["bits_per_token_in_windows"] = 3.0
        write_json(metrics / "evaluate.json", scores)
        write_json(metrics / "generated.json", {"texts": written})
        (tmp_path / f"recipes/{recipe}/dvc.lock").touch()
    return tmp_path


def cells(table: str) -> list[list[str]]:
    """The cells of the table's rows."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line]


def test_each_recipe_has_a_table_of_what_it_and_others_reached(compared: Path) -> None:
    page = recipes.measures(compared)
    assert page.count("```text\na b is sampled\n```") == 3
    rows = cells(page)[5:]  # after those of "compressed"
    assert rows[2] == ["from scratch", "4.00", "12.50", "1.0830", "", "1.562", "40,000", "0.2"]
    assert rows[3][3:5] == ["0.8123", "2.0794"]
    assert rows[4] == ["xz, by Python's lzma", *[""] * 4, "2.250", "", ""]
    assert rows[5] == ["[others](https://example.com)", "", "", "1.47", *[""] * 4]
    assert rows[6:9] == [
        ["", "validation nats per token"],
        [":------------------------------", "----------------------------:"],
        ["from scratch, not run", ""],
    ]


def test_a_recipe_stands_beside_what_others_published(compared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ["validation nats per token", "1.47 (others)", "1.0830", "0.8123"]
    compressed, *others = cells(recipes.headlines(compared))[2:]
    assert compressed[1:3] == ["validation bits per character", "2.250 (xz, by Python's lzma)"]
    assert others == [
        ["[mine](#mine): mine", *ours],
        ["[not_yet](#not_yet): mine", *ours[:2], "not run", "not run"],
        ["[too_short](#too_short): mine", "test perplexity", "1.47 (others)", "", ""],
    ]
    monkeypatch.setattr(recipes, "FIRST", ("mine", "too_short"))
    assert recipes.first(compared).splitlines() == [
        "- [mine](docs/recipes.md#mine): mine. Validation nats per token: **1.0830** (from scratch); "
        "**0.8123** (torch.nn.LSTM); 1.47 (others)",
        "- [too_short](docs/recipes.md#too_short): mine. Test perplexity: 1.47 (others)",
    ]


def test_a_long_line_of_a_sampled_text_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes/mine").mkdir(parents=True)
    (tmp_path / "recipes/mine/recipe.yaml").write_text("title: mine\nheadline: valid_nats\nparams:\n  seed: 1\n")
    monkeypatch.setattr(recipes.standings, "sample", lambda *_: f"{'word ' * 40}\n\nROMEO:")
    lines = recipes.measures(tmp_path).partition("```text\n")[2].splitlines()
    assert max(map(len, lines)) <= recipes.WIDTH
    assert " ".join(lines[:-3]).split() == ["word"] * 40
    assert lines[-3:] == ["", "ROMEO:", "```"]


def test_a_text_of_a_model_is_quoted_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes.standings, "sample", lambda *_: "time *traveller*\n# <b>")
    assert recipes.whole_book(tmp_path) == r"> time \*traveller\* \# \<b\>"


@shipped
def test_readme_shows_a_recipe_of_each_corpus() -> None:
    corpora = [load_recipe(name, ROOT).params["corpus"]["name"] for name in recipes.FIRST]
    assert sorted(corpora) == ["ptb", "time_machine", "tiny_shakespeare"]


def corpus_report(root: Path, *seconds_by_megabytes: tuple[int, float]) -> None:
    sizes = [{"megabytes": text, "stages": {"fetch": {"seconds": s}}} for text, s in seconds_by_megabytes]
    report = {"measured_on": "a CPU", "load_before": 0.0, "sizes": sizes}
    write_json(root / "metrics/benchmark_corpus.json", report)


def test_what_does_not_grow_with_the_text_is_no_part_of_the_hours_for_larger_ones(tmp_path: Path) -> None:
    corpus_report(tmp_path, (100, 20 + 100 * 0.036), (1000, 20 + 1000 * 0.036))
    assert scaling.hours(tmp_path).splitlines()[-1].split("|")[2].split() == ["1", "h,", "0.12", "h"]


def test_hours_from_texts_that_do_not_grow_are_refused(tmp_path: Path) -> None:
    corpus_report(tmp_path, (100, 20), (100, 30))
    with pytest.raises(ValueError, match=r"the table hours of docs/scaling.md cannot be made \(ZeroDivisionError: "):
        readme._made("docs/scaling.md", "hours", tmp_path)
