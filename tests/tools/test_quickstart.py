import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from corpora import write_record
from machines import needs_corpora
from projects import ROOT, params_text
from tools.quickstart import use_sample

PARAMS = params_text(corpus__name="time_machine")
BLOCK = PARAMS[PARAMS.index("corpus:") : PARAMS.index("tokenize:")]


def quickstart(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the module in `folder`, with every way to the web leading to a closed port."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    kept = {key: value for key, value in os.environ.items() if key != "CORPUS_MIRROR"}
    return subprocess.run(
        [sys.executable, "-m", "tools.quickstart"],
        cwd=folder,
        env={**kept, **nowhere, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def corpus_name(folder: Path) -> str:
    return yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))["corpus"]["name"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    shutil.copytree(ROOT / "data/corpora", tmp_path / "data/corpora")
    return tmp_path


@pytest.mark.parametrize(
    "block",
    [
        "corpus: {name: time_machine}\n",
        "corpus:\n  name: time_machine\n",
        "corpus:\n    # which text\n    name: 'time_machine'  # quoted\n",
        'corpus: { name: "time_machine" } # one line\n',
        '"corpus":\n  ? name\n  # which text\n  : time_machine\n',
    ],
)
def test_use_sample_changes_the_name_and_nothing_else(tmp_path, block):
    path = tmp_path / "params.yaml"
    params = PARAMS.replace("lr: 1.0", "lr: 1e-3")
    path.write_text(params.replace(BLOCK, block), encoding="utf-8")
    use_sample(path)
    [name] = re.findall("[\"']?time_machine[\"']?", block)
    assert path.read_text(encoding="utf-8") == params.replace(BLOCK, block.replace(name, "sample"))


@pytest.mark.parametrize(
    ("device", "name", "prefix"), [("cpu", "&text time_machine", "*text"), ("&text cpu", "*text", "the sea")]
)
def test_use_sample_refuses_what_it_cannot_change_alone(tmp_path, device, name, prefix):
    path = tmp_path / "params.yaml"
    text = PARAMS
    for old, new in (("device: cpu", f"device: {device}"), ("time_machine", name), ("- the sea", f"- {prefix}")):
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"set corpus\.name to sample by hand"):
        use_sample(path)
    assert path.read_text(encoding="utf-8") == text


def test_a_corpus_out_of_reach_is_replaced_with_one_clear_line_and_the_reasons(project):
    done = quickstart(project)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "time_machine is out of reach: running on the embedded corpus" in done.stdout
    assert re.search(r"^no source has time_machine.txt:\n(  .*\n)*  https://.*: .+;\nways out: ", done.stderr)
    assert corpus_name(project) == "sample"


@needs_corpora
def test_a_corpus_within_reach_stays(project):
    done = quickstart(project, CORPUS_MIRROR=os.environ["CORPUS_MIRROR"])
    assert (done.returncode, done.stdout) == (0, "")
    assert (project / "params.yaml").read_text(encoding="utf-8") == PARAMS


def test_a_text_of_the_user_s_own_is_never_replaced(project):
    (project / "data/corpora/own.txt").write_bytes(b"another text than the record's")
    write_record(project / "data/corpora", "own", {"corpus": b"a text"})
    (project / "params.yaml").write_text(PARAMS.replace("name: time_machine", "name: own"), encoding="utf-8")
    done = quickstart(project)
    assert done.returncode == 1
    assert "if the text was changed on purpose, write its new record with make corpus" in done.stderr
    assert corpus_name(project) == "own"


def test_a_corpus_in_dvc_s_cache_needs_no_network(project):
    stage = {"cmd": "mkdir -p data/raw && echo text > data/raw/corpus.txt", "outs": ["data/raw"]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"fetch": stage}}), encoding="utf-8")
    (project / ".git").rmdir()
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=project, check=True)
    shutil.rmtree(project / "data/raw")
    done = quickstart(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (project / "data/raw/corpus.txt").exists()
    assert corpus_name(project) == "time_machine"


def test_without_git_dvc_is_told_so(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.replace("name: time_machine", "name: sample"), encoding="utf-8")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    quickstart(tmp_path)
    assert "no_scm = true" in (tmp_path / ".dvc/config.local").read_text()
