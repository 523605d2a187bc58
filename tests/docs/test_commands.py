"""Every command in README and docs runs, page by page and in order, in a project with a small trained pipeline."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from documents import DOCUMENTS, Document
from projects import fake_environment
from repository import Repository
from storage import CREDENTIALS, s3

PAGE_SECONDS = 900
"""After so long a page hangs, however busy the machine is."""

SMALLER = {
    "--temp --name apart -S model.hidden=512": "--temp --name apart -S model.hidden=6 train_scratch",
    "model.hidden=512": "model.hidden=6",
    "-S 'model.hidden=64,128,256' -S 'seed=0,1,2'": "-S 'model.hidden=6,16'",
    "numerics=native -S train.epochs=20": "numerics=native -S train.epochs=1 train_scratch",
    "train_tokens=-1 -S train.epochs=20": "train_tokens=-1 -S train.epochs=1 tokenize",
    "test_tokens=1000 -S train.epochs=20": "test_tokens=1000 -S train.epochs=1 tokenize",
    "test_tokens=-1 -S train.epochs=20": "test_tokens=-1 -S train.epochs=1 tokenize",
    "CORPUS_MIRROR=/mnt/texts dvc repro": "CORPUS_MIRROR=/mnt/texts dvc repro tokenize",
    "train.lr=0.25 -S train.epochs=20": "train.lr=0.25 -S train.epochs=1 train_scratch",
    "model.embedding=128 -S train.epochs=20": "model.embedding=128 -S train.epochs=1 train_scratch",
    "scratch.kernel=fused_pytorch": "scratch.kernel=fused_pytorch train_scratch",
    "train.processes=2 -S train.epochs=20": "train.processes=2 -S train.epochs=1 train_scratch",
    "-S 'model.hidden=64,128,256' -S 'seed=0,1'": "-S model.hidden=6",
    "-S 'model.hidden=64,128,256' -S 'seed=2,3'": "-S model.hidden=16",
}
"""Texts in commands, and what makes them small: fewer epochs, or no stage but the one that the command is about."""

INSTEAD = {
    "make test": ("make --dry-run test", "it would run this test"),
    "make test-slow": ("make --dry-run test-slow", "it would run this test"),
    "make lint audit": ("make --dry-run lint audit", "audit needs a network; CI runs both"),
    "make report": ("make --dry-run report", "the page on reviewing runs it"),
    **{
        f"python -m benchmarks.exercises.{name}": (
            f"test -f benchmarks/exercises/{name}.py",
            "it takes minutes; tests/benchmarks/test_exercises.py runs a small one",
        )
        for name in ("hyperparameters", "words", "rnn", "tanh", "series")
    },
    "make small": ("make --dry-run small", "CI runs it"),
    "make small UPDATE=1": ("make --dry-run small UPDATE=1", "tests/tools/checks/test_small.py runs it"),
    "make verify": ("make --dry-run verify", "tests/tools/checks/test_verify.py runs it"),
    "make recipe": ("make --dry-run recipe", "it needs an environment; tests/tools/recipes/test_recipe.py runs it"),
    "make recipe NAME=shakespeare": ("make --dry-run recipe NAME=shakespeare", "it takes minutes"),
    "make verify NAME=shakespeare": ("make --dry-run verify NAME=shakespeare", "it takes minutes"),
    "CORPUS_MIRROR=/mnt/texts make recipe NAME=ptb_small": (
        "CORPUS_MIRROR=/mnt/texts make --dry-run recipe NAME=ptb_small",
        "it takes an hour",
    ),
    "make bench": ("make --dry-run bench", "it takes minutes"),
    "make gpu": ("make --dry-run gpu", "it needs a GPU; tests/benchmarks/test_gpu.py rehearses it"),
    "python -m benchmarks.gpu --device cpu --small": (
        "test -f benchmarks/gpu.py",
        "tests/benchmarks/test_gpu.py runs it",
    ),
    "python -m tools.wheels": ("python -m tools.wheels --help", "it needs a package index"),
    "python -m benchmarks.ptb": (
        "test -f benchmarks/ptb.py",
        "tests/benchmarks/test_measure.py runs a small one",
    ),
    "python -m benchmarks.group": ("test -f benchmarks/group.py", "tests/benchmarks/test_group.py runs it"),
    "OMP_NUM_THREADS=2 torchrun --standalone --nproc-per-node 2 stages/train_scratch.py && "
    "dvc commit --force train_scratch": (
        "OMP_NUM_THREADS=2 python -m torch.distributed.run --standalone --nproc-per-node 2 stages/train_scratch.py\n"
        "dvc commit --force train_scratch",
        "the environment of the test has no torchrun, and bash -e heeds no failure before `&&`",
    ),
    "python -m pytest -k killed_at_random tests/training": ("python -m pytest --version", "make test runs it"),
    "make curves": ("make --dry-run curves", "it takes minutes"),
    "make bench-corpus": ("make --dry-run bench-corpus", "it takes a quarter of an hour"),
    "make whole": ("make --dry-run whole", "it takes a quarter of an hour"),
    "make readme": (
        "make --dry-run readme",
        "it needs the committed benchmarks; test_readme.py runs it",
    ),
    "OMP_NUM_THREADS=1 dvc queue start --jobs 2": (
        "OMP_NUM_THREADS=1 dvc exp run --run-all --jobs 2",
        "this waits for the workers; tests/test_queue.py starts them in the background",
    ),
    "dvc gc --all-commits --all-experiments": (
        "dvc gc --force --all-commits --all-experiments",
        "without --force it asks",
    ),
    "dvc gc --all-branches --all-tags --all-experiments": (
        "dvc gc --force --all-branches --all-tags --all-experiments",
        "without --force it asks",
    ),
    'pip install "dvc[s3]" -c constraints.txt': ("grep '^dvc-s3==' constraints.txt", "it needs a package index"),
    "make setup && . .venv/bin/activate": ("make --dry-run setup", "it needs a package index"),
    "git clone <git address> lstm && cd lstm": (
        "git clone --quiet <git address> <colleague> && cd <colleague>",
        "a clone of its own, outside of the first one",
    ),
}
"""Commands that cannot run here as they are: what runs in their place, and why. All others run."""

CLOSED_TERMINAL = """\
set -m; dvc exp run --name closed -S train.epochs=1000000 > ../closed.log 2>&1 & set +m
until grep 'epoch 1/' ../closed.log; do sleep 0.1; done
kill -HUP -- -$!; wait $! || test -z "$(git branch --show-current)"
flock stages/train_scratch.py true
"""
"""The training saves its state and its curves after DVC has ended, and then gives up the lock on its script."""
TWO_AT_ONCE = """\
dvc exp run --name left -S seed=8 train_scratch > ../left.log 2>&1 &
dvc exp run --name right -S seed=9 train_scratch > ../right.log 2>&1 || true
wait
"""
BACK = "\n".join(
    command for page in DOCUMENTS for heading, command in page.commands if heading == "After a closed terminal"
)
CLEAN = (
    'test "$(git branch --show-current)" = main; test -z "$(git status --porcelain)"; dvc status | grep "up to date"'
)
SITUATIONS = {
    "What is trusted, and what is not": ("dvc remote add --local storage ../storage", ""),
    "Set up a remote": (
        "umask 022",
        'test -z "$(find /mnt/team/lstm -type d -not -perm -g=w)"; dvc remote default --local storage',
    ),
    "Release a model": (
        "dvc exp run -S seed=7 train_scratch; git commit --quiet --all --message 'A model that nobody has pushed'",
        "cmp scratch.safetensors data/models/scratch.safetensors; git reset --quiet --hard HEAD~1; dvc checkout",
    ),
    "Two experiments at once": (f"{TWO_AT_ONCE}{BACK}\n{CLEAN}", CLEAN),
    "`dvc exp apply` reverts your edits": (
        "echo '# my edit' >> stages/compare.py",
        "grep '# my edit' stages/compare.py; git restore stages; " + CLEAN,
    ),
    "After a failure": ("if dvc exp run -S corpus.name=nosuch; then exit 1; fi", CLEAN),
    "After a closed terminal": (CLOSED_TERMINAL, CLEAN),
    "What a colleague does": ("", "dvc status | grep 'up to date'; git restore .; dvc checkout"),
    "On the first machine": ("cd - ; git restore . ; dvc checkout", ""),
    "On the second machine": ("cd -", ""),
    "Where the report is written": ("cd -", "grep --quiet second report/sweep.html"),
}
"""Headings whose commands belong to a situation: what leads to it before they run, and what must be true after them."""


def script(document: Document) -> str:
    """The page as a bash script."""
    lines, current = [], ""
    after = {heading: check for heading, (_, check) in SITUATIONS.items()}
    for heading, command in document.commands:
        if heading != current:
            lines += [after.get(current, ""), SITUATIONS.get(heading, ("", ""))[0]]
        lines.append(INSTEAD.get(command, (command, ""))[0])
        current = heading
    return "\n".join([*lines, after.get(current, "")])


def with_environment(repository: Repository) -> Repository:
    """A .venv as `make setup` leaves it, around the Python that runs this test."""
    path = repository.environment["PYTHONPATH"]
    fake_environment(
        repository.folder, f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{path}" exec "{sys.executable}" "$@"'
    )
    return repository


@pytest.fixture(scope="module")
def experienced(trained: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose run cache has what the pages train with `model.hidden=6`: this saves minutes."""
    repository = trained.copy_to(tmp_path_factory.mktemp("experienced") / "project")
    repository.git("branch", "--move", "main")
    repository.set(model__hidden=6)
    repository.dvc("repro")
    repository.restore()
    return repository


