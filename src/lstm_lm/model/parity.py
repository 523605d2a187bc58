"""The same weights from one layout to another: textbook, fused, and the library's.

    layout      tensors                                          gates
    textbook    W_xi (vocab_size, hidden), W_hi (hidden,         one tensor each, named i, f, o, c
                hidden), b_i (hidden,), then f, o, c
    fused       W_x (vocab_size, 4 hidden), W_h (hidden,         columns, in the order c, i, f, o
                4 hidden), b (4 hidden,)
    library     weight_ih_l0 (4 hidden, vocab_size),             rows, in the library's order i, f, g, o,
                weight_hh_l0 (4 hidden, hidden),                 its g being the textbook's c
                bias_ih_l0, bias_hh_l0 (4 hidden,)

The library adds two biases where the textbook has one: on the way there the second is zero, on the way back
they are summed. All functions are pure: new tensors, the given ones untouched.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]

_FUSED_ORDER = "cifo"
_LIBRARY_ORDER = "ifco"


def textbook_to_fused(weights: Weights) -> dict[str, Tensor]:
    """Twelve tensors side by side in three: `LSTMScratch`'s state dict to `LSTMFused`'s."""
    return {
        name: torch.cat([weights[f"{part}{gate}"] for gate in _FUSED_ORDER], dim=-1)
        for name, part in {"W_x": "W_x", "W_h": "W_h", "b": "b_"}.items()
    }


def fused_to_textbook(weights: Weights) -> dict[str, Tensor]:
    """Three tensors cut into twelve: `LSTMFused`'s state dict to `LSTMScratch`'s."""
    blocks = [weights[name].chunk(4, dim=-1) for name in ("W_x", "W_h", "b")]
    return {
        f"{part}{gate}": block.clone()
        for gate, *of_gate in zip(_FUSED_ORDER, *blocks, strict=True)
        for part, block in zip(("W_x", "W_h", "b_"), of_gate, strict=True)
    }


def textbook_to_library(weights: Weights) -> dict[str, Tensor]:
    """Twelve tensors transposed and stacked: `LSTMScratch`'s state dict to `torch.nn.LSTM`'s."""
    stacked = {part: torch.cat([weights[f"{part}{gate}"].T for gate in _LIBRARY_ORDER]) for part in ("W_x", "W_h")}
    bias = torch.cat([weights[f"b_{gate}"] for gate in _LIBRARY_ORDER])
    return {
        "weight_ih_l0": stacked["W_x"],
        "weight_hh_l0": stacked["W_h"],
        "bias_ih_l0": bias,
        "bias_hh_l0": torch.zeros_like(bias),
    }


def library_to_textbook(weights: Weights) -> dict[str, Tensor]:
    """Cut, transposed and summed: `torch.nn.LSTM`'s state dict to `LSTMScratch`'s."""
    inputs, recurrent = weights["weight_ih_l0"].chunk(4), weights["weight_hh_l0"].chunk(4)
    biases = (weights["bias_ih_l0"] + weights["bias_hh_l0"]).chunk(4)
    textbook = {}
    for gate in _FUSED_ORDER:
        row = _LIBRARY_ORDER.index(gate)
        textbook |= {
            f"W_x{gate}": inputs[row].T.contiguous(),
            f"W_h{gate}": recurrent[row].T.contiguous(),
            f"b_{gate}": biases[row].clone(),
        }
    return textbook


def textbook_to_concise(weights: Weights) -> dict[str, Tensor]:
    """A whole language model, output layer included: the scratch model's saved weights to the concise one's."""
    lstm = {f"lstm.{name}": weight for name, weight in textbook_to_library(weights).items()}
    return {**lstm, "output.weight": weights["W_hq"].T.contiguous(), "output.bias": weights["b_q"].clone()}
