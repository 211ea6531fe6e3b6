# Two commands for everyone:
#   make demo   the whole pipeline on a generated cohort; ends with a table of scores and the path of a report
#   make test   ruff, mypy, import-linter, pytest with doctests, documentation
# And one for those who change how files are read, or how commands end:
#   make soak   10,000 damaged files through the readers of both packages, and commands ended by further signals; minutes
# Both make .venv at the first run and reuse it afterwards.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo

.PHONY: demo test checks lint types layers tests docs soak benchmarks clean-demo clean

# Memory that torch frees stays with the process: giving it back and faulting it in again took a quarter of a step.
# Waiting threads yield their core: beside another busy process, spinning ones made a step several times longer.
demo: $(VENV)/.installed-demo
	OMP_WAIT_POLICY=PASSIVE MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_MMAP_THRESHOLD_=1073741824 \
	    $(BIN)/python examples/hecktor_task1.py --work-dir $(DEMO_DIR) --resume

# Lint first, which takes a second. The other checks run beside the tests, in the tenth of the time that these wait.
test: $(VENV)/.installed-test lint
	$(MAKE) --no-print-directory -j2 checks tests

checks: $(VENV)/.installed-test
	$(MAKE) --no-print-directory types layers docs

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

layers: $(VENV)/.installed-test
	$(BIN)/lint-imports --no-cache

# Two processes of one thread: BLAS, torch and ITK otherwise each start a thread a core and fight over them.
# xdist begins with the files of most tests; the longest have few (tests/conftest.py orders them).
# Compiled modules are kept where the environment says otherwise: a hundred processes would compile them again.
tests: $(VENV)/.installed-test
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=10

docs: $(VENV)/.installed-test
	rm -rf docs/_build/html  # pages that are no longer there would stay
	$(BIN)/sphinx-build -q -W --keep-going -E docs docs/_build/html
	$(BIN)/python -m pytest -q -m site tests/docs

soak: $(VENV)/.installed-test
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q -m soak tests

benchmarks: $(VENV)/.installed-benchmarks
	$(BIN)/python benchmarks/swap.py

$(VENV)/.installed-demo: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install $(VENV) demo hnseg

$(VENV)/.installed-test: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install $(VENV) test hnseg,dev,docs

$(VENV)/.installed-benchmarks: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install $(VENV) benchmarks hnseg,benchmarks

clean-demo:
	rm -rf $(DEMO_DIR)

clean: clean-demo
	rm -rf $(VENV) docs/_build build dist
