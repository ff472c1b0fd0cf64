# Everything happens in a virtual environment of its own.
VENV ?= .venv
PYTHON ?= python3
RUN = $(VENV)/bin/python
# A process of the tests for each core; each holds about 2 GB.
WORKERS ?= logical
PYTEST = TF_CPP_MIN_LOG_LEVEL=3 $(RUN) -m pytest \
	--numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal

.PHONY: quickstart test test-quick lint docs gallery benchmarks clean

quickstart: $(VENV)/installed
	TF_CPP_MIN_LOG_LEVEL=3 $(RUN) examples/quickstart.py

test: $(VENV)/installed-test
	$(PYTEST)

# Without the tests marked slow.
test-quick: $(VENV)/installed-test
	$(PYTEST) -m "not slow"

lint: $(VENV)/installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# The site in docs/_build; a warning is an error.
docs: $(VENV)/installed-docs
	$(RUN) -m sphinx -W --keep-going --quiet -b html docs docs/_build

# What the site shows of the examples, some presets and the notebooks, run
# anew: some minutes of training.
gallery: $(VENV)/installed
	$(RUN) docs/run_examples.py
	$(RUN) notebooks/run_notebooks.py

benchmarks: $(VENV)/installed-bench
	$(RUN) -m benchmarks.episodes
	$(RUN) -m benchmarks.prototypical_network
	$(RUN) -m benchmarks.metric_family
	$(RUN) -m benchmarks.gradient_family
	$(RUN) -m benchmarks.memory_family
	$(RUN) -m benchmarks.meta_network
	$(RUN) -m benchmarks.meta_lstm
	$(RUN) -m benchmarks.replicas
	$(RUN) -m benchmarks.drawings

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip

$(VENV)/installed: $(VENV)/bin/python setup.py
	$(RUN) -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/bin/python setup.py
	$(RUN) -m pip install --quiet --editable ".[test]"
	touch $@

$(VENV)/installed-docs: $(VENV)/bin/python setup.py
	$(RUN) -m pip install --quiet --editable ".[docs]"
	touch $@

$(VENV)/installed-bench: $(VENV)/bin/python setup.py
	$(RUN) -m pip install --quiet --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) quickstart build dist *.egg-info \
		docs/_build docs/api docs/gallery docs/notebooks docs/zoo
