"""Tell whether dvc.lock and the results belong to the code, parameters and data of this checkout."""

from pathlib import Path

from dvc.output import Output
from dvc.repo import lock_repo

from lstm_lm.core.params import load_params
from lstm_lm.core.printable import fail, say
from lstm_lm.corpus.source import check_own_texts
from tools.project import digests, git, has_git, repository


def outdated(root: Path) -> list[str]:
    """The stages that `dvc repro` would run, as far as DVC can tell without running them.

    Data in DVC's cache alone count as what dvc.lock says they were.

    Raises:
        ValueError: DVC cannot tell; the message is its own.
        Busy: another DVC works on the project.
    """
    with repository(root) as repo, lock_repo(repo):
        stages = repo.stage.load_all(str(root / "dvc.yaml"))
        return [
            stage.addressing
            for stage in stages
            if stage.changed(allow_missing=True, upstream=stages) or not all(map(_is_here, stage.outs))
        ]


def _is_here(out: Output) -> bool:
    """Whether an output is in the working tree, if it has to be: nothing but git brings back what it keeps."""
    return out.use_cache or out.exists


def uncommitted(root: Path) -> list[str]:
    """The results and dvc.lock, as far as they differ from the last commit. Raises ValueError, OSError."""
    if not has_git(root):
        return []
    status = git(root, "status", "--porcelain", "-z", "--no-renames", "--", "dvc.lock", *digests(root))
    if status is None:
        raise ValueError("git cannot tell what is committed: `git status` says why")
    return [line[3:] for line in status.split("\0") if line]


def main() -> None:
    """Judge the project in the working directory.

    Exit status 1: a stage would run, the text is not the recorded one, or DVC cannot tell.
    """
    root = Path()
    try:
        check_own_texts(load_params(root / "params.yaml").corpus.name, root / "data/corpora")
        if stages := outdated(root):
            fail(
                f"The results are out of date (changed: {', '.join(stages)}): "
                "run 'dvc repro' and commit dvc.lock, metrics/ and plots/."
            )
        if changed := uncommitted(root):
            say(f"The results are current, but not committed: {', '.join(changed)}.")
        else:
            say("The committed results are current." if has_git(root) else "The results are current.")
    except (ValueError, OSError) as error:
        fail(f"current: {error}")


if __name__ == "__main__":
    main()
