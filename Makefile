# make demo    from nothing to a streamed answer of a real plugin; then serves until Ctrl-C (ONCE=1: ends by itself)
# make serve   a daemon with the settings of the environment, or of a file: make serve SETTINGS=my.env
# make test    all tests, or some: make test T=tests.wire
# make check   formatting, lint, types, floors, all tests: what has to pass before anything lands
# make bench   what a call, a message, an open call cost, each against something else
# make docs    write the generated tables of docs/configuration.md
# make clean   remove what all this made
#
# Each makes its environment, .venv, when there is none or when setup.py changed. PYTHON=... chooses the interpreter.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
T ?= tests
CODE := difyd tests examples benchmarks docs twisted setup.py

.PHONY: demo serve test check bench docs clean

demo: .venv/made
	@$(BIN)/python examples/demo.py $(if $(ONCE),--once)

serve: .venv/made
	$(BIN)/twistd -n difyd $(if $(SETTINGS),--settings $(SETTINGS))

test: .venv/made
	$(BIN)/python -m twisted.trial $(T)

check: .venv/made
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory test

bench: .venv/made
	@for b in codec calls chunks latency memory slow_neighbour; do $(BIN)/python benchmarks/$$b.py || exit 1; done

docs: .venv/made
	$(BIN)/python docs/tables.py

# Only the compat mode of an editable install shows twisted/plugins/ to Twisted.
.venv/made: setup.py
	@test -n "$(PYTHON)" || { echo "difyd needs Python 3.11 or newer; make PYTHON=/path/to/python3 says where it is"; exit 1; }
	@echo "== making the environment .venv with $(PYTHON) (some minutes the first time)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --config-settings editable_mode=compat -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .demo build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache
