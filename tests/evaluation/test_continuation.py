"""Continuations of a prefix, greedy and sampled."""

import random

import numpy as np
import pytest
import torch

from lstm_lm.core.params import Evaluate
from lstm_lm.evaluation import continuation as generation
from lstm_lm.evaluation.continuation import as_fed, choose, continuation
from lstm_lm.model import score
from lstm_lm.model.language_model import Architecture, LanguageModel, scratch_start
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from lstm_lm.training.loop import Training
from projects import train_of

VOCABULARY = Vocabulary(("<unk>", "a", "b", "c", "d"), Tokenizer("char", "letters"))
CYCLE = np.array([1, 2, 3, 4] * 60, np.uint8)


@pytest.fixture(scope="module")
def cycling() -> LanguageModel:
    """A model that has learnt a, b, c, d, a, b, ..."""
    settings = train_of(batch_size=4, num_steps=8, epochs=40, lr=2.0)
    model = LanguageModel(Architecture(kernel="book", vocab_size=5, hidden=12))
    model.load_textbook({name: 20 * weight for name, weight in scratch_start(model.architecture, 0).items()})
    Training(model, CYCLE, CYCLE[:20], settings, seed=0).run()
    return model


def test_greedy_goes_on_with_what_was_learnt(cycling: LanguageModel) -> None:
    assert "".join(continuation(cycling, VOCABULARY, "abc", 10)) == "dabcdabcda"
    assert "".join(continuation(cycling, VOCABULARY, "cd", 3)) == "abc"
    assert list(continuation(cycling, VOCABULARY, "a", 0)) == []


def test_nothing_is_dropped_while_a_model_writes(cycling: LanguageModel) -> None:
    dropping = LanguageModel(cycling.architecture.model_copy(update={"dropout": 0.9}))
    dropping.load_textbook(cycling.textbook())
    assert "".join(continuation(dropping, VOCABULARY, "abc", 10)) == "dabcdabcda"


def test_greedy_is_the_likeliest_token_after_all_that_stands_there(cycling: LanguageModel) -> None:
    text = "ad"
    for _ in range(6):
        ids = torch.from_numpy(VOCABULARY.encode(text).astype(np.int64))[:, None]
        logits, _ = cycling(ids, cycling.initial_state(1))
        text += VOCABULARY.tokens[int(logits[-1, 0, 1:].argmax()) + 1]
    assert "ad" + "".join(continuation(cycling, VOCABULARY, "ad", 6)) == text


def test_a_seed_gives_the_same_sample(cycling: LanguageModel) -> None:
    def sample(seed: int) -> str:
        return "".join(continuation(cycling, VOCABULARY, "a", 40, temperature=8.0, seed=seed))

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(5)}) == 5
    assert set(sample(1)) <= set("abcd")