@pytest.mark.slow
@pytest.mark.parametrize(
    "document", [document for document in DOCUMENTS if document.commands], ids=lambda document: document.name
)
def test_commands_run(document: Document, experienced: Repository, tmp_path: Path) -> None:
    repository = with_environment(experienced.copy_to(tmp_path / "author/project"))
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "hub.git"))
    repository.git("remote", "add", "origin", str(tmp_path / "hub.git"))
    (tmp_path / "texts").mkdir()
    with s3() as url, (tmp_path / "log").open("w+", encoding="utf-8") as log:
        replaced = SMALLER | {
            "/mnt/team/lstm": str(tmp_path / "storage"),
            "/mnt/texts": str(tmp_path / "texts"),
            "http://127.0.0.1:9000": url,
            "<key>": CREDENTIALS["access_key_id"],
            "<secret>": CREDENTIALS["secret_access_key"],
            "<git address>": f"file://{tmp_path / 'hub.git'}",
            "<colleague>": str(tmp_path / "colleague/project"),
            "<your text>": "data/corpora/sample.txt",
            "<your train text>": "data/corpora/sample.txt",
            "<your validation text>": "data/corpora/sample.txt",
            "<your test text>": "data/corpora/sample.txt",
        }
        commands = script(document)
        for old, new in replaced.items():
            commands = commands.replace(old, new)
        assert re.findall("<[a-z ]+>", commands) == []
        # To a file: the queue's workers would hold a pipe open after the script has ended.
        status = subprocess.run(
            ["bash", "-v", "-euo", "pipefail", "-c", commands],
            cwd=repository.folder,
            env=repository.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=PAGE_SECONDS,
            preexec_fn=_hear_a_closed_terminal,
        ).returncode
        log.seek(0)
        assert status == 0, log.read()[-4000:]
    assert not repository.requests.exists(), repository.requests.read_text()


