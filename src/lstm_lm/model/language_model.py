"""Token ids -> LSTM -> logits: the language model, what it is made of, and the file it is kept in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lstm_lm.atomic import write_bytes
from lstm_lm.model.layer import Stack, State, Textbook
from lstm_lm.model.lstm_concise import LibraryLSTM, LibraryOutput
from lstm_lm.model.lstm_fused import PYTORCH, FusedLayer, FusedOutput
from lstm_lm.model.lstm_native import NATIVE, loops
from lstm_lm.model.lstm_scratch import BookLayer, BookOutput
from lstm_lm.params import Model

MODELS = ("scratch", "concise")

_ARCHITECTURE = "architecture"
"""The key of the metadata in a model's file."""


class Architecture(BaseModel):
    """What a language model is made of; all that is needed to build it, but for its weights.

    Attributes:
        kernel: what computes the LSTM: one of the kernels from scratch, or "library", torch.nn.LSTM.
        vocab_size: tokens in the vocabulary.
        hidden: units of the LSTM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernel: Literal["book", "fused", "fused_pytorch", "library"]
    vocab_size: int
    hidden: int


def architecture(kind: str, vocab_size: int, settings: Model) -> Architecture:
    """The architecture of the "scratch" or the "concise" model that the `model` block of params.yaml asks for."""
    kernel = settings.scratch_kernel if kind == "scratch" else "library"
    return Architecture(kernel=kernel, vocab_size=vocab_size, hidden=settings.hidden)


class LanguageModel(nn.Module):
    """An LSTM and an output layer: from a window of tokens to logits for each one's successor.

    From scratch all weights begin at zero; the library's begin where the library has them begin, from torch's
    global random numbers.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        vocab_size, hidden = architecture.vocab_size, architecture.hidden
        if architecture.kernel == "library":
            self.lstm, self.output = LibraryLSTM(vocab_size, hidden), LibraryOutput(hidden, vocab_size)
        elif architecture.kernel == "book":
            self.lstm, self.output = Stack([BookLayer(vocab_size, hidden)]), BookOutput(hidden, vocab_size)
        else:
            arithmetic = NATIVE if architecture.kernel == "fused" else PYTORCH
            self.lstm = Stack([FusedLayer(vocab_size, hidden, arithmetic)])
            self.output = FusedOutput(hidden, vocab_size, arithmetic)

    def initial_state(self, batch_size: int) -> State:
        """The state before the first token: zeros, (layers, batch_size, hidden) each."""
        like = next(self.output.parameters())
        zeros = like.new_zeros(1, batch_size, self.architecture.hidden)
        return State(zeros, zeros)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits for the successor of every token.

        Args:
            tokens: token ids, int64, (num_steps, batch_size).
            state: the state before the window, (layers, batch_size, hidden) each.

        Returns:
            Logits, (num_steps, batch_size, vocab_size), and the state after the window.
        """
        hidden_states, state = self.lstm(tokens, state)
        return self.output(hidden_states), state

    def textbook(self) -> Textbook:
        """All weights under the textbook's names, W_xi ... b_c, W_hq, b_q: the same for every kernel."""
        return self.lstm.textbook() | self.output.textbook()

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what a model with any kernel returned from `textbook`. Raises KeyError, RuntimeError."""
        self.lstm.load_textbook(weights)
        self.output.load_textbook(weights)


def build(kind: str, vocab_size: int, settings: Model, seed: int) -> LanguageModel:
    """A model at its start, on the CPU, from `seed` alone.

    "scratch" starts from N(0, 0.01^2) weights and zero biases, the same numbers for every kernel; "concise"
    from PyTorch's own default, or, where `settings.init` is "shared", from the very start of "scratch".
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LanguageModel(architecture(kind, vocab_size, settings))
    if kind == "scratch" or settings.init == "shared":
        model.load_textbook(scratch_start(vocab_size, settings.hidden, seed))
    return model


def scratch_start(vocab_size: int, hidden: int, seed: int) -> Textbook:
    """The textbook's start under the textbook's names: weights N(0, 0.01^2), biases 0."""
    generator = torch.Generator().manual_seed(seed)
    zeros = BookLayer(vocab_size, hidden).textbook() | BookOutput(hidden, vocab_size).textbook()
    return {
        name: torch.randn(zero.shape, generator=generator) * 0.01 if name.startswith("W") else zero
        for name, zero in zeros.items()
    }


def computed_by(kind: str, settings: Model, device: torch.device, precision: str) -> str:
    """What computes the LSTM in a training on `device`, for the record; "fused" says what its loops run in."""
    if kind == "concise":
        return "torch.nn.LSTM"
    kernel = settings.scratch_kernel
    return f"fused, loops in {loops(device, precision)}" if kernel == "fused" else kernel


def save_model(model: LanguageModel, path: Path) -> None:
    """Write weights and architecture to a safetensors file, atomically. Raises OSError.

    From scratch the weights stand under the textbook's names (W_xi, W_hi, b_i, ..., W_hq, b_q), whatever the
    kernel; the library's under torch.nn.LSTM's and torch.nn.Linear's (lstm.weight_ih_l0, ..., output.bias).
    """
    weights = model.state_dict() if model.architecture.kernel == "library" else model.textbook()
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    # One entry: with more, their order in the file would differ from run to run.
    write_bytes(path, save(tensors, metadata={_ARCHITECTURE: model.architecture.model_dump_json()}))


def load_model(path: Path) -> LanguageModel:
    """The model in a file that `save_model` wrote, with the kernel that trained it, on the CPU.

    Raises:
        ValueError: the file does not hold such a model.
        OSError: the file cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            model = LanguageModel(Architecture.model_validate_json((file.metadata() or {})[_ARCHITECTURE]))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        load = model.load_state_dict if model.architecture.kernel == "library" else model.load_textbook
        load(weights)
    except (SafetensorError, ValidationError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} does not hold a language model of this version ({reason}): run dvc repro") from error
    return model
