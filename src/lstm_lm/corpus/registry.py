"""Corpora: which are registered, where each can be had, and how one gets into the project, whole or not at all."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lstm_lm.atomic import write_bytes
from lstm_lm.corpus.download import Limits, download

LIMITS = Limits()


@dataclass(frozen=True)
class Corpus:
    """A registered text.

    Attributes:
        name: the stem of its file in `data/corpora/` and in a mirror.
        urls: HTTPS addresses of the same bytes, the preferred one first.
        sha256: digest of the bytes, hexadecimal.
        licence: the terms it is under.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    licence: str


SAMPLE = Corpus(
    name="sample",
    urls=(),
    sha256="206e17563306111f6e3edcb4095a6c9096bc83e8b95699342bd982c5948aec83",
    licence="written for this project and dedicated to the public domain (CC0 1.0)",
)

REGISTRY = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            name="time_machine",
            urls=(
                "https://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt",
                "https://raw.githubusercontent.com/d2l-ai/d2l-zh/"
                "5918a8b9e8dd92e5085c15118e76c919b04f09a7/data/timemachine.txt",
            ),
            sha256="8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516",
            licence="public domain",
        ),
        Corpus(
            name="tiny_shakespeare",
            urls=(
                "https://raw.githubusercontent.com/karpathy/char-rnn/"
                "370cbcd448eb7daf32f21a6be560b70e0b33c4e3/data/tinyshakespeare/input.txt",
            ),
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            licence="public domain",
        ),
        SAMPLE,
    )
}


class CorpusUnavailable(OSError):
    """No source gave a registered corpus; the message names each of them, its reason, and the ways out."""


def fetch(name: str, destination: Path, corpora_dir: Path, mirror: str | None, limits: Limits = LIMITS) -> str:
    """Bring the corpus `name` to the file `destination`: a registered one, or the user's own in `corpora_dir`.

    Args:
        name: key in the registry, or stem of a file in `corpora_dir`.
        destination: file to write; after an error it is what it was.
        corpora_dir: folder of the texts that came with the project or that the user put there.
        mirror: folder or base URL that holds `<name>.txt` of registered corpora.
        limits: of each download.

    Returns:
        Where it came from, in one line.

    Raises:
        ValueError: there is no such corpus.
        CorpusUnavailable: no source of a registered corpus has its bytes.
        OSError: the user's own file cannot be used, or `destination` cannot be written.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"corpus.name: {name!r} must be a plain file name without folder and .txt, such as my_text")
    if name in REGISTRY:
        return fetch_registered(REGISTRY[name], destination, corpora_dir, mirror, limits)
    own = corpora_dir / f"{name}.txt"
    try:
        content = _read(own)
    except FileNotFoundError:
        raise ValueError(
            f"corpus.name: {name!r} is not a registered corpus ({', '.join(REGISTRY)}) and there is no {own}: "
            "put your text there or choose a registered one"
        ) from None
    except OSError as error:
        raise OSError(f"{own}: {error}; put a readable text file there or choose another corpus.name") from error
    write_bytes(destination, content)
    return str(own)


def fetch_registered(
    corpus: Corpus, destination: Path, corpora_dir: Path, mirror: str | None, limits: Limits = LIMITS
) -> str:
    """Bring `corpus` to `destination` from the first source that has the right bytes; otherwise as `fetch`.

    Raises:
        CorpusUnavailable: no source has them.
        OSError: `destination` cannot be written.
    """
    failures: dict[str, OSError] = {}
    for source in _sources(corpus, corpora_dir, mirror):
        label = re.sub("//[^/@]*@", "//", source)  # a password in a mirror's address is nobody else's business
        try:
            content = _verified(download(source, limits) if _is_url(source) else _read(Path(source)), corpus)
        except OSError as error:
            failures[label] = error
            continue
        write_bytes(destination, content)
        damaged = {place: error for place, error in failures.items() if not isinstance(error, FileNotFoundError)}
        return label + "".join(f"; not from {place}: {error}" for place, error in damaged.items())
    raise CorpusUnavailable(
        f"no source has the corpus {corpus.name}:\n"
        + "".join(f"  {place}: {error};\n" for place, error in failures.items())
        + f"ways out: {_ways_out(corpus, corpora_dir)}"
    )


def _sources(corpus: Corpus, corpora_dir: Path, mirror: str | None) -> list[str]:
    """Files and URLs to try, in this order."""
    file = f"{corpus.name}.txt"
    local = str(corpora_dir / file)
    if not mirror:
        return [local, *corpus.urls]
    return [local, f"{mirror.rstrip('/')}/{file}" if _is_url(mirror) else str(Path(mirror) / file), *corpus.urls]


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _read(path: Path) -> bytes:
    """The bytes of a file that is not empty. Raises OSError with the reason alone, FileNotFoundError for none."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("a folder or device, not a file")
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError("no such file") from None
    except OSError as error:
        raise OSError(f"cannot be read ({error.strerror})" if error.strerror else str(error)) from error
    if not content:
        raise OSError("empty")
    return content


def _verified(content: bytes, corpus: Corpus) -> bytes:
    """`content` if its digest is the registered one. Raises OSError."""
    digest = hashlib.sha256(content).hexdigest()
    if digest == corpus.sha256:
        return content
    what = "an HTML page" if content.lstrip()[:1] == b"<" else "other bytes"
    raise OSError(f"{what} instead of the text (SHA-256 {digest[:12]}..., expected {corpus.sha256[:12]}...)")


def _ways_out(corpus: Corpus, corpora_dir: Path) -> str:
    local = corpora_dir / f"{corpus.name}.txt"
    if corpus == SAMPLE:
        return f"bring back the file that came with the project (git checkout -- {local})"
    return (
        f"set CORPUS_MIRROR to a folder or base URL that holds {corpus.name}.txt, put the file at {local}, "
        f"or choose corpus.name: {SAMPLE.name} in params.yaml"
    )
