"""What README and docs say about the project is true of it: links, parameters, folders, targets, version."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from dvc.utils.flatten import flatten

from documents import DOCUMENTS, ROOT, Document
from lstm_lm.comparison.measures import BOOK_PERPLEXITY, LABELS
from shipped import shipped
from tools.recipes.recipe import load_recipe

README = DOCUMENTS[0]
CHINESE = Document(ROOT / "README.zh-CN.md")
(PARAMETERS,) = [document for document in DOCUMENTS if document.name == "docs/parameters.md"]
KNOWN = list(flatten(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))))
"""The full name of every parameter."""
COMMANDS = [command for document in DOCUMENTS for _, command in document.commands]


def broken(document: Document) -> list[str]:
    """The targets of its links and pictures, within the project, that do not exist."""
    missing = []
    for target in document.targets:
        name, _, anchor = target.partition("#")
        path = (document.path.parent / name).resolve() if name else document.path
        if "://" not in target and not (path.exists() and (not anchor or anchor in anchors(path))):
            missing.append(target)
    return missing


def anchors(path: Path) -> set[str]:
    """What a link to a file can put behind `#`: of a page a heading, of code a line."""
    if path.suffix == ".md":
        return Document(path).anchors
    return {f"L{number}" for number, _ in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)}


@pytest.mark.parametrize("document", [*DOCUMENTS, CHINESE], ids=lambda document: document.name)
def test_links_and_pictures_lead_to_files_and_headings(document: Document) -> None:
    assert broken(document) == []


def test_readme_shows_the_curves_and_leads_to_every_page() -> None:
    pages = [document.name for document in DOCUMENTS if document is not README]
    assert {"plots/learning_curves.png", CHINESE.name, *pages} <= set(README.targets)


def test_the_chinese_page_has_the_tables_and_the_commands_of_the_first_screen() -> None:
    first = README.headings[: len(CHINESE.headings)]
    assert [command for _, command in CHINESE.commands] == [c for heading, c in README.commands if heading in first]
    assert len(CHINESE.rows) > len(LABELS)
    assert CHINESE.rows == README.rows[: len(CHINESE.rows)]
    pictures = [target for target in CHINESE.targets if target.endswith(".png")]
    assert pictures == [target for target in README.targets if target.endswith(".png")][: len(pictures)]


@shipped
def test_the_figures_of_the_book_name_their_edition() -> None:
    published = load_recipe("book", ROOT).published
    assert {model.figures["train_perplexity"] for model in published} == set(BOOK_PERPLEXITY.values())
    assert all("Chinese edition 2.0" in model.who for model in published)
    assert {model.source for model in published} <= set(README.targets) & set(CHINESE.targets)


def test_a_broken_link_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.ROOT", tmp_path)
    page = tmp_path / "page.md"
    (tmp_path / "code.py").write_text("one\ntwo\n")
    page.write_text(
        "# A `b`\n\n[here](#a-b) [gone](#a) ![gone](no.png) [elsewhere](https://example.com/x)\n"
        "[a line](code.py#L2) [gone](code.py#L3)\n"
    )
    assert broken(Document(page)) == ["#a", "no.png", "code.py#L3"]


def test_the_tables_have_every_parameter() -> None:
    assert [row[0].strip("`") for row in PARAMETERS.rows if row[0].startswith("`")] == KNOWN


def test_readme_names_parameters_that_exist() -> None:
    named = {code for code in README.code if re.fullmatch(r"[a-z]+\.[a-z_]+", code)}
    assert named
    assert named - {*KNOWN} == set()


def test_every_folder_is_named() -> None:
    (tree,) = [
        block.text for document in DOCUMENTS for block in document.blocks if block.heading == "Where everything is"
    ]
    package = {f"  {path.parent.name}/" for path in (ROOT / "src/lstm_lm").glob("*/__init__.py")}
    named = set(re.findall(r"^( *[\w./]+/)", tree, re.MULTILINE))
    assert {name for name in named if name.startswith(" ")} == package
    assert [name for name in named if not name.startswith(" ") and not (ROOT / name).is_dir()] == []


def test_a_command_in_a_sentence_begins_a_command_of_a_block() -> None:
    mentioned = {code for document in DOCUMENTS for code in document.code if re.match("(make|dvc|python) ", code)}
    assert [code for code in sorted(mentioned) if not any(command.startswith(code) for command in COMMANDS)] == []


def test_a_block_is_commands_or_text() -> None:
    assert {block.language for document in DOCUMENTS for block in document.blocks} <= {"sh", "text"}


def test_the_changelog_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (changelog,) = [document for document in DOCUMENTS if document.name == "CHANGELOG.md"]
    releases = [heading for heading in changelog.headings if heading.startswith("[")]
    assert releases[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(project['version'])}\] - \d{{4}}-\d\d-\d\d", releases[1])
