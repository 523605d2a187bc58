"""Trains each kind of model for a few steps and prints what came of it: digests of weights, curve and logits, as JSON.

For processes with other instruction sets, threads or compilers than the test's own. Arguments: the kernels, of which
"library" is torch.nn.LSTM and "library_without_onednn" the same without oneDNN's generated code.
"""

import hashlib
import json
import random
import sys

import numpy as np
import torch

from lstm_lm.core import device
from lstm_lm.model.language_model import build
from lstm_lm.model.score import surprisal
from lstm_lm.training.loop import Training
from projects import params_of, train_of


def train(kernel: str) -> str:
    """A digest of all that a training of 2 epochs leaves."""
    torch.backends.mkldnn.enabled = kernel != "library_without_onednn"  # pyright: ignore[reportAttributeAccessIssue]
    kind = "concise" if kernel.startswith("library") else "scratch"
    model = build(kind, 20, params_of(hidden=37, kernel=kernel if kind == "scratch" else "fused"))
    drawn = random.Random(0)
    stream = np.array([drawn.randrange(1, 20) for _ in range(1200)], np.uint8)
    epochs = Training(model, stream, stream[:300], train_of(batch_size=9, num_steps=12, epochs=2), seed=0).run()
    digest = hashlib.sha256(repr([epoch[:2] for epoch in epochs]).encode())
    for values in (*model.state_dict().values(), surprisal(model, stream)):
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    device.configure(torch.device("cpu"), "fp32", "portable")
    print(json.dumps({kernel: train(kernel) for kernel in sys.argv[1:]}))
