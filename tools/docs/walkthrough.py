"""The tables and blocks of docs/walkthrough.md: one window of a tiny training in numbers."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from markupsafe import Markup
from torch import Tensor, nn

from lstm_lm.model.affine import affine
from lstm_lm.model.lstm_fused import FusedLayer
from lstm_lm.training.step import EagerStep
from tools.docs.walkthrough_run import TEXT, Run, built, gradients, only_layer, run
from tools.markdown import block, table

KERNELS = {"book": "`book`", "fused": "`fused`", "library": "`torch.nn.LSTM`"}

_SOURCE = "../src/lstm_lm/model/lstm_scratch.py"
_EQUATIONS = {
    r"$I_t = \sigma(X_t W_{xi} + H_{t-1} W_{hi} + b_i)$": "I = torch.sigmoid(X @ self.W_xi + H @ self.W_hi + self.b_i)",
    r"$F_t = \sigma(X_t W_{xf} + H_{t-1} W_{hf} + b_f)$": "F = torch.sigmoid(X @ self.W_xf + H @ self.W_hf + self.b_f)",
    r"$O_t = \sigma(X_t W_{xo} + H_{t-1} W_{ho} + b_o)$": "O = torch.sigmoid(X @ self.W_xo + H @ self.W_ho + self.b_o)",
    r"$\tilde C_t = \tanh(X_t W_{xc} + H_{t-1} W_{hc} + b_c)$": (
        "C_tilde = torch.tanh(X @ self.W_xc + H @ self.W_hc + self.b_c)"
    ),
    r"$C_t = F_t \odot C_{t-1} + I_t \odot \tilde C_t$": "C = F * C + I * C_tilde",
    r"$H_t = O_t \odot \tanh(C_t)$": "H = O * torch.tanh(C)",
}
"""Equation -> the line of code beside it, in the textbook's order."""


def tokens(root: Path) -> str:
    """From the text to ids."""
    found = run(root)
    ids = found.vocabulary.encode(found.normalized)
    pairs = [f"{number} {token!r}" for number, token in enumerate(found.vocabulary.tokens)]
    return _block(
        f"text        {TEXT[:55]}...",
        f"normalised  {found.normalized[:55]}...    {len(ids)} characters",
        f"vocabulary  {', '.join(pairs[:9])}, ...    {len(pairs)} tokens",
        f"ids         {' '.join(map(str, ids[:26].tolist()))} ...",
    )


def window(root: Path) -> str:
    """The window: inputs and targets, in letters and ids."""
    found, rows = run(root), []
    for number in range(found.params.train.batch_size):
        inputs, targets = (part[:, number].tolist() for part in found.window[:2])
        rows.append([str(number), *(cell for ids in (inputs, targets) for cell in (_letters(found, ids), _ids(ids)))])
    return _table(["row", "inputs", "their ids", "targets", "their ids"], rows, words=5)


def equations(root: Path) -> str:
    """Each equation, its line of code, and its value in the first step of the first row."""
    rows = [
        [equation, f"[`{code}`]({_SOURCE}#L1)", _numbers(value[0], ", ")]
        for (equation, code), value in zip(_EQUATIONS.items(), run(root).steps[0], strict=True)
    ]
    return _table(["the book", "the code", "row 0 at t = 1"], rows, words=3)


def steps(root: Path) -> str:
    """The first two steps of both rows."""
    found, lines = run(root), []
    for t, step in enumerate(found.steps[:2], 1):
        reads = (f"row {row} reads {_letters(found, [token])}" for row, token in enumerate(found.window.inputs[t - 1]))
        lines.append(f"t = {t}{'':21}{''.join(f'{text:30}' for text in reads)}".rstrip())
        for (name, values), symbol in zip(step._asdict().items(), ("I", "F", "O", "C~", "C", "H"), strict=True):
            rows = "".join(f"{_numbers(row):30}" for row in values).rstrip()
            lines.append(f"{f'{symbol}_{t}':6}{name.replace('_', ' '):18}{rows}")
        lines.append("")
    return _block(*lines[:-1])


def by_hand(root: Path) -> str:
    """One unit of the first step, number by number."""
    found = run(root)
    token = int(found.window.inputs[0, 0])
    W, b = found.layer.W_xi[token, 0].item(), found.layer.b_i[0].item()
    I, F, O, C_tilde, C, H = (value[0, 0].item() for value in found.steps[0])
    return _block(
        f"I_1 = sigma(W_xi[{token}, 0] + b_i[0]) = sigma({_number(W)} + {_number(b)}) = {_number(I)}",
        f"C_1 = F_1 * C_0 + I_1 * C~_1 = {_number(F)} * 0 + {_number(I)} * {_number(C_tilde)} = {_number(C)}",
        f"H_1 = O_1 * tanh(C_1) = {_number(O)} * {_number(math.tanh(C))} = {_number(H)}",
    )


def surprisal(root: Path) -> str:
    """What the model expects of each target, and the loss."""
    found = run(root)
    logs, rows = found.logits.log_softmax(-1), []
    for row, column in enumerate(found.window.targets.T):
        for t, target in enumerate(column.tolist()):
            read, nats = found.window.inputs[t, row], -float(logs[t, row, target])
            place = [str(row), str(t + 1), _letters(found, [read]), _letters(found, [target])]
            numbers = (float(found.logits[t, row, target]), math.exp(-nats), nats, nats / math.log(2))
            rows.append([*place, *map(_number, numbers)])
    targets = _table(["row", "t", "reads", "target", "its logit", "its p", "nats", "bits"], rows, words=4)
    chances, loss = len(found.vocabulary), found.loss.item()
    sums = (
        f"loss                      {_number(loss)} nats per token, the mean of the {len(rows)}",
        f"perplexity                exp({_number(loss)}) = {_number(math.exp(loss))}",
        f"{chances} equal chances          ln({chances}) = {_number(math.log(chances))} nats, perplexity {chances}",
    )
    return f"{targets}\n\n{_block(*sums)}"


