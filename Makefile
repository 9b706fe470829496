# Everything below sets up its own virtual environment: only Python 3.11+ and make are needed.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: test test-system demo bench mutants lint clean

# Side by side, a file at a time: most tests wait for processes.
test: lint
	$(RUN)/python -m pytest -n 3 --dist loadfile

# The tests that need programs of the system, a skip is a failure. Installs them, which needs
# root and Debian; the service of Prometheus is not started.
test-system: lint
	sh tests/system/install.sh
	REQUIRE_SYSTEM=1 $(RUN)/python -m pytest -m system tests/system

demo: $(VENV)/installed
	$(RUN)/bridgepool stress --size 8 --overflow 4 --operations 200 --concurrency 50 \
	  --inputs examples/questions.jsonl --min-success 1

# Takes about fifteen minutes; writes benchmarks/RESULTS.md.
bench: $(VENV)/installed-bench
	$(RUN)/python -m benchmarks

# Takes about forty minutes on two processors; FILES="pool/capacity.py ..." takes some.
mutants: $(VENV)/installed-mutation
	$(RUN)/python -m tests.mutation $(FILES)

lint: $(VENV)/installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

# Made again when the dependencies change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bridgepool needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --editable '.[dspy,dev]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(RUN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

$(VENV)/installed-mutation: $(VENV)/installed
	$(RUN)/python -m pip install --quiet --editable '.[mutation]'
	touch $@

clean:
	rm -rf $(VENV)
