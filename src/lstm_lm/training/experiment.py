"""A training stage: tokens and parameters in; weights, metrics, curves out."""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from lstm_lm.core import device as devices
from lstm_lm.core.atomic import write_record
from lstm_lm.core.params import Params, Train
from lstm_lm.core.printable import say
from lstm_lm.core.stage import project
from lstm_lm.model import compiled
from lstm_lm.model.arithmetic import check_arithmetic
from lstm_lm.model.language_model import (
    FUSED_IN_CPP,
    LanguageModel,
    architecture,
    build,
    fix_threads,
    kernel_name,
)
from lstm_lm.model.loss import rows_at_once
from lstm_lm.model.model_file import save_model
from lstm_lm.tokens.batching import load_tokens, windows_per_epoch
from lstm_lm.tokens.streams import read_digests
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training import curves, processes
from lstm_lm.training.checkpoint import Checkpoint, digest
from lstm_lm.training.group import Group
from lstm_lm.training.loop import Training

WARM_UP = 5
"""The throughput leaves out so many epochs at the start, unless there are no others."""


def train(kind: str, params: Params, root: Path) -> None:
    """Train the "scratch" or the "concise" model and write the results below `root`.

    Reads data/tokens/; writes data/models/<kind>.safetensors, metrics/{train,throughput,environment}_<kind>.json,
    plots/{curve,held_out,timing}_<kind>.tsv; keeps checkpoints in .checkpoints/. The curves are also written at every
    checkpoint, and when the training fails or is stopped. Of several processes, the first one writes.

    Raises:
        ValueError: the device, the window sizes or the memory do not allow it, the processes differ, or the loss
            diverges.
        Interrupted: stopped by a signal, with the state saved.
    """
    processes.run(train_together, params.train.processes, devices.choose(params.device), kind, params, root)


