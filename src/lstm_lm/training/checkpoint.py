"""Complete training state in one file; damaged or foreign files are ignored."""

import functools
import hashlib
import json
import operator
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lstm_lm.core.atomic import remove_stale, write_bytes
from lstm_lm.core.printable import say
from lstm_lm.training.group import ALONE, Group

Tree = dict[str, Any]
"""A training's state: nested dictionaries with tensors and JSON values as leaves."""

FORMAT = 2
FOREIGN = "it belongs to another training (other data, parameters, environment or code)"


def digest(*parts: bytes) -> str:
    """SHA-256 over `parts`, each preceded by its length so that no two lists of parts collide."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


class Checkpoint:
    """The saved state of one training, in a file whose name depends on `kind` and `key`.

    When the training is finished, the last one stays until DVC has stored the result, for which there may be no room.
    Workers may share the folder, and even a training: no method relies on a file that another process may remove.

    Args:
        root: the folder of all checkpoints.
        kind: the model's kind, the first part of the file's name.
        key: a digest of everything that the trained bytes depend on.
        cadence: seconds between two saves.

    Raises:
        ValueError: `root` is a link.
    """

    def __init__(self, root: Path, kind: str, key: str, cadence: float) -> None:
        if root.is_symlink():
            raise ValueError(f"{root} is a symbolic link, and trainings remove files in it: put a folder in its place")
        self.kind, self.key = kind, digest(key.encode(), str(FORMAT).encode())
        self.path = root / f"{kind}-{self.key[:16]}.safetensors"
        self.cadence = cadence
        self._saved_at = time.monotonic()

    def due(self) -> bool:
        """Whether the cadence has passed since the last save."""
        return time.monotonic() - self._saved_at >= self.cadence

    def save(self, state: Tree) -> None:
        """Save a state atomically, with a digest over all of it.

        Raises:
            ValueError: a number outside the tensors is not finite.
            OSError: the file cannot be written.
        """
        # Copies: safetensors refuses tensors that share their memory, as tied weights do.
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in _tensors(state)}
        rest = json.dumps(state, allow_nan=False, default=lambda _tensor: None)
        header = {"key": self.key, "rest": rest, "sha256": _content_digest(tensors, rest)}
        write_bytes(self.path, save(tensors, metadata=header))
        self._saved_at = time.monotonic()

    def load(self, group: Group = ALONE) -> Tree | None:
        """The saved state, its tensors on the CPU; None where there is no file that can be used.

        A file that is damaged or belongs to another training is ignored with a message on stderr. The first process of
        `group` reads for all.
        """
        content = group.from_first(self._read)
        try:
            tensors = load(content)
        except SafetensorError:
            return self._ignore("it cannot be read")
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
        if header.get("key") != self.key:
            return self._ignore(FOREIGN)
        if "rest" not in header or header.get("sha256") != _content_digest(tensors, header["rest"]):
            return self._ignore("it is damaged")
        try:
            state = json.loads(header["rest"])
            for name, tensor in tensors.items():
                *path, leaf = name.split("/")
                functools.reduce(operator.getitem, path, state)[leaf] = tensor
        except (LookupError, RecursionError, TypeError, ValueError):
            return self._ignore("it is damaged")
        return state

    def finish(self, result: str) -> None:
        """Keep the last state, and that of no other finished training of this kind.

        Args:
            result: the MD5 of the file with the trained weights, which dvc.lock has once DVC has stored that.
        """
        remove_stale(self.path)
        kept = self.path.with_name(f"{self.kind}-{result}.finished")
        for path in self._finished():
            if path != kept:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # no save was due, or another worker has finished the same training
            self.path.replace(kept)

    def drop_stored(self, lock: str) -> None:
        """Remove the state of the finished training of this kind if `lock`, the text of dvc.lock, has its result."""
        for path in self._finished():
            if path.stem.rpartition("-")[2] in lock:
                path.unlink(missing_ok=True)

    def _finished(self) -> list[Path]:
        return sorted(self.path.parent.glob(f"{self.kind}-*.finished"))

    def _read(self) -> bytes:
        for path in (self.path, *self._finished()):
            with suppress(OSError):
                return path.read_bytes()
        return b""

    def _ignore(self, reason: str) -> None:
        if self.path.exists():
            say(f"checkpoint {self.path} ignored: {reason}; the training starts from the beginning", sys.stderr)


def _tensors(state: Tree, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state, each with its path: "model/lstm.weight_hh_l0"."""
    for key, value in state.items():
        if isinstance(value, Tensor):
            yield prefix + key, value
        elif isinstance(value, dict):
            yield from _tensors(value, f"{prefix}{key}/")


def _content_digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """A digest over the text and over the names, types, shapes and bytes of the tensors."""
    parts = [text.encode()]
    for name in sorted(tensors):
        tensor = tensors[name]
        parts += [f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), tensor.numpy().tobytes()]
    return digest(*parts)
