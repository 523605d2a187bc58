"""The recipes in README and docs/recipes.md: what they reach beside others, and what their models write."""

import textwrap
from pathlib import Path

from markupsafe import Markup

from lstm_lm.comparison.measures import LABELS, shown_in
from tools.markdown import block, escape, link, table
from tools.recipes import standings
from tools.recipes.recipe import load_recipe, names, place

FIRST = ("ptb_small", "shakespeare_large", "time_machine_whole")
"""The recipes that README shows: one for each corpus."""

WIDTH = 90
"""Where a line of a sampled text is broken."""


def first(root: Path) -> str:
    """A line for each recipe of `FIRST`: what it is, and its figures beside others'."""
    return "\n".join(
        f"- {link(found.name, f'docs/recipes.md#{found.name}')}: {escape(found.title)}. "
        f"{escape(found.measure.capitalize())}: {_beside(found)}"
        for found in standings.headlines(root)
        if found.name in FIRST
    )


def _beside(found: standings.Headline) -> str:
    """Our figures in bold type, then others', each with its owner."""
    ours = [f"**{figure}** ({label})" for figure, label in zip(found.ours, LABELS.values(), strict=True) if figure]
    return "; ".join([*ours, *(f"{figure} ({escape(who)})" for figure, who in found.others)])


def headlines(root: Path) -> str:
    """Every recipe in one measure, beside others."""
    rows = [
        [
            Markup(f"{link(found.name, f'#{found.name}')}: {escape(found.title)}"),
            found.measure,
            "; ".join(f"{figure} ({who})" for figure, who in found.others),
            *found.ours,
        ]
        for found in standings.headlines(root)
    ]
    return table(["", "measure", "others", *LABELS.values()], rows, words=3)


def measures(root: Path) -> str:
    """Every measure of every recipe, and what its model writes."""
    parts = []
    for name in names(root):
        title = link(load_recipe(name, root).title, f"../{place(name)}")
        parts += [f"### {escape(name)}", title, _measures(name, root)]
        if text := standings.sample(name, root).strip():
            lines = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH) or [""]]
            parts += [f"Sampled from the model from scratch:\n\n{block(lines)}"]
    return "\n\n".join(parts)


def _measures(name: str, root: Path) -> str:
    """The measures of a recipe, without those that nobody has."""
    titles = ["", *(measure.column for measure in shown_in("recipes").values())]
    columns = [column for column in zip(titles, *standings.rows(name, root), strict=True) if any(column[1:])]
    header, *rows = zip(*columns, strict=True)
    return table(header, rows)


def whole_book(root: Path) -> str:
    """What the model of the whole book writes, as a quotation."""
    return f"> {escape(standings.sample('time_machine_whole', root))}"
