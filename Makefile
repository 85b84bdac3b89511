# Everything runs from a fresh clone with Python 3.11 or newer and a package index; nothing is installed outside this folder.
PYTHON ?= python3
BIN := .venv/bin
SYNAPSE := .venv-synapse/.installed
OLD_SQLITE := .venv/old-sqlite/.installed
ATHERIS := .venv/atheris/.installed

.PHONY: help
help: ## list the targets (this is what a bare `make` does)
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

.PHONY: run
run: $(BIN)/.installed $(SYNAPSE) ## fill a store from a real homeserver on loopback and show what is in it
	$(BIN)/python -m examples.demo

.PHONY: replay
replay: $(BIN)/.installed ## show the recorded account of examples/ without any server
	$(BIN)/python -m examples.replay

.PHONY: client
client: $(BIN)/.installed $(SYNAPSE) ## use the example client in this terminal, against a real homeserver on loopback
	$(BIN)/python -m examples.client

.PHONY: notes
notes: $(BIN)/.installed $(SYNAPSE) ## let two devices write notes without a server, and see them agree
	$(BIN)/python -m examples.notes

.PHONY: bot
bot: $(BIN)/.installed $(SYNAPSE) ## run the example bot on matrix-nio against a real homeserver on loopback
	$(BIN)/python -m examples.nio_bot

.PHONY: test
test: $(BIN)/.installed $(SYNAPSE) $(OLD_SQLITE) lint types ## all checks and tests, with a real homeserver, then on encrypted stores
	SYNCSTORE_OLD_SQLITE=$(CURDIR)/$(dir $(OLD_SQLITE)) $(BIN)/python -m pytest -n 2 --dist loadgroup
	$(MAKE) test-encrypted

.PHONY: test-encrypted
test-encrypted: $(BIN)/.installed $(SYNAPSE) ## the tests on encrypted stores; fewer drawn histories, a sample of those with a homeserver
	SYNCSTORE_EXAMPLES=0.2 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not e2e or sample" --encrypted

.PHONY: test-encrypted-all
test-encrypted-all: $(BIN)/.installed $(SYNAPSE) ## the whole suite on encrypted stores
	$(BIN)/python -m pytest -n 2 --dist loadgroup --encrypted

.PHONY: quick
quick: $(BIN)/.installed ## the tests that need no homeserver
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not e2e"

.PHONY: torture
torture: $(BIN)/.installed $(ATHERIS) ## the tests that loop, for long: kills, faults, power losses, crowds; then all on encrypted stores
	SYNCSTORE_TORTURE=1 $(BIN)/python -m pytest -n 2 --dist loadgroup tests/faults tests/fuzz tests/cli/test_damaged.py
	PYTHONPATH=$(CURDIR)/$(dir $(ATHERIS)) $(BIN)/python -m tests.fuzz.guided 20000
	$(MAKE) test-encrypted-all

.PHONY: lint
lint: $(BIN)/.installed ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(BIN)/.installed ## strict types, tests included
	$(BIN)/mypy

.PHONY: bench
bench: $(BIN)/.bench ## measure speed (beside sqlite3 by hand, and peers), memory, start, disk; write docs/performance.md
	$(BIN)/python -m benchmarks speed growth readers memory loop start disk --keep

.PHONY: bench-peers
bench-peers: $(BIN)/.bench ## measure speed beside stores in Go and Rust, which must be installed; write docs/performance.md
	$(BIN)/python -m benchmarks native --keep

.PHONY: synapse
synapse: $(SYNAPSE) ## install the homeserver that `run` and `test` use

.PHONY: clean
clean: ## remove the environments and what runs have left
	rm -rf .venv .venv-synapse .run .mypy_cache .ruff_cache .hypothesis build dist

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(BIN)/.bench: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	touch $@

# Two versions of apsw do not fit into one environment. Where no wheel fits this Python, one test says that it is skipped.
$(OLD_SQLITE): $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --upgrade \
		--target $(dir $@) apsw==3.39.4.0 || rm -rf $(dir $@)
	mkdir -p $(dir $@) && touch $@

# A coverage-guided fuzzer, for `torture` alone. Where no wheel fits this Python, one line says so.
$(ATHERIS): $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --upgrade \
		--target $(dir $@) 'atheris>=3' || rm -rf $(dir $@)
	mkdir -p $(dir $@) && touch $@

$(SYNAPSE): $(BIN)/.installed examples/lab/synapse.py
	$(BIN)/python -m examples.lab
	touch $@
