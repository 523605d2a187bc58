"""Token ids -> LSTM -> logits: the language model, and what it is made of."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from lstm_lm.core import threads
from lstm_lm.core.device import is_portable
from lstm_lm.core.params import Layers, Params, Probability, Size
from lstm_lm.core.yaml_file import Section
from lstm_lm.model.layer import Dropout, Stack, State, Textbook
from lstm_lm.model.lstm_concise import LibraryEmbedding, LibraryLayer, LibraryLSTM, LibraryOutput
from lstm_lm.model.lstm_fused import FusedLayer, FusedOutput
from lstm_lm.model.lstm_scratch import BookEmbedding, BookLayer, BookOutput
from lstm_lm.model.native_backend import NATIVE, computes
from lstm_lm.model.normal import randn
from lstm_lm.model.pytorch_backend import PYTORCH

MODELS = ("scratch", "concise")


class Architecture(Section):
    """What a language model is made of; all that is needed to build it, but for its weights.

    Attributes:
        kernel: what computes the LSTM: one of the kernels from scratch, or "library", torch.nn.LSTM.
        vocab_size: tokens in the vocabulary.
        hidden: units of each layer of the LSTM.
        layers: of the LSTM.
        embedding: numbers in a token's vector; None: tokens are one-hot vectors.
        dropout: probability, on the input, between layers and before the output.
        tied: whether the output layer's weights are the embedding's.
    """

    kernel: Literal["book", "fused", "fused_pytorch", "library"]
    vocab_size: int
    hidden: Size
    layers: Layers = 1
    embedding: Size | None = None
    dropout: Probability = 0.0
    tied: bool = False

    @model_validator(mode="after")
    def _tied_weights_have_one_size(self) -> "Architecture":
        if self.tied and self.embedding != self.hidden:
            raise ValueError("tied weights need an embedding of the size of the hidden state")
        return self

    @property
    def input_size(self) -> int:
        """Numbers in an input of the first layer."""
        return self.embedding or self.vocab_size

    @property
    def one_hot(self) -> bool:
        """Whether one-hot vectors are made, at least in training: where the fused kernels can, they look rows up."""
        return self.embedding is None and (self.dropout > 0 or self.kernel in ("book", "library"))


def architecture(kind: str, vocab_size: int, params: Params) -> Architecture:
    """The architecture of the "scratch" or the "concise" model that params.yaml asks for."""
    kernel = params.scratch.kernel if kind == "scratch" else "library"
    return Architecture(kernel=kernel, vocab_size=vocab_size, **params.model.model_dump(exclude={"init_scale"}))


class LanguageModel(nn.Module):
    """An embedding or one-hot vectors, an LSTM, an output layer: from a window of tokens to logits for the successors.

    From scratch all weights begin at zero; the library's begin where the library has them begin, from torch's
    global random numbers.

    Args:
        architecture: the parts.
        seed: of the dropout's masks.
    """

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__()
        self.architecture = architecture
        self.dropout = Dropout(architecture.dropout, seed)
        build = _library if architecture.kernel == "library" else _scratch
        self.embedding, self.lstm, self.output = build(architecture, self.dropout)

    def initial_state(self, batch_size: int) -> State:
        """The state before the first token: zeros, (layers, batch_size, hidden) each."""
        like = next(self.output.parameters())
        zeros = like.new_zeros(self.architecture.layers, batch_size, self.architecture.hidden)
        return State(zeros, zeros)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits for the successor of every token.

        Args:
            tokens: token ids, int64, (num_steps, batch_size).
            state: the state before the window, (layers, batch_size, hidden) each.

        Returns:
            Logits, (num_steps, batch_size, vocab_size), and the state after the window.
        """
        hidden_states, state = self.hidden_states(tokens, state)
        return self.output(hidden_states), state

    def hidden_states(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """`forward` up to the output layer: what it takes, (num_steps, batch_size, hidden), and the state."""
        hidden_states, state = self.lstm(self._inputs(tokens, state.hidden.dtype), state)
        return self.dropout(hidden_states), state

    def textbook(self) -> Textbook:
        """All weights under the textbook's names, W_xi ... b_c, W_hq, b_q, W_e: the same for every kernel."""
        embedding = {} if self.embedding is None else self.embedding.textbook()
        return self.lstm.textbook() | self.output.textbook() | embedding

    def load_textbook(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what a model with any kernel returned from `textbook`. Raises KeyError, RuntimeError."""
        for part in (self.embedding, self.lstm, self.output):
            if part is not None:
                part.load_textbook(weights)

    def _inputs(self, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        """What the first layer takes: vectors after dropout, or token ids for one-hot vectors without dropout."""
        if self.embedding is not None:
            return self.dropout(self.embedding(tokens))
        if self.training and self.dropout.p > 0:
            return self.dropout(nn.functional.one_hot(tokens, self.architecture.vocab_size).to(dtype))
        return tokens


def fix_threads(architecture: Architecture, processes: int = 1) -> None:
    """Give torch as many threads as the model is to have: see `thread_count`."""
    threads.set_count(thread_count(architecture, processes))


def thread_count(architecture: Architecture, processes: int = 1) -> int:
    """Torch's own number of threads; for torch.nn.LSTM in portable numerics, one that follows from the model's size.

    oneDNN cuts its sums by the number of threads. Small models are fastest with one; so are all where each of several
    `processes` trains one.
    """
    if architecture.kernel == "library" and is_portable():
        return 2 if architecture.hidden >= 128 and processes == 1 else 1
    return torch.get_num_threads()


def build(kind: str, vocab_size: int, params: Params) -> LanguageModel:
    """The "scratch" or the "concise" model with its initial weights, on the CPU.

    "scratch" has N(0, 0.01^2) weights and zero biases, the same numbers for every kernel; "concise" has PyTorch's own
    defaults. With `model.init_scale` s, both are uniform in (-s, s), biases too. With `concise.init: shared`, "concise"
    has the initial weights of "scratch".
    """
    scale, seed = params.model.init_scale, params.seed
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LanguageModel(architecture(kind, vocab_size, params), seed)
        if scale is not None:
            for parameter in model.parameters():
                nn.init.uniform_(parameter, -scale, scale)
    if kind == "scratch" or params.concise.init == "shared":
        model.load_textbook(scratch_start(model.architecture, seed, scale))
    return model


def scratch_start(architecture: Architecture, seed: int, scale: float | None = None) -> Textbook:
    """A start under the textbook's names: weights N(0, 0.01^2), biases 0, or all uniform in (-scale, scale)."""
    generator = torch.Generator().manual_seed(seed)
    zeros = LanguageModel(architecture.model_copy(update={"kernel": "book"})).textbook()
    if scale is not None:
        return {name: scale * (2 * torch.rand(zero.shape, generator=generator) - 1) for name, zero in zeros.items()}
    return {name: randn(zero.shape, generator) * 0.01 if name.startswith("W") else zero for name, zero in zeros.items()}


FUSED_IN_CPP = "fused in C++"
"""The kernel whose bytes are the same on every machine, as it is recorded."""


def kernel_name(kernel: str, device: torch.device, precision: str) -> str:
    """The kernel of a training as it is recorded, with what C++ computes of it.

    In bfloat16, C++ has the update, which is in float32, and of `fused` the look-ups.
    """
    native = computes(device)
    if kernel == "fused" and native and precision != "bf16":
        return FUSED_IN_CPP
    name = {"library": "torch.nn.LSTM", "fused": "fused in PyTorch"}.get(kernel, kernel)
    if not native:
        return name
    return f"{name}, {'output layer and ' if kernel == 'library' and is_portable() else ''}update in C++"


def _library(
    architecture: Architecture, dropout: Dropout
) -> tuple[LibraryEmbedding | None, LibraryLSTM | Stack, LibraryOutput]:
    """The parts as the library has them.

    Dropout between layers is this project's own: no checkpoint could hold the state of the library's, which cuDNN
    keeps to itself on a GPU (pytorch/pytorch issue 104697).

    In portable numerics the output layer and the loss are computed as from scratch: the matrix products that MKL has
    for all processors take no instruction newer than SSE2 and one thread, which would be most of a word model's time.
    """
    vocab_size, hidden, layers = architecture.vocab_size, architecture.hidden, architecture.layers
    embedding = LibraryEmbedding(vocab_size, architecture.embedding) if architecture.embedding else None
    if dropout.p and layers > 1:
        lstm = Stack([LibraryLayer(size, hidden) for size in _input_sizes(architecture)], dropout)  # pyright: ignore[reportArgumentType]
    else:
        lstm = LibraryLSTM(architecture.input_size, hidden, layers)
    tied_to, backend = embedding if architecture.tied else None, NATIVE if is_portable() else None
    return embedding, lstm, LibraryOutput(hidden, vocab_size, tied_to, backend)


def _scratch(architecture: Architecture, dropout: Dropout) -> tuple[BookEmbedding | None, Stack, BookOutput]:
    """The parts from scratch, with the kernel asked for."""
    vocab_size, hidden = architecture.vocab_size, architecture.hidden
    embedding = BookEmbedding(vocab_size, architecture.embedding) if architecture.embedding else None
    tied_to = embedding if architecture.tied else None
    sizes = _input_sizes(architecture)
    if architecture.kernel == "book":
        layers, output = [BookLayer(size, hidden) for size in sizes], BookOutput(hidden, vocab_size, tied_to)
    else:
        backend = NATIVE if architecture.kernel == "fused" else PYTORCH
        layers = [FusedLayer(size, hidden, backend) for size in sizes]
        output = FusedOutput(hidden, vocab_size, tied_to, backend)
    return embedding, Stack(layers, dropout), output


def _input_sizes(architecture: Architecture) -> list[int]:
    """Numbers in an input of each layer."""
    return [architecture.input_size, *[architecture.hidden] * (architecture.layers - 1)]
