# Run a stage with this project's Python: `exec sh stages/python.sh stages/fetch.py`.
#
# Why not `python stages/fetch.py`: without an activated environment, `python` is another Python or, on Debian and macOS,
# no command at all. The project's own .venv comes first here; without one, it is the `python` on PATH. Where DVC runs an
# experiment of --queue or --temp in another folder, which has no .venv, DVC_ROOT is the project.
# Why `exec`: DVC starts a shell, which would outlive a DVC that is killed. So the shell becomes Python, which then sees
# its parent change and saves what it has. All shells know `exec`; not all replace themselves without it.
python=.venv/bin/python
[ -x "$python" ] || python=${DVC_ROOT:-.}/.venv/bin/python
[ -x "$python" ] || python=python
"$python" -c 'import importlib.util as i, sys; sys.exit(i.find_spec("torch") is None)' 2> /dev/null || {
    echo "no Python with this project's packages: run 'make setup', or activate the environment that has them" >&2
    exit 1
}
exec env PYTHONPATH=src "$python" "$@"
