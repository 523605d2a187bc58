"""What others wrote is text in Markdown, never markup."""

from pathlib import Path

import pytest
from markupsafe import Markup

from reported import HOSTILE, write_results
from tools.docs import readme, recipes
from tools.markdown import block, code, escape, link, table

TITLE = f"a <!-- /recipes --> {HOSTILE}\n| b |\n### c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b *c* _d_ e_", r"a_b \*c\* \_d\_ e\_"),
        ("<!-- /recipes -->", r"\<!-- /recipes --\>"),
        ("a | b\n\n# c", r"a \| b \# c"),
        ("[x](http://y.test)", r"\[x\](http://y.test)"),
        (r"\` & $", r"\\\` \& \$"),
        (1.5, "1.5"),
        (Markup("**bold**"), "**bold**"),
    ],
)
def test_a_value_is_shown_as_it_is(text: object, shown: str) -> None:
    assert escape(text) == shown
    assert escape(escape(text)) == shown


def test_code_and_blocks_end_where_they_should() -> None:
    assert code("fused") == "`fused`"
    assert code("a ` b\n") == "`` a ` b ``"
    assert block(["a ```` b", "c\nd"]) == "`````text\na ```` b\nc d\n`````"


def test_a_link_leads_to_its_address_alone() -> None:
    assert link("a]b", "https://x.test/a_(b)?c=d#e") == r"[a\]b](https://x.test/a_%28b%29?c=d#e)"
    assert link("a", 'https://x.test/)<img/src="x">|') == "[a](https://x.test/%29%3Cimg/src=%22x%22%3E%7C)"


def test_a_cell_is_one_cell() -> None:
    assert table(["", "n|m"], [[Markup("`a`"), "1"], ["x | y\nz", "2"]]).splitlines() == [
        "|          |   n\\|m |",
        "|:---------|-------:|",
        "| `a`      |      1 |",
        "| x \\| y z |      2 |",
    ]


def test_a_hostile_recipe_and_corpus_stay_in_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "FIRST", ("book",))
    recipe = tmp_path / "recipes/book/recipe.yaml"
    recipe.parent.mkdir(parents=True)
    published = f"{{who: {TITLE!r}, source: 'https://x.test/)<img>', figures: {{valid_nats: 1}}}}"
    recipe.write_text(f"title: {TITLE!r}\nheadline: valid_nats\npublished: [{published}]\n".replace("\\n", " "))
    write_results(tmp_path, scale=1.0)
    tokens = (tmp_path / "metrics/tokenize.json").read_text().replace('"sample"', '"<!-- /results --> <img>"')
    (tmp_path / "metrics/tokenize.json").write_text(tokens)
    (tmp_path / "dvc.lock").touch()
    (tmp_path / "docs").mkdir()
    for page, tables in {"README.md": ("results", "recipes"), "docs/recipes.md": ("recipes", "measures")}.items():
        made = [readme.TABLES[page][name](tmp_path) for name in tables]
        assert "alert" in made[-1]
        for text in made:
            assert "<!--" not in text.replace("\\<!--", "")
            assert "<img" not in text.replace("\\<img", "")
            assert "](http" not in text.replace("\\](http", "").replace("](https://x.test/%29%3Cimg%3E)", "")
