"""Whatever stands in params.yaml: valid parameters, exactly as written, or one line that says what is wrong."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lstm_lm.core.params import Params, load_params
from projects import PARAMS, ROOT, Project, changed

ONE_LINE = 1000
"""Characters that a message may have at most, the path aside."""

odd_text = st.text(st.characters(codec=None, exclude_categories=[]), max_size=20)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, 10**9, 10**9 + 1, 10**30, -(10**400)]),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e308, 1.0, 35.0]),
)
scalars = st.one_of(numbers, st.booleans(), st.none(), odd_text, st.binary(max_size=5))
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3), max_leaves=6
)
keys = st.sampled_from(
    [*PARAMS, *(f"{name}__{key}" for name, block in PARAMS.items() if isinstance(block, dict) for key in block)]
)


def load(path: Path, content: bytes) -> Params | str:
    """The parameters in `content`, or the message that refuses them, which must be one printable line."""
    path.write_bytes(content)
    try:
        return load_params(path)
    except ValueError as error:
        message = str(error)
    assert len(message.splitlines()) == 1, message
    assert len(message) < len(str(path)) + ONE_LINE
    assert str(path) in message
    return message


def as_yaml(params: object) -> bytes:
    return yaml.safe_dump(params, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


def unchanged(read: object, written: object) -> bool:
    """Whether what was read is what was written: the same types (a whole number may stand for a float), finite."""
    if isinstance(written, dict):
        return isinstance(read, dict) and all(unchanged(read[key], value) for key, value in written.items())
    if isinstance(written, list):
        return isinstance(read, list) and len(read) == len(written) and all(map(unchanged, read, written))
    if isinstance(read, float):
        return type(written) in (int, float) and math.isfinite(read) and read == written
    return type(read) is type(written) and read == written


# One folder serves all examples: each overwrites the file of the one before.
many = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@many
@given(key=keys, value=junk)
def test_a_value_is_taken_as_it_stands_or_refused(tmp_path: Path, key: str, value: object) -> None:
    params = changed(**{key: value})
    loaded = load(tmp_path / "params.yaml", as_yaml(params))
    if isinstance(loaded, str):
        return
    assert unchanged(loaded.model_dump(), params)


@many
@given(key=keys, value=numbers)
def test_a_number_out_of_range_is_refused_by_name(tmp_path: Path, key: str, value: float) -> None:
    loaded = load(tmp_path / "params.yaml", as_yaml(changed(**{key: value})))
    if isinstance(loaded, str):
        assert key.replace("__", ".") in loaded
        return
    if key.startswith("tokenize") and key.endswith("_tokens"):
        assert value == -1 or 2 <= value <= 10**9
    elif key == "seed":
        assert 0 <= value < 2**32
    elif key == "model__dropout":
        assert 0 <= value < 1
    else:
        assert 0 < value <= 10**9


@many
@given(section=st.sampled_from([None, *(key for key, block in PARAMS.items() if isinstance(block, dict))]), key=scalars)
def test_an_unknown_key_is_refused(tmp_path: Path, section: str | None, key: object) -> None:
    params: dict[Any, Any] = changed()
    block = params[section] if section else params
    if key in block:
        return
    block[key] = 1
    message = load(tmp_path / "params.yaml", as_yaml(params))
    assert isinstance(message, str)
    assert re.search("unknown key|keys should be strings|not valid YAML", message), message


@many
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    assert isinstance(load(tmp_path / "params.yaml", content), str)


@many
@given(text=st.text("abc:-[]{}!&*#?|>'\"%@`,<~=\n\t 019.\0\u0085\u2028\ufeff\U0001f600", max_size=60))
@example("!!int abc")
@example("!!bool abc")
@example("!!timestamp abc")
@example('!!int ""')
@example("&a [*a]")
@example("? [a]\n: b")
@example("<<: 5")
@example("%YAML 9.9\n---\na")
def test_any_value_in_yaml_s_own_signs_is_refused(tmp_path: Path, text: str) -> None:
    content = as_yaml(changed()).replace(b"hidden: 16", b"hidden: 16 \n  other: " + text.encode())
    assert isinstance(load(tmp_path / "params.yaml", content), str)


def test_a_line_twice_or_not_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    lines = with_raw_value("evaluate.prefixes", "[a]").splitlines(keepends=True)
    assert isinstance(load(path, b"".join(lines)), Params)
    for index, line in enumerate(lines):
        before, after = b"".join(lines[:index]), b"".join(lines[index + 1 :])
        assert "duplicate key" in str(load(path, before + line * 2 + after))
        assert isinstance(load(path, before + after), str), line


REFUSED = [
    ("seed", "true", "seed is True; input should be a valid integer"),
    ("seed", "1.0", "seed is 1.0; input should be a valid integer"),
    ("seed", "'1'", "seed is '1'; input should be a valid integer"),
    ("seed", "-1", "seed is -1; input should be greater than or equal to 0"),
    ("seed", "010", "seed is '010'; input should be a valid integer"),  # 8 for PyYAML, 10 for DVC
    ("seed", "1:30", "seed is '1:30'; input should be a valid integer"),
    ("seed", "9" * 5000, "is not valid YAML: this is no int at line 1, column 7"),
    ("seed", "2001-99-99", "seed is '2001-99-99'; input should be a valid integer"),
    ("seed", "&a [*a]", "seed is [[[[[[[...]]]]]]]; input should be a valid integer"),
    ("seed", "!!python/object/apply:os.system [x]", "could not determine a constructor for the tag"),
    ("device", "tpu", "device is 'tpu'; input should be 'auto', 'cpu' or 'cuda'"),
    (
        "corpus.name",
        "../up",
        "corpus.name is '../up'; allowed: letters, digits, and . _ - between them, without .txt; ",
    ),
    ("corpus.name", '"a\\n"', r"corpus.name is 'a\\n'; allowed: letters"),
    ("corpus.name", '""', "corpus.name is ''; allowed: letters"),
    ("corpus.name", "-x", "write x"),
    ("corpus.name", "War and Peace", "write War_and_Peace"),
    ("corpus.name", "alice.txt", "write alice"),
    ("corpus.name", "1984", """write '1984', with the quotes (dvc exp run -S "corpus.name='1984'")"""),
    ("tokenize.level", "bpe", "tokenize.level is 'bpe'; input should be 'char' or 'word'"),
    ("tokenize.normalize", "lower", "tokenize.normalize is 'lower'; input should be 'letters' or 'none'"),
    ("tokenize.min_freq", "0", "tokenize.min_freq is 0; input should be greater than or equal to 1"),
    ("tokenize.train_tokens", "1", "tokenize.train_tokens is 1; allowed: -1, or 2 and more"),
    ("model.hidden", "0", "model.hidden is 0; input should be greater than or equal to 1"),
    ("model.hidden", "65537", "model.hidden is 65537; input should be less than or equal to 65536"),
    ("train.lr", ".nan", "train.lr is nan; input should be a finite number"),
    ("train.lr", "1e400", "train.lr is inf; input should be a finite number"),
    ("train.lr", "true", "train.lr is True; input should be a valid number"),
    ("train.epochs", "5e2", "train.epochs is 500.0; input should be a valid integer"),
    ("train.epochs", "", "train.epochs is None; input should be a valid integer"),
    ("evaluate.prefixes", "abc", "evaluate.prefixes is 'abc'; input should be a valid list"),
    ("evaluate.prefixes", "[1]", "evaluate.prefixes.0 is 1; input should be a valid string"),
    ("evaluate.prefixes", "['']", "evaluate.prefixes.0 is ''; a prefix needs at least one letter from a to z"),
    ("evaluate.prefixes", "[a, '1984']", "evaluate.prefixes.1 is '1984'; a prefix needs at least one letter"),
    (
        "tokenize.train_tokens",
        "90",
        "tokenize.train_tokens is 90; train.batch_size 8 and train.num_steps 10 need at least 91",
    ),
    (
        "train.batch_size",
        "200",
        "tokenize.train_tokens is 2000; train.batch_size 200 and train.num_steps 10 need at least",
    ),
    (
        "train.precision",
        "tf32",
        "train.precision is 'tf32', which only a CUDA GPU has; with device cpu use fp32 or bf16",
    ),
    ("evaluate.prefixes", "!!set {a}", "evaluate.prefixes is {'a'}; input should be a valid list"),
]


def with_raw_value(key: str, value: str) -> bytes:
    marked = yaml.safe_dump(changed(**{key.replace(".", "__"): "MARK"}), sort_keys=False)
    return marked.replace("MARK", value).encode()


@pytest.mark.parametrize(("key", "value", "message"), REFUSED, ids=lambda text: text[:20])
def test_the_message_names_key_value_and_what_is_allowed(key: str, value: str, message: str, tmp_path: Path) -> None:
    assert message.replace("\\\\", "\\") in str(load(tmp_path / "params.yaml", with_raw_value(key, value)))


def test_deep_nesting_and_aliases_of_aliases_end_soon(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    assert "nested too deeply" in str(load(path, b"[" * 100_000))
    levels = [b"&a0 [" + b"x, " * 10 + b"]"]
    levels += [b"&a%d [" % level + b"*a%d, " % (level - 1) * 10 + b"]" for level in range(1, 30)]
    assert "seed is " in str(load(path, as_yaml(changed()).replace(b"seed: 0", b"seed: [" + b", ".join(levels) + b"]")))


DECAY = {"train__schedule": "decay", "train__lr_decay": 0.5, "train__decay_after": 4}


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"train__epochs": 30}, False),
        ({"train__epochs": 31}, True),
        ({"train__epochs": 500}, True),
        ({"train__epochs": 500, "train__lr_decay": 0.99}, False),
        ({"train__epochs": 500, "train__lr_decay": 1.0}, False),
        ({"train__epochs": 500, "train__decay_after": 490}, False),
        ({"train__epochs": 500, "train__patience": 3}, False),
        ({"train__epochs": 500, "train__patience": 48}, False),
        ({"train__epochs": 500, "train__patience": 49}, True),
        ({"train__epochs": 500, "train__schedule": "constant"}, False),
    ],
    ids=str,
)
def test_a_learning_rate_that_reaches_zero_is_refused(changes: dict[str, Any], refused: bool, tmp_path: Path) -> None:
    loaded = load(tmp_path / "params.yaml", as_yaml(changed(**DECAY | changes)))
    message = (
        f"train.schedule is 'decay': after epoch 30 of {changes['train__epochs']} (train.epochs) less than 1e-08 of"
    )
    assert (message in str(loaded)) == refused


def test_windows_in_which_no_recurrent_weight_learns_are_refused(tmp_path: Path) -> None:
    for sampling, num_steps, refused in (("random", 1, True), ("random", 2, False), ("sequential", 1, False)):
        changes = {"train__sampling": sampling, "train__num_steps": num_steps}
        loaded = load(tmp_path / "params.yaml", as_yaml(changed(**changes)))
        assert ("train.sampling is 'random' and train.num_steps is 1: " in str(loaded)) == refused


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenize__train_tokens": 91},
        {"tokenize__train_tokens": -1, "train__batch_size": 10**9},
        {"train__precision": "tf32", "device": "auto"},
        {"evaluate__prefixes": ["19 a"]},
    ],
    ids=str,
)
def test_what_the_parameters_alone_cannot_rule_out_is_taken(changes: dict[str, object], tmp_path: Path) -> None:
    assert isinstance(load(tmp_path / "params.yaml", as_yaml(changed(**changes))), Params)


def test_a_prefix_needs_only_what_the_normalisation_keeps(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    for prefix in ("1984", "\n", "\u4e2d"):
        assert isinstance(load(path, as_yaml(changed(tokenize__normalize="none", evaluate__prefixes=[prefix]))), Params)
    message = "evaluate.prefixes.1 is ' '; a prefix needs at least one character that is not a space"
    assert message in str(load(path, as_yaml(changed(tokenize__normalize="none", evaluate__prefixes=["a", " "]))))


@pytest.mark.parametrize(("text", "number"), [("1e-3", 1e-3), ("1E+3", 1e3), (".5", 0.5), ("1.", 1.0), ("2", 2.0)])
def test_numbers_are_what_they_look_like(text: str, number: float, tmp_path: Path) -> None:
    loaded = load(tmp_path / "params.yaml", with_raw_value("train.lr", text))
    assert isinstance(loaded, Params)
    assert loaded.train.lr == number


def test_the_project_s_own_parameters_are_valid_and_cannot_be_changed() -> None:
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1


def test_a_missing_file_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(OSError, match=str(path)):
            load_params(path)


@pytest.mark.parametrize("stage", ["fetch", "tokenize_corpus", "train_scratch", "train_concise", "evaluate", "compare"])
def test_every_stage_refuses_bad_parameters_and_destroys_nothing(stage: str, small_project: Project) -> None:
    for content in (b"seed: 0\0", b"\xff", b"", b"seed: [", as_yaml(changed(train__lr=-1)), as_yaml(changed(tpyo=1))):
        (small_project.root / "params.yaml").write_bytes(content)
        before = small_project.files()
        assert small_project.run(stage).complaint.startswith(f"{stage}: params.yaml")
        assert small_project.files() == before


@pytest.mark.parametrize(
    "too_much",
    [{"model__hidden": 65536, "model__layers": 100}, {"train__batch_size": 10**9}, {"train__num_steps": 10**9}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["scratch", "concise"])
def test_too_large_for_memory_is_said_with_the_estimate(
    kind: str, too_much: dict[str, int], small_project: Project
) -> None:
    small_project.set(tokenize__train_tokens=-1, **too_much)
    before = small_project.files()
    complaint = small_project.run(f"train_{kind}").complaint
    key, value = next(iter(too_much.items()))
    assert re.search(r"training needs about [\d,]+\.\d GiB, cpu has [\d,]+\.\d GiB: lower ", complaint)
    assert f"{key.replace('__', '.')} ({value})" in complaint
    assert small_project.files() == before
