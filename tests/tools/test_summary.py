import json
import re
from pathlib import Path

import pytest

from projects import ROOT
from reported import PREFIX, write_results
from tools.summary import main, table


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_results(tmp_path, scale=1.0)
    return tmp_path


def test_the_table_names_the_corpus_and_has_every_number(project):
    header, _, *lines = [re.split(r"\s{2,}", line) for line in table(project).splitlines()]
    assert header == ["Corpus: sample", "from scratch", "torch.nn.LSTM"]
    shown = {title: values for title, *values in lines}
    assert shown.pop("Train perplexity, last epoch") == ["4.00", "3.00"]
    assert list(shown.values()) == [
        *(["12.50", "9.38"], ["14.00", "10.50"], ["1.562", "1.172"], ["40,000", "30,000"]),
        *(["12.5", "12.5"], ["300", "300"], ["12,345", "12,345"]),
    ]


def test_a_text_of_each_model_is_shown_as_text(project, capsys):
    main(None, project)  # pyright: ignore[reportArgumentType]
    lines = [line for line in capsys.readouterr().out.splitlines() if f"[{PREFIX}]" in line]
    assert lines == [
        f"{model}[{PREFIX}] for so it is" for model in ("from scratch, greedy   ", "torch.nn.LSTM, greedy  ")
    ]
    rows = [{"model": "scratch", "prefix": "a", "mode": "greedy", "text": "\x1b]0;title\x07\n" + "b" * 1000}]
    (project / "metrics/generated.json").write_text(json.dumps({"texts": rows}))
    main(None, project)  # pyright: ignore[reportArgumentType]
    [shown] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("from scratch")]
    assert re.fullmatch(r"from scratch, greedy  \[a\]\\x1b\]0;title\\x07↵b+", shown)
    assert len(shown) < 120
    (project / "metrics/generated.json").write_text('{"texts": []}')
    main(None, project)  # pyright: ignore[reportArgumentType]
    assert "\n\nPlots: " in capsys.readouterr().out


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
    (project / "metrics/throughput_scratch.json").write_text('{"device": "a CPU"}')
    with pytest.raises(ValueError, match=r"metrics/throughput_scratch\.json: missing key compiler$"):
        main(None, project)  # pyright: ignore[reportArgumentType]
