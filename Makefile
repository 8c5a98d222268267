# On a fresh machine `make verify` is enough: it creates .venv and installs into
# it. A bare Debian needs `apt-get install python3-venv make git` first.

PYTHON ?= python3
# Further pip options for torch alone, for example the index of its CPU builds.
TORCH_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
# The core alone, which make verify needs, and with all that the tests use.
CORE := $(VENV)/.core
STAMP := $(VENV)/.installed
# Present while an installation is under way, so that an interrupted one is redone.
UNFINISHED := $(VENV)/.unfinished
PIP := $(BIN)/python -m pip --disable-pip-version-check

# One thread a process: two collapse when another process takes a core.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# Bytecode is kept, or each of the many programs that tests start is compiled anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help verify formal test lint bench evidence figures docs clean

help:
	@echo "make verify   check every claim (installs into $(VENV) when needed)"
	@echo "make formal   machine-check the theorems with Coq (apt installs it when missing and root)"
	@echo "make test     run the tests"
	@echo "make lint     ruff check, ruff format --check, mypy, lint-imports"
	@echo "make bench    run the benchmarks"
	@echo "make evidence the full lists: ledger, planted falsehoods, disguised truths"
	@echo "make docs     the documentation, into site/; a warning or a broken link fails"
	@echo "make figures  the figures and their data, under figures/"
	@echo "make clean    remove $(VENV), caches and build output"

verify: $(CORE)
	$(BIN)/sailtheory verify

# Needs Coq and no virtual environment.
formal:
	$(PYTHON) proofs_check/formal/build.py --install

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(STAMP)
	$(BIN)/python -m benchmarks

FIGURES := spectra curvature_map thresholds pl convergence samples price estimators divergences \
  self_preference neural_landscape_plot sample_complexity_plot control_arms data_thresholds sequence_arms \
  rewards reward_kl

figures: $(STAMP)
	set -e; for name in $(FIGURES); do $(BIN)/python -m figures.$$name; done

evidence: $(STAMP)
	$(BIN)/sailtheory verify --effort full --json docs/evidence/ledger.json
	$(BIN)/python -m proofs_check --planted --effort full --table docs/falsehoods.md
	$(BIN)/python -m proofs_check --disguised --effort full | tee docs/evidence/disguised.txt
	$(BIN)/python -m studies.certificates
	$(BIN)/python -m studies.rates_validation --out studies/rates_validation/evidence.json
	$(BIN)/python -m studies.sample_complexity
	$(BIN)/python -m studies.dynamics
	$(BIN)/python -m studies.control_arms.segment_mdp
	$(BIN)/python -m studies.control_arms.segment_age
	$(BIN)/python -m studies.control_arms.segment_noise
	$(BIN)/python -m studies.control_arms.curvature
	$(BIN)/python -m studies.llm_arms.thresholds
	$(BIN)/python -m studies.data_thresholds.tables
	$(BIN)/python -m studies.pages

docs: $(STAMP)
	$(BIN)/python -m docs.generate site

$(CORE): pyproject.toml constraints.txt tests/peers.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "sailtheory: $(PYTHON) not found; it needs Python 3.11 or newer (Debian: apt-get install python3-venv make git)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "sailtheory: $(PYTHON) is older than Python 3.11; name a newer one, as in: make verify PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "sailtheory: $(PYTHON) lacks the venv module (Debian: apt-get install python3-venv make git)" >&2; exit 1; }
	@if [ -e $(UNFINISHED) ]; then \
	  find $(VENV) -mindepth 1 -maxdepth 1 ! -name $(notdir $(UNFINISHED)) -exec rm -rf {} +; fi
	@mkdir -p $(VENV) && rm -f $@ && touch $(UNFINISHED)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e .
	@rm -f $(UNFINISHED) && touch $@

$(STAMP): $(CORE)
	@rm -f $(CORE) && touch $(UNFINISHED)
	$(PIP) install -c constraints.txt $(TORCH_FLAGS) torch
	$(PIP) install -c constraints.txt -e '.[test]'
	$(PIP) install --no-deps -r tests/peers.txt
	@rm -f $(UNFINISHED) && touch $(CORE) $@

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
