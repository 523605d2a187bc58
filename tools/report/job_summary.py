"""Write report/report.md to a GitHub job summary, with pictures that show there.

A job summary shows neither files of the runner nor data: URLs, but pictures that the repository holds. So each picture
of the report is replaced by the one of the same name in plots/ of this commit, with a link to the report.
"""

import os
import re
from pathlib import Path

IMAGE = re.compile(r"!\[(?P<title>[^\]]*)\]\((?P<name>[^)\s]+)\)")


def summary(report: str, committed: set[str], raw_url: str, artifact_url: str) -> str:
    """`report` with pictures that the repository holds, and links instead of the others.

    Args:
        report: Markdown; its pictures have relative addresses.
        committed: the file names of the pictures in plots/.
        raw_url: where plots/ of this commit is served.
        artifact_url: where the whole report is.
    """

    def picture(image: re.Match[str]) -> str:
        title, name = image["title"], image["name"]
        link = f"[{title} against the base: in the report]({artifact_url})"
        return f"![{title}]({raw_url}/{name})\n\n{link}" if name in committed else link

    whole = f"[The whole report, interactive: download, unpack, open index.html]({artifact_url})"
    return f"{IMAGE.sub(picture, report).rstrip()}\n\n{whole}\n"


def main() -> None:
    """Add the report to the job summary."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA", "ARTIFACT_URL", "GITHUB_STEP_SUMMARY")
    server, repository, commit, artifact_url, target = (os.environ[name] for name in names)
    report = Path("report/report.md").read_text(encoding="utf-8")
    committed = {path.name for path in Path("plots").glob("*.png")}
    with Path(target).open("a", encoding="utf-8") as file:
        file.write(summary(report, committed, f"{server}/{repository}/raw/{commit}/plots", artifact_url))


if __name__ == "__main__":
    main()
