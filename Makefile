# Every chore is `make <word>`; `make` alone lists the words.
# A fresh machine needs Python 3.10 to 3.13, make and a C++ compiler (for packages without a wheel).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format faults bench clean

help: ## list what you can type
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with everything, ROS 2 included (redone when the packages change)

$(READY): setup.py setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 13) else \
	  "setup: Python %d.%d found, 3.10 to 3.13 is needed; try: make setup PYTHON=python3.12" % v)'
	@echo 'setup: installing into $(VENV) (a few minutes, most of it downloads)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[train,ros,cluster,sweep,dev]'
	@touch $@
	@echo 'setup: ready; type $(BIN)/sac-ros for the commands'

demo: setup ## train a small task, export it, run it over ROS 2 topics, show the result
	$(BIN)/sac-ros demo

test: setup ## run every test, the ROS 2 ones included; sac_ros must be covered by them
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -m 'not ros' -n 2 --dist loadfile
	$(BIN)/coverage run -m pytest -m ros -n 2 --dist loadfile
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet
	$(BIN)/python tests/coverage_floor.py

lint: setup ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## put the code into the format that lint asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: setup ## write docs/faults.md anew from the markers of the tests
	$(BIN)/python tests/fault_table.py

bench: setup ## measure against peers, side by side (minutes; leave the machine alone meanwhile)
	$(BIN)/sac-ros bench control
	$(BIN)/sac-ros bench control --kills 20
	$(BIN)/sac-ros bench train
	$(BIN)/sac-ros bench env
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/ray_scaling.py

clean: ## remove what the other words left behind, .venv and runs excepted
	rm -rf build install log dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov
	rm -f .coverage .coverage.* coverage.json
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
