# What a newcomer types. Each target does its own set-up; everything longer than a line is in voxanne/runtime.
# Options of run and demo come from the environment: PORT, WS_PORT, SANDBOX_PORT, VOXANNE_DATA_DIR, DEMO_CALL=0.
# ARGS is passed on: make test ARGS="-k booking -x".

PYTHON := .venv/bin/python
RUNTIME := $(PYTHON) -m voxanne.runtime
LOCK := $(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --quiet

.PHONY: help setup run demo test browser check bench faults lock

help:
	@echo 'make run      the whole product on this machine, with one demo call'
	@echo 'make demo     the demo call alone: exits 0 only if it went through'
	@echo 'make test     the test suite on real PostgreSQL and Redis'
	@echo 'make browser  the browser journeys in real Chromium'
	@echo 'make check    lint, format, types, migrations, deployment, API schema'
	@echo 'make bench    the benchmarks'
	@echo 'make faults   the fault runs'
	@echo 'make lock     pin the packages named in requirements*.in'

# Each candidate is tried for real: a name on PATH may be a shim for a version that is not installed.
setup:
	@for python in .venv/bin/python python3.13 python3.12 python3.11 python3; do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			exec $$python -P voxanne/runtime/install.py; \
		fi; \
	done; \
	echo 'No Python 3.11 or later with its venv module found: `apt-get install python3 python3-venv`.' >&2; exit 1

run demo check: setup
	@$(RUNTIME) $@

test browser bench faults: setup
	@$(RUNTIME) $@ $(ARGS)

lock: setup
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
