"""Checkpoints: all that the next step needs, in one file that is whole, ours and of this version, or ignored."""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lstm_lm.atomic import write_bytes

FORMAT = 1
KEEP_SECONDS = 7 * 24 * 3600
FOREIGN = "it belongs to another training (other data, parameters, environment or code)"


def digest(*parts: bytes) -> str:
    """SHA-256 over `parts`, each preceded by its length so that no two lists of parts collide."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


class Checkpoint:
    """The saved state of one training, in a folder named by what the training is.

    Args:
        root: the folder of all checkpoints.
        kind: the model's kind, the first part of the folder's name.
        key: a digest of everything that the trained bytes depend on; another key is another training.
        cadence: seconds between two saves.
    """

    def __init__(self, root: Path, kind: str, key: str, cadence: float) -> None:
        self.key = digest(key.encode(), str(FORMAT).encode())
        self.root, self.kind = root, kind
        self.path = root / f"{kind}-{self.key[:16]}" / "state.safetensors"
        self.cadence = cadence
        self._saved_at = time.monotonic()

    def due(self) -> bool:
        """Whether the cadence has passed since the last save."""
        return time.monotonic() - self._saved_at >= self.cadence

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Save tensors and JSON-able facts atomically, with a digest over both. Raises OSError."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(facts, allow_nan=False)
        header = {"key": self.key, "facts": text, "sha256": _content_digest(tensors, text)}
        write_bytes(self.path, save(tensors, metadata=header))
        self._saved_at = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What `save` saved, on the CPU; None where there is nothing, or nothing that can be trusted.

        A file that is damaged or belongs to another training or version is ignored with a message on stderr.
        """
        if not self.path.exists():
            for other in sorted(self.root.glob(f"{self.kind}-*/{self.path.name}")):
                self._ignore(FOREIGN, other)
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            return self._ignore(f"it cannot be read ({error})")
        if header.get("key") != self.key:
            return self._ignore(FOREIGN)
        if "facts" not in header or header.get("sha256") != _content_digest(tensors, header["facts"]):
            return self._ignore("it is damaged")
        return tensors, json.loads(header["facts"])

    def clear(self) -> None:
        """Remove this checkpoint, and those of other trainings that nobody came back to in a week."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
        for folder in self.root.glob("*/"):
            if time.time() - folder.stat().st_mtime > KEEP_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _ignore(self, reason: str, path: Path | None = None) -> None:
        print(f"checkpoint {path or self.path} ignored: {reason}; training starts anew", file=sys.stderr)


def _content_digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """A digest over names, types, shapes and bytes of the tensors and over the facts' text."""
    parts = [text.encode()]
    for name in sorted(tensors):
        tensor = tensors[name]
        parts += [f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), tensor.numpy().tobytes()]
    return digest(*parts)
