"""The command that lets a trained model write, as a person in a shell runs it."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lstm_lm import generate
from lstm_lm.evaluation.continuation import continuation
from lstm_lm.model import arithmetic
from lstm_lm.model.language_model import MODELS, build
from lstm_lm.model.model_file import load_model, save_model
from lstm_lm.tokens.tokenizer import Tokenizer
from lstm_lm.tokens.vocabulary import Vocabulary
from projects import params_of

LETTERS = Tokenizer("char", "letters")
VOCABULARY = Vocabulary.of("the time machine by h g wells", LETTERS)  # has no r, no v
COMMAND = [sys.executable, "-m", "lstm_lm.generate"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_of(VOCABULARY, tmp_path_factory.mktemp("project"))


def project_of(vocabulary: Vocabulary, root: Path) -> Path:
    """A folder with this vocabulary and two models at their start, and nothing else: no params.yaml, no git."""
    (root / "data/tokens").mkdir(parents=True)
    (root / "data/models").mkdir()
    vocabulary.save(root / "data/tokens/vocabulary.json")
    for kind in MODELS:
        model = build(kind, len(vocabulary), params_of(hidden=8, seed=3))
        save_model(model, root / f"data/models/{kind}.safetensors", vocabulary)
    return root


def run(root: Path, *arguments: str, text: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=root, env=ENVIRONMENT, input=text, capture_output=True, check=False, timeout=120
    )


def expected(root: Path, kind: str, prefix: str, length: int, temperature: float | None = None, seed: int = 0) -> str:
    model = load_model(root / f"data/models/{kind}.safetensors", VOCABULARY)
    return prefix + "".join(continuation(model, VOCABULARY, prefix, length, temperature, seed)) + "\n"


def test_samples_from_the_model_asked_for(project: Path) -> None:
    arguments = ("--length", "40", "--temperature", "0.8", "--seed", "1")
    result = run(project, "--model", "concise", "--prefix", "the time", *arguments)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.decode() == expected(project, "concise", "the time", 40, 0.8, 1)
    assert result.stdout.decode() != expected(project, "concise", "the time", 40, 0.8, 2)


@pytest.mark.parametrize(("prefix", "read"), [("  The\tTIME, Machine!", "the time machine"), ("the sea  ", "the sea ")])
def test_is_greedy_without_a_temperature_and_reads_text_as_the_corpus_was_read(
    prefix: str, read: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", "--prefix", prefix, "--length", "30"])
    assert "".join(generate.written(generate.arguments(), project)) == expected(project, "scratch", read, 30)


def test_reads_standard_input_where_unknown_characters_count_as_unknown(project: Path) -> None:
    result = run(project, "--length", "30", text=b"\xef\xbb\xbfriver \xff in\nwinter\n")
    text = result.stdout.decode()
    assert (result.returncode, text) == (0, expected(project, "scratch", "river inwinter", 30))
    assert not set("rv") & set(text.removeprefix("river inwinter"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--length", "0"], "--length: '0'; allowed: a whole number from 1 to 1000000000"),
        (["--length", "many"], "--length: 'many'; allowed: a whole number from 1"),
        (["--temperature", "0"], "--temperature: '0'; allowed: a number from 0.001 to 1000.0"),
        (["--temperature", "nan"], "--temperature: 'nan'; allowed: a number"),
        (["--seed", "-1"], "--seed: '-1'; allowed: a whole number from 0"),
        (["--model", "gru"], "--model: invalid choice: 'gru' (choose from"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", *arguments])
    with pytest.raises(ValueError, match=re.escape(message)):
        generate.arguments()


@pytest.mark.parametrize("text", ["1895", "", "1895 "])
def test_a_prefix_without_a_letter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--prefix has no letter from a to z"):
        generate.prefix_of(text, LETTERS)


def test_code_that_computes_wrong_values_writes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "TOLERANCE", -1)  # nothing is as near to the equations
    monkeypatch.setattr(sys, "argv", ["generate", "--prefix", "the time"])
    with pytest.raises(ValueError, match=r"^the kernel fused computes wrong values on this machine "):
        next(generate.written(generate.arguments(), project))


def test_words_are_written_with_spaces(tmp_path: Path) -> None:
    words = Tokenizer("word", "none")
    vocabulary = Vocabulary(("<unk>", "<eos>", "the", "Sea", "\u4e2d\u6587", "<script>"), words)
    project_of(vocabulary, tmp_path)
    result = run(tmp_path, "--length", "30", "--temperature", "9", text="the Sea\n\u4e2d\u6587\r\n".encode())
    model = load_model(tmp_path / "data/models/scratch.safetensors", vocabulary)
    prefix = ["the", "Sea", "<eos>", "\u4e2d\u6587"]
    written = list(continuation(model, vocabulary, prefix, 30, 9.0))
    assert {"<eos>", "<script>"} < set(written)
    assert result.stdout.decode() == words.join([*prefix, *written]) + "\n"
    for text in ("", " \t"):
        with pytest.raises(ValueError, match="--prefix has no text: give a text to continue"):
            generate.prefix_of(text, words)


NOTES, SPACED = list("CDEFGAB"), "the  sea  is  deep"


@pytest.mark.parametrize(
    ("tokenizer", "tokens", "prefix", "read"),
    [
        (Tokenizer("word", "none"), NOTES, "C E G", "C E G"),
        (Tokenizer("char", "none"), SPACED, "the  sea", "the  sea"),
        (Tokenizer("char", "letters"), SPACED, "the  sea", "the sea"),
        (Tokenizer("char", "none"), SPACED, "the\udce9 sea", "the\ufffd sea"),
    ],
    ids=["words of one letter", "letters and double spaces", "letters", "bytes that are not UTF-8"],
)
def test_a_text_is_read_as_the_corpus_was_whatever_its_tokens_look_like(
    tokenizer: Tokenizer, tokens: Sequence[str], prefix: str, read: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_of(Vocabulary.of(tokens, tokenizer), tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate", "--prefix", prefix, "--length", "3"])
    text = "".join(generate.written(generate.arguments(), tmp_path))
    assert text.startswith(read)
    assert len(tokenizer.tokens(text.removesuffix("\n"))) == len(tokenizer.tokens(read)) + 3


def test_a_mistake_is_one_line(project: Path) -> None:
    result = run(project, text=b"\n")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == "generate: the standard input has no letter from a to z: give a text to continue\n"


def test_a_missing_model_says_how_to_get_it_or_where_to_go(tmp_path: Path) -> None:
    message = "data/models/scratch.safetensors is not there: "
    with pytest.raises(ValueError, match=f"{message}this folder is in no project; run it in the project's folder$"):
        generate.load("scratch", tmp_path)
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(ValueError, match=f"{message}make it with `dvc repro`, or get it with `dvc pull`$"):
        generate.load("scratch", tmp_path)


def test_a_folder_of_the_project_is_as_good_as_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(project, tmp_path / "project")
    (copy / "dvc.yaml").touch()
    (copy / "docs/more").mkdir(parents=True)
    monkeypatch.chdir(copy / "docs/more")
    monkeypatch.setattr(sys, "argv", ["generate", "--prefix", "the", "--length", "20"])
    generate.main()
    assert capsys.readouterr() == (expected(project, "scratch", "the", 20), "")


@pytest.mark.parametrize("tokens", ["abc", "the time machine by h g sllew"], ids=["another size", "the same size"])
def test_a_vocabulary_of_another_corpus_is_refused(tokens: str, project: Path, tmp_path: Path) -> None:
    (tmp_path / "data/tokens").mkdir(parents=True)
    (tmp_path / "data/models").symlink_to(project / "data/models")
    Vocabulary.of(tokens, LETTERS).save(tmp_path / "data/tokens/vocabulary.json")
    message = r"scratch\.safetensors was trained with another vocabulary than that of data/tokens: "
    with pytest.raises(ValueError, match=message):
        generate.load("scratch", tmp_path)


@pytest.mark.parametrize(
    ("stream", "arguments", "message"),
    [
        ("stdin", [], "generate: the standard input is closed: give the text to continue with --prefix"),
        ("stdout", ["--prefix", "the"], "generate: the standard output is closed"),
    ],
)
def test_a_closed_stream_is_one_line(
    stream: str,
    arguments: list[str],
    message: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "argv", ["generate", *arguments])
    monkeypatch.setattr(sys, stream, None)  # as Python has it after `<&-` or `>&-`
    with pytest.raises(SystemExit) as ended:
        generate.main()
    assert (ended.value.code, capsys.readouterr().err) == (1, f"{message}\n")


def test_ctrl_c_while_it_imports_ends_it_quietly(project: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [*COMMAND, "--prefix", "the"],
        cwd=project,
        env=ENVIRONMENT | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == -signal.SIGINT


def test_a_terminal_obeys_no_character_of_the_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A corpus may hold escape sequences. A file gets them as they are."""
    tokenizer = Tokenizer("char", "none")
    project_of(Vocabulary.of("\x1b]0;a\n\t\f", tokenizer), tmp_path)
    arguments = ["--prefix", "\x1b]0;\n\t\fa", "--length", "1"]
    monkeypatch.setattr(sys, "argv", ["generate", *arguments])
    monkeypatch.chdir(tmp_path)
    generate.main()
    assert capsys.readouterr().out.startswith("\x1b]0;\n\t\fa")
    parent, child = pty.openpty()
    command = [*COMMAND, *arguments]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=child, stderr=child) as process:
        assert process.wait(timeout=60) == 0
    os.close(child)
    assert os.read(parent, 1000).startswith(rb"\x1b]0;" + b"\r\n\t" + rb"\x0ca")
    os.close(parent)


