"""Whatever stands in a file of JSON, the report, the summary and the readme generator show it or say so in one line."""

import functools
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from projects import ROOT
from reported import commit, make_project, write_results
from tools import summary
from tools.docs import readme
from tools.report import __main__ as report
from tools.report import difference, page

DAMAGES = 3
"""Of each file and reader, in a test."""

VALUES: list[Any] = [None, True, -1, 0, 0.5, 1e308, 10**30, "", "word", "\x1b[2J", [], [1], {}, {"a": 1}, [[]], [{}]]

Place = tuple[list[Any] | dict[str, Any], Any]


def places(content: Any) -> Iterator[Place]:
    """Every list or object in `content` with each of its keys."""
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield content, key
        yield from places(content[key])


def damaged(text: str, chance: random.Random) -> str:
    """JSON with one value of another kind, missing or twice; or a text that is no JSON any more."""
    content = json.loads(text)
    block, key = chance.choice(list(places(content)))
    match chance.randrange(6):
        case 0:
            return text[: chance.randrange(len(text))]
        case 1:
            return json.dumps(chance.choice(VALUES))
        case 2:
            block.pop(key)
        case 3 if isinstance(block, list):
            block.append(block[key])
        case 4 if isinstance(block, dict):
            block[f"{key}_"] = block.pop(key)
        case _:
            block[key] = chance.choice(VALUES)
    return json.dumps(content)


def made_readme(root: Path) -> None:
    """All tables but those of the walkthrough, which reads no JSON."""
    for path, tables in readme.TABLES.items():
        for name in tables if path != "docs/walkthrough.md" else ():
            readme._made(path, name, root)


READERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "report": (lambda root: report.main(None, root), "[!b]*"),  # pyright: ignore[reportArgumentType]
    "summary": (lambda root: summary.main(None, root), "[!b]*"),  # pyright: ignore[reportArgumentType]
    "readme": (made_readme, "[!g]*"),
}
"""What reads, and which files in metrics/: benchmarks are in README and docs alone, generated text is not there."""


def line_of(read: Callable[[Path], None], root: Path) -> str:
    """The line that a reader ends in, as `stage.run` would print it; empty where it shows what it found."""
    try:
        read(root)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with results, benchmarks and a recipe. What takes long is left out: pictures, scripts, DVC's status."""
    root = make_project(tmp_path / "project")
    write_results(root, scale=1.25)
    commit(root, "results")
    write_results(root, scale=1.0)
    for path in ROOT.glob("metrics/benchmark_*.json"):
        shutil.copy(path, root / "metrics")
    for name, parameters in (("book", ""), ("time_machine_whole", "params: {seed: 1}\n")):
        (root / "recipes" / name).mkdir(parents=True)
        recipe = "title: mine\nheadline: valid_nats\n" + parameters
        (root / "recipes" / name / "recipe.yaml").write_text(recipe)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    monkeypatch.chdir(root)
    monkeypatch.setattr("sys.argv", ["report"])
    monkeypatch.setattr(difference, "_outdated", lambda _root: [])
    monkeypatch.setattr(difference, "_at_base", functools.cache(difference._at_base))  # the base stays what it is
    monkeypatch.setattr(page, "_png", lambda _chart: b"")
    monkeypatch.setattr(page.vl_convert, "javascript_bundle", str)
    return Path()


@pytest.mark.parametrize("reader", READERS)
def test_damaged_json_is_shown_or_said_in_one_line(
    reader: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (read, pattern), chance, refused = READERS[reader], random.Random(reader), 0
    assert line_of(read, project) == ""
    paths = sorted([*project.glob(f"metrics/{pattern}.json"), *project.glob("data/units.json")])
    for path in paths:
        whole = path.read_text(encoding="utf-8")
        for _ in range(DAMAGES):
            text = damaged(whole, chance)
            path.write_text(text, encoding="utf-8")
            if line := line_of(read, project):
                assert line.startswith("the table " if reader == "readme" else str(path)), text
                assert str(path) in line or path.match("benchmark_*"), text
                assert len(line.splitlines()) == 1, text
                refused += 1
        path.write_text(whole, encoding="utf-8")
    assert refused > len(paths)
    assert all(map(str.isprintable, capsys.readouterr().out.splitlines()))
