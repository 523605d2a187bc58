"""Sources: where the files of a corpus can be had, and how they get into the project, whole and right or not at all."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, get_args

from lstm_lm.core.atomic import remove_stale, replacing
from lstm_lm.core.printable import printable
from lstm_lm.core.stage import project
from lstm_lm.corpus.download import Limits, SourceFailed, download, receive
from lstm_lm.corpus.record import File, Part, file_name, load_record

CACHE = "DVC's cache"
MISSING = "no such file"
BLOCK_BYTES = 2**20
URL = re.compile("https?://", re.IGNORECASE)

Source = Callable[[BinaryIO, File], None]
"""Writes a file. Raises SourceFailed where it does not have it, OSError where it cannot be written."""


class CorpusUnavailable(ValueError):
    """No source has a file of a corpus; the message names each of them, its reason, and the ways out."""


@dataclass(frozen=True)
class Sources:
    """Where to look for the files of corpora."""

    corpora: Path  # the folder of the records, and of texts
    mirror: str = ""  # a base URL or a folder, which counts from the project
    raw: Path | None = None  # the folder whose last contents DVC may have in its cache
    limits: Limits = field(default_factory=Limits)  # of each download

    @classmethod
    def of_project(cls, root: Path) -> "Sources":
        """Those of the project in `root`; the environment's CORPUS_MIRROR names the mirror."""
        return cls(root / "data/corpora", os.environ.get("CORPUS_MIRROR", ""), root / "data/raw")

    def of(self, name: str, part: str, file: File) -> dict[str, Source]:
        """The sources of one file of a corpus in the order in which to try them, each under its place."""
        local, home = self.corpora / file_name(name, part), project(Path.cwd())
        places = [str(local.absolute()), str(home / local)]
        if not file.sources and (here := [place for place in places if Path(place).exists()]):
            return {here[0]: self._at(here[0])}  # a user's text that was edited is refused, not passed over
        if self.mirror:
            base = self.mirror if URL.match(self.mirror) else str(home / self.mirror)
            places.append(f"{base.rstrip('/')}/{local.name}")
        found = {place: self._at(place) for place in places}
        if self.raw is not None:
            found[CACHE] = partial(receive, _cached_blocks(self.raw / f"{part}.txt"))
        return found | {url: self._at(url) for url in file.sources}

    def _at(self, place: str) -> Source:
        return partial(download, place, self.limits) if URL.match(place) else partial(receive, _blocks(Path(place)))


def fetch(name: str, raw: Path, sources: Sources) -> list[str]:
    """Bring the corpus `name` into the folder `raw`: corpus.txt, or train.txt, valid.txt and test.txt.

    They take their places together, and those of an earlier corpus go; after an error `raw` is what it was.
    Returns where each file came from, in one line.

    Raises:
        ValueError: there is no such corpus, or `raw` is a link.
        CorpusUnavailable: no source has one of the files.
    """
    files = load_record(name, sources.corpora).files
    if raw.is_symlink():
        raise ValueError(f"{raw} is a symbolic link, and fetch deletes files in it: put a folder in its place")
    with ExitStack() as together:
        origins = [
            _bring(file, raw / f"{part}.txt", sources.of(name, part, file), together) for part, file in files.items()
        ]
    for part in get_args(Part):
        if part not in files:
            (raw / f"{part}.txt").unlink(missing_ok=True)
            remove_stale(raw / f"{part}.txt")
    return origins


def check_own_texts(name: str, corpora: Path) -> None:
    """Check that the user's own texts of the corpus `name`, as far as they are in `corpora`, are as recorded.

    DVC sees the record alone. Files that can be downloaded are left out: fetch passes over other bytes in their place.

    Raises:
        ValueError: one is another text, or there is no such corpus.
    """
    for part, file in load_record(name, corpora).files.items():
        local = corpora / file_name(name, part)
        if not file.sources and local.exists():
            with local.open("rb") as text:
                if hashlib.file_digest(text, "sha256").hexdigest() != file.sha256:
                    raise ValueError(
                        f"{local} is not the text that its record describes: {_ways_out(file, part, str(local))}"
                    )


def _bring(file: File, destination: Path, sources: dict[str, Source], together: ExitStack) -> str:
    """Write a file beside `destination`, from the first source that has it; `together` puts it in its place."""
    failures: dict[str, str] = {}
    for place, source in sources.items():
        try:
            with ExitStack() as attempt:
                source(attempt.enter_context(replacing(destination)), file)
                together.push(attempt.pop_all())
        except SourceFailed as failure:
            if place != CACHE:  # which may hold another corpus
                failures[_shown(place)] = _shown(str(failure))
        else:
            damaged = [f"; not from {failed}: {why}" for failed, why in failures.items() if why != MISSING]
            return _shown(place) + "".join(damaged)
    local = next(iter(sources))
    reasons = "".join(f"  {place}: {why};\n" for place, why in failures.items())
    raise CorpusUnavailable(
        f"no source has {Path(local).name}:\n{reasons}ways out: {_ways_out(file, destination.stem, local)}"
    )


def _ways_out(file: File, part: str, local: str) -> str:
    if not file.sources:
        stem, texts = local.removesuffix(f".{part}.txt"), f"FILE={local}"
        if part != "corpus":
            texts = f"FILE={stem}.train.txt VALIDATION={stem}.valid.txt TEST={stem}.test.txt"
        return (
            f"bring {local} back (git checkout or dvc pull), "
            f"or, if the text was changed on purpose, write its new record with make corpus {texts}"
        )
    return (
        f"set CORPUS_MIRROR to a folder or base URL that holds {Path(local).name}, put the file at {local}, "
        "or choose corpus.name: sample in params.yaml"
    )


def _shown(text: str) -> str:
    """What others wrote, without the user and password of an address; a password may hold any character."""
    return printable(re.sub("//([^/]*:.*|[^/]*)@", "//", text))


def _blocks(path: Path) -> Iterator[bytes]:
    try:
        if path.exists() and not path.is_file():
            raise SourceFailed("a folder or device, not a file")
        with path.open("rb") as file:
            yield from iter(partial(file.read, BLOCK_BYTES), b"")
    except FileNotFoundError:
        raise SourceFailed(MISSING) from None
    except OSError as error:
        raise SourceFailed(f"cannot be read ({error.strerror or error})") from error


def _cached_blocks(path: Path) -> Iterator[bytes]:
    """What dvc.lock records for the output `path`."""
    import dvc.api  # takes a second, which most runs do not need
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexError

    try:
        with dvc.api.open(str(path), mode="rb", config={"core": {"remote": ""}}) as file:
            yield from iter(partial(file.read, BLOCK_BYTES), b"")
    except (DvcException, DataIndexError, OSError) as error:
        raise SourceFailed(MISSING) from error
