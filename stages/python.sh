# Run a stage: `exec sh stages/python.sh stages/fetch.py`. The shell becomes Python, which then notices when DVC ends.
# The project's own .venv comes first, activated or not; without one it is the `python` on PATH. DVC_ROOT is the project,
# also where DVC runs an experiment of --queue or --temp in another folder.
python=${DVC_ROOT:-.}/.venv/bin/python
[ -x "$python" ] || python=python
"$python" -c 'import importlib.util as i, sys; sys.exit(i.find_spec("torch") is None)' 2> /dev/null || {
    echo "no Python with this project's packages: run 'make setup', or activate the environment that has them" >&2
    exit 1
}
exec env PYTHONPATH=src "$python" "$@"
