"""The numbers of docs/walkthrough.md fit each other, and what its text says of them."""

import math
import re
from pathlib import Path

import pytest
import torch
from markdown_it import MarkdownIt

from lstm_lm.training.step import EagerStep
from projects import ROOT, params_text
from tools.docs import walkthrough
from tools.docs.links import line, numbered
from tools.docs.walkthrough_run import built, run

NUMBER = re.compile(r"-?\d+\.\d+")
FORMULA = re.compile(r"\$[^$\n]+\$")
ROUNDED = 1.01e-4
"""Two numbers of four digits, each rounded."""


def numbers(block: str) -> list[list[float]]:
    """The decimal numbers of each line that has some."""
    found = ([float(number) for number in NUMBER.findall(text)] for text in block.splitlines())
    return [row for row in found if row]


def test_the_numbers_do_not_depend_on_params_yaml(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(params_text(seed=7, model__hidden=9, train__lr=0.5, train__optimizer="adam"))
    for make in walkthrough.BLOCKS.values():
        assert make(tmp_path) == make(ROOT)


def test_the_gradient_s_way_back_adds_up() -> None:
    *rows, (dC, C_tilde, I, one_less, product) = numbers(walkthrough.backward(ROOT))
    assert len(rows) == 4
    kept = 0.0
    for outside, later, dH, own, from_later, of_cell, forget in rows:
        assert dH == pytest.approx(outside + later, abs=ROUNDED)
        assert of_cell == pytest.approx(own + from_later, abs=ROUNDED)
        assert from_later == pytest.approx(kept, abs=ROUNDED)
        kept = of_cell * forget
    assert product == pytest.approx(dC * C_tilde * I * one_less, abs=1e-5)
    found = run(ROOT)
    assert found.layer.W_xi.grad is not None
    assert product == pytest.approx(found.layer.W_xi.grad[1, 0].item(), abs=5e-7), "the sum has this single term"


def test_the_update_is_that_of_a_training_step() -> None:
    found = run(ROOT)
    model = built("book", len(found.vocabulary), found.params)
    EagerStep(model, found.params.train)(found.window, found.params.train.lr)
    after = numbers(walkthrough.update(ROOT))[-1][-1]
    assert model.textbook()["W_xi"][1, 0].item() == pytest.approx(after, abs=5e-7)


def test_the_kernels_agree_but_for_the_library_s_second_bias() -> None:
    rows = [
        [cell.strip() for cell in text.strip("|").split("|")] for text in walkthrough.kernels(ROOT).splitlines()[2:]
    ]
    assert all(book == fused for _, book, fused, _ in rows)
    assert all(book == library for _, book, _, library in rows[:3])
    found = run(ROOT)
    biases = [weight.grad for weight in found.layer.parameters() if weight.ndim == 1 and weight.grad is not None]
    norm, library = (float(cell) for cell in rows[3][2:])
    assert library == pytest.approx(math.sqrt(norm**2 + torch.stack(biases).square().sum().item()), abs=ROUNDED)
    assert float(rows[4][1]) < float(rows[0][1])


def test_the_fused_kernel_s_gates_are_the_book_s() -> None:
    rows = [row[3:] for row in numbers(walkthrough.fused(ROOT))]
    step = numbers(walkthrough.steps(ROOT))
    assert rows == [step[place][:3] for place in (3, 0, 1, 2)]


def test_what_the_text_says_is_so() -> None:
    found = run(ROOT)
    assert tuple(found.window.inputs.shape) == (4, 2)
    assert len(found.vocabulary) == 24
    assert found.vocabulary.tokens[1] == " "
    assert found.window.inputs[0, 0] == 1
    assert (found.window.inputs == 1).sum() == 1
    letters = "".join(found.vocabulary.tokens[token] for token in found.window.inputs[:, 0])
    assert found.normalized[3:7] == letters, "three characters are skipped"
    norm = numbers(walkthrough.update(ROOT))[0][0]
    assert norm > found.params.train.clip, "clipping has something to do"


def test_no_sign_of_a_formula_is_taken_for_markdown() -> None:
    page = (ROOT / "docs/walkthrough.md").read_text(encoding="utf-8")
    parts = [part for token in MarkdownIt().enable("table").parse(page) for part in token.children or []]
    assert "".join(part.content for part in parts if part.type == "text").count("$") == 2 * len(FORMULA.findall(page))
    assert sum(part.type == "em_open" for part in parts) == len(re.findall(r"\*\w[^*$]+\w\*", page))


@pytest.mark.parametrize(
    ("code", "expected"), [("One", 4), ("One.first", 6), ("second", 9), ("x = 1", 1), ("def first", 6)]
)
def test_a_line_is_that_of_a_definition_or_of_a_text(code: str, expected: int, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("x = 1  # One second\n\n\nclass One:\n    y = 2\n    def first(self): ...\n\n\ndef second(): ...\n")
    assert line(path, code) == expected


def test_links_get_the_number_of_their_line(tmp_path: Path) -> None:
    (tmp_path / "lstm.h").write_text("// the loops\nvoid forward() {}\n")
    page = '[`void forward`](lstm.h#L77), [`x`](lstm.h), [a](lstm.h#L1), [a](lstm.h#L77\n"void forward")'
    expected = '[`void forward`](lstm.h#L2), [`x`](lstm.h), [a](lstm.h#L1), [a](lstm.h#L2\n"void forward")'
    assert numbered(page, tmp_path) == expected
    with pytest.raises(ValueError, match=r"lstm\.h does not have backward, to which a page links"):
        numbered("[`backward`](lstm.h#L77)", tmp_path)
