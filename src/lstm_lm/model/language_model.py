"""Token ids -> LSTM -> logits: the language model, and the one place where a cell is chosen."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lstm_lm.model import parity
from lstm_lm.model.lstm_concise import LSTMConcise
from lstm_lm.model.lstm_fused import LSTMFused
from lstm_lm.model.lstm_native import LSTMNative, loops
from lstm_lm.model.lstm_scratch import LSTMScratch, LSTMState, OutputScratch
from lstm_lm.params import Model

MODELS = ("scratch", "concise")

_SCRATCH_KERNELS = {"book": LSTMScratch, "fused": LSTMNative, "fused_pytorch": LSTMFused}


class LanguageModel(nn.Module):
    """An LSTM and an output layer: from a window of tokens to logits for each one's successor."""

    def __init__(self, lstm: LSTMScratch | LSTMFused | LSTMConcise, output: nn.Module) -> None:
        super().__init__()
        self.lstm = lstm
        self.output = output

    def initial_state(self, batch_size: int) -> LSTMState:
        """The state before the first token: zeros, (batch_size, hidden) each."""
        return self.lstm.initial_state(batch_size)

    def forward(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Logits for the successor of every token.

        Args:
            tokens: token ids, int64, (num_steps, batch_size).
            state: the state before the window, (batch_size, hidden) each.

        Returns:
            Logits, (num_steps, batch_size, vocab_size), and the state after the window.
        """
        hidden_states, state = self.lstm(tokens, state)
        return self.output(hidden_states), state


def build(kind: str, vocab_size: int, settings: Model, seed: int) -> LanguageModel:
    """A model at its start, on the CPU, from `seed` alone.

    "scratch" starts from N(0, 0.01^2) weights and zero biases, the same numbers for every kernel; "concise"
    from PyTorch's own default, or, where `settings.init` is "shared", from the very start of "scratch".
    """
    if kind == "scratch":
        return from_weights(kind, scratch_start(vocab_size, settings.hidden, seed), settings.scratch_kernel)
    if settings.init == "shared":
        return from_weights(kind, parity.textbook_to_concise(scratch_start(vocab_size, settings.hidden, seed)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _concise(vocab_size, settings.hidden)


def computed_by(kind: str, settings: Model, device: torch.device, precision: str) -> str:
    """What computes the LSTM in a training on `device`, for the record; "fused" says what its loops run in."""
    if kind == "concise":
        return "torch.nn.LSTM"
    kernel = settings.scratch_kernel
    return f"fused, loops in {loops(device, precision)}" if kernel == "fused" else kernel


def scratch_start(vocab_size: int, hidden: int, seed: int) -> dict[str, Tensor]:
    """The textbook's start under the textbook's names: weights N(0, 0.01^2), biases 0."""
    generator = torch.Generator().manual_seed(seed)
    zeros = {**LSTMScratch(vocab_size, hidden).state_dict(), **OutputScratch(hidden, vocab_size).state_dict()}
    return {
        name: torch.randn(zero.shape, generator=generator) * 0.01 if name.startswith("W") else zero
        for name, zero in zeros.items()
    }


def from_weights(kind: str, weights: Mapping[str, Tensor], kernel: str = "fused_pytorch") -> LanguageModel:
    """The model that `weights_of` took the weights from, on the CPU; "scratch" with the `kernel` asked for."""
    if kind == "concise":
        model = _concise(weights["output.weight"].shape[0], weights["output.weight"].shape[1])
        model.load_state_dict({f"lstm.{name}" if name.startswith("lstm.") else name: w for name, w in weights.items()})
        return model
    hidden, vocab_size = weights["W_hq"].shape
    model = LanguageModel(_SCRATCH_KERNELS[kernel](vocab_size, hidden), OutputScratch(hidden, vocab_size))
    lstm = {name: weight for name, weight in weights.items() if not name.endswith("q")}
    model.lstm.load_state_dict(lstm if kernel == "book" else parity.textbook_to_fused(lstm))
    model.output.load_state_dict({name: weights[name] for name in ("W_hq", "b_q")})
    return model


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    """A model's weights as they are saved, on the CPU, contiguous.

    From scratch: the textbook's names (W_xi, W_hi, b_i, ..., W_hq, b_q), whatever the kernel. Concise:
    torch.nn.LSTM's and torch.nn.Linear's (lstm.weight_ih_l0, ..., output.bias).
    """
    if isinstance(model.lstm, LSTMConcise):
        weights = {name.replace("lstm.lstm.", "lstm."): weight for name, weight in model.state_dict().items()}
    else:
        lstm = model.lstm.state_dict()
        lstm = parity.fused_to_textbook(lstm) if isinstance(model.lstm, LSTMFused) else lstm
        weights = {**lstm, **model.output.state_dict()}
    return {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}


def load_model(kind: str, path: Path) -> LanguageModel:
    """The trained model in a safetensors file, on the CPU.

    Raises:
        ValueError: the file does not hold such a model.
        OSError: the file cannot be read.
    """
    try:
        return from_weights(kind, load_file(path))
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the weights of a {kind} model ({error})") from error


def _concise(vocab_size: int, hidden: int) -> LanguageModel:
    """torch.nn.LSTM and torch.nn.Linear at their own start, from torch's global random numbers."""
    return LanguageModel(LSTMConcise(vocab_size, hidden), nn.Linear(hidden, vocab_size))
