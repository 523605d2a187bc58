"""Write report/report.md to a GitHub job summary, with pictures that show there.

A job summary shows no picture from the runner's disk and strips data: addresses. What it shows is a picture
that the repository holds, by the address of this commit; every other one becomes a link to the artifact.
Without GITHUB_STEP_SUMMARY (not on GitHub) the text goes to standard output.
"""

import os
import re
import sys
from pathlib import Path

IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)\s]+)\)")


def with_addresses(markdown: str, committed: set[str], raw_url: str, artifact_url: str) -> str:
    """`markdown` with each picture at an address of its own.

    Args:
        markdown: the report; its pictures have relative addresses, named as in plots/ where they are from there.
        committed: the file names in plots/.
        raw_url: where plots/ of this commit is served.
        artifact_url: where the whole report is.
    """

    def address(image: re.Match[str]) -> str:
        name = Path(image["path"]).name
        if name in committed:
            return f"![{image['alt']}]({raw_url}/{name})"
        return f"[{image['alt'] or name} (in the report)]({artifact_url})"

    return IMAGE.sub(address, markdown)


def main() -> None:
    """Add the report to the job summary."""
    environment = os.environ
    commit = f"{environment.get('GITHUB_REPOSITORY', '')}/raw/{environment.get('GITHUB_SHA', 'HEAD')}"
    raw_url = f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{commit}/plots"
    artifact_url = environment.get("ARTIFACT_URL", "report/index.html")
    report = Path("report/report.md").read_text(encoding="utf-8")
    committed = {path.name for path in Path("plots").glob("*.png")}
    text = with_addresses(report, committed, raw_url, artifact_url)
    text += f"\n\n[The interactive report: download, unzip, open index.html]({artifact_url})\n"
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