def test_unknown_characters_may_stand_in_the_prefix_only(cycling: LanguageModel) -> None:
    written = "".join(continuation(cycling, VOCABULARY, "\N{PILE OF POO}Z", 50, temperature=1e6))
    assert len(written) == 50
    assert set(written) <= set("abcd")


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 50])
def test_a_long_prefix_is_read_in_pieces(length: int, cycling: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix, steps = "".join(random.Random(0).choices("abcd", k=length)), []
    ids = torch.from_numpy(VOCABULARY.encode(prefix).astype(np.int64))[:, None]
    logits, _ = cycling(ids, cycling.initial_state(1))
    handle = cycling.lstm.register_forward_hook(lambda _module, inputs, _output: steps.append(len(inputs[0])))
    monkeypatch.setattr(score, "CHUNK", 7)
    found = list(continuation(cycling, VOCABULARY, prefix, 3))
    handle.remove()
    assert found[0] == VOCABULARY.tokens[int(logits[-1, 0, 1:].argmax()) + 1]
    assert sum(steps) == length + 2
    assert max(steps) <= 7


def test_an_empty_prefix_is_refused(cycling: LanguageModel) -> None:
    with pytest.raises(ValueError, match="the prefix is empty"):
        list(continuation(cycling, VOCABULARY, "", 3))


@pytest.mark.parametrize(
    ("prefix", "fed"),
    [
        ("The  Sea", "the sea"),
        ("the sea ", "the sea "),
        ("the sea,\t ", "the sea "),
        ("the sea.", "the sea"),
        ("the sea\r\n", "the sea"),
        ("the sea \n", "the sea "),
        (" the\nsea", "thesea"),
    ],
)
def test_a_prefix_is_read_as_the_corpus_was_and_keeps_a_space_at_its_end(prefix: str, fed: str) -> None:
    assert as_fed(prefix, Tokenizer("char", "letters")) == fed


@pytest.mark.parametrize(
    ("tokenizer", "prefix", "fed"),
    [
        (Tokenizer("word", "letters"), "The  Sea, ", ["the", "sea"]),
        (Tokenizer("word", "none"), "The  Sea, ", ["The", "Sea,"]),
        (Tokenizer("word", "none"), "The\r\nSea\n", ["The", "<eos>", "Sea", "<eos>"]),
        (Tokenizer("char", "none"), "The \r\n", list("The \n")),
        (Tokenizer("char", "letters"), "1895 ", []),
    ],
    ids=str,
)
def test_a_prefix_is_tokenised_as_the_corpus_was(tokenizer: Tokenizer, prefix: str, fed: list[str]) -> None:
    assert list(as_fed(prefix, tokenizer)) == fed


def test_words_are_written_with_spaces_and_lines(cycling: LanguageModel) -> None:
    words = Vocabulary(("<unk>", "Oh", "no,", "no!", "<eos>"), Tokenizer("word", "none"))
    settings = Evaluate(prefixes=["Oh  no,", "no!\n"], length=6, temperature=1.0, passage=1, window=None)
    rows = generation.texts({"scratch": cycling}, words, settings, seed=0)
    assert [(row["prefix"], row["text"]) for row in rows if row["mode"] == "greedy"] == [
        ("Oh no,", " no!\nOh no, no!\n"),
        ("no!\n", "Oh no, no!\nOh no,"),
    ]
    assert "scratch  greedy   [no!↵]Oh no, no!↵Oh no," in generation.readable("tale", rows).splitlines()


def test_samples_have_the_softmax_s_frequencies() -> None:
    logits = torch.tensor([9.0, 0.0, 1.0, -1.0], dtype=torch.float64)
    generator = np.random.default_rng(0)
    drawn = np.bincount([choose(logits, 2.0, generator) for _ in range(20_000)], minlength=4) / 20_000
    weights = np.exp(logits[1:].numpy() / 2.0)
    np.testing.assert_allclose(drawn, [0, *weights / weights.sum()], atol=0.015)


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-9])
def test_next_to_no_temperature_is_greedy(temperature: float) -> None:
    logits = torch.tensor([99.0, 1.0, 3.0, 2.0], dtype=torch.float64)
    assert choose(logits, temperature, np.random.default_rng(0)) == choose(logits, None, np.random.default_rng(0)) == 2


def test_each_sample_has_a_seed_of_its_own(cycling: LanguageModel) -> None:
    """Models that know nothing: whatever the prefix and the model, one seed would write one text."""
    settings = Evaluate(prefixes=["a", "b", "c"], length=40, temperature=1e6, passage=1, window=None)
    models = {"scratch": cycling, "concise": cycling}
    samples = [
        [row["text"] for row in generation.texts(models, VOCABULARY, settings, seed) if row["mode"] == "sampled"]
        for seed in (0, 0, 1)
    ]
    assert samples[0] == samples[1]
    assert len(set(samples[0] + samples[2])) == 12


def test_prefixes_that_the_models_read_alike_are_continued_once(cycling: LanguageModel) -> None:
    settings = Evaluate(prefixes=["A b!", "c", "a  B", "a b "], length=4, temperature=1.0, passage=1, window=None)
    rows = generation.texts({"scratch": cycling}, VOCABULARY, settings, seed=0)
    assert [row["prefix"] for row in rows if row["mode"] == "greedy"] == ["a b", "c", "a b "]


def test_of_which_prefixes_tokens_are_unknown_is_said(
    cycling: LanguageModel, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Evaluate(prefixes=["ab", "A sea", "xyz"], length=4, temperature=1.0, passage=1, window=None)
    generation.texts({"scratch": cycling, "concise": cycling}, VOCABULARY, settings, seed=0)
    assert capsys.readouterr().out.splitlines() == [
        "evaluate.prefixes: 3 of 5 tokens of 'a sea' are not in the vocabulary; they are read as <unk>",
        "evaluate.prefixes: 3 of 3 tokens of 'xyz' are not in the vocabulary; they are read as <unk>",
    ]


def test_texts_and_their_readable_form(cycling: LanguageModel) -> None:
    settings = Evaluate(prefixes=["Ab? ", "c\n"], length=4, temperature=1.0, passage=1, window=None)
    rows = generation.texts({"scratch": cycling, "concise": cycling}, VOCABULARY, settings, seed=0)
    assert [(row["model"], row["prefix"], row["mode"]) for row in rows] == [
        (kind, prefix, mode)
        for prefix in ("ab ", "c")
        for kind in ("scratch", "concise")
        for mode in ("greedy", "sampled")
    ]
    assert {len(row["text"]) for row in rows} == {4}
    assert rows[0]["text"] == "".join(continuation(cycling, VOCABULARY, "ab ", 4))
    readable = generation.readable("tale", rows).splitlines()
    assert "tale" in readable[0]
    assert "scratch  greedy   [c]dabc" in readable
    assert len(readable) == 2 + len(rows)
