"""The training loop of every model: epochs of BPTT windows, resumable after each window."""

import json
import math
import random
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter
from torch import Tensor

from lstm_lm.core.interruption import Interrupted, Signals
from lstm_lm.core.params import Train
from lstm_lm.core.printable import say
from lstm_lm.model.language_model import LanguageModel
from lstm_lm.model.score import Score, score
from lstm_lm.tokens import batching
from lstm_lm.tokens.batching import Window
from lstm_lm.training.checkpoint import Checkpoint, Tree
from lstm_lm.training.group import ALONE, Group
from lstm_lm.training.losses import Diverged, Losses
from lstm_lm.training.progress import Progress
from lstm_lm.training.schedule import learning_rate
from lstm_lm.training.step import make_step


class Epoch(NamedTuple):
    """The results of one epoch; `seconds` and `wall` differ from run to run.

    Attributes:
        train_perplexity: exp(nats / tokens) over the epoch's windows, each scored just before it changes the model, as
            in the textbook.
        valid_perplexity: of the validation split after the epoch; None where it was not scored.
        tokens: that were trained on.
        seconds: of training alone.
        wall: seconds since the training began.
    """

    train_perplexity: float
    valid_perplexity: float | None
    tokens: int
    seconds: float
    wall: float


_EPOCHS = TypeAdapter(list[Epoch])


