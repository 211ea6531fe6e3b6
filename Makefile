# Two commands for everyone:
#   make demo   the whole pipeline on a generated cohort; ends with a table of scores and the path of a report
#   make test   ruff, mypy, import-linter, pytest with doctests, documentation
# Both make .venv at the first run and reuse it afterwards. For those who change something:
#   make soak          10,000 damaged files through the readers of both packages, and commands ended by further signals; minutes
#   make results-lock  tests/results.lock again, after a change of results that CHANGELOG.md announces
#   make bench         the tables of the benchmarks
# And, each in an environment of its own, what a user may have that this checkout does not show:
#   make test-oldest   the lowest versions that pyproject.toml allows (constraints-oldest.txt)
#   make test-core     ssimh with NumPy and SciPy alone
#   make test-wheel    the built wheel: the first tutorial and the examples, in an empty folder
# Releases: make dist, check-release, publish (CONTRIBUTING.md).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo
CORE_TESTS := tests/test_results_lock.py tests/ssimh/_kernels tests/ssimh/site tests/ssimh/files $(wildcard tests/ssimh/test_*.py) \
    $(filter-out ssimh/site/torch_%,$(wildcard ssimh/*.py ssimh/site/*.py)) ssimh/_kernels/basis.py ssimh/_kernels/coefficients.py
OLDEST_TESTS ?= tests/ssimh tests/hnseg tests/test_results_lock.py

.PHONY: demo test checks lint types layers tests docs soak results-lock bench benchmarks test-oldest test-core test-wheel \
    dist check-release publish clean-demo clean

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
	@echo "open docs/_build/html/index.html"

soak: $(VENV)/.installed-test
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -q -m soak tests

results-lock: $(VENV)/.installed-test
	$(BIN)/python tests/write_results_lock.py

# On a machine that does nothing else. Writes docs/benchmarks/ and the table in README.md.
bench benchmarks: $(VENV)/.installed-benchmarks
	OMP_NUM_THREADS=2 $(BIN)/python benchmarks/bench.py

# Warnings are errors with the versions that we develop with; old ones have their own, about each other.
test-oldest: .venv-oldest/.installed-oldest
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE .venv-oldest/bin/python -m pytest -q -n 2 --dist loadfile -p tests.skip_missing -o filterwarnings=default \
	    -m "not slow and not soak and not site" $(OLDEST_TESTS)

# Files that import what is not installed are skipped with the reason (tests/skip_missing.py).
test-core: .venv-core/.installed-core
	OMP_NUM_THREADS=1 .venv-core/bin/python -m pytest -q -p tests.skip_missing $(CORE_TESTS)

test-wheel:
	PYTHON="$(PYTHON)" $(PYTHON) .ci/try_wheel.py

dist: $(VENV)/.installed-test
	rm -rf dist
	$(BIN)/python -m hatchling build
	@ls -l dist

check-release: $(VENV)/.installed-test
	$(BIN)/python .ci/check_release.py

# The address of the index and the right to upload come from the release job (trusted publishing); there is no password.
publish:
	$(PYTHON) -m venv .venv-publish
	.venv-publish/bin/python -m pip install --quiet uv
	.venv-publish/bin/uv publish --trusted-publishing always dist/*

$(VENV)/.installed-demo: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install $(VENV) demo hnseg

$(VENV)/.installed-test: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install $(VENV) test hnseg,dev,docs

$(VENV)/.installed-benchmarks: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install $(VENV) benchmarks hnseg,benchmarks

# The index has torch 2.4 with CUDA alone, which takes 6 GB.
.venv-oldest/.installed-oldest: pyproject.toml constraints-oldest.txt .ci/install
	PYTHON="$(PYTHON)" CONSTRAINTS=constraints-oldest.txt FREE_MB=9000 .ci/install .venv-oldest oldest hnseg,isal,torchio,dicom,onnx,bundle,dask,tensorboard,peers,test

.venv-core/.installed-core: pyproject.toml constraints.txt .ci/install
	PYTHON="$(PYTHON)" .ci/install .venv-core core test

clean-demo:
	rm -rf $(DEMO_DIR)

clean: clean-demo
	rm -rf $(VENV) .venv-oldest .venv-core .venv-publish docs/_build build dist
