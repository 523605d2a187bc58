"""The file of a trained model: its weights, its architecture and the vocabulary that it was trained with."""

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lstm_lm.core.atomic import write_bytes
from lstm_lm.core.printable import printable
from lstm_lm.core.yaml_file import Section
from lstm_lm.model.language_model import Architecture, LanguageModel
from lstm_lm.tokens.vocabulary import Vocabulary

_HEADER = "model"
"""The key of the header in the file's metadata."""


class _Header(Section):
    """What the file says of its weights. `vocabulary` is the SHA-256 that `Vocabulary.digest` gives."""

    architecture: Architecture
    vocabulary: str


def save_model(model: LanguageModel, path: Path, vocabulary: Vocabulary) -> None:
    """Write weights, architecture and the vocabulary's digest to a safetensors file, atomically.

    From scratch the weights stand under the textbook's names (W_xi, W_hi, b_i, ..., W_hq, b_q), whatever the
    kernel; the library's under torch.nn.LSTM's and torch.nn.Linear's (lstm.weight_ih_l0, ..., output.bias).
    """
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in _weights(model).items()}
    header = _Header(architecture=model.architecture, vocabulary=vocabulary.digest)
    # One entry: with more, their order in the file would differ from run to run.
    write_bytes(path, save(tensors, metadata={_HEADER: header.model_dump_json()}))


def load_model(path: Path, vocabulary: Vocabulary) -> LanguageModel:
    """The model in a file that `save_model` wrote, with the kernel that trained it, on the CPU.

    The header and the shapes are compared before any memory is taken: the file may be anyone's.

    Raises:
        ValueError: the file does not hold such a model, or it was trained with another vocabulary.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = _Header.model_validate_json((file.metadata() or {}).get(_HEADER, "{}"))
            architecture = header.architecture
            if (header.vocabulary, architecture.vocab_size) != (vocabulary.digest, len(vocabulary)):
                raise ValueError(
                    f"{path} was trained with another vocabulary than that of data/tokens: train it again with "
                    "`dvc repro` (first `dvc unfreeze` its stage, if that is frozen)"
                )
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            _compare({name: (one.get_dtype(), one.get_shape()) for name, one in found.items()}, architecture)
            weights = {name: file.get_tensor(name) for name in found}
        model = LanguageModel(architecture)
        if architecture.kernel == "library":
            model.load_state_dict(model.state_dict() | weights)
        else:
            model.load_textbook(weights)
    except (SafetensorError, ValidationError, RuntimeError) as error:
        raise ValueError(
            f"{path} does not hold a language model of this version ({_reason(error)}): run dvc repro"
        ) from error
    for name, weight in weights.items():
        if not weight.isfinite().all():
            raise ValueError(f"{path}: the weight {name} has a number that is not finite: train the model again")
    return model


def _reason(error: Exception) -> str:
    """What is wrong with the file, in one printable line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return printable(str(error).splitlines()[0])


def _compare(found: dict[str, tuple[str, list[int]]], architecture: Architecture) -> None:
    """Raise RuntimeError unless the tensors of a file, type and shape by name, are those of an architecture."""
    with torch.device("meta"):  # shapes without numbers
        model = LanguageModel(architecture)
    expected = {name: ("F32", list(weight.shape)) for name, weight in _weights(model).items()}
    for name in sorted(expected | found):
        if expected.get(name) != found.get(name):
            raise RuntimeError(f"{name}: {found.get(name, 'missing')}, expected {expected.get(name, 'none')}")


def _weights(model: LanguageModel) -> dict[str, Tensor]:
    """The weights under the names that the file has, each once: tied ones under the embedding's."""
    if model.architecture.kernel != "library":
        return model.textbook()
    tied = {"output.weight"} if model.architecture.tied else set()
    return {name: weight for name, weight in model.state_dict().items() if name not in tied}