class Training:
    """The training of a model for `settings.epochs` epochs.

    Args:
        model: trained in place, on its device.
        train: token ids to train on, (tokens,), of any integer type.
        valid: token ids to score every `settings.valid_every` epochs, (tokens,).
        settings: the `train` section of params.yaml.
        seed: of the order of the data.
        checkpoint: where the state is saved; None: nowhere.
        on_save: called after each save and after a saved state was loaded.
        group: the processes that share the rows of each window; each makes the same `Training`.

    Raises:
        ValueError: the train split is shorter than one batch of windows.
    """

    def __init__(
        self,
        model: LanguageModel,
        train: np.ndarray,
        valid: np.ndarray,
        settings: Train,
        seed: int,
        checkpoint: Checkpoint | None = None,
        on_save: Callable[[], None] = lambda: None,
        group: Group = ALONE,
    ) -> None:
        batching.check_long_enough(len(train), settings.batch_size, settings.num_steps)
        self.model, self.train, self.valid = model, train, valid
        self.settings, self.checkpoint, self.on_save = settings, checkpoint, on_save
        self.group = group
        self.generator = random.Random(seed)
        self.order = self.generator.getstate()  # before the current epoch's windows were cut
        self.step = make_step(model, settings, group)
        self.epochs: list[Epoch] = []
        self.kept: dict[str, Tensor] = {}  # with train.keep best, the weights with the best score
        self.spent = 0.0  # seconds that the windows of the current epoch took
        self.wall = 0.0  # seconds since the training began, without those in which it did not run
        self.device = self.step.carried.hidden.device
        self.losses = Losses(len(train) // (settings.batch_size * settings.num_steps), settings, self.device)

    def run(self) -> list[Epoch]:
        """Train to the end, from the checkpoint if there is one.

        Raises:
            Diverged: a loss or a gradient is not finite; the last good checkpoint stays.
            Interrupted: SIGTERM, SIGINT or SIGHUP came; the state is saved.
        """
        self._restore()
        self.model.train()
        signals, progress = Signals(launched=self.group.size > 1), Progress(self.settings.epochs, len(self.epochs))
        with signals, progress.bar:
            started = time.monotonic() - self.wall
            while len(self.epochs) < self.settings.epochs and not self._is_out_of_patience():
                epoch = self._run_epoch(signals, started)
                self.epochs.append(epoch)
                self._keep_the_best()
                progress.show(len(self.epochs), self._reached(), epoch.tokens / epoch.seconds, epoch.wall)
            self._heed(signals)  # which may have come during the last validation
        if self.kept:
            self.model.load_state_dict(self.kept)
        return self.epochs

    @property
    def best(self) -> int:
        """The first epoch with the best validation score, counted from 1; 0 before any score."""
        scored = [(epoch.valid_perplexity, number) for number, epoch in enumerate(self.epochs, 1)]
        return min(((valid, number) for valid, number in scored if valid is not None), default=(0.0, 0))[1]

    @property
    def kept_epoch(self) -> int:
        """The epoch, counted from 1, whose weights the model has at the end."""
        return self.best if self.settings.keep == "best" else len(self.epochs)

    def _reached(self) -> str:
        """The last train and validation perplexities, and the best one if its weights are kept."""
        scores = [epoch.valid_perplexity for epoch in self.epochs if epoch.valid_perplexity is not None]
        text = f"perplexity {self.epochs[-1].train_perplexity:.2f}"
        if scores:
            text += f", validation {scores[-1]:.2f}"
        if scores and self.settings.keep == "best":
            text += f", best {min(scores):.2f} in epoch {self.best}"
        return text

    def _keep_the_best(self) -> None:
        if self.settings.keep == "best" and self.best == len(self.epochs):
            self.kept = {name: weight.clone() for name, weight in self.model.state_dict().items()}

    def _is_out_of_patience(self) -> bool:
        """Whether the last `train.patience` scores were no improvement."""
        since = [epoch for epoch in self.epochs[self.best :] if epoch.valid_perplexity is not None]
        return self.settings.patience is not None and len(since) >= self.settings.patience

    def _run_epoch(self, signals: Signals, started: float) -> Epoch:
        """Train on the remaining windows of the current epoch."""
        self.order = self.generator.getstate()
        cut = batching.PARTITIONS[self.settings.sampling]
        partition = cut(len(self.train), self.settings.batch_size, self.settings.num_steps, self.generator)
        own = partition.part(*self.group)
        clock = time.perf_counter() - self.spent
        while self.losses.done < partition.windows:
            lr = learning_rate(self.settings, len(self.epochs), self.losses.done / partition.windows)
            self._train_on(own.window(self.train, self.losses.done, self.settings.num_steps), lr)
            self.spent, self.wall = time.perf_counter() - clock, time.monotonic() - started
            self._heed(signals)
        window = partition.batch_size * self.settings.num_steps
        tokens = partition.windows * window
        nats = self.losses.sum() * window
        return self._finish_epoch(nats, tokens, time.perf_counter() - clock, started)

    def _heed(self, signals: Signals) -> None:
        """Save if that is due or any process got a signal; stop on a signal."""
        due = self.group.is_first and self.checkpoint is not None and self.checkpoint.due()
        signum, due = self.group.highest(signals.received or 0, due)
        if signum or due:
            self._save()
        if signum:
            raise Interrupted(signum)

    def _train_on(self, window: Window, lr: float) -> None:
        """One step."""
        window.check(self.model.architecture.vocab_size)
        window = Window(window.inputs.to(self.device), window.targets.to(self.device), window.continues)
        self.losses.add(*self.step(window, lr))

    def _finish_epoch(self, nats: float, tokens: int, seconds: float, started: float) -> Epoch:
        number = len(self.epochs) + 1
        perplexity = self.losses.finite(Score(nats, tokens).perplexity)
        scored = number % self.settings.valid_every == 0 or number == self.settings.epochs
        valid = self._score() if scored else None
        self.losses.begin(number + 1)
        self.spent, self.wall = 0.0, time.monotonic() - started
        return Epoch(perplexity, valid, tokens, seconds, self.wall)

    def _score(self) -> float:
        """Perplexity on the validation split. Raises Diverged where it overflows."""
        result = Score(*json.loads(self.group.from_first(lambda: json.dumps(score(self.model, self.valid)).encode())))
        if not math.isfinite(result.perplexity):
            raise Diverged(
                f"the training diverged in epoch {len(self.epochs) + 1}: on the validation split the model needs "
                f"{result.bits_per_token:,.0f} bits per token, so its perplexity overflows; {self.losses.advice}"
            )
        return result.perplexity

    def _save(self) -> None:
        """Save the state, unless the training has diverged. Raises Diverged."""
        self.losses.sum()  # raises Diverged
        if self.checkpoint:
            state = self._state()
            if self.group.is_first:
                self.checkpoint.save(state)
            self.on_save()

    def _state(self) -> Tree:
        """The content of a checkpoint, with the carried state of all processes."""
        return {
            "model": self.model.state_dict(),
            "kept": self.kept,
            "optimizer": self.step.optimizer.state(),
            "carried": {name: self.group.whole(rows, dim=1) for name, rows in self.step.carried._asdict().items()},
            "masks": self.model.dropout.generator(self.device).get_state(),
            "order": self.order,
            "epochs": self.epochs,
            "position": self.losses.done,
            "windows": self.losses.state(),
            "spent": self.spent,
            "wall": self.wall,
        }

    def _restore(self) -> None:
        """Set the state of the checkpoint, if there is one."""
        saved = self.checkpoint.load(self.group) if self.checkpoint else None
        if self.checkpoint is None or saved is None:
            return
        try:
            self._set(saved)
            self.on_save()
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            place = self.checkpoint.path.parent
            raise ValueError(f"the checkpoint in {place} does not fit its own training: remove that folder") from error
        say(f"resumed at epoch {len(self.epochs) + 1}, batch {self.losses.done + 1}")

    def _set(self, saved: Tree) -> None:
        """Set a state that `_state` returned."""
        self.model.load_state_dict(saved["kept"] or saved["model"])  # checks names and shapes of the kept weights
        self.model.load_state_dict(saved["model"])
        self.kept = {name: weight.to(self.device) for name, weight in saved["kept"].items()}
        for name, tensor in self.step.optimizer.state().items():
            tensor.copy_(saved["optimizer"][name])
        self.model.dropout.generator(self.device).set_state(saved["masks"])
        for name, tensor in self.step.carried._asdict().items():
            tensor.copy_(self.group.part(saved["carried"][name], dim=1))
        version, internal, gauss = saved["order"]
        self.generator.setstate((version, tuple(internal), gauss))
        self.epochs = _EPOCHS.validate_python(saved["epochs"])
        self.losses.restore(len(self.epochs) + 1, saved["windows"])
        self.spent, self.wall = float(saved["spent"]), float(saved["wall"])
