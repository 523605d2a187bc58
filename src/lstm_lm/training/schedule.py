"""The learning rate over a training."""

import math

import numpy as np

from lstm_lm.core import elementary
from lstm_lm.core.params import Train


def learning_rate(settings: Train, epoch: int, done: float) -> float:
    """The learning rate of a window.

    "constant": train.lr. "decay": train.lr for train.decay_after epochs, then multiplied by train.lr_decay before each
    further epoch. "cosine": from train.lr to 0 along half a cosine, over the whole training.

    Args:
        settings: the `train` section of params.yaml.
        epoch: number of finished epochs.
        done: finished share of the current epoch, from 0 to below 1.
    """
    if settings.schedule == "decay":
        return settings.lr * math.prod([settings.lr_decay] * (epoch + 1 - settings.decay_after))
    if settings.schedule == "cosine":
        cosine, _ = elementary.turn(np.asarray((epoch + done) / settings.epochs / 2))
        return settings.lr * (1 + float(cosine)) / 2
    return settings.lr