def _hear_a_closed_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and so would all that the page starts


def test_every_exception_is_about_a_command_that_a_page_has() -> None:
    commands = [command for document in DOCUMENTS for _, command in document.commands]
    assert [command for command in INSTEAD if command not in commands] == []
    assert [text for text in SMALLER if not any(text in command for command in commands)] == []
    headings = {heading for document in DOCUMENTS for heading, _ in document.commands}
    assert SITUATIONS.keys() <= headings


RESULTS = {"params.yaml", "dvc.lock", "metrics", "plots"}
"""What DVC stages, with `core.autostage`."""


def restored(command: str) -> set[str]:
    """The results that a command restores."""
    return RESULTS if command.endswith(" .") else RESULTS & set(command.split())


@pytest.mark.parametrize(
    "command",
    sorted({c for document in DOCUMENTS for _, c in document.commands if c.startswith("git restore") and restored(c)}),
)
def test_the_last_state_comes_back_also_where_dvc_has_staged_another(command: str, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "project")
    repository.folder.mkdir()
    for name in restored(command):
        (repository.folder / name).write_text("committed")
    repository.git("init", "--quiet")
    repository.commit()
    for name in restored(command):
        (repository.folder / name).write_text("of an experiment")
    repository.git("add", "--all")
    repository.run("sh", "-c", command)
    assert repository.git("status", "--porcelain") == ""
