#!/usr/bin/env bash
# Run the whole pipeline of the current commit on the embedded sample with small parameters, in a copy that is
# thrown away, and show the results. On GitHub the table also goes to the job summary.
set -euo pipefail
cd "$(dirname "$0")/.."

copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
git clone --quiet . "$copy/project"
cd "$copy/project"
export PYTHONPATH="$PWD/src"

python -m dvc exp run -S corpus.name=sample -S model.hidden=64 -S train.epochs=20
table="$(python -m lstm_lm.workbench.summary | sed '/^Plots:/,$d')"
echo "$table"
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    printf '### The pipeline on small parameters\n\n```text\n%s\n```\n\n' "$table" >> "$GITHUB_STEP_SUMMARY"
fi
