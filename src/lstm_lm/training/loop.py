"""The training loop, one for every model: epochs of BPTT windows, resumable at any of them."""

import math
import random
import time
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from lstm_lm.interruption import Interrupted, Signals
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.score import Score, score
from lstm_lm.params import Train
from lstm_lm.tokens import batching
from lstm_lm.tokens.batching import Window
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.progress import Progress
from lstm_lm.training.step import make_step

VALID_EVERY = 10
"""Epochs from one held-out score to the next; the last epoch is always scored."""


class Diverged(ValueError):
    """The loss or its gradient is no longer finite, or exp of the loss is not."""


@dataclass
class History:
    """What a training reports, one entry per finished epoch; `seconds` and `wall` differ from run to run.

    `perplexity` is exp(nats / tokens) over the epoch's own windows, while they trained the model, as the
    textbook has it; `valid` is the held-out perplexity after the epoch, None where it was not scored;
    `tokens` counts trained tokens; `seconds` is the training alone, `wall` everything since the start.
    """

    perplexity: list[float] = field(default_factory=list)
    valid: list[float | None] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0


class Training:
    """A model on its way through `settings.epochs` epochs.

    Args:
        model: trained in place, on the device of the streams.
        train: token ids to train on, int64, (tokens,).
        valid: token ids to score every `VALID_EVERY` epochs, int64, (tokens,).
        settings: the `train` block of params.yaml.
        seed: of the order of the data.
        checkpoint: where the state is kept; None keeps none.

    Raises:
        ValueError: the train window is shorter than one batch of windows.
    """

    def __init__(
        self,
        model: LanguageModel,
        train: Tensor,
        valid: Tensor,
        settings: Train,
        seed: int,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        batching.check_long_enough(len(train), settings.batch_size, settings.num_steps)
        self.model, self.train, self.valid = model, train, valid
        self.settings, self.checkpoint = settings, checkpoint
        self.generator = random.Random(seed)
        self.order = self.generator.getstate()  # before the current epoch's windows were cut
        self.step = make_step(model, settings)
        self.history = History()
        self.position = 0  # windows of the current epoch that are done
        self.spent = 0.0  # seconds that they took
        longest = len(train) // (settings.batch_size * settings.num_steps)
        self.losses = torch.zeros(longest, device=train.device)
        self.norms = torch.zeros(longest, device=train.device)

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.history.perplexity)

    def run(self) -> History:
        """Train to the end, from the checkpoint if there is one that fits.

        Raises:
            Diverged: a loss or a gradient is not finite; the last good checkpoint stays.
            Interrupted: SIGTERM or SIGINT came; the state is saved.
        """
        self._restore()
        with Signals() as signals, Progress(self.settings.epochs, self.epoch) as progress:
            started = time.monotonic() - self.history.wall
            while self.epoch < self.settings.epochs:
                self._run_epoch(signals, started)
                self.history.wall = time.monotonic() - started
                self._show(progress)
        return self.history

    def _show(self, progress: Progress) -> None:
        history = self.history
        progress.show(self.epoch, history.perplexity[-1], history.tokens[-1] / history.seconds[-1], history.wall)

    def _run_epoch(self, signals: Signals, started: float) -> None:
        """Train on what is left of the current epoch and add it to the history."""
        self.order = self.generator.getstate()
        cut = batching.PARTITIONS[self.settings.sampling]
        windows = cut(self.train, self.settings.batch_size, self.settings.num_steps, self.generator)
        clock = time.perf_counter() - self.spent
        while self.position < len(windows):
            self._train_on(windows[self.position])
            if signals.received or (self.checkpoint and self.checkpoint.due()):
                self.spent = time.perf_counter() - clock
                self.history.wall = time.monotonic() - started
                self._save()
            if signals.received:
                raise Interrupted(signals.received)
        nats = self._checked_losses().sum().item() * windows[0].inputs.numel()
        self._finish_epoch(nats, len(windows) * windows[0].inputs.numel(), time.perf_counter() - clock)

    def _train_on(self, window: Window) -> None:
        """One step; its loss and gradient norm stay on the device."""
        loss, norm = self.step(window)
        self.losses[self.position] = loss
        self.norms[self.position] = norm
        self.position += 1

    def _finish_epoch(self, nats: float, tokens: int, seconds: float) -> None:
        epoch = self.epoch + 1
        perplexity = self._finite(Score(nats, tokens).perplexity)
        scored = epoch % VALID_EVERY == 0 or epoch == self.settings.epochs
        valid = self._finite(score(self.model, self.valid).perplexity) if scored else None
        self.history.perplexity.append(perplexity)
        self.history.valid.append(valid)
        self.history.tokens.append(tokens)
        self.history.seconds.append(seconds)
        self.position, self.spent = 0, 0.0

    def _checked_losses(self) -> Tensor:
        """The losses of the epoch so far, on the CPU (this waits for the device). Raises Diverged.

        A gradient that is not finite counts as well: the loss before it may be the last finite one.
        """
        losses, norms = torch.stack((self.losses, self.norms))[:, : self.position].cpu().double()
        bad = (~torch.isfinite(losses + norms)).nonzero()
        if len(bad):
            self._diverged(int(bad[0]))
        return losses

    def _finite(self, perplexity: float) -> float:
        """`perplexity`, unless it overflowed. Raises Diverged."""
        if not math.isfinite(perplexity):
            self._diverged(self.position - 1)
        return perplexity

    def _diverged(self, batch: int) -> None:
        norms = self.norms[: batch + 1].tolist()
        raise Diverged(
            f"the training diverged at epoch {self.epoch + 1}, batch {batch + 1}: loss {self.losses[batch]:.3g}, "
            f"gradient norm {norms[-1]:.3g} (the largest in this epoch before it: {max(norms[:-1], default=0.0):.3g}); "
            f"lower train.lr ({self.settings.lr:g}) or train.clip ({self.settings.clip:g})"
        )

    def _save(self) -> None:
        """Save everything that the next step needs, unless the training has diverged (then raise Diverged)."""
        self._checked_losses()
        if self.checkpoint:
            tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
            tensors |= {f"state.{name}": tensor for name, tensor in self.step.state._asdict().items()}
            tensors |= {"losses": self.losses, "norms": self.norms}
            facts = {
                "order": self.order,
                "position": self.position,
                "spent": self.spent,
                "history": asdict(self.history),
            }
            self.checkpoint.save(tensors, facts)

    def _restore(self) -> None:
        """Go back to where the checkpoint was saved."""
        saved = self.checkpoint.load() if self.checkpoint else None
        if saved is None:
            return
        tensors, facts = saved
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in self.model.state_dict()})
        for name, tensor in self.step.state._asdict().items():
            tensor.copy_(tensors[f"state.{name}"])
        self.losses.copy_(tensors["losses"])
        self.norms.copy_(tensors["norms"])
        version, internal, gauss = facts["order"]
        self.generator.setstate((version, tuple(internal), gauss))
        self.position, self.spent = facts["position"], facts["spent"]
        self.history = History(**facts["history"])
        print(f"resumed at epoch {self.epoch + 1}, batch {self.position + 1}", flush=True)
