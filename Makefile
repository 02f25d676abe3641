# Everything a newcomer, a developer and CI need. Each target makes .venv itself and reuses it.
.PHONY: venv demo check test docs config-docs clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-for
# Tests start a hundred processes; without kept bytecode each one compiles torch anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

venv: $(STAMP)

# uv makes an environment in a second where pip takes minutes; pip fetches it where it is missing.
$(STAMP): pyproject.toml constraints.txt scripts/make_venv.sh
	PYTHON=$(PYTHON) sh scripts/make_venv.sh $(VENV)
	@touch $(STAMP)

demo: venv
	$(BIN)/culling demo

# The fast part: format, lint, types, unit tests.
check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit -m "not slow" -n auto

# Everything: the fast part, then what is slow: whole nights on synthetic and real footage, servers.
# Three workers for two cores: the tests of live cameras mostly wait.
test: check
	$(BIN)/python -m pytest -m slow -n 3 --dist loadfile --no-loadscope-reorder

# What is made from the code: the file map and the reference of commands.
docs: venv
	$(BIN)/python -m scripts.make_file_map
	$(BIN)/python -m scripts.make_command_reference

# What is made from the settings in jobs/config/: config.yaml, its schema, docs/reference/config.md.
config-docs: venv
	PYTHONPATH=. $(BIN)/python scripts/make_config_docs.py

clean:
	rm -rf $(VENV) demo-data .mypy_cache .ruff_cache .pytest_cache