def train_together(group: Group, device: torch.device, kind: str, params: Params, root: Path) -> None:
    """`train` in one process of `group`."""
    devices.configure(device, params.train.precision, params.numerics)
    vocabulary = Vocabulary.load(root / "data/tokens/vocabulary.json")
    check_memory(kind, params, len(vocabulary), device)
    streams = {name: load_tokens(root / f"data/tokens/{name}.npy") for name in ("train", "valid")}
    model = build(kind, len(vocabulary), params).to(device)
    kernel = kernel_name(model.architecture.kernel, device, params.train.precision)
    environment = devices.environment(device, kernel, params.train.precision, kernel == FUSED_IN_CPP)
    fix_threads(model.architecture, group.size)
    if device.type == "cpu" and params.train.precision == "fp32":
        check_arithmetic(model.architecture, params.train.batch_size // group.size)
    digests = read_digests(root / "data/tokens") | {"vocabulary": vocabulary.digest}
    key = training_key(kind, params, environment, digests)
    check_same_training(group, key)
    checkpoint = Checkpoint(project(root) / ".checkpoints", kind, key, params.checkpoint.seconds)
    if group.is_first and (root / "dvc.lock").exists():
        checkpoint.drop_stored((root / "dvc.lock").read_text(encoding="utf-8"))
    say(
        f"{kind}: {kernel}, hidden {params.model.hidden}, corpus {params.corpus.name}, {_devices(device, group)}"
        f"{_unused(params.train, len(streams['train']))}{_without_effect(params.train)}"
    )

    def write_curves() -> None:
        if group.is_first:
            curves.write(training.epochs, kind, root)

    training = Training(
        model, streams["train"], streams["valid"], params.train, params.seed, checkpoint, write_curves, group
    )
    try:
        training.run()
    except BaseException as error:
        with suppress(OSError):  # which would hide `error`
            write_curves()
        if isinstance(error, torch.OutOfMemoryError):
            raise ValueError(
                f"{devices.device_name(device)} is out of memory: {_what_to_lower(params, len(vocabulary))}"
            ) from error
        raise
    write_curves()
    if group.is_first:
        write_results(kind, params, root, training, environment, vocabulary)
        checkpoint.finish(hashlib.md5((root / f"data/models/{kind}.safetensors").read_bytes()).hexdigest())


def _devices(device: torch.device, group: Group) -> str:
    """The devices of a training, for messages and records."""
    name = devices.device_name(device)
    return name if group.size == 1 else f"{group.size} processes, each {name}"


def _unused(settings: Train, tokens: int) -> str:
    """How much of the train split an epoch uses, for a message; "" for 90% and more."""
    window = settings.batch_size * settings.num_steps
    used = window * max(0, windows_per_epoch(tokens, settings.batch_size, settings.num_steps))
    return f"; an epoch trains on {used:,} of {tokens:,} tokens" if used < 0.9 * tokens else ""


def _without_effect(settings: Train) -> str:
    """Which parameters change nothing since there are too few validation scores, for a message; "" for none."""
    names = ["train.keep best"] if settings.keep == "best" and settings.scores == 1 else []
    if settings.patience is not None and not settings.may_stop_early:
        names.append(f"train.patience {settings.patience}")
    scores = f"{settings.scores} with train.valid_every {settings.valid_every}"
    return f"; too few validation scores ({scores}) for {' and '.join(names)} to change anything" if names else ""


def training_key(kind: str, params: Params, environment: dict[str, object], tokens: dict[str, str]) -> str:
    """A digest of everything that the bytes of a training depend on: data, parameters, environment, this code.

    `tokens` has the digests of the vocabulary and of the streams. The tokenize stage wrote the latter: to hash a stream
    here, it would have to be read as a whole.
    """
    settings = f"{params.seed} {params.model!r} {getattr(params, kind)!r} {params.train!r} {environment!r} {tokens!r}"
    package = Path(__file__).parents[1]
    files = sorted(file for kind in ("py", "cpp", "h") for file in package.rglob(f"[!.]*.{kind}"))
    code = [file.read_bytes() for file in files]
    return digest(kind.encode(), settings.encode(), *code)


def check_same_training(group: Group, key: str) -> None:
    """Raise ValueError if the first process of `group` has another key."""
    if group.from_first(key.encode) != key.encode():
        raise ValueError(
            f"process {group.rank + 1} of {group.size} does not do the same training as the first: "
            "its code, parameters, tokens, libraries or hardware differ; make them equal"
        )


def check_memory(kind: str, params: Params, vocab_size: int, device: torch.device) -> None:
    """Raise ValueError, with an estimate, where a training does not fit into the device's memory.

    The estimate has three copies of the weights (with gradients and a temporary), and one for each average of the
    optimiser. For each token of a window there are the input and about twelve vectors of `hidden` numbers a layer. A
    one-hot input counts three times: it is made from integers of twice its size. The logits of a piece of the loss
    count four times (logits, logarithms, two gradients). Each of several processes has all this for its own rows, and
    one more copy of the gradients; on a CPU they share one memory.
    """
    count = params.train.processes
    parts, hidden = architecture(kind, vocab_size, params), params.model.hidden
    with torch.device("meta"):  # shapes without numbers
        weights = sum(parameter.numel() for parameter in LanguageModel(parts).parameters())
    copies = {"sgd": 3, "adam": 5}[params.train.optimizer] + (count > 1)
    tokens = params.train.batch_size // count * params.train.num_steps
    inputs = 3 * vocab_size if parts.one_hot else parts.embedding or 0
    logits = 4 * vocab_size * min(tokens, rows_at_once(vocab_size))
    estimate = 4 * (copies * weights + tokens * (inputs + 12 * hidden * parts.layers) + logits)
    if device.type == "cpu":
        estimate *= processes.on_this_machine(count)
    total = devices.total_memory(device)
    if estimate > total:
        raise ValueError(
            f"training needs about {estimate / 2**30:,.1f} GiB, {device.type} has {total / 2**30:,.1f} GiB: "
            f"{_what_to_lower(params, vocab_size)}"
        )


def _what_to_lower(params: Params, vocab_size: int) -> str:
    return (
        f"lower model.hidden ({params.model.hidden}), the vocabulary ({vocab_size:,} tokens), "
        f"train.batch_size ({params.train.batch_size}) or train.num_steps ({params.train.num_steps})"
    )


def write_results(
    kind: str, params: Params, root: Path, training: Training, environment: dict[str, object], vocabulary: Vocabulary
) -> None:
    """Write weights and metrics; what can differ from run to run goes to files of its own."""
    model, epochs, device = training.model, training.epochs, training.device
    save_model(model, root / f"data/models/{kind}.safetensors", vocabulary)
    write_record(
        root / f"metrics/train_{kind}.json",
        {
            "corpus": params.corpus.name,
            "perplexity": epochs[-1].train_perplexity,
            "valid_perplexity": epochs[training.kept_epoch - 1].valid_perplexity,
            "epochs": len(epochs),
            "kept_epoch": training.kept_epoch,
            "hidden": params.model.hidden,
            "seed": params.seed,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
    )
    speed = curves.speeds(epochs)
    q1, median, q3 = np.percentile(speed[WARM_UP:] if len(speed) > WARM_UP else speed, [25, 50, 75])
    write_record(
        root / f"metrics/throughput_{kind}.json",
        {
            "corpus": params.corpus.name,
            "device": _devices(device, training.group),
            "compiler": compiled.compiler() if str(environment["kernel"]).endswith("C++") else "none",
            "tokens_per_second": round(float(median)),
            "tokens_per_second_q1": round(float(q1)),
            "tokens_per_second_q3": round(float(q3)),
            "seconds": round(epochs[-1].wall, 2),
            "peak_memory_mib": round(devices.peak_memory(device) / 2**20),
        },
    )
    write_record(root / f"metrics/environment_{kind}.json", environment)
