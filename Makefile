# Two commands for a newcomer: `make demo` runs the main job, `make test` passes the tests.
.DEFAULT_GOAL := help
SHELL := /bin/sh
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
AI_HOW := .venv/bin/ai-how
PYTEST := .venv/bin/pytest
# Two platforms at a time, for they wait more than they compute; a file's tests stay together.
TESTS := $(PYTEST) -v -n 2 --dist loadfile tests/integration tests/e2e tests/lab

.PHONY: help sync demo check unit test test-full test-lab lab-programs lab-setup lab-up lab-down lab-status clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

# uv is brought into the project when the machine has none.
.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.8'

# uv takes the machine's Python 3.11 or 3.12, or brings 3.12 itself; where it cannot, it says why.
.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen
	@touch $@

sync: .venv/.synced ## install exactly what uv.lock names into .venv

demo: sync ## from a fresh clone to a served endpoint: platform, training, prediction, lineage
	.venv/bin/python examples/digits/demo.py

check: sync ## format, lint, types, layer rule, unit tests: two minutes
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTEST) -q -n auto tests/unit

unit: sync ## the unit tests alone
	$(PYTEST) -q -n auto tests/unit

# Continuous integration brings all that the tests need; elsewhere the lab is for who has set it up.
test: check $(if $(CI),lab-setup,lab-programs) ## everything but the slow tests; where no lab can be, its tests are skipped
	$(TESTS) -m "not slow"

test-full: check lab-setup ## everything, the slow tests too, as root: nothing may be missing
	CI=1 $(TESTS)

test-lab: sync ## the tests that need the lab, as root; AI_HOW_LAB=.lab takes the one that is up
	$(PYTEST) -v -m "not slow" tests/lab

# Where `make lab-up` puts a lab; with another directory a second one can stand beside the first.
LAB := .lab

lab-programs: sync ## build the programs of Kubernetes that tests without root need
	.venv/bin/python -m tests.lab programs

lab-setup: sync ## install and build what the lab needs: a Kubernetes on this machine; as root
	.venv/bin/python -m tests.lab setup

lab-up: sync ## start the lab; leaves .lab/kubeconfig and .lab/enter
	@.venv/bin/python -m tests.lab up --directory $(LAB)

lab-down: sync ## take the lab down and remove all of it
	@.venv/bin/python -m tests.lab down --directory $(LAB)

lab-status: sync ## say whether the lab is up, and where
	@.venv/bin/python -m tests.lab status --directory $(LAB)

clean: ## remove the environment (the platform's state in .ai-how stays)
	rm -rf .venv .uv
