"""Write report/report.md to a GitHub job summary, with pictures that show there.

A job summary shows neither files of the runner nor data: URLs, but pictures that the repository holds. So each picture
of the report is replaced by the one of the same name in plots/ of this commit, with a link to the report. Without
GITHUB_STEP_SUMMARY (not on GitHub) the text goes to standard output.
"""

import os
import re
from pathlib import Path

from lstm_lm.core.printable import say

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
    server, repository, commit, artifact_url = (
        os.environ.get(name, default)
        for name, default in (
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", ""),
            ("GITHUB_SHA", "HEAD"),
            ("ARTIFACT_URL", "report/index.html"),
        )
    )
    report = Path("report/report.md").read_text(encoding="utf-8")
    committed = {path.name for path in Path("plots").glob("*.png")}
    text = summary(report, committed, f"{server}/{repository}/raw/{commit}/plots", artifact_url)
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(text)
    else:
        say(text)


if __name__ == "__main__":
    main()
