"""Evaluate both models on the whole of each split, token by token on a passage, and let them continue the prefixes.

The weights from scratch are also loaded into nn.LSTM, which must give the same logits.
"""

import hashlib
from pathlib import Path

from lstm_lm.core import device, stage
from lstm_lm.core.atomic import write_json, write_text
from lstm_lm.core.params import Params
from lstm_lm.evaluation import continuation, inspection
from lstm_lm.model import score
from lstm_lm.model.arithmetic import check_arithmetic
from lstm_lm.model.language_model import MODELS, fix_threads
from lstm_lm.model.model_file import load_model
from lstm_lm.tokens.batching import load_tokens
from lstm_lm.tokens.text import SPLITS, tokens_per_character
from lstm_lm.tokens.vocabulary import Vocabulary


def main(params: Params, root: Path) -> None:
    """Write perplexity, bits per token and per character; what the models know of a passage; the generated text."""
    where = device.choose(params.device)
    device.configure(where, "fp32", params.numerics)
    vocabulary, window = Vocabulary.load(root / "data/tokens/vocabulary.json"), params.evaluate.window
    files = {kind: root / f"data/models/{kind}.safetensors" for kind in MODELS}
    digests = {kind: hashlib.sha256(file.read_bytes()).hexdigest() for kind, file in files.items()}
    streams = {name: load_tokens(root / f"data/tokens/{name}.npy") for name in SPLITS}
    models = {kind: load_model(file, vocabulary).to(where) for kind, file in files.items()}
    fix_threads(models["concise"].architecture)
    if where.type == "cpu":
        for model in models.values():
            for rows in sorted({1, score.rows_together(model.architecture, window)} if window else {1}):
                check_arithmetic(model.architecture, rows)
    scores = {}
    for kind, model in models.items():
        try:
            scores[kind] = score.scores(model, streams, window)
        except ValueError as error:
            raise ValueError(f"{kind}: {error}") from error
    for split, ratio in tokens_per_character(root / "metrics/tokenize.json").items():
        for of_model in scores.values():
            of_model[split]["bits_per_character"] = of_model[split]["bits_per_token"] * ratio
    difference = score.max_logit_difference(models["scratch"], streams["valid"])
    # The test split is for scores alone: nobody should look at its tokens.
    shown = {split: streams[split] for split in inspection.SHOWN}
    found = inspection.inspect(models, shown, vocabulary, params.evaluate.passage)
    texts = continuation.texts(models, vocabulary, params.evaluate, params.seed)
    measured_in = {} if window is None else {"window": window}
    results = {"corpus": params.corpus.name, **measured_in, **scores, "max_logit_difference": difference}
    write_json(root / "metrics/evaluate.json", results)
    write_json(root / "metrics/digests.json", {"corpus": params.corpus.name, **digests})
    inspection.write(found, params.corpus.name, root)
    write_json(root / "metrics/generated.json", {"corpus": params.corpus.name, "texts": texts})
    write_text(root / "plots/generated.txt", continuation.readable(params.corpus.name, texts))


if __name__ == "__main__":
    stage.run(main)
