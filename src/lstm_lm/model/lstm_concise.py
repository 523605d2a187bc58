"""The long short-term memory as the library has it: torch.nn.LSTM behind our signature."""

from torch import Tensor, nn

from lstm_lm.model.lstm_scratch import LSTMState, zero_state


class LSTMConcise(nn.Module):
    """torch.nn.LSTM(vocab_size, hidden) on one-hot inputs, one layer, one direction.

    It computes the equations that `LSTMScratch` documents, from its own two bias vectors and its own
    default start, uniform in (-1/sqrt(hidden), 1/sqrt(hidden)).
    """

    def __init__(self, vocab_size: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(vocab_size, hidden)

    def initial_state(self, batch_size: int) -> LSTMState:
        """The state before the first token: zeros, (batch_size, hidden) each."""
        return zero_state(batch_size, self.lstm.get_parameter("weight_hh_l0").T)

    def forward(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Run over a window of tokens.

        Args:
            tokens: token ids, int64, (num_steps, batch_size).
            state: the state before the window.

        Returns:
            The hidden state after each step, (num_steps, batch_size, hidden), and the state after the last.
        """
        inputs = nn.functional.one_hot(tokens, self.lstm.input_size).to(state.hidden.dtype)
        outputs, (hidden, cell) = self.lstm(inputs, (state.hidden[None], state.cell[None]))
        return outputs, LSTMState(hidden[0], cell[0])
