import json
import re
from pathlib import Path

import pytest

from projects import ROOT
from tools.summary import main, table


def write(root: Path, name: str, content: object) -> None:
    (root / "metrics").mkdir(exist_ok=True)
    (root / f"metrics/{name}.json").write_text(json.dumps(content))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    scores = {"valid": {"perplexity": 40.25, "bits_per_character": 5.331}, "test": {"perplexity": 50.5}}
    write(tmp_path, "evaluate", {"corpus": "sample", "scratch": scores, "concise": scores})
    write(tmp_path, "tokenize", {"valid_tokens": 5000, "test_tokens": 5000})
    for model, perplexity in (("scratch", 1.1), ("concise", 1.0)):
        speed = {"tokens_per_second": 123456.7, "seconds": 65.43, "peak_memory_mib": 316}
        write(tmp_path, f"train_{model}", {"perplexity": perplexity, "parameters": 299036})
        write(tmp_path, f"throughput_{model}", speed)
    return tmp_path


def test_the_table_names_the_corpus_and_has_every_number(project):
    header, _, *lines = [re.split(r"\s{2,}", line) for line in table(project).splitlines()]
    assert header == ["Corpus: sample", "from scratch", "torch.nn.LSTM"]
    shown = {title: values for title, *values in lines}
    assert shown.pop("Train perplexity, last epoch") == ["1.10", "1.00"]
    assert [value for value, other in shown.values() if value == other] == [
        *("40.25", "50.50", "5.331"),
        *("123,457", "65.4", "316", "299,036"),
    ]


def test_the_pictures_and_texts_that_it_names_are_those_of_the_pipeline(project, capsys):
    main(None, project)  # pyright: ignore[reportArgumentType]
    named = re.findall(r"plots/[\w.]+", capsys.readouterr().out)
    pipeline = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert len(named) == 4
    assert [name for name in named if name not in pipeline] == []


def test_an_experiment_is_advised_only_where_git_is(project, capsys):
    main(None, project)  # pyright: ignore[reportArgumentType]
    without = capsys.readouterr().out
    (project / ".git").mkdir()
    main(None, project)  # pyright: ignore[reportArgumentType]
    advice = capsys.readouterr().out
    assert "  dvc exp run -S model.hidden=512\n  make experiments\n  make report\n" in advice
    assert "bin/activate\n  make report\n" in without


def test_a_metrics_file_of_another_version_is_one_clear_line(project):
    write(project, "throughput_scratch", {})
    with pytest.raises(ValueError, match="lacks the key 'tokens_per_second'"):
        main(None, project)  # pyright: ignore[reportArgumentType]
