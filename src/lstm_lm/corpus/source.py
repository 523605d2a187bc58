"""Sources: where the files of a corpus can be had, and how they get into the project, whole and right or not at all."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lstm_lm.core.atomic import replacing
from lstm_lm.corpus.download import Limits, download
from lstm_lm.corpus.incoming import Incoming, SourceFailed
from lstm_lm.corpus.record import File, file_name, load_record, workspace

BLOCK_BYTES = 2**20

Source = Callable[[Incoming], None]
"""Writes a file's bytes. Raises SourceFailed where it does not have them, OSError where they cannot be written."""


class CorpusUnavailable(ValueError):
    """No source has a file of a corpus; the message names each of them, its reason, and the ways out."""


class _Absent(SourceFailed):
    """There is no such file at this place, which is no news where another source has it."""


@dataclass(frozen=True)
class Sources:
    """Where to look for the files of corpora.

    Attributes:
        corpora: folder of the records, and of texts that came with the project or that the user put there.
        mirror: folder or base URL that holds the files; a relative folder counts from the workspace.
        raw: folder whose last contents DVC may still have in its cache.
        limits: of each download.
    """

    corpora: Path
    mirror: str = ""
    raw: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of_project(cls, root: Path) -> "Sources":
        """Those of the project in `root`; the environment's CORPUS_MIRROR names the mirror."""
        return cls(root / "data/corpora", os.environ.get("CORPUS_MIRROR", ""), root / "data/raw")

    def of(self, name: str, part: str, file: File) -> dict[str, Source]:
        """The sources of one file of a corpus in the order in which to try them, each under its name."""
        local = self.corpora / file_name(name, part)
        places = [local.absolute(), workspace() / local]
        urls = file.sources
        if _is_url(self.mirror):
            urls = [f"{self.mirror.rstrip('/')}/{local.name}", *urls]
        elif self.mirror:
            places.append(workspace() / self.mirror / local.name)
        found: dict[str, Source] = {str(place): partial(_from_file, place) for place in places}
        if self.raw is not None:
            found["DVC's cache"] = partial(_from_dvc, self.raw / f"{part}.txt")
        # A password in a mirror's address is nobody else's business.
        found |= {re.sub("//[^/@]*@", "//", url): partial(download, url, limits=self.limits) for url in urls}
        return found


def fetch(name: str, raw: Path, sources: Sources) -> list[str]:
    """Bring the files of the corpus `name` into the folder `raw`: corpus.txt, or train.txt, valid.txt and test.txt.

    They take their places together, and nothing else stays in `raw`; after an error it is what it was.

    Returns:
        Where each file came from, in one line.

    Raises:
        ValueError: there is no such corpus.
        CorpusUnavailable: no source of a file has its bytes.
        OSError: a record cannot be read or a file cannot be written.
    """
    files = load_record(name, sources.corpora).files
    with ExitStack() as together:
        origins = [
            _bring(file, raw / f"{part}.txt", sources.of(name, part, file), together) for part, file in files.items()
        ]
    for path in raw.iterdir():
        if path.stem not in files:
            path.unlink()
    return origins


def _bring(file: File, destination: Path, sources: dict[str, Source], together: ExitStack) -> str:
    """Write a file beside `destination`, from the first source that has it; `together` puts it in its place."""
    failures: dict[str, SourceFailed] = {}
    for name, source in sources.items():
        try:
            with ExitStack() as attempt:
                incoming = Incoming(attempt.enter_context(replacing(destination)), file)
                source(incoming)
                incoming.check()
                together.push(attempt.pop_all())
        except SourceFailed as failure:
            failures[name] = failure
            continue
        damaged = {place: why for place, why in failures.items() if not isinstance(why, _Absent)}
        return name + "".join(f"; not from {place}: {why}" for place, why in damaged.items())
    local = next(iter(sources))
    raise CorpusUnavailable(
        f"no source has {Path(local).name}:\n"
        + "".join(f"  {place}: {why};\n" for place, why in failures.items())
        + f"ways out: {_ways_out(file, local)}"
    )


def _ways_out(file: File, local: str) -> str:
    if file.sources:
        return (
            f"set CORPUS_MIRROR to a folder or base URL that holds {Path(local).name}, put the file at {local}, "
            "or choose corpus.name: sample in params.yaml"
        )
    return (
        f"bring {local} back (git checkout or dvc pull), "
        f"or, if the text was changed on purpose, write its new record with make corpus FILE={local}"
    )


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _from_file(path: Path, incoming: Incoming) -> None:
    _pour(_blocks(path), incoming)


def _from_dvc(path: Path, incoming: Incoming) -> None:
    try:
        _pour(_recorded_blocks(path), incoming)
        incoming.check()
    except SourceFailed as failure:  # another corpus's file: no damage
        raise _Absent(str(failure)) from failure


def _pour(blocks: Iterable[bytes], incoming: Incoming) -> None:
    incoming.restart()
    for block in blocks:
        incoming.write(block)


def _blocks(path: Path) -> Iterator[bytes]:
    """The content of a file, a block at a time. Raises SourceFailed."""
    if path.exists() and not path.is_file():
        raise SourceFailed("a folder or device, not a file")
    try:
        with path.open("rb") as file:
            yield from iter(partial(file.read, BLOCK_BYTES), b"")
    except FileNotFoundError:
        raise _Absent("no such file") from None
    except OSError as error:
        raise SourceFailed(f"cannot be read ({error.strerror or error})") from error


def _recorded_blocks(path: Path) -> Iterator[bytes]:
    """The content that dvc.lock records for an output, as far as it is in the cache. Raises SourceFailed."""
    import dvc.api  # takes a second, which most runs do not need
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexError

    try:
        with dvc.api.open(str(path), mode="rb", config={"core": {"remote": ""}}) as file:
            yield from iter(partial(file.read, BLOCK_BYTES), b"")
    except (DvcException, DataIndexError, OSError) as error:
        raise _Absent("no such file") from error
