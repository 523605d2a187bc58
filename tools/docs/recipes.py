"""The recipes in README and docs/recipes.md: what they reach beside others, and what their models write."""

from pathlib import Path

from lstm_lm.comparison.measures import LABELS, shown_in
from tools.markdown import block, escape, link, table
from tools.recipes import standings
from tools.recipes.recipe import load_recipe, names, place

FIRST = ("ptb_small", "shakespeare_large", "time_machine_whole")
"""The recipes that README shows: one for each corpus."""


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
            link(found.name, f"#{found.name}"),
            found.title,
            found.measure,
            *found.ours,
            "; ".join(f"{figure} ({who})" for figure, who in found.others),
        ]
        for found in standings.headlines(root)
    ]
    return table(["", "", "measure", *LABELS.values(), "others"], rows, words=3)


def measures(root: Path) -> str:
    """Every measure of every recipe, and what its model writes."""
    header = ["", *(measure.column for measure in shown_in("recipes").values())]
    parts = []
    for name in names(root):
        made = table(header, standings.rows(name, root))
        parts += [f"### {escape(name)}", link(load_recipe(name, root).title, f"../{place(name)}"), made]
        if text := standings.sample(name, root).strip():
            parts += [f"Sampled from the model from scratch:\n\n{block(text.splitlines())}"]
    return "\n\n".join(parts)


def whole_book(root: Path) -> str:
    """What the model of the whole book writes, as a quotation."""
    return f"> {escape(standings.sample('time_machine_whole', root))}"
