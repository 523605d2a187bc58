# GNU make 3.81 and newer. `make` alone lists the targets.
PYTHON ?= python3
# The revision that `make report` compares with, and that experiments started from. It reaches the shell as a variable,
# never as text of a command.
BASE ?= HEAD
# What follows is given on the command line alone; WSL sets NAME in every shell.
# The text that `make corpus` adds, or its train split and the two others.
FILE :=
VALIDATION :=
TEST :=
# The recipe that `make recipe` runs and `make verify` checks.
NAME :=
# With UPDATE=1, `make small` renews the record that it compares with.
UPDATE :=
export BASE FILE VALIDATION TEST NAME

# The project's own environment, whatever else is active in the shell.
VENV := .venv/bin
export PATH := $(CURDIR)/$(VENV):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Stronger than `user = true` in a pip.conf.
export PIP_USER := 0
# DVC wants the user's name. In a container, the user id may have none: `id` then prints the number.
export LOGNAME ?= $(shell id -un 2> /dev/null)
unexport DVC_ROOT VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONDONTWRITEBYTECODE PIP_TARGET PIP_PREFIX

# Every file must have a hash that constraints.txt names, also what a package without a wheel is built with.
INSTALL := $(VENV)/python -m pip install --quiet --no-compile --constraint constraints.txt \
    --build-constraint constraints.txt

PACKAGES := .venv/.packages
TOOLS := .venv/.tools

# One more than there are cores, since some tests wait; at most four, for the sake of memory.
WORKERS = $$($(VENV)/python -c 'import os; print(min(4, os.cpu_count() + 1))')
PYTEST = $(VENV)/python -m pytest --numprocesses $(WORKERS) --durations 20 --durations-min 1

# Makes the byte code of what the pipeline imports, for shells too that let Python keep none. pip would make that of all
# modules, which takes a minute, and most of them are never imported.
COMPILE := $(VENV)/python -c 'import glob, runpy, dvc.cli.parser; [runpy.run_path(path) for path in glob.glob("stages/*.py")]'

# An environment that was copied or moved starts the programs of its old place; one whose Python has gone or changed has
# no packages. Both are made anew.
ifeq ($(shell $(VENV)/python -I -c 'import pip' 2> /dev/null && grep -sF " $$(pwd -P)/.venv" .venv/pyvenv.cfg),)
.PHONY: $(VENV)/pip $(PACKAGES)
endif

# All targets work in one folder, so `make -j run report` takes one after the other.
.NOTPARALLEL:

.PHONY: help setup corpus run recipe test test-slow lint verify bench gpu curves whole bench-corpus report experiments \
    sweep-report current small job-summary readme audit tools lock

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(PACKAGES)  ## Make .venv and install what the pipeline needs
	@:

corpus: setup  ## Make FILE=<a text>, or FILE, VALIDATION and TEST, a corpus: its texts and its record in data/corpora/
	@$(VENV)/python -m tools.corpus "$$FILE" "$$VALIDATION" "$$TEST"

run: setup  ## Run the whole pipeline, then show the results
	@$(VENV)/python -m tools.quickstart
	@$(VENV)/python -m dvc repro
	@$(VENV)/python -m tools.summary

test: tools  ## Run the tests, except the slow ones (5 to 14 minutes)
	@$(PYTEST) --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: tools  ## Run the slow tests: every command of README and docs, trainings on emulated processors
	@$(PYTEST) --dist worksteal -m slow

lint: tools  ## Check style, types and workflow files
	@$(VENV)/python -m ruff check
	@$(VENV)/python -m ruff format --check
	@$(VENV)/python -m pyright
	@$(VENV)/python -m tools.checks.lint_workflows

recipe: setup  ## Run the recipe NAME=<a folder of recipes/> and keep its results there; without NAME, list them
	@$(VENV)/python -m tools.recipes.run "$$NAME"

verify: setup  ## Run the pipeline, or the recipe NAME, again in a copy and compare with the committed results
	@$(VENV)/python -m tools.checks.verify "$$NAME"

bench: setup  ## Measure the speed of the kernels side by side
	@$(VENV)/python -m benchmarks.run

gpu: tools  ## Test, train and measure on a CUDA GPU (at most eight minutes)
	@$(VENV)/python -m benchmarks.gpu

curves: setup  ## Train with each kernel and compare the curves
	@$(VENV)/python -m benchmarks.curves

whole: setup  ## Measure `dvc repro` beside the textbook's two trainings (less than half an hour)
	@$(VENV)/python -m benchmarks.whole

bench-corpus: setup  ## Measure the stages on texts from 1 MB to 1 GB (a quarter of an hour, 5 GB of disk)
	@$(VENV)/python -m benchmarks.corpus

report: setup  ## Write report/: the results against BASE=<revision> (HEAD)
	@$(VENV)/python -m tools.report "$$BASE"

experiments: setup  ## Show the experiments that started from BASE=<revision> (HEAD)
	@$(VENV)/python -m tools.report.experiments "$$BASE"

sweep-report: setup  ## Write report/: a sweep's experiments, which started from BASE=<revision> (HEAD)
	@$(VENV)/python -m tools.report.sweep "$$BASE"

current: setup  ## Tell whether the committed results belong to the committed code
	@$(VENV)/python -m tools.checks.current

small: setup  ## Run the pipeline on small parameters, in a copy; compare its numbers with the record (UPDATE=1: renew it)
	@$(VENV)/python -m tools.checks.small $(if $(filter 1,$(UPDATE)),--update)

job-summary: setup
	@$(VENV)/python -m tools.report.job_summary

readme: setup  ## Put the numbers of metrics/ and recipes/ into README and docs
	@$(VENV)/python -m tools.docs.readme

audit: tools  ## Look for known vulnerabilities in the pinned packages
	@$(VENV)/python -m tools.checks.audit

tools: $(TOOLS)  ## Install what tests and checks need as well
	@:

lock: tools  ## Renew constraints.txt from requirements*.txt, changing no more than they ask for
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/uv pip compile --quiet --universal --python-version 3.11 \
	    --no-annotate --generate-hashes --output-file constraints.txt requirements-dev.txt

# A half-made environment never has pip. `venv --clear` would empty what a link leads to: another project's environment.
$(VENV)/pip:
	@test ! -L .venv || { echo ".venv is a link to $$(readlink .venv), which would be emptied: remove the link, then" \
	    "make it again" >&2; exit 1; }
	@test ! -d .venv/bin || grep -qs '^command = .* -m venv ' .venv/pyvenv.cfg || { echo ".venv was not made by" \
	    "make: move it away, then make it again" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit( \
	    "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v[:2])'
	@$(PYTHON) -m venv --clear .venv

$(PACKAGES): requirements.txt constraints.txt pyproject.toml | $(VENV)/pip
	@echo "Installing into .venv; the first time takes a few minutes."
	@sed -n '/^pip==/,/[^\\]$$/p' constraints.txt > .venv/pip.txt
	@$(VENV)/python -m pip install --quiet --require-hashes -r .venv/pip.txt
	@$(VENV)/python -m tools.torch_build
	@$(INSTALL) -r requirements.txt
	@$(VENV)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $@

$(TOOLS): requirements-dev.txt $(PACKAGES)
	@echo "Installing the tools for tests and checks."
	@$(INSTALL) -r requirements-dev.txt
	@touch $@
