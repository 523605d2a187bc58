"""On the output of DVC 3.67.1 after a real sweep: hidden 8, 16, 32, seeds 0, 1; and one experiment besides."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lstm_lm.review.sweep import Experiment, experiments, figures, report, sweep, table
from reported import make_project, module

RECORDED = Path(__file__).parents[1] / "recorded/exp_show.json"


@pytest.fixture
def shown() -> list[dict[str, Any]]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def experiment(scratch: float = 2.0, concise: float = 1.0, **params: Any) -> Experiment:
    perplexity = {("scratch", "held-out"): scratch, ("scratch", "train"): scratch / 2}
    perplexity |= {("concise", "held-out"): concise, ("concise", "train"): concise / 2}
    return Experiment(params, perplexity)


def test_every_finished_experiment_is_read_once(shown):
    done, left_out = experiments(shown)
    assert left_out == 0
    choices = [(e.params["model.hidden"], e.params["seed"], e.params["train.lr"]) for e in done]
    assert sorted(choices) == [(8, 0, 2), (8, 1, 2), (16, 0, 2), (16, 1, 2), (32, 0, 2), (32, 1, 2), (48, 0, 1)]
    metrics = shown[1]["experiments"][0]["revs"][0]["data"]["metrics"]["metrics/evaluate.json"]["data"]
    seen = [e for e in done if (e.params["model.hidden"], e.params["seed"]) == (32, 1)]
    assert seen[0].perplexity["concise", "held-out"] == metrics["concise"]["valid"]["perplexity"]

    shown[1]["experiments"].append(copy.deepcopy(shown[1]["experiments"][0]))
    assert len(experiments(shown)[0]) == 7


@pytest.mark.parametrize("state", ["running", "queued", "failed"])
def test_an_experiment_under_way_does_not_count_even_with_the_metrics_of_its_start(shown, state):
    shown[1]["experiments"][0]["executor"]["state"] = state
    done, left_out = experiments(shown)
    assert (len(done), left_out) == (6, 1)


def test_an_experiment_that_dvc_cannot_read_does_not_count(shown):
    shown[1]["experiments"][0]["revs"][0] |= {"data": None, "error": {"type": "FileNotFoundError", "msg": "gone"}}
    shown[1]["experiments"][1]["revs"][0]["data"]["metrics"] = {"metrics/evaluate.json": {"error": {"msg": "gone"}}}
    assert experiments(shown)[1] == 2


def test_mean_and_spread_are_over_the_seeds_of_one_choice(shown):
    done, _ = experiments(shown)
    swept = sweep(done)
    assert (swept.parameter, swept.values) == ("model.hidden", [8, 16, 32, 48])
    assert swept.settings == ["train.epochs=20, train.lr=2", "train.epochs=40, train.lr=1"]
    outcome = next(o for o in swept.outcomes if (o.value, o.model, o.window) == (8, "scratch", "held-out"))
    assert (outcome.seeds, outcome.setting) == (2, swept.settings[0])
    low, high = sorted(e.perplexity["scratch", "held-out"] for e in done if e.params["model.hidden"] == 8)
    assert low < high
    assert (outcome.mean, outcome.lowest, outcome.highest) == (pytest.approx((low + high) / 2), low, high)
    assert [row["value"] for row in table(swept)] == [8, 16, 32, 48]
    assert [row["best"] for row in table(swept)] == [set(), set(), set(), {"scratch", "concise"}]


def test_integers_and_floats_of_one_value_are_one_value():
    raw: dict[str, Any] = {"params": {"params.yaml": {"data": {"lr": 1.0}}}}
    scores = {m: {w: {"perplexity": 2.0} for w in ("train", "valid")} for m in ("scratch", "concise")}
    raw["metrics"] = {"metrics/evaluate.json": {"data": scores}}
    other = copy.deepcopy(raw) | {"params": {"params.yaml": {"data": {"lr": 1}}}}
    done, _ = experiments([{"experiments": [{"revs": [{"data": data}], "executor": None} for data in (raw, other)]}])
    assert len(done) == 1


def test_words_are_ordered_as_words_and_numbers_as_numbers():
    swept = sweep([experiment(sampling=value) for value in ("sequential", "random")])
    assert swept.values == ["random", "sequential"]
    assert sweep([experiment(hidden=value) for value in (128, 64, 9)]).values == [9, 64, 128]


def test_the_parameter_with_most_values_is_the_axis():
    done = [experiment(hidden=hidden, lr=lr) for hidden in (1, 2) for lr in (1, 2, 3)]
    assert sweep(done).parameter == "lr"
    encoding = figures(sweep(done))["sweep_held_out"].spec["encoding"]
    assert encoding["strokeDash"]["scale"]["domain"] == ["hidden=1", "hidden=2"]
    assert encoding["x"]["scale"].get("type") is None, "a narrow range of numbers is linear"
    wide = figures(sweep([experiment(hidden=value) for value in (8, 32)]))["sweep_train"].spec["encoding"]
    assert wide["x"]["scale"]["type"] == "log"


def test_the_page_the_markdown_and_the_pictures_show_the_sweep(shown, tmp_path):
    verdict = report(shown, tmp_path)
    assert verdict.startswith(
        "Lowest mean held-out perplexity: 10.57, torch.nn.LSTM at model.hidden=48, train.epochs=40"
    )
    markdown = (tmp_path / "sweep.md").read_text(encoding="utf-8")
    cells = "| 8 | train.epochs=20, train.lr=2 | 2 | 15.14 (14.72 to 15.55) | 15.38 | 11.30 (10.83 to 11.77) | 11.48 |"
    assert cells in markdown
    assert re.findall(r"\]\((.*?)\)", markdown) == ["sweep_held_out.png", "sweep_train.png"]
    for name in ("sweep_held_out", "sweep_train"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "model.hidden" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    html = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert "14.72 to 15.55" in html
    assert verdict in html


def test_nothing_to_show_is_one_clear_line(tmp_path):
    with pytest.raises(ValueError, match="differ in nothing but the seed"):
        sweep([experiment(seed=0), experiment(seed=1)])
    done = module(make_project(tmp_path / "project"), "sweep")
    assert done.returncode == 1
    assert done.stderr.startswith("sweep: no experiment has results yet: dvc exp run --queue")
    assert done.stderr.count("\n") == 1
