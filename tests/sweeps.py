"""Experiments in rows as `dvc.api.exp_show` returns them."""

from typing import Any

from tools.report.experiments import Experiments, experiments

NAMES = ["seed", "corpus.name", "model.hidden", "train.lr", "train.sampling"]
BASE = {"seed": 0.0, "corpus.name": "sample", "model.hidden": 256.0, "train.lr": 1.0, "train.sampling": "sequential"}
SWEPT = [
    {"model.hidden": size, "seed": seed, "train.lr": 2.0, "scratch": 20.0 - size / 10 + seed, "concise": 11.0 + seed}
    for size in (16.0, 8.0)
    for seed in (0.0, 1.0)
] + [{"model.hidden": 48.0, "scratch": 10.5, "concise": 9.5}]


def row(name: str | None, state: str | None = None, scratch: Any = 2.0, concise: Any = 1.0, **params: Any) -> dict:
    """What exp_show says about one experiment; validation perplexity as given, train half of it, test twice."""
    found = {"Experiment": name, "rev": "abc1234", "State": state, **BASE, **params}
    for model, perplexity in (("scratch", scratch), ("concise", concise)):
        for name, factor in (("train_score", 0.5), ("valid_perplexity", 1), ("test_perplexity", 2)):
            known = isinstance(perplexity, float)
            found[f"metrics/{model}.json:{name}"] = factor * perplexity if known else perplexity
        found[f"metrics/{model}.json:tokens_per_s"] = 12345.0
    return found


def experiments_of(*changes: dict[str, Any]) -> Experiments:
    """A revision and experiments with these changes."""
    rows = [row(f"e-{place}", **change) for place, change in enumerate(changes)]
    return experiments([row(None), *rows], NAMES)
