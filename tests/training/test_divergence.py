"""A training that goes astray stops, says where and what to do, and leaves nothing useless behind."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from lstm_lm.model.language_model import Architecture, LanguageModel, scratch_start
from lstm_lm.model.model_file import load_model, save_model
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training.checkpoint import Checkpoint
from lstm_lm.training.loop import Training
from lstm_lm.training.losses import Diverged
from projects import Project, train_of

WILD = {"train__lr": 1e6, "train__clip": 1e6, "checkpoint__seconds": 1e-9}
NUMBER = r"(nan|inf|[-+.e\d]+)"
MESSAGE = re.compile(
    rf"the training diverged at epoch \d+, batch \d+: loss {NUMBER}, gradient norm {NUMBER} "
    rf"\(the largest in this epoch before it: {NUMBER}\); lower train\.lr \(1e\+06\) or train\.clip \(1e\+06\)"
)


@pytest.mark.parametrize("kind", ["scratch", "concise"])
def test_a_wild_training_stops_with_advice_and_touches_no_result(kind: str, small_project: Project) -> None:
    small_project.set(train__epochs=2)
    small_project.run_through(f"train_{kind}")
    before = small_project.files()
    small_project.set(**WILD)
    before["params.yaml"] = (small_project.root / "params.yaml").read_bytes()
    complaint = small_project.run(f"train_{kind}").complaint
    assert MESSAGE.fullmatch(complaint.removeprefix(f"train_{kind}: ")), complaint
    after = {name: content for name, content in small_project.files().items() if ".checkpoints" not in name}
    assert after == before


@pytest.mark.parametrize("kind", ["scratch", "concise"])
def test_the_last_good_checkpoint_stays(kind: str, small_project: Project) -> None:
    small_project.set(**{**WILD, "train__lr": 1e4})
    assert "diverged" in small_project.run(f"train_{kind}").complaint
    (state,) = small_project.checkpoints()
    with safe_open(state, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            assert torch.isfinite(file.get_tensor(name)).all(), name
    assert "diverged" in small_project.run(f"train_{kind}").complaint, "the same again, from the checkpoint"


def test_an_infinite_gradient_beside_a_finite_loss_is_noticed(tmp_path: Path) -> None:
    model = LanguageModel(Architecture(kernel="book", vocab_size=5, hidden=4))
    model.load_textbook(scratch_start(model.architecture, seed=0))
    model.output.get_parameter("b_q").register_hook(lambda gradient: gradient / 0)
    stream = np.arange(100) % 4 + 1
    settings = train_of(batch_size=2, num_steps=5, epochs=3)
    checkpoint = Checkpoint(tmp_path, "scratch", "key", cadence=0)
    training = Training(model, stream, stream, settings, 0, checkpoint)
    with pytest.raises(Diverged, match=r"at epoch 1, batch 1: loss \d.*, gradient norm inf"):
        training.run()
    assert checkpoint.load() is None


def test_a_perplexity_that_overflows_on_the_validation_split_alone_is_named() -> None:
    model = LanguageModel(Architecture(kernel="book", vocab_size=5, hidden=4))
    with torch.no_grad():
        model.output.get_parameter("b_q")[1] = 1e6
    stream, other = np.ones(100, np.uint8), np.full(100, 2, np.uint8)
    training = Training(model, stream, other, train_of(batch_size=2, num_steps=5, epochs=1), 0)
    message = r"^the training diverged in epoch 1: on the validation split the model needs [\d,]+ bits per token"
    with pytest.raises(Diverged, match=message):
        training.run()


def test_the_evaluate_stage_names_the_model_whose_perplexity_overflows(small_project: Project) -> None:
    small_project.set(train__epochs=1)
    small_project.run_through("train_scratch", "train_concise")
    path = small_project.root / "data/models/concise.safetensors"
    vocabulary = Vocabulary.load(small_project.root / "data/tokens/vocabulary.json")
    model = load_model(path, vocabulary)
    with torch.no_grad():
        model.output.get_parameter("bias")[1] = 1e6
    save_model(model, path, vocabulary)
    assert small_project.run("evaluate").complaint.startswith("evaluate: concise: on the train split the model needs ")