@pytest.mark.parametrize("ending", ["closed pipe", "Ctrl-C"])
def test_streams_and_ends_quietly(project: Path, ending: str) -> None:
    command = [*COMMAND, "--prefix", "the", "--length", "1000000000"]
    with subprocess.Popen(
        command, cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head = b""
        while len(head) < 20:  # long before the text is complete
            piece = process.stdout.read(20)
            assert piece, process.stderr.read()
            head += piece
        if ending == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        else:
            process.stdout.close()
        status = process.wait(timeout=60)
        assert process.stderr.read() == b""
    assert head.decode().startswith(expected(project, "scratch", "the", 10).rstrip("\n"))
    assert status == -(signal.SIGINT if ending == "Ctrl-C" else signal.SIGPIPE)


def test_a_terminal_is_asked_for_the_text(project: Path) -> None:
    parent, child = pty.openpty()
    try:
        with subprocess.Popen(
            [*COMMAND, "--length", "5"],
            cwd=project,
            env=ENVIRONMENT,
            stdin=child,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            assert select.select([process.stderr], [], [], 60)[0], "nothing was asked"
            assert b"Ctrl-D" in process.stderr.readline()
            os.write(parent, b"the time\n\x04")
            output, complaints = process.communicate(timeout=60)
    finally:
        os.close(parent)
        os.close(child)
    assert (output.decode(), complaints) == (expected(project, "scratch", "the time", 5), b"")