def backward(root: Path) -> str:
    """How the gradient comes back to the first unit of the first row, and to one weight."""
    found, rows = run(root), []
    one_hot = nn.functional.one_hot(found.window.targets, len(found.vocabulary))
    d_logits = (found.logits.softmax(-1) - one_hot) / found.window.targets.numel()
    outside = d_logits @ found.model.textbook()["W_hq"].T
    for t, step in reversed(list(enumerate(found.steps))):
        O, C, (dH, dC) = step.output_gate, step.cell_state, gradients(step)
        through_H = dH * O * (1 - C.tanh().square())
        values = (outside[t], dH - outside[t], dH, through_H, dC - through_H, dC, step.forget_gate)
        rows.append([str(t + 1), *(_number(value[0, 0].item()) for value in values)])
    header = [r"$dH_t'$", r"$dA_{t+1} W_h^\top$", "$dH_t$", r"$dH_t O_t (1 - \tanh^2 C_t)$", "$dC_{t+1} F_{t+1}$"]
    I, _, _, C_tilde, *_ = (value[0, 0].item() for value in found.steps[0])
    dC = gradients(found.steps[0])[1][0, 0].item()
    line = (
        f"dA_1 = dC_1 * C~_1 * I_1 * (1 - I_1) = {_number(dC)} * {_number(C_tilde)} * {_number(I)} * {_number(1 - I)} "
        f"= {dC * C_tilde * I * (1 - I):.6f}"
    )
    return f"{_table(['t', *header, '$dC_t$', '$F_t$'], rows)}\n\n{_block(line)}"


def update(root: Path) -> str:
    """Clipping, and the update of the weight that `by_hand` and `backward` have."""
    found = run(root)
    weight, bound, token = found.layer.W_xi, found.params.train.clip, int(found.window.inputs[0, 0])
    norm = nn.utils.get_total_norm([p.grad for p in found.model.parameters() if p.grad is not None]).item()
    assert weight.grad is not None
    before, gradient, factor = weight[token, 0].item(), weight.grad[token, 0].item(), min(1.0, bound / norm)
    step = gradient * factor
    return _block(
        f"norm of all gradients    {_number(norm)}",
        f"factor                   min(1, {bound} / {_number(norm)}) = {_number(factor)}",
        f"gradient of W_xi[{token}, 0]   {gradient:.6f}, clipped {step:.6f}",
        f"W_xi[{token}, 0]               {before:.6f} - {found.params.train.lr} * {step:.6f} = {before - step:.6f}",
    )


def fused(root: Path) -> str:
    """The first step of the first row in the fused kernel."""
    found = run(root)
    model = built("fused", len(found.vocabulary), found.params)
    layer = only_layer(model)
    assert isinstance(layer, FusedLayer)
    with torch.no_grad():
        (H,), (C,) = model.initial_state(found.params.train.batch_size)
        A = affine(layer.backend, found.window.inputs, layer.W_x, layer.b)
        sums = A[0, 0].clone()
        trace = layer.backend.run(A, layer.W_h, H, C)
    names = ("C~_1 = tanh(A_1)", "I_1  = sigma(A_1)", "F_1  = sigma(A_1)", "O_1  = sigma(A_1)")
    parts = zip(names, sums.chunk(4), trace.gates[0, 0].chunk(4), strict=True)
    return _block(
        f"{'':20}{'A_1':30}after the function",
        *(f"{name:20}{_numbers(before):30}{_numbers(after)}" for name, before, after in parts),
    )


def kernels(root: Path) -> str:
    """One training step with each kernel."""
    found, columns = run(root), []
    for kernel in KERNELS:
        model = built(kernel, len(found.vocabulary), found.params)
        step = EagerStep(model, found.params.train)
        loss, norm = step(found.window, found.params.train.lr)
        state = (_numbers(part[0, 0], ", ") for part in step.carried)
        with torch.no_grad():
            start = model.initial_state(found.params.train.batch_size)
            after = model.output.loss(model.hidden_states(found.window.inputs, start)[0], found.window.targets)
        columns.append([_number(float(loss)), *state, _number(float(norm)), _number(float(after))])
    names = (
        "loss, nats per token",
        "$H_4$ of row 0",
        "$C_4$ of row 0",
        "norm of the gradients",
        "loss after the update",
    )
    rows = [[name, *values] for name, *values in zip(names, *columns, strict=True)]
    return _table(["", *KERNELS.values()], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table of Markdown."""
    return table(list(map(Markup, header)), [list(map(Markup, row)) for row in rows], words)


def _letters(found: Run, ids: Iterable[int | Tensor]) -> str:
    """Characters in quotation marks, a space as ␣."""
    return "".join(found.vocabulary.tokens[int(token)] for token in ids).replace(" ", "␣")


def _ids(ids: list[int]) -> str:
    return " ".join(map(str, ids))


def _number(value: float) -> str:
    """Four digits, and no minus before zero."""
    return f"{round(value, 4) + 0.0:.4f}"


def _numbers(values: Tensor, between: str = "") -> str:
    return between.join(f"{_number(value):>{0 if between else 8}}" for value in values.tolist())


def _block(*lines: str) -> str:
    return block(lines)


BLOCKS = {
    "tokens": tokens,
    "window": window,
    "equations": equations,
    "by_hand": by_hand,
    "steps": steps,
    "surprisal": surprisal,
    "backward": backward,
    "update": update,
    "fused": fused,
    "kernels": kernels,
}
"""Name on the page -> what makes the block."""
